//! Single-use marks: one unique insert that also compares the store's life, for a whole crowd of sign-ins at a time.
//!
//! A commit is what a mark costs; sign-ins that come within two milliseconds of each other share one. Each caller gets its
//! own outcome, and [`MarkError::Unavailable`] wherever there is any doubt (protocol section 6.9).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::columns::integer;
use super::connection::Connection;
use super::schema::LIFE;
use super::target::{Purpose, SharedTarget};
use crate::protocol::id::{ChallengeId, Incarnation};
use crate::protocol::time::Timestamp;
use crate::store::StoreError;
use crate::verify::mark::{FirstUse, MarkError, Outcome, settle};

/// Marks that share one statement at most.
const BATCH_MAX: usize = 64;
/// How long the first of a batch waits for others.
const BATCH_WAIT: Duration = Duration::from_millis(2);
/// Statements under way at a time, each on a connection of its own.
const WORKERS: usize = 4;
/// After this long the answer is "unavailable".
const DEADLINE: Duration = Duration::from_millis(250);
/// Marks that may wait. More could not be answered in time.
const MAX_WAITING: usize = 4096;
/// How long a mark is kept beyond its end, by the server's clock, in seconds. No replica's clock is further from it.
pub(super) const MARGIN_SECONDS: i64 = 60;

/// A mark that somebody waits for.
struct Ask {
    challenge: ChallengeId,
    incarnation: Incarnation,
    until: Timestamp,
    reply: oneshot::Sender<Result<Outcome, MarkError>>,
}

/// Where marks are asked for.
#[derive(Debug)]
pub(super) struct Marks {
    asks: mpsc::Sender<Ask>,
}

impl Marks {
    /// Starts the workers, which end with the sender that is in here.
    pub(super) fn start(target: &SharedTarget, tasks: &mut JoinSet<()>) -> Self {
        let (asks, waiting) = mpsc::channel(MAX_WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..WORKERS {
            tasks.spawn(work(Arc::clone(target), Arc::clone(&waiting)));
        }
        Self { asks }
    }

    pub(super) async fn mark(
        &self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
    ) -> Result<FirstUse, MarkError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { challenge: *challenge, incarnation: incarnation.clone(), until, reply };
        self.asks.try_send(ask).map_err(|_| MarkError::Unavailable)?;
        let answer = timeout(DEADLINE, answer).await;
        let outcome = answer.map_err(|_| MarkError::Unavailable)?.map_err(|_| MarkError::Unavailable)??;
        settle(challenge, outcome)
    }
}

/// Takes batches and marks them, until nobody can ask any more.
async fn work(target: SharedTarget, waiting: Arc<Mutex<mpsc::Receiver<Ask>>>) {
    let mut connection = target.connect(Purpose::Marks).await.ok();
    while let Some(batch) = collect(&waiting).await {
        if !connection.as_ref().is_some_and(Connection::is_reusable) {
            connection = match target.connect(Purpose::Marks).await {
                Ok(connection) => Some(connection),
                Err(error) => {
                    tracing::warn!("no mark can be taken: {error}");
                    None
                }
            };
        }
        // Whoever gave up meanwhile was told that it is unavailable.
        let batch: Vec<_> = batch.into_iter().filter(|ask| !ask.reply.is_closed()).collect();
        if batch.is_empty() {
            continue;
        }
        let outcomes = match &connection {
            Some(connection) => match timeout(DEADLINE, insert(connection, &batch)).await {
                Ok(outcomes) => outcomes,
                Err(_) => Err(StoreError::new("no answer in 250 ms")),
            },
            None => Err(StoreError::new("out of reach")),
        };
        let outcomes = outcomes.unwrap_or_else(|error| {
            tracing::warn!("nobody knows what became of {} marks: {error}", batch.len());
            vec![Err(MarkError::Unavailable); batch.len()]
        });
        for (ask, outcome) in batch.into_iter().zip(outcomes) {
            // Nobody waits any more: the token counts as spent.
            let _ = ask.reply.send(outcome);
        }
    }
}

/// The next batch; nothing where nobody can ask any more.
async fn collect(waiting: &Mutex<mpsc::Receiver<Ask>>) -> Option<Vec<Ask>> {
    let mut waiting = waiting.lock().await;
    let mut batch = vec![waiting.recv().await?];
    let enough = sleep_until(Instant::now() + BATCH_WAIT);
    tokio::pin!(enough);
    while batch.len() < BATCH_MAX {
        tokio::select! {
            biased;
            ask = waiting.recv() => match ask {
                Some(ask) => batch.push(ask),
                None => break,
            },
            () = &mut enough => break,
        }
    }
    Some(batch)
}

/// What became of each of a batch, in its order.
async fn insert(connection: &Connection, batch: &[Ask]) -> Result<Vec<Result<Outcome, MarkError>>, StoreError> {
    // In the order of the keys, so that two batches with the same challenges do not wait for each other. A mark that might
    // have been dropped already, because our clock is far behind the server's, is not taken.
    let sql = format!(
        "WITH life AS (
             SELECT {LIFE} AS incarnation, extract(epoch FROM clock_timestamp())::bigint - {MARGIN_SECONDS} AS floor
         ), asked AS (
             SELECT number, challenge, coalesce(a.incarnation = life.incarnation, false) AS alive, until, until >= floor AS kept
             FROM unnest($1::bytea[], $2::text[], $3::bigint[])
                  WITH ORDINALITY AS a (challenge, incarnation, until, number), life
         ), taken AS (
             INSERT INTO marks (challenge, until)
             SELECT challenge, until FROM asked WHERE alive AND kept ORDER BY challenge
             ON CONFLICT DO NOTHING RETURNING challenge
         )
         SELECT alive, kept, taken.challenge IS NOT NULL FROM asked LEFT JOIN taken USING (challenge) ORDER BY number"
    );
    let challenges: Vec<&[u8]> = batch.iter().map(|ask| ask.challenge.as_bytes().as_slice()).collect();
    let incarnations: Vec<&str> = batch.iter().map(|ask| ask.incarnation.as_str()).collect();
    let until: Vec<i64> = batch.iter().map(|ask| integer(ask.until.0)).collect();
    let rows = connection.all(&sql, &[&challenges, &incarnations, &until]).await?;
    if rows.len() != batch.len() {
        return Err(StoreError::new("the answer is not about what was asked"));
    }
    // One challenge may be asked for twice in one batch: it was inserted once, and counts once.
    let mut given = HashSet::new();
    let outcome = |(row, ask): (&tokio_postgres::Row, &Ask)| {
        let (alive, kept, inserted): (bool, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(match (alive, kept, inserted) {
            (false, ..) => Ok(Outcome::OtherIncarnation),
            (true, false, _) => Err(MarkError::Unavailable),
            (true, true, true) if given.insert(*ask.challenge.as_bytes()) => Ok(Outcome::Inserted),
            (true, true, _) => Ok(Outcome::Present),
        })
    };
    rows.iter().zip(batch).map(outcome).collect()
}
