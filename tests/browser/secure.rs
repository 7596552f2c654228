//! A site on https in WebKit, which gives such a page no plain socket: a login server that names the agent's TLS port, an agent
//! whose authority this computer was told of, and Ada. The candidates without TLS are ports that nobody listens on.
//! On plain http, localhost or not, WebKit keeps no `Secure` cookie, so that nobody can be signed in there.

use std::path::PathBuf;
use std::sync::Arc;

use axum::response::Html;
use axum::routing::get;
use loopkey::agent::{Agent, AgentSettings, Answer};
use loopkey::clock::SystemClock;
use loopkey::crypto::Secret;
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::grant::ConsentMode;
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::state::PresenceState;
use loopkey::store::StoreUrl;
use reqwest::Client;
use serde_json::{Value, json};

use crate::desk::SOON;
use crate::site::{Place, Site};
use crate::support::browser::{Browser, Engine, LaunchOptions, Page};
use crate::support::certs::Misused;
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::{RunningAgent, TestAsker, settings};

const KEY: &str = "the service key of this test";

const PAGE: &str = "<!doctype html><html lang=en><title>site</title><style>body { margin: 3rem }</style>
<loopkey-card app=Harbor></loopkey-card>
<script type=module>
  import { createLoopkey } from '/sdk/loopkey.js';
  import '/sdk/loopkey-card.js';
  globalThis.loopkey = createLoopkey({ issuer: location.origin });
  document.querySelector('loopkey-card').loopkey = loopkey;
  loopkey.start();
</script>";

pub(crate) struct SecureSite {
    pub(crate) page: Page,
    pub(crate) asker: Arc<TestAsker>,
    agent: Option<RunningAgent>,
    settings: AgentSettings,
    issuer: Issuer,
    http: Client,
    server: LoginServer,
    _site: Site,
    _browser: Browser,
    _folder: tempfile::TempDir,
}

impl SecureSite {
    /// Everything is up, and Ada is enrolled; the site is not opened yet.
    pub(crate) async fn new() -> Self {
        trace::start();
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Misused::new();
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, &authority.pem).expect("written");
        let (place, places) = (Place::take().await, free_places());
        let issuer: Issuer = place.url().replacen("http:", "https:", 1).parse().expect("an issuer");

        let mut settings = settings(folder.path(), &issuer);
        settings.ports = vec![places.agent[0]];
        settings.issuers[0].ca_file = Some(file.clone());
        settings.origins[0].consent = ConsentMode::Always;
        let certs = crate::support::certs::make(&mut settings);
        settings.wss = Some(loopkey::agent::WssSettings { port: places.agent[1] });

        let mut config = LoginConfig::new(issuer.clone());
        config.service_key = Some(Secret::new(KEY.to_owned()));
        (config.ports, config.wss_ports) = (vec![places.site], vec![places.agent[1]]);
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
        let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
        let router = server.router().route("/", get(async || Html(PAGE)));
        let site = place.serve_secure(&router, &Arc::new(authority.server(&["localhost"])));

        let read = |file: PathBuf| std::fs::read_to_string(file).expect("a certificate");
        let options = LaunchOptions::default().system_authority(authority.pem.clone());
        let options = options.system_authority(read(certs.files.authority()));
        let browser = Browser::launch(Engine::WebKit, options).await.expect("WebKit");
        let page = browser.new_context().await.expect("a context").new_page().await.expect("a page");

        let asker = TestAsker::new(Some(Answer::Allow { remember: false }));
        let http = loopkey::agent::http_client(Some(&file)).expect("a client");
        let mut secure = Self {
            page,
            asker,
            agent: None,
            settings,
            issuer,
            http,
            server,
            _site: site,
            _browser: browser,
            _folder: folder,
        };
        secure.start_agent().await;
        secure.enrol("ada", "Ada Lovelace").await;
        secure
    }

    /// Somebody signs in to the client.
    pub(crate) async fn enrol(&self, account: &str, name: &str) {
        let ask = self.http.post(self.issuer.endpoint("/v1/enrolment-tickets")).bearer_auth(KEY);
        let answer = ask.json(&json!({ "account": account, "name": name })).send().await.expect("an answer");
        let ticket: Value = answer.json().await.expect("JSON");
        let ticket = ticket["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
        self.agent().handle.enrol(&self.issuer, ticket).await.expect("enrolled");
    }

    fn agent(&self) -> &RunningAgent {
        self.agent.as_ref().expect("an agent runs")
    }

    pub(crate) fn set_presence(&self, presence: PresenceState) {
        let agent = &self.agent().handle;
        agent.set_presence(&agent.the_account().expect("one account"), presence).expect("set");
    }

    pub(crate) fn sign_out(&self) {
        let agent = &self.agent().handle;
        agent.sign_out(&agent.the_account().expect("one account")).expect("signed out");
    }

    pub(crate) async fn start_agent(&mut self) {
        let builder = Agent::builder(self.settings.clone()).asker(self.asker.clone());
        self.agent = Some(RunningAgent::run_on_its_port(builder).await);
    }

    pub(crate) async fn stop_agent(&mut self) {
        self.agent.take().expect("an agent runs").stop().await;
    }

    pub(crate) async fn open(&self) {
        self.page.goto(&self.issuer.endpoint("/")).await.expect("the page");
    }

    /// Waits until the card shows a view.
    pub(crate) async fn card(&self, view: &str) {
        self.is(&format!("document.querySelector('loopkey-card').getAttribute('view') === '{view}'")).await;
    }

    pub(crate) async fn click_continue(&self) {
        self.page.click("loopkey-card >>> #login").await.expect("the card's button");
    }

    /// Waits until something is so in the page.
    pub(crate) async fn is(&self, condition: &str) {
        self.page.wait_for(condition, SOON).await.unwrap_or_else(|error| panic!("{condition}: {error:#}"));
    }

    /// The account of the page's web session, as the server answers.
    pub(crate) async fn session(&self) -> Value {
        let session: Value =
            self.page.eval("fetch('/v1/session').then((answer) => answer.json())").await.expect("an answer");
        session["account"].clone()
    }

    pub(crate) async fn leave(mut self) {
        self.stop_agent().await;
        self.server.close();
    }
}
