//! Accounts and tickets in SQL.

use rusqlite::{Connection, params};

use super::columns::{ACCOUNT, account_at, first, integer, record, text_at, uv_rank};
use super::sessions;
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::Subject;
use crate::protocol::time::Timestamp;
use crate::store::{
    Account, AccountChange, AccountId, Audited, EndReason, EndedSession, Profile, TICKET_LIFE_SECONDS, TicketHash,
    Ticketed,
};

pub(super) fn by_id(connection: &Connection, account: &str) -> rusqlite::Result<Option<Account>> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts a WHERE a.account = ?1");
    first(connection, &sql, [account], |row| account_at(row, 0))
}

pub(super) fn by_subject(connection: &Connection, subject: &str) -> rusqlite::Result<Option<Account>> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts a WHERE a.subject = ?1");
    first(connection, &sql, [subject], |row| account_at(row, 0))
}

pub(super) fn issue_ticket(
    connection: &Connection,
    now: Timestamp,
    ticket: TicketHash,
    profile: &Profile,
) -> rusqlite::Result<Option<Ticketed>> {
    let account = profile.account.as_str();
    if by_id(connection, account)?.is_some_and(|account| account.disabled) {
        return Ok(None);
    }
    let subject: Subject = first(
        connection,
        "INSERT INTO accounts (account, subject, name, avatar, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
         ON CONFLICT (account) DO UPDATE SET name = ?3, avatar = ?4, updated_at = ?5 RETURNING subject",
        params![
            account,
            base64url::encode(crypto::random::<16>()),
            profile.name.as_str(),
            profile.avatar.as_ref().map(super::super::Avatar::as_str),
            integer(now.0),
        ],
        |row| text_at(row, 0),
    )?
    .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    connection.execute("DELETE FROM tickets WHERE expires_at <= ?1", [integer(now.0)])?;
    let expires_at = now.plus(TICKET_LIFE_SECONDS);
    connection.execute(
        "INSERT INTO tickets (hash, account, expires_at) VALUES (?1, ?2, ?3)",
        params![ticket.0, account, integer(expires_at.0)],
    )?;
    record(connection, now, Audited::TicketIssued, Some(account), None, "")?;
    Ok(Some(Ticketed { subject, expires_at }))
}

/// Consumes a ticket; whose it was, if it was any good.
pub(super) fn consume_ticket(
    connection: &Connection,
    now: Timestamp,
    ticket: TicketHash,
) -> rusqlite::Result<Option<Account>> {
    let consumed =
        first(connection, "DELETE FROM tickets WHERE hash = ?1 RETURNING account, expires_at", [ticket.0], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
    match consumed {
        Some((account, expires_at)) if integer(now.0) < expires_at => by_id(connection, &account),
        _ => Ok(None),
    }
}

pub(super) fn change(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    change: AccountChange,
) -> rusqlite::Result<Option<Vec<EndedSession>>> {
    let changed = connection.execute(
        "UPDATE accounts SET disabled = coalesce(?2, disabled), minimum_uv = coalesce(?3, minimum_uv), updated_at = ?4
         WHERE account = ?1",
        params![account.as_str(), change.disabled, change.minimum_uv.map(uv_rank), integer(now.0)],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    let detail = format!("disabled={:?} minimum_uv={:?}", change.disabled, change.minimum_uv);
    record(connection, now, Audited::AccountChanged, Some(account.as_str()), None, &detail)?;
    if change.disabled == Some(true) {
        return sessions::end_all_of(connection, account.as_str(), EndReason::Ended).map(Some);
    }
    Ok(Some(Vec::new()))
}
