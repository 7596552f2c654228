//! A site with its login server, an agent, and Ada, who is signed in to the client: what a page needs, and no more.
//! The click in the page is the consent, unless a test asks for itself.

use std::sync::Arc;

use axum::Router;
use loopkey::agent::{Agent, AgentSettings, Asker, Handle};
use loopkey::clock::SystemClock;
use loopkey::crypto::Secret;
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::grant::ConsentMode;
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::state::PresenceState;
use loopkey::store::StoreUrl;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::site::{Place, Site};
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::{http, settings};

const KEY: &str = "the service key of this test";

pub(crate) struct Stand {
    pub(crate) site: Site,
    pub(crate) agent: Handle,
    settings: AgentSettings,
    asker: Option<Arc<dyn Asker>>,
    running: JoinHandle<()>,
    server: LoginServer,
    _folder: tempfile::TempDir,
}

impl Stand {
    /// The login server has `path` under the site's origin; `pages` gets the agent's port, which the login server names too.
    pub(crate) async fn new(path: &str, pages: impl FnOnce(u16) -> Router) -> Self {
        Self::start(path, pages, None).await
    }

    /// The same, where the person is asked each time.
    pub(crate) async fn asking(pages: impl FnOnce(u16) -> Router, asker: Arc<dyn Asker>) -> Self {
        Self::start("", pages, Some(asker)).await
    }

    async fn start(path: &str, pages: impl FnOnce(u16) -> Router, asker: Option<Arc<dyn Asker>>) -> Self {
        trace::start();
        let (place, port) = (Place::take().await, free_places().agent[0]);
        let issuer: Issuer = format!("{}{path}", place.url()).parse().expect("an issuer");
        let mut config = LoginConfig::new(issuer.clone());
        config.development = true;
        config.ports = vec![port];
        config.service_key = Some(Secret::new(KEY.to_owned()));
        trace::note(KEY);
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
        let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
        let site = place.serve(&server.router().merge(pages(port)));

        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), &issuer);
        settings.ports = vec![port];
        settings.origins[0].consent = if asker.is_some() { ConsentMode::Always } else { ConsentMode::Page };
        let (agent, running) = run(&settings, asker.as_ref()).await;
        let profile = json!({ "account": "ada", "name": "Ada Lovelace" });
        let ask = http().post(issuer.endpoint("/v1/enrolment-tickets")).bearer_auth(KEY).json(&profile);
        let answer: Value = ask.send().await.expect("an answer").json().await.expect("JSON");
        let ticket = answer["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
        agent.enrol(&issuer, ticket).await.expect("enrolled");
        Self { site, agent, settings, asker, running, server, _folder: folder }
    }

    pub(crate) fn url(&self) -> String {
        self.site.url()
    }

    /// The agent's open sockets of the site's pages.
    pub(crate) fn sockets(&self) -> usize {
        self.agent.status().origins.iter().map(|origin| origin.sockets).sum()
    }

    pub(crate) fn set_presence(&self, presence: PresenceState) {
        let account = self.agent.the_account().expect("Ada");
        self.agent.set_presence(&account, presence).expect("set");
    }

    /// The agent ends, and one with the same keys takes its place.
    pub(crate) async fn restart_agent(&mut self) {
        self.agent.stop();
        (&mut self.running).await.expect("the agent ends");
        (self.agent, self.running) = run(&self.settings, self.asker.as_ref()).await;
        self.set_presence(PresenceState::SignedIn);
    }

    pub(crate) fn leave(self) {
        self.agent.stop();
        self.server.close();
    }
}

async fn run(settings: &AgentSettings, asker: Option<&Arc<dyn Asker>>) -> (Handle, JoinHandle<()>) {
    let mut builder = Agent::builder(settings.clone());
    if let Some(asker) = asker {
        builder = builder.asker(Arc::clone(asker));
    }
    let agent = builder.bind().await.expect("an agent");
    let handle = agent.handle();
    (handle, tokio::spawn(agent.run(std::future::pending())))
}
