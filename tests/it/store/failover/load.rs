//! People who sign in without a break, and an attacker who saw every token and presents each again, at every door.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use loopkey::store::{Audited, SharedStore};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::login::browser::{Browser, SESSION};
use crate::login::device::Device;
use crate::login::http::{Answer, Call};
use crate::login::{ORIGIN, Server};
use crate::support::trace;

/// How many sign in at a time.
pub(super) const PEOPLE: usize = 4;
/// Longest time in which somebody must have got in, whatever fails meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// A browser whose call was refused or lost asks again after this long.
const PAUSE: Duration = Duration::from_millis(20);
/// Replays under way at a time.
const REPLAYS: usize = 16;

/// A token that was posted, as the attacker saw it.
struct Posted {
    call: Call,
    token_id: String,
    accepted: usize,
}

/// What honest people met with.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    /// Sign-ins, every one of which succeeded in the end.
    pub(super) logins: usize,
    /// Those among them that had to begin again with a new challenge.
    pub(super) retried: usize,
    /// Answers 409: another life of the store.
    pub(super) stale: usize,
    /// Answers 503.
    pub(super) unavailable: usize,
    /// Connections that broke before the answer came.
    pub(super) broken: usize,
    /// What the attacker presented.
    pub(super) replays: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { logins, retried, stale, unavailable, broken, replays } = self;
        write!(
            f,
            "{logins} honest sign-ins, all of which got in, {retried} of them with another challenge \
             ({stale} times 409, {unavailable} times 503, {broken} broken connections); {replays} replays"
        )
    }
}

struct Shared {
    doors: [SocketAddr; 2],
    /// Whose turn it is to sign in.
    devices: Mutex<VecDeque<Device>>,
    posted: Mutex<Vec<Posted>>,
    tally: Mutex<Tally>,
    /// The sessions that were acknowledged: their cookies, and the tokens they were opened with.
    sessions: Mutex<Vec<(Browser, String)>>,
    logins: watch::Sender<usize>,
    ending: AtomicBool,
}

/// The load, until it is ended.
pub(super) struct Load {
    shared: Arc<Shared>,
    /// How many tokens there were at the last three replays, the oldest first.
    replayed: [usize; 3],
    people: JoinSet<()>,
    attacker: JoinSet<()>,
}

/// How it went.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// The sessions that were acknowledged, with the ids of their tokens.
    pub(super) sessions: Vec<(Browser, String)>,
}

/// Enrols so many who are to sign in.
pub(super) async fn people(server: &Server, count: usize) -> Vec<Device> {
    let names = (0..count).map(|number| format!("person-{number}"));
    stream::iter(names).then(|name| async move { Device::enrol(server, &name).await }).collect().await
}

impl Load {
    /// Begins: people come in at either door, and may post their tokens at the other.
    pub(super) fn start(doors: [SocketAddr; 2], people: Vec<Device>) -> Self {
        Self::start_with(doors, people, PEOPLE)
    }

    /// Begins with so many who sign in at a time.
    pub(super) fn start_with(doors: [SocketAddr; 2], people: Vec<Device>, at_a_time: usize) -> Self {
        let shared = Arc::new(Shared {
            doors,
            devices: Mutex::new(people.into()),
            posted: Mutex::default(),
            tally: Mutex::default(),
            sessions: Mutex::default(),
            logins: watch::Sender::new(0),
            ending: AtomicBool::new(false),
        });
        let (mut honest, mut attacker) = (JoinSet::new(), JoinSet::new());
        for number in 0..at_a_time {
            let shared = Arc::clone(&shared);
            honest.spawn(async move { shared.sign_in_in_turn(number).await });
        }
        attacker.spawn({
            let shared = Arc::clone(&shared);
            async move { shared.attack().await }
        });
        Self { shared, replayed: [0; 3], people: honest, attacker }
    }

