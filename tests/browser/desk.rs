//! A person at a computer: the demo, a browser, the site in one tab and the desktop client in another.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopkey::demo::{Beside, Demo, Places};

use crate::support::browser::{Browser, Context, Engine, LaunchOptions, Page, Permission};
use crate::support::places::free_places;
use crate::support::trace;

/// Far longer than anything takes; what is waited for is always a condition.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How often a picture is tried.
const PICTURE_ATTEMPTS: u32 = 20;

pub(crate) struct Desk {
    pub(crate) demo: Demo,
    pub(crate) context: Context,
    pub(crate) site: Page,
    pub(crate) client: Page,
    pub(crate) opened: Arc<Opened>,
    engine: Engine,
    _browser: Browser,
}

/// In place of the default browser: keeps what the agent would have it open.
#[derive(Default)]
pub(crate) struct Opened(Mutex<Vec<String>>);

impl loopkey::agent::Browser for Opened {
    fn open(&self, url: &str) -> std::io::Result<()> {
        self.0.lock().expect("unpoisoned").push(url.to_owned());
        Ok(())
    }
}

impl Opened {
    /// The address that was opened last.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().expect("unpoisoned").pop()
    }
}

/// What the browser takes the site for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// A page on this computer: no permission is needed.
    Local,
    /// A page on the internet, with the loopback permission in this state; in a Firefox that asks for sockets too.
    Public(Permission),
    /// The same in a Firefox of before 154, which does not ask for sockets.
    Ungated(Permission),
}

impl Desk {
    /// Everything is up; the site is not opened yet.
    pub(crate) async fn new(engine: Engine, site: Site) -> Self {
        Self::at(free_places(), engine, site).await
    }

    /// The same at places that a test chose, because something else is there already.
    pub(crate) async fn at(places: Places, engine: Engine, site: Site) -> Self {
        let options = options(&places, engine, site);
        Self::launched(places, engine, site, options).await
    }

    /// The same with a browser that is told more.
    pub(crate) async fn launched(places: Places, engine: Engine, site: Site, options: LaunchOptions) -> Self {
        Self::beside(places, engine, site, options, Beside::default()).await
    }

    /// The same with more in the demo.
    pub(crate) async fn beside(
        places: Places,
        engine: Engine,
        site: Site,
        options: LaunchOptions,
        beside: Beside,
    ) -> Self {
        trace::start();
        let opened = Arc::new(Opened::default());
        let browser: Arc<dyn loopkey::agent::Browser> = opened.clone();
        let beside = Beside { browser: Some(browser), ..beside };
        let demo = Demo::start_with(places, beside).await.expect("the demo starts");
        let browser = Browser::launch(engine, options).await.expect("the browser starts");
        let context = browser.new_context().await.expect("a context");
        if let Site::Public(permission) | Site::Ungated(permission) = site {
            let set = context.set_permission(&demo.site_url(), "loopback-network", permission).await;
            set.expect("the permission is set");
        }
        let client = context.new_page().await.expect("a tab");
        client.set_viewport(1000, 720).await.expect("a size");
        client.goto(&demo.client_url()).await.expect("the client's window");
        client.wait_for("document.body.dataset.agent === 'running'", SOON).await.expect("the client is connected");
        let page = context.new_page().await.expect("a tab");
        page.set_viewport(1200, 800).await.expect("a size");
        Self { demo, context, site: page, client, opened, engine, _browser: browser }
    }

    /// Opens the site in its tab.
    pub(crate) async fn open(&self, site: Site) {
        let page = if site == Site::Local { "/" } else { "/?as=public" };
        self.site.goto(&format!("{}{page}", self.demo.site_url())).await.expect("the site");
    }

    /// The demo, a local site, opened, and the person found.
    pub(crate) async fn with_person(engine: Engine) -> Self {
        let desk = Self::new(engine, Site::Local).await;
        desk.open(Site::Local).await;
        desk.card(&desk.site, "person").await;
        desk
    }

    /// Waits until the card shows a view.
    pub(crate) async fn card(&self, page: &Page, view: &str) {
        let condition = format!("document.querySelector('loopkey-card')?.getAttribute('view') === '{view}'");
        page.wait_for(&condition, SOON).await.unwrap_or_else(|error| panic!("the card never shows {view}: {error:#}"));
        self.picture(page, &format!("card-{view}")).await;
    }

