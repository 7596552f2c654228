//! A Redis primary and its replica, which is a little behind: killed, promoted, and torn apart.

use std::time::Duration;

use super::load::{Load, PEOPLE, Tally, people};
use super::proxy::Proxy;
use super::{clock, two_servers};
use crate::commands::until;
use crate::support::redis::RedisServer;

/// Sign-ins before and after each event.
const LOGINS: usize = 25;
/// How far the replica is behind, one after the other.
pub(super) const DELAYS: [Duration; 5] = [
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
];

/// A primary and a replica, with a slow link between them.
pub(super) struct Pair {
    pub(super) primary: RedisServer,
    replica: RedisServer,
    link: Proxy,
}

impl Pair {
    pub(super) async fn start(delay: Duration) -> Self {
        let primary = start(&["--appendonly", "yes"]);
        let (replica, link) = replica_of(&primary, delay).await;
        Self { primary, replica, link }
    }

    /// Waits until the replica has what the primary has now.
    async fn in_step(&self) {
        in_step(&self.primary, &self.replica).await;
    }

    /// The primary dies. The replica takes its place, and whoever asks is led there.
    pub(super) fn fail_over(&mut self, switch: &Proxy) {
        self.primary.kill();
        self.replica.say("REPLICAOF NO ONE");
        switch.lead_to(self.replica.port());
    }

    /// The new primary gets a replica of its own; the dead one is forgotten.
    pub(super) async fn recruit(self, delay: Duration) -> Self {
        let (replica, link) = replica_of(&self.replica, delay).await;
        Self { primary: self.replica, replica, link }
    }
}

fn start(settings: &[&str]) -> RedisServer {
    // A replica need not wait for others to come.
    RedisServer::start(&[&["--repl-diskless-sync-delay", "0"], settings].concat())
}

async fn replica_of(primary: &RedisServer, delay: Duration) -> (RedisServer, Proxy) {
    let link = Proxy::to(primary.port()).await;
    link.delay(delay);
    let replica = start(&["--replicaof", &format!("127.0.0.1 {}", link.port())]);
    in_step(primary, &replica).await;
    (replica, link)
}

async fn in_step(primary: &RedisServer, replica: &RedisServer) {
    let goal = place(primary, "master_repl_offset");
    until("a replica in step", || async {
        let linked = replica.say("INFO replication").contains("master_link_status:up");
        linked && place(replica, "slave_repl_offset") >= goal
    })
    .await;
}

/// A place in the stream of what was written.
fn place(server: &RedisServer, name: &str) -> u64 {
    let info = server.say("INFO replication");
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map_or(0, |number| number.trim().parse().expect("a number"))
}

fn address(switch: &Proxy) -> String {
    format!("redis://127.0.0.1:{}", switch.port())
}

/// One failover after the other under load.
async fn fails_over(delays: impl Iterator<Item = Duration>) -> Tally {
    let mut delays = delays.peekable();
    let mut pair = Pair::start(*delays.peek().expect("one failover at least")).await;
    let switch = Proxy::to(pair.primary.port()).await;
    let servers = two_servers([&address(&switch), &address(&switch)], 0, &clock()).await;
    let people = people(&servers[0], PEOPLE).await;
    pair.in_step().await;
    let mut load = Load::start([servers[0].address, servers[1].address], people);
    while delays.next().is_some() {
        load.go_on(LOGINS).await;
        pair.fail_over(&switch);
        load.replay().await;
        load.go_on(LOGINS).await;
        load.replay().await;
        if let Some(&next) = delays.peek() {
            pair = pair.recruit(next).await;
        }
    }
    let outcome = load.end().await;
    for server in servers {
        server.stop().await;
    }
    outcome.tally
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_accepted_twice_where_redis_fails_over() {
    let tally = fails_over([DELAYS[0], DELAYS[4]].into_iter()).await;
    println!("two failovers of Redis: {tally}");
    assert!(tally.logins >= 4 * LOGINS);
    assert!(tally.retried > 0, "nobody noticed a failover: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: ./test --long runs it"]
async fn long_no_token_is_accepted_twice_in_twenty_failovers_of_redis() {
    let tally = fails_over(DELAYS.into_iter().cycle().take(20)).await;
    println!("twenty failovers of Redis: {tally}");
    assert!(tally.logins >= 40 * LOGINS);
    assert!(tally.retried >= 20, "a failover is noticed: {tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_accepted_twice_where_two_servers_both_are_the_primary() {
    let mut pair = Pair::start(DELAYS[4]).await;
    let (first, second) = (Proxy::to(pair.primary.port()).await, Proxy::to(pair.primary.port()).await);
    let servers = two_servers([&address(&first), &address(&second)], 0, &clock()).await;
    let people = people(&servers[0], PEOPLE).await;
    pair.in_step().await;
    let mut load = Load::start([servers[0].address, servers[1].address], people);
    load.go_on(LOGINS).await;

    // Torn apart: the replica is promoted, and one login server goes on with the primary that was.
    pair.link.cut();
    pair.replica.say("REPLICAOF NO ONE");
    second.lead_to(pair.replica.port());
    load.go_on(LOGINS).await;
    load.replay().await;

    // The primary that was dies, and comes back as one.
    pair.primary.kill();
    pair.primary.start_again();
    load.go_on(LOGINS).await;
    load.replay().await;

    // Everybody is led to the one that is.
    first.lead_to(pair.replica.port());
    load.go_on(LOGINS).await;
    let tally = load.end().await.tally;
    println!("two primaries at a time: {tally}");
    assert!(tally.stale > 0, "a token of one is stale at the other: {tally}");
    for server in servers {
        server.stop().await;
    }
}
