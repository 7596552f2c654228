//! Single use for real: real Redis and PostgreSQL servers that are killed and promoted, login servers that are killed, and
//! connections that are cut, while people sign in and an attacker presents every token again.
//!
//! No token is accepted twice, ever, and everybody gets in in the end. The model beside this proves it for every order of
//! events; this shows that the model is of the real thing.

mod control;
mod cut_off;
mod killed;
mod load;
#[cfg(target_os = "linux")]
mod minute;
mod postgres;
mod proxy;
mod redis;

use std::sync::Arc;

use loopkey::clock::{Clock, ManualClock, SystemClock};
use loopkey::crypto::Secret;
use loopkey::store::{SharedStore, StoreUrl};

use crate::login::Server;
use crate::login::program::Program;

/// Seals the challenge keys.
const SEALING_SECRET: &str = "thirty-two bytes that the replicas alone know";

/// A clock that says what time it is now: PostgreSQL's may not differ much.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.wall()))
}

/// A store of which so many replicas must have what is acknowledged.
async fn open(address: &str, replicas: u8, clock: Arc<dyn Clock>) -> SharedStore {
    let mut url: StoreUrl = address.parse().expect("an address");
    let options = url.shared_options().expect("a shared store");
    options.sealing_secret = Some(Secret::new(SEALING_SECRET.to_owned()));
    options.replicas = replicas;
    loopkey::store::open(&url, clock).await.expect("opened")
}

/// Two login servers, each with its own address of one store.
async fn two_servers(addresses: [&str; 2], replicas: u8, clock: &Arc<ManualClock>) -> [Server; 2] {
    let [first, second] = addresses;
    let first = Server::start_with(open(first, replicas, clock.clone()).await, clock.clone()).await;
    [first, Server::start_with(open(second, replicas, clock.clone()).await, clock.clone()).await]
}

/// A login server as it is delivered, a process of its own, on a store of which so many replicas must have what is acknowledged.
async fn program(store: &str, replicas: u8) -> Program {
    let lines = format!(
        "store = \"{store}\"\n[shared_store]\nsecret_file = \"secret\"\nreplicas = {replicas}\n\
         [limits]\naddress_per_minute = 1000000"
    );
    Program::start_traced(&lines, &[("secret", SEALING_SECRET)]).await
}
