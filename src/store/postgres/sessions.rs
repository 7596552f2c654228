//! Sessions in SQL.

use super::columns::{ACCOUNT, SESSION, SESSIONS, integer, session_at, text_at};
use super::connection::Connection;
use super::pool::Transaction;
use super::{accounts, devices};
use crate::protocol::id::{DeviceId, Subject};
use crate::protocol::time::Timestamp;
use crate::store::new_session::Grounds;
use crate::store::{
    Account, AccountId, Audited, DisplayName, EndReason, NewSession, OpenRefusal, OrganisationId, Session, SessionKey,
    SessionLookup, StoreError, Withdrawn,
};

pub(super) async fn open(
    tx: &mut Transaction<'_>,
    session: &NewSession,
) -> Result<Result<Account, OpenRefusal>, StoreError> {
    let account = match &session.grounds {
        Grounds::Device { device, epoch } => {
            let known = devices::held(tx, device).await?.filter(|known| session.is_good_with(known));
            let Some(known) = known else { return Ok(Err(OpenRefusal::Withdrawn)) };
            devices::raise_epoch(tx, device, *epoch).await?;
            known.account
        }
        Grounds::Account { subject, .. } => {
            let known = accounts::as_it_stays(tx, subject).await?.filter(|known| session.is_good_for(known));
            let Some(known) = known else { return Ok(Err(OpenRefusal::Withdrawn)) };
            known
        }
    };
    if let Some(former) = session.replaces
        && tx.execute("DELETE FROM sessions WHERE hash = $1", &[&former.0.as_slice()]).await? > 0
    {
        tx.withdraw(Withdrawn::Session { session: former }, EndReason::LoggedOut);
    }
    let device = session.device().map(DeviceId::as_str);
    let sql = "INSERT INTO sessions
               (hash, account, device, epoch, origin, method, signed_in_at, expires_at, idle_seconds, last_used,
                generation, organisation_generation, browser)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7, $10,
                coalesce((SELECT generation FROM organisations WHERE organisation = $11), 0), $12)";
    tx.execute(
        sql,
        &[
            &session.key.0.as_slice(),
            &account.profile.account.as_str(),
            &device,
            &integer(session.epoch().0),
            &session.origin.as_str(),
            &session.method,
            &integer(tx.now.0),
            &integer(tx.now.plus(session.lifetimes.absolute.as_secs()).0),
            &integer(session.lifetimes.idle.as_secs()),
            &integer(account.generation.0),
            &account.organisation.as_ref().map(OrganisationId::as_str),
            &session.browser.as_ref().map(DisplayName::as_str),
        ],
    )
    .await?;
    tx.record(Audited::SignedIn, Some(&account.subject), device, &session.detail()).await?;
    Ok(Ok(account))
}

/// A session as it was looked up, and when its last use was noted.
pub(super) struct SessionFound {
    pub(super) lookup: SessionLookup,
    pub(super) last_used: Timestamp,
}

pub(super) async fn find(connection: &Connection, now: Timestamp, key: SessionKey) -> Result<SessionFound, StoreError> {
    let sql = format!("SELECT {SESSION}, {ACCOUNT} FROM {SESSIONS} WHERE s.hash = $1");
    let Some(row) = connection.first(&sql, &[&key.0.as_slice()]).await? else {
        return Ok(SessionFound { lookup: SessionLookup::Over(EndReason::Ended), last_used: now });
    };
    let kept = session_at(&row)?;
    Ok(SessionFound { last_used: kept.session.last_used, lookup: kept.judge(now) })
}

pub(super) async fn of_account(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
) -> Result<Vec<Session>, StoreError> {
    let sql = format!(
        "SELECT {SESSION}, {ACCOUNT} FROM {SESSIONS} WHERE s.account = $1 ORDER BY s.signed_in_at DESC, s.hash"
    );
    let rows = connection.all(&sql, &[&account.as_str()]).await?;
    let looked = rows.iter().map(|row| Ok(session_at(row)?.judge(now).open()));
    looked.filter_map(Result::transpose).collect()
}

pub(super) async fn note_use(connection: &Connection, now: Timestamp, key: SessionKey) -> Result<(), StoreError> {
    // Of that commit alone nobody waits for the disk or a standby; and where somebody holds the session, it is left to the
    // next use.
    let sql = "WITH hasty AS (SELECT set_config('synchronous_commit', 'off', true)),
                    free AS (SELECT hash FROM sessions WHERE hash = $1 FOR NO KEY UPDATE SKIP LOCKED)
               UPDATE sessions s SET last_used = greatest(last_used, $2) FROM hasty, free WHERE s.hash = free.hash";
    connection.execute(sql, &[&key.0.as_slice(), &integer(now.0)]).await.map(drop)
}

pub(super) async fn log_out(
    tx: &mut Transaction<'_>,
    account: &AccountId,
    key: SessionKey,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM sessions WHERE hash = $1 AND account = $2
               RETURNING device, (SELECT subject FROM accounts a WHERE a.account = sessions.account)";
    let Some(row) = tx.first(sql, &[&key.0.as_slice(), &account.as_str()]).await? else { return Ok(false) };
    let subject: Subject = text_at(&row, 1)?;
    tx.record(Audited::LoggedOut, Some(&subject), row.try_get(0)?, "").await?;
    tx.withdraw(Withdrawn::Session { session: key }, EndReason::LoggedOut);
    Ok(true)
}
