//! Notes and the store's life, and their sweeping.

use std::time::Duration;

use super::super::testing::{Database, clock};
use super::super::{Postgres, sweep};
use crate::clock::Clock as _;
use crate::store::{NoteKey, NoteKind, NoteValue, Store as _};

const KIND: NoteKind = NoteKind::new("test");

fn value(text: &str) -> NoteValue {
    NoteValue::try_from(text.to_owned()).expect("a note")
}

/// A promotion could bring back a note that was taken, and a dump surely does.
#[tokio::test]
async fn a_note_ends_with_the_stores_life() {
    let (database, clock) = (Database::fresh(), clock());
    let store = Postgres::open(&database.shared(), clock.clone()).await.expect("opened");
    let (note, until) = (NoteKey::of(KIND, b"one"), clock.timestamp().plus(120));
    assert!(store.keep_note(&note, value("before"), until).await.expect("store"));
    let found = store.note(&note).await.expect("store").expect("there");
    database.sql("TRUNCATE loopkey.marks");
    assert_eq!(store.note(&note).await.expect("store"), None);
    assert_eq!(store.take_note(&note).await.expect("store"), None);
    assert!(!store.change_note(&note, found.version, value("x"), until).await.expect("store"));
    // What is known of the life is looked at each second.
    clock.advance(Duration::from_secs(1));
    assert!(store.keep_note(&note, value("after"), until).await.expect("store"), "in the other's place");
    assert_eq!(store.take_note(&note).await.expect("store"), Some(value("after")));
}

#[tokio::test]
async fn notes_that_ended_are_dropped() {
    let (database, clock) = (Database::fresh(), clock());
    let store = Postgres::open(&database.shared(), clock.clone()).await.expect("opened");
    for (secret, until) in [(b"old", clock.timestamp().0 - 10), (b"new", clock.timestamp().0 + 120)] {
        let until = crate::protocol::time::Timestamp(until);
        assert!(store.keep_note(&NoteKey::of(KIND, secret), value("x"), until).await.expect("store"));
    }
    sweep::round(&store.pool, clock.as_ref()).await.expect("swept");
    assert_eq!(database.sql("SELECT count(*) FROM loopkey.notes"), "1");
}
