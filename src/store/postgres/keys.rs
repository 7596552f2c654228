//! The private keys that challenges are signed with, sealed under a secret that is not in the store.

use std::sync::Arc;

use tokio_postgres::Row;

use super::PostgresError;
use super::columns::{integer, number_at};
use super::connection::Connection;
use super::pool::Transaction;
use crate::crypto::{Algorithm, SealingKey, SoftwareKey};
use crate::protocol::time::Timestamp;
use crate::store::keys::{MadeKey, tag};
use crate::store::{ChallengeSigners, StoreError};

/// What the sealing key is for.
pub(super) const PURPOSE: &str = "challenge keys";

/// The newest keys. More would mean that somebody rotates them more often than they can come into use.
const NEWEST: &str = "SELECT number, algorithm, made_at, sealed FROM challenge_keys ORDER BY number DESC LIMIT 8";

/// The keys in use; nothing where there is none, or none of that algorithm at the front.
pub(super) async fn load(
    connection: &Connection,
    seal: &SealingKey,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<Option<ChallengeSigners>, StoreError> {
    let rows = connection.all(NEWEST, &[]).await?;
    if !is_of(rows.first(), algorithm)? {
        return Ok(None);
    }
    let keys = rows.iter().map(|row| open(seal, row)).collect::<Result<_, _>>()?;
    Ok(Some(ChallengeSigners::in_use(keys, now)))
}

fn is_of(row: Option<&Row>, algorithm: Algorithm) -> Result<bool, StoreError> {
    row.map_or(Ok(false), |row| Ok(row.try_get::<_, &str>(1)? == tag(algorithm)))
}

/// Makes a key; where it is the first that is wanted, only if no other replica was quicker.
pub(super) async fn make(
    tx: &Transaction<'_>,
    seal: &SealingKey,
    algorithm: Algorithm,
    first: bool,
) -> Result<(), StoreError> {
    tx.script("LOCK TABLE challenge_keys IN SHARE ROW EXCLUSIVE MODE").await?;
    let newest = tx.first(NEWEST, &[]).await?;
    if first && is_of(newest.as_ref(), algorithm)? {
        return Ok(());
    }
    let number = newest.map_or(Ok(0), |row| row.try_get::<_, i32>(0))? + 1;
    let (_, document) = SoftwareKey::generate(algorithm).map_err(StoreError::new)?;
    let sealed = seal.seal(document.expose(), &about(number));
    let sql = "INSERT INTO challenge_keys (number, algorithm, made_at, sealed) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[&number, &tag(algorithm), &integer(tx.now.0), &sealed]).await.map(drop)
}

/// A key is sealed as the one of its number, so that none can be put in another's place.
fn about(number: i32) -> [u8; 4] {
    number.to_be_bytes()
}

fn open(seal: &SealingKey, row: &Row) -> Result<MadeKey, PostgresError> {
    let broken = |error: tokio_postgres::Error| PostgresError::Store(error.into());
    let number: i32 = row.try_get(0).map_err(broken)?;
    let named: &str = row.try_get(1).map_err(broken)?;
    let algorithm = [Algorithm::Es256, Algorithm::Ed25519].into_iter().find(|algorithm| tag(*algorithm) == named);
    let algorithm = algorithm
        .ok_or_else(|| StoreError::new(format!("challenge key {number} is of the unknown algorithm {named:?}")))?;
    let document = seal.open(row.try_get(3).map_err(broken)?, &about(number));
    let document = document.map_err(|_| PostgresError::WrongSecret(number))?;
    let key = SoftwareKey::from_pkcs8(algorithm, document.expose()).map_err(StoreError::new)?;
    Ok(MadeKey { made_at: Timestamp(number_at(row, 2)?), key: Arc::new(key) })
}

/// Whether the keys that are there can be opened: said at the start, not at the first sign-in.
pub(super) async fn prove(connection: &Connection, seal: &SealingKey) -> Result<(), PostgresError> {
    connection.all(NEWEST, &[]).await?.iter().try_for_each(|row| open(seal, row).map(drop))
}
