//! The same by the front door: what an application's backend says of a person in `POST /v1/enrolment-tickets`, through a
//! real login server and a real agent to the card, and to the prompt of the simulated client.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::routing::get;
use futures::StreamExt as _;
use loopkey::agent::Agent;
use loopkey::clock::SystemClock;
use loopkey::crypto::Secret;
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::issuer::Issuer;
use loopkey::store::StoreUrl;
use serde_json::{Value, json};

use crate::desk::SOON;
use crate::hostile_content::{CARD, TRAPS, assert_harmless, browser, start_demo};
use crate::site::{Place, in_front_of};
use crate::support::browser::Engine;
use crate::support::places::free_places;
use crate::support::world::{http, settings};

const KEY: &str = "the service key of this test";

/// What the card shows of a name; nothing where the login server refuses it.
const NAMES: [(&str, Option<&str>); 13] = [
    ("<img src=x onerror=pwned(1)>", Some("<img src=x onerror=pwned(1)>")),
    ("<script>pwned(2)</script>", Some("<script>pwned(2)</script>")),
    ("\"'`><svg onload=pwned(3)>", Some("\"'`><svg onload=pwned(3)>")),
    ("{name} ${pwned(4)} {{pwned(5)}}", Some("{name} ${pwned(4)} {{pwned(5)}}")),
    ("&lt;b&gt;Ada&#60;", Some("&lt;b&gt;Ada&#60;")),
    ("\u{202e}ecalevoL adA", Some("ecalevoL adA")),
    ("\u{2067}Ada\u{2069}\u{200f}", Some("Ada")),
    ("A\u{0}d\u{200b}a\u{feff}\u{ad}\u{1b}[1m", Some("Ada[1m")),
    ("  Ada\r\nSet-Cookie: x=1 ", Some("AdaSet-Cookie: x=1")),
    ("👩‍👩‍👧‍👦 नाम क्‍ष", Some("👩‍👩‍👧‍👦 नाम क्‍ष")),
    ("", None),
    ("\u{202e}\u{200b}\u{0} ", None),
    ("WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW", Some("WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW")),
];

/// Pictures that the login server does not take.
const REFUSED_PICTURES: [&str; 8] = [
    "javascript:pwned()",
    "data:text/html,<script>pwned()</script>",
    "data:image/svg+xml;base64,PHN2Zy8+",
    "data:image/png;base64,PHN2Zy8+",
    // The header of a bitmap of 60000 by 60000.
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA6mAAAOpg",
    "file:///etc/passwd",
    "http://cdn.example.com/a.png",
    "https://cdn.example.com/\"onerror=\"pwned()",
];

