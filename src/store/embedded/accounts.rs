//! Accounts and tickets in SQL.

use rusqlite::{Connection, params};

use super::columns::{ACCOUNT, ASKED_EPOCH, account_at, all, first, generation_at, integer, record, text_at, uv_rank};
use super::log;
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::Subject;
use crate::protocol::time::Timestamp;
use crate::store::{
    Account, AccountChange, AccountId, Audited, Avatar, EndReason, OrganisationId, Profile, SessionKey,
    TICKET_LIFE_SECONDS, TicketHash, Ticketed, Withdrawn,
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
            profile.avatar.as_ref().map(Avatar::as_str),
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
    record(connection, now, Audited::TicketIssued, Some(&subject), None, "")?;
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

pub(super) fn page(connection: &Connection, after: Option<&str>, limit: u32) -> rusqlite::Result<Vec<Account>> {
    let sql =
        format!("SELECT {ACCOUNT} FROM accounts a WHERE ?1 IS NULL OR a.account > ?1 ORDER BY a.account LIMIT ?2");
    all(connection, &sql, params![after, limit], |row| account_at(row, 0))
}

pub(super) fn change(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    change: &AccountChange,
) -> rusqlite::Result<Option<Account>> {
    let Some(before) = by_id(connection, account.as_str())? else { return Ok(None) };
    let profile = &before.profile;
    let name = change.name.as_ref().unwrap_or(&profile.name);
    let avatar = change.avatar.as_ref().unwrap_or(&profile.avatar).as_ref();
    let organisation = change.organisation.as_ref().unwrap_or(&before.organisation).as_ref();
    if let Some(organisation) = organisation {
        let sql = "INSERT INTO organisations (organisation) VALUES (?1) ON CONFLICT DO NOTHING";
        connection.execute(sql, [organisation.as_str()])?;
    }
    let uv = uv_rank(change.minimum_uv.unwrap_or(before.minimum_uv));
    let disabled = change.disabled.unwrap_or(before.disabled);
    let moved = organisation != before.organisation.as_ref();
    if moved {
        leave(connection, account.as_str(), organisation)?;
    }
    connection.execute(
        "UPDATE accounts SET name = ?2, avatar = ?3, organisation = ?4, disabled = ?5, minimum_uv = ?6, updated_at = ?7
         WHERE account = ?1",
        params![
            account.as_str(),
            name.as_str(),
            avatar.map(Avatar::as_str),
            organisation.map(OrganisationId::as_str),
            disabled,
            uv,
            integer(now.0)
        ],
    )?;
    record(connection, now, Audited::AccountChanged, Some(&before.subject), None, &change.detail())?;
    if disabled && !before.disabled {
        ask(connection, account)?;
        withdraw(connection, now, &before, EndReason::Disabled)?;
    } else if moved {
        withdraw(connection, now, &before, EndReason::Ended)?;
    }
    by_id(connection, account.as_str())
}

/// Before an account moves: what its former organisation asked of its devices stays asked, and the generations of the new
/// one are another count.
fn leave(connection: &Connection, account: &str, to: Option<&OrganisationId>) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE devices AS d SET asked_epoch = {ASKED_EPOCH}, organisation_generation =
             coalesce((SELECT generation FROM organisations WHERE organisation = ?2), 0)
         FROM accounts a WHERE a.account = d.account AND d.account = ?1"
    );
    connection.execute(&sql, params![account, to.map(OrganisationId::as_str)]).map(drop)
}

/// Ends all of an account's sessions: one entry of the log, however many there are.
fn withdraw(connection: &Connection, now: Timestamp, account: &Account, reason: EndReason) -> rusqlite::Result<()> {
    let name = account.profile.account.as_str();
    let sql = "UPDATE accounts SET generation = generation + 1 WHERE account = ?1 RETURNING generation";
    let below = connection.prepare_cached(sql)?.query_row([name], |row| generation_at(row, 0))?;
    connection.execute("DELETE FROM sessions WHERE account = ?1", [name])?;
    log::append(connection, now, Withdrawn::Account { subject: account.subject.clone(), below }, reason)
}

/// Asks an account's devices to sign out.
fn ask(connection: &Connection, account: &AccountId) -> rusqlite::Result<()> {
    let sql = "UPDATE devices SET asked_epoch = epoch + 1
               WHERE account = ?1 AND revoked_at IS NULL AND epoch < 9223372036854775807";
    connection.execute(sql, [account.as_str()]).map(drop)
}

pub(super) fn sign_out(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    from: Option<SessionKey>,
) -> rusqlite::Result<bool> {
    let Some(account) = by_id(connection, account.as_str())? else { return Ok(false) };
    ask(connection, &account.profile.account)?;
    let what = if from.is_some() { Audited::LoggedOutEverywhere } else { Audited::AccountSignedOut };
    record(connection, now, what, Some(&account.subject), None, "")?;
    if let Some(session) = from {
        log::append(connection, now, Withdrawn::Session { session }, EndReason::LoggedOut)?;
    }
    withdraw(connection, now, &account, EndReason::LoggedOutEverywhere)?;
    Ok(true)
}

pub(super) fn sign_out_organisation(
    connection: &Connection,
    now: Timestamp,
    organisation: &OrganisationId,
) -> rusqlite::Result<bool> {
    let sql = "UPDATE organisations SET generation = generation + 1 WHERE organisation = ?1 RETURNING generation";
    let below = first(connection, sql, [organisation.as_str()], |row| generation_at(row, 0))?;
    let Some(below) = below else { return Ok(false) };
    let detail = format!("organisation={}", organisation.as_str());
    record(connection, now, Audited::OrganisationSignedOut, None, None, &detail)?;
    let withdrawn = Withdrawn::Organisation { organisation: organisation.clone(), below };
    log::append(connection, now, withdrawn, EndReason::LoggedOutEverywhere)?;
    Ok(true)
}

pub(super) fn erase(connection: &Connection, now: Timestamp, account: &AccountId) -> rusqlite::Result<bool> {
    let Some(account) = by_id(connection, account.as_str())? else { return Ok(false) };
    withdraw(connection, now, &account, EndReason::Erased)?;
    // Devices, identities and tickets go with it.
    connection.execute("DELETE FROM accounts WHERE account = ?1", [account.profile.account.as_str()])?;
    record(connection, now, Audited::AccountErased, Some(&account.subject), None, "")?;
    Ok(true)
}
