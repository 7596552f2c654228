//! DingTalk's page in a frame, in real browsers: a strict policy around it, a stranger's frame beside it that speaks all the
//! time, and at the end the person whom DingTalk means.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use loopkey::clock::{Clock as _, ManualClock};
use loopkey::connectors::dingtalk::{DingTalk, QrExchange, QrLogin, Settings, Table};
use loopkey::connectors::{Beginning, Connector, Returned, http};
use loopkey::crypto::Secret;
use loopkey::protocol::time::UnixMillis;
use serde_json::json;
use url::Url;

use crate::desk::SOON;
use crate::hostile_content::browser;
use crate::site::Place;
use crate::support::browser::Engine;
use loopkey::demo::dingtalk::{FakeDingTalk, Kind, User};

const CORP: &str = "dingcorp0001";
const APP: &str = "dingabcdefghij012345";
const SITE: &str = "dingoaexample01234";

/// Waits for the stranger first, so that it surely had its say, and counts what was against the policy.
const GO: &str = r#"
import { showDingTalk } from "/sdk/dingtalk-frame.js";
document.addEventListener("securitypolicyviolation", () => { document.title = "violated"; });
const options = await (await fetch("/options")).json();
await new Promise((heard) => addEventListener("message", heard, { once: true }));
location.href = await showDingTalk(document.querySelector("main"), options);
"#;

fn fill(fake: &FakeDingTalk, secret: &str, callback: &str) {
    let mut state = fake.state();
    let user = User {
        unionid: "union1".into(),
        name: "艾达".into(),
        avatar: None,
        mobile: None,
        email: None,
        departments: vec![1],
    };
    state.corps.entry(CORP.into()).or_default().users.insert("ada".into(), user);
    state.app(APP, secret, Kind::Internal { corp: CORP.into() }).redirects.insert(callback.into());
    state.app(SITE, secret, Kind::Site).redirects.insert(callback.into());
    state.person = Some((CORP.into(), "ada".into()));
}

async fn through_the_frame(engine: Engine, is_older: bool) {
    let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
    let fake = FakeDingTalk::start(clock.clone()).await.expect("four ports");
    let (place, stranger) = (Place::take().await, Place::take().await);
    let (own, secret) = (place.url(), "s3cret-_".repeat(8));
    let callback = format!("{own}/callback");
    fill(&fake, &secret, &callback);
    let (client, hosts) = (http(true).expect("a client"), fake.hosts());
    let connector: Box<dyn Connector> = if is_older {
        let keys = (SITE.to_owned(), Secret::new(secret));
        Box::new(QrLogin::new(keys, QrExchange::Signed, hosts, client, clock.clone()).expect("a connector"))
    } else {
        let table = json!({ "app_key": APP, "corp_id": CORP, "agent_id": 1_234_567_890_u64 });
        let table = Table { hosts: Some(hosts), ..serde_json::from_value(table).expect("a table") };
        let settings = Settings::new(table, Secret::new(secret)).expect("settings");
        Box::new(DingTalk::new(settings, client, clock.clone()).expect("a connector"))
    };
    let begun = connector.begin(&Beginning { state: "st4te", redirect_uri: &callback, embedded: true }).await;
    let frame_origin = connector.front_end()["frame_origin"].clone();
    let options = json!({
        "location": begun.expect("a beginning").location, "frameOrigin": frame_origin, "redirectUri": callback,
        "title": "DingTalk",
    });

    let lie = if is_older {
        json!("stolen")
    } else {
        json!({ "success": true, "redirectUrl": format!("{callback}?code=stolen") })
    };
    let lies = format!("<!doctype html><script>setInterval(() => parent.postMessage({lie}, '*'), 5)</script>");
    let stranger = stranger.serve(&Router::new().route("/", get(async move || Html(lies))));
    let beside = stranger.url();
    let policy = format!(
        "default-src 'self'; frame-src {} {beside}; require-trusted-types-for 'script'; trusted-types 'none'",
        frame_origin.as_str().expect("an origin"),
    );
    let page = format!(
        "<!doctype html><title>sign in</title><script type=module src=/go.js></script>
        <main></main><iframe src='{beside}'></iframe>"
    );
    let script = |text: &'static str| get(async move || ([("content-type", "text/javascript")], text));
    let site = place.serve(
        &Router::new()
            .route("/", get(async move || ([("content-security-policy", policy)], Html(page))))
            .route("/go.js", script(GO))
            .route("/sdk/dingtalk-frame.js", script(include_str!("../../web/dingtalk-frame.js")))
            .route("/options", get(async move || ([("content-type", "application/json")], options.to_string())))
            .route("/callback", get(async || Html("<!doctype html><title>back</title>"))),
    );

    let page = browser(engine).await.new_context().await.expect("a context").new_page().await.expect("a tab");
    page.goto(&site.url()).await.expect("the page");
    page.wait_for("location.pathname === '/callback' || document.title === 'violated'", SOON).await.expect("back");
    let back: Url = page.eval::<String>("location.href").await.expect("an address").parse().expect("an address");
    let mut parameters: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
    assert_eq!(parameters.remove("state").as_deref(), Some("st4te"), "{back}");
    let parameters = parameters.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    let (kept, now) = (BTreeMap::new(), clock.timestamp());
    let returned = Returned { parameters: &parameters, kept: &kept, redirect_uri: &callback, now };
    let person = connector.finish(&returned).await.expect("a person");
    assert_eq!(person.id, if is_older { "union1" } else { "ada" });
    page.close().await.expect("closed");
}

#[tokio::test]
async fn d12_the_frame_signs_in_beside_a_stranger_in_chromium() {
    through_the_frame(Engine::Chromium, false).await;
}

#[tokio::test]
async fn d12_the_frame_signs_in_beside_a_stranger_in_firefox() {
    through_the_frame(Engine::Firefox, false).await;
}

#[tokio::test]
async fn e04_e05_the_older_frame_signs_in_beside_a_stranger_in_chromium() {
    through_the_frame(Engine::Chromium, true).await;
}

#[tokio::test]
async fn e04_e05_the_older_frame_signs_in_beside_a_stranger_in_firefox() {
    through_the_frame(Engine::Firefox, true).await;
}
