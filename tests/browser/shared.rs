//! One socket for all tabs of an origin, held by a shared worker: what the agent counts, and what each tab knows.

#![expect(clippy::print_stdout, reason = "figures, for whoever runs it with --nocapture")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use futures::future::join_all;
use loopkey::agent::{Answer, Asker, Prompt};
use loopkey::protocol::state::PresenceState;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::desk::SOON;
use crate::hostile_content::browser;
use crate::stand::Stand;
use crate::support::browser::{Browser, Context, Engine, LaunchOptions, Page, Permission};

/// The option `local` is told, so that Chromium's permission counts although the page is called localhost.
const SCRIPT: &str = "
    import { createLoopkey } from '/sdk/loopkey.js';
    const asked = new URLSearchParams(location.search);
    window.loopkey = createLoopkey({ issuer: location.origin, local: !asked.has('public'), shared: !asked.has('alone'), ports: [PORT] });
    addEventListener('pageshow', ({ persisted }) => { window.persisted = persisted; });
    const known = () => JSON.stringify([loopkey.state, loopkey.presence, loopkey.person?.name]);
    // When what the page shows became what it is now.
    window.since = Date.now();
    let last = known();
    for (const type of ['state', 'presence', 'person']) {
      loopkey.addEventListener(type, () => {
        if (known() !== last) window.since = Date.now();
        last = known();
      });
    }
    loopkey.start();
";
const LIVE: &str = "loopkey.state.name === 'live' && loopkey.person?.name === 'Ada Lovelace'";

/// Pages under a policy that allows what the documentation says, and no more.
fn pages(port: u16) -> Router {
    let policy = format!(
        "default-src 'none'; script-src 'self'; connect-src 'self' ws://127.0.0.1:{port} http://127.0.0.1:{port}; \
         img-src 'self'; require-trusted-types-for 'script'; trusted-types loopkey"
    );
    let page = "<!doctype html><title>a tab</title><script type=module src=/page.js></script>";
    Router::new()
        .route("/", get(async move || ([(CONTENT_SECURITY_POLICY, policy.clone())], Html(page)).into_response()))
        .route(
            "/page.js",
            get(async move || ([(CONTENT_TYPE, "text/javascript")], SCRIPT.replace("PORT", &port.to_string()))),
        )
        .route("/elsewhere", get(async || Html("<!doctype html><title>elsewhere</title>")))
}

struct Tabs {
    stand: Stand,
    context: Context,
    pages: Vec<Page>,
    query: &'static str,
    _browser: Option<Browser>,
}

impl Tabs {
    async fn new(engine: Engine, count: usize) -> Self {
        let stand = Stand::new("", pages).await;
        let context = browser(engine).await.new_context().await.expect("a context");
        Self::open(stand, context, count, "?", None).await
    }

    /// Chromium takes the site for one on the internet, where the person has allowed the agent.
    async fn on_the_internet(count: usize) -> Self {
        let stand = Stand::new("", pages).await;
        let port = stand.url().rsplit_once(':').expect("a port").1.to_owned();
        let public = format!("--ip-address-space-overrides=127.0.0.1:{port}=public,[::1]:{port}=public");
        let browser =
            Browser::launch(Engine::Chromium, LaunchOptions::default().argument(public)).await.expect("a browser");
        let context = browser.new_context().await.expect("a context");
        context.set_permission(&stand.url(), "loopback-network", Permission::Granted).await.expect("granted");
        Self::open(stand, context, count, "?public", Some(browser)).await
    }

    async fn open(stand: Stand, context: Context, count: usize, query: &'static str, browser: Option<Browser>) -> Self {
        let mut tabs = Self { stand, context, pages: Vec::new(), query, _browser: browser };
        for _ in 0..count {
            let page = tabs.context.new_page().await.expect("a tab");
            page.goto(&format!("{}/{query}", tabs.stand.url())).await.expect("the page");
            tabs.pages.push(page);
        }
        tabs.all(LIVE).await;
        tabs
    }

    /// Waits until something holds in every tab.
    async fn all(&self, condition: &str) {
        for result in join_all(self.pages.iter().map(|page| page.wait_for(condition, SOON))).await {
            result.expect("every tab");
        }
    }

