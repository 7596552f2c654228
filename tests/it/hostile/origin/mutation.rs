//! A02: whatever is done to an allowed origin, what is not that origin byte for byte is not admitted.

use loopkey::protocol::gate::Gate;
use loopkey::protocol::head::RequestHead;
use loopkey::protocol::origin::AllowedOrigins;
use loopkey::protocol::peer::OwnUser;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::head::gatehouse::{Gatehouse, PAGE};
use super::super::raw::upgrade;

/// They contain each other as prefix, suffix and neighbour, so that one mutation can lead from one to another.
const ALLOWED: [&str; 5] = [
    PAGE,
    "https://desk.example.com:8443",
    "https://esk.example.com",
    "https://desk.example.co",
    "https://sub.desk.example.com",
];

/// What an attacker puts before, behind or between.
const PIECES: [&str; 26] = [
    ".evil.example",
    "evil",
    "evil.",
    "-",
    ".",
    "/",
    "\\",
    "@",
    "user:secret@",
    "?",
    "#",
    "*",
    "%2e",
    "%00",
    ":443",
    ":80",
    ":8443",
    " ",
    "\t",
    ",",
    ", ",
    "\0",
    "\"",
    "https://",
    "http://",
    "null",
];

/// Characters that some reader or other takes for one of an origin's.
const CONFUSABLES: [(char, &[&str]); 9] = [
    ('.', &["\u{ff0e}", "\u{3002}", "\u{ff61}", "%2e", ",", "\u{2024}"]),
    ('k', &["\u{212a}", "K", "\u{3ba}", "\u{43a}"]),
    ('s', &["\u{17f}", "S", "\u{455}"]),
    ('e', &["\u{435}", "E", "\u{e9}", "e\u{301}"]),
    ('a', &["\u{430}", "A", "\u{251}"]),
    ('/', &["\u{ff0f}", "\u{2044}", "\\"]),
    (':', &["\u{ff1a}", "\u{2236}", ";"]),
    ('o', &["0", "\u{43e}", "\u{ff4f}"]),
    ('m', &["rn", "M", "\u{ff4d}"]),
];

