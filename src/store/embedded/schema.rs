//! The tables, their versions, and how a connection must be set up.

use rusqlite::Connection;

use super::EmbeddedError;

/// One script a version. A released script is never changed; a later one is added.
const MIGRATIONS: &[&str] = &[
    // 1
    "
    CREATE TABLE accounts (
        account    TEXT PRIMARY KEY,
        subject    TEXT NOT NULL UNIQUE,
        name       TEXT NOT NULL,
        avatar     TEXT,
        disabled   INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
        minimum_uv INTEGER NOT NULL DEFAULT 0 CHECK (minimum_uv BETWEEN 0 AND 2),
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE tickets (
        hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
        account    TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tickets_by_end ON tickets (expires_at);
    CREATE INDEX tickets_by_account ON tickets (account);
    CREATE TABLE devices (
        device      TEXT PRIMARY KEY,
        key_id      BLOB NOT NULL UNIQUE CHECK (length(key_id) = 32),
        jwk         TEXT NOT NULL,
        account     TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        name        TEXT NOT NULL,
        epoch       INTEGER NOT NULL DEFAULT 0,
        enrolled_at INTEGER NOT NULL,
        revoked_at  INTEGER
    ) STRICT;
    CREATE INDEX devices_by_account ON devices (account);
    CREATE TABLE sessions (
        hash         BLOB PRIMARY KEY CHECK (length(hash) = 32),
        account      TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        device       TEXT NOT NULL REFERENCES devices ON DELETE CASCADE,
        epoch        INTEGER NOT NULL,
        origin       TEXT NOT NULL,
        method       TEXT NOT NULL,
        signed_in_at INTEGER NOT NULL,
        expires_at   INTEGER NOT NULL,
        idle_seconds INTEGER NOT NULL,
        last_used    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_by_account ON sessions (account);
    CREATE INDEX sessions_by_device ON sessions (device, epoch);
    CREATE INDEX sessions_by_end ON sessions (expires_at);
    CREATE TABLE audit (
        entry   INTEGER PRIMARY KEY,
        at      INTEGER NOT NULL,
        what    TEXT NOT NULL,
        account TEXT,
        device  TEXT,
        detail  TEXT NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_account ON audit (account, at);
    ",
    // 2: the log of withdrawals, generations, organisations; the audit record names subjects
    "
    CREATE TABLE organisations (
        organisation TEXT PRIMARY KEY,
        generation   INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE accounts ADD COLUMN organisation TEXT REFERENCES organisations;
    ALTER TABLE accounts ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX accounts_by_organisation ON accounts (organisation);
    ALTER TABLE devices ADD COLUMN asked_epoch INTEGER NOT NULL DEFAULT 0;
    -- What its organisation's was when it came to its epoch.
    ALTER TABLE devices ADD COLUMN organisation_generation INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sessions ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sessions ADD COLUMN organisation_generation INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sessions ADD COLUMN browser TEXT;
    CREATE TABLE withdrawals (
        seq        INTEGER PRIMARY KEY AUTOINCREMENT,
        at         INTEGER NOT NULL,
        withdrawal TEXT NOT NULL
    ) STRICT;
    CREATE INDEX withdrawals_by_time ON withdrawals (at);
    CREATE TABLE log (
        life    TEXT NOT NULL,
        trimmed INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO log (life) VALUES (lower(hex(randomblob(16))));
    DROP INDEX audit_by_account;
    ALTER TABLE audit ADD COLUMN subject TEXT;
    UPDATE audit SET subject = (SELECT subject FROM accounts WHERE accounts.account = audit.account);
    ALTER TABLE audit DROP COLUMN account;
    CREATE INDEX audit_by_subject ON audit (subject, entry);
    ",
    // 3: sessions without a device, identities, notes
    "
    CREATE TABLE sessions_anew (
        hash         BLOB PRIMARY KEY CHECK (length(hash) = 32),
        account      TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        device       TEXT REFERENCES devices ON DELETE CASCADE,
        epoch        INTEGER NOT NULL,
        origin       TEXT NOT NULL,
        method       TEXT NOT NULL,
        signed_in_at INTEGER NOT NULL,
        expires_at   INTEGER NOT NULL,
        idle_seconds INTEGER NOT NULL,
        last_used    INTEGER NOT NULL,
        generation   INTEGER NOT NULL,
        organisation_generation INTEGER NOT NULL,
        browser      TEXT
    ) STRICT, WITHOUT ROWID;
    INSERT INTO sessions_anew SELECT
        hash, account, device, epoch, origin, method, signed_in_at, expires_at, idle_seconds, last_used,
        generation, organisation_generation, browser FROM sessions;
    DROP TABLE sessions;
    ALTER TABLE sessions_anew RENAME TO sessions;
    CREATE INDEX sessions_by_account ON sessions (account);
    CREATE INDEX sessions_by_device ON sessions (device, epoch);
    CREATE INDEX sessions_by_end ON sessions (expires_at);
    CREATE TABLE identities (
        connector TEXT NOT NULL,
        tenant    TEXT NOT NULL,
        id        TEXT NOT NULL,
        account   TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
        details   TEXT NOT NULL,
        linked_at INTEGER NOT NULL,
        PRIMARY KEY (connector, tenant, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX identities_by_account ON identities (account);
    CREATE TABLE notes (
        note    TEXT PRIMARY KEY,
        value   TEXT NOT NULL,
        version INTEGER NOT NULL,
        until   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX notes_by_end ON notes (until);
    ",
];

/// `lpky`: tells our files from other programs' databases.
const APPLICATION_ID: i64 = 0x6c70_6b79;

/// Sets a connection up and makes sure that the settings took.
pub(super) fn prepare(connection: &Connection, journal: &str) -> Result<(), EmbeddedError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    for (pragma, value) in
        [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON"), ("trusted_schema", "OFF")]
    {
        // journal_mode answers with a row, the others do not.
        connection.pragma_update(None, pragma, value).or_else(|error| match error {
            rusqlite::Error::ExecuteReturnedResults => Ok(()),
            other => Err(other),
        })?;
    }
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != journal {
        return Err(EmbeddedError::Setting("journal_mode", mode));
    }
    for (pragma, expected) in [("synchronous", 2), ("foreign_keys", 1)] {
        let value: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
        if value != expected {
            return Err(EmbeddedError::Setting(pragma, value.to_string()));
        }
    }
    Ok(())
}

/// Brings the tables to this version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), EmbeddedError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (version, application) = (number("user_version")?, number("application_id")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(EmbeddedError::NotOurs);
    }
    let known = i64::try_from(MIGRATIONS.len()).expect("there are few versions");
    if version > known {
        return Err(EmbeddedError::Newer { found: version, known });
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for script in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(script)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_moves_forward_and_a_newer_one_is_refused() {
        let mut connection = Connection::open_in_memory().expect("database");
        migrate(&mut connection).expect("from nothing");
        migrate(&mut connection).expect("nothing to do");
        connection.pragma_update(None, "user_version", 99).expect("from the future");
        let error = migrate(&mut connection).expect_err("newer");
        assert!(matches!(error, EmbeddedError::Newer { found: 99, .. }), "{error}");
    }

    #[test]
    fn what_the_first_version_wrote_is_kept() {
        let mut connection = Connection::open_in_memory().expect("database");
        connection.execute_batch(MIGRATIONS[0]).expect("version 1");
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("ours");
        connection.pragma_update(None, "user_version", 1).expect("version 1");
        connection
            .execute_batch(
                "INSERT INTO accounts VALUES ('ada', 'subject', 'Ada', NULL, 0, 2, 10, 20);
                 INSERT INTO audit (at, what, account, device, detail) VALUES (5, 'signed_in', 'ada', 'd', 'x');
                 INSERT INTO audit (at, what, account, device, detail) VALUES (6, 'signed_in', 'gone', 'd', 'x');",
            )
            .expect("rows");
        migrate(&mut connection).expect("forward");
        let account: (String, i64, Option<String>) = connection
            .query_row("SELECT name, generation, organisation FROM accounts", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .expect("the account");
        assert_eq!(account, ("Ada".to_owned(), 0, None));
        let subject = |at: i64| -> Option<String> {
            connection.query_row("SELECT subject FROM audit WHERE at = ?1", [at], |row| row.get(0)).expect("the entry")
        };
        assert_eq!((subject(5).as_deref(), subject(6)), (Some("subject"), None));
    }

    #[test]
    fn sessions_of_the_second_version_go_on_and_still_end_with_their_device() {
        let mut connection = Connection::open_in_memory().expect("database");
        connection.execute_batch(&MIGRATIONS[..2].concat()).expect("version 2");
        connection.pragma_update(None, "application_id", APPLICATION_ID).expect("ours");
        connection.pragma_update(None, "user_version", 2).expect("version 2");
        connection
            .execute_batch(
                "INSERT INTO accounts VALUES ('ada', 'subject', 'Ada', NULL, 0, 0, 0, 0, NULL, 7);
                 INSERT INTO devices VALUES ('laptop', zeroblob(32), '{}', 'ada', 'Laptop', 3, 0, NULL, 0, 0);
                 INSERT INTO sessions VALUES
                     (zeroblob(32), 'ada', 'laptop', 3, 'https://a.example', 'agent', 1, 2, 3, 4, 5, 6, 'Firefox');",
            )
            .expect("rows");
        migrate(&mut connection).expect("forward");
        let sql =
            "SELECT concat_ws('|', account, device, epoch, origin, method, signed_in_at, expires_at, idle_seconds,
                   last_used, generation, organisation_generation, browser) FROM sessions";
        let kept: String = connection.query_row(sql, [], |row| row.get(0)).expect("the session");
        assert_eq!(kept, "ada|laptop|3|https://a.example|agent|1|2|3|4|5|6|Firefox");
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("counted");
        let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'sessions' AND sql != ''";
        assert_eq!(count(indexes), 3);
        let alone = "INSERT INTO sessions VALUES (randomblob(32), 'ada', NULL, 0, '', '', 1, 2, 3, 4, 5, 6, NULL)";
        connection.execute(alone, []).expect("one without a device");
        connection.execute("DELETE FROM devices", []).expect("deleted");
        assert_eq!(count("SELECT count(*) FROM sessions"), 1);
        connection.execute("DELETE FROM accounts", []).expect("deleted");
        assert_eq!(count("SELECT count(*) FROM sessions"), 0);
    }

    #[test]
    fn another_programs_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().expect("database");
        connection.execute_batch("CREATE TABLE theirs (x)").expect("table");
        assert!(matches!(migrate(&mut connection), Err(EmbeddedError::NotOurs)));
    }

    #[test]
    fn settings_are_not_taken_on_trust() {
        let connection = Connection::open_in_memory().expect("database");
        assert!(prepare(&connection, "memory").is_ok());
        assert!(matches!(prepare(&connection, "wal"), Err(EmbeddedError::Setting("journal_mode", _))));
    }
}
