//! Three login servers on one store, behind nginx as `docs/operations.md` shows it.

#![expect(clippy::print_stdout, reason = "figures, for whoever runs it with --nocapture")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use loopkey::crypto::Algorithm;
use loopkey::protocol::id::Epoch;
use loopkey::store::ROTATION_LEAD_SECONDS;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::browser::Browser;
use super::device::Device;
use super::http::{Answer, Call};
use super::keep_alive::hurry;
use super::program::Program;
use super::rotation::key_of;
use super::{ORIGIN, SERVICE_KEY, backend, machine};
use crate::commands::until;
use crate::support::nginx::Nginx;
use crate::support::postgres;
use crate::support::redis::RedisServer;

/// What stands for the three in the document.
const DOCUMENTED: [&str; 3] = ["10.0.0.11:28980", "10.0.0.12:28980", "10.0.0.13:28980"];
/// People who sign in at a time, and how often each: no device and no account comes near its limit.
const PEOPLE: usize = 8;
const PACE: Duration = Duration::from_millis(100);

/// Three replicas, and nginx in front.
struct Site {
    replicas: [Program; 3],
    nginx: Nginx,
}

/// The lines of a replica's configuration.
fn lines(store: &str) -> String {
    format!(
        "store = \"{store}\"\ndrain_seconds = 1\n[shared_store]\nsecret_file = \"secret\"\n\
         [limits]\naddress_per_minute = 1000000\ntrusted_proxies = [\"127.0.0.1\"]"
    )
}

/// The documented upstream and server; nothing but addresses is changed.
fn configuration(listen: &str, replicas: &[Program; 3]) -> String {
    let document = include_str!("../../../docs/operations.md");
    let mut blocks = document.split("```nginx\n").skip(1).map(|rest| rest.split("```").next().expect("an end"));
    let block = blocks.find(|block| block.contains("upstream loopkey")).expect("the block");
    let replace = |text: String, from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text.replace(from, to)
    };
    let text = replace(block.to_owned(), "listen 443 ssl;", listen);
    let addresses = DOCUMENTED.iter().zip(replicas);
    addresses.fold(text, |text, (from, replica)| replace(text, from, &replica.address.to_string()))
}

impl Site {
    async fn start(store: &str) -> Self {
        let files = [("secret", "0123456789abcdef0123456789abcdef")];
        let replicas = [0, 1, 2].map(|_| Program::begin(&lines(store), &files));
        for replica in &replicas {
            until("a replica that is ready", || async { replica.is_ready().await }).await;
        }
        let nginx = Nginx::start(|listen| configuration(listen, &replicas));
        Self { replicas, nginx }
    }

    /// A browser that speaks to one replica alone.
    fn browser_of(&self, replica: usize) -> Browser {
        Browser::new(self.replicas[replica].address, ORIGIN)
    }

    async fn device(&self, account: &str) -> Device {
        Device::enrol_at(self.nginx.address, account, Algorithm::Es256).await
    }
}

/// The browser, and what it knows, at another replica.
fn moved(browser: &Browser, to: &Program) -> Browser {
    let mut moved = Browser::new(to.address, ORIGIN);
    moved.cookies = browser.cookies.clone();
    moved
}

/// What people who sign in again and again came to see.
#[derive(Default)]
struct Count {
    logins: AtomicUsize,
    /// Answers by their status, of sign-ins that had to begin anew.
    retries: std::sync::Mutex<BTreeMap<u16, usize>>,
    over: AtomicBool,
}

impl Count {
    fn logins(&self) -> usize {
        self.logins.load(SeqCst)
    }

    fn retried(&self, status: u16) {
        *self.retries.lock().expect("unpoisoned").entry(status).or_default() += 1;
    }

    fn retries(&self) -> BTreeMap<u16, usize> {
        self.retries.lock().expect("unpoisoned").clone()
    }

    /// Waits for so many more logins.
    async fn more(&self, logins: usize) {
        let wanted = self.logins() + logins;
        until("more logins", || async { self.logins() >= wanted }).await;
    }
}

