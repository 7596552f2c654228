//! A login server and an agent of a test's own, and pages in Rust that speak to both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::{SinkExt as _, StreamExt as _};
use loopkey::agent::control::{self, rpc};
use loopkey::agent::{Agent, AgentSettings, Answer, Asker, Builder, Handle, IssuerSettings, OriginSettings, Prompt};
use loopkey::clock::SystemClock;
use loopkey::crypto::{Algorithm, Secret};
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::grant::{ConsentMode, Grant, OpenProof};
use loopkey::protocol::id::Subject;
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::page::{Event, OpenWith, Page};
use loopkey::store::StoreUrl;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use super::trace;

const SERVICE_KEY: &str = "the service key of a test";

/// A login server that can be stopped and started again on the same port.
pub(crate) struct Server {
    pub(crate) issuer: Issuer,
    port: u16,
    store: StoreUrl,
    /// How many agents may be linked, from its next start on.
    pub(crate) links: u32,
    /// Whose pages may call it, from its next start on; its own where none are named.
    pub(crate) origins: Vec<Origin>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Kept from here on: another test's process may ask for a port just then.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let issuer = format!("http://127.0.0.1:{port}").parse().expect("an issuer");
        let store = StoreUrl::Embedded(folder.path().join("login"));
        let mut server = Self { issuer, port, store, links: 1024, origins: Vec::new(), running: None, _folder: folder };
        server.serve_on(listener).await;
        server
    }

    /// Starts it again after [`Server::stop`].
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the same port");
        self.serve_on(listener).await;
    }

    async fn serve_on(&mut self, listener: TcpListener) {
        trace::start();
        let mut config = LoginConfig::new(self.issuer.clone());
        config.development = true;
        config.service_key = Some(Secret::new(SERVICE_KEY.to_owned()));
        // Tests and benchmarks ask more often than any address.
        config.limits.address_per_minute = u32::MAX;
        config.limits.challenge_per_minute = u32::MAX;
        config.limits.device_per_minute = u32::MAX;
        config.limits.account_per_minute = u32::MAX;
        config.limits.links = self.links;
        if !self.origins.is_empty() {
            config.origins.clone_from(&self.origins);
        }
        let store = loopkey::store::open(&self.store, Arc::new(SystemClock)).await.expect("a store");
        let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
        trace::note(SERVICE_KEY);
        trace::note_keys(self._folder.path());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            server.run(vec![listener], None, async { drop(stopped.await) }).await.expect("served");
        });
        self.running = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.running.take() {
            drop(stop);
            task.await.expect("the server ends");
        }
    }

    /// Stops it, has it sign its challenges with a new key, and starts it again.
    pub(crate) async fn rotate_key(&mut self) {
        self.stop().await;
        let store = loopkey::store::open(&self.store, Arc::new(SystemClock)).await.expect("a store");
        store.rotate_challenge_key(Algorithm::Es256).await.expect("rotated");
        drop(store);
        // A key signs once it has been published for a while: this one has.
        let keys = std::fs::read_dir(self._folder.path().join("login/challenge-keys")).expect("the keys");
        let newest = keys.map(|file| file.expect("a file").path()).max().expect("a key");
        let file = std::fs::File::options().append(true).open(newest).expect("the key");
        let published = std::time::Duration::from_secs(loopkey::store::ROTATION_LEAD_SECONDS);
        let now = file.metadata().and_then(|metadata| metadata.modified()).expect("a time");
        file.set_modified(now - published).expect("an older key");
        self.resume().await;
    }

    /// Stops it and starts it again with nothing in its store.
    pub(crate) async fn forget_everything(&mut self) {
        self.stop().await;
        std::fs::remove_dir_all(self._folder.path().join("login")).expect("removed");
        self.resume().await;
    }

    /// What the login server recorded, the newest first.
    pub(crate) async fn audit(&self) -> Vec<String> {
        let answer = http().get(self.issuer.endpoint("/v1/audit")).bearer_auth(SERVICE_KEY).send().await;
        let answer: Value = answer.expect("an answer").json().await.expect("JSON");
        let entries = answer["entries"].as_array().expect("entries").iter();
        entries.map(|entry| entry["what"].as_str().expect("a word").to_owned()).collect()
    }

    /// An enrolment ticket for an account.
    pub(crate) async fn ticket(&self, account: &str) -> String {
        self.ticket_with(json!({ "account": account, "name": format!("{account} of the test") })).await
    }

    /// An enrolment ticket for what a backend says of an account.
    pub(crate) async fn ticket_with(&self, profile: Value) -> String {
        let answer = http().post(self.issuer.endpoint("/v1/enrolment-tickets")).bearer_auth(SERVICE_KEY).json(&profile);
        let answer: Value = answer.send().await.expect("an answer").json().await.expect("JSON");
        trace::note_members(&answer);
        answer["ticket"].as_str().expect("a ticket").to_owned()
    }
}

