//! Pages that come and go: whatever a socket took is given back.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::raw::{text, upgrade};
use super::siege::{Fortress, TRAITOR};
use crate::support::world::Server;

/// Pages that are there at once.
const AT_ONCE: usize = 8;
/// How much more memory may be in use after all of them, in KiB: what the system's allocator has not given back yet.
const SPREAD_KIB: u64 = 512;

/// One page from `connect()` to `ready`.
async fn come_and_go(port: u16) {
    let mut page = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    // Else a million ports would wait for stragglers.
    page.set_zero_linger().expect("no lingering");
    let mut seen = Vec::new();
    page.write_all(upgrade(port, TRAITOR).as_bytes()).await.expect("written");
    while !seen.ends_with(b"\"}") {
        assert!(page.read_buf(&mut seen).await.expect("readable") > 0, "{}", String::from_utf8_lossy(&seen));
    }
    let hello = String::from_utf8_lossy(&seen).into_owned();
    let nonce = hello.split("\"nonce\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
    page.write_all(&text(&format!(r#"{{"type":"open","nonce":"{nonce}"}}"#))).await.expect("written");
    seen.clear();
    while !seen.ends_with(b"}") {
        assert!(page.read_buf(&mut seen).await.expect("readable") > 0, "{hello}");
    }
    assert!(String::from_utf8_lossy(&seen).contains("\"ready\""));
}

async fn churn(port: u16, pages: usize) {
    let mut here = JoinSet::new();
    for _ in 0..AT_ONCE {
        here.spawn(async move {
            for _ in 0..pages / AT_ONCE {
                come_and_go(port).await;
            }
        });
    }
    here.join_all().await;
}

async fn is_flat_over(pages: usize) {
    let server = Server::start().await;
    let (fortress, _client, _) = Fortress::build(&server).await;
    churn(fortress.port(), pages / 4).await;
    let before = fortress.memory_kib();
    churn(fortress.port(), pages).await;
    let after = fortress.memory_kib();
    assert!(after <= before + SPREAD_KIB, "{pages} pages took the agent from {before} to {after} KiB");
}

#[tokio::test]
async fn pages_that_come_and_go_leave_nothing_behind() {
    is_flat_over(8_000).await;
}

#[tokio::test]
#[ignore = "minutes: ./test --long"]
async fn long_a_million_pages_leave_nothing_behind() {
    is_flat_over(1_000_000).await;
}
