//! Accounts, tickets and organisations in SQL.

use super::columns::{ACCOUNT, ASKED_EPOCH, account_at, integer, number_at, text_at, uv_rank};
use super::connection::Connection;
use super::pool::Transaction;
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::Subject;
use crate::store::{
    Account, AccountChange, AccountId, Audited, Avatar, EndReason, Generation, OrganisationId, Profile, SessionKey,
    StoreError, TICKET_LIFE_SECONDS, TicketHash, Ticketed, Withdrawn,
};

pub(super) async fn by_id(connection: &Connection, account: &str) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts a WHERE a.account = $1");
    connection.first(&sql, &[&account]).await?.map(|row| account_at(&row, 0)).transpose()
}

pub(super) async fn by_subject(connection: &Connection, subject: &Subject) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts a WHERE a.subject = $1");
    connection.first(&sql, &[&subject.as_str()]).await?.map(|row| account_at(&row, 0)).transpose()
}

pub(super) async fn page(
    connection: &Connection,
    after: Option<&AccountId>,
    limit: u32,
) -> Result<Vec<Account>, StoreError> {
    let sql = format!(
        "SELECT {ACCOUNT} FROM accounts a WHERE $1::text IS NULL OR a.account > $1 ORDER BY a.account LIMIT $2"
    );
    let rows = connection.all(&sql, &[&after.map(AccountId::as_str), &i64::from(limit)]).await?;
    rows.iter().map(|row| account_at(row, 0)).collect()
}

/// An account that nobody else changes until the commit. Others can still refer to it.
pub(super) async fn held(tx: &Transaction<'_>, account: &AccountId) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts a WHERE a.account = $1 FOR NO KEY UPDATE");
    tx.first(&sql, &[&account.as_str()]).await?.map(|row| account_at(&row, 0)).transpose()
}

/// An account that nobody changes until the commit, whoever else may look at it so.
pub(super) async fn as_it_stays(tx: &Transaction<'_>, subject: &Subject) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {ACCOUNT} FROM accounts a WHERE a.subject = $1 FOR SHARE");
    tx.first(&sql, &[&subject.as_str()]).await?.map(|row| account_at(&row, 0)).transpose()
}

pub(super) async fn issue_ticket(
    tx: &mut Transaction<'_>,
    ticket: TicketHash,
    profile: &Profile,
) -> Result<Option<Ticketed>, StoreError> {
    let account = profile.account.as_str();
    let sql =
        "INSERT INTO accounts (account, subject, name, avatar, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
               ON CONFLICT (account) DO UPDATE SET name = $3, avatar = $4, updated_at = $5 WHERE NOT accounts.disabled
               RETURNING subject";
    let subject = base64url::encode(crypto::random::<16>());
    let avatar = profile.avatar.as_ref().map(Avatar::as_str);
    let row = tx.first(sql, &[&account, &subject, &profile.name.as_str(), &avatar, &integer(tx.now.0)]).await?;
    let Some(row) = row else { return Ok(None) };
    let subject: Subject = text_at(&row, 0)?;
    let expires_at = tx.now.plus(TICKET_LIFE_SECONDS);
    let sql = "INSERT INTO tickets (hash, account, expires_at) VALUES ($1, $2, $3)";
    tx.execute(sql, &[&ticket.0.as_slice(), &account, &integer(expires_at.0)]).await?;
    tx.record(Audited::TicketIssued, Some(&subject), None, "").await?;
    Ok(Some(Ticketed { subject, expires_at }))
}

/// Consumes a ticket; whose it was, if it was any good.
///
/// The account does not move until the commit: a new device is written down with its organisation's generation.
pub(super) async fn consume_ticket(tx: &Transaction<'_>, ticket: TicketHash) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT FROM accounts a JOIN tickets t USING (account) WHERE t.hash = $1 FOR SHARE OF a";
    tx.all(sql, &[&ticket.0.as_slice()]).await?;
    let sql = "DELETE FROM tickets WHERE hash = $1 RETURNING account, expires_at";
    let Some(row) = tx.first(sql, &[&ticket.0.as_slice()]).await? else { return Ok(None) };
    if tx.now.0 < number_at(&row, 1)? { by_id(tx, row.try_get(0)?).await } else { Ok(None) }
}

