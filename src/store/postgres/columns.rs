//! Between PostgreSQL's values and ours.

use std::str::FromStr;

use tokio_postgres::Row;

use crate::crypto::PublicKey;
use crate::protocol::id::{DeviceId, Epoch};
use crate::protocol::statement::UserVerification;
use crate::protocol::statement::jwk::Jwk;
use crate::protocol::time::Timestamp;
use crate::store::session::KeptSession;
use crate::store::{
    Account, AccountId, Avatar, DeviceRecord, DisplayName, Generation, Profile, Session, SessionKey, StoreError,
};

/// Times and epochs beyond the server's range stop at its end; nothing real comes near.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn number_at(row: &Row, column: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}

/// A text that is parsed again: a damaged table must not turn into a sound value.
pub(super) fn text_at<T>(row: &Row, column: usize) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.try_get::<_, &str>(column)?.parse().map_err(StoreError::new)
}

pub(super) fn optional_text_at<T>(row: &Row, column: usize) -> Result<Option<T>, StoreError>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.try_get::<_, Option<&str>>(column)?.map(str::parse).transpose().map_err(StoreError::new)
}

/// The columns that [`account_at`] reads, from a table called `a`.
pub(super) const ACCOUNT: &str =
    "a.account, a.name, a.avatar, a.subject, a.disabled, a.minimum_uv, a.organisation, a.generation";

pub(super) fn account_at(row: &Row, first: usize) -> Result<Account, StoreError> {
    Ok(Account {
        profile: Profile {
            account: text_at::<AccountId>(row, first)?,
            name: DisplayName::stored(row.try_get(first + 1)?),
            avatar: row.try_get::<_, Option<String>>(first + 2)?.map(Avatar::stored),
        },
        subject: text_at(row, first + 3)?,
        disabled: row.try_get(first + 4)?,
        minimum_uv: match row.try_get::<_, i16>(first + 5)? {
            0 => UserVerification::Page,
            1 => UserVerification::Prompt,
            _ => UserVerification::Os,
        },
        organisation: optional_text_at(row, first + 6)?,
        generation: Generation(number_at(row, first + 7)?),
    })
}

pub(super) const fn uv_rank(uv: UserVerification) -> i16 {
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
         THEN greatest(d.asked_epoch, d.epoch + 1) ELSE d.asked_epoch END"
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

pub(super) fn device_at(row: &Row) -> Result<DeviceRecord, StoreError> {
    let jwk: Jwk = serde_json::from_str(row.try_get(1)?).map_err(StoreError::new)?;
    Ok(DeviceRecord {
        id: text_at::<DeviceId>(row, 0)?,
        key: PublicKey::enrolled(&jwk).map_err(StoreError::new)?,
        name: DisplayName::stored(row.try_get(2)?),
        epoch: Epoch(number_at(row, 3)?),
        enrolled_at: Timestamp(number_at(row, 4)?),
        revoked_at: row.try_get::<_, Option<i64>>(5)?.map(|value| Timestamp(u64::try_from(value).unwrap_or(0))),
        asked_epoch: Epoch(number_at(row, 6)?),
        account: account_at(row, 7)?,
    })
}

/// The columns that [`session_at`] reads before the account's: 16 of the session, its device and its organisation.
pub(super) const SESSION: &str =
    "s.hash, s.device, d.name, s.epoch, s.origin, s.method, s.signed_in_at, s.expires_at, s.last_used, s.idle_seconds,
     coalesce(d.epoch, 0), s.device IS NOT NULL AND (d.device IS NULL OR d.revoked_at IS NOT NULL), s.generation,
     s.organisation_generation, coalesce(o.generation, 0), s.browser";

/// What [`SESSION`] is read from.
pub(super) const SESSIONS: &str = "sessions s JOIN accounts a ON a.account = s.account
     LEFT JOIN devices d ON d.device = s.device LEFT JOIN organisations o ON o.organisation = a.organisation";

pub(super) fn session_at(row: &Row) -> Result<KeptSession, StoreError> {
    let time = |column| number_at(row, column).map(Timestamp);
    let session = Session {
        key: SessionKey(row.try_get::<_, &[u8]>(0)?.try_into().map_err(StoreError::new)?),
        device: optional_text_at(row, 1)?,
        device_name: row.try_get::<_, Option<String>>(2)?.map(DisplayName::stored),
        epoch: Epoch(number_at(row, 3)?),
        origin: text_at(row, 4)?,
        method: row.try_get(5)?,
        signed_in_at: time(6)?,
        expires_at: time(7)?,
        last_used: time(8)?,
        generation: Generation(number_at(row, 12)?),
        organisation_generation: Generation(number_at(row, 13)?),
        browser: row.try_get::<_, Option<String>>(15)?.map(DisplayName::stored),
        account: account_at(row, 16)?,
    };
    Ok(KeptSession {
        session,
        idle_seconds: number_at(row, 9)?,
        device_epoch: Epoch(number_at(row, 10)?),
        device_revoked: row.try_get(11)?,
        organisation_generation: Generation(number_at(row, 14)?),
    })
}
