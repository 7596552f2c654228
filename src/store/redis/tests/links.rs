//! Connections that fail in the middle, and servers that change while they are in use.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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
    let look = r#"EVAL "return redis.call('INFO', 'persistence'):match('changes_since_last_save:(%d+)')" 0"#;
    let changes = || primary.say(look).parse::<u64>().expect("a number");
    let before = changes();
    assert!(!store.end_session(&parsed("ada"), SessionKey::of(&Secret::new([0; 32]))).await.expect("store"));
    assert!(changes() > before);
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

/// A server that greets, and then says nothing: how many connections it had.
async fn mute_server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (port, greeted) = (listener.local_addr().expect("an address").port(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&greeted);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut heard = [0; 4096];
                while let Ok(1..) = stream.read(&mut heard).await.inspect(|len| heard[*len..].fill(0)) {
                    let text = String::from_utf8_lossy(&heard);
                    // Each command is an array of bulk texts.
                    let commands = text.matches("\r\n*").count() + usize::from(text.starts_with('*'));
                    if !text.contains("INFO\r\n") || text.contains("SETINFO") {
                        let answer = "+OK\r\n".repeat(commands);
                        stream.write_all(answer.as_bytes()).await.expect("written");
                    }
                }
            });
        }
    });
    (port, greeted)
}

#[tokio::test]
async fn a_server_that_says_nothing_on_a_new_connection_is_given_up() {
    let (port, greeted) = mute_server().await;
    let link = Link::new(Arc::new(Target::new(&shared(&format!("redis://127.0.0.1:{port}/0"))).expect("an address")));
    for attempt in 1..=2 {
        let long = Duration::from_secs(60);
        let started = tokio::time::Instant::now();
        let call = recovered(async || {
            let call = link.call(long, async |_| Ok(())).await;
            // What is told until the next attempt is due.
            Some(call).filter(|_| greeted.load(Ordering::SeqCst) >= attempt)
        });
        let error = call.await.expect_err("no connection").to_string();
        assert!(error.contains("no connection within 3 s"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(20), "and not after the whole minute");
    }
}

#[tokio::test]
async fn nobody_waits_for_another_ones_look_at_the_incarnation() {
    let server = RedisServer::start(&[]);
    let (store, other) = (opened(&server.url()).await, opened(&server.url()).await);
    server.signal("STOP");
    // One after the other would take a deadline each.
    let started = tokio::time::Instant::now();
    let looks = futures::future::join_all((0..5).map(|_| store.incarnation())).await;
    assert!(looks.iter().all(Result::is_err));
    let took = started.elapsed();
    assert!(took >= DEADLINE && took < DEADLINE * 2, "{took:?}");
    server.signal("CONT");
    // A mark of another life is refused at once, also while somebody looks for a long time.
    let stale: Incarnation = parsed("another-life");
    recovered(async || other.incarnation().await.ok()).await;
    let looking = other.marks.incarnation.lock().await;
    let marked = tokio::time::timeout(DEADLINE, mark(&other, &challenge(), &stale)).await;
    assert_eq!(marked.expect("in time"), Some(MarkError::Stale));
    drop(looking);
}

#[tokio::test]
async fn a_server_that_is_set_to_throw_marks_away_is_not_used_any_more() {
    let server = RedisServer::start(&[]);
    let store = opened(&server.url()).await;
    let incarnation = store.incarnation().await.expect("store");
    store.ping().await.expect("ready");
    server.say("CONFIG SET maxmemory-policy allkeys-lru");
    let error = store.ping().await.expect_err("not ready").to_string();
    assert!(error.contains("maxmemory-policy is \"allkeys-lru\"") && error.contains("noeviction"), "{error}");
    assert_eq!(mark(&store, &challenge(), &incarnation).await, Some(MarkError::Unavailable));
    assert!(write(&store, "ada").await.is_err());
    server.say("CONFIG SET maxmemory-policy noeviction");
    recovered(async || store.ping().await.ok()).await;
    assert_eq!(mark(&store, &challenge(), &incarnation).await, None);
}
