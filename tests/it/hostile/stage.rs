//! An agent with everything around it in the test's hands: its clock, its person, and an issuer whose key the test holds
//! and which says whatever the test wants said. A page was open before the attack begins, and is looked at afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use loopkey::agent::{Agent, AgentSettings, Answer, Builder};
use loopkey::clock::{Clock as _, ManualClock};
use loopkey::crypto::{Algorithm, Signer, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::id::Subject;
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::message::{AgentMessage, PageMessage};
use loopkey::protocol::metadata::Metadata;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::jwk::JwkSet;
use loopkey::protocol::time::UnixMillis;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::raw::{Raw, masked, text};
use crate::support::world::{RunningAgent, TestAsker, TestPage, settings};

/// The issuer's time when a stage is set, in Unix seconds.
const CURTAIN: u64 = 1_800_000_000;

/// A login server that publishes a key of the test's.
pub(crate) struct TestIssuer {
    pub(crate) url: Issuer,
    pub(crate) key: SoftwareKey,
    /// How often an agent asked for the keys.
    asked: Arc<AtomicUsize>,
    clock: Arc<ManualClock>,
}

impl TestIssuer {
    pub(crate) async fn start(clock: &Arc<ManualClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url: Issuer = format!("http://127.0.0.1:{port}").parse().expect("an issuer");
        let key = SoftwareKey::generate(Algorithm::Es256).expect("a key").0;
        let asked = Arc::new(AtomicUsize::new(0));
        let issuer = Self { url, key, asked: Arc::clone(&asked), clock: Arc::clone(clock) };
        let metadata = json!(Metadata::of(&issuer.url, vec![28970], Vec::new(), vec![issuer.url.origin()]));
        let keys = json!(JwkSet(vec![issuer.key.public().to_jwk()]));
        let clock = Arc::clone(clock);
        tokio::spawn(async move {
            let mut enrolled = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let path = request_path(&mut stream).await;
                let (status, body) = match path.as_str() {
                    "/.well-known/loopkey.json" => (200, metadata.clone()),
                    "/.well-known/jwks.json" => {
                        asked.fetch_add(1, Ordering::Relaxed);
                        (200, keys.clone())
                    }
                    "/v1/devices" => {
                        enrolled += 1;
                        (201, person(enrolled))
                    }
                    _ => (204, Value::Null),
                };
                let body = if body.is_null() { String::new() } else { body.to_string() };
                let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time_at(&clock)));
                let head = format!(
                    "HTTP/1.1 {status} So\r\nDate: {date}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        issuer
    }

    /// How often an agent asked for the keys, and with them for the time.
    pub(crate) fn times_asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The issuer's time in Unix seconds.
    pub(crate) fn time(&self) -> u64 {
        time_at(&self.clock)
    }

    /// The claims of a sound challenge for a page of that origin.
    pub(crate) fn claims_for(&self, origin: &str) -> Value {
        let now = self.time();
        json!({
            "iss": self.url, "aud": "loopkey-agent", "org": origin, "rdm": self.url.login_url(), "inc": "first-life",
            "jti": base64url::encode(loopkey::crypto::random::<32>()), "sid": base64url::encode([7; 32]),
            "iat": now, "exp": now + 120,
        })
    }

    /// The claims of a sound challenge for a page of the issuer's own origin.
    pub(crate) fn claims(&self) -> Value {
        self.claims_for(self.url.origin().as_str())
    }

    /// Signs claims as a challenge, sound or not.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        compact(&header("loopkey-challenge+jwt", &self.key), claims, &self.key)
    }

    /// A sound challenge.
    pub(crate) fn challenge(&self) -> String {
        self.sign(&self.claims())
    }
}

/// The issuer's clock is right, whatever the wall clock of the agent's computer says.
fn time_at(clock: &ManualClock) -> u64 {
    CURTAIN + clock.now().0.as_secs()
}

/// Who holds the device key that was enrolled as the given one.
fn person(number: u32) -> Value {
    json!({
        "device": format!("device-{number}"), "subject": format!("subject-{number}"),
        "name": format!("Secret Name {number}"), "epoch": 0,
    })
}

async fn request_path(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut chunk = [0; 2048];
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned()
}

fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request);
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase();
    let length = length.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