pub(crate) fn http() -> reqwest::Client {
    loopkey::agent::http_client(None).expect("an HTTP client")
}

/// An agent that is running.
pub(crate) struct RunningAgent {
    pub(crate) handle: Handle,
    task: JoinHandle<()>,
}

impl RunningAgent {
    pub(crate) async fn start(settings: AgentSettings, asker: Arc<dyn Asker>) -> Self {
        Self::run(Agent::builder(settings).asker(asker)).await
    }

    /// An agent that was put together otherwise.
    pub(crate) async fn run(builder: Builder) -> Self {
        Self::run_on_its_port(builder.any_port()).await
    }

    /// An agent that listens where its settings say.
    pub(crate) async fn run_on_its_port(builder: Builder) -> Self {
        trace::start();
        let agent = builder.bind().await.expect("an agent");
        let handle = agent.handle();
        Self { handle, task: tokio::spawn(agent.run(std::future::pending())) }
    }

    pub(crate) async fn stop(self) {
        self.handle.stop();
        self.task.await.expect("the agent ends");
    }
}

/// Somebody who answers prompts as the test says, and counts them.
pub(crate) struct TestAsker {
    pub(crate) answer: Mutex<Option<Answer>>,
    pub(crate) prompts: Mutex<Vec<Prompt>>,
}

impl TestAsker {
    /// `None` lets the prompt stand unanswered.
    pub(crate) fn new(answer: Option<Answer>) -> Arc<Self> {
        Arc::new(Self { answer: Mutex::new(answer), prompts: Mutex::default() })
    }
}

#[async_trait]
impl Asker for TestAsker {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, prompt: Prompt) -> Answer {
        self.prompts.lock().expect("unpoisoned").push(prompt);
        let answer = *self.answer.lock().expect("unpoisoned");
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// A login server, an agent, and one enrolled account that is signed in.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) settings: AgentSettings,
    pub(crate) asker: Arc<TestAsker>,
    pub(crate) agent: RunningAgent,
    pub(crate) account: Subject,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose agent is told something else than the default.
    pub(crate) async fn with(change: impl FnOnce(&mut AgentSettings)) -> Self {
        Self::built(change, |builder| builder).await
    }

    /// A world whose agent is also put together otherwise: with another clock, or another peer check.
    pub(crate) async fn built(change: impl FnOnce(&mut AgentSettings), build: impl FnOnce(Builder) -> Builder) -> Self {
        let server = Server::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), &server.issuer);
        change(&mut settings);
        let asker = TestAsker::new(Some(Answer::Allow { remember: false }));
        let agent = RunningAgent::run(build(Agent::builder(settings.clone()).asker(asker.clone()))).await;
        let account = enrol(&server, &agent.handle, "ada").await;
        trace::note_keys(folder.path());
        Self { server, settings, asker, agent, account, folder }
    }

    /// A page without cookies.
    pub(crate) fn browser(&self) -> TestBrowser {
        TestBrowser::of(&self.server)
    }

    /// A page whose socket is open, with a fresh challenge.
    pub(crate) async fn open_page(&self) -> (TestBrowser, TestPage) {
        let mut browser = self.browser();
        let challenge = browser.challenge().await;
        let page = TestPage::open(&self.agent.handle, &self.server.issuer, OpenWith::Challenge(challenge)).await;
        (browser, page)
    }
}

