//! A minute at the highest rate that the machine holds, the store's primary lost in the middle: two real login servers, as many
//! sign-ins as get through, every token presented again.

use std::time::Duration;

use loopkey::clock::{Clock as _, SystemClock};
use tokio::time::Instant;

use super::load::{Load, people};
use super::postgres::Quorum;
use super::{SEALING_SECRET, clock, open, program};
use crate::login::Server;
use crate::login::program::Program;
use crate::support::trace;

/// Sign-ins under way at a time: more than the machine gets done at once.
const AT_A_TIME: usize = 32;
/// Real limits: a device signs in a few times in a minute only, and whoever presents its tokens again is counted against it too.
const DEVICES: usize = 800;
/// Between two looks at the memory.
const BEAT: Duration = Duration::from_secs(5);
/// What a server may have come to need more by the end than at its first look, in KiB: what it remembers for a minute is bounded.
const GROWTH_KIB: u64 = 8 * 1024;

/// How much memory of its own each server has after each beat.
async fn beats(load: &mut Load, programs: &[Program; 2], count: u32) -> Vec<[u64; 2]> {
    let mut looks = Vec::new();
    for _ in 0..count {
        load.go_on_for(BEAT).await;
        looks.push(programs.each_ref().map(Program::memory_kib));
    }
    looks
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: ./test --long runs it"]
async fn long_a_minute_at_the_highest_rate_with_a_failover_in_the_middle() {
    trace::note(SEALING_SECRET);
    let quorum = Quorum::start().await;
    let (address, clock) = (quorum.address(), clock());
    let store = open(&address, 1, clock.clone()).await;
    let enrolling = Server::start_with(store.clone(), clock.clone()).await;
    let people = people(&enrolling, DEVICES).await;
    enrolling.stop().await;
    let programs = [program(&address, 1).await, program(&address, 1).await];

    let began = Instant::now();
    let mut load = Load::start_with(programs.each_ref().map(|program| program.address), people, AT_A_TIME);
    let mut memory = beats(&mut load, &programs, 6).await;
    let before = load.logins();
    let _quorum = tokio::task::spawn_blocking(move || quorum.fail_over()).await.expect("failed over");
    memory.extend(beats(&mut load, &programs, 6).await);
    let rate = load.logins() as f64 / began.elapsed().as_secs_f64();
    assert!(load.logins() > before, "sign-ins go on after the failover");
    clock.set_wall(SystemClock.wall());
    let mut outcome = load.end().await;
    outcome.is_kept_by(&store).await;

    println!("a minute with a failover of PostgreSQL: {rate:.0} sign-ins a second; {}", outcome.tally);
    println!(
        "{} sessions were acknowledged and kept; memory of the two servers, KiB, each 5 s: {memory:?}",
        outcome.sessions.len()
    );
    assert!(outcome.tally.retried > 0, "nobody noticed the failover: {}", outcome.tally);
    for server in 0..2 {
        // The first look comes after the first five seconds at full rate.
        let (first, last) = (memory[0][server], memory[memory.len() - 1][server]);
        assert!(last < first + GROWTH_KIB, "server {server} came to need more and more: {memory:?}");
    }
}
