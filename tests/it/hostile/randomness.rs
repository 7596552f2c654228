//! A24: what is secret is random, and comes from the one source that is meant for it.

use std::collections::HashSet;
use std::path::Path;

use loopkey::protocol::base64url;
use serde_json::Value;

use super::raw::{Raw, masked};
use crate::house::sources;
use crate::login::Server;
use crate::login::device::{read, ticket};
use crate::support::world::World;

/// Whether bytes look drawn at random. With 8192 bytes each bit is set 4096 ± 268 times, and each value of a byte comes
/// up 32 ± 34 times, but once in many millions of runs (six standard deviations).
fn assert_random(what: &str, values: &[Vec<u8>]) {
    let distinct: HashSet<_> = values.iter().collect();
    assert_eq!(distinct.len(), values.len(), "{what} comes twice");
    let bytes: Vec<u8> = values.concat();
    let n = bytes.len() as f64;
    for bit in 0..8 {
        let set = bytes.iter().filter(|byte| *byte >> bit & 1 == 1).count() as f64;
        assert!((set - n / 2.0).abs() < 6.0 * (n / 4.0).sqrt(), "{what}: bit {bit} is set {set} times of {n}");
    }
    let mut counts = [0_f64; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1.0);
    let most = counts.iter().copied().fold(0.0, f64::max);
    assert!(most < n / 256.0 + 7.0 * (n / 256.0).sqrt() + 4.0, "{what}: a byte comes {most} times of {n}");
    // The same at each place of the value: nothing of it stands still or counts.
    for at in 0..values[0].len() {
        let column: HashSet<_> = values.iter().map(|value| value[at]).collect();
        assert!(column.len() > values.len().min(256) / 3, "{what}: byte {at} has {} values", column.len());
    }
}

#[tokio::test]
async fn a24_challenges_cookies_and_tickets_are_random() {
    let server = Server::start().await;
    let (mut challenges, mut cookies, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..256 {
        let mut browser = server.browser();
        challenges.push(read(&browser.challenge().await).jti.as_bytes().to_vec());
        let cookie = browser.cookies.into_values().next().expect("a cookie");
        cookies.push(base64url::decode(&cookie).expect("base64url"));
        tickets.push(ticket(&server, "ada").await.as_bytes().to_vec());
    }
    assert_random("a challenge", &challenges);
    assert_random("a cookie", &cookies);
    assert_random("a ticket", &tickets);
}

#[tokio::test]
async fn a24_nonces_of_hello_are_random() {
    let world = World::new().await;
    let mut nonces = Vec::new();
    for _ in 0..256 {
        let mut page = Raw::upgraded(world.agent.handle.port(), world.server.issuer.origin().as_str()).await;
        let (_, hello) = page.frame().await.expect("hello");
        let hello: Value = serde_json::from_slice(&hello).expect("JSON");
        nonces.push(base64url::decode(hello["nonce"].as_str().expect("a nonce")).expect("base64url"));
        // Only so many sockets may be unopened at a time.
        page.say(masked(0x88, &1000_u16.to_be_bytes())).await;
        assert_eq!(page.closed().await, Some(1000));
    }
    assert_random("a nonce", &nonces);
}

#[test]
fn a24_the_test_of_randomness_fails_for_what_is_not() {
    let counter: Vec<_> = (0..256_u32).map(|n| [&[7; 28][..], &n.to_be_bytes()].concat()).collect();
    assert!(std::panic::catch_unwind(|| assert_random("a counter", &counter)).is_err());
    let letters: Vec<_> = (0..256).map(|_| base64url::encode(loopkey::crypto::random::<24>()).into_bytes()).collect();
    assert!(std::panic::catch_unwind(|| assert_random("text", &letters)).is_err());
    let twice = vec![loopkey::crypto::random::<32>().to_vec(); 2];
    assert!(std::panic::catch_unwind(|| assert_random("a repetition", &twice)).is_err());
}

/// ring's source has one door (`house::ring_has_one_door`); every other source stays out, but for the times of retries.
#[test]
fn a24_no_other_source_of_randomness_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = ["rand::", "rand_core", "thread_rng", "getrandom", "fastrand", "oorandom", "RandomState", "urandom"];
    let mut found = Vec::new();
    for file in sources(&root.join("src")) {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let uses = code.filter(|line| !line.contains("ring::rand::"));
        let uses = uses.filter(|line| others.iter().any(|other| line.contains(other))).count();
        if uses > 0 && !file.ends_with("agent/issuer/errands.rs") {
            found.push(file);
        }
    }
    for entry in std::fs::read_dir(root.join("web")).expect("the browser library") {
        let file = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        // The page's only dice are for waiting times; what is secret it gets from the agent and the login server.
        if text.contains("Math.random") && !file.ends_with("environment.js") {
            found.push(file);
        }
    }
    assert!(found.is_empty(), "take random bytes from crypto::random: {found:#?}");
}
