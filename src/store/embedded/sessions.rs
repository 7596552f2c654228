//! Sessions in SQL.

use rusqlite::{Connection, Row, params};

use super::columns::{ACCOUNT, account_at, all, epoch_at, first, integer, record, text_at, time_at};
use super::devices;
use crate::protocol::id::{DeviceId, Epoch};
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;
use crate::store::{
    AccountId, Audited, DisplayName, EndReason, EndedSession, NewSession, OpenRefusal, Opened, Session, SessionKey,
    SessionLookup,
};

/// How much later a use must be than the noted one to be noted, in seconds: a page that asks each second costs no write
/// each second.
pub(super) const USE_GRANULARITY_SECONDS: u64 = 60;

pub(super) fn open(
    connection: &Connection,
    now: Timestamp,
    session: &NewSession,
) -> rusqlite::Result<Result<Opened, OpenRefusal>> {
    let device = devices::by_id(connection, &session.device)?;
    let entitled = |d: &crate::store::DeviceRecord| {
        d.revoked_at.is_none() && !d.account.disabled && integer(d.epoch.0) <= integer(session.epoch.0)
    };
    let Some(device) = device.filter(entitled) else { return Ok(Err(OpenRefusal::Withdrawn)) };
    let mut ended = devices::raise_epoch(connection, now, &session.device, session.epoch)?;
    connection.execute("DELETE FROM sessions WHERE expires_at <= ?1", [integer(now.0)])?;
    if let Some(former) = session.replaces
        && end(connection, former)?
    {
        ended.push(EndedSession { key: former, reason: EndReason::LoggedOut });
    }
    let account = device.account;
    let owner = account.profile.account.as_str();
    connection
        .prepare_cached(
            "INSERT INTO sessions
         (hash, account, device, epoch, origin, method, signed_in_at, expires_at, idle_seconds, last_used)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?7)",
        )?
        .execute(params![
            session.key.0,
            owner,
            session.device.as_str(),
            integer(session.epoch.0),
            session.origin.as_str(),
            session.method,
            integer(now.0),
            integer(now.plus(session.lifetimes.absolute.as_secs()).0),
            integer(session.lifetimes.idle.as_secs()),
        ])?;
    let detail = format!("origin={} method={} token={}", session.origin, session.method, session.token);
    record(connection, now, Audited::SignedIn, Some(owner), Some(session.device.as_str()), &detail)?;
    Ok(Ok(Opened { account, ended }))
}

/// A session as it was looked up, and when its last use was noted.
pub(super) struct Found {
    pub(super) lookup: SessionLookup,
    pub(super) last_used: Timestamp,
}

pub(super) fn find(connection: &Connection, now: Timestamp, key: SessionKey) -> rusqlite::Result<Found> {
    let sql = format!(
        "SELECT s.device, d.name, s.epoch, s.origin, s.method, s.signed_in_at, s.expires_at, s.last_used, s.idle_seconds,
                d.epoch, d.revoked_at IS NOT NULL, {ACCOUNT}
         FROM sessions s JOIN devices d ON d.device = s.device JOIN accounts a ON a.account = s.account
         WHERE s.hash = ?1"
    );
    let found = first(connection, &sql, [key.0], |row| judge(row, now, key))?;
    Ok(found.unwrap_or(Found { lookup: SessionLookup::Over(EndReason::Ended), last_used: now }))
}

