//! Connections that fail in the middle, and servers that change while they are in use.

use super::*;
use crate::crypto::SoftwareKey;
use crate::protocol::id::Epoch;
use crate::store::SessionKey;

#[tokio::test]
async fn what_was_done_before_is_not_acknowledged_without_the_replicas() {
    let primary = RedisServer::start(&[]);
    let replica = primary.replica();
    let mut promised = shared(&primary.url());
    promised.options.replicas = 1;
    let store = open(&promised).await.expect("opened");
    let ticket = TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random()));
    store.issue_ticket(ticket, profile("ada")).await.expect("store").expect("a ticket");
    let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
    let name = DisplayName::clean("laptop").expect("name");
    let device = store.enrol(ticket, crypto::Signer::public(&key).clone(), name).await.expect("store");
    let device = device.expect("enrolled").device;
    replica.signal("STOP");
    // The first try did it on the primary. A second finds it done, on this connection and on another.
    let again = open(&promised).await.expect("opened");
    for store in [&store, &store, &again] {
        let error = store.raise_epoch(&device, Epoch(1)).await.expect_err("not acknowledged").to_string();
        assert!(error.contains("0 of 1 replicas"), "{error}");
    }
    replica.signal("CONT");
    let raised = recovered(async || again.raise_epoch(&device, Epoch(1)).await.ok()).await;
    assert!(!raised, "it was done before, and the replica has it");
    // Servers before 7.2 wait in any case; that something is written is what later ones need.
    let offset =
        || primary.say("EVAL \"return redis.call('INFO', 'replication'):match('master_repl_offset:(%d+)')\" 0");
    let before: u64 = offset().parse().expect("a number");
    assert!(!store.end_session(&parsed("ada"), SessionKey::of(&Secret::new([0; 32]))).await.expect("store"));
    assert!(offset().parse::<u64>().expect("a number") > before);
}

#[tokio::test]
async fn a_crowd_shares_a_wait_that_was_in_vain() {
    let primary = RedisServer::start(&[]);
    let replica = primary.replica();
    let mut promised = shared(&primary.url());
    promised.options.replicas = 1;
    let store = open(&promised).await.expect("opened");
    write(&store, "ada").await.expect("acknowledged");
    replica.signal("STOP");
    let started = tokio::time::Instant::now();
    let crowd = futures::future::join_all((0..50).map(|_| write(&store, "ada"))).await;
    for outcome in crowd {
        let error = outcome.expect_err("not acknowledged").to_string();
        assert!(error.contains("0 of 1 replicas"), "and not that nobody answered: {error}");
    }
    assert!(started.elapsed() < DEADLINE, "a second or two, not one for each");
    replica.signal("CONT");
    recovered(async || write(&store, "ada").await.ok()).await;
}
