//! The card inside a page of somebody else, who could lay anything over it and lead a click to it.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::desk::SOON;
use crate::hostile_content::browser;
use crate::site::{Place, Site};
use crate::stand::Stand;
use crate::support::browser::{Engine, Page};

/// A page with a card that tells the outermost page what it shows: nobody else can look into it.
fn card_page(attributes: &str, port: u16) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=en><script type=module src=/sdk/loopkey-card.js></script>
        <loopkey-card issuer='' app=Harbor ports={port} {attributes}><a slot=ways href=/password>Use a password</a></loopkey-card>
        <script>
          const card = document.querySelector('loopkey-card');
          card.setAttribute('issuer', location.origin);
          setInterval(() => {{
            const root = card.shadowRoot;
            if (!root) return;
            const shown = [...root.querySelectorAll('button, a')].filter((each) => each.checkVisibility());
            top.postMessage({{
              state: card.getAttribute('state'), reason: card.getAttribute('reason'), view: card.getAttribute('view'),
              text: root.querySelector('section').textContent, buttons: shown.length,
              looked: Boolean(card.loopkey), session: Boolean(card.loopkey?.session),
            }}, '*');
          }}, 30);
        </script>"
    ))
}

/// A page around another one, with every permission that a frame may be given.
fn outer_page(inner: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><title>around</title>
        <script>addEventListener('message', (event) => (window.told = event.data))</script>
        <iframe src='{inner}' width=600 height=600 allow='loopback-network *; local-network-access *'></iframe>"
    ))
}

/// A site with a card, and a stranger's site around it.
struct Frames {
    page: Page,
    stand: Stand,
    stranger: Site,
}

impl Frames {
    async fn new(engine: Engine) -> Self {
        let stand = Stand::new("", |port| {
            Router::new()
                .route("/card", get(async move || card_page("", port)))
                .route("/card-to-frame", get(async move || card_page("framed=allow", port)))
                .route("/around", get(async || outer_page("/card")))
        });
        let (stand, stranger) = (stand.await, Place::take().await);
        // The stranger is of the same site for cookies, and of another origin: `localhost` on another port.
        let at = stand.url();
        let inner = ["/card", "/card-to-frame", "/around"].into_iter().fold(Router::new(), |router, path| {
            let inner = format!("{at}{path}");
            router.route(path, get(async move || outer_page(&inner)))
        });
        let stranger = stranger.serve(&inner);
        let context = browser(engine).await.new_context().await.expect("a context");
        let page = context.new_page().await.expect("a tab");
        page.set_viewport(800, 700).await.expect("a size");
        Self { page, stand, stranger }
    }

    /// What the card in the frame says of itself, once it shows a view.
    async fn told(&self, url: &str, view: &str) -> Value {
        self.page.goto(url).await.expect("the page around");
        self.page.wait_for(&format!("window.told?.view === '{view}'"), SOON).await.expect("the view");
        self.page.eval("told").await.expect("what the card told")
    }

    fn leave(self) {
        self.stand.leave();
    }
}

async fn a_stranger_around_it_sees_nobody(engine: Engine) {
    let frames = Frames::new(engine).await;
    let (own, stranger) = (frames.stand.url(), frames.stranger.url());
    // First that there is something to hide: the same card in a frame of its own origin.
    let told = frames.told(&format!("{own}/around"), "person").await;
    assert!(told["text"].as_str().is_some_and(|text| text.contains("Ada Lovelace")), "{told}");

    // A stranger's page around the card, and a stranger's page around our page around the card.
    for path in ["/card", "/around"] {
        let told = frames.told(&format!("{stranger}{path}"), "framed").await;
        assert_eq!((&told["state"], &told["reason"]), (&json!("blocked"), &json!("framed")), "{path}");
        assert!(!told["text"].to_string().contains("Ada"), "{path}: {told}");
        assert!(told["text"].to_string().contains("Not available in this frame"), "{path}: {told}");
        assert_eq!(told["buttons"], 0, "{path}: {told}");
        assert_eq!(told["looked"], false, "{path}: the agent is not even looked for");
        // A click where the button would be does nothing.
        frames.page.click("iframe").await.expect("a click into the frame");
        let still = "told.view === 'framed' && !told.session";
        assert!(frames.page.eval::<bool>(still).await.expect("what the card told"), "{path}");
    }

    // Where the site wants to be framed, it says so; and then the card is there, with its buttons.
    let told = frames.told(&format!("{stranger}/card-to-frame"), "person").await;
    assert!(told["text"].as_str().is_some_and(|text| text.contains("Ada Lovelace")), "{told}");
    assert!(told["buttons"].as_u64().is_some_and(|buttons| buttons > 0), "{told}");
    frames.leave();
}

#[tokio::test]
async fn a33_i155_a_framed_card_shows_nobody_in_chromium() {
    a_stranger_around_it_sees_nobody(Engine::Chromium).await;
}

#[tokio::test]
async fn a33_i155_a_framed_card_shows_nobody_in_firefox() {
    a_stranger_around_it_sees_nobody(Engine::Firefox).await;
}
