//! From a sign-out at one replica to the pages at all of them: three real login servers on one store, ten thousand event
//! streams, and the time until the last of them has heard. Beside it one page and one sign-out, again and again.
//!
//! Nothing is asserted but that every page hears: the promise is a second, the table says how much of it is used.

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/support/postgres.rs"]
mod postgres;
#[path = "../tests/support/redis.rs"]
mod redis_server;
#[path = "support/mod.rs"]
mod support;

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey, random};
use loopkey::protocol::base64url;
use loopkey::protocol::id::{DeviceIssuer, Epoch, Subject, TokenId};
use loopkey::protocol::statement::{Challenge, Enrolment, LOGIN_LIFE_SECONDS, Login, SignOut, UserVerification, sign};
use serde_json::{Value, json};
use support::{Samples, print};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ISSUER: &str = "https://app.example.com/loopkey";
const ORIGIN: &str = "https://app.example.com";
const SERVICE_KEY: &str = "a service key of the benchmark";
const PEOPLE: usize = 1_000;
/// Pages of each of them.
const PAGES: usize = 10;
const REPLICAS: usize = 3;
/// Sign-outs of one person, one after the other.
const ALONE: usize = 100;
/// What is set up at a time.
const AT_A_TIME: usize = 16;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    raise_descriptors();
    let redis = redis_server::RedisServer::start(&[]);
    runtime.block_on(measure("Redis", &redis.url()));
    let postgres = postgres::Server::start(&[]);
    runtime.block_on(measure("PostgreSQL", &postgres.url(&postgres.database())));
}

fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a higher limit");
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(allowed > 12_000, "{allowed} open files are allowed, and 12,000 are needed: ulimit -Hn 20000");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

async fn measure(name: &str, url: &str) {
    let replicas: Vec<_> = (0..REPLICAS).map(|_| Replica::start(url)).collect();
    for replica in &replicas {
        replica.ready().await;
    }
    let people: Vec<_> = futures::stream::iter(0..PEOPLE)
        .map(|n| Person::sign_in(replicas[n % REPLICAS].address, format!("person-{n}")))
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;

    // One person: signed out at one replica, heard of at another.
    let mut alone = Samples::default();
    let mut one = Person::sign_in(replicas[0].address, "alone".to_owned()).await;
    for _ in 0..ALONE {
        let page = Page::open(replicas[1].address, &one.session).await;
        let started = now();
        let (heard, ()) = futures::join!(page.hears(), one.sign_out(replicas[0].address));
        alone.add(heard.duration_since(started));
        one.sign_in_again(replicas[2].address).await;
    }

    // Everybody: an organisation, with one call.
    let places = people.iter().flat_map(|person| (0..PAGES).map(move |page| (person, page)));
    let pages: Vec<_> = futures::stream::iter(places)
        .map(|(person, page)| Page::open(replicas[page % REPLICAS].address, &person.session))
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let hearing: Vec<_> = pages.into_iter().map(|page| tokio::spawn(page.hears())).collect();
    let started = now();
    call(replicas[0].address, "POST", "/v1/organisations/acme/sign-out", &[bearer()], None).await.expect(204);
    let mut all = Samples::default();
    for heard in join_all(hearing).await {
        all.add(heard.expect("it hears").duration_since(started));
    }
    let title = format!("{name}: a sign-out at one of {REPLICAS} replicas, heard of at the others");
    let everybody = format!("an organisation, {} pages", PEOPLE * PAGES);
    print(title, &[("one person, one page", &alone), (&everybody, &all)]);
    last(&all);
}

#[expect(clippy::print_stdout, reason = "a benchmark's answer goes to standard output")]
fn last(samples: &Samples) {
    println!("  the last page heard after {:.0} ms", samples.percentile(1.0).as_secs_f64() * 1e3);
}

