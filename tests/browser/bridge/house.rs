//! A site with its login server, and an agent that nobody but a window of its own can ask for: no client is connected.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use loopkey::agent::{Agent, Handle};
use loopkey::clock::SystemClock;
use loopkey::crypto::Secret;
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::issuer::Issuer;
use loopkey::store::StoreUrl;
use serde_json::{Value, json};

use crate::desk::SOON;
use crate::site::{Place, Site};
use crate::support::browser::{Browser, Context, Engine, LaunchOptions, Page, Permission};
use crate::support::certs::Misused;
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::{http, settings};

const KEY: &str = "the service key of this test";

/// What keeps the page from the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptBy {
    /// The browser's permission (Chromium).
    Permission(Permission),
    /// The page's own content security policy, which is to a page what WebKit is on https: no socket, and nobody is asked.
    Policy,
    /// WebKit itself, which gives a page on https no socket to loopback.
    WebKit,
}

/// The site, the agent, and a browser at the site's page.
pub(super) struct House {
    pub(super) page: Page,
    pub(super) context: Context,
    pub(super) site: Site,
    pub(super) stranger: Site,
    pub(super) agent: Handle,
    engine: Engine,
    server: LoginServer,
    _browser: Browser,
    _folder: tempfile::TempDir,
}

/// A page with a card. What the browser is to hold for a page on the internet, its script does too.
fn card_page(port: u16, kept: KeptBy) -> String {
    let local = kept == KeptBy::Policy;
    format!(
        "<!doctype html><html lang=en><title>site</title><style>body {{ margin: 3rem }}</style>
        <script type=module src=/sdk/loopkey-card.js></script>
        <loopkey-card app=Harbor><a slot=ways href=/password>Use a password</a></loopkey-card>
        <script type=module>
          import {{ createLoopkey }} from '/sdk/loopkey.js';
          const loopkey = createLoopkey({{ issuer: location.origin, ports: [{port}], local: {local} }});
          document.querySelector('loopkey-card').loopkey = loopkey;
          loopkey.start();
        </script>"
    )
}

/// A page that does by hand whatever a test has it do. A click on it opens the bridge as `bridge`.
fn bare_page(port: u16) -> String {
    format!(
        "<!doctype html><html lang=en><title>bare</title>
        <button id=open>open</button><iframe src=/inner width=100 height=100></iframe>
        <script>
          window.heard = [];
          window.agent = 'http://127.0.0.1:{port}';
          addEventListener('message', ({{ origin, data }}) => heard.push({{ origin, data }}));
          document.querySelector('#open').onclick = () => (window.bridge = open(agent + '/bridge', '_blank', 'popup,width=420,height=520'));
        </script>"
    )
}

/// A page with the bridge in every kind of frame.
fn framing_page(port: u16) -> String {
    let at = format!("http://127.0.0.1:{port}/bridge");
    format!(
        "<!doctype html><html lang=en><title>around</title>
        <script>window.heard = []; addEventListener('message', ({{ data }}) => heard.push(data))</script>
        <iframe src='{at}' width=420 height=520 allow='loopback-network *; local-network-access *'></iframe>
        <object data='{at}' width=100 height=100></object><embed src='{at}' width=100 height=100>
        <script src='http://127.0.0.1:{port}/bridge.js' onload='window.ran = true' onerror='window.failed = true'></script>"
    )
}

/// Whoever the agent and the browser take the site's certificate from.
struct Authority {
    pem: String,
    file: PathBuf,
    tls: Arc<rustls::ServerConfig>,
}

impl Authority {
    fn new(folder: &std::path::Path) -> Self {
        let authority = Misused::new();
        let file = folder.join("authority.pem");
        std::fs::write(&file, &authority.pem).expect("written");
        Self { tls: Arc::new(authority.server(&["localhost"])), pem: authority.pem, file }
    }
}

impl House {
    pub(super) async fn new(engine: Engine, kept: KeptBy) -> Self {
        Self::launched(engine, kept, LaunchOptions::default()).await
    }

