//! The engine against real servers. What every engine must do is in the one suite.

use std::time::Duration;

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::crypto::{self, Algorithm, Secret};
use crate::protocol::id::{ChallengeId, EnrolmentTicket, Incarnation};
use crate::protocol::time::UnixMillis;
use crate::store::{DisplayName, Hint, Profile, SharedStore, Store, StoreUrl, TicketHash};
use crate::verify::mark::MarkError;
use crate::verify::testing::parsed;
use server::RedisServer;

mod clocks;
mod keys;
mod links;
mod notes;
#[path = "../../../tests/support/redis.rs"]
mod server;

const SECRET: &str = "thirty-two bytes that nobody else knows";

fn shared(url: &str) -> Shared {
    let Ok(StoreUrl::Redis(mut shared)) = url.parse() else { panic!("{url} is no address") };
    shared.options.sealing_secret = Some(Secret::new(SECRET.to_owned()));
    shared
}

/// A clock that agrees with the server's now, and stands still.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.wall()))
}

async fn open(shared: &Shared) -> Result<Redis, RedisRefused> {
    Redis::open(shared, clock()).await
}

async fn opened(url: &str) -> Redis {
    open(&shared(url)).await.expect("opened")
}

/// An empty store for the suite, and the clock set by its server's.
pub(in crate::store) async fn empty(clock: Arc<ManualClock>) -> SharedStore {
    clock.set_wall(SystemClock.wall());
    Arc::new(Redis::open(&shared(&RedisServer::database()), clock).await.expect("opened"))
}

async fn refused(shared: &Shared) -> RedisRefused {
    open(shared).await.expect_err("refused")
}

fn profile(account: &str) -> Profile {
    Profile { account: parsed(account), name: DisplayName::clean(account).expect("name"), avatar: None }
}

async fn write(store: &Redis, account: &str) -> Result<(), StoreError> {
    let ticket = TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random()));
    store.issue_ticket(ticket, profile(account)).await.map(drop)
}

async fn knows(store: &Redis, account: &str) -> bool {
    store.account(&parsed(account)).await.expect("store").is_some()
}

fn challenge() -> ChallengeId {
    ChallengeId::from_bytes(crypto::random())
}

async fn mark(store: &Redis, challenge: &ChallengeId, incarnation: &Incarnation) -> Option<MarkError> {
    store.mark(challenge, incarnation, SystemClock.timestamp().plus(480)).await.err()
}

/// Asks until the store answers again.
async fn recovered<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), trying).await.expect("the store comes back")
}

#[tokio::test]
async fn a_server_that_breaks_a_promise_is_refused_at_the_start() {
    let server = RedisServer::start(&[]);
    let here = shared(&server.url());
    let mut bare = here.clone();
    bare.options.sealing_secret = None;
    assert!(matches!(refused(&bare).await, RedisRefused::NoSecret));

    server.say("CONFIG SET maxmemory-policy allkeys-lru");
    let error = refused(&here).await.to_string();
    assert!(error.contains("maxmemory-policy is \"allkeys-lru\"") && error.contains("noeviction"), "{error}");
    server.say("CONFIG SET maxmemory-policy noeviction");

    server.say("REPLICAOF 127.0.0.1 1");
    assert!(matches!(refused(&here).await, RedisRefused::NotPrimary(role) if role == "slave"));
    server.say("REPLICAOF NO ONE");

    let mut promised = here.clone();
    promised.options.replicas = 1;
    let error = refused(&promised).await.to_string();
    assert!(error.contains("shared_store.replicas is 1, and 0 replicas"), "{error}");

    let user = |name: &str| shared(&server.url().replace("//", &format!("//{name}:pass@")));
    server.say("ACL SETUSER silent on >pass ~* &* +@all -info");
    let error = refused(&user("silent")).await.to_string();
    assert!(error.contains("+info"), "{error}");
    server.say("ACL SETUSER managed on >pass ~* &* +@all -config");
    assert!(open(&user("managed")).await.is_ok(), "INFO tells the policy as well");
    server.say("ACL SETUSER narrow on >pass ~{loopkey}:* &{loopkey}:* +@all -@dangerous +info");
    let narrow = open(&user("narrow")).await.expect("opened");
    write(&narrow, "ada").await.expect("needs no other keys and channels");

    let store = opened(&server.url()).await;
    store.challenge_signers(Algorithm::Es256).await.expect("keys");
    let mut stranger = here.clone();
    stranger.options.sealing_secret = Some(Secret::new("another secret of more than 32 bytes".to_owned()));
    assert!(matches!(refused(&stranger).await, RedisRefused::WrongSecret { number: 1, .. }));
    assert!(open(&here).await.is_ok());
    // A secret that is lost, as docs/operations.md says: without the sealed keys, new ones are made under a new secret.
    server.say("DEL {loopkey}:challenge-keys");
    let anew = open(&stranger).await.expect("another secret");
    anew.challenge_signers(Algorithm::Es256).await.expect("keys");
    assert!(matches!(refused(&here).await, RedisRefused::WrongSecret { .. }));

    server.say("SET {loopkey}:schema 2");
    let error = refused(&stranger).await.to_string();
    assert!(error.contains("schema version \"2\"") && error.contains("up to 1"), "{error}");

    let cluster = RedisServer::start(&["--cluster-enabled", "yes"]);
    assert!(matches!(refused(&shared(&cluster.url())).await, RedisRefused::Mode(mode) if mode == "cluster"));
    for url in ["redis://h:1/0#insecure", "redis://h:1/0?protocol=resp3", "redis://h:1/x"] {
        assert!(matches!(refused(&shared(url)).await, RedisRefused::Address { .. }), "{url}");
    }
}

