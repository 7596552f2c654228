//! How many tokens a second each store redeems, beside that store's own floor in the same run.
//!
//! In memory the floor is the bare signatures: two verifications and nothing else. For Redis it is the same guarded script,
//! sent by nothing but a client, and plain `SET NX` beside it; for PostgreSQL it is `pgbench` with as many rows a statement
//! and as many connections. The floors and ours take turns; what is printed are medians of the rounds, and their ratio.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/support/postgres.rs"]
mod postgres;
#[path = "../tests/support/redis.rs"]
mod redis_server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::future::join_all;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::crypto::{self, Algorithm, PublicKey, Secret, Signer as _, SoftwareKey};
use loopkey::protocol::id::{ChallengeId, DeviceIssuer, EnrolmentTicket, Incarnation, TokenId};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::statement::{self, Audience, Challenge, Login, UserVerification};
use loopkey::protocol::time::Timestamp;
use loopkey::store::{DeviceRecord, DisplayName, Profile, SharedStore, StoreUrl, TicketHash};
use loopkey::verify::{ChallengeKeys, Expectations, Presented};

const ROUNDS: usize = 5;
/// Tokens a round in memory.
const TOKENS: usize = 4_000;
/// Marks a round in a shared store.
const MARKS: usize = 40_000;
/// Sign-ins that wait for a shared store at the same time.
const CALLERS: usize = 512;
/// As many as the engine takes into one statement, and as many statements as it has under way.
const BATCH: usize = 64;
const WORKERS: usize = 4;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        in_memory().await;
        in_redis().await;
        in_postgres().await;
    });
}

/// Things done and the time they took, as a rate.
struct Rate(f64);

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
async fn rate(count: usize, work: impl Future<Output = ()>) -> Rate {
    let started = Instant::now();
    work.await;
    Rate(count as f64 / started.elapsed().as_secs_f64())
}

fn median(mut rates: Vec<Rate>) -> f64 {
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    rates[rates.len() / 2].0
}

#[expect(clippy::print_stdout, reason = "a benchmark's answer goes to standard output")]
fn table(title: &str, rows: Vec<(&str, Vec<Rate>)>) {
    println!("\n{title}");
    println!("  {:<56} {:>12} {:>8}", "", "a second", "× floor");
    let rows: Vec<_> = rows.into_iter().map(|(name, rates)| (name, median(rates))).collect();
    let floor = rows[0].1;
    for (name, rate) in rows {
        println!("  {name:<56} {rate:>12.0} {:>8.2}", rate / floor);
    }
}

/// A login server without its HTTP, and tokens for it that nobody has redeemed.
struct Site {
    store: SharedStore,
    issuer: Issuer,
    origin: Origin,
    challenge_key: SoftwareKey,
    challenge_keys: ChallengeKeys,
    cookie: [u8; 32],
    device: DeviceRecord,
    device_key: SoftwareKey,
}

/// What a page posts.
struct Posted {
    challenge: String,
    token: String,
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("sound")
}

impl Site {
    async fn new() -> Self {
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("store");
        let (challenge_key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
        let (device_key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
        let name = || DisplayName::clean("Ada").expect("a name");
        let ticket = TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random()));
        let profile = Profile { account: parsed("ada"), name: name(), avatar: None };
        store.issue_ticket(ticket, profile).await.expect("store").expect("a ticket");
        store.enrol(ticket, device_key.public().clone(), name()).await.expect("store").expect("enrolled");
        let device = store.device(device_key.public().id()).await.expect("store").expect("the device");
        Self {
            challenge_keys: ChallengeKeys::new([challenge_key.public().clone()]),
            store,
            issuer: parsed("https://app.example.com/loopkey"),
            origin: parsed("https://app.example.com"),
            challenge_key,
            cookie: crypto::random(),
            device,
            device_key,
        }
    }

    fn sign(&self, inc: &Incarnation, now: Timestamp) -> Posted {
        let challenge = Challenge {
            iss: self.issuer.clone(),
            aud: Audience::Agent,
            org: self.origin.clone(),
            jti: ChallengeId::from_bytes(crypto::random()),
            sid: statement::sid(&self.cookie),
            iat: now,
            exp: now.plus(120),
            rdm: self.issuer.login_url(),
            inc: inc.clone(),
        };
        let login = Login {
            iss: DeviceIssuer(self.device.id.clone()),
            aud: challenge.rdm.clone(),
            sub: self.device.account.subject.clone(),
            org: self.origin.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            jti: TokenId::from_bytes(crypto::random()),
            epo: self.device.epoch,
            uv: UserVerification::Prompt,
            iat: now,
            exp: now.plus(300),
        };
        Posted {
            challenge: statement::sign(&challenge, &self.challenge_key).expect("signed"),
            token: statement::sign(&login, &self.device_key).expect("signed"),
        }
    }

