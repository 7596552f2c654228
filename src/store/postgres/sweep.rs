//! Forgetting what is over: marks, tickets, sessions, notes. Housekeeping: each of them is refused on use anyway.

use std::sync::Arc;
use std::time::Duration;

use super::marks::MARGIN_SECONDS;
use super::pool::Pool;
use super::within;
use crate::clock::Clock;
use crate::store::StoreError;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(60);
/// Rows that one statement drops: a short one holds up nobody.
const ROWS_MAX: u64 = 5000;

pub(super) async fn run(pool: Arc<Pool>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = round(&pool, clock.as_ref()).await {
            tracing::warn!("what is over was not dropped: {error}");
        }
    }
}

/// One round over all of them.
pub(super) async fn round(pool: &Pool, clock: &dyn Clock) -> Result<(), StoreError> {
    let now = super::columns::integer(clock.timestamp().0);
    for (table, key, end) in [
        ("marks", "challenge", "until"),
        ("tickets", "hash", "expires_at"),
        ("sessions", "hash", "expires_at"),
        ("notes", "note", "until"),
    ] {
        let margin = if table == "marks" { MARGIN_SECONDS } else { 0 };
        // By whichever clock is behind: nothing is dropped that a replica may still accept. What another replica drops is
        // left to it.
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN (
                 SELECT {key} FROM {table}
                 WHERE {end} < least($1, extract(epoch FROM clock_timestamp())::bigint) - {margin}
                 ORDER BY {end} LIMIT {ROWS_MAX} FOR UPDATE SKIP LOCKED)"
        );
        while within(drop_some(pool, &sql, now)).await? == ROWS_MAX {}
    }
    Ok(())
}

async fn drop_some(pool: &Pool, sql: &str, now: i64) -> Result<u64, StoreError> {
    let connection = pool.get().await?;
    connection.execute(sql, &[&now]).await
}
