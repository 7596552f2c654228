//! The tables and their versions, in a schema of their own.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

use super::PostgresError;
use super::connection::{quiet, referred};
use super::fault::explained;
use crate::crypto;
use crate::protocol::base64url;
use crate::store::StoreError;

/// One script a version. A released script is never changed; a later one is added.
///
/// Names are compared and sorted as bytes (`COLLATE "C"`), as every other engine does.
const MIGRATIONS: &[&str] = &[
    // 1
    r#"
    CREATE TABLE organisations (
        organisation text COLLATE "C" PRIMARY KEY,
        generation   bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE accounts (
        account      text COLLATE "C" PRIMARY KEY,
        subject      text COLLATE "C" NOT NULL UNIQUE,
        name         text NOT NULL,
        avatar       text,
        disabled     boolean NOT NULL DEFAULT false,
        minimum_uv   smallint NOT NULL DEFAULT 0 CHECK (minimum_uv BETWEEN 0 AND 2),
        organisation text COLLATE "C" REFERENCES organisations,
        generation   bigint NOT NULL DEFAULT 0,
        created_at   bigint NOT NULL,
        updated_at   bigint NOT NULL
    );
    CREATE INDEX accounts_by_organisation ON accounts (organisation);
    CREATE TABLE tickets (
        hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
        account    text COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
        expires_at bigint NOT NULL
    );
    CREATE INDEX tickets_by_end ON tickets (expires_at);
    CREATE INDEX tickets_by_account ON tickets (account);
    CREATE TABLE devices (
        device      text COLLATE "C" PRIMARY KEY,
        number      bigint GENERATED ALWAYS AS IDENTITY,
        key_id      bytea NOT NULL UNIQUE CHECK (octet_length(key_id) = 32),
        jwk         text NOT NULL,
        account     text COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
        name        text NOT NULL,
        epoch       bigint NOT NULL DEFAULT 0,
        asked_epoch bigint NOT NULL DEFAULT 0,
        enrolled_at bigint NOT NULL,
        revoked_at  bigint,
        -- What its organisation's was when it came to its epoch.
        organisation_generation bigint NOT NULL DEFAULT 0
    );
    CREATE INDEX devices_by_account ON devices (account);
    CREATE TABLE sessions (
        hash                    bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
        account                 text COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
        device                  text COLLATE "C" NOT NULL REFERENCES devices ON DELETE CASCADE,
        epoch                   bigint NOT NULL,
        generation              bigint NOT NULL,
        organisation_generation bigint NOT NULL,
        origin                  text NOT NULL,
        method                  text NOT NULL,
        browser                 text,
        signed_in_at            bigint NOT NULL,
        expires_at              bigint NOT NULL,
        idle_seconds            bigint NOT NULL,
        last_used               bigint NOT NULL
    ) WITH (fillfactor = 80);
    CREATE INDEX sessions_by_account ON sessions (account);
    CREATE INDEX sessions_by_device ON sessions (device, epoch);
    CREATE INDEX sessions_by_end ON sessions (expires_at);
    CREATE TABLE audit (
        entry   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at      bigint NOT NULL,
        what    text NOT NULL,
        subject text COLLATE "C",
        device  text COLLATE "C",
        detail  text NOT NULL
    );
    CREATE INDEX audit_by_subject ON audit (subject, entry);
    CREATE TABLE log (
        seq     bigint NOT NULL,
        trimmed bigint NOT NULL
    ) WITH (fillfactor = 10);
    INSERT INTO log VALUES (0, 0);
    CREATE TABLE withdrawals (
        seq        bigint PRIMARY KEY,
        at         bigint NOT NULL,
        withdrawal text NOT NULL
    );
    CREATE INDEX withdrawals_by_time ON withdrawals (at);
    CREATE TABLE challenge_keys (
        number integer PRIMARY KEY,
        key    text NOT NULL
    );
    CREATE TABLE marks (
        challenge bytea PRIMARY KEY,
        until     bigint NOT NULL
    );
    CREATE INDEX marks_by_end ON marks (until);
    CREATE TABLE lives (
        timeline text NOT NULL,
        started  timestamptz NOT NULL,
        marks    oid NOT NULL,
        life     text NOT NULL,
        PRIMARY KEY (timeline, started, marks)
    );
    "#,
    // 2: sessions without a device, identities, notes
    r#"
    ALTER TABLE sessions ALTER COLUMN device DROP NOT NULL;
    CREATE TABLE identities (
        connector text COLLATE "C" NOT NULL,
        tenant    text COLLATE "C" NOT NULL,
        id        text COLLATE "C" NOT NULL,
        account   text COLLATE "C" NOT NULL REFERENCES accounts ON DELETE CASCADE,
        details   text NOT NULL,
        linked_at bigint NOT NULL,
        PRIMARY KEY (connector, tenant, id)
    );
    CREATE INDEX identities_by_account ON identities (account);
    CREATE TABLE notes (
        note    text COLLATE "C" PRIMARY KEY,
        -- In which life of the store it was written: another one does not know it.
        life    text NOT NULL,
        value   text NOT NULL,
        version bigint NOT NULL,
        until   bigint NOT NULL
    ) WITH (fillfactor = 80);
    CREATE INDEX notes_by_end ON notes (until);
    "#,
];

/// Replicas that start at once take turns. `lpky` and a number of ours.
const LOCK: i64 = 0x6c70_6b79_0000_0001;

/// The timeline of the file that is written now (the last checkpoint may still name the one before), when the server was
/// started, and the file of the marks, which is another one after TRUNCATE and after a dump was put back.
macro_rules! here {
    () => {
        "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), pg_postmaster_start_time(), pg_relation_filenode('loopkey.marks')"
    };
}

/// This life of the store (protocol section 6.9): a random value of its own for each timeline, start and file of marks.
/// A timeline alone is a mere count: two standbys that are promoted apart from each other both call theirs the second, and a
/// volume that is put back has its rows back, without the marks. Nothing where nobody made a row for this life yet.
pub(super) const LIFE: &str = concat!("(SELECT life FROM lives WHERE (timeline, started, marks) = (", here!(), "))");

/// Makes the row of this life where it is missing. Done on each connection, most lives end with all of them; and where
/// somebody asks for the life and there is none.
pub(super) async fn begin_life(client: &Client) -> Result<(), tokio_postgres::Error> {
    let life = base64url::encode(crypto::random::<16>());
    let sql = concat!("INSERT INTO loopkey.lives SELECT ", here!(), ", $1 ON CONFLICT DO NOTHING");
    client.execute(sql, &referred(&quiet(&[&life]))).await.map(drop)
}

/// Brings the tables to this version.
pub(super) async fn migrate(client: &mut Client) -> Result<(), PostgresError> {
    migrate_to(client, MIGRATIONS).await
}

async fn migrate_to(client: &mut Client, migrations: &[&str]) -> Result<(), PostgresError> {
    let failed = |error: tokio_postgres::Error| {
        PostgresError::Store(StoreError::new(format!("the tables cannot be made: {}", explained(&error))))
    };
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(failed)?;
    let sql = "SELECT to_regnamespace('loopkey') IS NOT NULL, to_regclass('loopkey.schema_version') IS NOT NULL,
                      EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('loopkey'))";
    let row = transaction.query_one(sql, &[]).await.map_err(failed)?;
    let (schema, versioned, tables) = (row.get::<_, bool>(0), row.get::<_, bool>(1), row.get::<_, bool>(2));
    if tables && !versioned {
        return Err(PostgresError::NotOurs);
    }
    if !schema {
        transaction.batch_execute("CREATE SCHEMA loopkey").await.map_err(failed)?;
    }
    if !versioned {
        let sql = "CREATE TABLE schema_version (version integer NOT NULL); INSERT INTO schema_version VALUES (0)";
        transaction.batch_execute(sql).await.map_err(failed)?;
    }
    let version = transaction.query_one("SELECT version FROM schema_version", &[]).await.map_err(failed)?;
    let found: i32 = version.get(0);
    let known = i32::try_from(migrations.len()).expect("there are few versions");
    if found > known {
        return Err(PostgresError::Newer { found, known });
    }
    for script in migrations.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.batch_execute(script).await.map_err(failed)?;
    }
    if found < known {
        transaction.execute("UPDATE schema_version SET version = $1", &[&known]).await.map_err(failed)?;
    }
    commit(transaction.commit()).await?.map_err(failed)
}

