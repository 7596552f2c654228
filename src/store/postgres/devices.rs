//! Devices in SQL.

use super::accounts;
use super::columns::{ACCOUNT, DEVICE, GENERATION_NOW, device_at, integer, text_at};
use super::connection::{Connection, Params};
use super::pool::Transaction;
use crate::crypto::{self, KeyId, PublicKey};
use crate::protocol::base64url;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::store::{
    AccountId, Actor, Audited, DeviceRecord, DisplayName, EndReason, EnrolRefusal, Enrolled, OrganisationId,
    StoreError, TicketHash, Withdrawn,
};

pub(super) async fn enrol(
    tx: &mut Transaction<'_>,
    ticket: TicketHash,
    key: &PublicKey,
    name: &DisplayName,
) -> Result<Result<Enrolled, EnrolRefusal>, StoreError> {
    // A refusal is an outcome, not an error: the ticket stays consumed.
    let Some(account) = accounts::consume_ticket(tx, ticket).await? else { return Ok(Err(EnrolRefusal::Ticket)) };
    if account.disabled {
        return Ok(Err(EnrolRefusal::Disabled));
    }
    let device: DeviceId = base64url::encode(crypto::random::<16>()).parse().expect("base64url is a valid device id");
    let jwk = serde_json::to_string(&key.to_jwk()).map_err(StoreError::new)?;
    let (id, key, owner) = (key.id(), device.as_str(), account.profile.account.as_str());
    let sql = "INSERT INTO devices (device, key_id, jwk, account, name, enrolled_at, organisation_generation)
               VALUES ($1, $2, $3, $4, $5, $6,
                coalesce((SELECT generation FROM organisations WHERE organisation = $7), 0))
               ON CONFLICT (key_id) DO NOTHING";
    let (at, organisation) = (integer(tx.now.0), account.organisation.as_ref().map(OrganisationId::as_str));
    let values: Params<'_> = &[&key, &id.as_bytes().as_slice(), &jwk, &owner, &name.as_str(), &at, &organisation];
    if tx.execute(sql, values).await? == 0 {
        return Ok(Err(EnrolRefusal::DuplicateKey));
    }
    tx.record(Audited::DeviceEnrolled, Some(&account.subject), Some(device.as_str()), name.as_str()).await?;
    Ok(Ok(Enrolled { device, epoch: Epoch::default(), account }))
}

pub(super) async fn by_key(connection: &Connection, key: KeyId) -> Result<Option<DeviceRecord>, StoreError> {
    let sql = format!("SELECT {DEVICE}, {ACCOUNT} FROM devices d JOIN accounts a USING (account) WHERE d.key_id = $1");
    connection.first(&sql, &[&key.as_bytes().as_slice()]).await?.map(|row| device_at(&row)).transpose()
}

/// A device that nobody else changes until the commit.
pub(super) async fn held(tx: &Transaction<'_>, device: &DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
    let sql = format!(
        "SELECT {DEVICE}, {ACCOUNT} FROM devices d JOIN accounts a USING (account) WHERE d.device = $1
         FOR NO KEY UPDATE OF d"
    );
    tx.first(&sql, &[&device.as_str()]).await?.map(|row| device_at(&row)).transpose()
}

pub(super) async fn of_account(connection: &Connection, account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError> {
    let sql = format!(
        "SELECT {DEVICE}, {ACCOUNT} FROM devices d JOIN accounts a USING (account)
         WHERE d.account = $1 AND d.revoked_at IS NULL ORDER BY d.enrolled_at, d.number"
    );
    connection.all(&sql, &[&account.as_str()]).await?.iter().map(device_at).collect()
}

/// Deletes a device's sessions below an epoch. The device is held, so that no new ones come.
async fn end_sessions(tx: &Transaction<'_>, device: &DeviceId, below: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM sessions WHERE hash IN
               (SELECT hash FROM sessions WHERE device = $1 AND epoch < $2 ORDER BY hash FOR UPDATE)";
    tx.execute(sql, &[&device.as_str(), &below]).await.map(drop)
}

pub(super) async fn revoke(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    device: &DeviceId,
    by: Actor,
) -> Result<bool, StoreError> {
    let sql = "UPDATE devices SET revoked_at = $3 WHERE device = $2 AND account = $1 AND revoked_at IS NULL
               RETURNING (SELECT subject FROM accounts a WHERE a.account = devices.account)";
    let row = tx.first(sql, &[&account.as_str(), &device.as_str(), &integer(tx.now.0)]).await?;
    let Some(row) = row else { return Ok(false) };
    let subject: Subject = text_at(&row, 0)?;
    tx.record(Audited::DeviceRevoked, Some(&subject), Some(device.as_str()), by.as_str()).await?;
    end_sessions(tx, device, i64::MAX).await?;
    tx.withdraw(Withdrawn::Device { device: device.clone() }, EndReason::Revoked);
    Ok(true)
}

pub(super) async fn raise_epoch(tx: &mut Transaction<'_>, device: &DeviceId, epoch: Epoch) -> Result<bool, StoreError> {
    let epoch = integer(epoch.0);
    // Held first: whoever moves its account has done so, or waits, and the statement after this one sees which.
    tx.all("SELECT FROM devices WHERE device = $1 FOR NO KEY UPDATE", &[&device.as_str()]).await?;
    // It goes to a higher epoch, so whatever its organisation asked for until now is done.
    let sql = format!(
        "UPDATE devices SET epoch = $2, organisation_generation = {GENERATION_NOW} WHERE device = $1 AND epoch < $2
         RETURNING (SELECT subject FROM accounts a WHERE a.account = devices.account)"
    );
    let Some(row) = tx.first(&sql, &[&device.as_str(), &epoch]).await? else { return Ok(false) };
    let owner: Subject = text_at(&row, 0)?;
    tx.record(Audited::EpochRaised, Some(&owner), Some(device.as_str()), &format!("epoch={epoch}")).await?;
    end_sessions(tx, device, epoch).await?;
    let withdrawn = Withdrawn::Epoch { device: device.clone(), below: Epoch(epoch.unsigned_abs()) };
    tx.withdraw(withdrawn, EndReason::SignedOut);
    Ok(true)
}
