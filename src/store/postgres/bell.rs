//! Hints between replicas: LISTEN and NOTIFY on one connection of their own.
//!
//! A NOTIFY takes a lock of the whole server while it commits, so there is at most one under way a process, it carries all
//! that waits, and no sign-out's transaction holds one. A hint may get lost; the log is the truth.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::AsyncMessage;

use super::connection::Connection;
use super::target::{Purpose, SharedTarget};
use super::within;
use crate::store::hint::Hints;
use crate::store::{Hint, StoreError};

/// Hints that may wait to be told to the others.
const MAX_WAITING: usize = 1024;
/// Hints in one statement.
const BATCH_MAX: usize = 128;
/// Between two tries to reach the server.
const RETRY: Duration = Duration::from_millis(500);

/// What this process hints and hears.
#[derive(Debug)]
pub(super) struct Bell {
    here: Arc<Hints>,
    elsewhere: mpsc::Sender<Hint>,
}

impl Bell {
    /// The bell, and what rings it until this is dropped.
    pub(super) fn new(target: SharedTarget) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (elsewhere, waiting) = mpsc::channel(MAX_WAITING);
        let here = Arc::new(Hints::default());
        (Self { here: Arc::clone(&here), elsewhere }, ring(target, here, waiting))
    }

    pub(super) fn listen(&self) -> tokio::sync::broadcast::Receiver<Hint> {
        self.here.listen()
    }

    pub(super) fn send(&self, hint: Hint) {
        self.here.send(hint.clone());
        // Where the server is out of reach, the others look each second anyway.
        let _ = self.elsewhere.try_send(hint);
    }
}

async fn ring(target: SharedTarget, here: Arc<Hints>, mut waiting: mpsc::Receiver<Hint>) {
    let mut reached = true;
    loop {
        match listening(&target, &here).await {
            Ok(mut connection) => {
                reached = true;
                // Whatever was said meanwhile was missed.
                here.send(Hint::LogGrew);
                if tell(&mut connection, &mut waiting).await.is_none() {
                    return;
                }
            }
            Err(error) if reached => {
                reached = false;
                tracing::warn!("hints of other replicas are not heard: {error}");
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
        if waiting.is_closed() && waiting.is_empty() {
            return;
        }
    }
}

/// A connection on which the others are heard.
async fn listening(target: &SharedTarget, here: &Arc<Hints>) -> Result<Connection, StoreError> {
    let (own, here) = (Arc::new(AtomicI32::new(0)), Arc::clone(here));
    let heard = {
        let own = Arc::clone(&own);
        move |message| {
            if let AsyncMessage::Notification(notification) = message
                // Our own were heard when they were given.
                && notification.process_id() != own.load(Ordering::SeqCst)
            {
                match serde_json::from_str(notification.payload()) {
                    Ok(hint) => here.send(hint),
                    Err(_) => tracing::debug!("a hint of another version was not understood"),
                }
            }
        }
    };
    let connection = target.connect_hearing(Purpose::Bell, heard).await?;
    within(async {
        own.store(connection.one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?, Ordering::SeqCst);
        connection.script("LISTEN loopkey").await
    })
    .await?;
    Ok(connection)
}

/// Tells the others what waits until the connection is lost; nothing where nobody can give a hint any more.
async fn tell(connection: &mut Connection, waiting: &mut mpsc::Receiver<Hint>) -> Option<()> {
    let mut batch = Vec::new();
    loop {
        let taken = tokio::select! {
            taken = waiting.recv_many(&mut batch, BATCH_MAX) => taken,
            () = connection.lost() => return Some(()),
        };
        if taken == 0 {
            return None;
        }
        let mut said = HashSet::new();
        // A hint has a few hundred bytes; a payload may have 8000.
        let payloads = batch.drain(..).filter_map(|hint| serde_json::to_string(&hint).ok());
        let payloads: Vec<_> = payloads.filter(|payload| said.insert(payload.clone())).collect();
        let sql = "SELECT pg_notify('loopkey', payload) FROM unnest($1::text[]) AS payload";
        if let Err(error) = within(connection.all(sql, &[&payloads])).await {
            tracing::debug!("hints were not passed on: {error}");
            return Some(());
        }
    }
}
