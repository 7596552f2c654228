//! The one thread that writes: it takes what is waiting, does it in one transaction, and answers after the commit.
//!
//! A flush to disk is what a write costs; a crowd of sign-ins shares one. Each job runs inside its own savepoint, so that
//! one that fails takes nothing of the others with it.

use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault;
use crate::store::StoreError;

/// Jobs that may wait. More means that the disk stands still, and the callers are better told so.
const MAX_WAITING: usize = 4096;
/// Jobs that share one transaction at most.
const MAX_BATCH: usize = 256;
/// After this long the answer is "unknown", which is an error.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The handle on the writing thread. Dropping it lets the thread finish what is waiting, and waits for that.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(MAX_WAITING);
        let thread =
            std::thread::Builder::new().name("loopkey-store".to_owned()).spawn(move || run(&connection, waiting))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does the work in a transaction and returns when that is on the disk.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { work: Some(work), outcome: None, reply });
        let jobs = self.jobs.as_ref().ok_or_else(|| StoreError::new("the store is closing"))?;
        jobs.try_send(job).map_err(|_| StoreError::new("too many writes are waiting"))?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::new("the writing thread stopped")),
            Err(_) => Err(StoreError::new("the disk did not answer in 10 s")),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writing thread had panicked");
        }
    }
}

/// Something to be done in a transaction, and somebody who waits for it.
trait Job: Send {
    /// Does it; whether it is to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells whoever waits.
    fn answer(self: Box<Self>, committed: &Result<(), String>);
}

struct Work<T, F> {
    work: Option<F>,
    outcome: Option<rusqlite::Result<T>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: &Result<(), String>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(fault::explain(error)),
            (_, Err(why)) => Err(StoreError::new(why.clone())),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::new("the write was not tried")),
        };
        // Whoever asked may have given up; what was committed stays.
        let _ = self.reply.send(outcome);
    }
}

fn run(connection: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH
            && let Ok(job) = waiting.try_recv()
        {
            batch.push(job);
        }
        let committed = commit(connection, &mut batch).map_err(|error| fault::explain(error).reason());
        if let Err(error) = &committed {
            tracing::error!("a batch of {} writes was not committed: {error}", batch.len());
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
        for job in batch {
            job.answer(&committed);
        }
    }
}

fn commit(connection: &Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for job in batch {
        connection.execute_batch("SAVEPOINT job")?;
        let keep = job.run(connection);
        // Where a full disk ended the whole transaction from inside a job, the savepoint is gone, this fails, and with it
        // the batch.
        connection.execute_batch(if keep { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" })?;
    }
    connection.execute_batch("COMMIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().expect("database");
        connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT").expect("table");
        Writer::start(connection).expect("thread")
    }

    async fn count(writer: &Writer) -> i64 {
        writer.write(|c| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).await.expect("count")
    }

    #[tokio::test]
    async fn a_failing_job_rolls_back_itself_alone() {
        let writer = writer();
        let insert = |n: i64, fail: bool| {
            writer.write(move |c| {
                c.execute("INSERT INTO t VALUES (?1)", [n])?;
                if fail { Err(rusqlite::Error::InvalidQuery) } else { Ok(()) }
            })
        };
        // All of them are waiting before the thread can have taken many.
        let outcomes = futures::future::join_all((0..100).map(|n| insert(n, n % 3 == 0))).await;
        for (n, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.is_err(), n % 3 == 0, "{n}");
        }
        assert_eq!(count(&writer).await, 66);
    }

    #[tokio::test]
    async fn a_job_that_ends_the_transaction_fails_the_batch_and_nothing_after_it() {
        let writer = writer();
        let broken = writer.write(|c| {
            c.execute("INSERT INTO t VALUES (1)", [])?;
            c.execute_batch("ROLLBACK")
        });
        assert!(broken.await.is_err());
        assert_eq!(count(&writer).await, 0);
        writer.write(|c| c.execute("INSERT INTO t VALUES (2)", [])).await.expect("goes on");
        assert_eq!(count(&writer).await, 1);
    }

    #[tokio::test]
    async fn waiting_jobs_are_done_before_the_thread_ends() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("db");
        let connection = Connection::open(&path).expect("database");
        connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT").expect("table");
        let writer = Writer::start(connection).expect("thread");
        for n in 0..50_i64 {
            // Sent, and not waited for.
            let pending = writer.write(move |c| c.execute("INSERT INTO t VALUES (?1)", [n]));
            futures::pin_mut!(pending);
            let _ = futures::poll!(pending);
        }
        drop(writer);
        let connection = Connection::open(&path).expect("database");
        let n: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("count");
        assert_eq!(n, 50);
    }
}
