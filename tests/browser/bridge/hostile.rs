//! Who opens the bridge's window without a right to it, puts it into a frame, or speaks to it out of turn.

use serde_json::{Value, json};

use super::house::{House, KeptBy};
use crate::desk::SOON;
use crate::support::browser::Engine;

/// Asks once more whenever the browser has drawn something, so that what was said before has been heard by now.
const SETTLED: &str = "new Promise((done) => setTimeout(() => requestAnimationFrame(() => done(true)), 300))";

async fn a_foreign_opener_gets_nothing(engine: Engine) {
    let house = House::new(engine, KeptBy::Policy).await;
    let window = house.by_hand(&house.stranger).await;
    house.page.eval::<bool>("(bridge.postMessage({ type: 'connect' }, agent), true)").await.expect("said");
    window.wait_for("document.body.dataset.state === 'refused'", SOON).await.expect("it is refused");
    house.picture(&window, "bridge-refused").await;
    // Whatever it goes on to say, and whatever it is by then.
    for message in [
        json!({ "type": "relay", "data": { "type": "open", "nonce": "A".repeat(43) } }),
        json!({ "type": "consent_answer", "id": 1, "allow": true, "remember": true }),
        json!({ "type": "bridge", "key": "A".repeat(43), "origin": house.site.url() }),
        json!({ "type": "connect" }),
    ] {
        let say = format!("(bridge.postMessage({message}, '*'), true)");
        house.page.eval::<bool>(&say).await.expect("said");
    }
    house.page.eval::<bool>(SETTLED).await.expect("settled");
    assert_eq!(house.page.eval::<Value>("heard").await.expect("what it heard"), json!([]));
    let shown = window.text("body").await.expect("the window's text");
    assert!(!shown.contains("Ada") && !shown.contains(&house.site.url()), "{shown}");
    house.leave();
}

#[tokio::test]
async fn a41_a_foreign_opener_gets_nothing_in_chromium() {
    a_foreign_opener_gets_nothing(Engine::Chromium).await;
}

#[tokio::test]
async fn a41_a_foreign_opener_gets_nothing_in_firefox() {
    a_foreign_opener_gets_nothing(Engine::Firefox).await;
}

async fn a_framed_bridge_shows_nothing(engine: Engine) {
    let house = House::new(engine, KeptBy::Policy).await;
    // Not even the site itself may put it into a frame.
    for site in [&house.site, &house.stranger] {
        house.page.goto(&format!("{}/around", site.url())).await.expect("the page around");
        house.page.wait_for("window.failed || window.ran", SOON).await.expect("the script's end");
        let say =
            "([...Array(frames.length).keys()].forEach((n) => frames[n].postMessage({ type: 'connect' }, '*')), true)";
        house.page.eval::<bool>(say).await.expect("said");
        house.page.eval::<bool>(SETTLED).await.expect("settled");
        assert!(house.page.eval::<bool>("!window.ran").await.expect("the script"), "its script is for nobody else");
        assert_eq!(house.page.eval::<Value>("heard").await.expect("what it heard"), json!([]));
    }
    assert!(house.agent.status().origins.iter().all(|origin| origin.sockets == 0), "no socket was opened");
    house.picture(&house.page, "bridge-framed").await;
    house.leave();
}

#[tokio::test]
async fn a41_a_framed_bridge_shows_nothing_in_chromium() {
    a_framed_bridge_shows_nothing(Engine::Chromium).await;
}

#[tokio::test]
async fn a41_a_framed_bridge_shows_nothing_in_firefox() {
    a_framed_bridge_shows_nothing(Engine::Firefox).await;
}

