//! Sessions whose provider is asked again, with a refresh token, whether the person still may sign in.

use std::sync::Arc;
use std::time::Duration;

use loopkey::clock::ManualClock;
use loopkey::connectors::oidc::{Oidc, OidcSettings};
use loopkey::crypto::Secret;
use loopkey::login::{ConfiguredConnector, LoginConfig, NewAccounts};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, StoreUrl};
use serde_json::{Value, json};

use super::provider::{CLIENT, Lies, Provider, SECRET};
use super::{Stage, assert_failed, assert_signed_in};
use crate::login::browser::Browser;
use crate::login::{Server, clock, config};

const PERIOD: Duration = Duration::from_secs(600);

struct Rechecked {
    stage: Stage,
    clock: Arc<ManualClock>,
}

impl Rechecked {
    async fn start() -> Self {
        let (provider, clock) = (Provider::start().await, clock());
        let settings = OidcSettings {
            issuer: provider.inner.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(Secret::new(SECRET.to_owned())),
            scopes: ["openid", "profile"].map(str::to_owned).to_vec(),
            userinfo: false,
            recheck: Some(PERIOD),
        };
        let http = loopkey::connectors::http(true).expect("a client");
        let connectors = vec![ConfiguredConnector {
            name: "corp".parse().expect("a name"),
            label: DisplayName::clean("Corp").expect("a label"),
            connector: Arc::new(Oidc::new(settings, http, clock.clone())),
            accounts: NewAccounts::Create,
            verifies: UserVerification::Page,
        }];
        let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("a store");
        let server = Server::start_configured(LoginConfig { connectors, ..config() }, store, clock.clone()).await;
        Self { stage: Stage { server, provider }, clock }
    }

    async fn signed_in(&self) -> Browser {
        let mut browser = self.stage.server.browser();
        assert_signed_in(&self.stage.sign_in(&mut browser, "corp").await);
        browser
    }

    /// Asks for the session after some time; what the provider says of times goes with it.
    async fn after(&self, browser: &mut Browser, seconds: u64, lies: Lies) -> u16 {
        self.clock.advance(Duration::from_secs(seconds));
        let now = loopkey::clock::Clock::timestamp(&*self.clock).0;
        let mut lies = lies;
        lies.claims.splice(0..0, [("iat", json!(now)), ("exp", json!(now + 300))]);
        self.stage.provider.lie(lies);
        browser.get("/v1/session").await.status
    }
}

#[tokio::test]
async fn the_provider_is_asked_when_it_is_time_and_its_token_rotates() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.signed_in().await;
    let asked = || rechecked.stage.provider.refreshes();
    for (seconds, times) in [(0, 0), (599, 0), (1, 1), (0, 1), (599, 1), (1, 2), (700, 3)] {
        assert_eq!(rechecked.after(&mut browser, seconds, Lies::default()).await, 200);
        assert_eq!(asked(), times);
    }
    // Many at once: one asks, and the others need not wait for it.
    rechecked.clock.advance(PERIOD);
    let now = loopkey::clock::Clock::timestamp(&*rechecked.clock).0;
    rechecked.stage.provider.lies(&[("iat", json!(now)), ("exp", json!(now + 300))]);
    let address = rechecked.stage.server.address;
    let browser_ref = &browser;
    let calls = (0..8).map(async |_| browser_ref.call("GET", "/v1/session").send(address).await.status);
    assert_eq!(futures::future::join_all(calls).await, [200; 8]);
    assert_eq!(asked(), 4);
    // Another answer than a whole one is as good: no ID token in it.
    let bare = Lies { token_type: "bearer", ..Lies::default() };
    assert_eq!(rechecked.after(&mut browser, 600, bare).await, 200);
    assert_eq!(rechecked.after(&mut browser, 600, Lies::default()).await, 200);
    assert_eq!(asked(), 6);
}

