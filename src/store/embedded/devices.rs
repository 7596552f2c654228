//! Devices in SQL.

use rusqlite::{Connection, params};

use super::columns::{ACCOUNT, DEVICE, all, device_at, first, integer, record};
use super::{accounts, sessions};
use crate::crypto::{self, KeyId, PublicKey};
use crate::protocol::base64url;
use crate::protocol::id::{DeviceId, Epoch};
use crate::protocol::time::Timestamp;
use crate::store::{
    AccountId, Audited, DeviceRecord, DisplayName, EndReason, EndedSession, EnrolRefusal, Enrolled, TicketHash,
};

pub(super) fn enrol(
    connection: &Connection,
    now: Timestamp,
    ticket: TicketHash,
    key: &PublicKey,
    name: &DisplayName,
) -> rusqlite::Result<Result<Enrolled, EnrolRefusal>> {
    // A refusal is an outcome, not an error: the ticket stays consumed.
    let Some(account) = accounts::consume_ticket(connection, now, ticket)? else {
        return Ok(Err(EnrolRefusal::Ticket));
    };
    if account.disabled {
        return Ok(Err(EnrolRefusal::Disabled));
    }
    if by_key(connection, key.id())?.is_some() {
        return Ok(Err(EnrolRefusal::DuplicateKey));
    }
    let device: DeviceId = base64url::encode(crypto::random::<16>()).parse().expect("base64url is a valid device id");
    let jwk =
        serde_json::to_string(&key.to_jwk()).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let owner = account.profile.account.as_str();
    connection.execute(
        "INSERT INTO devices (device, key_id, jwk, account, name, enrolled_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![device.as_str(), key.id().as_bytes(), jwk, owner, name.as_str(), integer(now.0)],
    )?;
    record(connection, now, Audited::DeviceEnrolled, Some(owner), Some(device.as_str()), name.as_str())?;
    Ok(Ok(Enrolled { device, epoch: Epoch::default(), account }))
}

pub(super) fn by_key(connection: &Connection, key: KeyId) -> rusqlite::Result<Option<DeviceRecord>> {
    let sql = format!("SELECT {DEVICE}, {ACCOUNT} FROM devices d JOIN accounts a USING (account) WHERE d.key_id = ?1");
    first(connection, &sql, [key.as_bytes()], device_at)
}

pub(super) fn by_id(connection: &Connection, device: &DeviceId) -> rusqlite::Result<Option<DeviceRecord>> {
    let sql = format!("SELECT {DEVICE}, {ACCOUNT} FROM devices d JOIN accounts a USING (account) WHERE d.device = ?1");
    first(connection, &sql, [device.as_str()], device_at)
}

pub(super) fn of_account(connection: &Connection, account: &AccountId) -> rusqlite::Result<Vec<DeviceRecord>> {
    let sql = format!(
        "SELECT {DEVICE}, {ACCOUNT} FROM devices d JOIN accounts a USING (account)
         WHERE d.account = ?1 AND d.revoked_at IS NULL ORDER BY d.enrolled_at, d.rowid"
    );
    all(connection, &sql, [account.as_str()], device_at)
}

pub(super) fn revoke(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    device: &DeviceId,
) -> rusqlite::Result<Option<Vec<EndedSession>>> {
    let changed = connection.execute(
        "UPDATE devices SET revoked_at = ?3 WHERE device = ?2 AND account = ?1 AND revoked_at IS NULL",
        params![account.as_str(), device.as_str(), integer(now.0)],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    record(connection, now, Audited::DeviceRevoked, Some(account.as_str()), Some(device.as_str()), "")?;
    sessions::end_below(connection, device, i64::MAX, true, EndReason::Revoked).map(Some)
}

pub(super) fn raise_epoch(
    connection: &Connection,
    now: Timestamp,
    device: &DeviceId,
    epoch: Epoch,
) -> rusqlite::Result<Vec<EndedSession>> {
    let epoch = integer(epoch.0);
    let owner = first(
        connection,
        "UPDATE devices SET epoch = ?2 WHERE device = ?1 AND epoch < ?2 RETURNING account",
        params![device.as_str(), epoch],
        |row| row.get::<_, String>(0),
    )?;
    let Some(owner) = owner else { return Ok(Vec::new()) };
    record(connection, now, Audited::EpochRaised, Some(&owner), Some(device.as_str()), &format!("epoch={epoch}"))?;
    sessions::end_below(connection, device, epoch, false, EndReason::SignedOut)
}
