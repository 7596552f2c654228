//! Notes and the store's life, and how long the server keeps them.

use super::*;
use crate::store::{NoteKey, NoteKind, NoteValue};

/// A failover could bring back a note that was taken.
#[tokio::test]
async fn a_note_ends_with_the_stores_life() {
    let server = RedisServer::start(&[]);
    let store = opened(&server.url()).await;
    let value = |text: &str| NoteValue::try_from(text.to_owned()).expect("a note");
    let (note, until) = (NoteKey::of(NoteKind::new("test"), b"one"), clock().timestamp().plus(120));
    assert!(store.keep_note(&note, value("before"), until).await.expect("store"));
    let kept: u64 = server.say(&format!("TTL {{loopkey}}:note:{}", note.as_str())).parse().expect("a number");
    assert!((3600..3600 + 121).contains(&kept), "{kept}");
    let found = store.note(&note).await.expect("store").expect("there");
    server.say("SET {loopkey}:life another");
    assert_eq!(store.note(&note).await.expect("store"), None);
    assert!(!store.change_note(&note, found.version, value("x"), until).await.expect("store"));
    assert!(store.keep_note(&note, value("after"), until).await.expect("store"), "in the other's place");
    server.say("SET {loopkey}:life yet-another");
    assert_eq!(store.take_note(&note).await.expect("store"), None);
}
