//! `POST /v1/challenge`.

use loopkey::crypto::PublicKey;
use loopkey::protocol::base64url;
use loopkey::protocol::statement::jwk::JwkSet;
use loopkey::protocol::statement::{self, Challenge};
use loopkey::protocol::time::Timestamp;
use serde_json::json;

use super::browser::PRE_LOGIN;
use super::device::issuer;
use super::{NOW, ORIGIN, Server};

#[tokio::test]
async fn a_challenge_is_signed_by_a_published_key_and_says_whose_it_is() {
    let server = Server::start().await;
    let mut browser = server.browser();
    let answer = browser.post("/v1/challenge", json!({})).await;
    assert_eq!(answer.json()["ports"], json!([28970, 28971]));
    let compact = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
    let keys: JwkSet = serde_json::from_value(browser.get("/.well-known/jwks.json").await.json()).expect("keys");
    assert_eq!(keys.0.len(), 1);
    let key = PublicKey::from_jwk(&keys.0[0]).expect("a sound key");
    let challenge: Challenge = statement::verify(&compact, &key).expect("our signature");
    assert_eq!((challenge.iss.clone(), challenge.rdm), (issuer(), issuer().login_url()));
    assert_eq!(challenge.org.as_str(), ORIGIN);
    assert_eq!((challenge.iat, challenge.exp), (Timestamp(NOW), Timestamp(NOW + 120)));
    assert_eq!(challenge.inc, server.store.incarnation().await.expect("store"));
    let secret = base64url::decode_array(&browser.cookies[PRE_LOGIN]).expect("32 bytes");
    assert_eq!(challenge.sid, statement::sid(&secret));
}

#[tokio::test]
async fn the_cookie_is_set_where_there_is_none_and_kept_where_there_is_one() {
    let server = Server::start().await;
    let mut browser = server.browser();
    let first = browser.challenge().await;
    let cookie = browser.cookies[PRE_LOGIN].clone();
    let again = browser.post("/v1/challenge", json!({})).await;
    assert_eq!(again.all("set-cookie").count(), 0);
    assert_ne!(again.json()["challenge"], first.as_str());
    assert_eq!(browser.cookies[PRE_LOGIN], cookie);
    let other = server.browser();
    for planted in ["x", "", &format!("{cookie}; {PRE_LOGIN}={cookie}")] {
        let call = other.call("POST", "/v1/challenge").header("Cookie", &format!("{PRE_LOGIN}={planted}"));
        let answer = call.json(&json!({})).send(server.address).await;
        assert_eq!(answer.all("set-cookie").count(), 1, "{planted:?} counts as none");
    }
}

#[tokio::test]
async fn the_origin_is_the_requests_own() {
    let server = Server::start().await;
    let mut browser = server.browser();
    browser.origin = "https://www.example.com".into();
    let challenge = browser.challenge().await;
    assert_eq!(super::device::read(&challenge).org.as_str(), "https://www.example.com");
}