/// Whether a session still counts. Decided on each use, so that no order in which sign-outs and sign-ins arrive lets one
/// survive.
fn judge(row: &Row<'_>, now: Timestamp, key: SessionKey) -> rusqlite::Result<Found> {
    let session = Session {
        key,
        device: text_at::<DeviceId>(row, 0)?,
        device_name: DisplayName::stored(row.get(1)?),
        epoch: epoch_at(row, 2)?,
        origin: text_at::<Origin>(row, 3)?,
        method: row.get(4)?,
        signed_in_at: time_at(row, 5)?,
        expires_at: time_at(row, 6)?,
        account: account_at(row, 11)?,
    };
    let last_used = time_at(row, 7)?;
    let idle_end = last_used.plus(time_at(row, 8)?.0);
    let (current, revoked): (Epoch, bool) = (epoch_at(row, 9)?, row.get(10)?);
    let over = if revoked {
        Some(EndReason::Revoked)
    } else if current > session.epoch {
        Some(EndReason::SignedOut)
    } else if session.account.disabled {
        Some(EndReason::Ended)
    } else if now >= session.expires_at || now >= idle_end {
        Some(EndReason::Expired)
    } else {
        None
    };
    let lookup = over.map_or_else(|| SessionLookup::Open(Box::new(session)), SessionLookup::Over);
    Ok(Found { lookup, last_used })
}

pub(super) fn note_use(connection: &Connection, now: Timestamp, key: SessionKey) -> rusqlite::Result<()> {
    let sql = "UPDATE sessions SET last_used = max(last_used, ?2) WHERE hash = ?1";
    connection.prepare_cached(sql)?.execute(params![key.0, integer(now.0)]).map(drop)
}

pub(super) fn end(connection: &Connection, key: SessionKey) -> rusqlite::Result<bool> {
    connection.prepare_cached("DELETE FROM sessions WHERE hash = ?1")?.execute([key.0]).map(|deleted| deleted > 0)
}

pub(super) fn log_out(connection: &Connection, now: Timestamp, key: SessionKey) -> rusqlite::Result<bool> {
    let owner = first(connection, "DELETE FROM sessions WHERE hash = ?1 RETURNING account, device", [key.0], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let Some((account, device)) = owner else { return Ok(false) };
    record(connection, now, Audited::LoggedOut, Some(&account), Some(&device), "")?;
    Ok(true)
}

fn ended(reason: EndReason) -> impl FnMut(&Row<'_>) -> rusqlite::Result<EndedSession> {
    move |row| Ok(EndedSession { key: SessionKey(row.get(0)?), reason })
}

/// Ends the sessions of a device below an epoch, or also at it.
pub(super) fn end_below(
    connection: &Connection,
    device: &DeviceId,
    epoch: i64,
    inclusive: bool,
    reason: EndReason,
) -> rusqlite::Result<Vec<EndedSession>> {
    let sql = "DELETE FROM sessions WHERE device = ?1 AND (epoch < ?2 OR (?3 AND epoch = ?2)) RETURNING hash";
    all(connection, sql, params![device.as_str(), epoch, inclusive], ended(reason))
}

pub(super) fn end_all_of(
    connection: &Connection,
    account: &str,
    reason: EndReason,
) -> rusqlite::Result<Vec<EndedSession>> {
    all(connection, "DELETE FROM sessions WHERE account = ?1 RETURNING hash", [account], ended(reason))
}

pub(super) fn log_out_everywhere(
    connection: &Connection,
    now: Timestamp,
    account: &AccountId,
) -> rusqlite::Result<Vec<EndedSession>> {
    record(connection, now, Audited::LoggedOutEverywhere, Some(account.as_str()), None, "")?;
    end_all_of(connection, account.as_str(), EndReason::LoggedOutEverywhere)
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
                "INSERT INTO accounts VALUES ('ada', 'subject', 'Ada', NULL, 0, 0, 0, 0);
                 INSERT INTO devices VALUES ('device', zeroblob(32), '{jwk}', 'ada', 'laptop', 3, 0, NULL);
                 INSERT INTO sessions VALUES (x'{}', 'ada', 'device', 3, 'https://a.example', 'agent', 900, 5000, 600, 900)",
                "07".repeat(32)
            ))
            .expect("rows");
        for (change, over) in [
            ("UPDATE accounts SET disabled = 0", None),
            ("UPDATE accounts SET disabled = 1", Some(EndReason::Ended)),
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
