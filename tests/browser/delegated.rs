//! The library in a frame of another origin, where the page around it lets it reach this computer and where it does not.
//! Both browsers take the two sites for sites on the internet, so that their gates are shut as they are for everybody.

use axum::Router;
use axum::extract::Query;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use loopkey::login::sdk::FILES;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::desk::SOON;
use crate::site::{Place, Site};
use crate::stand::Stand;
use crate::support::browser::{Browser, Context, Engine, LaunchOptions, Permission};

/// What has to stand on the frame, as the documentation says.
const BOTH: &str = "allow='loopback-network *; local-network-access *'";
const ALIAS: &str = "allow='local-network-access *'";
const SANDBOX: &str = "sandbox='allow-scripts allow-same-origin'";
const OPAQUE: &str = "sandbox='allow-scripts'";

/// Tells the outermost page how it stands.
const SCRIPT: &str = "
    import { createLoopkey } from '/open/loopkey.js';
    const advice = [];
    console.warn = (text) => advice.push(text);
    const loopkey = createLoopkey({ issuer: new URL(import.meta.url).origin, local: false, ports: [PORT] });
    setInterval(() => top.postMessage({ ...loopkey.state, person: loopkey.person?.name, advice }, '*'), 30);
    loopkey.start();
";

/// A page that is kept from loopback by its own header, if it is asked for so.
#[derive(Deserialize)]
struct Inner {
    header: Option<String>,
}

fn pages(port: u16) -> Router {
    let script = SCRIPT.replace("PORT", &port.to_string());
    let inner = async |Query(Inner { header }): Query<Inner>| {
        let page = Html(
            "<!doctype html><script>addEventListener('message', ({ data }) => (window.told = data))</script>
             <script type=module src=/page.js></script>",
        );
        match header {
            Some(policy) => ([(HeaderName::from_static("permissions-policy"), policy)], page).into_response(),
            None => page.into_response(),
        }
    };
    // Modules for a page without an origin too, which the login server's own are not.
    let module = |content: String| {
        let everybody = (HeaderName::from_static("access-control-allow-origin"), "*");
        get(async move || ([(CONTENT_TYPE, "text/javascript"), everybody], content))
    };
    let router = Router::new().route("/inner", get(inner)).route("/page.js", module(script));
    FILES
        .iter()
        .fold(router, |router, (name, content)| router.route(&format!("/open/{name}"), module((*content).to_owned())))
}

/// `/around` with the frame's attributes as its query.
#[derive(Deserialize)]
struct Around {
    inner: String,
    attributes: String,
}

struct Frames {
    stand: Stand,
    around: Site,
    browser: Browser,
}

impl Frames {
    async fn new(engine: Engine) -> Self {
        let stand = Stand::new("", pages).await;
        let around = async |Query(Around { inner, attributes }): Query<Around>| {
            Html(format!(
                "<!doctype html><title>around</title>
                 <script>addEventListener('message', ({{ data }}) => (window.told = data))</script>
                 <iframe src='{inner}' {attributes}></iframe>"
            ))
        };
        let around = Place::take().await.serve(&Router::new().route("/around", get(around)));
        let ports = [stand.url(), around.url()].map(|url| url.rsplit_once(':').expect("a port").1.to_owned());
        let options = match engine {
            Engine::Chromium => {
                let public: Vec<_> =
                    ports.iter().map(|port| format!("127.0.0.1:{port}=public,[::1]:{port}=public")).collect();
                LaunchOptions::default().argument(format!("--ip-address-space-overrides={}", public.join(",")))
            }
            Engine::Firefox => LaunchOptions::default()
                // As from version 154 on.
                .preference("network.lna.websocket.enabled", true)
                .preference("network.lna.local-network-to-localhost.skip-checks", false)
                .preference(
                    "network.lna.address_space.public.override",
                    ports.map(|port| format!("127.0.0.1:{port}")).join(","),
                ),
            Engine::WebKit => panic!("WebKit knows no permission for this"),
        };
        let browser = Browser::launch(engine, options).await.expect("a browser");
        Self { stand, around, browser }
    }

    /// A person who has allowed, or was never asked by, the page *around* the frame.
    async fn person(&self, permission: Option<Permission>) -> Context {
        let context = self.browser.new_context().await.expect("a context");
        if let Some(permission) = permission {
            context.set_permission(&self.around.url(), "loopback-network", permission).await.expect("set");
        }
        context
    }

    /// A page around a page of the site.
    fn around(&self, inner: &str, attributes: &str) -> String {
        let mut url = url::Url::parse(&format!("{}/around", self.around.url())).expect("an address");
        let inner = format!("{}{inner}", self.stand.url());
        url.query_pairs_mut().append_pair("inner", &inner).append_pair("attributes", attributes);
        url.into()
    }