#[tokio::test]
async fn a_password_comes_from_the_options_or_the_address() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let mut right = shared(&server.url());
    assert!(matches!(refused(&right).await, RedisRefused::Unreachable { .. } | RedisRefused::NoInfo(_)));
    right.options.password = Some(Secret::new("hunter2".to_owned()));
    let store = open(&right).await.expect("opened");
    assert!(!format!("{store:?}").contains("hunter2"));
    opened(&server.url().replace("//", "//:hunter2@")).await;
    right.options.password = Some(Secret::new("hunter3".to_owned()));
    let error = refused(&right).await.to_string();
    assert!(!error.contains("hunter"), "{error}");
}

#[tokio::test]
async fn flushed_data_is_another_life() {
    let server = RedisServer::start(&[]);
    let store = opened(&server.url()).await;
    let (before, log) = (store.incarnation().await.expect("store"), store.log_end().await.expect("store"));
    let used = challenge();
    assert_eq!(mark(&store, &used, &before).await, None);
    server.say("FLUSHALL");
    assert_eq!(mark(&store, &used, &before).await, Some(MarkError::Stale), "its mark is gone, and so is its life");
    let after = store.incarnation().await.expect("store");
    assert_ne!(after, before);
    assert_eq!(mark(&store, &challenge(), &before).await, Some(MarkError::Stale));
    assert_eq!(mark(&store, &challenge(), &after).await, None);
    assert!(matches!(store.withdrawals(&log).await.expect("store"), Tail::Lost(_)));
}

#[tokio::test]
async fn a_restart_is_another_life_and_keeps_what_is_on_disk() {
    let with_file = ["--appendonly", "yes", "--appendfsync", "always"];
    for settings in [&with_file[..], &["--save", "3600 1"]] {
        let mut server = RedisServer::start(settings);
        let store = opened(&server.url()).await;
        let (before, log) = (store.incarnation().await.expect("store"), store.log_end().await.expect("store"));
        let used = challenge();
        assert_eq!(mark(&store, &used, &before).await, None);
        write(&store, "ada").await.expect("written");
        let mut hints = store.hints();
        if settings.contains(&"--save") {
            server.say("SAVE");
        }
        server.kill();
        assert!(store.account(&parsed("ada")).await.is_err(), "it is gone");
        assert_eq!(mark(&store, &challenge(), &before).await, Some(MarkError::Unavailable));
        server.start_again();
        let after = recovered(async || store.incarnation().await.ok().filter(|after| *after != before)).await;
        assert!(knows(&store, "ada").await, "{settings:?}");
        assert_eq!(mark(&store, &used, &before).await, Some(MarkError::Stale), "{settings:?}");
        assert_eq!(mark(&store, &challenge(), &after).await, None);
        assert!(matches!(store.withdrawals(&log).await.expect("store"), Tail::Lost(_)), "{settings:?}");
        write(&store, "lin").await.expect("and can be written");
        let heard = tokio::time::timeout(Duration::from_secs(30), hints.recv()).await;
        assert_eq!(heard.expect("in time").expect("a hint"), Hint::LogGrew, "who heard nothing meanwhile looks");
    }
}

