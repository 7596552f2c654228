//! Notes in SQL. Each is bound to the store's life: a promotion could bring back one that was taken.

use tokio_postgres::Row;

use super::columns::{integer, number_at, text_at};
use super::connection::{Connection, Params};
use super::pool::Transaction;
use super::schema::LIFE;
use crate::protocol::time::Timestamp;
use crate::store::{Note, NoteKey, NoteValue, NoteVersion, StoreError};

fn note_at(row: &Row) -> Result<Note, StoreError> {
    let (version, until) = (NoteVersion(number_at(row, 1)?), Timestamp(number_at(row, 2)?));
    Ok(Note { value: text_at(row, 0)?, version, until })
}

pub(super) async fn keep(
    tx: &mut Transaction<'_>,
    note: &NoteKey,
    value: &NoteValue,
    until: Timestamp,
) -> Result<bool, StoreError> {
    // In the place of one that is over, in its time or with its life.
    let sql = format!(
        "INSERT INTO notes (note, life, value, version, until) VALUES ($1, {LIFE}, $2, $3, $4)
         ON CONFLICT (note) DO UPDATE SET life = excluded.life, value = $2, version = $3, until = $4
         WHERE notes.until <= $5 OR notes.life <> excluded.life"
    );
    let (version, until, now) = (integer(NoteVersion::fresh().0), integer(until.0), integer(tx.now.0));
    let values: Params<'_> = &[&note.as_str(), &value.as_str(), &version, &until, &now];
    Ok(tx.execute(&sql, values).await? > 0)
}

pub(super) async fn read(connection: &Connection, now: Timestamp, note: &NoteKey) -> Result<Option<Note>, StoreError> {
    let sql = format!("SELECT value, version, until FROM notes WHERE note = $1 AND until > $2 AND life = {LIFE}");
    connection.first(&sql, &[&note.as_str(), &integer(now.0)]).await?.map(|row| note_at(&row)).transpose()
}

pub(super) async fn change(
    tx: &mut Transaction<'_>,
    note: &NoteKey,
    version: NoteVersion,
    value: &NoteValue,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let sql = format!(
        "UPDATE notes SET value = $3, version = $4, until = $5
         WHERE note = $1 AND version = $2 AND until > $6 AND life = {LIFE}"
    );
    let (former, next) = (integer(version.0), integer(NoteVersion::fresh().0));
    let (until, now) = (integer(until.0), integer(tx.now.0));
    let values: Params<'_> = &[&note.as_str(), &former, &value.as_str(), &next, &until, &now];
    Ok(tx.execute(&sql, values).await? > 0)
}

pub(super) async fn take(tx: &mut Transaction<'_>, note: &NoteKey) -> Result<Option<NoteValue>, StoreError> {
    let sql = format!("DELETE FROM notes WHERE note = $1 AND until > $2 AND life = {LIFE} RETURNING value");
    let row = tx.first(&sql, &[&note.as_str(), &integer(tx.now.0)]).await?;
    row.map(|row| text_at(&row, 0)).transpose()
}
