//! Between Redis' values, which are all text, and ours.

use std::collections::HashMap;
use std::str::FromStr;

use crate::crypto::PublicKey;
use crate::protocol::id::Epoch;
use crate::protocol::statement::UserVerification;
use crate::protocol::statement::jwk::Jwk;
use crate::protocol::time::Timestamp;
use crate::store::session::KeptSession;
use crate::store::{
    Account, AuditEntry, Avatar, DeviceRecord, DisplayName, Generation, Identity, LinkedIdentity, Note, NoteValue,
    NoteVersion, Profile, Session, SessionLookup, StoreError,
};

/// A hash as Redis gives it; empty where there is none.
pub(super) type Row = HashMap<String, String>;

/// A device, its account, and the generation of that one's organisation.
pub(super) type DeviceRow = (Row, Row, u64);

/// A session's key, the session, its device (empty where it has none), the account, and the generation of that one's
/// organisation.
pub(super) type SessionRow = (String, Row, Row, Row, u64);

/// Largest number that is written: Lua's are exact up to it. Nothing real comes near.
const NUMBER_MAX: u64 = (1 << 53) - 1;

pub(super) fn integer(value: u64) -> u64 {
    value.min(NUMBER_MAX)
}

/// What is stored and cannot be read back. A damaged store must not turn into a sound value.
#[derive(Debug, thiserror::Error)]
#[error("the store holds a bad {0}")]
struct Broken(&'static str);

fn text<'a>(row: &'a Row, field: &'static str) -> Result<&'a str, StoreError> {
    row.get(field).map(String::as_str).ok_or_else(|| StoreError::new(Broken(field)))
}

fn parsed<T: FromStr>(row: &Row, field: &'static str) -> Result<T, StoreError> {
    text(row, field)?.parse().map_err(|_| StoreError::new(Broken(field)))
}

fn number(row: &Row, field: &'static str) -> Result<u64, StoreError> {
    text(row, field)?.parse().map_err(|_| StoreError::new(Broken(field)))
}

fn time(row: &Row, field: &'static str) -> Result<Timestamp, StoreError> {
    number(row, field).map(Timestamp)
}

/// What is empty is not there.
fn present<'a>(row: &'a Row, field: &'static str) -> Result<Option<&'a str>, StoreError> {
    text(row, field).map(|text| Some(text).filter(|text| !text.is_empty()))
}

pub(super) fn account(row: &Row) -> Result<Option<Account>, StoreError> {
    if row.is_empty() {
        return Ok(None);
    }
    Ok(Some(Account {
        profile: Profile {
            account: parsed(row, "account")?,
            name: DisplayName::stored(text(row, "name")?.to_owned()),
            avatar: present(row, "avatar")?.map(|avatar| Avatar::stored(avatar.to_owned())),
        },
        subject: parsed(row, "subject")?,
        disabled: text(row, "disabled")? != "0",
        minimum_uv: match text(row, "minimum_uv")? {
            "0" => UserVerification::Page,
            "1" => UserVerification::Prompt,
            _ => UserVerification::Os,
        },
        organisation: present(row, "organisation")?.map(|_| parsed(row, "organisation")).transpose()?,
        generation: Generation(number(row, "generation")?),
    }))
}

fn owner(row: &Row) -> Result<Account, StoreError> {
    account(row)?.ok_or_else(|| StoreError::new(Broken("account")))
}

pub(super) const fn uv_rank(uv: UserVerification) -> u8 {
    match uv {
        UserVerification::Page => 0,
        UserVerification::Prompt => 1,
        UserVerification::Os => 2,
    }
}

pub(super) fn device((row, account, organisation): &DeviceRow) -> Result<DeviceRecord, StoreError> {
    let jwk: Jwk = serde_json::from_str(text(row, "jwk")?).map_err(StoreError::new)?;
    let (epoch, asked) = (number(row, "epoch")?, number(row, "asked_epoch")?);
    // The organisation was signed out since the device came to its epoch: that is not written to each device.
    let by_organisation = number(row, "organisation_generation")? < *organisation && epoch < NUMBER_MAX;
    let asked = if by_organisation { asked.max(epoch + 1) } else { asked };
    Ok(DeviceRecord {
        id: parsed(row, "device")?,
        key: PublicKey::enrolled(&jwk).map_err(StoreError::new)?,
        name: DisplayName::stored(text(row, "name")?.to_owned()),
        account: owner(account)?,
        epoch: Epoch(epoch),
        asked_epoch: Epoch(asked),
        enrolled_at: time(row, "enrolled_at")?,
        revoked_at: present(row, "revoked_at")?.map(|_| time(row, "revoked_at")).transpose()?,
    })
}

pub(super) fn session(found: &SessionRow, now: Timestamp) -> Result<SessionLookup, StoreError> {
    let (key, row, device, account, organisation) = found;
    let has_device = present(row, "device")?.is_some();
    let session = Session {
        key: key.parse().map_err(|_| StoreError::new(Broken("session")))?,
        account: owner(account)?,
        device: has_device.then(|| parsed(device, "device")).transpose()?,
        device_name: has_device.then(|| text(device, "name")).transpose()?.map(|name| DisplayName::stored(name.into())),
        epoch: Epoch(number(row, "epoch")?),
        generation: Generation(number(row, "generation")?),
        organisation_generation: Generation(number(row, "organisation_generation")?),
        browser: present(row, "browser")?.map(|browser| DisplayName::stored(browser.to_owned())),
        origin: parsed(row, "origin")?,
        method: text(row, "method")?.to_owned(),
        signed_in_at: time(row, "signed_in_at")?,
        expires_at: time(row, "expires_at")?,
        last_used: time(row, "last_used")?,
    };
    let kept = KeptSession {
        session,
        idle_seconds: number(row, "idle_seconds")?,
        device_epoch: if has_device { Epoch(number(device, "epoch")?) } else { Epoch(0) },
        device_revoked: has_device && present(device, "revoked_at")?.is_some(),
        organisation_generation: Generation(*organisation),
    };
    Ok(kept.judge(now))
}

pub(super) fn linked(row: &Row) -> Result<LinkedIdentity, StoreError> {
    let identity = Identity::new(parsed(row, "connector")?, text(row, "tenant")?, text(row, "id")?);
    Ok(LinkedIdentity {
        identity: identity.map_err(StoreError::new)?,
        account: parsed(row, "account")?,
        details: serde_json::from_str(text(row, "details")?).map_err(StoreError::new)?,
        linked_at: time(row, "linked_at")?,
    })
}

/// A note's value, version and end.
pub(super) fn note((value, version, until): (String, u64, u64)) -> Result<Note, StoreError> {
    let value = NoteValue::try_from(value).map_err(StoreError::new)?;
    Ok(Note { value, version: NoteVersion(version), until: Timestamp(until) })
}

/// An entry of the audit record, and the account of its subject unless that was erased.
pub(super) fn audit_entry((row, account): &(Row, Option<String>)) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        at: time(row, "at")?,
        what: text(row, "what")?.to_owned(),
        subject: present(row, "subject")?.map(str::to_owned),
        account: account.clone(),
        device: present(row, "device")?.map(str::to_owned),
        detail: text(row, "detail")?.to_owned(),
    })
}