/// How long the commit of the tables may wait for standbys.
const COMMIT_MAX: Duration = Duration::from_secs(60);
/// After that long the log says what is waited for.
const COMMIT_SOON: Duration = Duration::from_secs(3);

/// Making the tables may take its time; what is done is committed at once, or a standby is away.
async fn commit<T>(committing: impl Future<Output = T>) -> Result<T, PostgresError> {
    tokio::pin!(committing);
    if let Ok(done) = timeout(COMMIT_SOON, &mut committing).await {
        return Ok(done);
    }
    tracing::warn!("the store's tables are made, and wait for the standbys of synchronous_standby_names");
    let late = |_| {
        PostgresError::Store(StoreError::new(
            "the store's tables were made, and the standbys of synchronous_standby_names did not have them in 60 s: look \
             whether they replicate",
        ))
    };
    timeout(COMMIT_MAX - COMMIT_SOON, committing).await.map_err(late)
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::connection::Connection;
    use super::super::target::{Purpose, Target};
    use super::super::testing::Database;
    use super::*;

    async fn connect(database: &Database) -> Connection {
        let target = Target::new(&database.shared()).expect("target");
        target.connect(Purpose::Migration).await.expect("connected")
    }

    #[tokio::test]
    async fn tables_move_forward_keep_what_they_hold_and_never_go_back() {
        let database = Database::fresh();
        let mut connection = connect(&database).await;
        let client = connection.client_mut();
        migrate_to(client, MIGRATIONS).await.expect("from nothing");
        migrate_to(client, MIGRATIONS).await.expect("nothing to do");
        client.batch_execute("INSERT INTO organisations VALUES ('acme', 7)").await.expect("row");
        let next = [MIGRATIONS, &["ALTER TABLE organisations ADD COLUMN colour text NOT NULL DEFAULT 'red'"]].concat();
        migrate_to(client, &next).await.expect("forward");
        assert_eq!(database.sql("SELECT * FROM loopkey.organisations"), "acme|7|red");
        let error = migrate_to(client, MIGRATIONS).await.expect_err("never back");
        assert!(matches!(error, PostgresError::Newer { found: 3, known: 2 }), "{error}");
        let broken = [next.as_slice(), &["CREATE TABLE half (); SELECT no_such_thing"]].concat();
        migrate_to(client, &broken).await.expect_err("a script that fails");
        assert_eq!(
            database.sql("SELECT version, to_regclass('loopkey.half') FROM loopkey.schema_version"),
            "3|",
            "changes nothing"
        );
    }

    #[tokio::test]
    async fn sessions_of_the_first_version_go_on() {
        let database = Database::fresh();
        let mut connection = connect(&database).await;
        let client = connection.client_mut();
        migrate_to(client, &MIGRATIONS[..1]).await.expect("version 1");
        database.sql(
            "SET search_path = loopkey;
             INSERT INTO accounts VALUES ('ada', 's', 'Ada', NULL, false, 0, NULL, 0, 0, 0);
             INSERT INTO devices VALUES
                 ('laptop', DEFAULT, decode(repeat('00', 32), 'hex'), '{}', 'ada', 'x', 0, 0, 0, NULL, 0);
             INSERT INTO sessions VALUES
                 (decode(repeat('00', 32), 'hex'), 'ada', 'laptop', 3, 0, 0, 'o', 'agent', NULL, 1, 2, 3, 4);",
        );
        migrate_to(client, MIGRATIONS).await.expect("forward");
        assert_eq!(database.sql("SELECT device, epoch FROM loopkey.sessions"), "laptop|3");
        database.sql("UPDATE loopkey.sessions SET device = NULL");
    }

    #[tokio::test]
    async fn replicas_that_start_at_once_make_the_tables_once() {
        let database = Database::fresh();
        let starting = (0..3).map(|_| async {
            let mut connection = connect(&database).await;
            let client = connection.client_mut();
            migrate(client).await
        });
        for one in futures::future::join_all(starting).await {
            one.expect("made, or found");
        }
        assert_eq!(database.sql("SELECT count(*) FROM loopkey.log"), "1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_waits_is_given_up_after_a_minute() {
        assert_eq!(commit(async { 7 }).await.expect("done"), 7);
        let begun = tokio::time::Instant::now();
        let late = async { tokio::time::sleep(COMMIT_MAX - Duration::from_secs(1)).await };
        commit(late).await.expect("in time");
        let error = commit(std::future::pending::<()>()).await.expect_err("given up").to_string();
        assert!(error.contains("synchronous_standby_names"), "{error}");
        assert_eq!(begun.elapsed(), COMMIT_MAX * 2 - Duration::from_secs(1));
    }

    #[tokio::test]
    async fn another_programs_schema_is_left_alone() {
        let database = Database::fresh();
        database.sql("CREATE SCHEMA loopkey; CREATE TABLE loopkey.theirs (x int)");
        let mut connection = connect(&database).await;
        let client = connection.client_mut();
        assert!(matches!(migrate(client).await, Err(PostgresError::NotOurs)));
        database.sql("DROP TABLE loopkey.theirs");
        migrate(client).await.expect("an empty schema that an administrator made for us");
    }
}
