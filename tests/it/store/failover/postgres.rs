//! A PostgreSQL primary whose commits wait for a standby: killed, and the standby is promoted.

#![expect(clippy::print_stdout, reason = "figures, for whoever runs it with --nocapture")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loopkey::clock::{Clock as _, SystemClock};
use loopkey::crypto::Signer as _;
use loopkey::protocol::id::{DeviceId, Epoch};
use loopkey::store::{Actor, Audited, SharedStore};
use serde_json::json;

use super::load::{Load, PEOPLE, Tally, people};
use super::proxy::Proxy;
use super::{clock, two_servers};
use crate::login::Server;
use crate::login::device::Device;
use crate::login::http::Call;
use crate::support::postgres::Server as Postgres;

/// Sign-ins before and after each event.
const LOGINS: usize = 25;
/// What a standby calls itself.
const NAME: &str = "standby";

/// A primary and its standby, each at its place in the address that login servers have.
pub(super) struct Quorum {
    primary: Postgres,
    standby: Postgres,
    places: [Proxy; 2],
    database: String,
}

impl Quorum {
    pub(super) async fn start() -> Self {
        let primary = Postgres::start(&[]);
        let database = primary.database();
        // Written before the standby is copied, which is to demand the same when it is the primary.
        primary.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({NAME})'"));
        let standby = Postgres::standby_of(&primary, NAME);
        primary.sql("postgres", "SELECT pg_reload_conf()");
        while primary.sql("postgres", "SHOW synchronous_standby_names").is_empty() {}
        let places = [Proxy::to(primary.port()).await, Proxy::to(standby.port()).await];
        Self { primary, standby, places, database }
    }

    pub(super) fn address(&self) -> String {
        let [first, second] = self.places.each_ref().map(Proxy::port);
        format!("postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/{}", self.database)
    }

    /// The primary dies, and the standby takes its place. It acknowledges nothing until it has a standby of its own.
    pub(super) fn fail_over(self) -> Self {
        self.primary.kill();
        self.standby.promote();
        let standby = Postgres::standby_of(&self.standby, NAME);
        let [dead, alive] = self.places;
        dead.lead_to(standby.port());
        Self { primary: self.standby, standby, places: [alive, dead], database: self.database }
    }
}

/// Signs a device out again and again; the epochs of the sign-outs that were acknowledged.
async fn sign_outs(server: std::net::SocketAddr, device: Arc<Device>, ending: Arc<AtomicBool>) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for epoch in 1.. {
        if ending.load(Ordering::SeqCst) {
            break;
        }
        let call = Call::new("POST", "/v1/sign-outs").json(&json!({"statement": device.sign_out(epoch)}));
        match call.try_send(server).await.map(|answer| answer.status) {
            Some(204) => acknowledged.push(epoch),
            Some(503) | None => {}
            Some(status) => panic!("a sign-out was answered with {status}"),
        }
    }
    acknowledged
}

/// Enrols devices that will be revoked.
async fn leavers(server: &Server, count: usize) -> Vec<Device> {
    let mut leavers = Vec::new();
    for number in 0..count {
        leavers.push(Device::enrol(server, &format!("leaver-{number}")).await);
    }
    leavers
}

async fn revoke(store: &SharedStore, number: usize, device: &DeviceId) {
    let account = format!("leaver-{number}").parse().expect("an account");
    assert!(store.revoke_device(&account, device, Actor::Administrator).await.expect("acknowledged"));
}

/// One failover after the other under load. Whatever was acknowledged is there in the end.
async fn fails_over(times: usize) -> Tally {
    let mut quorum = Quorum::start().await;
    let clock = clock();
    let address = quorum.address();
    let servers = two_servers([&address, &address], 1, &clock).await;
    let store = servers[0].store.clone();
    let people = people(&servers[0], PEOPLE).await;
    let leavers = leavers(&servers[0], times).await;
    let weary = Arc::new(Device::enrol(&servers[0], "weary").await);
    let ending = Arc::new(AtomicBool::new(false));
    let signing_out = tokio::spawn(sign_outs(servers[1].address, Arc::clone(&weary), Arc::clone(&ending)));
    let mut load = Load::start([servers[0].address, servers[1].address], people);
    for (number, leaver) in leavers.iter().enumerate() {
        load.go_on(LOGINS).await;
        // Acknowledged, and the primary is dead.
        revoke(&store, number, &leaver.issuer.0).await;
        quorum = tokio::task::spawn_blocking(move || quorum.fail_over()).await.expect("failed over");
        clock.set_wall(SystemClock.wall());
        load.replay().await;
        load.go_on(LOGINS).await;
        load.replay().await;
    }
    ending.store(true, Ordering::SeqCst);
    let mut outcome = load.end().await;
    outcome.is_kept_by(&store).await;
    let signed_out = signing_out.await.expect("no panic");
    assert!(signed_out.len() > times, "sign-outs go on");
    let record = store.audit_tail(None, u32::MAX >> 1).await.expect("the audit record");
    let is_recorded = |device: &Device, what: Audited, detail: &str| {
        record.iter().any(|entry| {
            entry.what == what.as_str() && entry.device.as_deref() == Some(device.id()) && entry.detail == detail
        })
    };
    for epoch in &signed_out {
        assert!(is_recorded(&weary, Audited::EpochRaised, &format!("epoch={epoch}")), "sign-out {epoch} is lost");
    }
    let found = store.device(weary.key.public().id()).await.expect("store").expect("the device");
    assert!(found.epoch >= Epoch(*signed_out.last().expect("some")), "an acknowledged sign-out is undone");
    for leaver in &leavers {
        let found = store.device(leaver.key.public().id()).await.expect("store").expect("the device");
        assert!(found.revoked_at.is_some(), "an acknowledged revocation is undone");
        assert!(is_recorded(leaver, Audited::DeviceRevoked, Actor::Administrator.as_str()), "it is not recorded");
    }
    for server in servers {
        server.stop().await;
    }
    println!(
        "{} sessions, {} sign-outs and {times} revocations were acknowledged and kept",
        outcome.sessions.len(),
        signed_out.len()
    );
    outcome.tally
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_no_token_is_accepted_twice_where_postgres_fails_over() {
    let tally = fails_over(1).await;
    println!("one failover of PostgreSQL: {tally}");
    assert!(tally.retried > 0, "nobody noticed a failover: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "five failovers: ./test --long runs it"]
async fn long_nothing_acknowledged_is_lost_in_five_failovers_of_postgres() {
    let tally = fails_over(5).await;
    println!("five failovers of PostgreSQL: {tally}");
    assert!(tally.retried >= 5, "a failover is noticed: {tally}");
}