    /// All that `POST /v1/login` does between the request's body and the session.
    async fn redeem(&self, posted: &Posted, now: Timestamp) {
        let presented = Presented::<Login>::parse(&posted.challenge, &posted.token).expect("sound");
        let device = self.store.device(presented.key_id()).await.expect("store");
        let cookie = Secret::new(self.cookie);
        let expected = Expectations {
            issuer: &self.issuer,
            challenge_keys: &self.challenge_keys,
            origin: &self.origin,
            cookie: Some(&cookie),
            now,
        };
        let known = device.as_ref().map(DeviceRecord::for_verification);
        let redeemable =
            presented.verify(known.as_ref(), &expected, &self.device.account.subject).expect("every check passes");
        let (jti, inc, until) = (redeemable.mark(), redeemable.incarnation(), redeemable.until());
        let first = self.store.mark(jti, inc, until).await.expect("the first use");
        redeemable.redeem(first).expect("its own mark");
    }
}

/// The two signatures of a sign-in, and nothing else.
fn verify_bare(posted: &Posted, challenge_key: &PublicKey, device_key: &PublicKey) {
    for (compact, key) in [(&posted.challenge, challenge_key), (&posted.token, device_key)] {
        let (input, signature) = compact.rsplit_once('.').expect("three parts");
        let signature = loopkey::protocol::base64url::decode(signature).expect("base64url");
        key.verify(input.as_bytes(), &signature).expect("a good signature");
    }
}

/// Takes turns through the items on every core.
async fn on_every_core<F, W>(count: usize, work: W)
where
    F: Future<Output = ()> + Send,
    W: Fn(usize) -> F + Clone + Send + 'static,
{
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = (0..cores * 4).map(|_| {
        let (next, work) = (Arc::clone(&next), work.clone());
        tokio::spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return;
                }
                work(at).await;
                tokio::task::yield_now().await;
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.expect("no panic"));
}

async fn in_memory() {
    let site = Arc::new(Site::new().await);
    let (inc, now) = (site.store.incarnation().await.expect("store"), SystemClock.timestamp());
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let posted: Arc<Vec<_>> = Arc::new((0..TOKENS).map(|_| site.sign(&inc, now)).collect());
        let bare = {
            let (site, posted) = (Arc::clone(&site), Arc::clone(&posted));
            move |at: usize| {
                let (site, posted) = (Arc::clone(&site), Arc::clone(&posted));
                async move { verify_bare(&posted[at], site.challenge_key.public(), site.device_key.public()) }
            }
        };
        floor.push(rate(TOKENS, on_every_core(TOKENS, bare)).await);
        let redeem = {
            let (site, posted) = (Arc::clone(&site), Arc::clone(&posted));
            move |at: usize| {
                let (site, posted) = (Arc::clone(&site), Arc::clone(&posted));
                async move { site.redeem(&posted[at], now).await }
            }
        };
        ours.push(rate(TOKENS, on_every_core(TOKENS, redeem)).await);
    }
    let rows = vec![("two bare signatures (ring), the floor", floor), ("a token redeemed, in memory", ours)];
    table(&format!("Memory: {TOKENS} tokens a round, {ROUNDS} rounds"), rows);
}

/// Marks through a store of ours: so many callers at a time, each waiting for its own answer.
async fn mark_all(store: &SharedStore, inc: &Incarnation) {
    let until = SystemClock.timestamp().plus(480);
    let each = MARKS / CALLERS;
    let callers = (0..CALLERS).map(|_| {
        let (store, inc) = (Arc::clone(store), inc.clone());
        tokio::spawn(async move {
            for _ in 0..each {
                let jti = ChallengeId::from_bytes(crypto::random());
                drop(store.mark(&jti, &inc, until).await.expect("the first use"));
            }
        })
    });
    join_all(callers).await.into_iter().for_each(|caller| caller.expect("no panic"));
}