    /// Waits until the site has, or has not, a web session.
    pub(crate) async fn session(&self, page: &Page, is: &str) {
        let condition = format!("document.body.dataset.session === '{is}'");
        page.wait_for(&condition, SOON).await.unwrap_or_else(|error| panic!("the session is never {is}: {error:#}"));
        self.picture(page, &format!("site-{is}")).await;
    }

    /// Waits until the client's window is in a state of one of its `data-` attributes.
    pub(crate) async fn client_is(&self, attribute: &str, value: &str) {
        let condition = format!("document.body.dataset.{attribute} === '{value}'");
        self.client
            .wait_for(&condition, SOON)
            .await
            .unwrap_or_else(|error| panic!("the client never is {value}: {error:#}"));
    }

    /// Clicks "Continue as …" on the card.
    pub(crate) async fn click_continue(&self, page: &Page) {
        page.click("loopkey-card >>> #login").await.expect("the card's button");
    }

    /// Answers the client's prompt, once it takes input; returns the digits that it showed.
    pub(crate) async fn answer(&self, button: &str) -> String {
        self.client.bring_to_front().await.expect("the client's window in front");
        let armed =
            "document.querySelector('#consent').open && document.querySelector('#consent').dataset.armed === 'true'";
        self.client.wait_for(armed, SOON).await.expect("the prompt");
        self.picture(&self.client, "client-prompt").await;
        let digits = self.client.text("#consent-code").await.expect("the digits");
        self.client.click(button).await.expect("the prompt's button");
        digits
    }

    /// Clicks a button in the client's window.
    pub(crate) async fn click_client(&self, button: &str) {
        self.client.click(button).await.expect("the client's button");
    }

    /// From the card to a web session, with a prompt in between.
    pub(crate) async fn sign_in(&self) {
        self.click_continue(&self.site).await;
        self.card(&self.site, "consent").await;
        self.answer("#consent-allow").await;
        self.session(&self.site, "in").await;
    }

    /// Keeps a picture of a page, for people to look at.
    pub(crate) async fn picture(&self, page: &Page, name: &str) {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "target", "screenshots"].iter().collect();
        std::fs::create_dir_all(&folder).expect("a folder");
        // A hidden tab is not painted.
        page.bring_to_front().await.expect("the page in front");
        let file = folder.join(format!("{name}-{:?}.png", self.engine).to_lowercase());
        for attempt in 1.. {
            let taken = page.screenshot(&file).await;
            // Firefox takes none while a frame of another process comes or goes.
            if taken.is_ok() || attempt == PICTURE_ATTEMPTS {
                return taken.expect("a screenshot");
            }
            let painted = "new Promise((run) => requestAnimationFrame(() => requestAnimationFrame(() => run(true))))";
            page.eval::<bool>(&format!("await {painted}")).await.expect("the page is painted anew");
        }
    }

    /// Ends the demo, once nothing was refused by the site's content security policy.
    pub(crate) async fn leave(self) {
        let violations: Vec<_> =
            self.site.console().into_iter().filter(|line| line.contains("Content Security Policy")).collect();
        assert!(violations.is_empty(), "the page broke its own policy: {violations:#?}");
        self.demo.stop().await;
    }
}

pub(crate) fn options(places: &Places, engine: Engine, site: Site) -> LaunchOptions {
    let options = LaunchOptions::default();
    if site == Site::Local {
        return options;
    }
    // The agent's ports stay what they are; the site alone is taken for one on the internet.
    let port = places.site;
    match engine {
        Engine::Chromium => {
            options.argument(format!("--ip-address-space-overrides=127.0.0.1:{port}=public,[::1]:{port}=public"))
        }
        Engine::Firefox => options
            .preference("network.lna.address_space.public.override", format!("127.0.0.1:{port},[::1]:{port}"))
            .preference("network.lna.websocket.enabled", matches!(site, Site::Public(_))),
        Engine::WebKit => panic!("WebKit knows no permission for this"),
    }
}