/// The header of a statement that the key signs.
pub(crate) fn header(typ: &str, key: &dyn Signer) -> Value {
    json!({ "alg": key.public().algorithm(), "typ": typ, "kid": key.public().id() })
}

/// Signs any header and any claims.
pub(crate) fn compact(header: &Value, claims: &Value, key: &dyn Signer) -> String {
    let part = |json: &Value| base64url::encode(json.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(input.as_bytes()).expect("signed");
    format!("{input}.{}", base64url::encode(signature))
}

/// The same object with one member changed.
pub(crate) fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

/// The same object without one member.
pub(crate) fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().expect("an object").remove(member);
    object
}

/// An agent, its issuer, the person who is signed in, and an honest page that was there first.
pub(crate) struct Stage {
    pub(crate) issuer: TestIssuer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) agent: RunningAgent,
    pub(crate) asker: Arc<TestAsker>,
    pub(crate) account: Subject,
    honest: TestPage,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A stage whose agent is told something else than the default.
    pub(crate) async fn with(change: impl FnOnce(&mut AgentSettings)) -> Self {
        Self::built(change, |builder| builder).await
    }

    /// A stage whose agent is put together otherwise.
    pub(crate) async fn built(change: impl FnOnce(&mut AgentSettings), build: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(CURTAIN * 1000)));
        let issuer = TestIssuer::start(&clock).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), &issuer.url);
        change(&mut settings);
        let asker = TestAsker::new(Some(Answer::Allow { remember: false }));
        let builder = build(Agent::builder(settings).clock(clock.clone())).asker(asker.clone());
        let agent = RunningAgent::run(builder).await;
        let account = enrol(&issuer, &agent).await;
        let honest = TestPage::open(&agent.handle, &issuer.url, OpenWith::Challenge(issuer.challenge())).await;
        Self { issuer, clock, agent, asker, account, honest, _folder: folder }
    }

    pub(crate) fn port(&self) -> u16 {
        self.agent.handle.port()
    }

    /// How many prompts the person has seen.
    pub(crate) fn prompts(&self) -> usize {
        self.asker.prompts.lock().expect("unpoisoned").len()
    }

    /// What the person answers from now on; `None` lets prompts stand.
    pub(crate) fn answer(&self, answer: Option<Answer>) {
        *self.asker.answer.lock().expect("unpoisoned") = answer;
    }

    /// A socket that was greeted and has said nothing yet.
    pub(crate) async fn greeted(&self) -> Socket {
        self.greeted_from(self.issuer.url.origin().as_str()).await
    }

    /// As [`Stage::greeted`], of a page of another origin.
    pub(crate) async fn greeted_from(&self, origin: &str) -> Socket {
        Socket::greet(Raw::upgraded(self.port(), origin).await).await
    }

    /// An open socket.
    pub(crate) async fn live(&self) -> Socket {
        let mut socket = self.greeted().await;
        socket.open(json!({ "challenge": self.issuer.challenge() })).await;
        assert_eq!(socket.next().await.expect("ready")["type"], "ready");
        socket
    }

    /// Demands that a socket is served as ever.
    pub(crate) async fn serves(&self, socket: &mut Socket) {
        socket.say(&json!({ "type": "prove", "id": 4711, "challenge": self.issuer.challenge() })).await;
        assert_eq!(socket.answer(4711).await["type"], "proof");
    }

    /// Demands that the agent lives, that the page that was there first is undisturbed, and that the next one is served.
    pub(crate) async fn unharmed(mut self) {
        let agent = &self.agent.handle;
        agent.set_presence(&self.account, PresenceState::Locked).expect("set");
        let seq = agent.set_presence(&self.account, PresenceState::SignedIn).expect("set");
        loop {
            match self.honest.next().await.expect("the honest page is undisturbed") {
                AgentMessage::State { seq: pushed, .. } if pushed == seq => break,
                AgentMessage::State { .. } => {}
                other => panic!("{other:?} was not for this page"),
            }
        }
        let next = OpenWith::Challenge(self.issuer.challenge());
        for page in [&mut self.honest, &mut TestPage::open(agent, &self.issuer.url, next).await] {
            let (asked, prove) = page.machine.prove(self.issuer.challenge());
            page.send(&prove.encode()).await;
            let answer = page.next().await.expect("an answer");
            assert!(matches!(answer, AgentMessage::Proof { id, .. } if id == asked), "{answer:?}");
        }
        // Gone already, so that the agent need not wait for an answer to its goodbye.
        drop(self.honest);
        self.agent.stop().await;
    }
}