    /// The same with a browser that is told more.
    pub(super) async fn launched(engine: Engine, kept: KeptBy, mut options: LaunchOptions) -> Self {
        trace::start();
        let (place, port) = (Place::take().await, free_places().agent[0]);
        let folder = tempfile::tempdir().expect("a folder");
        let authority = (kept == KeptBy::WebKit).then(|| Authority::new(folder.path()));
        let url = place.url();
        let url = if authority.is_some() { url.replacen("http:", "https:", 1) } else { url };
        let issuer: Issuer = url.parse().expect("an issuer");
        let mut config = LoginConfig::new(issuer.clone());
        config.development = true;
        config.service_key = Some(Secret::new(KEY.to_owned()));
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
        let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
        let policy = if kept == KeptBy::Policy { "connect-src 'self'" } else { "frame-ancestors 'none'" };
        let bare = Router::new()
            .route("/bare", get(async move || Html(bare_page(port))))
            .route("/inner", get(async || Html("<!doctype html>")))
            .route("/around", get(async move || Html(framing_page(port))));
        let card =
            get(async move || ([(CONTENT_SECURITY_POLICY, policy)], Html(card_page(port, kept))).into_response());
        let router = server.router().merge(bare.clone()).route("/card", card);
        let site = match &authority {
            Some(authority) => place.serve_secure(&router, &authority.tls),
            None => place.serve(&router),
        };
        let stranger = Place::take().await.serve(&bare);

        let mut settings = settings(folder.path(), &issuer);
        settings.ports = vec![port];
        let mut ask = http();
        if let Some(authority) = &authority {
            settings.issuers[0].ca_file = Some(authority.file.clone());
            ask = loopkey::agent::http_client(Some(&authority.file)).expect("a client");
            options = options.system_authority(authority.pem.clone());
        }
        let agent = Agent::builder(settings).bind().await.expect("an agent");
        let handle = agent.handle();
        tokio::spawn(agent.run(std::future::pending()));
        let profile = json!({ "account": "ada", "name": "Ada Lovelace" });
        let ask = ask.post(issuer.endpoint("/v1/enrolment-tickets")).bearer_auth(KEY).json(&profile);
        let answer: Value = ask.send().await.expect("an answer").json().await.expect("JSON");
        let ticket = answer["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
        handle.enrol(&issuer, ticket).await.expect("enrolled");

        if let (KeptBy::Permission(_), Some((_, port))) = (kept, site.url().rsplit_once(':')) {
            // The agent's port stays what it is; the site alone is taken for one on the internet.
            options =
                options.argument(format!("--ip-address-space-overrides=127.0.0.1:{port}=public,[::1]:{port}=public"));
        }
        let browser = Browser::launch(engine, options).await.expect("the browser starts");
        let context = browser.new_context().await.expect("a context");
        if let KeptBy::Permission(permission) = kept {
            let set = context.set_permission(&site.url(), "loopback-network", permission).await;
            set.expect("the permission is set");
        }
        let page = context.new_page().await.expect("a tab");
        page.set_viewport(800, 700).await.expect("a size");
        Self { page, context, site, stranger, agent: handle, engine, server, _browser: browser, _folder: folder }
    }

    /// Opens the page with the card.
    pub(super) async fn open(&self) {
        self.page.goto(&format!("{}/card", self.site.url())).await.expect("the site");
        let keep =
            "(window.open = ((open) => (...how) => (window.opened = open(...how)))(window.open.bind(window)), true)";
        self.page.eval::<bool>(keep).await.expect("the window that it opens is kept");
    }

    /// Waits until the card shows a view.
    pub(super) async fn card(&self, view: &str) {
        let condition = format!("document.querySelector('loopkey-card')?.getAttribute('view') === '{view}'");
        self.page
            .wait_for(&condition, SOON)
            .await
            .unwrap_or_else(|error| panic!("the card never shows {view}: {error:#}"));
    }

    /// The bridge's window.
    pub(super) async fn window(&self) -> Page {
        self.context.wait_for_popup("/bridge", SOON).await.expect("the window")
    }

    /// Waits until the window that the page opened is closed.
    pub(super) async fn no_window(&self) {
        self.page.wait_for("window.opened.closed", SOON).await.expect("the window closes by itself");
    }

    /// The bridge's window, opened by the page that does things by hand.
    pub(super) async fn by_hand(&self, site: &Site) -> Page {
        self.page.goto(&format!("{}/bare", site.url())).await.expect("the bare page");
        self.page.click("#open").await.expect("the button");
        let window = self.window().await;
        window.wait_for("document.body?.dataset.state === 'connecting'", SOON).await.expect("the window waits");
        self.page.bring_to_front().await.expect("the page in front");
        window
    }

    /// Keeps a picture of a page, for people to look at.
    pub(super) async fn picture(&self, page: &Page, name: &str) {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "target", "screenshots"].iter().collect();
        std::fs::create_dir_all(&folder).expect("a folder");
        page.bring_to_front().await.expect("the page in front");
        let file = folder.join(format!("{name}-{:?}.png", self.engine).to_lowercase());
        page.screenshot(&file).await.expect("a screenshot");
    }

    pub(super) fn leave(self) {
        let broken = |page: &Page| page.console().into_iter().find(|line| line.contains("TrustedScript"));
        assert_eq!(broken(&self.page), None, "the page broke its own policy");
        self.agent.stop();
        self.server.close();
    }
}
