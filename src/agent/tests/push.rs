//! What is written to a socket, by whom, and in how many pieces.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::protocol::id::Subject;
use crate::protocol::state::PresenceState;

/// The agent's end of a connection, which counts what it is asked to write.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Each round trip costs a page more than all that the agent does.
#[tokio::test(start_paused = true)]
async fn the_answer_to_the_upgrade_and_hello_leave_in_one_write() {
    let house = house();
    let (mut page, stream) = tokio::io::duplex(STREAM_LEN);
    let writes = Arc::new(AtomicUsize::new(0));
    let agent = Counted { stream, writes: Arc::clone(&writes) };
    let (doorman, nowhere) = (Arc::clone(&house.doorman), SocketAddr::from(([127, 0, 0, 1], 0)));
    let line = Line { peers: Arc::new(peer::Off), page: nowhere, agent: nowhere };
    tokio::spawn(async move { see_through(doorman.let_in(agent, OwnUser::taken_on_trust(), line)).await });
    page.write_all(HEAD.as_bytes()).await.expect("written");
    let first = read_until(&mut page, "hello").await;
    assert!(first.starts_with(b"HTTP/1.1 101 ") && first.ends_with(b"\"}"), "{}", String::from_utf8_lossy(&first));
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

/// Somebody who is enrolled and signed in, and a page of theirs that has heard `ready`.
struct Stage {
    house: House,
    subject: Subject,
    page: DuplexStream,
}

impl Stage {
    async fn new() -> Self {
        let house = house();
        let subject = house.sign_in();
        let mut page = house.open().await;
        read_until(&mut page, "ready").await;
        Self { house, subject, page }
    }

    fn set(&self, presence: PresenceState) -> u64 {
        self.house.hub().set_presence(&self.subject, presence).expect("set").0
    }

    /// What is there to be read without anything else having run.
    fn there(&mut self) -> String {
        let mut bytes = vec![0; STREAM_LEN];
        let read = self.page.read(&mut bytes).now_or_never().map_or(0, |read| read.expect("readable"));
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }
}

/// The numbers of the states in what a page has read.
fn numbers(read: &str) -> Vec<u64> {
    let after = read.split("\"state\",\"seq\":").skip(1);
    after.map(|rest| rest.split(',').next().and_then(|n| n.parse().ok()).expect("a number")).collect()
}

#[tokio::test(start_paused = true)]
async fn whoever_sets_the_presence_writes_it_to_the_pages_and_their_tasks_do_not_repeat_it() {
    let mut stage = Stage::new().await;
    let first = stage.set(PresenceState::Away);
    assert_eq!(numbers(&stage.there()), [first], "without the socket's task having run");
    // The task takes the state in when it wakes, here for a message; the page has it already.
    stage.page.write_all(&frame(r#"{"type":"prove","id":1,"challenge":"c"}"#)).await.expect("written");
    let answer = read_until(&mut stage.page, "refused").await;
    assert_eq!(numbers(&String::from_utf8_lossy(&answer)), [0; 0]);
    let second = stage.set(PresenceState::SignedIn);
    assert_eq!(numbers(&stage.there()), [second]);
}

/// While a page has something under way, a state is its task's to send: what it means to that comes with it, in order.
#[tokio::test(start_paused = true)]
async fn a_socket_with_something_to_do_is_told_by_its_own_task() {
    let mut stage = Stage::new().await;
    stage.page.write_all(&frame(r#"{"type":"prove","id":1,"challenge":"c"}"#)).await.expect("written");
    // The issuer is nowhere: reading the challenge takes a while.
    tokio::task::yield_now().await;
    let first = stage.set(PresenceState::Away);
    assert_eq!(stage.there(), "", "not by whoever published it");
    assert_eq!(numbers(&String::from_utf8_lossy(&read_until(&mut stage.page, "away").await)), [first]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_does_not_read_gets_the_newest_state_and_no_backlog() {
    let mut stage = Stage::new().await;
    let mut newest = 0;
    for round in 0..2000 {
        newest = stage.set(if round % 2 == 0 { PresenceState::Away } else { PresenceState::SignedIn });
    }
    let began = Instant::now();
    let read = read_until(&mut stage.page, &format!("\"seq\":{newest},")).await;
    assert_eq!(began.elapsed(), Duration::ZERO, "as soon as there is room, and not with the next heartbeat");
    let numbers = numbers(&String::from_utf8_lossy(&read));
    let (last, backlog) = numbers.split_last().expect("states");
    assert_eq!(*last, newest);
    // What fits the stream, one that was begun, and then the newest.
    assert!(backlog.len() < STREAM_LEN / 80, "{} states were kept for it", backlog.len());
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert_eq!(stage.there(), "");
}

#[tokio::test(start_paused = true)]
async fn a_socket_hears_that_its_grant_is_withdrawn_and_that_the_agent_stops() {
    let mut stage = Stage::new().await;
    stage.house.doorman.core.revoke(&"https://other.example".parse().expect("an origin"));
    stage.house.doorman.core.revoke(&"https://app.example".parse().expect("an origin"));
    stage.set(PresenceState::Locked);
    let (rest, _) = until_closed(&mut stage.page).await;
    assert_eq!(close_code(&rest), Some(4403));
    assert_eq!(rest.len(), 4, "and nothing else that came about since");
    let mut page = stage.house.open().await;
    read_until(&mut page, "ready").await;
    stage.house.doorman.core.ring(None, crate::agent::audience::Ring::Stopping);
    let (rest, _) = until_closed(&mut page).await;
    assert_eq!(close_code(&rest), Some(1001));
}
