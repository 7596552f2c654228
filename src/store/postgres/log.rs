//! The log of withdrawals in SQL: numbered in the order of the commits, because each waits for the one counter.

use super::columns::{integer, number_at};
use super::connection::Connection;
use super::schema::LIFE;
use crate::protocol::time::Timestamp;
use crate::store::{Cursor, StoreError, TAIL_MAX_LEN, Tail, WITHDRAWALS_KEPT_SECONDS, Withdrawal};

/// Writes entries at the end of the transaction of what they speak of, and drops those that nobody reads any more.
pub(super) async fn append(
    connection: &Connection,
    now: Timestamp,
    withdrawals: &[Withdrawal],
) -> Result<(), StoreError> {
    let entries: Vec<_> =
        withdrawals.iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(StoreError::new)?;
    let (count, at) = (integer(entries.len() as u64), integer(now.0));
    // The counter's row stays locked until the commit is done.
    let sql = "WITH place AS (UPDATE log SET seq = seq + $1 RETURNING seq - $1 AS before)
               INSERT INTO withdrawals SELECT place.before + entry.number, $2, entry.text
               FROM place, unnest($3::text[]) WITH ORDINALITY AS entry (text, number)";
    connection.execute(sql, &[&count, &at, &entries]).await?;
    let old = integer(now.0.saturating_sub(WITHDRAWALS_KEPT_SECONDS));
    let sql = "WITH dropped AS (DELETE FROM withdrawals WHERE at < $1 RETURNING seq)
               UPDATE log SET trimmed = greatest(trimmed, (SELECT max(seq) FROM dropped))
               WHERE EXISTS (SELECT FROM dropped)";
    connection.execute(sql, &[&old]).await.map(drop)
}

pub(super) async fn last(connection: &Connection) -> Result<Cursor, StoreError> {
    let row = connection.one(&format!("SELECT {LIFE}, seq FROM log"), &[]).await?;
    Ok(Cursor { life: row.try_get(0)?, seq: number_at(&row, 1)? })
}

/// In one statement, so that nothing is dropped between the look at the end and the entries.
pub(super) async fn after(connection: &Connection, cursor: &Cursor) -> Result<Tail, StoreError> {
    let sql = format!(
        "SELECT {LIFE}, l.seq, l.trimmed, w.seq, w.withdrawal FROM log l LEFT JOIN LATERAL
             (SELECT * FROM withdrawals WHERE seq > $1 ORDER BY seq LIMIT $2) w ON true
         ORDER BY w.seq"
    );
    let rows = connection.all(&sql, &[&integer(cursor.seq), &i64::from(TAIL_MAX_LEN)]).await?;
    let first = rows.first().ok_or_else(|| StoreError::new("the log's own row is missing"))?;
    let end = Cursor { life: first.try_get(0)?, seq: number_at(first, 1)? };
    if end.life != cursor.life || end.seq < cursor.seq || cursor.seq < number_at(first, 2)? {
        return Ok(Tail::Lost(end));
    }
    let mut place = cursor.clone();
    let mut entries = Vec::new();
    for row in &rows {
        // One row without an entry where there is none.
        let Some(seq) = row.try_get::<_, Option<i64>>(3)? else { break };
        entries.push(serde_json::from_str(row.try_get(4)?).map_err(StoreError::new)?);
        place.seq = u64::try_from(seq).unwrap_or(0);
    }
    Ok(Tail::Entries(entries, place))
}
