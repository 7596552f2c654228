//! Devices in SQL.

use rusqlite::{Connection, params};

use super::columns::{ACCOUNT, DEVICE, GENERATION_NOW, all, device_at, first, integer, record, text_at};
use super::{accounts, log};
use crate::crypto::{self, KeyId, PublicKey};
use crate::protocol::base64url;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::protocol::time::Timestamp;
use crate::store::{
    AccountId, Actor, Audited, DeviceRecord, DisplayName, EndReason, EnrolRefusal, Enrolled, OrganisationId,
    TicketHash, Withdrawn,
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
        "INSERT INTO devices (device, key_id, jwk, account, name, enrolled_at, organisation_generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce((SELECT generation FROM organisations WHERE organisation = ?7), 0))",
        params![
            device.as_str(),
            key.id().as_bytes(),
            jwk,
            owner,
            name.as_str(),
            integer(now.0),
            account.organisation.as_ref().map(OrganisationId::as_str)
        ],
    )?;
    record(connection, now, Audited::DeviceEnrolled, Some(&account.subject), Some(device.as_str()), name.as_str())?;
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
    by: Actor,
) -> rusqlite::Result<bool> {
    let changed = connection.execute(
        "UPDATE devices SET revoked_at = ?3 WHERE device = ?2 AND account = ?1 AND revoked_at IS NULL",
        params![account.as_str(), device.as_str(), integer(now.0)],
    )?;
    if changed == 0 {
        return Ok(false);
    }
    let subject = accounts::by_id(connection, account.as_str())?.map(|account| account.subject);
    record(connection, now, Audited::DeviceRevoked, subject.as_ref(), Some(device.as_str()), by.as_str())?;
    connection.execute("DELETE FROM sessions WHERE device = ?1", [device.as_str()])?;
    log::append(connection, now, Withdrawn::Device { device: device.clone() }, EndReason::Revoked)?;
    Ok(true)
}

pub(super) fn raise_epoch(
    connection: &Connection,
    now: Timestamp,
    device: &DeviceId,
    epoch: Epoch,
) -> rusqlite::Result<bool> {
    let epoch = integer(epoch.0);
    // It goes to a higher epoch, so whatever its organisation asked for until now is done.
    let sql = format!(
        "UPDATE devices SET epoch = ?2, organisation_generation = {GENERATION_NOW} WHERE device = ?1 AND epoch < ?2
         RETURNING (SELECT subject FROM accounts a WHERE a.account = devices.account)"
    );
    let owner = first(connection, &sql, params![device.as_str(), epoch], |row| text_at::<Subject>(row, 0))?;
    let Some(owner) = owner else { return Ok(false) };
    record(connection, now, Audited::EpochRaised, Some(&owner), Some(device.as_str()), &format!("epoch={epoch}"))?;
    connection.execute("DELETE FROM sessions WHERE device = ?1 AND epoch < ?2", params![device.as_str(), epoch])?;
    let withdrawn = Withdrawn::Epoch { device: device.clone(), below: Epoch(epoch.unsigned_abs()) };
    log::append(connection, now, withdrawn, EndReason::SignedOut)?;
    Ok(true)
}