/// Enrols the next person, who is signed in from then on.
pub(crate) async fn enrol(issuer: &TestIssuer, agent: &RunningAgent) -> Subject {
    let ticket = "A".repeat(43).parse().expect("a ticket");
    agent.handle.enrol(&issuer.url, ticket).await.expect("enrolled").account
}

/// Sends each of the byte strings to a socket that has not said `open` and to one that has; both are closed with `code`.
pub(crate) async fn bounce(code: u16, hostile: impl IntoIterator<Item = Vec<u8>>) {
    let stage = Stage::new().await;
    for bytes in hostile {
        for mut socket in [stage.greeted().await, stage.live().await] {
            socket.raw.say(&bytes).await;
            assert_eq!(socket.closed().await, Some(code), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
    stage.unharmed().await;
}

/// A WebSocket without manners.
pub(crate) struct Socket {
    pub(crate) raw: Raw,
    pub(crate) nonce: String,
}

impl Socket {
    /// Takes the agent's greeting.
    pub(crate) async fn greet(raw: Raw) -> Self {
        let mut socket = Self { raw, nonce: String::new() };
        let hello = socket.next().await.expect("hello");
        assert_eq!((&hello["type"], &hello["v"]), (&json!("hello"), &json!(1)));
        assert_eq!(hello.as_object().map(serde_json::Map::len), Some(3), "a greeting tells nothing: {hello}");
        socket.nonce = hello["nonce"].as_str().expect("a nonce").to_owned();
        socket
    }

    /// Says a message.
    pub(crate) async fn say(&mut self, message: &Value) {
        self.raw.say(text(&message.to_string())).await;
    }

    /// Says `open` with the nonce of the greeting and whatever else.
    pub(crate) async fn open(&mut self, members: Value) {
        let mut message = json!({ "type": "open", "nonce": self.nonce });
        let message_members = message.as_object_mut().expect("an object");
        message_members.extend(members.as_object().expect("an object").clone());
        self.say(&message).await;
    }

    /// Asks for a token.
    pub(crate) async fn login(&mut self, id: u64, epoch: u64, challenge: String) {
        let epoch = loopkey::protocol::id::Epoch(epoch);
        self.raw.say(text(&PageMessage::Login { id, epoch, challenge, mark: None }.encode())).await;
    }

    /// The next message; `Err` with the code where the agent closes instead.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match self.raw.frame().await {
                None => return Err(None),
                Some((0x81, payload)) => return Ok(serde_json::from_slice(&payload).expect("JSON")),
                Some((0x88, payload)) => {
                    let code: [u8; 2] = payload.try_into().expect("a code, and never a reason");
                    return Err(Some(u16::from_be_bytes(code)));
                }
                Some(_) => {}
            }
        }
    }

    /// The answer to the request of that number.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.next().await.expect("an answer");
            if message["id"] == json!(id) && message["type"] != "consent" {
                return message;
            }
        }
    }

    /// The next message of that type.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.expect(kind);
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The code that the agent closes with, that it gives no reason, and that nothing follows; `None` where it just hangs up.
    pub(crate) async fn closed(mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next().await {
                if let Some(code) = code {
                    // As a browser does, so that the agent need not wait for it.
                    self.raw.say(masked(0x88, &code.to_be_bytes())).await;
                }
                let _ = self.raw.0.shutdown().await;
                assert_eq!(self.raw.rest().await, b"", "nothing follows a close frame");
                return code;
            }
        }
    }
}