    /// Waits until the agent counts so many sockets.
    async fn sockets(&self, count: usize) {
        let deadline = Instant::now() + SOON;
        while self.stand.sockets() != count {
            assert!(Instant::now() < deadline, "{} sockets instead of {count}", self.stand.sockets());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Nobody broke the policy.
    fn leave(self) {
        for page in &self.pages {
            let console = page.console();
            let faults: Vec<_> = console.iter().filter(|line| line.contains("Content Security Policy")).collect();
            assert!(faults.is_empty(), "{faults:#?}");
        }
        self.stand.leave();
    }
}

/// Tells how long something took by the pages' own clocks: a driver sees hidden tabs a second late.
async fn took<'a>(what: &str, from: u64, pages: impl IntoIterator<Item = &'a Page>) {
    let ends = pages.into_iter().map(|page| page.eval::<u64>("since"));
    let last = join_all(ends).await.into_iter().map(|end| end.expect("a time")).max().expect("a tab");
    println!("{what}: {} ms", last.saturating_sub(from));
}

async fn now(page: &Page) -> u64 {
    page.eval("Date.now()").await.expect("a time")
}

async fn twenty_tabs_are_one_socket(mut tabs: Tabs) {
    assert_eq!((tabs.pages.len(), tabs.stand.sockets()), (20, 1));
    let from = now(&tabs.pages[0]).await;
    tabs.stand.set_presence(PresenceState::Locked);
    tabs.all("loopkey.presence.presence === 'locked'").await;
    took("all tabs know that it is locked", from, &tabs.pages).await;
    tabs.stand.set_presence(PresenceState::SignedIn);
    tabs.all("loopkey.presence.presence === 'signed_in'").await;

    // One signs in, by its own login; everybody has the session.
    tabs.pages[7].eval::<()>("loopkey.login().then(() => null)").await.expect("signed in");
    tabs.all("loopkey.session?.name === 'Ada Lovelace'").await;

    // The agent goes and comes: everybody is back, on one socket.
    tabs.stand.restart_agent().await;
    let from = now(&tabs.pages[0]).await;
    tabs.all(LIVE).await;
    took("all tabs are back after the agent's restart", from, &tabs.pages).await;
    tabs.sockets(1).await;

    // A tab may ask for a socket of its own.
    let alone = tabs.context.new_page().await.expect("a tab");
    alone.goto(&format!("{}/{}&alone", tabs.stand.url(), tabs.query)).await.expect("the page");
    alone.wait_for(LIVE, SOON).await.expect("live");
    assert_eq!(tabs.stand.sockets(), 2);
    alone.close().await.expect("closed");

    // Tabs that are closed leave the socket to the others; the last one takes it along.
    for page in tabs.pages.drain(..19) {
        page.close().await.expect("closed");
    }
    tabs.sockets(1).await;
    tabs.all(LIVE).await;
    tabs.stand.set_presence(PresenceState::Away);
    tabs.all("loopkey.presence.presence === 'away'").await;
    tabs.pages[0].goto(&format!("{}/elsewhere", tabs.stand.url())).await.expect("another page");
    tabs.sockets(0).await;
    tabs.leave();
}

#[tokio::test]
async fn twenty_tabs_are_one_socket_in_chromium() {
    twenty_tabs_are_one_socket(Tabs::new(Engine::Chromium, 20).await).await;
}

#[tokio::test]
async fn twenty_tabs_are_one_socket_where_chromium_asks_for_its_permission() {
    twenty_tabs_are_one_socket(Tabs::on_the_internet(20).await).await;
}

#[tokio::test]
async fn twenty_tabs_are_one_socket_in_firefox() {
    twenty_tabs_are_one_socket(Tabs::new(Engine::Firefox, 20).await).await;
}

#[tokio::test]
async fn a_worker_that_dies_is_noticed_and_every_tab_is_right_again() {
    let tabs = Tabs::new(Engine::Chromium, 5).await;
    for sockets in [1, 5] {
        // Whatever a tab shows from here on it has learnt after the worker's death.
        tabs.all("(window.was = loopkey.state) && true").await;
        let from = now(&tabs.pages[0]).await;
        assert_eq!(tabs.context.kill_shared_workers().await.expect("killed"), 1);
        tabs.all(&format!("loopkey.state !== was && {LIVE}")).await;
        took("all tabs are right again after the worker's death", from, &tabs.pages).await;
        // Another worker; and when that one dies as well, each tab for itself.
        tabs.sockets(sockets).await;
        tabs.stand.set_presence(PresenceState::Locked);
        tabs.all("loopkey.presence.presence === 'locked'").await;
        tabs.stand.set_presence(PresenceState::SignedIn);
        tabs.all("loopkey.presence.presence === 'signed_in'").await;
    }
    tabs.leave();
}

#[tokio::test]
async fn a_frozen_tab_is_right_as_soon_as_it_goes_on() {
    let tabs = Tabs::new(Engine::Chromium, 3).await;
    let [first, second, frozen] = &tabs.pages[..] else { panic!("three tabs") };
    frozen.set_frozen(true).await.expect("frozen");
    tabs.stand.set_presence(PresenceState::Locked);
    for page in [first, second] {
        page.wait_for("loopkey.presence.presence === 'locked'", SOON).await.expect("told");
    }
    assert_eq!(tabs.stand.sockets(), 1);
    let from = now(first).await;
    frozen.set_frozen(false).await.expect("goes on");
    frozen.wait_for(&format!("loopkey.presence.presence === 'locked' && {LIVE}"), SOON).await.expect("right");
    took("a frozen tab is right again", from, [frozen]).await;
    tabs.leave();
}

/// Shows prompts that nobody answers, and knows how many there are.
struct Unanswered(watch::Sender<usize>);

/// One prompt; dropped where it is taken away.
struct Shown<'a>(&'a watch::Sender<usize>);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|prompts| *prompts -= 1);
    }
}

