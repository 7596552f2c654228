//! A thousand hostile connections at once, and the honest page beside them.
//!
//! The agent is the real program in a process of its own, so that its memory can be told from the attackers'.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loopkey::agent::control;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::raw::{Raw, masked, text, upgrade};
use crate::support::memory;
use crate::support::places::free_places;
use crate::support::world::{Server, TestBrowser, TestPage};

/// Hostile connections, each made again as soon as it ends.
const ATTACKERS: usize = 1_000;
/// What the agent may use of memory of its own at its worst, in KiB.
const CEILING_KIB: u64 = 16 * 1024;
/// Kinds of harm.
const KINDS: usize = 11;
/// Those that need an open socket for it.
const INSIDE: [usize; 5] = [0, 7, 8, 9, 10];
/// An allowed origin that has gone bad.
pub(super) const TRAITOR: &str = "http://localhost:9";

/// The agent's process, and a client of it.
pub(super) struct Fortress {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Fortress {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Fortress {
    pub(super) async fn build(server: &Server) -> (Self, control::rpc::Peer, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_places().agent[0];
        let issuer = &server.issuer;
        let settings = format!(
            "ports = [{port}]\nstate_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\nallow_root = true\n\
             [[issuer]]\nurl = \"{issuer}\"\n\
             [[origin]]\norigin = \"{issuer}\"\nissuer = \"{issuer}\"\n\
             [[origin]]\norigin = \"{TRAITOR}\"\nissuer = \"{issuer}\"\ngrants = [\"presence\"]\nproof = \"origin\"\n"
        );
        std::fs::write(folder.path().join("agent.toml"), settings).expect("written");
        let mut agent = Command::new(env!("CARGO_BIN_EXE_loopkey"));
        agent.args(["agent", "--config", "agent.toml"]).current_dir(folder.path()).env("LOOPKEY_LOG", "warn");
        let process = agent.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the agent starts");
        let client = reach(&folder.path().join("control.sock")).await;
        let enrolment = json!({"issuer": issuer, "ticket": server.ticket("ada").await});
        let enrolled = client.call("account.enrol", &enrolment).await.expect("enrolled");
        let account = enrolled["account"].as_str().expect("an account").to_owned();
        (Self { process, port, _folder: folder }, client, account)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// The memory that the agent has of its own now, in KiB.
    pub(super) fn memory_kib(&self) -> u64 {
        memory::own_kib(self.process.id())
    }
}

/// Tries until the agent is there; the deadline is far beyond anything that is not broken.
async fn reach(path: &Path) -> control::rpc::Peer {
    let started = Instant::now();
    loop {
        if let Ok((peer, _incoming, driver)) = control::connect(path).await {
            tokio::spawn(driver);
            return peer;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the agent does not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One connection's worth of harm, until the agent ends it. Counts those that opened a socket for it.
async fn attack(kind: usize, port: u16, arrived: &AtomicU64) {
    let socket = TcpSocket::new_v4().expect("a socket");
    if kind == 0 {
        // One that never reads fills the agent's buffers sooner.
        socket.set_recv_buffer_size(4096).expect("a size");
    }
    let Ok(stream) = socket.connect(([127, 0, 0, 1], port).into()).await else { return };
    let mut raw = Raw(stream);
    let open = async |raw: &mut Raw| -> Option<()> {
        raw.say(upgrade(port, TRAITOR)).await;
        let mut seen = Vec::new();
        while !seen.ends_with(b"\"}") {
            if raw.0.read_buf(&mut seen).await.ok()? == 0 {
                return None;
            }
        }
        let seen = String::from_utf8_lossy(&seen);
        let nonce = seen.split("\"nonce\":\"").nth(1)?.split('"').next()?;
        raw.say(text(&format!(r#"{{"type":"open","nonce":"{nonce}"}}"#))).await;
        arrived.fetch_add(1, Ordering::Relaxed);
        Some(())
    };
    let flood = async |raw: &mut Raw, frame: &[u8]| {
        let many = frame.repeat(16 * 1024 / frame.len() + 1);
        while raw.0.writable().await.is_ok() && tokio::io::AsyncWriteExt::write_all(&mut raw.0, &many).await.is_ok() {}
    };
    match kind {
        // Opens its socket and never reads again, while it asks for pongs.
        0 => {
            if open(&mut raw).await.is_some() {
                flood(&mut raw, &masked(0x89, &[7; 100])).await;
            }
        }
        // Says nothing at all.
        1 => drop(raw.0.read_u8().await),
        // A head that comes byte by byte.
        2 => {
            for byte in upgrade(port, TRAITOR).bytes() {
                raw.say([byte]).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        // Things that are no HTTP.
        3 => {
            raw.say([0x16, 3, 1, 0, 200, 1, 0, 0].repeat(64)).await;
            let _ = raw.0.read_u8().await;
        }
        // A page of a foreign origin.
        4 => {
            raw.say(upgrade(port, "https://evil.example")).await;
            let _ = raw.0.read_u8().await;
        }
        // A head without an end.
        5 => flood(&mut raw, b"GET /v1 HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").await,
        // An upgrade, and then silence.
        6 => {
            raw.say(upgrade(port, TRAITOR)).await;
            let mut rest = Vec::new();
            let _ = raw.0.read_to_end(&mut rest).await;
        }
        // Messages without end.
        7 => {
            if open(&mut raw).await.is_some() {
                flood(&mut raw, &text(r#"{"type":"pong"}"#)).await;
            }
        }
        // Fragments without end.
        8 => {
            if open(&mut raw).await.is_some() {
                raw.say(masked(0x01, b"")).await;
                flood(&mut raw, &masked(0x00, b"")).await;
            }
        }
        // A frame that claims to be endless.
        9 => {
            if open(&mut raw).await.is_some() {
                raw.say([0x81, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]).await;
                flood(&mut raw, &[b'a'; 4096]).await;
            }
        }
        // Everything right, and gone with a reset.
        _ => {
            let _ = open(&mut raw).await;
            let _ = raw.0.set_zero_linger();
        }
    }
}

#[expect(clippy::print_stdout, reason = "figures for whoever runs it by hand")]
async fn besiege(lasting: Duration) {
    let server = Server::start().await;
    let (fortress, client, account) = Fortress::build(&server).await;
    let port = fortress.port;
    let mut browser = TestBrowser::of(&server);
    let challenge = browser.challenge().await;
    let mut page = TestPage::connect_to_port(port, &server.issuer, OpenWith::Challenge(challenge)).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Ready { .. })), "the honest page is in");
    let before = fortress.memory_kib();
    let mut peak = before;

    let arrived: Arc<[AtomicU64; KINDS]> = Arc::default();
    let (over, end) = watch::channel(false);
    let mut attackers = JoinSet::new();
    for number in 0..ATTACKERS {
        let (mut end, arrived) = (end.clone(), Arc::clone(&arrived));
        attackers.spawn(async move {
            let mut made = 0_u64;
            let attacking = async {
                loop {
                    attack(number % KINDS, port, &arrived[number % KINDS]).await;
                    made += 1;
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = attacking => {}
                _ = end.wait_for(|over| *over) => {}
            }
            made
        });
    }

    let started = Instant::now();
    let (mut pushes, mut slowest) = (0_u32, Duration::ZERO);
    while started.elapsed() < lasting {
        for presence in ["away", "signed_in"] {
            let asked = Instant::now();
            let change = json!({"account": account, "presence": presence});
            client.call("presence.set", &change).await.expect("the client is served");
            let AgentMessage::State { state, .. } = page.next().await.expect("the honest page's socket stays open")
            else {
                panic!("a state was due");
            };
            assert_eq!(serde_json::to_value(state.presence).expect("JSON"), presence);
            pushes += 1;
            slowest = slowest.max(asked.elapsed());
            peak = peak.max(fortress.memory_kib());
        }
        // The page asks who is there: the look-up, a signature, and the login server behind it.
        let (_, prove) = page.machine.prove(browser.challenge().await);
        page.send(&prove.encode()).await;
        let answer = page.next().await.expect("an answer");
        assert!(matches!(answer, AgentMessage::Proof { .. }), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    over.send_replace(true);
    let mut connections = 0;
    while let Some(made) = attackers.join_next().await {
        connections += made.expect("no attacker panics");
    }

    println!(
        "{connections} hostile connections in {lasting:?}; memory {before} KiB before, {peak} KiB at its peak; \
         {pushes} pushes to the honest page, the slowest after {slowest:?}; opened: {arrived:?}"
    );
    let inside = INSIDE.map(|kind| arrived[kind].load(Ordering::Relaxed));
    assert!(inside.iter().sum::<u64>() > 0, "no hostile page ever got in: {inside:?}");
    assert!(peak < CEILING_KIB, "the agent took {peak} KiB, more than {CEILING_KIB}");
    // Nothing lasts: another honest page is let in as soon as the places of the last attackers are free.
    let started = Instant::now();
    let mut late = loop {
        let challenge = OpenWith::Challenge(browser.challenge().await);
        match TestPage::try_connect_to_port(port, &server.issuer, challenge).await {
            Some(page) => break page,
            None => assert!(started.elapsed() < Duration::from_secs(20), "no honest page is let in any more"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(matches!(late.next().await, Ok(AgentMessage::Ready { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a27_a_thousand_hostile_connections_neither_fill_the_memory_nor_starve_the_honest_page() {
    besiege(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute: ./test runs it by itself"]
async fn siege_of_a_minute() {
    besiege(Duration::from_secs(60)).await;
}
