//! A sign-in from the click to the session, and who is let in.

use std::sync::atomic::Ordering;

use loopkey::login::{LoginConfig, RateLimits};
use serde_json::{Value, json};

use super::provider::Lies;
use super::{PAGE, Stage, assert_failed, assert_lost, assert_signed_in, query};
use crate::login::browser::{PRE_LOGIN, SESSION};
use crate::login::http::Call;
use crate::login::{ISSUER, NOW, config};

#[tokio::test]
async fn c07_c09_f11_a_person_signs_in_at_the_provider_and_is_back_where_she_began() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    let location = stage.leave(&mut browser, "corp").await;
    assert!(browser.cookies.contains_key(PRE_LOGIN));
    let url = url::Url::parse(&location).expect("an address");
    let asked: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["redirect_uri"], format!("{ISSUER}/v1/connect/corp/callback"));
    assert_eq!(asked["scope"], "openid profile email");
    assert_eq!((asked["state"].len(), asked["nonce"].len(), asked["code_challenge"].len()), (43, 43, 43));
    let with = stage.provider.authorize(&location);
    assert_signed_in(&stage.come_back(&mut browser, "corp", &with).await);
    assert!(browser.cookies.contains_key(SESSION) && !browser.cookies.contains_key(PRE_LOGIN));
    let session = browser.get("/v1/session").await.json();
    assert_eq!((&session["account"], &session["method"]), (&json!("ada"), &json!("connector:corp")));
    assert_eq!((&session["device"], &session["signed_in_at"]), (&Value::Null, &json!(NOW)));
}

#[tokio::test]
async fn c08_the_provider_is_asked_once_a_sign_in_and_a_counter_shows_it() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
    for _ in 0..5 {
        assert_eq!(browser.get("/v1/session").await.status, 200);
    }
    assert_eq!(stage.provider.inner.exchanges.load(Ordering::SeqCst), 1);
    let metrics = Call::new("GET", "/metrics").send(stage.server.address).await.body;
    let counted = "loopkey_connector_calls_total{connector=\"corp\",call=\"finish\",outcome=\"ok\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    // Signing in again rotates the session: the former one is over.
    let former = browser.clone();
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
    assert!(former.clone().get("/v1/session").await.status == 401 && browser.is_signed_in().await);
}

#[tokio::test]
async fn whom_nobody_knows_is_let_in_only_where_accounts_are_made() {
    let stage = Stage::start().await;
    let mut browser = stage.server.browser();
    assert_failed(&stage.sign_in(&mut browser, "corp").await, "not_linked");
    assert!(!browser.is_signed_in().await);
    assert_signed_in(&stage.sign_in(&mut browser, "open").await);
    let session = browser.get("/v1/session").await.json();
    let account = session["account"].as_str().expect("an account").to_owned();
    assert!(account.starts_with("open:") && account.len() == 27, "{account}");
    assert_eq!(session["name"], "Ada of the provider");
    // The same person is the same account, from another browser too.
    let mut other = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut other, "open").await);
    assert_eq!(other.get("/v1/session").await.json()["account"], account.as_str());
    let known = stage.service("GET", &format!("/v1/accounts/{account}/identities"), None).await.json();
    let known = &known["identities"][0];
    assert_eq!(known["external_id"], "248289761001");
    assert_eq!(known["tenant"], stage.provider.inner.issuer.as_str());
    let details = json!({ "email": "ada@example.com", "name": "Ada of the provider", "username": "ada" });
    assert_eq!(known["details"], details);
    // Somebody else is another account.
    stage.provider.lies(&[("sub", json!("another person"))]);
    let mut third = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut third, "open").await);
    assert_ne!(third.get("/v1/session").await.json()["account"], account.as_str());
}

#[tokio::test]
async fn an_address_that_the_provider_does_not_vouch_for_is_not_kept() {
    let stage = Stage::start().await;
    stage.provider.lies(&[("email_verified", json!(false)), ("name", Value::Null)]);
    let mut browser = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut browser, "open").await);
    let session = browser.get("/v1/session").await.json();
    assert_eq!(session["name"], "ada");
    let path = format!("/v1/accounts/{}/identities", session["account"].as_str().expect("an account"));
    assert_eq!(stage.service("GET", &path, None).await.json()["identities"][0]["details"].get("email"), None);
}

#[tokio::test]
async fn the_userinfo_is_asked_where_it_is_wanted_and_must_be_of_the_same_person() {
    let stage = Stage::start().await;
    let mut browser = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut browser, "asked").await);
    assert_eq!(browser.get("/v1/session").await.json()["name"], "Ada of the userinfo");
    stage.provider.lie(Lies { userinfo: json!({ "sub": "somebody else", "name": "Eve" }), ..Lies::default() });
    assert_failed(&stage.sign_in(&mut stage.server.browser(), "asked").await, "provider_misbehaved");
}

#[tokio::test]
async fn a35_a_foreign_page_sends_nobody_to_a_provider() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    let path = format!("/v1/connect/corp?{}", query(&[("return_to", PAGE)]));
    let refused = stage.navigate(&mut browser, &path, "cross-site").await;
    assert_eq!(refused.status, 403);
    assert_lost(&refused, "forbidden");
    assert!(browser.cookies.is_empty());
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(stage.navigate(&mut browser, &path, site).await.status, 303, "{site}");
    }
}