    /// Waits until so many more have signed in.
    pub(super) async fn go_on(&mut self, logins: usize) {
        let mut counted = self.shared.logins.subscribe();
        let enough = *counted.borrow() + logins;
        let counting = timeout(PATIENCE, counted.wait_for(|now| *now >= enough));
        let counted = self.meanwhile(counting).await;
        drop(counted.expect("sign-ins go on").expect("counted"));
    }

    /// Goes on for so long.
    pub(super) async fn go_on_for(&mut self, time: Duration) {
        self.meanwhile(sleep(time)).await;
    }

    /// How many have signed in so far.
    pub(super) fn logins(&self) -> usize {
        *self.shared.logins.borrow()
    }

    async fn meanwhile<T>(&mut self, waiting: impl Future<Output = T>) -> T {
        tokio::select! {
            // Whoever ends before the end has panicked.
            ended = self.people.join_next() => panic!("somebody did not get in: {ended:?}"),
            ended = self.attacker.join_next() => panic!("the attacker gave up: {ended:?}"),
            done = waiting => done,
        }
    }

    /// The attacker presents the tokens that were posted since the last replay but two, which is before the store's life
    /// that ended last began, at both doors, the newest first.
    pub(super) async fn replay(&mut self) {
        let posted = self.shared.posted();
        self.shared.replay(self.replayed[0]..posted).await;
        self.replayed = [self.replayed[1], self.replayed[2], posted];
    }

    /// Ends when those who are under way are in and the attacker presented every token that was ever posted once more. No
    /// token was accepted twice.
    pub(super) async fn end(mut self) -> Outcome {
        self.shared.ending.store(true, Ordering::SeqCst);
        while let Some(ended) = self.people.join_next().await {
            ended.expect("everybody got in");
        }
        while let Some(ended) = self.attacker.join_next().await {
            ended.expect("the attacker went on to the end");
        }
        self.shared.replay(0..self.shared.posted()).await;
        let posted = self.shared.posted.lock().expect("not poisoned");
        let twice: Vec<_> = posted.iter().filter(|posted| posted.accepted > 1).map(|posted| &posted.token_id).collect();
        assert!(twice.is_empty(), "{} of {} tokens were accepted more than once: {twice:?}", twice.len(), posted.len());
        let tally = *self.shared.tally.lock().expect("not poisoned");
        let sessions = std::mem::take(&mut *self.shared.sessions.lock().expect("not poisoned"));
        Outcome { tally, sessions }
    }
}

impl Shared {
    /// How many tokens there are.
    fn posted(&self) -> usize {
        self.posted.lock().expect("not poisoned").len()
    }

    fn count(&self, counting: impl FnOnce(&mut Tally)) {
        counting(&mut self.tally.lock().expect("not poisoned"));
    }

    async fn sign_in_in_turn(&self, mut turn: usize) {
        while !self.ending.load(Ordering::SeqCst) {
            let device = self.devices.lock().expect("not poisoned").pop_front().expect("more devices than turns");
            timeout(PATIENCE, self.signs_in(&device, &mut turn)).await.expect("everybody gets in in the end");
            self.devices.lock().expect("not poisoned").push_back(device);
        }
    }

    /// Somebody signs in, and begins again until it is done.
    async fn signs_in(&self, device: &Device, turn: &mut usize) {
        let mut retried = false;
        while !self.tries(device, *turn).await {
            retried = true;
            *turn += 1;
            sleep(PAUSE).await;
        }
        *turn += 1;
        self.count(|tally| {
            tally.logins += 1;
            tally.retried += usize::from(retried);
        });
        self.logins.send_modify(|logins| *logins += 1);
    }

