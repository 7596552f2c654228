//! Two real login servers on one store. One of them is killed in the middle of sign-ins: whoever was there begins again at
//! the other, and no token counts twice.

#![expect(clippy::print_stdout, reason = "figures, for whoever runs it with --nocapture")]

use super::load::{Load, people};
use super::{SEALING_SECRET, clock, open, program};
use crate::login::Server;
use crate::support::redis::RedisServer;
use crate::support::trace;

/// Sign-ins between two kills.
const LOGINS: usize = 10;

/// Kills one login server after the other, so many times.
async fn is_killed(times: usize) {
    trace::note(SEALING_SECRET);
    let database = RedisServer::database();
    let clock = clock();
    let store = open(&database, 0, clock.clone()).await;
    let enrolling = Server::start_with(store.clone(), clock).await;
    // Real limits: each device signs in a few times only.
    let people = people(&enrolling, 20 + 8 * times).await;
    enrolling.stop().await;
    let mut programs = [program(&database, 0).await, program(&database, 0).await];
    let mut load = Load::start(programs.each_ref().map(|program| program.address), people);
    for turn in 0..times {
        load.go_on(LOGINS).await;
        programs[turn % 2].kill();
        load.replay().await;
        load.go_on(LOGINS).await;
        programs[turn % 2].start_again().await;
    }
    load.go_on(LOGINS).await;
    let mut outcome = load.end().await;
    outcome.is_kept_by(&store).await;
    println!("a login server was killed {times} times: {}", outcome.tally);
    assert!(outcome.tally.broken > 0, "nobody noticed: {}", outcome.tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_accepted_twice_where_a_login_server_is_killed() {
    is_killed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "thirty kills: ./test --long runs it"]
async fn long_no_token_is_accepted_twice_where_login_servers_are_killed_thirty_times() {
    is_killed(30).await;
}