pub(super) async fn change(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    change: &AccountChange,
) -> Result<Option<Account>, StoreError> {
    if let Some(Some(organisation)) = &change.organisation {
        let sql = "INSERT INTO organisations (organisation) VALUES ($1) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[&organisation.as_str()]).await?;
    }
    let Some(before) = held(tx, account).await? else { return Ok(None) };
    let profile = &before.profile;
    let name = change.name.as_ref().unwrap_or(&profile.name);
    let avatar = change.avatar.as_ref().unwrap_or(&profile.avatar).as_ref();
    let organisation = change.organisation.as_ref().unwrap_or(&before.organisation).as_ref();
    let disabled = change.disabled.unwrap_or(before.disabled);
    let moved = organisation != before.organisation.as_ref();
    if moved {
        leave(tx, account.as_str(), organisation).await?;
    }
    let sql =
        "UPDATE accounts SET name = $2, avatar = $3, organisation = $4, disabled = $5, minimum_uv = $6, updated_at = $7
               WHERE account = $1";
    tx.execute(
        sql,
        &[
            &account.as_str(),
            &name.as_str(),
            &avatar.map(Avatar::as_str),
            &organisation.map(OrganisationId::as_str),
            &disabled,
            &uv_rank(change.minimum_uv.unwrap_or(before.minimum_uv)),
            &integer(tx.now.0),
        ],
    )
    .await?;
    tx.record(Audited::AccountChanged, Some(&before.subject), None, &change.detail()).await?;
    if disabled && !before.disabled {
        ask(tx, account.as_str()).await?;
        withdraw(tx, &before, EndReason::Disabled).await?;
    } else if moved {
        withdraw(tx, &before, EndReason::Ended).await?;
    }
    by_id(tx, account.as_str()).await
}

/// Ends all of a held account's sessions: one entry of the log, however many there are.
async fn withdraw(tx: &mut Transaction<'_>, account: &Account, reason: EndReason) -> Result<(), StoreError> {
    let name = account.profile.account.as_str();
    let sql = "UPDATE accounts SET generation = generation + 1 WHERE account = $1 RETURNING generation";
    let below = Generation(number_at(&tx.one(sql, &[&name]).await?, 0)?);
    let sql = "DELETE FROM sessions WHERE hash IN
               (SELECT hash FROM sessions WHERE account = $1 ORDER BY hash FOR UPDATE)";
    tx.execute(sql, &[&name]).await?;
    tx.withdraw(Withdrawn::Account { subject: account.subject.clone(), below }, reason);
    Ok(())
}

/// Asks a held account's devices to sign out.
async fn ask(tx: &Transaction<'_>, account: &str) -> Result<(), StoreError> {
    let sql = "UPDATE devices SET asked_epoch = epoch + 1
               WHERE account = $1 AND revoked_at IS NULL AND epoch < 9223372036854775807";
    tx.execute(sql, &[&account]).await.map(drop)
}

/// Before a held account moves: what its former organisation asked of its devices stays asked, and the generations of the
/// new one are another count.
async fn leave(tx: &Transaction<'_>, account: &str, to: Option<&OrganisationId>) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE devices d SET asked_epoch = {ASKED_EPOCH}, organisation_generation =
             coalesce((SELECT generation FROM organisations WHERE organisation = $2), 0)
         FROM accounts a WHERE a.account = d.account AND d.account = $1"
    );
    tx.execute(&sql, &[&account, &to.map(OrganisationId::as_str)]).await.map(drop)
}

pub(super) async fn sign_out(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    from: Option<SessionKey>,
) -> Result<bool, StoreError> {
    let Some(account) = held(tx, account).await? else { return Ok(false) };
    ask(tx, account.profile.account.as_str()).await?;
    let what = if from.is_some() { Audited::LoggedOutEverywhere } else { Audited::AccountSignedOut };
    tx.record(what, Some(&account.subject), None, "").await?;
    if let Some(session) = from {
        tx.withdraw(Withdrawn::Session { session }, EndReason::LoggedOut);
    }
    withdraw(tx, &account, EndReason::LoggedOutEverywhere).await?;
    Ok(true)
}

pub(super) async fn sign_out_organisation(
    tx: &mut Transaction<'_>,
    organisation: &OrganisationId,
) -> Result<bool, StoreError> {
    let name = organisation.as_str();
    let sql = "UPDATE organisations SET generation = generation + 1 WHERE organisation = $1 RETURNING generation";
    let Some(row) = tx.first(sql, &[&name]).await? else { return Ok(false) };
    let below = Generation(number_at(&row, 0)?);
    tx.record(Audited::OrganisationSignedOut, None, None, &format!("organisation={name}")).await?;
    let withdrawn = Withdrawn::Organisation { organisation: organisation.clone(), below };
    tx.withdraw(withdrawn, EndReason::LoggedOutEverywhere);
    Ok(true)
}

pub(super) async fn erase(tx: &mut Transaction<'_>, account: &AccountId) -> Result<bool, StoreError> {
    let Some(account) = held(tx, account).await? else { return Ok(false) };
    let name = account.profile.account.as_str();
    tx.execute("DELETE FROM tickets WHERE account = $1", &[&name]).await?;
    let sql = "SELECT FROM devices WHERE account = $1 ORDER BY device FOR UPDATE";
    tx.all(sql, &[&name]).await?;
    withdraw(tx, &account, EndReason::Erased).await?;
    // Devices and identities go with it, and what came meanwhile.
    tx.execute("DELETE FROM accounts WHERE account = $1", &[&name]).await?;
    tx.record(Audited::AccountErased, Some(&account.subject), None, "").await?;
    Ok(true)
}
