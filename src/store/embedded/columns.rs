//! Between SQLite's values and ours.

use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::crypto::PublicKey;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::protocol::statement::UserVerification;
use crate::protocol::statement::jwk::Jwk;
use crate::protocol::time::Timestamp;
use crate::store::{Account, AccountId, Audited, Avatar, DeviceRecord, DisplayName, Generation, Profile};

/// Times and epochs beyond SQLite's range stop at its end; nothing real comes near.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn time_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get::<_, i64>(column).map(|value| Timestamp(u64::try_from(value).unwrap_or(0)))
}

pub(super) fn epoch_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Epoch> {
    row.get::<_, i64>(column).map(|value| Epoch(u64::try_from(value).unwrap_or(0)))
}

pub(super) fn generation_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Generation> {
    row.get::<_, i64>(column).map(|value| Generation(u64::try_from(value).unwrap_or(0)))
}

/// A text that is parsed again: a damaged file must not turn into a sound value.
pub(super) fn text_at<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get::<_, String>(column)?.parse().map_err(|error| broken(column, error))
}

pub(super) fn optional_text_at<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get::<_, Option<String>>(column)?;
    text.map(|text| text.parse()).transpose().map_err(|error| broken(column, error))
}

pub(super) fn broken(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The columns that [`account_at`] reads, from a table called `a`.
pub(super) const ACCOUNT: &str =
    "a.account, a.name, a.avatar, a.subject, a.disabled, a.minimum_uv, a.organisation, a.generation";

pub(super) fn account_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Account> {
    Ok(Account {
        profile: Profile {
            account: text_at::<AccountId>(row, first)?,
            name: DisplayName::stored(row.get(first + 1)?),
            avatar: row.get::<_, Option<String>>(first + 2)?.map(Avatar::stored),
        },
        subject: text_at(row, first + 3)?,
        disabled: row.get(first + 4)?,
        minimum_uv: match row.get::<_, i64>(first + 5)? {
            0 => UserVerification::Page,
            1 => UserVerification::Prompt,
            _ => UserVerification::Os,
        },
        organisation: optional_text_at(row, first + 6)?,
        generation: generation_at(row, first + 7)?,
    })
}

pub(super) const fn uv_rank(uv: UserVerification) -> i64 {
    match uv {
        UserVerification::Page => 0,
        UserVerification::Prompt => 1,
        UserVerification::Os => 2,
    }
}

/// The epoch that a device `d` of an account `a` is asked to go to. Where the organisation was signed out since the device
/// came to its epoch, the next one: an organisation's sign-out writes to no device, however many there are.
macro_rules! asked_epoch {
    () => {
        "CASE WHEN d.epoch < 9223372036854775807 AND d.organisation_generation < coalesce(
             (SELECT o.generation FROM organisations o WHERE o.organisation = a.organisation), 0)
         THEN max(d.asked_epoch, d.epoch + 1) ELSE d.asked_epoch END"
    };
}
pub(super) const ASKED_EPOCH: &str = asked_epoch!();

/// The columns that [`device_at`] reads before the account's, from tables called `d` and `a`. Seven.
pub(super) const DEVICE: &str =
    concat!("d.device, d.jwk, d.name, d.epoch, d.enrolled_at, d.revoked_at, ", asked_epoch!());

/// The generation of the organisation that the account of a row of `devices` is in; 0 where it is in none.
pub(super) const GENERATION_NOW: &str =
    "coalesce((SELECT o.generation FROM accounts a JOIN organisations o USING (organisation)
    WHERE a.account = devices.account), 0)";

pub(super) fn device_at(row: &Row<'_>) -> rusqlite::Result<DeviceRecord> {
    let jwk: Jwk = serde_json::from_str(&row.get::<_, String>(1)?).map_err(|error| broken(1, error))?;
    Ok(DeviceRecord {
        id: text_at::<DeviceId>(row, 0)?,
        key: PublicKey::enrolled(&jwk).map_err(|error| broken(1, error))?,
        name: DisplayName::stored(row.get(2)?),
        epoch: epoch_at(row, 3)?,
        enrolled_at: time_at(row, 4)?,
        revoked_at: row.get::<_, Option<i64>>(5)?.map(|value| Timestamp(u64::try_from(value).unwrap_or(0))),
        asked_epoch: epoch_at(row, 6)?,
        account: account_at(row, 7)?,
    })
}

/// Writes an audit entry in the transaction of what it speaks of.
pub(super) fn record(
    connection: &Connection,
    now: Timestamp,
    what: Audited,
    subject: Option<&Subject>,
    device: Option<&str>,
    detail: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO audit (at, what, subject, device, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![integer(now.0), what.as_str(), subject.map(Subject::as_str), device, detail])
        .map(drop)
}

/// The first row, where there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(sql)?.query_row(params, read).optional()
}

/// All rows.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_map(params, read)?.collect()
}
