//! The headers of the demo's pages, and that the browsers hold the pages to them.

use loopkey::demo::Demo;

use crate::desk::{Desk, SOON, Site};
use crate::hostile_content::{TRAPS, start_demo};
use crate::site::Place;
use crate::support::browser::Engine;
use crate::support::places::free_places;
use crate::support::world::http;

/// What every policy must say.
const POLICY: [&str; 9] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "require-trusted-types-for 'script'",
    "trusted-types loopkey",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
];

#[tokio::test]
async fn a29_every_answer_of_the_demos_pages_carries_the_policy() {
    let demo: Demo = start_demo(&free_places()).await;
    let site = ["/", "/?as=public", "/demo/site.css", "/demo/site.js", "/nothing", "/demo/nothing"];
    let client = ["/", "/client.css", "/client.js", "/avatars/ada.png", "/api/nothing", "/nothing"];
    let site = site.map(|path| format!("{}{path}", demo.site_url()));
    let client = client.map(|path| format!("{}{path}", demo.client_url()));
    for url in site.iter().chain(&client) {
        let answer = http().get(url).send().await.expect("an answer");
        let header = |name: &str| {
            let values: Vec<_> =
                answer.headers().get_all(name).iter().map(|value| value.to_str().expect("text")).collect();
            values.join(", ")
        };
        let policy = header("content-security-policy");
        let directives: Vec<_> = policy.split("; ").collect();
        for directive in POLICY {
            assert!(directives.contains(&directive), "{url}: {policy}");
        }
        // 'self', and on the site the agent's ports on 127.0.0.1; nothing wider.
        let connect = directives.iter().find_map(|each| each.strip_prefix("connect-src ")).expect("connect-src");
        for source in connect.split(' ') {
            let loopback = source
                .split_once("://127.0.0.1:")
                .is_some_and(|(scheme, port)| ["ws", "http"].contains(&scheme) && port.parse::<u16>().is_ok());
            assert!(source == "'self'" || loopback, "{url}: {source}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{url}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(header(name), value, "{url}: {name}");
        }
    }
    demo.stop().await;
}

/// From the card to the session and out again, in both windows: no violation, by the browser's events and its console.
async fn the_main_flow_breaks_no_policy(engine: Engine) {
    let desk = Desk::new(engine, Site::Local).await;
    assert!(desk.client.eval::<bool>(TRAPS).await.expect("the traps are set"));
    desk.open(Site::Local).await;
    assert!(desk.site.eval::<bool>(TRAPS).await.expect("the traps are set"));
    desk.card(&desk.site, "person").await;
    desk.sign_in().await;
    desk.site.click("#lang-zh").await.expect("the language");
    desk.site.click("#logout").await.expect("the log-out button");
    desk.session(&desk.site, "out").await;
    for page in [&desk.site, &desk.client] {
        let seen: Vec<String> = page.eval("violations").await.expect("the violations");
        assert!(seen.is_empty(), "{seen:#?}");
        let console: Vec<_> =
            page.console().into_iter().filter(|line| line.contains("Content Security Policy")).collect();
        assert!(console.is_empty(), "{console:#?}");
        // And the policy is in force: text becomes neither markup nor script, in either window.
        for sink in [
            "document.body.innerHTML = '<b>x</b>'",
            "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
            "document.createElement('script').text = 'pwned()'",
            "document.createElement('script').src = '/x.js'",
            "trustedTypes.createPolicy('default', {})",
        ] {
            let refused = format!("(() => {{ try {{ {sink}; return false; }} catch {{ return true; }} }})()");
            assert!(page.eval::<bool>(&refused).await.expect("an outcome"), "{engine:?} takes {sink}");
        }
    }
    desk.demo.stop().await;
}

#[tokio::test]
async fn a29_the_main_flow_breaks_no_policy_in_chromium() {
    the_main_flow_breaks_no_policy(Engine::Chromium).await;
}

#[tokio::test]
async fn a29_the_main_flow_breaks_no_policy_in_firefox() {
    the_main_flow_breaks_no_policy(Engine::Firefox).await;
}

/// The demo's pages are in nobody's frame, whatever the card thinks of it.
#[tokio::test]
async fn a33_the_demos_pages_cannot_be_framed() {
    for client in [false, true] {
        let desk = Desk::new(Engine::Chromium, Site::Local).await;
        let url = if client { desk.demo.client_url() } else { desk.demo.site_url() };
        let around = format!("<!doctype html><title>around</title><iframe src='{url}/' width=600 height=600></iframe>");
        let page = axum::Router::new().route("/", axum::routing::get(async move || axum::response::Html(around)));
        let stranger = Place::take().await.serve(&page);
        desk.site.goto(&stranger.url()).await.expect("the page around");
        desk.site.wait_for_console("frame-ancestors", SOON).await.expect("the browser says so");
        desk.demo.stop().await;
    }
}