#[derive(Debug, Clone)]
enum Change {
    Insert(u8),
    Delete,
    Replace(u8),
    SwapWithNext,
    FlipCase,
    PercentEncode,
    Confuse(prop::sample::Index),
    Cut,
    InsertPiece(&'static str),
    Prepend(&'static str),
    Append(&'static str),
    PrependLabel,
    Join(&'static str, &'static str),
    Reverse,
}

fn changes() -> impl Strategy<Value = Change> {
    let piece = || prop::sample::select(&PIECES[..]);
    prop_oneof![
        any::<u8>().prop_map(Change::Insert),
        Just(Change::Delete),
        any::<u8>().prop_map(Change::Replace),
        Just(Change::SwapWithNext),
        Just(Change::FlipCase),
        Just(Change::PercentEncode),
        any::<prop::sample::Index>().prop_map(Change::Confuse),
        Just(Change::Cut),
        piece().prop_map(Change::InsertPiece),
        piece().prop_map(Change::Prepend),
        piece().prop_map(Change::Append),
        Just(Change::PrependLabel),
        (piece(), prop::sample::select(&ALLOWED[..])).prop_map(|(between, other)| Change::Join(between, other)),
        Just(Change::Reverse),
    ]
}

/// Changes a text at a place; the place is taken modulo its length.
fn change(text: &mut Vec<u8>, change: &Change, at: prop::sample::Index) {
    let at = if text.is_empty() { 0 } else { at.index(text.len()) };
    let here = text.get(at).copied();
    let splice =
        |text: &mut Vec<u8>, len: usize, new: &[u8]| drop(text.splice(at..(at + len).min(text.len()), new.to_vec()));
    match change {
        Change::Insert(byte) => text.insert(at, *byte),
        Change::Delete => splice(text, 1, b""),
        Change::Replace(byte) => splice(text, 1, &[*byte]),
        Change::SwapWithNext if at + 1 < text.len() => text.swap(at, at + 1),
        Change::SwapWithNext => {}
        Change::FlipCase => {
            if let Some(byte) = text.get_mut(at).filter(|byte| byte.is_ascii_alphabetic()) {
                *byte ^= 0x20;
            }
        }
        Change::PercentEncode => splice(text, 1, format!("%{:02x}", here.unwrap_or_default()).as_bytes()),
        Change::Confuse(which) => {
            let twins = CONFUSABLES.iter().find(|(letter, _)| here == u8::try_from(*letter).ok());
            twins.into_iter().for_each(|(_, twins)| splice(text, 1, which.get(twins).as_bytes()));
        }
        Change::Cut => text.truncate(at),
        Change::InsertPiece(piece) => splice(text, 0, piece.as_bytes()),
        Change::Prepend(piece) => drop(text.splice(0..0, piece.bytes())),
        Change::Append(piece) => text.extend(piece.bytes()),
        Change::PrependLabel => {
            let host = text.windows(3).position(|three| three == b"://").map_or(0, |scheme| scheme + 3);
            drop(text.splice(host..host, *b"sub."));
        }
        Change::Join(between, other) => text.extend(between.bytes().chain(other.bytes())),
        Change::Reverse => text.reverse(),
    }
}

/// Allowed origins with none to three changes.
fn mutants() -> impl Strategy<Value = Vec<u8>> {
    let steps = prop::collection::vec((changes(), any::<prop::sample::Index>()), 0..4);
    (prop::sample::select(&ALLOWED[..]), steps).prop_map(|(origin, steps)| {
        let mut text = origin.as_bytes().to_vec();
        for (step, at) in &steps {
            change(&mut text, step, *at);
        }
        text
    })
}

fn list() -> AllowedOrigins {
    ALLOWED.iter().map(|origin| origin.parse().expect("an origin")).collect()
}

fn is_allowed(text: &[u8]) -> bool {
    ALLOWED.iter().any(|origin| origin.as_bytes() == text)
}

/// A sound upgrade with these bytes for its origin.
fn head(port: u16, origin: &[u8]) -> Vec<u8> {
    let sound = upgrade(port, "ORIGIN");
    let (before, behind) = sound.split_once("ORIGIN").expect("the origin's place");
    [before.as_bytes(), origin, behind.as_bytes()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a02_a_mutated_origin_is_not_on_the_list(mutant in mutants()) {
        let admitted = list().admit(&mutant);
        prop_assert_eq!(admitted.is_some(), is_allowed(&mutant));
        // What is admitted is what was sent, and not another entry of the list.
        if let Some(admitted) = admitted {
            prop_assert_eq!(admitted.origin().as_str().as_bytes(), mutant);
        }
    }

    #[test]
    fn a02_a_mutated_origin_does_not_pass_the_gate(mutant in mutants()) {
        // A line feed would end the header: what follows is another header, and the origin a shorter one.
        prop_assume!(!mutant.contains(&b'\n'));
        let gate = Gate::new(28970, list());
        let parsed = RequestHead::parse(&head(28970, &mutant)).ok().flatten();
        let admitted = parsed.and_then(|head| gate.admit(&head, OwnUser::taken_on_trust()).ok());
        prop_assert_eq!(admitted.is_some(), is_allowed(&mutant));
    }
}

/// A sample of the same over the wire.
#[tokio::test]
async fn a02_a_mutated_origin_opens_no_socket() {
    let house = Gatehouse::built(
        |settings| {
            for origin in &ALLOWED[1..] {
                let origin = origin.parse().expect("an origin");
                settings.origins.push(loopkey::agent::OriginSettings { origin, ..settings.origins[0].clone() });
            }
        },
        |builder| builder,
    )
    .await;
    let (mut runner, mutants) = (TestRunner::deterministic(), mutants());
    let (mut refused, mut admitted) = (0, 0);
    for _ in 0..600 {
        let mutant = mutants.new_tree(&mut runner).expect("a mutant").current();
        if mutant.contains(&b'\n') {
            continue;
        }
        if is_allowed(&mutant) {
            assert!(house.answer_to(head(house.port(), &mutant)).await.starts_with("HTTP/1.1 101 "));
            admitted += 1;
        } else {
            house.refuses(head(house.port(), &mutant)).await;
            refused += 1;
        }
    }
    assert!(refused > 300 && admitted > 50, "{refused} refused, {admitted} admitted");
    house.serves_and_stops().await;
}