/// Another window that got hold of the bridge's is nobody to it, of the same origin or not, before its opener has spoken and
/// after.
async fn only_the_opener_is_heard(engine: Engine) {
    let house = House::new(engine, KeptBy::Policy).await;
    let window = house.by_hand(&house.site).await;
    let from_inside =
        |message: Value| format!("(frames[0].eval('parent.bridge.postMessage({message}, parent.agent)'), true)");
    house.page.eval::<bool>(&from_inside(json!({ "type": "connect" }))).await.expect("said");
    house.page.eval::<bool>(SETTLED).await.expect("settled");
    let state = "document.body.dataset.state";
    assert_eq!(window.eval::<String>(state).await.expect("the state"), "connecting", "a frame is no opener");

    house.page.eval::<bool>("(bridge.postMessage({ type: 'connect' }, agent), true)").await.expect("said");
    house.page.wait_for("heard.length === 1", SOON).await.expect("the greeting");
    let greeting: Value = house.page.eval("heard[0]").await.expect("the greeting");
    assert_eq!(greeting["data"]["type"], "relay");
    assert_eq!(greeting["data"]["data"]["type"], "hello");
    assert_eq!(greeting["origin"], house.page.eval::<Value>("agent").await.expect("the agent's origin"));
    // Anything at all would close the socket now, if it got there: the agent expects `open`.
    house.page.eval::<bool>(&from_inside(json!({ "type": "relay", "data": { "type": "pong" } }))).await.expect("said");
    house.page.eval::<bool>(&from_inside(json!({ "type": "close" }))).await.expect("said");
    // And what the opener says can only be a page's message: this one is none of them.
    let out_of_place = json!({ "type": "consent_answer", "id": 1, "allow": true, "remember": true });
    house.page.eval::<bool>(&format!("(bridge.postMessage({out_of_place}, agent), true)")).await.expect("said");
    house.page.eval::<bool>(SETTLED).await.expect("settled");
    assert_eq!(house.page.eval::<usize>("heard.length").await.expect("what it heard"), 1, "the socket stands");
    house
        .page
        .eval::<bool>("(bridge.postMessage({ type: 'relay', data: { type: 'pong' } }, agent), true)")
        .await
        .expect("said");
    house.page.wait_for("heard.length === 2", SOON).await.expect("the end");
    let end: Value = house.page.eval("heard[1].data").await.expect("the end");
    assert_eq!(end, json!({ "type": "closed", "code": 4400 }), "the opener's own was heard, and was out of order");
    house.leave();
}

#[tokio::test]
async fn a41_only_the_opener_is_heard_in_chromium() {
    only_the_opener_is_heard(Engine::Chromium).await;
}

#[tokio::test]
async fn a41_only_the_opener_is_heard_in_firefox() {
    only_the_opener_is_heard(Engine::Firefox).await;
}

/// The opener went to another site: what that one says has the wrong origin, and what is said to it goes nowhere.
#[tokio::test]
async fn a41_an_opener_that_became_another_site_is_nobody() {
    let house = House::new(Engine::Chromium, KeptBy::Policy).await;
    let window = house.by_hand(&house.site).await;
    house.page.eval::<bool>("(bridge.postMessage({ type: 'connect' }, agent), true)").await.expect("said");
    house.page.wait_for("heard.length === 1", SOON).await.expect("the greeting");
    house.page.goto(&format!("{}/bare", house.stranger.url())).await.expect("another site");
    // The window is still the opener's child for the browser, and its opener the stranger's page.
    let said = "(opener.postMessage('here is the bridge', '*'), true)";
    window.eval::<bool>(said).await.expect("said");
    house.page.wait_for("heard.length === 1", SOON).await.expect("it reaches the stranger's page");
    window.wait_for("document.body.dataset.state !== 'connecting'", SOON).await.expect("nobody opened it in time");
    assert_eq!(
        house.page.eval::<usize>("heard.length").await.expect("what it heard"),
        1,
        "the agent's close is not for it"
    );
    house.leave();
}

/// Who opens the address by hand finds nothing, and leaves nothing open.
#[tokio::test]
async fn a_window_that_nobody_opened_says_so() {
    let house = House::new(Engine::Chromium, KeptBy::Policy).await;
    house.page.goto(&format!("{}/bare", house.site.url())).await.expect("the bare page");
    let at: String = house.page.eval("agent + '/bridge'").await.expect("the address");
    house.page.goto(&at).await.expect("the bridge");
    house.page.wait_for("document.body.dataset.state === 'alone'", SOON).await.expect("it says so");
    let key = house.page.eval::<bool>("document.querySelector('meta[name=loopkey-key]') === null").await;
    assert!(key.expect("the document"), "the key is not left lying in the document");
    house.picture(&house.page, "bridge-alone").await;
    house.leave();
}