async fn what_a_backend_says(engine: Engine) {
    let places = free_places();
    let demo = start_demo(&places).await;
    let place = Place::take().await;
    let issuer: Issuer = place.url().parse().expect("an issuer");
    let mut config = LoginConfig::new(issuer.clone());
    config.ports.clone_from(&places.agent);
    config.development = true;
    config.service_key = Some(Secret::new(KEY.to_owned()));
    let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
    let server = LoginServer::start(config, store, Arc::new(SystemClock)).await.expect("a login server");
    let _site = place.serve(&in_front_of(demo.site_url(), server.router()));

    // The demo's own agent has the first port, and refuses this site.
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(folder.path(), &issuer);
    settings.ports = vec![places.agent[1]];
    let agent = Agent::builder(settings).bind().await.expect("an agent");
    let handle = agent.handle();
    let running = tokio::spawn(agent.run(std::future::pending()));

    let context = browser(engine).await.new_context().await.expect("a context");
    let page = context.new_page().await.expect("a tab");
    page.set_viewport(1200, 800).await.expect("a size");
    let ask = async |account: usize, name: &str, avatar: &Value| {
        let mut profile = json!({ "account": format!("account-{account}"), "name": name });
        if !avatar.is_null() {
            profile["avatar"] = avatar.clone();
        }
        let answer = http().post(issuer.endpoint("/v1/enrolment-tickets")).bearer_auth(KEY).json(&profile);
        let answer = answer.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    for length in [129, 10_240] {
        assert_eq!(ask(0, &"W".repeat(length), &Value::Null).await.0, 400, "{length} bytes");
    }
    for picture in REFUSED_PICTURES {
        assert_eq!(ask(0, "Ada", &picture.into()).await.0, 400, "{picture}");
    }
    let mut opened = false;
    for (account, (name, shown)) in NAMES.into_iter().enumerate() {
        let (status, body) = ask(account, name, &Value::Null).await;
        let Some(shown) = shown else {
            assert_eq!((status, body), (400, json!({ "error": "bad_request" })), "{name:?}");
            continue;
        };
        assert_eq!(status, 201, "{name:?}");
        let ticket = body["ticket"].as_str().expect("a ticket").parse().expect("a ticket");
        let subject = handle.enrol(&issuer, ticket).await.expect("enrolled").account;
        if !std::mem::replace(&mut opened, true) {
            page.goto(issuer.as_str()).await.expect("the page");
            assert!(page.eval::<bool>(TRAPS).await.expect("the traps are set"));
        }
        let look = format!("{CARD}('{subject}')");
        page.wait_for(&look, SOON).await.expect("the card shows the person");
        assert_harmless(&page.eval(&look).await.expect("the card"), shown, &name.into());
    }
    let faults: Vec<_> = page.console().into_iter().filter(|line| line.contains("Content Security Policy")).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    handle.stop();
    running.await.expect("the agent ends");
    server.close();
    demo.stop().await;
}

#[tokio::test]
async fn a29_what_a_backend_says_is_harmless_in_chromium() {
    what_a_backend_says(Engine::Chromium).await;
}

#[tokio::test]
async fn a29_what_a_backend_says_is_harmless_in_firefox() {
    what_a_backend_says(Engine::Firefox).await;
}

/// The simulated client shows names and origins that came from elsewhere, in its prompt above all.
#[tokio::test]
async fn a29_the_clients_window_shows_hostile_text_as_text() {
    const HOSTILE: &str = "<img src=x onerror=pwned()>\"'`</strong><script>pwned()</script>{code}$&";
    let demo = start_demo(&free_places()).await;
    let view = json!({
        "agent": "running", "presence": "signed_in", "person": "ada", "sockets": 1,
        "people": [{ "id": "ada", "name": HOSTILE, "avatar": "javascript:pwned()" }],
        "prompt": { "id": 1, "origin": HOSTILE, "account": HOSTILE, "code": HOSTILE, "browser": HOSTILE },
        "player": { "playing": true, "title": HOSTILE }, "document": HOSTILE,
        "log": [{ "at": 1, "event": "asked", "origin": HOSTILE }, { "at": 1, "event": HOSTILE }],
    });
    let events = async move || {
        let first = futures::stream::iter([Ok::<_, std::io::Error>(format!("event: state\ndata: {view}\n\n"))]);
        ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(first.chain(futures::stream::pending())))
    };
    let calls = Router::new().route("/api/events", get(events));
    let site = Place::take().await.serve(&in_front_of(demo.client_url(), calls));
    let context = browser(Engine::Chromium).await.new_context().await.expect("a context");
    let page = context.new_page().await.expect("a tab");
    page.goto(&site.url()).await.expect("the window");
    assert!(page.eval::<bool>(TRAPS).await.expect("the traps are set"));
    page.wait_for("$('#consent').open && $('#consent').dataset.armed === 'true'", SOON).await.expect("the prompt");
    for place in [
        "#person-name",
        "#consent-origin",
        "#consent-account",
        "#consent-code",
        "#sign-in-ada",
        "#player-title",
        "#document-title",
    ] {
        assert_eq!(page.text(place).await.expect("text"), HOSTILE, "{place}");
    }
    let made = "document.querySelectorAll('strong *, #person-name *, #consent-code *, #log script, #log img').length";
    assert_eq!(page.eval::<u32>(made).await.expect("a number"), 0, "text became elements");
    assert!(page.eval::<bool>("Boolean(await clickable('#consent-deny'))").await.expect("a button"));
    let ran: Value = page.eval("[ran, window.pwned.length]").await.expect("the traps");
    assert_eq!(ran[0], json!([]), "something ran");
    demo.stop().await;
}