/// Settings of an agent for one issuer and pages of the issuer's own origin.
pub(crate) fn settings(folder: &std::path::Path, issuer: &Issuer) -> AgentSettings {
    let mut settings = AgentSettings::new(folder.join("state"), folder.join("run").join("control.sock"));
    settings.development = true;
    settings.allow_root = true;
    settings.peer_check = cfg!(target_os = "linux");
    settings.issuers = vec![IssuerSettings { url: issuer.clone(), ca_file: None }];
    settings.origins = vec![OriginSettings {
        origin: issuer.origin(),
        issuer: issuer.clone(),
        grants: [Grant::Presence, Grant::Login].into_iter().collect(),
        consent: ConsentMode::Prompt,
        proof: OpenProof::Challenge,
    }];
    settings
}

pub(crate) async fn enrol(server: &Server, agent: &Handle, account: &str) -> Subject {
    let ticket = server.ticket(account).await.parse().expect("a ticket");
    agent.enrol(&server.issuer, ticket).await.expect("enrolled").account
}

/// What a page does with the login server: an origin and a cookie jar.
pub(crate) struct TestBrowser {
    issuer: Issuer,
    cookies: BTreeMap<String, String>,
}

impl TestBrowser {
    /// A browser without cookies.
    pub(crate) fn of(server: &Server) -> Self {
        Self::at(&server.issuer)
    }

    /// A browser without cookies, at a login server of which only the address is known.
    pub(crate) fn at(issuer: &Issuer) -> Self {
        Self { issuer: issuer.clone(), cookies: BTreeMap::new() }
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> (u16, Value) {
        trace::note_members(&body);
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request =
            http().post(self.issuer.endpoint(path)).header("Origin", self.issuer.origin().as_str()).json(&body);
        if !cookies.is_empty() {
            request = request.header("Cookie", cookies.join("; "));
        }
        let answer = request.send().await.expect("an answer");
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            trace::note_cookies(cookie);
            let (name, value) = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            if value.is_empty() || cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = answer.status().as_u16();
        let body = answer.json().await.unwrap_or(Value::Null);
        trace::note_members(&body);
        (status, body)
    }

    /// Signs in with a token that a page was given for a challenge.
    pub(crate) async fn redeem(&mut self, challenge: &str, token: &str, subject: &Subject) -> u16 {
        self.post("/v1/login", json!({ "challenge": challenge, "token": token, "subject": subject })).await.0
    }

    /// Revokes one of the account's devices, as its person does on the account's page.
    pub(crate) async fn revoke_device(&self, device: &str) -> u16 {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = http().delete(self.issuer.endpoint(&format!("/v1/devices/{device}")));
        let request = request.header("Origin", self.issuer.origin().as_str()).header("Cookie", cookies.join("; "));
        request.send().await.expect("an answer").status().as_u16()
    }

    pub(crate) async fn challenge(&mut self) -> String {
        let (status, body) = self.post("/v1/challenge", json!({})).await;
        assert_eq!(status, 200, "{body}");
        body["challenge"].as_str().expect("a challenge").to_owned()
    }

    /// Whether the browser has a web session.
    pub(crate) async fn is_signed_in(&self) -> bool {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = http().get(self.issuer.endpoint("/v1/session")).header("Cookie", cookies.join("; "));
        request.send().await.expect("an answer").status() == 200
    }
}

/// A desktop client at an agent's control socket.
pub(crate) struct TestClient {
    pub(crate) peer: rpc::Peer,
    pub(crate) incoming: mpsc::Receiver<rpc::Incoming>,
}

impl TestClient {
    /// Connects without a word.
    pub(crate) async fn connect(control: &std::path::Path) -> Self {
        let (peer, incoming, driver) = control::connect(control).await.expect("connected");
        tokio::spawn(driver);
        Self { peer, incoming }
    }

    /// Connects and says hello.
    pub(crate) async fn hello(control: &std::path::Path) -> Self {
        let client = Self::connect(control).await;
        client.ok("client.hello", json!({ "name": "Test", "version": "1" })).await;
        client
    }