fn shared(url: &str) -> StoreUrl {
    let mut url: StoreUrl = parsed(url);
    let options = url.shared_options().expect("a shared store");
    options.sealing_secret = Some(Secret::new("a secret of the benchmark, and nowhere else".to_owned()));
    url
}

async fn in_redis() {
    let server = redis_server::RedisServer::start(&[]);
    let store = loopkey::store::open(&shared(&server.url()), Arc::new(SystemClock)).await.expect("store");
    let client = redis::Client::open(server.url()).expect("an address");
    let connection = client.get_multiplexed_async_connection().await.expect("a connection");
    // What the engine's own script does, without the engine.
    let script = Arc::new(redis::Script::new(
        "local replication = redis.call('INFO', 'replication')
         if not string.find(replication, 'role:master', 1, true) then return -2 end
         local life = string.match(replication, 'master_replid:(%x+)') .. '.' .. (redis.call('GET', 'floor:life') or '')
         if life == ARGV[1] then return -1 end
         if redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[2]) then return 1 end
         return 0",
    ));
    let inc = store.incarnation().await.expect("store");
    let (mut guarded, mut plain, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let floor = async |with_guard: bool| {
            let callers = (0..CALLERS).map(|_| {
                let (mut connection, script) = (connection.clone(), Arc::clone(&script));
                tokio::spawn(async move {
                    for _ in 0..MARKS / CALLERS {
                        let key = [b"floor:".as_slice(), &crypto::random::<16>()].concat();
                        let taken: i64 = if with_guard {
                            let mut call = script.prepare_invoke();
                            call.key(key).arg("another life").arg(600_000);
                            call.invoke_async(&mut connection).await.expect("an answer")
                        } else {
                            let mut set = redis::cmd("SET");
                            set.arg(key).arg("").arg("NX").arg("PX").arg(600_000);
                            let taken: Option<String> = set.query_async(&mut connection).await.expect("an answer");
                            i64::from(taken.is_some())
                        };
                        assert_eq!(taken, 1);
                    }
                })
            });
            join_all(callers).await.into_iter().for_each(|caller| caller.expect("no panic"));
        };
        guarded.push(rate(MARKS, floor(true)).await);
        plain.push(rate(MARKS, floor(false)).await);
        ours.push(rate(MARKS, mark_all(&store, &inc)).await);
    }
    let rows = vec![
        ("the guarded script alone, the floor", guarded),
        ("plain SET NX, which is not single use", plain),
        ("marks of ours", ours),
    ];
    table(&format!("Redis: {MARKS} marks a round, {CALLERS} callers, one connection, {ROUNDS} rounds"), rows);
}

async fn in_postgres() {
    let server = postgres::Server::start(&[]);
    let database = server.database();
    let store = loopkey::store::open(&shared(&server.url(&database)), Arc::new(SystemClock)).await.expect("store");
    server.sql(&database, "CREATE TABLE floor (challenge bytea PRIMARY KEY, until bigint NOT NULL)");
    let inc = store.incarnation().await.expect("store");
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(Rate(pgbench(&server, &database) * BATCH as f64));
        ours.push(rate(MARKS, mark_all(&store, &inc)).await);
    }
    let rows = vec![("pgbench, 64 rows a statement, the floor", floor), ("marks of ours", ours)];
    let title = format!("PostgreSQL: {MARKS} marks a round, {CALLERS} callers, {WORKERS} connections, {ROUNDS} rounds");
    table(&title, rows);
}

/// Statements a second that PostgreSQL's own tool gets done.
fn pgbench(server: &postgres::Server, database: &str) -> f64 {
    let script = format!(
        "INSERT INTO floor SELECT decode(md5(random()::text || clock_timestamp() || g), 'hex'), 0
         FROM generate_series(1, {BATCH}) g ON CONFLICT DO NOTHING;"
    )
    .replace('\n', " ");
    server.write("floor.sql", &script);
    let file = server.folder().join("data/floor.sql");
    let mut command = server.as_owner("pgbench");
    command.args(["-n", "-M", "prepared", "-T", "2", "-c", &WORKERS.to_string(), "-j", "2", "-f"]).arg(file);
    let output = command.arg(server.url(database)).output().expect("pgbench runs (install postgresql)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench said {said}{}", String::from_utf8_lossy(&output.stderr)))
}
