//! Sessions in SQL.

use rusqlite::{Connection, Row, params};

use super::columns::{
    ACCOUNT, account_at, all, epoch_at, first, generation_at, integer, optional_text_at, record, text_at, time_at,
};
use super::{accounts, devices, log};
use crate::protocol::id::{DeviceId, Subject};
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;
use crate::store::new_session::Grounds;
use crate::store::session::KeptSession;
use crate::store::{
    Account, AccountId, Audited, DisplayName, EndReason, NewSession, OpenRefusal, Session, SessionKey, SessionLookup,
    Withdrawn,
};

pub(super) fn open(
    connection: &Connection,
    now: Timestamp,
    session: &NewSession,
) -> rusqlite::Result<Result<Account, OpenRefusal>> {
    let account = match &session.grounds {
        Grounds::Device { device, epoch } => {
            let known = devices::by_id(connection, device)?.filter(|known| session.is_good_with(known));
            let Some(known) = known else { return Ok(Err(OpenRefusal::Withdrawn)) };
            devices::raise_epoch(connection, now, device, *epoch)?;
            known.account
        }
        Grounds::Account { subject, .. } => {
            let known = accounts::by_subject(connection, subject.as_str())?;
            let known = known.filter(|known| session.is_good_for(known));
            let Some(known) = known else { return Ok(Err(OpenRefusal::Withdrawn)) };
            known
        }
    };
    connection.execute("DELETE FROM sessions WHERE expires_at <= ?1", [integer(now.0)])?;
    if let Some(former) = session.replaces {
        let deleted = connection.prepare_cached("DELETE FROM sessions WHERE hash = ?1")?.execute([former.0])?;
        if deleted > 0 {
            log::append(connection, now, Withdrawn::Session { session: former }, EndReason::LoggedOut)?;
        }
    }
    let device = session.device().map(DeviceId::as_str);
    connection
        .prepare_cached(
            "INSERT INTO sessions
         (hash, account, device, epoch, origin, method, signed_in_at, expires_at, idle_seconds, last_used,
          generation, organisation_generation, browser)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?7, ?10,
          coalesce((SELECT generation FROM organisations WHERE organisation = ?11), 0), ?12)",
        )?
        .execute(params![
            session.key.0,
            account.profile.account.as_str(),
            device,
            integer(session.epoch().0),
            session.origin.as_str(),
            session.method,
            integer(now.0),
            integer(now.plus(session.lifetimes.absolute.as_secs()).0),
            integer(session.lifetimes.idle.as_secs()),
            integer(account.generation.0),
            account.organisation.as_ref().map(crate::store::OrganisationId::as_str),
            session.browser.as_ref().map(DisplayName::as_str),
        ])?;
    record(connection, now, Audited::SignedIn, Some(&account.subject), device, &session.detail())?;
    Ok(Ok(account))
}

/// What [`judge`] reads: 17 columns of the session, its device and its organisation, then the account's.
const SESSION: &str =
    "s.hash, s.device, d.name, s.epoch, s.origin, s.method, s.signed_in_at, s.expires_at, s.last_used,
    s.idle_seconds, coalesce(d.epoch, 0), s.device IS NOT NULL AND (d.device IS NULL OR d.revoked_at IS NOT NULL),
    s.generation, s.organisation_generation,
    coalesce(o.generation, 0), s.browser";
const JOINED: &str = "sessions s JOIN accounts a ON a.account = s.account LEFT JOIN devices d ON d.device = s.device
    LEFT JOIN organisations o ON o.organisation = a.organisation";

pub(super) fn find(connection: &Connection, now: Timestamp, key: SessionKey) -> rusqlite::Result<SessionFound> {
    let sql = format!("SELECT {SESSION}, {ACCOUNT} FROM {JOINED} WHERE s.hash = ?1");
    let found = first(connection, &sql, [key.0], |row| judge(row, now))?;
    Ok(found.unwrap_or(SessionFound { lookup: SessionLookup::Over(EndReason::Ended), last_used: now }))
}

pub(super) fn of_account(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
) -> rusqlite::Result<Vec<Session>> {
    let sql =
        format!("SELECT {SESSION}, {ACCOUNT} FROM {JOINED} WHERE s.account = ?1 ORDER BY s.signed_in_at DESC, s.hash");
    let found = all(connection, &sql, [account.as_str()], |row| judge(row, now))?;
    Ok(found.into_iter().filter_map(|found| found.lookup.open()).collect())
}