#[tokio::test]
async fn a_promoted_replica_is_another_life() {
    let mut primary = RedisServer::start(&[]);
    let replica = primary.replica();
    let mut promised = shared(&primary.url());
    promised.options.replicas = 1;
    let store = open(&promised).await.expect("opened");
    let (before, log) = (store.incarnation().await.expect("store"), store.log_end().await.expect("store"));
    let used = challenge();
    assert_eq!(mark(&store, &used, &before).await, None);
    write(&store, "ada").await.expect("the replica has it");
    primary.kill();
    replica.say("REPLICAOF NO ONE");
    let promoted = opened(&replica.url()).await;
    assert!(knows(&promoted, "ada").await, "what was acknowledged is there");
    assert_ne!(promoted.incarnation().await.expect("store"), before);
    assert_eq!(mark(&promoted, &used, &before).await, Some(MarkError::Stale));
    assert_eq!(mark(&promoted, &challenge(), &before).await, Some(MarkError::Stale));
    assert!(matches!(promoted.withdrawals(&log).await.expect("store"), Tail::Lost(_)));
}

#[tokio::test]
async fn a_primary_that_became_a_replica_takes_no_mark() {
    let server = RedisServer::start(&["--replica-read-only", "no"]);
    let store = opened(&server.url()).await;
    let before = store.incarnation().await.expect("store");
    // A replica that can be written has its primary's replication id.
    server.say("REPLICAOF 127.0.0.1 1");
    assert_eq!(mark(&store, &challenge(), &before).await, Some(MarkError::Unavailable));
    server.say("REPLICAOF NO ONE");
    recovered(async || store.log_end().await.ok()).await;
    assert_eq!(mark(&store, &challenge(), &before).await, Some(MarkError::Stale));
}

