//! Log-out both ways: here and then at the provider, and at the provider and then here.

use serde_json::{Value, json};

use super::provider::CLIENT;
use super::{PAGE, Stage, assert_signed_in, query};
use crate::login::browser::SESSION;
use crate::login::failing::FailingStore;
use crate::login::http::{Answer, Call};
use crate::login::{NOW, config};

type Changes<'a> = &'a [(&'a str, Value)];

/// What a provider posts.
async fn notify(stage: &Stage, token: &str) -> Answer {
    let call = Call::new("POST", "/v1/connect/corp/logout-notice");
    let call = call.header("Content-Type", "application/x-www-form-urlencoded");
    call.body(query(&[("logout_token", token)])).send(stage.server.address).await
}

/// A logout token with some claims changed.
fn token(stage: &Stage, header: Changes<'_>, changes: Changes<'_>) -> String {
    let mut claims = json!({
        "iss": stage.provider.inner.issuer, "aud": CLIENT, "iat": NOW, "exp": NOW + 120,
        "jti": loopkey::protocol::base64url::encode(loopkey::crypto::random::<12>()), "sid": "their session",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    for (name, value) in changes {
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(*name);
        } else {
            claims[*name] = value.clone();
        }
    }
    let header = [&[("typ", json!("logout+jwt"))], header].concat();
    stage.provider.sign(&header, &claims)
}

#[tokio::test]
async fn logging_out_here_says_where_to_log_out_at_the_provider() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
    let evil = json!({ "everywhere": false, "return_to": "https://evil.example/" });
    browser.post("/v1/logout", evil).await.expect_error(400, "bad_request");
    assert!(browser.is_signed_in().await, "nothing was ended");
    let answer = browser.post("/v1/logout", json!({ "everywhere": false, "return_to": PAGE })).await;
    assert_eq!((answer.status, browser.cookies.contains_key(SESSION)), (200, false));
    let url = answer.json()["logout_url"].as_str().expect("an address").to_owned();
    let url = url::Url::parse(&url).expect("an address");
    let asked: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((url.path(), asked["post_logout_redirect_uri"].as_str()), ("/end", PAGE));
    assert_eq!((asked["client_id"].as_str(), asked["id_token_hint"].split('.').count()), (CLIENT, 3));
    // Who does not ask for it is logged out here alone.
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
    assert_eq!(browser.post("/v1/logout", json!({ "everywhere": false })).await.status, 204);
}

#[tokio::test]
async fn a_notice_ends_the_sessions_of_the_providers_session_and_no_others() {
    let stage = Stage::with_ada().await;
    let (mut one, mut two, mut other) = (stage.server.browser(), stage.server.browser(), stage.server.browser());
    assert_signed_in(&stage.sign_in(&mut one, "corp").await);
    assert_signed_in(&stage.sign_in(&mut two, "corp").await);
    stage.provider.lies(&[("sid", json!("another session"))]);
    assert_signed_in(&stage.sign_in(&mut other, "corp").await);
    let mut events = one.events().await;
    let notice = token(&stage, &[], &[("sub", json!("248289761001"))]);
    assert_eq!(notify(&stage, &notice).await.status, 200);
    events.until("event: signed_out").await;
    assert!(!one.is_signed_in().await && !two.is_signed_in().await && other.is_signed_in().await);
    // Again it counts for nothing, whatever was opened since.
    notify(&stage, &notice).await.expect_error(400, "bad_request");
    // Without a session's name: all that the connector opened for the person.
    assert_signed_in(&stage.sign_in(&mut one, "corp").await);
    let by_sub = token(&stage, &[], &[("sid", Value::Null), ("sub", json!("248289761001"))]);
    assert_eq!(notify(&stage, &by_sub).await.status, 200);
    assert!(!one.is_signed_in().await && !other.is_signed_in().await);
    // Nobody's.
    let nobody = token(&stage, &[], &[("sid", Value::Null), ("sub", json!("nobody"))]);
    assert_eq!(notify(&stage, &nobody).await.status, 200);
}

#[tokio::test]
async fn a_notice_in_which_anything_is_wrong_ends_nothing() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let wrong: [(Changes<'_>, Changes<'_>); 15] = [
        (&[("typ", json!("at+jwt"))], &[]),
        (&[("typ", json!("id_token+jwt"))], &[]),
        (&[("alg", json!("none"))], &[]),
        (&[], &[("iss", json!("https://evil.example"))]),
        (&[], &[("aud", json!("another"))]),
        (&[], &[("exp", json!(NOW - 61))]),
        (&[], &[("iat", json!(NOW - 601))]),
        (&[], &[("iat", Value::Null)]),
        (&[], &[("jti", Value::Null)]),
        (&[], &[("jti", json!(""))]),
        (&[], &[("nonce", json!("n"))]),
        (&[], &[("events", Value::Null)]),
        (&[], &[("events", json!({ "another": {} }))]),
        (&[], &[("events", json!({ event: "yes" }))]),
        (&[], &[("sid", Value::Null)]),
    ];
    for (header, claims) in wrong {
        notify(&stage, &token(&stage, header, claims)).await.expect_error(400, "bad_request");
    }
    let sound = token(&stage, &[], &[]);
    let (signed, _) = sound.rsplit_once('.').expect("a signature");
    notify(&stage, &format!("{signed}.{}", "A".repeat(86))).await.expect_error(400, "bad_request");
    notify(&stage, "").await.expect_error(400, "bad_request");
    let twice = query(&[("logout_token", &sound), ("logout_token", &sound)]);
    let call = Call::new("POST", "/v1/connect/corp/logout-notice");
    let form = |call: Call| call.header("Content-Type", "application/x-www-form-urlencoded");
    form(call.clone()).body(twice).send(stage.server.address).await.expect_error(400, "bad_request");
    let page = form(call.header("Origin", "https://app.example.com")).body(query(&[("logout_token", &sound)]));
    page.send(stage.server.address).await.expect_error(403, "forbidden");
    assert!(browser.is_signed_in().await);
    assert_eq!(notify(&stage, &sound).await.status, 200);
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn a_notice_that_the_store_kept_from_its_work_is_given_again_and_ends_all() {
    for broken in ["end_session", "change_note", "note", "keep_note"] {
        let mut failing = None;
        let stage = Stage::start_configured(config(), |store| failing.insert(FailingStore::over(store)).clone()).await;
        let (stage, failing) = (stage.and_ada().await, failing.expect("a store"));
        let mut browsers = [stage.server.browser(), stage.server.browser()];
        for browser in &mut browsers {
            assert_signed_in(&stage.sign_in(browser, "corp").await);
        }
        let notice = token(&stage, &[], &[]);
        failing.fail(broken);
        notify(&stage, &notice).await.expect_error(503, "unavailable");
        failing.recover();
        assert_eq!(notify(&stage, &notice).await.status, 200, "{broken}");
        for browser in &mut browsers {
            assert!(!browser.is_signed_in().await, "{broken}");
        }
    }
}

#[tokio::test]
async fn a_notice_about_more_sessions_than_are_remembered_ends_all_of_the_person() {
    let stage = Stage::with_ada().await;
    let mut browsers: Vec<_> = (0..34).map(|_| stage.server.browser()).collect();
    for browser in &mut browsers {
        assert_signed_in(&stage.sign_in(browser, "corp").await);
    }
    // It names the provider's session alone.
    assert_eq!(notify(&stage, &token(&stage, &[], &[])).await.status, 200);
    for browser in &mut browsers {
        assert!(!browser.is_signed_in().await);
    }
    // From then on it is as any other.
    stage.provider.lies(&[("sid", json!("another session"))]);
    assert_signed_in(&stage.sign_in(&mut browsers[0], "corp").await);
    stage.provider.lies(&[]);
    assert_signed_in(&stage.sign_in(&mut browsers[1], "corp").await);
    assert_eq!(notify(&stage, &token(&stage, &[], &[])).await.status, 200);
    assert!(browsers[0].is_signed_in().await && !browsers[1].is_signed_in().await);
}
