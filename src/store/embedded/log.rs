//! The log of withdrawals in SQL.

use rusqlite::{Connection, params};

use super::columns::{all, broken, first, integer};
use crate::protocol::time::Timestamp;
use crate::store::{Cursor, EndReason, TAIL_MAX_LEN, Tail, WITHDRAWALS_KEPT_SECONDS, Withdrawal, Withdrawn};

/// Writes an entry in the transaction of what it speaks of, and drops those that nobody reads any more.
pub(super) fn append(
    connection: &Connection,
    now: Timestamp,
    withdrawn: Withdrawn,
    reason: EndReason,
) -> rusqlite::Result<()> {
    let entry = serde_json::to_string(&Withdrawal { withdrawn, reason })
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached("INSERT INTO withdrawals (at, withdrawal) VALUES (?1, ?2)")?
        .execute(params![integer(now.0), entry])?;
    let old = integer(now.0.saturating_sub(WITHDRAWALS_KEPT_SECONDS));
    let trimmed = first(connection, "SELECT max(seq) FROM withdrawals WHERE at < ?1", [old], |row| row.get(0))?;
    if let Some(Some(trimmed)) = trimmed {
        let trimmed: i64 = trimmed;
        connection.execute("DELETE FROM withdrawals WHERE seq <= ?1", [trimmed])?;
        connection.execute("UPDATE log SET trimmed = ?1", [trimmed])?;
    }
    Ok(())
}

/// The place after the last entry, and the last that was dropped.
fn end(connection: &Connection) -> rusqlite::Result<(Cursor, u64)> {
    let sql = "SELECT life, trimmed, max(trimmed, coalesce((SELECT max(seq) FROM withdrawals), 0)) FROM log";
    connection.prepare_cached(sql)?.query_row([], |row| {
        let number = |column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
        Ok((Cursor { life: row.get(0)?, seq: number(2)? }, number(1)?))
    })
}

pub(super) fn last(connection: &Connection) -> rusqlite::Result<Cursor> {
    end(connection).map(|(cursor, _)| cursor)
}

/// In one read transaction, so that nothing is dropped between the look at the end and the entries.
pub(super) fn after(connection: &Connection, cursor: &Cursor) -> rusqlite::Result<Tail> {
    let nested = !connection.is_autocommit();
    let transaction = if nested { None } else { Some(connection.unchecked_transaction()?) };
    let (end, trimmed) = end(connection)?;
    if end.life != cursor.life || end.seq < cursor.seq || cursor.seq < trimmed {
        return Ok(Tail::Lost(end));
    }
    let sql = "SELECT seq, withdrawal FROM withdrawals WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let rows = all(connection, sql, params![integer(cursor.seq), TAIL_MAX_LEN], |row| {
        let entry = serde_json::from_str(&row.get::<_, String>(1)?).map_err(|error| broken(1, error))?;
        Ok((row.get::<_, i64>(0)?, entry))
    })?;
    drop(transaction);
    let seq = rows.last().map_or(cursor.seq, |(seq, _)| u64::try_from(*seq).unwrap_or(0));
    let entries = rows.into_iter().map(|(_, entry)| entry).collect();
    Ok(Tail::Entries(entries, Cursor { life: end.life, seq }))
}
