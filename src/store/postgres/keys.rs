//! The private keys that challenges are signed with, sealed under a secret that is not in the store.

use tokio_postgres::Row;

use super::PostgresError;
use super::connection::Connection;
use super::pool::Transaction;
use crate::crypto::Algorithm;
use crate::protocol::time::Timestamp;
use crate::store::keys::{MadeKey, ROTATION_LEAD_SECONDS};
use crate::store::sealed::{SealedKey, Sealer};
use crate::store::{Audited, ChallengeSigners, StoreError};

/// Keys that may wait until they sign: more are not made on request.
const WAITING: usize = 8;

/// Newest first. There are few: those that nobody needs any more go when another one is made.
const ALL: &str = "SELECT number, key FROM challenge_keys ORDER BY number DESC";

fn stored(row: &Row) -> Result<(i32, SealedKey), StoreError> {
    Ok((row.try_get(0)?, serde_json::from_str(row.try_get(1)?).map_err(StoreError::new)?))
}

fn open(sealer: &Sealer, (number, key): &(i32, SealedKey)) -> Result<MadeKey, PostgresError> {
    sealer.open(u64::from(number.unsigned_abs()), key).map_err(|_| PostgresError::WrongSecret(*number))
}

/// The stored keys, newest first.
async fn all(connection: &Connection) -> Result<Vec<(i32, SealedKey)>, StoreError> {
    connection.all(ALL, &[]).await?.iter().map(stored).collect()
}

/// The keys in use; nothing where there is none, or where the newest is not of the algorithm that is `wanted`.
pub(super) async fn load(
    connection: &Connection,
    sealer: &Sealer,
    wanted: Option<Algorithm>,
    now: Timestamp,
) -> Result<Option<ChallengeSigners>, StoreError> {
    let keys = all(connection).await?;
    if keys.first().is_none_or(|(_, newest)| wanted.is_some_and(|algorithm| newest.algorithm != algorithm)) {
        return Ok(None);
    }
    let keys = keys.iter().map(|key| open(sealer, key)).collect::<Result<_, _>>()?;
    Ok(Some(ChallengeSigners::in_use(keys, now)))
}

/// Makes the first key, or the first of that algorithm, unless another replica was quicker.
pub(super) async fn make_first(tx: &Transaction<'_>, sealer: &Sealer, algorithm: Algorithm) -> Result<(), StoreError> {
    let keys = held(tx).await?;
    let there = keys.first().is_some_and(|(_, newest)| newest.algorithm == algorithm);
    if there { Ok(()) } else { add(tx, sealer, algorithm, &keys).await }
}

/// Makes the key that comes after the one that signs now.
pub(super) async fn rotate(tx: &Transaction<'_>, sealer: &Sealer, algorithm: Algorithm) -> Result<(), StoreError> {
    let keys = held(tx).await?;
    let made: Vec<_> = keys.iter().map(|key| open(sealer, key)).collect::<Result<_, _>>()?;
    if made.iter().filter(|made| made.made_at.plus(ROTATION_LEAD_SECONDS) > tx.now).count() >= WAITING {
        return Err(StoreError::new(format!(
            "{WAITING} challenge keys were made in the last {ROTATION_LEAD_SECONDS} s, which is how long a new one waits: \
             rotate again after that time"
        )));
    }
    add(tx, sealer, algorithm, &keys).await?;
    tx.record(Audited::ChallengeKeyRotated, None, None, "").await
}

/// The stored keys, to which nobody else adds until the commit.
async fn held(tx: &Transaction<'_>) -> Result<Vec<(i32, SealedKey)>, StoreError> {
    tx.script("LOCK TABLE challenge_keys IN SHARE ROW EXCLUSIVE MODE").await?;
    all(tx).await
}

async fn add(
    tx: &Transaction<'_>,
    sealer: &Sealer,
    algorithm: Algorithm,
    keys: &[(i32, SealedKey)],
) -> Result<(), StoreError> {
    let number = keys.first().map_or(0, |(newest, _)| *newest) + 1;
    let made = sealer.make(u64::from(number.unsigned_abs()), algorithm, tx.now)?;
    let made = serde_json::to_string(&made).map_err(StoreError::new)?;
    tx.execute("INSERT INTO challenge_keys (number, key) VALUES ($1, $2)", &[&number, &made]).await?;
    if keys.is_empty() {
        return Ok(());
    }
    // By time, not by count: a key whose challenges are about is there, however many were made after it.
    let opened = keys.iter().map(|key| open(sealer, key)).collect::<Result<_, _>>()?;
    let needed = ChallengeSigners::in_use(opened, tx.now).public().keys().len();
    let gone: Vec<i32> = keys.iter().skip(needed).map(|(number, _)| *number).collect();
    tx.execute("DELETE FROM challenge_keys WHERE number = ANY ($1)", &[&gone]).await.map(drop)
}

/// Whether the keys that are there can be opened: said at the start, not at the first sign-in.
pub(super) async fn prove(connection: &Connection, sealer: &Sealer) -> Result<(), PostgresError> {
    all(connection).await?.iter().try_for_each(|key| open(sealer, key).map(drop))
}
