//! The example backends, in other languages and with their usual JWT libraries, against a real login server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};

use loopkey::clock::{Clock as _, ManualClock, SystemClock};
use loopkey::crypto::Secret;
use loopkey::login::{LoginConfig, RateLimits};
use loopkey::store::StoreUrl;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::browser::{Browser, PRE_LOGIN};
use super::device::Device;
use super::http::{Answer, Call};
use super::{ISSUER, ORIGIN, Server, config, no_limits};

/// The examples have this key alone.
const TOKEN_KEY: &str = "a key for the token endpoint";

/// A running example, which ends with the test.
struct Backend {
    address: SocketAddr,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl Backend {
    /// Starts a program that says on its first line where it listens.
    async fn start(mut program: Command, server: &Server, issuer: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("token.key");
        std::fs::write(&key, TOKEN_KEY).expect("the token key");
        let mut child = program
            .env("LOOPKEY_ISSUER", issuer)
            .env("LOOPKEY_URL", format!("http://{}/loopkey", server.address))
            .env("LOOPKEY_AUDIENCE", ORIGIN)
            .env("LOOPKEY_TOKEN_KEY_FILE", key)
            .env("PORT", "0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the example starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let line = lines.next_line().await.expect("readable").expect("a line that says where it listens");
        let address = line.strip_prefix("listening on http://").expect("an address").parse().expect("an address");
        Self { address, _child: child, _folder: folder }
    }

    async fn sign_in(&self, browser: &Browser, challenge: &str, token: &str, subject: &str) -> Answer {
        let call = Call::at("POST", "/sign-in").header("Origin", &browser.origin);
        let call = call.header("Cookie", &format!("{PRE_LOGIN}={}", browser.cookies[PRE_LOGIN]));
        call.json(&json!({"challenge": challenge, "token": token, "subject": subject})).send(self.address).await
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn installed(path: PathBuf, command: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing; run: {command}", path.display());
    path
}

fn python() -> Command {
    let interpreter = installed(
        root().join("target/backend-python/bin/python"),
        "python3 -m venv target/backend-python && target/backend-python/bin/pip install -r \
         examples/backend-python/requirements.txt",
    );
    let mut command = Command::new(interpreter);
    command.arg(root().join("examples/backend-python/backend.py"));
    command
}

fn node() -> Command {
    let modules = installed(
        root().join("target/backend-node/node_modules/jose"),
        "mkdir -p target/backend-node && cp examples/backend-node/package.json target/backend-node/ && npm install \
         --prefix target/backend-node",
    );
    // A module is looked for from where the program lies. Copied once: another test may be running it.
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let program = modules.with_file_name("../backend.js");
        std::fs::copy(root().join("examples/backend-node/backend.js"), &program).expect("the example");
        program
    });
    let mut command = Command::new("node");
    command.arg(program);
    command
}

/// A server whose clock agrees with the JWT libraries'.
async fn server() -> Server {
    let clock = Arc::new(ManualClock::at(SystemClock.wall()));
    let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let server = Server::start_with(store, clock).await;
    limit(&server, no_limits()).await;
    server
}

async fn limit(server: &Server, limits: RateLimits) {
    let config = LoginConfig { token_key: Some(Secret::new(TOKEN_KEY.to_owned())), limits, ..config() };
    assert_eq!(server.login.reload(config).await, Ok(Vec::new()));
}

async fn signs_people_in(program: fn() -> Command) {
    let server = server().await;
    let device = Device::enrol(&server, "ada").await;
    let backend = Backend::start(program(), &server, ISSUER).await;
    let (mut browser, mut thief) = (server.browser(), server.browser());
    let (challenge, _) = (browser.challenge().await, thief.challenge().await);
    let (token, subject) = (device.token(&challenge), device.subject.as_str());

    let stolen = backend.sign_in(&thief, &challenge, &token, subject).await;
    assert_eq!((stolen.status, &stolen.json()["error"]), (401, &json!("invalid_token")), "another browser's");
    assert_eq!(stolen.all("set-cookie").count(), 0);
    let answer = backend.sign_in(&browser, &challenge, &token, subject).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"account": "ada"})), "{answer:?}");
    let session = answer.all("set-cookie").find(|cookie| cookie.starts_with("__Host-session=")).expect("a session");
    let session = session.split(';').next().expect("a pair").to_owned();
    let me = async |cookie: &str| Call::at("GET", "/me").header("Cookie", cookie).send(backend.address).await;
    assert_eq!(me(&session).await.json(), json!({"account": "ada"}));
    assert_eq!(me("__Host-session=x").await.status, 401);
    let again = backend.sign_in(&browser, &challenge, &token, subject).await;
    assert_eq!((again.status, &again.json()["error"]), (401, &json!("invalid_token")), "once");
    for nonsense in ["", "[]", "{}", "null"] {
        let call = Call::at("POST", "/sign-in").header("Origin", ORIGIN).body(nonsense);
        assert!((400..500).contains(&call.send(backend.address).await.status), "{nonsense}");
    }
}

/// Nothing is wrong with the token of somebody who is to wait.
async fn has_people_wait(program: fn() -> Command) {
    let server = server().await;
    let device = Device::enrol(&server, "ada").await;
    let backend = Backend::start(program(), &server, ISSUER).await;
    limit(&server, RateLimits { device_per_minute: 1, ..no_limits() }).await;
    for expected in [200, 503] {
        let mut browser = server.browser();
        let challenge = browser.challenge().await;
        let answer = backend.sign_in(&browser, &challenge, &device.token(&challenge), device.subject.as_str()).await;
        assert_eq!(answer.status, expected, "{answer:?}");
    }
}

/// Whatever the login server vouches for, it must be the issuer that the backend was told of.
async fn believes_its_own_issuer_alone(program: fn() -> Command) {
    let server = server().await;
    let device = Device::enrol(&server, "ada").await;
    let backend = Backend::start(program(), &server, "https://other.example.com/loopkey").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let answer = backend.sign_in(&browser, &challenge, &device.token(&challenge), device.subject.as_str()).await;
    assert_eq!((answer.status, &answer.json()["error"]), (401, &Value::from("invalid_token")));
}

#[tokio::test]
async fn the_example_in_python_signs_people_in() {
    signs_people_in(python).await;
}

#[tokio::test]
async fn the_example_in_python_believes_its_own_issuer_alone() {
    believes_its_own_issuer_alone(python).await;
}

#[tokio::test]
async fn the_example_for_node_js_signs_people_in() {
    signs_people_in(node).await;
}

#[tokio::test]
async fn the_example_for_node_js_believes_its_own_issuer_alone() {
    believes_its_own_issuer_alone(node).await;
}

#[tokio::test]
async fn the_example_in_python_has_people_wait() {
    has_people_wait(python).await;
}

#[tokio::test]
async fn the_example_for_node_has_people_wait() {
    has_people_wait(node).await;
}
