//! Answers that are not what they should be, from browsers and from providers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::provider::{CLIENT, Lies, Signing};
use super::{PAGE, Stage, assert_failed, assert_lost, assert_signed_in, query};
use crate::login::NOW;

#[tokio::test]
async fn i147_a_state_counts_once_in_the_browser_that_began() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    let with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
    let changed = |name: &str, value: &str| -> Vec<(String, String)> {
        let pairs = with.iter().cloned();
        pairs.map(|(n, v)| if n == name { (n, value.to_owned()) } else { (n, v) }).collect()
    };
    let without: Vec<_> = with.iter().filter(|(name, _)| name != "state").cloned().collect();
    for answer in [
        without,
        changed("state", ""),
        changed("state", "guessed"),
        changed("state", &"A".repeat(43)),
        with.iter().chain(&with).cloned().collect(),
    ] {
        assert_lost(&stage.come_back(&mut browser, "corp", &answer).await, "sign_in_expired");
    }
    // Another browser, whose own sign-in is under way; and one that has no cookie. The state is spent by it.
    let mut other = stage.server.browser();
    stage.leave(&mut other, "corp").await;
    assert_lost(&stage.come_back(&mut other, "corp", &with).await, "sign_in_expired");
    assert!(!other.is_signed_in().await);
    assert_lost(&stage.come_back(&mut browser, "corp", &with).await, "sign_in_expired");
    let with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
    assert_lost(&stage.come_back(&mut stage.server.browser(), "corp", &with).await, "sign_in_expired");
    // Of another connector.
    let with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
    assert_lost(&stage.come_back(&mut browser, "open", &with).await, "sign_in_expired");
    // Ten minutes, and once.
    let with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
    stage.server.clock.advance(Duration::from_secs(601));
    assert_lost(&stage.come_back(&mut browser, "corp", &with).await, "sign_in_expired");
    stage.server.clock.advance(Duration::from_secs(0));
    assert_eq!(stage.provider.inner.exchanges.load(Ordering::SeqCst), 0, "no code was ever sent");
    stage.provider.lies(&[("iat", json!(NOW + 601)), ("exp", json!(NOW + 900))]);
    let with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
    assert_signed_in(&stage.come_back(&mut browser, "corp", &with).await);
    assert_lost(&stage.come_back(&mut browser, "corp", &with).await, "sign_in_expired");
    assert!(browser.is_signed_in().await, "what failed ended nothing");
}