    /// Calls a method that is to succeed.
    pub(crate) async fn ok(&self, method: &str, params: Value) -> Value {
        self.peer.call(method, &params).await.unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    /// Calls a method that is to fail, and returns the code.
    pub(crate) async fn code(&self, method: &str, params: Value) -> String {
        let error = self.peer.call(method, &params).await.expect_err(method);
        error.data.map_or_else(|| error.code.to_string(), |data| data.code)
    }

    /// The next call or notification of the given method; others are passed over.
    pub(crate) async fn next(&mut self, method: &str) -> rpc::Incoming {
        loop {
            let call = self.incoming.recv().await.expect("the agent is there");
            if call.method == method {
                return call;
            }
        }
    }
}

/// The page's end of a socket.
pub(crate) struct TestPage {
    pub(crate) machine: Page,
    pub(crate) socket: WebSocketStream<TcpStream>,
}

fn upgrade(port: u16, issuer: &Issuer) -> Request {
    let mut request = format!("ws://127.0.0.1:{port}/v1").into_client_request().expect("a request");
    request.headers_mut().insert("Origin", issuer.origin().as_str().parse().expect("a header"));
    request.headers_mut().insert("Sec-WebSocket-Protocol", "loopkey.1".parse().expect("a header"));
    request
}

/// How a socket ended.
pub(crate) type Closed = Option<u16>;

impl TestPage {
    /// Connects, and leaves everything after `hello` to the caller.
    pub(crate) async fn connect(agent: &Handle, issuer: &Issuer, open: OpenWith) -> Self {
        let request = upgrade(agent.port(), issuer);
        let stream = TcpStream::connect(("127.0.0.1", agent.port())).await.expect("connected");
        Self::over(stream, request, open).await
    }

    /// As [`TestPage::connect`], to an agent of which only the port is known.
    pub(crate) async fn connect_to_port(port: u16, issuer: &Issuer, open: OpenWith) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        Self::over(stream, upgrade(port, issuer), open).await
    }

    /// As [`TestPage::connect_to_port`]; `None` where the agent refuses.
    pub(crate) async fn try_connect_to_port(port: u16, issuer: &Issuer, open: OpenWith) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let (socket, _) = tokio_tungstenite::client_async(upgrade(port, issuer), stream).await.ok()?;
        Some(Self { machine: Page::new(open), socket })
    }

    /// As [`TestPage::connect`], with a receive buffer that holds next to nothing.
    pub(crate) async fn connect_narrowly(agent: &Handle, issuer: &Issuer, open: OpenWith) -> Self {
        let request = upgrade(agent.port(), issuer);
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a size");
        let stream = socket.connect(([127, 0, 0, 1], agent.port()).into()).await.expect("connected");
        Self::over(stream, request, open).await
    }

    async fn over(stream: TcpStream, request: Request, open: OpenWith) -> Self {
        stream.set_nodelay(true).expect("no delay");
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("upgraded");
        Self { machine: Page::new(open), socket }
    }

    /// Connects and waits for `ready`.
    pub(crate) async fn open(agent: &Handle, issuer: &Issuer, open: OpenWith) -> Self {
        let mut page = Self::connect(agent, issuer, open).await;
        let ready = page.next().await.expect("ready");
        assert!(matches!(ready, AgentMessage::Ready { .. }), "{ready:?}");
        page
    }

    /// The next message that is for the page's script; `Err` where the socket closed instead.
    pub(crate) async fn next(&mut self) -> Result<AgentMessage, Closed> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    for event in self.machine.handle(&text).expect("a well-behaved agent") {
                        match event {
                            Event::Send(message) => self.send(&message.encode()).await,
                            Event::Said(message) => return Ok(message),
                            Event::PersonGone => {}
                        }
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.map(|frame| {
                        assert_eq!(frame.reason.as_str(), "", "the reason is always empty");
                        frame.code.into()
                    });
                    return Err(frame);
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Err(None),
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("sent");
    }

    /// Asks for a token and waits for what comes of it; returns the digits of the prompt, where there was one.
    pub(crate) async fn login(&mut self, challenge: String) -> (AgentMessage, Option<String>) {
        let (_, message) = self.machine.login(challenge);
        self.send(&message.encode()).await;
        let mut digits = None;
        loop {
            match self.next().await.expect("an answer") {
                AgentMessage::Consent { code, .. } => digits = Some(code),
                answer @ (AgentMessage::Token { .. } | AgentMessage::Refused { .. }) => return (answer, digits),
                _ => {}
            }
        }
    }

    /// Waits for the close code.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.next().await {
                return closed;
            }
        }
    }
}
