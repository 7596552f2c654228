//! What a start refuses, and how it says so.

use std::time::Duration;

use super::super::testing::server::Server;
use super::super::testing::{Database, clock, shared};
use super::super::{Postgres, PostgresError};
use crate::crypto::{Algorithm, Secret};
use crate::protocol::base64url;
use crate::store::{OpenError, Store as _, StoreUrl, open};

async fn refusal(database: &Database) -> String {
    database.open().await.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_server_that_would_lose_what_it_acknowledged_is_refused() {
    let server: &Server = Box::leak(Box::new(Server::start(&[])));
    let database = Database::of(server);
    let set = |setting: &str, value: &str| {
        server.sql("postgres", &format!("ALTER SYSTEM SET {setting} = {value}"));
        server.sql("postgres", "SELECT pg_reload_conf()");
    };
    for (setting, value) in [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")] {
        set(setting, value);
        // A reload is done when a new connection sees it, and the postmaster may be slow.
        let error = loop {
            match database.open().await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error.to_string(),
            }
        };
        assert!(
            error.contains(&format!("{setting} is {value}")) && error.contains(&format!("set {setting} = on")),
            "{error}"
        );
        assert!(error.contains("postgres://127.0.0.1"), "{error}");
        set(setting, "DEFAULT");
        while database.open().await.is_err() {}
    }
    // The same server as a standby.
    server.crash();
    server.write("standby.signal", "");
    server.boot(&[]);
    let error = refusal(&database).await;
    assert!(error.contains("standby") && error.contains("HOST1,HOST2"), "{error}");
}

#[tokio::test]
async fn promised_replicas_must_be_waited_for() {
    let database = Database::fresh();
    let mut shared = database.shared();
    shared.options.replicas = 1;
    let error = Postgres::open(&shared, clock()).await.expect_err("no standby").to_string();
    for part in ["replicas is 1", "synchronous_standby_names is \"\"", "waits for 0", "ANY 1"] {
        assert!(error.contains(part), "{error}");
    }
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = local", database.name));
    let error = Postgres::open(&shared, clock()).await.expect_err("local").to_string();
    assert!(error.contains("synchronous_commit is local"), "{error}");
    database.open().await.expect("with no replicas promised our sessions set it");
}

#[tokio::test]
async fn standbys_that_are_away_are_named_instead_of_waited_for() {
    let server: &Server = Box::leak(Box::new(Server::start(&[("wal_level", "replica")])));
    let database = Database::of(server);
    server.sql("postgres", "CREATE ROLE plain LOGIN");
    server.sql("postgres", &format!("GRANT CREATE ON DATABASE {} TO plain", database.name));
    server.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (second)'");
    server.sql("postgres", "SELECT pg_reload_conf()");
    while server.sql("postgres", "SHOW synchronous_standby_names").is_empty() {}
    let mut shared = shared(&format!("postgres://plain@127.0.0.1:{}/{}", server.port(), database.name));
    shared.options.replicas = 1;
    let error = Postgres::open(&shared, clock()).await.expect_err("nobody there").to_string();
    for part in ["waits for 1 of", "ANY 1 (second)", "0 of them", "start the standbys"] {
        assert!(error.contains(part), "{error}");
    }
    let _second: &Server = Box::leak(Box::new(Server::standby_of(server, "second")));
    // This role may not see the standby's name, but that there is one.
    Postgres::open(&shared, clock()).await.expect("opened");
}

#[tokio::test]
async fn tables_that_are_not_as_they_must_be_are_refused() {
    let database = Database::fresh();
    drop(database.open().await.expect("opened"));
    database.sql("ALTER TABLE loopkey.marks SET UNLOGGED");
    let error = refusal(&database).await;
    assert!(error.contains("loopkey.marks is unlogged") && error.contains("SET LOGGED"), "{error}");
    database.sql("ALTER TABLE loopkey.marks SET LOGGED");
    database.sql("UPDATE loopkey.schema_version SET version = 99");
    let error = refusal(&database).await;
    assert!(error.contains("schema version 99") && error.contains("start a newer Loopkey"), "{error}");
    let latin = database.server.database();
    database.sql(&format!("DROP DATABASE {latin}"));
    database.sql(&format!("CREATE DATABASE {latin} ENCODING 'SQL_ASCII' TEMPLATE template0"));
    let latin = Database { server: database.server, name: latin };
    assert!(refusal(&latin).await.contains("server_encoding is SQL_ASCII"));
}

