//! A server that goes, hangs, or comes back as another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::Postgres;
use super::super::testing::server::Server;
use super::super::testing::{Database, clock, shared};
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::{self, Algorithm, PublicKey, Secret, Signer as _, SoftwareKey};
use crate::protocol::id::{ChallengeId, DeviceId, EnrolmentTicket, Epoch};
use crate::store::{Actor, DisplayName, Hint, Profile, SessionKey, Store as _, TicketHash};
use crate::verify::mark::MarkError;
use crate::verify::testing::parsed;

fn challenge() -> ChallengeId {
    ChallengeId::from_bytes(crypto::random())
}

/// From now on every commit waits for a standby that there is not.
fn wait_for_nobody(server: &Server) {
    server.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (nobody)'");
    server.sql("postgres", "SELECT pg_reload_conf()");
    while server.sql("postgres", "SHOW synchronous_standby_names").is_empty() {}
}

/// Tells our commits that wait for a standby to wait no longer.
const CANCEL_WAITING: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                              WHERE wait_event = 'SyncRep' AND application_name LIKE 'loopkey%'";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_is_unavailable_and_one_that_is_back_works() {
    let server: &Server = Box::leak(Box::new(Server::start(&[])));
    let store = Database::of(server).open().await.expect("opened");
    let (incarnation, until) = (store.incarnation().await.expect("store"), clock().timestamp().plus(480));
    let jti = challenge();
    let _ = store.mark(&jti, &incarnation, until).await.expect("first");
    server.crash();
    assert!(store.ping().await.is_err());
    assert!(store.account(&parsed("ada")).await.is_err());
    assert!(store.log_end().await.is_err());
    assert_eq!(store.mark(&challenge(), &incarnation, until).await.err(), Some(MarkError::Unavailable));
    let mut hints = store.hints();
    server.boot(&[]);
    store.ping().await.expect("back");
    assert_eq!(store.account(&parsed("ada")).await.expect("store"), None);
    // What it said is kept; but nobody can know that of a server that was away, and so another life began.
    assert_eq!(store.mark(&jti, &incarnation, until).await.err(), Some(MarkError::Stale));
    let after = store.incarnation().await.expect("store");
    assert_ne!(after, incarnation);
    assert_eq!(store.mark(&jti, &after, until).await.err(), Some(MarkError::Used));
    assert!(store.mark(&challenge(), &after, until).await.is_ok());
    // Nobody hears of what was said meanwhile: all look.
    while hints.recv().await.expect("a hint") != Hint::LogGrew {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_hangs_is_an_error_in_time() {
    let database = Database::fresh();
    let store = database.open().await.expect("opened");
    let (incarnation, until) = (store.incarnation().await.expect("store"), clock().timestamp().plus(480));
    let target = super::super::target::Target::new(&database.shared()).expect("target");
    let holder = target.connect(super::super::Purpose::Migration).await.expect("connected");
    holder.begin().await.expect("begun");
    holder.script("LOCK TABLE marks, audit IN ACCESS EXCLUSIVE MODE").await.expect("locked");
    let (clock, before) = (SystemClock, SystemClock.now());
    assert_eq!(store.mark(&challenge(), &incarnation, until).await.err(), Some(MarkError::Unavailable));
    let took = clock.now().since(before);
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    let before = clock.now();
    let error = store.audit_tail(None, 1).await.expect_err("hangs").to_string();
    let took = clock.now().since(before);
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(6), "{took:?}: {error}");
    holder.commit().await.expect("let go");
    assert!(store.mark(&challenge(), &incarnation, until).await.is_ok());
    store.audit_tail(None, 1).await.expect("answers");
}

/// A commit that is told to wait no longer is called a success by the server, with a warning.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_standby_is_not_waited_for_is_no_success() {
    let server: &Server = Box::leak(Box::new(Server::start(&[])));
    let database = Database::of(server);
    let store = database.open().await.expect("opened");
    let incarnation = store.incarnation().await.expect("store");
    wait_for_nobody(server);
    let cancelling =
        tokio::task::spawn_blocking(move || while !server.sql("postgres", CANCEL_WAITING).contains('t') {});
    let change = crate::store::AuditRecord {
        what: crate::store::Audited::LoggedOut,
        account: None,
        device: None,
        detail: "here alone".into(),
    };
    let error = store.record(change).await.expect_err("nobody knows").to_string();
    cancelling.await.expect("cancelled");
    assert!(error.contains("warned"), "{error}");
    let until = clock().timestamp().plus(480);
    assert_eq!(store.mark(&challenge(), &incarnation, until).await.err(), Some(MarkError::Unavailable));
}

