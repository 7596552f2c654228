//! Free ports for a demo of a test's own.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use loopkey::demo::Places;

/// Where pages may look for an agent (protocol section 2) ends where systems begin to hand ports out.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Ports that nothing listens on, on either loopback address. Tests of one process never get the same.
pub(crate) fn free_places() -> Places {
    let site = free_pair();
    Places { site, client: site + 1, agent: vec![free_pair(), free_pair()], control: None }
}

fn free_pair() -> u16 {
    // Processes that run at the same time start at different places.
    let start = 12_000 + u16::try_from(std::process::id() % 150).expect("small") * 100;
    for _ in 0..2_000 {
        let port = start + NEXT.fetch_add(2, Ordering::Relaxed) % 5_000;
        if (port..=port + 1).all(is_free) {
            return port;
        }
    }
    panic!("there is no free pair of ports from {start} on");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
}