/// A login server, killed with this process.
struct Replica {
    address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Replica {
    fn start(store: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let toml = format!(
            "issuer = \"{ISSUER}\"\nlisten = \"{address}\"\nservice_key_file = \"key\"\nstore = \"{store}\"\n\
             [shared_store]\nsecret_file = \"secret\"\n[limits]\naddress_per_minute = 1000000\n"
        );
        std::fs::write(folder.path().join("key"), SERVICE_KEY).expect("written");
        std::fs::write(folder.path().join("secret"), "a sealing secret of the benchmark, long enough")
            .expect("written");
        std::fs::write(folder.path().join("server.toml"), toml).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
        command.args(["--log", "error", "serve", "--config", "server.toml"]).current_dir(folder.path());
        let child = command.stdin(Stdio::null()).spawn().expect("the program starts");
        Self { address, child, _folder: folder }
    }

    async fn ready(&self) {
        let started = now();
        while !matches!(try_call(self.address, "GET", "/readyz", &[], None).await, Ok(answer) if answer.status == 200) {
            assert!(started.elapsed() < Duration::from_secs(30), "the login server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// A cookie that it sets, as it is sent back.
    fn cookie(&self, name: &str) -> String {
        let line = self.head.lines().find_map(|line| line.split_once(&format!("{name}=")));
        format!("{name}={}", line.expect("the cookie").1.split(';').next().unwrap_or_default())
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {SERVICE_KEY}")
}

async fn call(address: SocketAddr, method: &str, path: &str, headers: &[String], body: Option<Value>) -> Answer {
    try_call(address, method, path, headers, body).await.expect("an answer")
}

async fn try_call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[String],
    body: Option<Value>,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let mut text = format!("{method} /loopkey{path} HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n");
    headers.iter().for_each(|header| text.push_str(&format!("{header}\r\n")));
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    if !body.is_empty() {
        text.push_str("Content-Type: application/json\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Somebody with a device and a session.
struct Person {
    key: SoftwareKey,
    device: DeviceIssuer,
    subject: Subject,
    epoch: Epoch,
    session: String,
}

impl Person {
    async fn sign_in(address: SocketAddr, account: String) -> Self {
        let profile = json!({ "account": account, "name": "Ada" });
        let ticket = call(address, "POST", "/v1/enrolment-tickets", &[bearer()], Some(profile)).await.expect(201);
        let change = json!({ "organisation": "acme" });
        if account != "alone" {
            call(address, "PATCH", &format!("/v1/accounts/{account}"), &[bearer()], Some(change)).await.expect(200);
        }
        let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("a key");
        let nonce = ticket.json()["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
        let aud = ISSUER.parse().expect("an issuer");
        let enrolment = Enrolment { aud, nonce, jwk: key.public().to_jwk(), name: "laptop".into() };
        let enrolment = json!({ "enrolment": sign(&enrolment, &key).expect("signed") });
        let enrolled = call(address, "POST", "/v1/devices", &[], Some(enrolment)).await.expect(201).json();
        let text = |name: &str| enrolled[name].as_str().expect("text").to_owned();
        let device = DeviceIssuer(text("device").parse().expect("an id"));
        let subject = text("subject").parse().expect("a subject");
        let mut person = Self { key, device, subject, epoch: Epoch(0), session: String::new() };
        person.sign_in_again(address).await;
        person
    }

    async fn sign_in_again(&mut self, address: SocketAddr) {
        let page = || format!("Origin: {ORIGIN}");
        let answer = call(address, "POST", "/v1/challenge", &[page()], Some(json!({}))).await.expect(200);
        let compact = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
        let claims = base64url::decode(compact.split('.').nth(1).expect("claims")).expect("base64url");
        let challenge: Challenge = serde_json::from_slice(&claims).expect("claims");
        let login = Login {
            iss: self.device.clone(),
            aud: challenge.rdm,
            sub: self.subject.clone(),
            org: challenge.org,
            nonce: challenge.jti,
            sid: challenge.sid,
            jti: TokenId::from_bytes(random()),
            epo: self.epoch,
            uv: UserVerification::Prompt,
            iat: challenge.iat,
            exp: challenge.iat.plus(LOGIN_LIFE_SECONDS),
        };
        let token = sign(&login, &self.key).expect("signed");
        let posted = json!({ "challenge": compact, "token": token, "subject": self.subject });
        let cookie = format!("Cookie: {}", answer.cookie("__Host-loopkey_pre"));
        let answer = call(address, "POST", "/v1/login", &[page(), cookie], Some(posted)).await.expect(204);
        self.session = answer.cookie("__Host-loopkey_session");
    }

    async fn sign_out(&mut self, address: SocketAddr) {
        self.epoch = Epoch(self.epoch.0 + 1);
        let aud = ISSUER.parse().expect("an issuer");
        let statement = SignOut { iss: self.device.clone(), aud, sub: self.subject.clone(), epo: self.epoch };
        let statement = json!({ "statement": sign(&statement, &self.key).expect("signed") });
        call(address, "POST", "/v1/sign-outs", &[], Some(statement)).await.expect(204);
    }
}

/// A page that listens.
struct Page(TcpStream);

impl Page {
    /// Opens an event stream and waits for its first bytes.
    async fn open(address: SocketAddr, session: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let text =
            format!("GET /loopkey/v1/session/events HTTP/1.1\r\nHost: app.example.com\r\nCookie: {session}\r\n\r\n");
        stream.write_all(text.as_bytes()).await.expect("sent");
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(":\n\n") {
            assert!(stream.read_buf(&mut seen).await.expect("read") > 0, "{}", String::from_utf8_lossy(&seen));
        }
        Self(stream)
    }

    /// Waits for the end of its session; when that was heard.
    async fn hears(mut self) -> Instant {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("event: signed_out") {
            assert!(self.0.read_buf(&mut seen).await.expect("read") > 0, "the stream ended without a word");
        }
        now()
    }
}