/// A device of ada's.
async fn enrol(store: &Postgres) -> (PublicKey, DeviceId) {
    let (ticket, name) = (TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random())), parsed("ada"));
    let profile = Profile { account: name, name: DisplayName::clean("ada").expect("name"), avatar: None };
    store.issue_ticket(ticket, profile.clone()).await.expect("store").expect("ticket");
    let key = SoftwareKey::generate(Algorithm::Es256).expect("key").0.public().clone();
    let enrolled = store.enrol(ticket, key.clone(), profile.name).await.expect("store").expect("enrolled");
    (key, enrolled.device)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_whether_its_use_can_be_noted_or_not() {
    let server: &Server = Box::leak(Box::new(Server::start(&[])));
    let database = Database::of(server);
    let store = database.open().await.expect("opened");
    let ((_, device), now) = (enrol(&store).await, clock().timestamp().0);
    let (session, before) = (SessionKey([7; 32]), now - 1000);
    database.sql(&format!(
        "INSERT INTO loopkey.sessions (hash, account, device, epoch, generation, organisation_generation, origin, method,
             signed_in_at, expires_at, idle_seconds, last_used)
         VALUES (decode(repeat('07', 32), 'hex'), 'ada', '{}', 0, 0, 0, 'https://app.example.com', 'agent', {before}, {},
             9000, {before});
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON loopkey.sessions FOR EACH ROW EXECUTE FUNCTION refuse()",
        device.as_str(),
        now + 9000
    ));
    let noted = || database.sql(&format!("SELECT last_used > {before} FROM loopkey.sessions"));
    assert!(store.use_session(session).await.expect("store").open().is_some(), "the note fails");
    assert_eq!(noted(), "f");
    database.sql("DROP TRIGGER refuse ON loopkey.sessions");
    wait_for_nobody(server);
    assert!(store.use_session(session).await.expect("store").open().is_some(), "the standby is away");
    assert_eq!(noted(), "t", "and the note waits for none");
}

/// What was committed here alone is undone by a promotion. Asked again, nothing is left to change; and still nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_gone_already_are_not_called_gone_before_the_standbys_know() {
    let server: &Server = Box::leak(Box::new(Server::start(&[])));
    let store = Database::of(server).open().await.expect("opened");
    let account = parsed("ada");
    let (key, device) = enrol(&store).await;
    wait_for_nobody(server);
    let done = Arc::new(AtomicBool::new(false));
    let cancelling = tokio::task::spawn_blocking({
        let done = Arc::clone(&done);
        move || {
            while !done.load(Ordering::SeqCst) {
                server.sql("postgres", CANCEL_WAITING);
            }
        }
    });
    for round in ["at first", "again"] {
        let raised = store.raise_epoch(&device, Epoch(1)).await;
        assert!(raised.is_err(), "{round}: {raised:?}");
    }
    for round in ["at first", "again"] {
        let revoked = store.revoke_device(&account, &device, Actor::Person).await;
        assert!(revoked.is_err(), "{round}: {revoked:?}");
    }
    for round in ["at first", "again"] {
        let erased = store.erase_account(&account).await;
        assert!(erased.is_err(), "{round}: {erased:?}");
    }
    assert!(store.sign_out_account(&account, None).await.is_err(), "an account that is gone here");
    assert!(store.sign_out_organisation(&parsed("acme")).await.is_err(), "an organisation that is not here");
    assert!(
        store.end_session(&account, SessionKey::of(&Secret::new([7; 32]))).await.is_err(),
        "a session that is gone"
    );
    done.store(true, Ordering::SeqCst);
    cancelling.await.expect("no panic");
    assert!(store.device(key.id()).await.expect("store").is_none(), "all of it was done here");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_promotion_the_new_primary_is_found_and_old_challenges_are_stale() {
    let primary: &Server = Box::leak(Box::new(Server::start(&[("wal_level", "replica")])));
    let database = Database::of(primary);
    let standby: &Server = Box::leak(Box::new(Server::standby_of(primary, "second")));
    primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (second)'");
    primary.sql("postgres", "SELECT pg_reload_conf()");
    while primary.sql("postgres", "SHOW synchronous_standby_names").is_empty() {}
    // The standby stands first: it is passed over as long as it takes no writes.
    let url =
        format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/{}", standby.port(), primary.port(), database.name);
    let store = Postgres::open(&shared(&url), clock()).await.expect("opened");
    let (before, place) = (store.incarnation().await.expect("store"), store.log_end().await.expect("store"));
    let until = clock().timestamp().plus(480);
    let jti = challenge();
    let _ = store.mark(&jti, &before, until).await.expect("first");
    primary.crash();
    standby.promote();
    // Writes of the new primary wait for nobody, so that it may go on alone; the promise of this store is no replica.
    standby.sql("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    standby.sql("postgres", "SELECT pg_reload_conf()");
    while !standby.sql("postgres", "SHOW synchronous_standby_names").is_empty() {}
    store.ping().await.expect("the new primary");
    assert_eq!(store.mark(&jti, &before, until).await.err(), Some(MarkError::Stale));
    assert_eq!(store.mark(&challenge(), &before, until).await.err(), Some(MarkError::Stale));
    let after = Postgres::open(&shared(&url), clock()).await.expect("opened").incarnation().await.expect("store");
    assert_ne!(after, before);
    assert_eq!(store.mark(&jti, &after, until).await.err(), Some(MarkError::Used), "the mark was on both");
    assert!(matches!(store.withdrawals(&place).await.expect("store"), crate::store::Tail::Lost(_)));
}