/// A person sees what a navigation is answered with: a page, which says what can be done, and no JSON.
#[tokio::test]
async fn what_a_navigation_is_refused_with_is_a_page_that_says_why() {
    let limits = RateLimits { address_per_minute: 1, ..RateLimits::default() };
    let stage = Stage::start_configured(LoginConfig { limits, ..config() }, |store| store).await;
    let mut browser = stage.server.browser();
    let wrong = ["This link is not right.", "此链接不正确。"];
    let expired = ["It was begun in another window, or took too long.", "登录是在其他窗口开始的，或已超时。"];
    let busy = ["There is a lot to do just now. Try again in a minute.", "服务正忙，请一分钟后重试。"];
    let begin = format!("/v1/connect/corp?{}", query(&[("return_to", PAGE)]));
    for (path, site, status, code, sentences) in [
        (begin.as_str(), "cross-site", 403, "forbidden", wrong),
        ("/v1/connect/nobody?return_to=x", "none", 404, "not_found", wrong),
        (begin.as_str(), "none", 429, "too_many_requests", busy),
        ("/v1/connect/nobody/callback", "none", 404, "not_found", wrong),
        ("/v1/connect/%FF/callback", "none", 404, "not_found", wrong),
        ("/v1/connect/corp/callback", "none", 400, "sign_in_expired", expired),
    ] {
        let answer = stage.navigate(&mut browser, path, site).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert_lost(&answer, code);
        for sentence in wrong.iter().chain(&expired).chain(&busy) {
            assert_eq!(answer.body.contains(sentence), sentences.contains(sentence), "{path}: {sentence}");
        }
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("5"), "{path}");
    }
}

#[tokio::test]
async fn a37_no_weaker_way_in_than_the_account_asks_for() {
    let stage = Stage::with_ada().await;
    let minimum = |uv: &str| stage.service("PATCH", "/v1/accounts/ada", Some(json!({ "minimum_uv": uv })));
    assert_eq!(minimum("os").await.status, 200);
    let mut browser = stage.server.browser();
    assert_failed(&stage.sign_in(&mut browser, "corp").await, "stronger_way_needed");
    assert!(!browser.is_signed_in().await);
    assert_eq!(minimum("prompt").await.status, 200);
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
    // A disabled account has no way in at all.
    let disabled = stage.service("PATCH", "/v1/accounts/ada", Some(json!({ "disabled": true }))).await;
    assert_eq!(disabled.status, 200);
    assert_failed(&stage.sign_in(&mut stage.server.browser(), "corp").await, "access_refused");
}

#[tokio::test]
async fn d05_d08_the_public_list_has_no_secret_and_finds_a_connector_by_its_tenant() {
    let stage = Stage::start().await;
    let answer = stage.server.browser().get("/v1/connectors").await;
    let listed = answer.json();
    let issuer = stage.provider.inner.issuer.as_str();
    let expected = json!({
        "name": "corp", "kind": "oidc", "label": "The corp account", "tenant": issuer,
        "claims": ["name", "avatar", "email"], "front_end": {}, "in_app": false, "page": true, "framed": false,
    });
    assert_eq!((listed["connectors"].as_array().map(Vec::len), &listed["connectors"][0]), (Some(3), &expected));
    assert!(!answer.body.contains("a secret") && !answer.body.contains("loopkey test"));
    let by = |tenant: &str| Call::new("GET", &format!("/v1/connectors?{}", query(&[("tenant", tenant)])));
    let found = by(issuer).send(stage.server.address).await.json();
    assert_eq!(found["connectors"].as_array().map(Vec::len), Some(3));
    by("https://other.example.com").send(stage.server.address).await.expect_error(404, "not_found");
    Call::new("GET", "/v1/connectors?secret=1").send(stage.server.address).await.expect_error(400, "bad_request");
}

#[tokio::test]
async fn a_reload_takes_connectors_over() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    let location = stage.leave(&mut browser, "corp").await;
    let none = LoginConfig { connectors: Vec::new(), ..config() };
    assert_eq!(stage.server.login.reload(none).await, Ok(Vec::new()));
    assert_eq!(browser.get("/v1/connectors").await.json(), json!({ "connectors": [] }));
    let with = stage.provider.authorize(&location);
    assert_lost(&stage.come_back(&mut browser, "corp", &with).await, "not_found");
    let connectors = super::connectors(&stage.server.clock, &stage.provider.inner.issuer);
    let twice = connectors.iter().chain(&connectors[..1]).cloned().collect();
    let faults = stage.server.login.reload(LoginConfig { connectors: twice, ..config() }).await.expect_err("a fault");
    assert!(faults[0].to_string().contains("connector corp"), "{faults:?}");
    assert_eq!(stage.server.login.reload(LoginConfig { connectors, ..config() }).await, Ok(Vec::new()));
    assert_signed_in(&stage.sign_in(&mut browser, "corp").await);
}

#[tokio::test]
async fn a_page_whose_origin_was_taken_off_the_list_meanwhile_gets_nobody() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    let path = format!("/v1/connect/corp?{}", query(&[("return_to", "https://www.example.com/")]));
    let answer = stage.navigate(&mut browser, &path, "same-site").await;
    let with = stage.provider.authorize(answer.header("location").expect("a location"));
    let connectors = super::connectors(&stage.server.clock, &stage.provider.inner.issuer);
    let fewer = LoginConfig { origins: vec![crate::login::ORIGIN.parse().expect("an origin")], connectors, ..config() };
    assert_eq!(stage.server.login.reload(fewer).await, Ok(Vec::new()));
    super::assert_lost(&stage.come_back(&mut browser, "corp", &with).await, "sign_in_expired");
    assert!(!browser.is_signed_in().await);
}