/// One person's attempt to sign in through nginx, as a page does it: the status that it ended with. What was posted is posted
/// once more, and must not be taken again.
async fn attempt(browser: &mut Browser, device: &Device) -> (u16, u16) {
    let answer = browser.post("/v1/challenge", json!({})).await;
    if answer.status != 200 {
        return (answer.status, 0);
    }
    let challenge = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
    let (token, mut copy) = (device.token(&challenge), browser.clone());
    let first = browser.login(&challenge, &token, device.subject.as_str()).await.status;
    let second = copy.login(&challenge, &token, device.subject.as_str()).await.status;
    if second == 204 {
        *browser = copy;
    }
    (first, second)
}

/// Signs in again and again: whatever fails begins anew with a new challenge. In the end there are as many sessions as tokens
/// that were taken, and at most one more for each whose answer was lost on its way.
async fn sign_in_again_and_again(address: SocketAddr, device: Device, pace: Duration, count: Arc<Count>) {
    let (mut taken, mut lost) = (0, 0);
    let mut pace = tokio::time::interval(pace);
    loop {
        pace.tick().await;
        let mut browser = Browser::new(address, ORIGIN);
        let (first, second) = attempt(&mut browser, &device).await;
        assert!((first, second) != (204, 204), "a token was accepted twice");
        if first != 204 {
            count.retried(first);
        }
        if first != 204 && second != 204 {
            lost += 1;
            continue;
        }
        taken += 1;
        count.logins.fetch_add(1, SeqCst);
        if count.over.load(SeqCst) {
            let listed = browser.get("/v1/sessions").await;
            let sessions = listed.json()["sessions"].as_array().expect("a list").len();
            assert!((taken..=taken + lost).contains(&sessions), "{sessions} sessions of {taken} tokens, {lost} lost");
            return;
        }
    }
}

struct Load {
    count: Arc<Count>,
    people: JoinSet<()>,
}

impl Load {
    async fn on(site: &Site, name: &str, pace: Duration) -> Self {
        let (count, mut people) = (Arc::<Count>::default(), JoinSet::new());
        for person in 0..PEOPLE {
            let device = site.device(&format!("{name}-{person}")).await;
            people.spawn(sign_in_again_and_again(site.nginx.address, device, pace, Arc::clone(&count)));
        }
        count.more(4 * PEOPLE).await;
        Self { count, people }
    }

    /// Ends it: the logins that there were, and what had to begin anew.
    async fn end(mut self) -> (usize, BTreeMap<u16, usize>) {
        self.count.over.store(true, SeqCst);
        while let Some(ended) = self.people.join_next().await {
            ended.expect("every token at most once");
        }
        (self.count.logins(), self.count.retries())
    }
}

async fn a_login_needs_no_particular_replica(site: &Site) {
    let device = site.device("ada").await;
    let mut first = site.browser_of(0);
    let challenge = first.challenge().await;
    let mut second = moved(&first, &site.replicas[1]);
    let answer = second.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let shown = moved(&second, &site.replicas[2]).get("/v1/session").await;
    assert_eq!((shown.status, shown.json()["account"].clone()), (200, json!("ada")));
}

async fn of_the_same_token_at_all_three_one_is_taken(site: &Site) {
    let device = site.device("bob").await;
    for _ in 0..20 {
        let mut browser = site.browser_of(0);
        let challenge = browser.challenge().await;
        let token = device.token(&challenge);
        let post = async |replica: usize| -> Answer {
            moved(&browser, &site.replicas[replica]).login(&challenge, &token, device.subject.as_str()).await
        };
        let answers = tokio::join!(post(0), post(1), post(2));
        let mut statuses = [answers.0.status, answers.1.status, answers.2.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 401, 401]);
    }
}