#[tokio::test]
async fn a_write_that_the_replicas_lack_is_not_acknowledged() {
    let primary = RedisServer::start(&[]);
    let replica = primary.replica();
    let mut promised = shared(&primary.url());
    promised.options.replicas = 1;
    let store = open(&promised).await.expect("opened");
    write(&store, "ada").await.expect("acknowledged");
    replica.signal("STOP");
    let incarnation = store.incarnation().await.expect("store");
    let writing = futures::future::join_all((0..4).map(|n| write(&store, ["a", "b", "c", "d"][n])));
    let reading = async {
        // Nobody else waits for the replica.
        assert!(knows(&store, "ada").await);
        assert_eq!(mark(&store, &challenge(), &incarnation).await, None);
    };
    let (written, ()) = futures::join!(writing, reading);
    for outcome in written {
        let error = outcome.expect_err("not acknowledged").to_string();
        assert!(error.contains("0 of 1 replicas"), "{error}");
    }
    assert!(store.ping().await.is_err(), "it takes no writes as they are promised");
    replica.signal("CONT");
    recovered(async || write(&store, "lin").await.ok()).await;
    // A crowd waits together.
    let crowd = futures::future::join_all((0..200).map(|_| write(&store, "ada"))).await;
    assert!(crowd.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let server = RedisServer::start(&[]);
    let store = opened(&server.url()).await;
    let incarnation = store.incarnation().await.expect("store");
    server.signal("STOP");
    let started = tokio::time::Instant::now();
    assert_eq!(mark(&store, &challenge(), &incarnation).await, Some(MarkError::Unavailable));
    let took = started.elapsed();
    assert!(took >= marks::MARK_DEADLINE && took < Duration::from_secs(2), "{took:?}");
    let started = tokio::time::Instant::now();
    let (read, written) = futures::join!(store.log_end(), write(&store, "ada"));
    assert!(read.is_err() && written.is_err());
    let took = started.elapsed();
    assert!(took >= DEADLINE && took < DEADLINE * 2, "{took:?}");
    server.signal("CONT");
    recovered(async || store.log_end().await.ok()).await;
    recovered(async || write(&store, "ada").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_login_servers_share_everything() {
    let url = RedisServer::database();
    let (one, other) = (Arc::new(opened(&url).await), Arc::new(opened(&url).await));
    // Both start at once: one key.
    let (a, b) = futures::join!(one.challenge_signers(Algorithm::Es256), other.challenge_signers(Algorithm::Es256));
    let (a, b) = (a.expect("keys").public(), b.expect("keys").public());
    assert_eq!((a.keys().len(), &a), (1, &b));
    one.rotate_challenge_key(Algorithm::Es256).await.expect("rotated");
    let published = other.challenge_signers(Algorithm::Es256).await.expect("keys");
    assert_eq!(published.public().keys().len(), 2);
    assert_eq!(published.current(SystemClock.timestamp()).public(), &a.keys()[0], "the new one does not sign yet");
    // One that still has another algorithm configured makes no keys in turn with the others.
    other.challenge_signers(Algorithm::Ed25519).await.expect("keys");
    assert_eq!(one.challenge_signers(Algorithm::Es256).await.expect("keys").public().keys().len(), 2);
    let third = opened(&url).await;
    let keys = third.challenge_signers(Algorithm::Ed25519).await.expect("keys").public();
    assert_eq!(keys.keys()[0].algorithm(), Algorithm::Ed25519, "a restart changes it");

    let mut hints = one.hints();
    let hint = Hint::ProfileChanged { subject: parsed("ada") };
    other.hint(hint.clone()).await;
    assert_eq!(hints.recv().await.expect("a hint"), hint);
    write(&one, "ada").await.expect("written");
    let log = one.log_end().await.expect("store");
    assert!(other.sign_out_account(&parsed("ada"), None).await.expect("store"));
    assert_eq!(hints.recv().await.expect("a hint"), Hint::LogGrew);
    assert!(matches!(one.withdrawals(&log).await.expect("store"), Tail::Entries(entries, _) if entries.len() == 1));

    let incarnation = one.incarnation().await.expect("store");
    assert_eq!(other.incarnation().await.expect("store"), incarnation);
    for _ in 0..20 {
        let jti = challenge();
        let tries = (0..64).map(|n| {
            let (store, incarnation) = (Arc::clone(if n % 2 == 0 { &one } else { &other }), incarnation.clone());
            tokio::spawn(async move { mark(&store, &jti, &incarnation).await })
        });
        let outcomes = futures::future::join_all(tries).await;
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Ok(None))).count();
        assert_eq!(taken, 1, "{outcomes:?}");
    }
}

#[tokio::test]
async fn two_databases_of_a_server_are_two_stores() {
    let (one, other) = (opened(&RedisServer::database()).await, opened(&RedisServer::database()).await);
    let mut hints = other.hints();
    write(&one, "ada").await.expect("written");
    assert!(!knows(&other, "ada").await);
    assert!(one.sign_out_account(&parsed("ada"), None).await.expect("store"));
    let own = Hint::ProfileChanged { subject: parsed("own") };
    other.hint(own.clone()).await;
    assert_eq!(hints.recv().await.expect("a hint"), own, "and the other's hints are not heard");
}

#[tokio::test]
async fn tls_counts_by_its_certificate() {
    let folder = tempfile::tempdir().expect("folder");
    let write_pem = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let authority = |file: &str| {
        let key = rcgen::KeyPair::generate().expect("key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("certificate").pem();
        (write_pem(file, &pem), rcgen::Issuer::new(params, key))
    };
    let ((ours, issuer), (theirs, _)) = (authority("ours.pem"), authority("theirs.pem"));
    let key = rcgen::KeyPair::generate().expect("key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    let certificate = write_pem("server.pem", &params.signed_by(&key, &issuer).expect("certificate").pem());
    let key = write_pem("server.key", &key.serialize_pem());
    let tls = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ours];
    let server = RedisServer::start(&[&tls[..], &files].concat());
    let mut shared = shared(&format!("rediss://localhost:{}/0", server.port()));
    let error = refused(&shared).await.to_string();
    assert!(error.contains("TLS"), "the system does not know the authority: {error}");
    shared.options.ca_file = Some(theirs.into());
    assert!(matches!(refused(&shared).await, RedisRefused::Unreachable { .. }), "another authority");
    shared.options.ca_file = Some(ours.into());
    let store = open(&shared).await.expect("opened");
    write(&store, "ada").await.expect("written");
    assert!(knows(&store, "ada").await);
    shared.options.ca_file = Some(key.into());
    assert!(matches!(refused(&shared).await, RedisRefused::Tls(_)), "no certificate in it");
}
