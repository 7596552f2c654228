//! Single use, proven in a model (protocol section 6.9): what the naive stores do is told as the shortest story in which
//! a token opens two sessions; ours is visited in all its states.
//!
//! The model decides with the program's own `verify::mark::settle`, and only its `FirstUse` opens a session. What it leaves
//! out: time (a mark is never forgotten) and signatures (the attacker has only tokens that were really made).

mod engine;
mod world;

use engine::Scheme;
use stateright::{Checker as _, Model as _};
use world::Action::{
    self, Acknowledge, Copy, Crash, Flush, Issue, Learn, Promote, Redeem, Start, StartEmpty, StartFromEarlier,
};
use world::Server::{A, B};
use world::{AT_MOST_ONCE, Faults, Question, STILL_WORKS, World};

/// Crashes and failovers; no disk ever loses anything.
const FAILOVERS: Faults = Faults { at_most: Some(4), loss: false, rollback: false, split_brain: false, flush: false };
/// Whatever may go wrong.
const EVERYTHING: Faults = Faults { at_most: None, loss: true, rollback: true, split_brain: true, flush: true };

/// The shortest history in which a token opens two sessions.
fn story(scheme: Scheme, faults: Faults) -> Vec<Action> {
    let world = World { scheme, faults, tokens: 1, question: Question::Twice };
    let checker = world.checker().spawn_bfs().join();
    let path = checker.discovery(AT_MOST_ONCE).unwrap_or_else(|| panic!("{scheme:?} holds"));
    path.into_actions()
}

/// Visits every state; how many there are. Fails with the shortest history in which a token opens two sessions.
fn holds(scheme: Scheme, faults: Faults, tokens: usize) -> usize {
    let checker = World { scheme, faults, tokens, question: Question::Twice }.checker().spawn_bfs().join();
    let broken = checker.discovery(AT_MOST_ONCE).map(stateright::Path::into_actions);
    assert_eq!(broken, None, "{scheme:?}");
    assert!(checker.is_done());
    checker.unique_state_count()
}

#[test]
fn set_nx_lets_a_token_in_again_after_a_failover() {
    let story = story(Scheme::SetNx, FAILOVERS);
    assert_eq!(story, [Issue(A), Redeem(A, 0), Crash(0), Promote(1), Learn(A, 1), Redeem(A, 0)]);
}

#[test]
fn waiting_for_one_replica_helps_only_while_that_one_is_promoted() {
    let waited = [Issue(A), Redeem(A, 0), Copy(0, 1), Acknowledge(A)];
    let again = [Crash(0), Promote(2), Learn(A, 2), Redeem(A, 0), Acknowledge(A)];
    assert_eq!(story(Scheme::WaitForOne, FAILOVERS), [&waited[..], &again[..]].concat());
}

#[test]
fn a_deleted_challenge_is_back_after_a_failover() {
    let story = story(Scheme::DeleteIssued, FAILOVERS);
    assert_eq!(story, [Issue(A), Copy(0, 1), Redeem(A, 0), Crash(0), Promote(1), Learn(A, 1), Redeem(A, 0)]);
}

#[test]
fn an_incarnation_that_a_connection_remembers_may_be_over() {
    let empty = story(Scheme::ReplidOfConnection, Faults { loss: true, ..FAILOVERS });
    assert_eq!(empty, [Issue(A), Redeem(A, 0), Crash(0), StartEmpty(0), Redeem(A, 0)]);
    // Also where nothing is lost: the node was a replica meanwhile, and the connection's library reconnected unasked.
    let there = [Issue(A), Redeem(A, 0), Crash(0), Promote(1), Start(0)];
    let and_back = [Copy(1, 0), Crash(1), Promote(0), Redeem(A, 0)];
    assert_eq!(story(Scheme::ReplidOfConnection, FAILOVERS), [&there[..], &and_back[..]].concat());
}

#[test]
fn redis_needs_both_the_replid_and_the_sentinel() {
    let flush = Faults { flush: true, ..FAILOVERS };
    assert_eq!(story(Scheme::ReplidAlone, flush), [Issue(A), Redeem(A, 0), Flush(0), Redeem(A, 0)]);
    let failover = [Issue(A), Redeem(A, 0), Crash(0), Promote(1), Learn(A, 1), Redeem(A, 0)];
    assert_eq!(story(Scheme::SentinelAlone, FAILOVERS), failover);
    assert!(holds(Scheme::ReplidAlone, FAILOVERS, 1) > 5_000);
    assert!(holds(Scheme::ReplidAndSentinel, flush, 1) > 5_000);
}

#[test]
fn two_standbys_of_postgresql_may_count_to_the_same_timeline() {
    let first = [Crash(0), Promote(1), Learn(A, 1), Issue(A), Redeem(A, 0)];
    let second = [Start(0), Crash(1), Promote(0), Redeem(B, 0)];
    assert_eq!(story(Scheme::TimelineAndRow, FAILOVERS), [&first[..], &second[..]].concat());
    // A row for each timeline cures that. A disk that was put back to an earlier state brings the row back with it.
    assert!(holds(Scheme::RowOfTimeline, FAILOVERS, 1) > 5_000);
    let rollback = Faults { rollback: true, ..FAILOVERS };
    let put_back = [Issue(A), Redeem(A, 0), Crash(0), StartFromEarlier(0), Redeem(A, 0)];
    assert_eq!(story(Scheme::RowOfTimeline, rollback), put_back);
    assert!(holds(Scheme::RowOfTimelineAndStart, rollback, 1) > 5_000);
}

#[test]
fn ours_on_redis_holds_whatever_goes_wrong() {
    for (tokens, at_most) in [(1, 3), (2, 2)] {
        let states = holds(Scheme::ReplidAndSentinel, Faults { at_most: Some(at_most), ..EVERYTHING }, tokens);
        assert!(states > 100_000, "{states}");
    }
}

#[test]
#[ignore = "takes half a minute; ./test --long runs it"]
fn long_ours_on_redis_holds_however_often_it_goes_wrong() {
    let states = holds(Scheme::ReplidAndSentinel, EVERYTHING, 1);
    assert!(states > 500_000, "{states}");
}

#[test]
fn ours_on_postgresql_holds_whatever_goes_wrong() {
    for (tokens, at_most) in [(1, None), (2, Some(2))] {
        let states = holds(Scheme::RowOfTimelineAndStart, Faults { at_most, ..EVERYTHING }, tokens);
        assert!(states > 30_000, "{states}");
    }
}

/// A store that refuses everything would hold as well.
#[test]
fn logins_go_on_after_a_failover() {
    for scheme in [Scheme::ReplidAndSentinel, Scheme::RowOfTimelineAndStart] {
        let world = World { scheme, faults: FAILOVERS, tokens: 2, question: Question::LoginAfterFailover };
        let checker = world.checker().spawn_bfs().join();
        let path = checker.discovery(STILL_WORKS).unwrap_or_else(|| panic!("{scheme:?} refuses everything"));
        assert_eq!(path.into_actions(), [Crash(0), Promote(1), Learn(A, 1), Issue(A), Redeem(A, 0)]);
    }
}
