//! Identities in SQL.

use rusqlite::{Connection, Row, params};

use super::accounts::by_id;
use super::columns::{ACCOUNT, account_at, all, broken, first, integer, record, text_at, time_at};
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;
use crate::store::{
    Account, AccountId, Audited, Avatar, ConnectorName, Details, Identity, LinkRefusal, LinkedIdentity, Profile,
};

/// The columns that [`linked_at`] reads, from a table called `i`. Six.
const IDENTITY: &str = "i.connector, i.tenant, i.id, i.account, i.details, i.linked_at";

fn linked_at(row: &Row<'_>) -> rusqlite::Result<LinkedIdentity> {
    let (connector, tenant, id) =
        (text_at::<ConnectorName>(row, 0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?);
    Ok(LinkedIdentity {
        identity: Identity::new(connector, &tenant, &id).map_err(|error| broken(2, error))?,
        account: text_at(row, 3)?,
        details: serde_json::from_str(&row.get::<_, String>(4)?).map_err(|error| broken(4, error))?,
        linked_at: time_at(row, 5)?,
    })
}

pub(super) fn find(
    connection: &Connection,
    identity: &Identity,
) -> rusqlite::Result<Option<(Account, LinkedIdentity)>> {
    let sql = format!(
        "SELECT {IDENTITY}, {ACCOUNT} FROM identities i JOIN accounts a ON a.account = i.account
         WHERE i.connector = ?1 AND i.tenant = ?2 AND i.id = ?3"
    );
    let key = [identity.connector().as_str(), identity.tenant(), identity.id()];
    first(connection, &sql, key, |row| Ok((account_at(row, 6)?, linked_at(row)?)))
}

pub(super) fn of_account(connection: &Connection, account: &AccountId) -> rusqlite::Result<Vec<LinkedIdentity>> {
    let sql = format!(
        "SELECT {IDENTITY} FROM identities i WHERE i.account = ?1 ORDER BY i.linked_at, i.connector, i.tenant, i.id"
    );
    all(connection, &sql, [account.as_str()], linked_at)
}

pub(super) fn link(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    identity: &Identity,
    details: &Details,
) -> rusqlite::Result<Result<(), LinkRefusal>> {
    let Some(account) = by_id(connection, account.as_str())? else { return Ok(Err(LinkRefusal::NoAccount)) };
    if account.disabled {
        return Ok(Err(LinkRefusal::Disabled));
    }
    match find(connection, identity)? {
        Some((owner, _)) if owner.subject != account.subject => return Ok(Err(LinkRefusal::Taken)),
        Some(_) => refresh(connection, identity, details)?,
        None => insert(connection, now, &account, identity, details)?,
    }
    Ok(Ok(()))
}

pub(super) fn adopt(
    connection: &Connection,
    now: Timestamp,
    profile: &Profile,
    identity: &Identity,
    details: &Details,
) -> rusqlite::Result<Result<Account, LinkRefusal>> {
    let name = profile.account.as_str();
    if let Some((owner, _)) = find(connection, identity)? {
        return Ok(if owner.profile.account != profile.account {
            Err(LinkRefusal::Taken)
        } else if owner.disabled {
            Err(LinkRefusal::Disabled)
        } else {
            refresh(connection, identity, details)?;
            Ok(owner)
        });
    }
    let made = connection.execute(
        "INSERT INTO accounts (account, subject, name, avatar, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
         ON CONFLICT DO NOTHING",
        params![
            name,
            base64url::encode(crypto::random::<16>()),
            profile.name.as_str(),
            profile.avatar.as_ref().map(Avatar::as_str),
            integer(now.0)
        ],
    )?;
    if made == 0 {
        return Ok(Err(LinkRefusal::Taken));
    }
    let account = by_id(connection, name)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    insert(connection, now, &account, identity, details)?;
    Ok(Ok(account))
}

fn insert(
    connection: &Connection,
    now: Timestamp,
    account: &Account,
    identity: &Identity,
    details: &Details,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO identities (connector, tenant, id, account, details, linked_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    connection.execute(
        sql,
        params![
            identity.connector().as_str(),
            identity.tenant(),
            identity.id(),
            account.profile.account.as_str(),
            details.to_json(),
            integer(now.0)
        ],
    )?;
    record(connection, now, Audited::IdentityLinked, Some(&account.subject), None, &identity.detail())
}

fn refresh(connection: &Connection, identity: &Identity, details: &Details) -> rusqlite::Result<()> {
    let sql = "UPDATE identities SET details = ?4 WHERE connector = ?1 AND tenant = ?2 AND id = ?3";
    let values = [identity.connector().as_str(), identity.tenant(), identity.id(), &details.to_json()];
    connection.execute(sql, values).map(drop)
}

pub(super) fn unlink(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    identity: &Identity,
) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM identities WHERE connector = ?1 AND tenant = ?2 AND id = ?3 AND account = ?4";
    let values = [identity.connector().as_str(), identity.tenant(), identity.id(), account.as_str()];
    if connection.execute(sql, values)? == 0 {
        return Ok(false);
    }
    let subject = by_id(connection, account.as_str())?.map(|account| account.subject);
    record(connection, now, Audited::IdentityUnlinked, subject.as_ref(), None, &identity.detail())?;
    Ok(true)
}