/// A session as it was looked up, and when its last use was noted.
pub(super) struct SessionFound {
    pub(super) lookup: SessionLookup,
    pub(super) last_used: Timestamp,
}

fn judge(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<SessionFound> {
    let last_used = time_at(row, 8)?;
    let session = Session {
        key: SessionKey(row.get(0)?),
        device: optional_text_at::<DeviceId>(row, 1)?,
        device_name: row.get::<_, Option<String>>(2)?.map(DisplayName::stored),
        epoch: epoch_at(row, 3)?,
        origin: text_at::<Origin>(row, 4)?,
        method: row.get(5)?,
        signed_in_at: time_at(row, 6)?,
        expires_at: time_at(row, 7)?,
        last_used,
        generation: generation_at(row, 12)?,
        organisation_generation: generation_at(row, 13)?,
        browser: row.get::<_, Option<String>>(15)?.map(DisplayName::stored),
        account: account_at(row, 16)?,
    };
    let kept = KeptSession {
        session,
        idle_seconds: time_at(row, 9)?.0,
        device_epoch: epoch_at(row, 10)?,
        device_revoked: row.get(11)?,
        organisation_generation: generation_at(row, 14)?,
    };
    Ok(SessionFound { lookup: kept.judge(now), last_used })
}

pub(super) fn note_use(connection: &Connection, now: Timestamp, key: SessionKey) -> rusqlite::Result<()> {
    let sql = "UPDATE sessions SET last_used = max(last_used, ?2) WHERE hash = ?1";
    connection.prepare_cached(sql)?.execute(params![key.0, integer(now.0)]).map(drop)
}

pub(super) fn log_out(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
    key: SessionKey,
) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM sessions WHERE hash = ?1 AND account = ?2
               RETURNING device, (SELECT subject FROM accounts a WHERE a.account = sessions.account)";
    let owner = first(connection, sql, params![key.0, account.as_str()], |row| {
        Ok((row.get::<_, Option<String>>(0)?, text_at::<Subject>(row, 1)?))
    })?;
    let Some((device, subject)) = owner else { return Ok(false) };
    record(connection, now, Audited::LoggedOut, Some(&subject), device.as_deref(), "")?;
    log::append(connection, now, Withdrawn::Session { session: key }, EndReason::LoggedOut)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    /// Sessions are ended with what ends them. Should one be left over, say by a replica that did not hear of it, the
    /// look-up itself must refuse it.
    #[test]
    fn a_session_that_nobody_deleted_is_refused_on_use() {
        let mut connection = Connection::open_in_memory().expect("database");
        super::super::schema::migrate(&mut connection).expect("tables");
        let key = SessionKey([7; 32]);
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        connection
            .execute_batch(&format!(
                "INSERT INTO organisations VALUES ('acme', 5);
                 INSERT INTO accounts VALUES ('ada', 'subject', 'Ada', NULL, 0, 0, 0, 0, 'acme', 7);
                 INSERT INTO devices VALUES ('device', zeroblob(32), '{jwk}', 'ada', 'laptop', 3, 0, NULL, 0, 0);
                 INSERT INTO sessions VALUES (x'{}', 'ada', 'device', 3, 'https://a.example', 'agent', 900, 5000, 600, 900, 7, 5, NULL)",
                "07".repeat(32)
            ))
            .expect("rows");
        for (change, over) in [
            ("UPDATE accounts SET disabled = 0", None),
            ("UPDATE organisations SET generation = 6", Some(EndReason::LoggedOutEverywhere)),
            ("UPDATE organisations SET generation = 4", None),
            ("UPDATE accounts SET generation = 8", Some(EndReason::LoggedOutEverywhere)),
            ("UPDATE accounts SET disabled = 1", Some(EndReason::Disabled)),
            ("UPDATE devices SET epoch = 4", Some(EndReason::SignedOut)),
            ("UPDATE devices SET revoked_at = 950", Some(EndReason::Revoked)),
        ] {
            connection.execute(change, []).expect("changed");
            match find(&connection, NOW, key).expect("read").lookup {
                SessionLookup::Open(session) => assert_eq!((over, session.key), (None, key), "{change}"),
                SessionLookup::Over(reason) => assert_eq!(Some(reason), over, "{change}"),
            }
        }
    }
}