async fn a_sign_out_at_one_is_heard_at_the_others(site: &Site) {
    let mut device = site.device("eve").await;
    let mut slowest = Duration::ZERO;
    for round in 1..=5 {
        let mut browser = site.browser_of(0);
        device.epoch = Epoch(round - 1);
        device.signs_in(&mut browser).await;
        let mut streams =
            [moved(&browser, &site.replicas[1]).events().await, moved(&browser, &site.replicas[2]).events().await];
        let started = Instant::now();
        let statement = json!({"statement": device.sign_out(round)});
        assert_eq!(machine(site.replicas[0].address, "POST", "/v1/sign-outs", statement).await.status, 204);
        for stream in &mut streams {
            stream.until("event: signed_out").await;
        }
        slowest = slowest.max(started.elapsed());
    }
    println!("a sign-out at one replica reached the pages of two others within {slowest:?}, five times");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

async fn a_rotation_is_noticed_by_nobody(site: &Site) {
    let load = Load::on(site, "rotation", PACE).await;
    for replica in &site.replicas {
        assert_eq!(backend(replica.address, "/v1/challenge-keys", json!({})).await.status, 201);
        load.count.more(8 * PEOPLE).await;
    }
    let published = Call::new("GET", "/.well-known/jwks.json").send(site.replicas[2].address).await;
    assert!(published.json()["keys"].as_array().expect("keys").len() > 1);
    let (logins, retries) = load.end().await;
    println!("{logins} logins during three rotations, {retries:?} had to begin anew");
    assert_eq!(retries, BTreeMap::new());
}

async fn a_replica_that_is_told_to_stop_loses_nothing(site: &mut Site) {
    let load = Load::on(site, "stop", PACE).await;
    let over = Arc::<AtomicBool>::default();
    let mut pages: JoinSet<_> = (0..2 * PEOPLE).map(|_| hurry(site.nginx.address, Arc::clone(&over))).collect();
    load.count.more(PEOPLE).await;
    site.replicas[2].signal("TERM");
    let status = tokio::time::timeout(Duration::from_secs(20), site.replicas[2].ended()).await.expect("its end");
    assert_eq!(status.code(), Some(0));
    load.count.more(4 * PEOPLE).await;
    over.store(true, SeqCst);
    let (mut challenges, mut lost) = (0, Vec::new());
    while let Some(page) = pages.join_next().await {
        let (answered, without) = page.expect("no panic");
        challenges += answered;
        lost.extend(without);
    }
    assert!(lost.is_empty(), "{lost:?} of {challenges}: {}", site.nginx.complaints());
    let (logins, retries) = load.end().await;
    println!(
        "{logins} logins and {challenges} other calls while one replica of three stopped: none lost, {retries:?} had to begin anew"
    );
    assert_eq!(retries, BTreeMap::new(), "{}", site.nginx.complaints());
}

async fn a_replica_that_is_killed_lets_no_token_be_used_twice(site: &mut Site) {
    let load = Load::on(site, "kill", PACE).await;
    site.replicas[1].kill();
    load.count.more(8 * PEOPLE).await;
    let (logins, retries) = load.end().await;
    println!(
        "{logins} logins while one replica of two was killed, {retries:?} had to begin anew, no token was taken twice"
    );
    let lost: usize = retries.values().sum();
    assert!(lost <= PEOPLE, "each person was in the middle of one call at most: {retries:?}");
    assert!(retries.keys().all(|status| [502, 504].contains(status)), "{retries:?}");
}

async fn three_replicas(store: &str) {
    crate::support::trace::note(SERVICE_KEY);
    let mut site = Site::start(store).await;
    a_login_needs_no_particular_replica(&site).await;
    of_the_same_token_at_all_three_one_is_taken(&site).await;
    a_sign_out_at_one_is_heard_at_the_others(&site).await;
    super::approval::at_two_servers(site.replicas[0].address, site.replicas[1].address).await;
    a_rotation_is_noticed_by_nobody(&site).await;
    a_replica_that_is_told_to_stop_loses_nothing(&mut site).await;
    a_replica_that_is_killed_lets_no_token_be_used_twice(&mut site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_on_redis() {
    three_replicas(&RedisServer::database()).await;
}

/// Until the new key signs everywhere, two minutes after it was made.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: ./test --long runs it"]
async fn long_a_rotation_to_its_end_is_noticed_by_nobody() {
    let site = Site::start(&RedisServer::database()).await;
    let load = Load::on(&site, "long", Duration::from_secs(2)).await;
    let key = async |replica: usize| key_of(&site.browser_of(replica).challenge().await);
    let former = key(0).await;
    assert_eq!(backend(site.replicas[0].address, "/v1/challenge-keys", json!({})).await.status, 201);
    let patience = Duration::from_secs(ROTATION_LEAD_SECONDS + 60);
    let rotated = async {
        for replica in 0..3 {
            while key(replica).await == former {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    };
    tokio::time::timeout(patience, rotated).await.expect("the new key signs at each of them");
    load.count.more(4 * PEOPLE).await;
    let (logins, retries) = load.end().await;
    println!("{logins} logins before, during and after a rotation, {retries:?} had to begin anew");
    assert_eq!(retries, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_on_postgresql() {
    let server = postgres::shared();
    three_replicas(&server.url(&server.database())).await;
}
