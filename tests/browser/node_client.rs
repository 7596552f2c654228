//! A desktop application in Node.js, the example of `clients/node`, is the signed-in client: a page of the demo in
//! Chromium signs in with it, and it answers for the person over the control socket.

use std::sync::Arc;

use loopkey::agent::{Agent, AgentSettings, Handle};
use loopkey::clock::SystemClock;
use loopkey::crypto::Secret;
use loopkey::demo::Demo;
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::issuer::Issuer;
use loopkey::store::StoreUrl;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::desk::SOON;
use crate::hostile_content::{browser, start_demo};
use crate::site::{Place, Site, in_front_of};
use crate::support::browser::{Context, Engine, Page};
use crate::support::harbor::Harbor;
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::{http, settings};

const KEY: &str = "the service key of this test";

/// A site with its login server, an agent that nobody embeds, the example as its client, and a page.
struct Stage {
    issuer: Issuer,
    harbor: Harbor,
    context: Context,
    page: Page,
    settings: AgentSettings,
    agent: (Handle, JoinHandle<()>),
    server: LoginServer,
    demo: Demo,
    _site: Site,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new(consent: &str) -> Self {
        trace::start();
        trace::note(KEY);
        let places = free_places();
        // The demo lends its pages only.
        let demo = start_demo(&places).await;
        demo.stop_agent().await;
        let place = Place::take().await;
        let issuer: Issuer = place.url().parse().expect("an issuer");
        let mut config = LoginConfig::new(issuer.clone());
        config.ports.clone_from(&places.agent);
        config.development = true;
        config.service_key = Some(Secret::new(KEY.to_owned()));
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
        let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
        let site = place.serve(&in_front_of(demo.site_url(), server.router()));

        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), &issuer);
        settings.ports.clone_from(&places.agent);
        let agent = start_agent(&settings).await;
        let profile = json!({ "account": "ada-1815", "name": "Ada Lovelace" });
        let answer = http().post(issuer.endpoint("/v1/enrolment-tickets")).bearer_auth(KEY).json(&profile);
        let answer: Value = answer.send().await.expect("an answer").json().await.expect("JSON");
        trace::note_members(&answer);
        let ticket = answer["ticket"].as_str().expect("a ticket");
        let mut harbor = Harbor::start(&settings.control, &issuer, ticket, consent);
        harbor.says("Signed in as Ada Lovelace").await;

        let context = browser(Engine::Chromium).await.new_context().await.expect("a context");
        let page = context.new_page().await.expect("a tab");
        page.set_viewport(1200, 800).await.expect("a size");
        page.goto(issuer.as_str()).await.expect("the page");
        let stage = Self { issuer, harbor, context, page, settings, agent, server, demo, _site: site, _folder: folder };
        stage.card("person").await;
        stage
    }

    /// Waits until the card shows a view.
    async fn card(&self, view: &str) {
        let condition = format!("$('loopkey-card').getAttribute('view') === '{view}'");
        self.page.wait_for(&condition, SOON).await.expect("the card's view");
    }

    /// Waits until the page has a value in one of its `data-` attributes.
    async fn page_is(&self, attribute: &str, value: &str) {
        let condition = format!("document.body.dataset.{attribute} === '{value}'");
        self.page.wait_for(&condition, SOON).await.expect("the page's state");
    }

    /// What the login server says to whoever has this browser's cookies.
    async fn session(&self) -> (u16, Value) {
        let cookies = self.context.cookies().await.expect("cookies");
        let cookies: Vec<_> = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let cookies = cookies.join("; ");
        trace::note_cookies(&cookies);
        let answer = http().get(self.issuer.endpoint("/v1/session")).header("Cookie", cookies);
        let answer = answer.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn leave(self) {
        let (handle, running) = self.agent;
        handle.stop();
        running.await.expect("the agent ends");
        self.server.close();
        self.demo.stop().await;
    }
}

async fn start_agent(settings: &AgentSettings) -> (Handle, JoinHandle<()>) {
    let agent = Agent::builder(settings.clone()).bind().await.expect("an agent");
    let handle = agent.handle();
    (handle, tokio::spawn(agent.run(std::future::pending())))
}

#[tokio::test]
async fn a_page_signs_in_with_an_application_in_node() {
    let mut stage = Stage::new("ask").await;
    let button = stage.page.text("loopkey-card >>> #login").await.expect("the card's button");
    assert_eq!(button, "Continue as Ada Lovelace");
    assert_eq!(stage.session().await.0, 401, "nobody is signed in yet");
    stage.page.click("loopkey-card >>> #login").await.expect("the card's button");
    stage.card("consent").await;
    let digits = stage.page.text("loopkey-card >>> #digits").await.expect("the page's digits");
    let asked = stage.harbor.says("asks to sign Ada Lovelace in").await;
    assert!(asked.contains(&format!("at {}.", stage.issuer.origin())), "{asked}");
    assert!(asked.ends_with(&format!("shows {}.", digits.trim())), "{asked}, and the page shows {digits}");
    stage.harbor.says("Allow it?").await;
    stage.harbor.hears("yes").await;
    stage.page_is("session", "in").await;
    assert_eq!(stage.page.text("#person-name").await.expect("the name"), "Ada Lovelace");
    let (status, session) = stage.session().await;
    assert_eq!((status, &session["account"], &session["name"]), (200, &json!("ada-1815"), &json!("Ada Lovelace")));

    // The lock in the application covers the page; the sign-out there ends the session here.
    stage.harbor.hears("lock").await;
    stage.page_is("presence", "locked").await;
    // An agent that was restarted knows of nobody who is there, until the application is connected again and says so.
    stage.harbor.hears("unlock").await;
    stage.page_is("presence", "signed_in").await;
    stage.agent.0.stop();
    (&mut stage.agent.1).await.expect("the agent ends");
    stage.harbor.says("Not connected").await;
    stage.page_is("presence", "unknown").await;
    stage.agent = start_agent(&stage.settings).await;
    stage.page_is("presence", "signed_in").await;
    stage.harbor.hears("out").await;
    stage.page_is("session", "out").await;
    assert_eq!(stage.session().await.0, 401, "the login server has no session either");
    stage.leave().await;
}

#[tokio::test]
async fn an_application_in_node_denies() {
    let mut stage = Stage::new("deny").await;
    stage.page.click("loopkey-card >>> #login").await.expect("the card's button");
    stage.harbor.says("Answered: deny").await;
    stage.card("refused").await;
    stage.page_is("session", "out").await;
    assert_eq!(stage.session().await.0, 401, "the login server has no session either");
    stage.leave().await;
}