    /// One challenge and its token; whether that signed in.
    async fn tries(&self, device: &Device, turn: usize) -> bool {
        let (first, second) = (self.doors[turn % 2], self.doors[turn / 2 % 2]);
        let mut browser = Browser::new(first, ORIGIN);
        let asked = browser.call("POST", "/v1/challenge").json(&json!({})).try_send(first).await;
        let Some(answer) = self.granted(asked, 200) else { return false };
        browser.keep(&answer);
        let challenge = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
        let token = device.token(&challenge);
        let body = json!({"challenge": challenge, "token": token, "subject": device.subject.as_str()});
        let call = browser.call("POST", "/v1/login").json(&body);
        let token_id = token_id(&token);
        let answer = self.granted(call.try_send(second).await, 204);
        let accepted = usize::from(answer.is_some());
        self.posted.lock().expect("not poisoned").push(Posted { call, token_id: token_id.clone(), accepted });
        let Some(answer) = answer else { return false };
        browser.keep(&answer);
        trace::note(&browser.cookies[SESSION]);
        self.sessions.lock().expect("not poisoned").push((browser, token_id));
        true
    }

    /// The answer where it grants what was asked. Whoever is honest is refused for two reasons alone.
    fn granted(&self, answer: Option<Answer>, status: u16) -> Option<Answer> {
        let Some(answer) = answer else {
            self.count(|tally| tally.broken += 1);
            return None;
        };
        if answer.status == status {
            return Some(answer);
        }
        if answer.status == 409 {
            answer.expect_error(409, "stale_challenge");
            self.count(|tally| tally.stale += 1);
        } else {
            answer.expect_error(503, "unavailable");
            assert_eq!(answer.header("retry-after"), Some("1"));
            self.count(|tally| tally.unavailable += 1);
        }
        assert_eq!(answer.all("set-cookie").count(), 0, "no cookie with a refusal");
        None
    }

    /// Presents each token as soon as it was posted.
    async fn attack(&self) {
        let mut logins = self.logins.subscribe();
        let mut seen = 0;
        while !self.ending.load(Ordering::SeqCst) {
            let _ = timeout(PAUSE, logins.changed()).await;
            let posted = self.posted();
            self.replay(seen..posted).await;
            seen = posted;
        }
    }

    async fn replay(&self, tokens: std::ops::Range<usize>) {
        let doors = tokens.rev().flat_map(|token| self.doors.map(|door| (token, door)));
        stream::iter(doors).for_each_concurrent(REPLAYS, |(token, door)| self.present(token, door)).await;
    }

    async fn present(&self, token: usize, door: SocketAddr) {
        let call = self.posted.lock().expect("not poisoned")[token].call.clone();
        self.count(|tally| tally.replays += 1);
        let Some(answer) = call.try_send(door).await else { return };
        match answer.status {
            204 => self.posted.lock().expect("not poisoned")[token].accepted += 1,
            // Only the program as it is delivered has limits.
            401 | 409 | 429 | 503 => {}
            _ => panic!("a replay was answered with {answer:?}"),
        }
    }
}

impl Outcome {
    /// Every session that was acknowledged is open and in the audit record, and no token opened a second one, also where
    /// its answer was lost.
    pub(super) async fn is_kept_by(&mut self, store: &SharedStore) {
        let record = store.audit_tail(None, u32::MAX >> 1).await.expect("the audit record");
        let mut opened = HashMap::<&str, usize>::new();
        for entry in record.iter().filter(|entry| entry.what == Audited::SignedIn.as_str()) {
            let token = entry.detail.split(' ').find_map(|part| part.strip_prefix("token=")).expect("a token");
            *opened.entry(token).or_default() += 1;
        }
        assert!(opened.values().all(|times| *times == 1), "a token opened two sessions: {opened:?}");
        for (browser, token) in &mut self.sessions {
            assert!(opened.contains_key(token.as_str()), "the audit record has lost the sign-in with {token}");
            assert!(browser.is_signed_in().await, "the session of {token} is lost");
        }
    }
}

/// What the audit record calls a token.
fn token_id(token: &str) -> String {
    let claims = token.split('.').nth(1).expect("a payload");
    let claims = loopkey::protocol::base64url::decode(claims).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&claims).expect("claims");
    claims["jti"].as_str().expect("an id").to_owned()
}