#[tokio::test]
async fn who_may_not_any_more_is_signed_out_and_their_pages_are_told() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.signed_in().await;
    let stream = browser.events().await;
    rechecked.stage.provider.disable();
    assert_eq!(rechecked.after(&mut browser, 599, Lies::default()).await, 200, "nobody was asked yet");
    assert_eq!(rechecked.after(&mut browser, 1, Lies::default()).await, 401);
    assert!(stream.rest().await.contains("event: signed_out"));
    assert_eq!(rechecked.after(&mut browser, 0, Lies::default()).await, 401);
    assert_eq!(rechecked.stage.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_provider_that_fails_or_lies_signs_nobody_out_and_is_asked_again_a_minute_later() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.signed_in().await;
    let claims = |claims: &[(&'static str, Value)]| Lies { claims: claims.to_vec(), ..Lies::default() };
    let mut wait = 600;
    for (name, lies) in [
        ("busy", Lies { answer: Some((429, "{}")), ..Lies::default() }),
        ("broken", Lies { answer: Some((503, "{}")), ..Lies::default() }),
        ("our secret is wrong now", Lies { answer: Some((401, "{\"error\":\"invalid_client\"}")), ..Lies::default() }),
        ("no answer", Lies { answer: Some((200, "[]")), ..Lies::default() }),
        ("another token", Lies { token_type: "DPoP", ..Lies::default() }),
    ] {
        assert_eq!(rechecked.after(&mut browser, wait, lies).await, 200, "{name}");
        // Not at once, by whoever reloads the page.
        assert_eq!(rechecked.after(&mut browser, 59, Lies::default()).await, 200, "{name}");
        wait = 1;
    }
    assert_eq!(rechecked.stage.provider.refreshes(), 1, "the answers of the others were not the provider's own");
    // The token that was refused by us had been given out: the one before it counts no more, and so the session ends.
    assert_eq!(rechecked.after(&mut browser, 1, claims(&[])).await, 401);
}

#[tokio::test]
async fn a_refreshed_token_of_somebody_else_or_of_nobody_is_not_believed() {
    for (name, claims) in [
        ("another person", ("sub", json!("eve"))),
        ("another client", ("aud", json!("somebody"))),
        ("another issuer", ("iss", json!("https://evil.example"))),
        ("another access token", ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("no end", ("exp", Value::Null)),
    ] {
        let rechecked = Rechecked::start().await;
        let mut browser = rechecked.signed_in().await;
        let lies = Lies { claims: vec![claims], ..Lies::default() };
        assert_eq!(rechecked.after(&mut browser, 600, lies).await, 200, "{name}: nobody is signed out by it");
        // What came with it was thrown away: the former token is used again, and counts no more at this provider.
        assert_eq!(rechecked.after(&mut browser, 60, Lies::default()).await, 401, "{name}");
    }
}

#[tokio::test]
async fn without_a_refresh_token_nobody_is_let_in_where_it_is_wanted() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.stage.server.browser();
    let location = rechecked.stage.leave(&mut browser, "corp").await;
    assert!(
        location.contains("scope=openid+profile+offline_access") && location.contains("prompt=consent"),
        "{location}"
    );
    let with = rechecked.stage.provider.authorize(&location);
    rechecked.stage.provider.lie(Lies { ignores_pkce: true, ..Lies::default() });
    let answer = rechecked.stage.come_back(&mut browser, "corp", &with).await;
    assert_failed(&answer, "connector_misconfigured");
}

#[tokio::test]
async fn logging_out_there_too_finds_the_sealed_id_token() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.signed_in().await;
    let back = json!({ "everywhere": false, "return_to": super::PAGE });
    let told = browser.post("/v1/logout", back).await.json();
    let location = told["logout_url"].as_str().expect("an address");
    assert!(location.contains("id_token_hint=ey"), "{location}");
}

/// Whatever a session is used for asks when it is time, and lets nobody on who may not any more.
#[tokio::test]
async fn every_call_of_a_session_asks_when_it_is_time() {
    let body = json!({ "code": "x" });
    let decided = json!({ "order": "QEFCQ0RFRkdISUpLTE1OTw", "decision": "deny", "code": "00" });
    for (method, path, body) in [
        ("GET", "/v1/session", None),
        ("GET", "/v1/session/events", None),
        ("GET", "/v1/sessions", None),
        ("GET", "/v1/devices", None),
        ("GET", "/v1/identities", None),
        ("POST", "/v1/connect/corp/link", Some(json!({ "return_to": super::PAGE }))),
        ("POST", "/v1/approvals/scan", Some(body)),
        ("POST", "/v1/approvals/decide", Some(decided)),
    ] {
        let rechecked = Rechecked::start().await;
        let browser = rechecked.signed_in().await;
        rechecked.stage.provider.disable();
        rechecked.clock.advance(PERIOD);
        let call = body.iter().fold(browser.call(method, path), |call, body| call.json(body));
        call.send(rechecked.stage.server.address).await.expect_error(401, "no_session");
        assert_eq!(rechecked.stage.provider.refreshes(), 1, "{method} {path}");
    }
}

#[tokio::test]
async fn who_logs_out_waits_for_no_provider() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.signed_in().await;
    rechecked.stage.provider.disable();
    rechecked.clock.advance(PERIOD);
    assert_eq!(browser.post("/v1/logout", json!({ "everywhere": false })).await.status, 204);
    assert_eq!(rechecked.stage.provider.refreshes(), 0);
}

/// What it let in would go on where it ends.
#[tokio::test]
async fn a_session_that_its_provider_is_asked_about_lets_no_other_browser_in() {
    let rechecked = Rechecked::start().await;
    let mut browser = rechecked.signed_in().await;
    let scanned = browser.post("/v1/approvals/scan", json!({ "code": "x" })).await;
    scanned.expect_error(403, "stronger_way_needed");
    let decided = |decision: &str| json!({ "order": "QEFCQ0RFRkdISUpLTE1OTw", "decision": decision, "code": "00" });
    let approved = browser.post("/v1/approvals/decide", decided("approve")).await;
    approved.expect_error(403, "stronger_way_needed");
    // To say no is anybody's; this one took no order on.
    browser.post("/v1/approvals/decide", decided("deny")).await.expect_error(401, "invalid_order");
}
