//! Several login servers over one database.

use std::sync::Arc;
use std::time::Duration;

use super::super::testing::{Database, clock};
use super::super::{Postgres, sweep};
use crate::clock::Clock as _;
use crate::crypto::{self, Algorithm};
use crate::protocol::id::ChallengeId;
use crate::protocol::id::EnrolmentTicket;
use crate::store::keys::ROTATION_LEAD_SECONDS;
use crate::store::{
    AccountChange, AccountId, DisplayName, EndReason, Generation, Hint, OrganisationId, Profile, Store, Tail,
    TicketHash, Withdrawal, Withdrawn,
};
use crate::verify::mark::MarkError;
use crate::verify::testing::parsed;

fn challenge() -> ChallengeId {
    ChallengeId::from_bytes(crypto::random())
}

async fn known(store: &Postgres, account: &str) -> AccountId {
    let profile = Profile { account: parsed(account), name: DisplayName::clean(account).expect("name"), avatar: None };
    let ticket = TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random()));
    store.issue_ticket(ticket, profile).await.expect("store").expect("ticket");
    parsed(account)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_on_one_replica_is_heard_and_read_on_the_other() {
    let database = Database::fresh();
    let (here, there) = (database.open().await.expect("opened"), database.open().await.expect("opened"));
    let (account, acme): (_, OrganisationId) = (known(&here, "ada").await, parsed("acme"));
    let change = AccountChange { organisation: Some(Some(acme.clone())), ..AccountChange::default() };
    here.change_account(&account, change).await.expect("store").expect("ada");
    // Both listen once a hint went through each way.
    let (mut heard_here, mut heard_there) = (here.hints(), there.hints());
    let probe = |subject: &str| Hint::ProfileChanged { subject: parsed(subject) };
    for (from, heard, probe) in
        [(&here, &mut heard_there, probe("to-there")), (&there, &mut heard_here, probe("to-here"))]
    {
        loop {
            from.hint(probe.clone()).await;
            let hint = tokio::time::timeout(Duration::from_millis(100), heard.recv()).await;
            if matches!(hint, Ok(Ok(hint)) if hint == probe) {
                break;
            }
        }
    }
    let place = there.log_end().await.expect("store");
    assert!(here.sign_out_organisation(&acme).await.expect("store"));
    while heard_there.recv().await.expect("a hint") != Hint::LogGrew {}
    let withdrawn = Withdrawn::Organisation { organisation: acme, below: Generation(1) };
    let expected = vec![Withdrawal { withdrawn, reason: EndReason::LoggedOutEverywhere }];
    match there.withdrawals(&place).await.expect("store") {
        Tail::Entries(entries, end) => {
            assert_eq!(entries, expected);
            assert_eq!(end, here.log_end().await.expect("store"));
        }
        Tail::Lost(_) => panic!("nothing was lost"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_many_replicas_are_numbered_in_the_order_of_their_commits() {
    let database = Database::fresh();
    let (here, there) =
        (Arc::new(database.open().await.expect("opened")), Arc::new(database.open().await.expect("opened")));
    let mut accounts = Vec::new();
    for n in 0..40 {
        accounts.push(known(&here, &format!("account-{n}")).await);
    }
    let mut place = here.log_end().await.expect("store");
    let start = place.seq;
    let writing: Vec<_> = accounts
        .into_iter()
        .enumerate()
        .map(|(n, account)| {
            let store = Arc::clone(if n % 2 == 0 { &here } else { &there });
            tokio::spawn(async move { store.sign_out_account(&account, None).await })
        })
        .collect();
    let mut read = 0;
    while read < 40 {
        // A reader that saw an entry has seen all before it: their numbers have no gap.
        let Tail::Entries(entries, end) = there.withdrawals(&place).await.expect("store") else { panic!("lost") };
        read += entries.len() as u64;
        assert_eq!(end.seq, start + read);
        place = end;
    }
    for one in writing {
        assert!(one.await.expect("no panic").expect("store"));
    }
}

#[tokio::test]
async fn marks_that_were_emptied_under_a_running_server_are_another_life() {
    let (database, clock) = (Database::fresh(), clock());
    let store = Postgres::open(&database.shared(), clock.clone()).await.expect("opened");
    let (before, until) = (store.incarnation().await.expect("store"), clock.timestamp().plus(480));
    let (jti, place) = (challenge(), store.log_end().await.expect("store"));
    let _ = store.mark(&jti, &before, until).await.expect("first");
    database.sql("TRUNCATE loopkey.marks");
    assert_eq!(store.mark(&jti, &before, until).await.err(), Some(MarkError::Stale), "not a second time");
    let after = store.incarnation().await.expect("store");
    assert_ne!(after, before);
    assert_eq!(store.mark(&jti, &before, until).await.err(), Some(MarkError::Stale));
    assert!(store.mark(&jti, &after, until).await.is_ok());
    assert!(matches!(store.withdrawals(&place).await.expect("store"), Tail::Lost(_)), "whoever reads on looks at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_taken_by_one_of_sixty_four_over_both() {
    let database = Database::fresh();
    let stores = [Arc::new(database.open().await.expect("opened")), Arc::new(database.open().await.expect("opened"))];
    let incarnation = stores[0].incarnation().await.expect("store");
    assert_eq!(stores[1].incarnation().await.expect("store"), incarnation, "one life");
    let until = clock().timestamp().plus(480);
    for _ in 0..20 {
        let jti = challenge();
        let tries: Vec<_> = (0..64)
            .map(|n| {
                let (store, incarnation) = (Arc::clone(&stores[n % 2]), incarnation.clone());
                tokio::spawn(async move { store.mark(&jti, &incarnation, until).await.map(drop) })
            })
            .collect();
        let mut taken = 0;
        for one in tries {
            match one.await.expect("no panic") {
                Ok(()) => taken += 1,
                Err(error) => assert_eq!(error, MarkError::Used),
            }
        }
        assert_eq!(taken, 1);
    }
}

/// On one thread, so that all of them wait before the first statement is made.
#[tokio::test]
async fn a_crowd_shares_one_statement_and_each_has_its_own_outcome() {
    let database = Database::fresh();
    let store = database.open().await.expect("opened");
    let (incarnation, until) = (store.incarnation().await.expect("store"), clock().timestamp().plus(480));
    let used = challenge();
    let _ = store.mark(&used, &incarnation, until).await.expect("first");
    let twice = challenge();
    let stale = parsed("another-life");
    let asks = (0..64).map(|n| match n {
        0 => store.mark(&used, &incarnation, until),
        1 | 2 => store.mark(&twice, &incarnation, until),
        3 => store.mark(&twice, &stale, until),
        _ => {
            let jti: &'static ChallengeId = Box::leak(Box::new(challenge()));
            store.mark(jti, &incarnation, until)
        }
    });
    let outcomes = futures::future::join_all(asks).await;
    assert_eq!(outcomes[0].as_ref().err(), Some(&MarkError::Used));
    assert_eq!(outcomes[1..3].iter().filter(|outcome| outcome.is_ok()).count(), 1, "one challenge, one use");
    assert_eq!(outcomes[3].as_ref().err(), Some(&MarkError::Stale));
    assert!(outcomes[4..].iter().all(Result::is_ok));
    let written = database.sql("SELECT count(*), count(DISTINCT xmin::text) FROM loopkey.marks");
    assert_eq!(written, "62|2", "two transactions wrote them: the first one's, and the crowd's");
}

#[tokio::test]
async fn marks_that_ended_are_dropped_and_not_taken_again() {
    let database = Database::fresh();
    let clock = clock();
    let store = Postgres::open(&database.shared(), clock.clone()).await.expect("opened");
    let (incarnation, now) = (store.incarnation().await.expect("store"), clock.timestamp());
    for seconds in [480, 1] {
        let _ = store.mark(&challenge(), &incarnation, now.plus(seconds)).await.expect("first");
    }
    database.sql("INSERT INTO loopkey.marks SELECT sha256('x'), extract(epoch FROM now())::bigint - 70");
    sweep::round(&store.pool, clock.as_ref()).await.expect("swept");
    assert_eq!(database.sql("SELECT count(*) FROM loopkey.marks"), "2", "what ended more than a minute ago is gone");
    // Our clock being ahead drops nothing that the server's holds to be valid.
    clock.advance(Duration::from_secs(10_000));
    sweep::round(&store.pool, clock.as_ref()).await.expect("swept");
    assert_eq!(database.sql("SELECT count(*) FROM loopkey.marks"), "2");
    // A replica whose clock is far behind would still accept what was dropped: it gets no mark.
    let long_over = crate::protocol::time::Timestamp(now.0 - 120);
    assert_eq!(store.mark(&challenge(), &incarnation, long_over).await.err(), Some(MarkError::Unavailable));
}

#[tokio::test]
async fn tables_that_were_made_anew_are_another_life() {
    let database = Database::fresh();
    let before = database.open().await.expect("opened").incarnation().await.expect("store");
    database.sql("DROP SCHEMA loopkey CASCADE");
    let store = database.open().await.expect("opened");
    assert_ne!(store.incarnation().await.expect("store"), before);
    let until = clock().timestamp().plus(480);
    assert_eq!(store.mark(&challenge(), &before, until).await.err(), Some(MarkError::Stale));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_share_one_key_and_see_each_rotation() {
    let database = Database::fresh();
    let stores = futures::future::join_all((0..3).map(|_| database.open())).await;
    let stores: Vec<_> = stores.into_iter().map(|store| store.expect("opened")).collect();
    let keys = futures::future::join_all(stores.iter().map(|store| store.challenge_signers(Algorithm::Es256))).await;
    let keys: Vec<_> = keys.into_iter().map(|keys| keys.expect("keys").public()).collect();
    assert!(keys.iter().all(|one| *one == keys[0] && one.keys().len() == 1));
    stores[0].rotate_challenge_key(Algorithm::Es256).await.expect("rotated");
    let after = stores[1].challenge_signers(Algorithm::Es256).await.expect("keys").public();
    assert_eq!((after.keys().len(), &after.keys()[1]), (2, &keys[0].keys()[0]));
}

#[tokio::test]
async fn keys_follow_whoever_started_last_and_none_are_made_in_turn() {
    let database = Database::fresh();
    let (old, new) = (database.open().await.expect("opened"), database.open().await.expect("opened"));
    let keys = async |store: &Postgres, algorithm| store.challenge_signers(algorithm).await.expect("keys").public();
    assert_eq!(keys(&old, Algorithm::Es256).await.keys().len(), 1);
    let both = keys(&new, Algorithm::Ed25519).await;
    assert_eq!(both.keys()[0].algorithm(), Algorithm::Ed25519);
    for _ in 0..3 {
        assert_eq!(keys(&old, Algorithm::Es256).await, both, "the old configuration makes no more");
        assert_eq!(keys(&new, Algorithm::Ed25519).await, both);
    }
    assert_eq!(database.sql("SELECT count(*) FROM loopkey.challenge_keys"), "2");
}

#[tokio::test]
async fn keys_are_kept_while_their_challenges_are_about_and_few_wait_to_sign() {
    let (database, clock) = (Database::fresh(), clock());
    let store = Postgres::open(&database.shared(), clock.clone()).await.expect("opened");
    let keys = async || store.challenge_signers(Algorithm::Es256).await.expect("keys").public();
    let first = keys().await.keys()[0].clone();
    // The first one, made now, is one of those that wait, though it signs: there is no other.
    for _ in 0..7 {
        store.rotate_challenge_key(Algorithm::Es256).await.expect("rotated");
    }
    let error = store.rotate_challenge_key(Algorithm::Es256).await.expect_err("one too many").to_string();
    assert!(error.contains("8 challenge keys") && error.contains("120 s"), "{error}");
    assert_eq!(keys().await.keys()[7], first, "it signs all the while");
    clock.advance(Duration::from_secs(ROTATION_LEAD_SECONDS));
    store.rotate_challenge_key(Algorithm::Es256).await.expect("rotated");
    assert!(keys().await.keys().contains(&first), "what it signed is still about");
    clock.advance(Duration::from_secs(1000));
    store.rotate_challenge_key(Algorithm::Es256).await.expect("rotated");
    assert_eq!(keys().await.keys().len(), 3, "the one to come, the one that signs, the one before");
    assert_eq!(database.sql("SELECT count(*) FROM loopkey.challenge_keys"), "3");
}