#[tokio::test]
async fn a_clock_that_is_not_the_servers_is_refused() {
    let database = Database::fresh();
    let clock = clock();
    clock.advance(Duration::from_secs(20));
    Postgres::open(&database.shared(), clock.clone()).await.expect("a warning");
    clock.advance(Duration::from_secs(40));
    let error = Postgres::open(&database.shared(), clock).await.expect_err("refused").to_string();
    assert!(error.contains("clock differs") && error.contains("NTP"), "{error}");
}

#[tokio::test]
async fn the_sealing_secret_must_be_there_and_the_same() {
    let database = Database::fresh();
    let mut other = database.shared();
    other.options.sealing_secret = None;
    let error = Postgres::open(&other, clock()).await.expect_err("none").to_string();
    assert!(error.contains("secret_file"), "{error}");
    let store = database.open().await.expect("opened");
    let keys = store.challenge_signers(Algorithm::Es256).await.expect("keys").public();
    other.options.sealing_secret = Some(Secret::new("another secret of thirty-two bytes".to_owned()));
    let error = Postgres::open(&other, clock()).await.expect_err("another");
    assert!(matches!(error, PostgresError::WrongSecret(1)), "{error}");
    assert!(error.to_string().contains("secret_file"), "{error}");
    let again = database.open().await.expect("the same secret");
    assert_eq!(again.challenge_signers(Algorithm::Es256).await.expect("keys").public(), keys);
    let stored: serde_json::Value =
        serde_json::from_str(&database.sql("SELECT key FROM loopkey.challenge_keys")).expect("JSON");
    let sealed = base64url::decode(stored["sealed"].as_str().expect("text")).expect("base64url");
    // The start of every PKCS#8 document of a P-256 key.
    let readable = sealed.windows(10).any(|part| part == b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
    assert!(!readable, "the key is not there for everybody to read");
    // Dated back, it would sign before everybody knew it.
    database.sql("UPDATE loopkey.challenge_keys SET key = jsonb_set(key::jsonb, '{made_at}', '7')");
    let error = database.open().await.expect_err("not what was sealed");
    assert!(matches!(error, PostgresError::WrongSecret(1)), "{error}");
    // A secret that is lost, as docs/operations.md says: without the sealed keys, new ones are made under a new secret.
    database.sql("DELETE FROM loopkey.challenge_keys");
    let anew = Postgres::open(&other, clock()).await.expect("another secret");
    assert_ne!(anew.challenge_signers(Algorithm::Es256).await.expect("keys").public(), keys);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_knows_us_not_is_named_without_the_password() {
    let server = Database::fresh().server;
    for (url, part) in [
        // Nothing listens on the discard port.
        ("postgres://loopkey:hunter2@127.0.0.1:9/d".to_owned(), "127.0.0.1:9 is out of reach"),
        (format!("postgres://nobody:hunter2@127.0.0.1:{}/postgres", server.port()), "\"nobody\" does not exist"),
        (format!("postgres://postgres:hunter2@127.0.0.1:{}/gone", server.port()), "\"gone\" does not exist"),
    ] {
        let error = open(&StoreUrl::Postgres(shared(&url)), clock()).await.expect_err(&url);
        assert!(matches!(error, OpenError::Postgres(_)), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_socket_file_and_a_password_beside_the_address_are_good() {
    let database = Database::fresh();
    let folder = database.server.folder().display().to_string().replace('/', "%2F");
    let url = format!("postgres://postgres@{folder}:{}/{}", database.server.port(), database.name);
    let mut shared = shared(&url);
    shared.options.password = Some(Secret::new("not asked for".to_owned()));
    let store = Postgres::open(&shared, clock()).await.expect("opened");
    store.ping().await.expect("answers");
}