    /// What the frame says once its state is this one.
    async fn told(&self, context: &Context, inner: &str, attributes: &str, state: &str) -> Value {
        told(context, &self.around(inner, attributes), state).await
    }

    fn leave(self) {
        self.stand.leave();
    }
}

/// What the library says once its state is this one: with the person where it is live, with advice where it is blocked.
async fn told(context: &Context, url: &str, state: &str) -> Value {
    let page = context.new_page().await.expect("a tab");
    page.goto(url).await.expect("the page");
    let whole = "(told.name !== 'live' || told.person) && (told.reason !== 'not_delegated' || told.advice.length)";
    page.wait_for(&format!("told?.name === '{state}' && {whole}"), SOON).await.expect("the state");
    let told = page.eval("told").await.expect("what it told");
    page.close().await.expect("closed");
    told
}

fn assert_not_delegated(told: &Value, advice: &str, case: &str) {
    assert_eq!((&told["name"], &told["reason"]), (&json!("blocked"), &json!("not_delegated")), "{case}: {told}");
    assert!(told["advice"][0].as_str().is_some_and(|text| text.contains(advice)), "{case}: {told}");
}

const WRITE_ALLOW: &str = "has to write <iframe allow=\"loopback-network *; local-network-access *\">";

async fn a_frame_that_was_let_connects_and_one_that_was_not_says_what_to_write(engine: Engine) {
    let frames = Frames::new(engine).await;
    // Nobody allowed anything: the frame is not at fault, and says what the page around it has to write.
    let nobody = frames.person(None).await;
    for attributes in ["", SANDBOX] {
        let told = frames.told(&nobody, "/inner", attributes, "blocked").await;
        assert_not_delegated(&told, WRITE_ALLOW, attributes);
    }
    let told = frames.told(&nobody, "/inner", OPAQUE, "blocked").await;
    assert_not_delegated(&told, "allow-same-origin", OPAQUE);
    // It was let, and the browser would ask: it waits for a click.
    for attributes in [BOTH.to_owned(), format!("{SANDBOX} {BOTH}")] {
        let told = frames.told(&nobody, "/inner", &attributes, "unknown").await;
        assert_eq!(told["reason"], "needs_click", "{attributes}: {told}");
    }

    // The person has allowed the page around it, and that one lets the frame.
    let allowed = frames.person(Some(Permission::Granted)).await;
    for attributes in [BOTH.to_owned(), format!("{SANDBOX} {BOTH}")] {
        let told = frames.told(&allowed, "/inner", &attributes, "live").await;
        assert_eq!((&told["person"], &told["advice"]), (&json!("Ada Lovelace"), &json!([])), "{attributes}: {told}");
    }
    // The person said no to the page around it, which Firefox does not tell apart: there is nothing to write then.
    if engine == Engine::Chromium {
        let denied = frames.person(Some(Permission::Denied)).await;
        let told = frames.told(&denied, "/inner", BOTH, "blocked").await;
        assert_eq!((&told["reason"], &told["advice"]), (&json!("denied"), &json!([])), "{told}");
    }
    frames.leave();
}

#[tokio::test]
async fn a_frame_that_was_let_connects_in_chromium_and_one_that_was_not_says_what_to_write() {
    a_frame_that_was_let_connects_and_one_that_was_not_says_what_to_write(Engine::Chromium).await;
}

#[tokio::test]
async fn a_frame_that_was_let_connects_in_firefox_and_one_that_was_not_says_what_to_write() {
    a_frame_that_was_let_connects_and_one_that_was_not_says_what_to_write(Engine::Firefox).await;
}

/// Chromium knows an older name of the permission, and a header for it; Firefox has neither.
#[tokio::test]
async fn a_header_keeps_a_page_out_and_the_older_name_lets_a_frame() {
    let frames = Frames::new(Engine::Chromium).await;
    let nobody = frames.person(None).await;
    let alone = format!("{}/inner?header=loopback-network=()", frames.stand.url());
    let told = told(&nobody, &alone, "blocked").await;
    assert_not_delegated(&told, "must not send Permissions-Policy", "a header of its own");
    let told = frames.told(&nobody, "/inner?header=loopback-network=()", BOTH, "blocked").await;
    assert_not_delegated(&told, WRITE_ALLOW, "a header in a frame that was let");
    let told = frames.told(&nobody, "/inner", ALIAS, "unknown").await;
    assert_eq!(told["reason"], "needs_click", "{told}");
    let allowed = frames.person(Some(Permission::Granted)).await;
    let told = frames.told(&allowed, "/inner", ALIAS, "live").await;
    assert_eq!(told["person"], "Ada Lovelace", "{told}");
    frames.leave();
}
