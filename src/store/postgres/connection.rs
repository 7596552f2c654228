//! One connection to the server: prepared statements, and whether it can be used again.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::error::Severity;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Row, Socket, Statement};

use crate::store::StoreError;

/// Values of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A value as the driver gets it: at debug level it logs those of each statement, and no log may hold them.
pub(super) struct Quiet<'a>(&'a (dyn ToSql + Sync));

impl std::fmt::Debug for Quiet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl ToSql for Quiet<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql_checked(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        // The value itself is asked, where it is written.
        true
    }

    to_sql_checked!();
}

pub(super) fn quiet<'a>(params: Params<'a>) -> Vec<Quiet<'a>> {
    params.iter().map(|value| Quiet(*value)).collect()
}

pub(super) fn referred<'a>(values: &'a [Quiet<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// The task that moves a connection's bytes. The connection is cut when this goes.
#[derive(Debug)]
pub(super) struct Driver {
    task: JoinHandle<()>,
    /// The server warned of something while it did what it was asked. What we ask for gives no warnings, but for one: a
    /// commit that was told to wait no longer for its standbys, and is called a success all the same.
    doubt: Arc<AtomicBool>,
}

impl Driver {
    pub(super) fn start<T>(
        mut connection: tokio_postgres::Connection<Socket, T>,
        mut heard: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let doubt = Arc::new(AtomicBool::new(false));
        let warned = Arc::clone(&doubt);
        let task = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                        tracing::warn!("the store warns: {}", notice.message());
                        // Before the answer that it belongs to is given to whoever asked.
                        warned.store(true, Ordering::SeqCst);
                    }
                    Ok(message) => heard(message),
                    Err(error) => {
                        tracing::debug!("a connection to the store ended: {}", super::fault::explained(&error));
                        return;
                    }
                }
            }
        });
        Self { task, doubt }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection.
pub(super) struct Connection {
    client: Client,
    driver: Driver,
    statements: Mutex<HashMap<String, Statement>>,
    /// Nothing is under way on it, and nothing went wrong.
    settled: AtomicBool,
}

impl Connection {
    pub(super) fn new(client: Client, driver: Driver) -> Self {
        Self { client, driver, statements: Mutex::default(), settled: AtomicBool::new(true) }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether it can be used for something else now.
    pub(super) fn is_reusable(&self) -> bool {
        self.settled.load(Ordering::SeqCst) && !self.client.is_closed()
    }

    /// Waits until the connection is lost.
    pub(super) async fn lost(&mut self) {
        // However it ended, it did.
        let _ = (&mut self.driver.task).await;
    }

    /// Does a statement. Where that fails, or whoever waits for it gives up, the connection is not used again: nobody knows
    /// what it stands in.
    async fn settle<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
        let before = self.settled.swap(false, Ordering::SeqCst);
        let outcome = work.await?;
        if self.driver.doubt.load(Ordering::SeqCst) {
            return Err(StoreError::new("the store warned of what it did: nobody knows whether it is kept"));
        }
        self.settled.store(before, Ordering::SeqCst);
        Ok(outcome)
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// All rows.
    pub(super) async fn all(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let quiet = quiet(params);
        self.settle(async { self.client.query(&self.prepared(sql).await?, &referred(&quiet)).await }).await
    }

    /// The first row, where there is one.
    pub(super) async fn first(&self, sql: &str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        self.all(sql, params).await.map(|rows| rows.into_iter().next())
    }

    /// The one row that there always is.
    pub(super) async fn one(&self, sql: &str, params: Params<'_>) -> Result<Row, StoreError> {
        self.first(sql, params).await?.ok_or_else(|| StoreError::new("the store's own row is missing"))
    }

    /// How many rows it changed.
    pub(super) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
        let quiet = quiet(params);
        self.settle(async { self.client.execute(&self.prepared(sql).await?, &referred(&quiet)).await }).await
    }

    /// Statements without values.
    pub(super) async fn script(&self, sql: &str) -> Result<(), StoreError> {
        self.settle(self.client.batch_execute(sql)).await
    }

    /// Begins a transaction. Until [`Connection::commit`] the connection is not used for anything else.
    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        self.settled.store(false, Ordering::SeqCst);
        self.script("BEGIN").await
    }

    pub(super) async fn commit(&self) -> Result<(), StoreError> {
        self.script("COMMIT").await?;
        self.settled.store(true, Ordering::SeqCst);
        Ok(())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("reusable", &self.is_reusable()).finish_non_exhaustive()
    }
}
