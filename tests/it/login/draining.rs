//! `loopkey serve` is told to stop under load, and no request is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::ORIGIN;
use super::http::Call;
use super::keep_alive::{KeptConnection, closes};
use super::program::Program;
use crate::commands::until;

/// Connections at a time.
const CLIENTS: usize = 48;
/// Of them, in the middle of a body when the signal comes.
const SLOW: usize = 8;

#[derive(Default)]
struct Count {
    begun: AtomicUsize,
    answered: AtomicUsize,
    /// What a balancer knows from `/readyz`.
    gone: AtomicBool,
}

impl Count {
    fn answered(&self) -> usize {
        self.answered.load(SeqCst)
    }
}

fn challenge() -> Call {
    Call::new("POST", "/v1/challenge").header("Origin", ORIGIN).json(&json!({}))
}

/// Asks as fast as it is answered, on one connection for as long as the server keeps it; stays away once the balancer knows.
async fn hurry(program: Arc<Program>, count: Arc<Count>) {
    while !count.gone.load(SeqCst) {
        let mut connection =
            KeptConnection::open(program.address).await.expect("accepted while it is not said otherwise");
        loop {
            count.begun.fetch_add(1, SeqCst);
            let answer = connection.ask(&challenge()).await.expect("a whole answer");
            assert_eq!(answer.status, 200, "{answer:?}");
            count.answered.fetch_add(1, SeqCst);
            if closes(&answer) {
                assert!(connection.is_over().await);
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_was_begun_is_answered_in_full() {
    let limits = "store = \"memory:\"\ndrain_seconds = 1\n[limits]\naddress_per_minute = 1000000";
    let program = Arc::new(Program::start(limits).await);
    let count = Arc::new(Count::default());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS - SLOW {
        clients.spawn(hurry(Arc::clone(&program), Arc::clone(&count)));
    }
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut connection = KeptConnection::open(program.address).await.expect("accepted");
        let request = challenge().bytes("keep-alive");
        let (now, later) = request.split_at(request.len() - 1);
        connection.send(now).await.expect("sent");
        slow.push((connection, later.to_vec()));
    }
    let mut idle = KeptConnection::open(program.address).await.expect("accepted");
    assert!(!closes(&idle.ask(&challenge()).await.expect("an answer")));
    until("load", || async { count.answered() > 20 * CLIENTS }).await;

    let before = count.answered();
    program.signal("TERM");
    until("a server that says it leaves", || async { !program.is_ready().await }).await;
    // It is known to nobody else yet: everything goes on.
    let latecomer = Call::new("GET", "/healthz").send(program.address).await;
    assert_eq!((latecomer.status, closes(&latecomer)), (200, true));
    until("more of the load", || async { count.answered() > before + CLIENTS }).await;
    count.gone.store(true, SeqCst);
    while let Some(client) = clients.join_next().await {
        client.expect("no request was lost");
    }
    assert!(idle.is_over().await, "closed, and nothing else");
    until("nobody accepts", || async { TcpStream::connect(program.address).await.is_err() }).await;
    for (mut connection, rest) in slow {
        connection.send(&rest).await.expect("sent");
        let answer = connection.answer().await.expect("a whole answer to a request that was begun long before");
        assert_eq!((answer.status, closes(&answer)), (200, true));
    }
    let mut program = Arc::into_inner(program).expect("nobody else holds it");
    let status = tokio::time::timeout(Duration::from_secs(5), program.ended()).await.expect("the end");
    assert_eq!(status.code(), Some(0));
    let (begun, answered) = (count.begun.load(SeqCst), count.answered());
    println!("{begun} requests begun by {CLIENTS} clients, {answered} answered, {SLOW} of them slow: none lost");
    assert_eq!(begun, answered);
}
