//! Notes in SQL.

use rusqlite::{Connection, Row, params};

use super::columns::{broken, first, integer, text_at, time_at};
use crate::protocol::time::Timestamp;
use crate::store::{Note, NoteKey, NoteValue, NoteVersion};

fn note_at(row: &Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note {
        value: text_at(row, 0)?,
        version: NoteVersion(u64::try_from(row.get::<_, i64>(1)?).map_err(|error| broken(1, error))?),
        until: time_at(row, 2)?,
    })
}

pub(super) fn keep(
    connection: &Connection,
    now: Timestamp,
    note: &NoteKey,
    value: &NoteValue,
    until: Timestamp,
) -> rusqlite::Result<bool> {
    connection.execute("DELETE FROM notes WHERE until <= ?1", [integer(now.0)])?;
    let sql = "INSERT INTO notes (note, value, version, until) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let version = integer(NoteVersion::fresh().0);
    let kept = connection.execute(sql, params![note.as_str(), value.as_str(), version, integer(until.0)])?;
    Ok(kept > 0)
}

pub(super) fn read(connection: &Connection, now: Timestamp, note: &NoteKey) -> rusqlite::Result<Option<Note>> {
    let sql = "SELECT value, version, until FROM notes WHERE note = ?1 AND until > ?2";
    first(connection, sql, params![note.as_str(), integer(now.0)], note_at)
}

pub(super) fn change(
    connection: &Connection,
    now: Timestamp,
    note: &NoteKey,
    version: NoteVersion,
    value: &NoteValue,
    until: Timestamp,
) -> rusqlite::Result<bool> {
    let sql = "UPDATE notes SET value = ?3, version = ?4, until = ?5 WHERE note = ?1 AND version = ?2 AND until > ?6";
    let (former, next) = (integer(version.0), integer(NoteVersion::fresh().0));
    let values = params![note.as_str(), former, value.as_str(), next, integer(until.0), integer(now.0)];
    Ok(connection.execute(sql, values)? > 0)
}

pub(super) fn take(connection: &Connection, now: Timestamp, note: &NoteKey) -> rusqlite::Result<Option<NoteValue>> {
    let sql = "DELETE FROM notes WHERE note = ?1 RETURNING value, version, until";
    let taken = first(connection, sql, [note.as_str()], note_at)?;
    Ok(taken.filter(|taken| integer(now.0) < integer(taken.until.0)).map(|taken| taken.value))
}
