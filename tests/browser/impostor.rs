//! Another program sits on the agent's first port and plays the agent; the agent itself took the second. The page ends up
//! with the agent, and never shows a name that the login server did not give.

use serde_json::{Value, json};

use crate::desk::{Desk, SOON, Site};
use crate::fake_agent::{FakeAgent, ready, state};
use crate::support::browser::Engine;
use crate::support::places::free_places;

/// Keeps every title that the card ever shows in `titles`, from here on.
const WATCH_TITLES: &str = "(() => {
  window.titles = [];
  const note = () => titles.push($('loopkey-card >>> #title')?.textContent ?? '');
  new MutationObserver(note).observe($('loopkey-card').shadowRoot, { subtree: true, childList: true, characterData: true });
  note();
  return true;
})()";

/// Messages of the impostor name Mallory wherever a page might look for a name.
fn with_names(mut frame: Value) -> Value {
    for member in ["name", "account", "person", "profile"] {
        frame[member] = json!({ "subject": "s", "name": "Mallory", "avatar": null });
    }
    frame["state"]["name"] = "Mallory".into();
    frame
}

/// Whatever the impostor answers, the person is found on the second port and signs in.
async fn the_page_picks_the_agent(engine: Engine, answer: impl Fn(&Value) -> Vec<Value> + Send + Sync + 'static) {
    let places = free_places();
    let impostor = FakeAgent::listen(places.agent[0], answer).await;
    let desk = Desk::at(places, engine, Site::Local).await;
    // Whichever port answers first is asked first; what counts is a visit in which the impostor won.
    for visit in 1.. {
        desk.open(Site::Local).await;
        assert!(desk.site.eval::<bool>(WATCH_TITLES).await.expect("the titles are watched"));
        desk.card(&desk.site, "person").await;
        if impostor.heard().contains(&"open".to_owned()) {
            break;
        }
        assert!(visit < 30, "the impostor never comes first");
    }
    desk.sign_in().await;
    assert!(desk.site.text("#person-name").await.expect("the name").contains("Ada Lovelace"));
    let titles: Vec<String> = desk.site.eval("titles").await.expect("the titles");
    assert!(titles.iter().all(|title| !title.contains("Mallory")), "{titles:?}");
    assert!(!impostor.heard().contains(&"login".to_owned()), "nothing was asked of it: {:?}", impostor.heard());
    desk.leave().await;
}

#[tokio::test]
async fn a14_a_proof_of_rubbish_is_passed_over() {
    the_page_picks_the_agent(Engine::Chromium, |message| match message["type"].as_str() {
        Some("open") => vec![with_names(ready(7, Some("rubbish")))],
        Some("prove") => vec![json!({ "type": "proof", "id": message["id"], "proof": "rubbish" })],
        _ => vec![],
    })
    .await;
}

#[tokio::test]
async fn a14_a_proof_by_a_key_that_nobody_enrolled_is_passed_over() {
    use base64::Engine as _;
    // A statement of the right form: three parts, the right `typ`, a key's thumbprint, 64 bytes of signature.
    let part = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let header = json!({ "alg": "ES256", "typ": "loopkey-presence+jwt", "kid": part(&[7; 32]) });
    let claims = json!({
        "iss": "loopkey:AAAAAAAAAAAAAAAAAAAAAA", "aud": "http://localhost", "sub": "s", "org": "http://localhost",
        "nonce": part(&[1; 32]), "sid": part(&[2; 32]), "pst": "signed_in", "seq": 7, "epo": 7, "iat": 1, "exp": 61,
    });
    let proof = [part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()), part(&[3; 64])].join(".");
    the_page_picks_the_agent(Engine::Chromium, move |message| match message["type"].as_str() {
        Some("open") => vec![with_names(ready(7, Some(&proof)))],
        Some("prove") => vec![json!({ "type": "proof", "id": message["id"], "proof": proof })],
        _ => vec![],
    })
    .await;
}

#[tokio::test]
async fn a14_a_claim_that_nobody_is_signed_in_is_passed_over() {
    the_page_picks_the_agent(Engine::Chromium, |message| match message["type"].as_str() {
        Some("open") => {
            let mut ready = with_names(ready(7, None));
            ready["state"]["presence"] = "signed_out".into();
            vec![ready]
        }
        _ => vec![],
    })
    .await;
}

#[tokio::test]
async fn a14_firefox_picks_the_agent_too() {
    the_page_picks_the_agent(Engine::Firefox, |message| match message["type"].as_str() {
        Some("open") => vec![with_names(ready(7, Some("rubbish")))],
        Some("prove") => vec![json!({ "type": "proof", "id": message["id"], "proof": "rubbish" })],
        _ => vec![],
    })
    .await;
}

/// The agent dies, an impostor takes its port and its place in the conversation, and the agent returns on the other port.
#[tokio::test]
async fn i159_a_port_taken_by_an_impostor_costs_a_click_and_no_more() {
    let places = free_places();
    let port = places.agent[0];
    let desk = Desk::at(places, Engine::Chromium, Site::Local).await;
    desk.open(Site::Local).await;
    desk.card(&desk.site, "person").await;
    let epoch: u64 = desk.site.eval("$('loopkey-card').loopkey.presence.epoch").await.expect("the epoch");
    desk.demo.stop_agent().await;
    // It takes the page's ticket for granted, and with it the person that the page already knows.
    let impostor = FakeAgent::listen(port, move |message| match message["type"].as_str() {
        Some("open") => {
            let mut ready = with_names(ready(epoch, None));
            ready["resumed"] = true.into();
            ready["state"] = state(epoch);
            vec![ready]
        }
        Some("login") => vec![json!({ "type": "token", "id": message["id"], "token": "rubbish" })],
        Some("prove") => vec![json!({ "type": "proof", "id": message["id"], "proof": "rubbish" })],
        _ => vec![],
    })
    .await;
    desk.client_is("agent", "stopped").await;
    desk.click_client("#agent").await;
    desk.client_is("agent", "running").await;
    desk.site.bring_to_front().await.expect("the site in front");
    let ready = "['person', 'refused'].includes($('loopkey-card').getAttribute('view'))";
    desk.site.wait_for(ready, SOON).await.expect("somebody to sign in");
    // The page may have met either of the two by now. With the impostor the first click fails, and ends its game.
    desk.click_continue(&desk.site).await;
    let asked_or_refused = "['consent', 'refused'].includes($('loopkey-card').getAttribute('view'))";
    desk.site.wait_for(asked_or_refused, SOON).await.expect("an outcome");
    if desk.site.eval::<bool>("$('loopkey-card').getAttribute('view') === 'refused'").await.expect("the view") {
        desk.session(&desk.site, "out").await;
        let found = "$('loopkey-card').getAttribute('reason') === 'ready' && $('loopkey-card >>> #login')";
        desk.site.wait_for(found, SOON).await.expect("the agent is found");
        desk.click_continue(&desk.site).await;
        desk.card(&desk.site, "consent").await;
    }
    desk.answer("#consent-allow").await;
    desk.session(&desk.site, "in").await;
    assert!(desk.site.text("#person-name").await.expect("the name").contains("Ada Lovelace"));
    drop(impostor);
    desk.leave().await;
}