#[tokio::test]
async fn i148_a_code_counts_once_and_an_expired_one_never() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    let used = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
    assert_signed_in(&stage.come_back(&mut browser, "corp", &used).await);
    let mut other = stage.server.browser();
    let mut with = stage.provider.authorize(&stage.leave(&mut other, "corp").await);
    with[0] = used[0].clone();
    assert_failed(&stage.come_back(&mut other, "corp", &with).await, "code_expired");
    stage.provider.lie(Lies { answer: Some((400, r#"{"error":"invalid_grant"}"#)), ..Lies::default() });
    assert_failed(&stage.sign_in(&mut other, "corp").await, "code_expired");
    // An answer without any code.
    stage.provider.lie(Lies::default());
    let with = stage.provider.authorize(&stage.leave(&mut other, "corp").await);
    assert_failed(&stage.come_back(&mut other, "corp", &with[1..]).await, "provider_misbehaved");
    assert!(!other.is_signed_in().await);
}

#[tokio::test]
async fn a35_i149_a_code_of_another_sign_in_is_refused_by_its_verifier_and_by_its_nonce() {
    let stage = Stage::with_ada().await;
    for (ignores_pkce, code) in [(false, "code_expired"), (true, "provider_misbehaved")] {
        stage.provider.lie(Lies { ignores_pkce, ..Lies::default() });
        let (mut browser, mut attacker) = (stage.server.browser(), stage.server.browser());
        let stolen = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
        let mut with = stage.provider.authorize(&stage.leave(&mut attacker, "corp").await);
        with[0] = stolen[0].clone();
        assert_failed(&stage.come_back(&mut attacker, "corp", &with).await, code);
        assert!(!attacker.is_signed_in().await);
    }
}

#[tokio::test]
async fn i150_nobody_is_sent_to_an_address_that_only_looks_like_ours() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    for address in [
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://app.example.com:444/",
        "https://evil.example/?https://app.example.com/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://app.example.com/#loopkey_error=x",
        "",
    ] {
        let path = format!("/v1/connect/corp?{}", query(&[("return_to", address)]));
        assert_lost(&stage.navigate(&mut browser, &path, "none").await, "bad_request");
    }
    for bad in ["", "?return_to", "?x=1", "?return_to=https://app.example.com/&return_to=https://app.example.com/"] {
        assert_lost(&stage.navigate(&mut browser, &format!("/v1/connect/corp{bad}"), "none").await, "bad_request");
    }
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn i151_an_answer_of_another_issuer_is_refused_wherever_it_says_so() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    for iss in [Some("https://evil.example"), Some(""), None] {
        let mut with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
        with.pop();
        with.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
        assert_failed(&stage.come_back(&mut browser, "corp", &with).await, "provider_misbehaved");
    }
    assert_eq!(stage.provider.inner.exchanges.load(Ordering::SeqCst), 0, "its code was sent nowhere");
    stage.provider.lies(&[("iss", json!("https://evil.example"))]);
    assert_failed(&stage.sign_in(&mut browser, "corp").await, "provider_misbehaved");
    // A configuration that another issuer wrote.
    let other = Stage::with_ada().await;
    *other.provider.inner.configuration.lock().expect("unpoisoned") = vec![("issuer", json!("https://evil.example"))];
    let path = format!("/v1/connect/corp?{}", query(&[("return_to", PAGE)]));
    let answer = other.navigate(&mut other.server.browser(), &path, "none").await;
    assert_failed(&answer, "connector_misconfigured");
}

#[tokio::test]
async fn i152_a_providers_words_reach_no_page() {
    let stage = Stage::with_ada().await;
    let mut browser = stage.server.browser();
    for (error, code) in [
        ("access_denied", "access_refused"),
        ("login_required", "access_refused"),
        ("server_error", "provider_unavailable"),
        ("invalid_scope", "connector_misconfigured"),
        ("<script>alert(1)</script>", "provider_misbehaved"),
    ] {
        let with = stage.provider.authorize(&stage.leave(&mut browser, "corp").await);
        let markup = "</p><script src=//evil.example></script>\r\nset-cookie: x=1";
        let answer = [("error", error), ("error_description", markup), ("state", &with[1].1), ("iss", &with[2].1)];
        assert_failed(&stage.come_back(&mut browser, "corp", &answer).await, code);
        let lost = stage.come_back(&mut browser, "corp", &[("error", error), ("error_description", markup)]).await;
        assert_lost(&lost, "sign_in_expired");
        assert!(!lost.body.contains("evil") && !lost.body.contains(error), "{lost:?}");
    }
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_refused() {
    let stage = Stage::with_ada().await;
    let lie = |claims: &[(&'static str, Value)]| Lies { claims: claims.to_vec(), ..Lies::default() };
    let signed = |signing| Lies { signing, ..Lies::default() };
    let head = |name, value: Value| Lies { header: vec![(name, value)], ..Lies::default() };
    for (what, lies) in [
        ("alg none", signed(Signing::None)),
        ("HS256 with the public key", signed(Signing::Hs256)),
        ("another key", signed(Signing::OtherKey)),
        ("alg none in words", head("alg", json!("NONE"))),
        ("another alg than the key's", head("alg", json!("RS256"))),
        ("crit", head("crit", json!(["exp"]))),
        ("an access token", head("typ", json!("at+jwt"))),
        ("a logout token", head("typ", json!("logout+jwt"))),
        ("nonce of another", lie(&[("nonce", json!("another"))])),
        ("no nonce", lie(&[("nonce", Value::Null)])),
        ("aud of another", lie(&[("aud", json!("another client"))])),
        ("aud of two without azp", lie(&[("aud", json!([CLIENT, "another"]))])),
        ("aud of two with another's azp", lie(&[("aud", json!([CLIENT, "another"])), ("azp", json!("another"))])),
        ("another's azp", lie(&[("azp", json!("another"))])),
        ("expired", lie(&[("exp", json!(NOW - 61))])),
        ("no exp", lie(&[("exp", Value::Null)])),
        ("of long ago", lie(&[("iat", json!(NOW - 601))])),
        ("of the future", lie(&[("iat", json!(NOW + 61))])),
        ("at_hash of another token", lie(&[("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))])),
        ("no sub", lie(&[("sub", Value::Null)])),
        ("an empty sub", lie(&[("sub", json!(""))])),
        ("a sub that is too long", lie(&[("sub", json!("x".repeat(256)))])),
        ("an access token of another type", Lies { token_type: "mac", ..Lies::default() }),
        ("an invisible sub", lie(&[("sub", json!("a\u{0}b"))])),
    ] {
        stage.provider.lie(lies);
        let mut browser = stage.server.browser();
        let answer = stage.sign_in(&mut browser, "corp").await;
        let expected = format!("{PAGE}#loopkey_error=provider_misbehaved");
        assert_eq!(answer.header("location"), Some(expected.as_str()), "{what}");
        assert!(!browser.is_signed_in().await, "{what}");
    }
    for sound in [
        lie(&[("aud", json!([CLIENT]))]),
        lie(&[("aud", json!([CLIENT, "another"])), ("azp", json!(CLIENT))]),
        lie(&[("iat", json!(NOW as f64 - 0.5)), ("at_hash", Value::Null), ("sid", Value::Null)]),
        head("typ", json!("JWT")),
    ] {
        stage.provider.lie(sound);
        assert_signed_in(&stage.sign_in(&mut stage.server.browser(), "corp").await);
    }
}

#[tokio::test]
async fn d13_a_provider_that_is_busy_broken_or_has_other_plans_is_one_code_each() {
    let stage = Stage::with_ada().await;
    for (status, body, code) in [
        (429, "", "provider_unavailable"),
        (500, "", "provider_unavailable"),
        (503, "<html>", "provider_unavailable"),
        (400, r#"{"error":"temporarily_unavailable"}"#, "provider_unavailable"),
        (401, r#"{"error":"invalid_client"}"#, "connector_misconfigured"),
        (400, r#"{"error":"unauthorized_client"}"#, "connector_misconfigured"),
        (200, "{\"access_token\":", "provider_misbehaved"),
        (200, "<html>", "provider_misbehaved"),
        (200, r#"{"access_token":"a","token_type":"Bearer"}"#, "provider_misbehaved"),
        (200, r#"{"access_token":"a","token_type":"mac","id_token":"a.b.c"}"#, "provider_misbehaved"),
        (200, r#"{"access_token":"a","token_type":"Bearer","id_token":"a.b"}"#, "provider_misbehaved"),
        (302, "", "provider_misbehaved"),
        (404, "", "provider_misbehaved"),
    ] {
        stage.provider.lie(Lies { answer: Some((status, body)), ..Lies::default() });
        assert_failed(&stage.sign_in(&mut stage.server.browser(), "corp").await, code);
    }
    stage.provider.lie(Lies { silent: true, ..Lies::default() });
    assert_failed(&stage.sign_in(&mut stage.server.browser(), "corp").await, "provider_unavailable");
}

#[tokio::test]
async fn keys_are_fetched_anew_when_they_rotate_but_not_for_made_up_names() {
    let stage = Stage::with_ada().await;
    let fetches = || stage.provider.inner.key_fetches.load(Ordering::SeqCst);
    assert_signed_in(&stage.sign_in(&mut stage.server.browser(), "corp").await);
    assert_eq!(fetches(), 1);
    stage.provider.lie(Lies { header: vec![("kid", json!("made up"))], ..Lies::default() });
    for _ in 0..3 {
        assert_failed(&stage.sign_in(&mut stage.server.browser(), "corp").await, "provider_misbehaved");
    }
    assert_eq!(fetches(), 2, "once, since the keys may have changed; and within a minute not again");
    stage.server.clock.advance(Duration::from_secs(60));
    *stage.provider.inner.kid.lock().expect("unpoisoned") = "second".to_owned();
    stage.provider.lie(Lies::default());
    assert_signed_in(&stage.sign_in(&mut stage.server.browser(), "corp").await);
    assert_signed_in(&stage.sign_in(&mut stage.server.browser(), "corp").await);
    assert_eq!(fetches(), 3);
}