#[async_trait]
impl Asker for Unanswered {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, _prompt: Prompt) -> Answer {
        self.0.send_modify(|prompts| *prompts += 1);
        let _shown = Shown(&self.0);
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_tab_that_crashes_in_a_login_takes_its_prompt_with_it_and_nobody_elses_socket() {
    let prompts = watch::Sender::new(0);
    let mut counted = prompts.subscribe();
    let stand = Stand::asking(pages, Arc::new(Unanswered(prompts))).await;
    let context = browser(Engine::Chromium).await.new_context().await.expect("a context");
    let mut tabs = Tabs::open(stand, context, 2, "?", None).await;
    // The worker lives with the first tab, so that it is the second one that crashes.
    let crashes = tabs.pages.pop().expect("a tab");
    crashes.eval::<()>("void loopkey.login().catch(() => {})").await.expect("asked");
    timeout(SOON, counted.wait_for(|prompts| *prompts == 1)).await.expect("in time").expect("a prompt");
    crashes
        .eval::<()>("navigator.locks.query().then(({ held }) => { if (held.length !== 2) throw held; })")
        .await
        .expect("two locks: the worker's and this login's");
    crashes.crash().await;
    timeout(SOON, counted.wait_for(|prompts| *prompts == 0)).await.expect("in time").expect("no prompt");
    tabs.stand.set_presence(PresenceState::Locked);
    tabs.all("loopkey.presence.presence === 'locked'").await;
    assert_eq!(tabs.stand.sockets(), 1);
    tabs.leave();
}

async fn back_from_the_cache(engine: Engine) {
    let tabs = Tabs::new(engine, 2).await;
    let [stays, goes] = &tabs.pages[..] else { panic!("two tabs") };
    goes.goto(&format!("{}/elsewhere", tabs.stand.url())).await.expect("another page");
    tabs.stand.set_presence(PresenceState::Locked);
    stays.wait_for("loopkey.presence.presence === 'locked'", SOON).await.expect("told");
    let from = now(stays).await;
    goes.eval::<()>("void setTimeout(() => history.back())").await.expect("back");
    goes.wait_for(&format!("loopkey.presence.presence === 'locked' && {LIVE}"), SOON).await.expect("right");
    took("a page is right again after the way back", from, [goes]).await;
    assert_eq!(tabs.stand.sockets(), 1);
    // Firefox does not cache this page, with a worker or without one.
    if engine == Engine::Chromium {
        assert!(goes.eval::<bool>("persisted").await.expect("known"), "the worker keeps no page out of the cache");
    }
    // The last one leaves, for the cache: the socket is given back at once, and taken again on the way back.
    stays.goto(&format!("{}/elsewhere", tabs.stand.url())).await.expect("another page");
    goes.goto(&format!("{}/elsewhere", tabs.stand.url())).await.expect("another page");
    tabs.sockets(0).await;
    goes.eval::<()>("void setTimeout(() => history.back())").await.expect("back");
    goes.wait_for(LIVE, SOON).await.expect("right");
    tabs.sockets(1).await;
    tabs.leave();
}

#[tokio::test]
async fn a_page_from_the_cache_is_right_at_once_in_chromium() {
    back_from_the_cache(Engine::Chromium).await;
}

#[tokio::test]
async fn a_page_from_the_cache_is_right_at_once_in_firefox() {
    back_from_the_cache(Engine::Firefox).await;
}
