//! Somebody without a client signs in at a certified provider: by its own login and consent pages, in real browsers.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use loopkey::clock::SystemClock;
use loopkey::connectors::oidc::{Oidc, OidcSettings};
use loopkey::crypto::Secret;
use loopkey::login::{ConfiguredConnector, LoginConfig, LoginServer, NewAccounts};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, StoreUrl};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::desk::SOON;
use crate::hostile_content::browser;
use crate::site::{Place, Site};
use crate::support::browser::{Context, Engine, Page};
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::http;

pub(crate) const SECRET: &str = "the client's secret";
const PAGE: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A site</title>
<script type="module" src="/sdk/loopkey-card.js"></script>
<loopkey-card issuer="ISSUER" app="Harbor"></loopkey-card>"#;

/// oidc-provider, in Node.js, until it is dropped.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    _process: Child,
}

impl Provider {
    pub(crate) async fn start(site: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = root.join("target/oidc-provider");
        assert!(
            modules.join("node_modules/oidc-provider").is_dir(),
            "oidc-provider is not installed; ./test installs it, or: npm install --prefix target/oidc-provider \
             oidc-provider@9.13.3"
        );
        let mut process = Command::new("node")
            .arg(root.join("tests/browser/oidc-provider/provider.mjs"))
            .arg(modules)
            .arg(format!("{site}/v1/connect/NAME/callback"))
            .arg(format!("{site}/"))
            .arg(format!("{site}/v1/connect/NAME/logout-notice"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("node");
        let out = process.stdout.take().expect("its output");
        let issuer = BufReader::new(out).lines().next_line().await.expect("readable").expect("its address");
        Self { issuer, _process: process }
    }
}

impl Provider {
    /// One of the applications that it knows: `rsa`, `ec`, `ed`, by how it signs for them.
    pub(crate) fn client(&self, name: &str) -> ConfiguredConnector {
        self.configured(name, SECRET, None)
    }

    fn configured(&self, name: &str, secret: &str, recheck: Option<Duration>) -> ConfiguredConnector {
        let settings = OidcSettings {
            issuer: self.issuer.clone(),
            client_id: name.to_owned(),
            client_secret: Some(Secret::new(secret.to_owned())),
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            userinfo: name == "ec",
            recheck,
        };
        let http = loopkey::connectors::http(true).expect("a client");
        ConfiguredConnector {
            name: name.parse().expect("a name"),
            label: DisplayName::clean(&format!("Corp {name}")).expect("a label"),
            connector: Arc::new(Oidc::new(settings, http, Arc::new(SystemClock))),
            accounts: NewAccounts::Create,
            verifies: UserVerification::Page,
        }
    }
}

impl Provider {
    /// An order of the test's.
    async fn order(&self, order: &str) {
        let answer = http().get(format!("{}/test/{order}", self.issuer)).send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
    }
}

/// A person at the provider's pages: signs in there and consents.
pub(crate) async fn consent_at(provider: &Provider, page: &Page, person: &str) {
    at(provider, page, "input[name=login]").await;
    page.click("input[name=login]").await.expect("a field");
    page.type_text(person).await.expect("typed");
    page.click("input[name=password]").await.expect("a field");
    page.type_text("anything").await.expect("typed");
    page.click("button[type=submit]").await.expect("a button");
    // Now it asks for consent.
    page.wait_for("!$('input[name=login]') && !!$('button[type=submit]')", SOON).await.expect("consent");
    page.click("button[type=submit]").await.expect("a button");
}

/// The provider's page with that field or button.
async fn at(provider: &Provider, page: &Page, selector: &str) {
    let condition = format!("location.origin === '{}' && !!$('{selector}')", provider.issuer);
    page.wait_for(&condition, SOON).await.expect("the provider's page");
}

/// A site with its login server, whose people sign in at the provider; no agent anywhere.
struct Stage {
    provider: Provider,
    site: Site,
    server: LoginServer,
    context: Context,
    page: Page,
}

impl Stage {
    async fn new(engine: Engine) -> Self {
        Self::with(engine, |provider| ["rsa", "ec", "ed"].map(|name| provider.client(name)).to_vec()).await
    }

    async fn with(engine: Engine, connectors: impl FnOnce(&Provider) -> Vec<ConfiguredConnector>) -> Self {
        trace::start();
        trace::note(SECRET);
        let place = Place::take().await;
        let provider = Provider::start(&place.url()).await;
        let issuer: Issuer = place.url().parse().expect("an issuer");
        let mut config = LoginConfig::new(issuer.clone());
        config.development = true;
        config.ports = vec![free_places().agent[0]];
        config.connectors = connectors(&provider);
        let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
        let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
        let html = PAGE.replace("ISSUER", issuer.as_str());
        let page = get(async move || ([(CONTENT_TYPE, "text/html; charset=utf-8")], html));
        let site = place.serve(&server.router().merge(Router::new().route("/", page.clone()).route("/deep", page)));
        let context = browser(engine).await.new_context().await.expect("a context");
        let page = context.new_page().await.expect("a tab");
        Self { provider, site, server, context, page }
    }

    /// Opens the site's page: nobody answers there, so the ways are shown without a click.
    async fn open(&self) {
        self.page.goto(&format!("{}/deep?x=1", self.site.url())).await.expect("the site");
        self.shown("rsa").await;
    }

    async fn shown(&self, way: &str) {
        let condition = format!(
            "(() => {{ const way = $('loopkey-card >>> [data-way={way}]'); return way && way.checkVisibility(); }})()"
        );
        self.page.wait_for(&condition, SOON).await.expect("the ways are shown");
    }

    async fn at_provider(&self, selector: &str) {
        at(&self.provider, &self.page, selector).await;
    }

    async fn sign_in(&self, way: &str, person: &str) {
        self.page.click(&format!("loopkey-card >>> [data-way={way}]")).await.expect("the way");
        consent_at(&self.provider, &self.page, person).await;
        self.done(person).await;
    }

    async fn done(&self, person: &str) {
        let done = "location.pathname === '/deep' && $('loopkey-card')?.getAttribute('view') === 'done'";
        self.page.wait_for(done, SOON).await.expect("signed in");
        let name = self.page.text("loopkey-card >>> #text").await.expect("the name");
        assert_eq!(name, format!("{person} of the provider"));
    }

    async fn session(&self) -> serde_json::Value {
        let ask = "fetch('/v1/session').then((answer) => answer.json())";
        self.page.eval(ask).await.expect("a session")
    }
}

async fn signs_in(engine: Engine) {
    let stage = Stage::new(engine).await;
    stage.open().await;
    stage.sign_in("rsa", "ada").await;
    let address: String = stage.page.eval("location.href").await.expect("an address");
    assert_eq!(
        address,
        format!("{}/deep?x=1", stage.site.url()),
        "back where she was, with nothing left in the address"
    );
    assert_eq!(stage.session().await["method"], "connector:rsa");
    let cookies = stage.context.cookies().await.expect("cookies");
    assert!(cookies.iter().any(|cookie| cookie.name == "__Host-loopkey_session" && cookie.http_only));
    stage.server.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_a_certified_provider_chromium() {
    signs_in(Engine::Chromium).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_a_certified_provider_firefox() {
    signs_in(Engine::Firefox).await;
}

/// RS256 above; and the name comes from the userinfo once.
#[tokio::test(flavor = "multi_thread")]
async fn a_certified_provider_may_sign_with_each_algorithm() {
    for way in ["ec", "ed"] {
        let stage = Stage::new(Engine::Chromium).await;
        stage.open().await;
        stage.sign_in(way, "lin").await;
        assert_eq!(stage.session().await["method"], format!("connector:{way}"));
        stage.server.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_at_the_provider_reads_one_sentence_and_can_try_again() {
    let stage = Stage::new(Engine::Chromium).await;
    stage.open().await;
    stage.page.click("loopkey-card >>> [data-way=rsa]").await.expect("the way");
    stage.at_provider("input[name=login]").await;
    stage.page.click("a[href$='/abort']").await.expect("the way back");
    stage.shown("rsa").await;
    let notice = stage.page.text("loopkey-card >>> .other .notice").await.expect("a sentence");
    assert_eq!(notice, "You were not let in. You can try again.");
    let address: String = stage.page.eval("location.href").await.expect("an address");
    assert_eq!(address, format!("{}/deep?x=1", stage.site.url()), "the address says nothing of it");
    let in_view = "(() => { const { bottom } = $('loopkey-card >>> .other .notice').getBoundingClientRect(); return bottom <= innerHeight; })()";
    stage.page.wait_for(in_view, SOON).await.expect("it is in view");
    if let Some(folder) = std::env::var_os("LOOPKEY_SHOTS") {
        stage.page.set_viewport(480, 900).await.expect("a size");
        stage.page.screenshot(&Path::new(&folder).join("ways-notice.png")).await.expect("a picture");
    }
    stage
        .page
        .eval::<bool>("(document.documentElement.lang = 'zh', $('loopkey-card').setAttribute('lang', 'zh'), true)")
        .await
        .expect("Chinese");
    let notice = stage.page.text("loopkey-card >>> .other .notice").await.expect("a sentence");
    assert_eq!(notice, "登录未获允许。您可以重试。");
    assert_eq!(stage.page.text("loopkey-card >>> [data-way=ec]").await.expect("a way"), "使用Corp ec继续");
    stage.page.goto(&format!("{}/deep?x=1", stage.site.url())).await.expect("the site");
    stage.shown("rsa").await;
    let again: bool =
        stage.page.eval("!$('loopkey-card >>> .other .notice').checkVisibility()").await.expect("the card");
    assert!(again, "it is told once");
    stage.sign_in("rsa", "ada").await;
    stage.server.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_at_the_provider_ends_the_session_here() {
    let stage = Stage::new(Engine::Chromium).await;
    stage.open().await;
    stage.sign_in("rsa", "ada").await;
    let tab = stage.context.new_page().await.expect("a tab");
    tab.goto(&format!("{}/session/end?client_id=rsa", stage.provider.issuer)).await.expect("the provider");
    tab.wait_for("!!$('button[name=logout]')", SOON).await.expect("it asks");
    tab.click("button[name=logout]").await.expect("yes");
    // The provider told the login server, and that told the page.
    stage.page.wait_for("$('loopkey-card')?.getAttribute('view') !== 'done'", SOON).await.expect("signed out");
    let status: u16 = stage.page.eval("fetch('/v1/session').then(({ status }) => status)").await.expect("a status");
    assert_eq!(status, 401);
    // The other way round: from here to the provider and back.
    stage.open().await;
    stage.sign_in("ec", "lin").await;
    let leave = format!(
        "fetch('/v1/logout', {{ method: 'POST', headers: {{ 'content-type': 'application/json' }}, body: JSON.stringify({{ everywhere: false, return_to: '{}/' }}) }}).then((answer) => answer.json()).then(({{ logout_url }}) => {{ location.href = logout_url; return true; }})",
        stage.site.url()
    );
    assert!(stage.page.eval::<bool>(&leave).await.expect("leaving"));
    stage.at_provider("button[name=logout]").await;
    stage.page.click("button[name=logout]").await.expect("yes");
    let back = format!("location.href === '{}/' && !!$('loopkey-card')", stage.site.url());
    stage.page.wait_for(&back, SOON).await.expect("back on the site");
    stage.server.close();
}

/// The provider's keys are others between two sign-ins, long before the kept ones are old.
#[tokio::test(flavor = "multi_thread")]
async fn a_certified_provider_changes_its_keys() {
    let stage = Stage::new(Engine::Chromium).await;
    stage.open().await;
    stage.sign_in("ec", "ada").await;
    stage.provider.order("rotate").await;
    let another = stage.context.another().await.expect("a context").new_page().await.expect("a tab");
    let stage = Stage { page: another, ..stage };
    stage.open().await;
    stage.sign_in("ec", "lin").await;
    stage.server.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_said_by_a_certified_provider_and_told_in_one_sentence() {
    let wrong = |provider: &Provider| vec![provider.configured("rsa", "another secret", None)];
    let stage = Stage::with(Engine::Chromium, wrong).await;
    stage.open().await;
    stage.page.click("loopkey-card >>> [data-way=rsa]").await.expect("the way");
    consent_at(&stage.provider, &stage.page, "ada").await;
    stage.shown("rsa").await;
    let notice = stage.page.text("loopkey-card >>> .other .notice").await.expect("a sentence");
    let sentence = "This way to sign in isn’t set up correctly. Please tell an administrator.";
    assert_eq!(notice, sentence);
    stage.server.close();
}

/// The provider is asked at each call here, and gives another refresh token each time.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_at_a_certified_provider_is_signed_out_here() {
    let asked = |provider: &Provider| vec![provider.configured("rsa", SECRET, Some(Duration::ZERO))];
    let stage = Stage::with(Engine::Chromium, asked).await;
    stage.open().await;
    stage.sign_in("rsa", "ada").await;
    for _ in 0..3 {
        assert_eq!(stage.session().await["method"], "connector:rsa");
    }
    stage.provider.order("disable/ada").await;
    let status = "fetch('/v1/session').then(({ status }) => status)";
    assert_eq!(stage.page.eval::<u16>(status).await.expect("a status"), 401);
    // The page hears of it without asking.
    stage.page.wait_for("$('loopkey-card')?.getAttribute('view') !== 'done'", SOON).await.expect("signed out");
    stage.server.close();
}
