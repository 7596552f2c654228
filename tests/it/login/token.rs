//! `POST /v1/token`: a backend redeems a login token for an access token.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use loopkey::crypto::{PublicKey, Secret};
use loopkey::login::LoginConfig;
use loopkey::protocol::id::Epoch;
use loopkey::protocol::statement::{self, AccessToken};
use loopkey::store::{Actor, StoreUrl};
use serde_json::{Value, json};

use super::browser::{Browser, PRE_LOGIN, SESSION};
use super::device::Device;
use super::http::{Answer, Call};
use super::{ISSUER, NOW, ORIGIN, SERVICE_KEY, Server, clock, config};
use crate::support::trace;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

type Form = Vec<(&'static str, String)>;

/// What the application's backend sends for a browser that fetched this challenge.
fn form(browser: &Browser, challenge: &str, token: &str, subject: &str) -> Form {
    trace::note(token);
    vec![
        ("grant_type", GRANT.to_owned()),
        ("assertion", token.to_owned()),
        ("challenge", challenge.to_owned()),
        ("subject", subject.to_owned()),
        ("origin", browser.origin.clone()),
        ("pre_login", browser.cookies[PRE_LOGIN].clone()),
    ]
}

fn with(mut form: Form, name: &'static str, value: &str) -> Form {
    form.retain(|(other, _)| *other != name);
    form.push((name, value.to_owned()));
    form
}

fn basic(name: &str, secret: &str) -> String {
    let pair = BASE64_STANDARD.encode(format!("{name}:{secret}"));
    trace::note(&pair);
    format!("Basic {pair}")
}

fn call(form: &Form) -> Call {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Call::new("POST", "/v1/token").header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

async fn exchange(server: &Server, form: &Form) -> Answer {
    let answer = call(form).header("Authorization", &basic("wiki", SERVICE_KEY)).send(server.address).await;
    if let Some(token) =
        serde_json::from_str::<Value>(&answer.body).ok().and_then(|v| v["access_token"].as_str().map(str::to_owned))
    {
        trace::note(&token);
    }
    answer
}

#[track_caller]
fn expect_denied(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{answer:?}");
    assert_eq!((answer.header("cache-control"), answer.all("set-cookie").count()), (Some("no-store"), 0));
}

/// A browser with a challenge and a sound token for it.
async fn asked(server: &Server, device: &Device) -> (Browser, String, String) {
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    (browser, challenge, token)
}

#[tokio::test]
async fn a_backend_gets_an_access_token_that_the_published_keys_verify() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut browser, challenge, token) = asked(&server, &device).await;
    let form = form(&browser, &challenge, &token, device.subject.as_str());
    let answer = exchange(&server, &form).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{answer:?}");
    assert_eq!((&answer.json()["token_type"], &answer.json()["expires_in"]), (&json!("Bearer"), &json!(300)));
    let access = answer.json()["access_token"].as_str().expect("a token").to_owned();

    let jwks = Call::new("GET", "/.well-known/jwks.json").send(server.address).await.json();
    let key = &jwks["keys"][0];
    assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
    let set: statement::jwk::JwkSet = serde_json::from_value(jwks.clone()).expect("a set");
    let public = PublicKey::from_jwk(&set.0[0]).expect("a key");
    assert_eq!(key["kid"], public.id().to_string());
    let claims: AccessToken = statement::verify(&access, &public).expect("verified");
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (ISSUER, ORIGIN));
    assert_eq!((&claims.sub, claims.account.as_str(), claims.client_id.as_str()), (&device.subject, "ada", "wiki"));
    assert_eq!((claims.iat.0, claims.exp.0, claims.auth_time.0), (NOW, NOW + 300, NOW));
    assert_eq!(claims.amr, ["pop", "user"]);

    // It is signed with the challenge keys, and nowhere taken for a challenge.
    let login = browser.login(&access, &token, device.subject.as_str()).await;
    login.expect_error(401, "invalid_token");
    // No session was opened, and the token is spent in both places.
    assert!(!browser.cookies.contains_key(SESSION) && !browser.is_signed_in().await);
    expect_denied(&exchange(&server, &form).await, 400, "invalid_grant");
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    let entries = server.store.audit_tail(Some(&"ada".parse().expect("account")), 1).await.expect("store");
    assert_eq!(entries[0].what, "token_exchanged");
    assert!(entries[0].detail.ends_with(" client_id=wiki"), "{entries:?}");
}

#[tokio::test]
async fn a_token_that_signed_in_is_exchanged_no_more() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut browser, challenge, token) = asked(&server, &device).await;
    let form = form(&browser, &challenge, &token, device.subject.as_str());
    assert_eq!(browser.login(&challenge, &token, device.subject.as_str()).await.status, 204);
    expect_denied(&exchange(&server, &form).await, 400, "invalid_grant");
}

#[tokio::test]
async fn every_fault_of_the_token_is_the_same_grant_that_is_none() {
    let server = Server::start().await;
    let (device, other) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let (browser, challenge, token) = asked(&server, &device).await;
    let sound = form(&browser, &challenge, &token, device.subject.as_str());
    let foreign = device.token_with(&challenge, |t| t.org = "https://www.example.com".parse().expect("origin"));
    let (another, _, _) = asked(&server, &device).await;
    let faults = [
        with(sound.clone(), "assertion", &other.token(&challenge)),
        with(sound.clone(), "assertion", "a.b.c"),
        with(sound.clone(), "assertion", &foreign),
        with(sound.clone(), "challenge", &token),
        with(sound.clone(), "subject", other.subject.as_str()),
        with(sound.clone(), "origin", "https://www.example.com"),
        with(sound.clone(), "pre_login", &another.cookies[PRE_LOGIN]),
    ];
    for fault in &faults {
        let answer = exchange(&server, fault).await;
        expect_denied(&answer, 400, "invalid_grant");
        assert_eq!(answer.body, r#"{"error":"invalid_grant"}"#, "{fault:?}");
    }
    assert_eq!(exchange(&server, &sound).await.status, 200, "none of these burnt the challenge");
}

#[tokio::test]
async fn rights_that_are_gone_are_no_grant_and_a_higher_epoch_signs_out() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    let mut signed_in = server.browser();
    device.signs_in(&mut signed_in).await;
    device.epoch = Epoch(device.epoch.0 + 1);
    let (browser, challenge, token) = asked(&server, &device).await;
    assert_eq!(exchange(&server, &form(&browser, &challenge, &token, device.subject.as_str())).await.status, 200);
    assert!(!signed_in.is_signed_in().await, "a token of a later epoch ends what was before");
    let (browser, challenge, token) = asked(&server, &device).await;
    let account = "ada".parse().expect("account");
    assert!(server.store.revoke_device(&account, &device.issuer.0, Actor::Person).await.expect("store"));
    let answer = exchange(&server, &form(&browser, &challenge, &token, device.subject.as_str())).await;
    expect_denied(&answer, 400, "invalid_grant");
}

#[tokio::test]
async fn another_life_of_the_store_is_said_in_the_description() {
    let (folder, clock) = (tempfile::tempdir().expect("folder"), clock());
    let url = StoreUrl::Embedded(folder.path().join("store"));
    let open = async || loopkey::store::open(&url, clock.clone()).await.expect("store");
    let server = Server::start_with(open().await, clock.clone()).await;
    let device = Device::enrol(&server, "ada").await;
    let (browser, challenge, token) = asked(&server, &device).await;
    server.stop().await;
    let server = Server::start_with(open().await, clock.clone()).await;
    let answer = exchange(&server, &form(&browser, &challenge, &token, device.subject.as_str())).await;
    expect_denied(&answer, 400, "invalid_grant");
    assert!(answer.json()["error_description"].as_str().is_some_and(|said| said.starts_with("stale_challenge")));
}

#[tokio::test]
async fn only_the_backend_may_ask_and_it_may_show_its_key_in_two_ways() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let encoded = SERVICE_KEY.replace(' ', "+");
    let bearer = format!("Bearer {SERVICE_KEY}");
    for (authorization, posted, client) in [
        (basic("wiki", &encoded), None, "wiki"),
        (basic("my%20wiki", SERVICE_KEY), Some("my wiki"), "my wiki"),
        (bearer.clone(), None, "backend"),
        (bearer.clone(), Some("wiki"), "wiki"),
    ] {
        let (browser, challenge, token) = asked(&server, &device).await;
        let form = form(&browser, &challenge, &token, device.subject.as_str());
        let form = posted.map_or(form.clone(), |id| with(form, "client_id", id));
        let answer = call(&form).header("Authorization", &authorization).send(server.address).await;
        let claims =
            answer.json()["access_token"].as_str().expect("a token").split('.').nth(1).expect("claims").to_owned();
        let claims: Value =
            serde_json::from_slice(&loopkey::protocol::base64url::decode(&claims).expect("base64url")).expect("JSON");
        assert_eq!(claims["client_id"], client);
    }
    let (browser, challenge, token) = asked(&server, &device).await;
    let sound = form(&browser, &challenge, &token, device.subject.as_str());
    for wrong in ["", "Basic", "Bearer wrong", &basic("wiki", "wrong"), &basic("wiki", ""), &basic(SERVICE_KEY, "wiki")]
    {
        let answer = call(&sound).header("Authorization", wrong).send(server.address).await;
        expect_denied(&answer, 401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"loopkey\""));
    }
    expect_denied(&call(&sound).send(server.address).await, 401, "invalid_client");
    let twice = call(&sound).header("Authorization", &bearer).header("Authorization", &bearer);
    expect_denied(&twice.send(server.address).await, 401, "invalid_client");
    for origin in [ORIGIN, "null"] {
        let page = call(&sound).header("Authorization", &bearer).header("Origin", origin);
        page.send(server.address).await.expect_error(403, "forbidden");
    }
    assert_eq!(exchange(&server, &sound).await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_none_says_what_is_wrong_with_it() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (browser, challenge, token) = asked(&server, &device).await;
    let sound = form(&browser, &challenge, &token, device.subject.as_str());
    for name in ["grant_type", "assertion", "challenge", "subject", "origin", "pre_login"] {
        for spoiled in [with(sound.clone(), name, ""), [sound.clone(), vec![(name, "x".to_owned())]].concat()] {
            expect_denied(&exchange(&server, &spoiled).await, 400, "invalid_request");
        }
        let missing = exchange(&server, &with(sound.clone(), name, "")).await;
        assert!(missing.json()["error_description"].as_str().is_some_and(|said| said.starts_with(name)), "{missing:?}");
    }
    for (name, value) in [("origin", "https://evil.example.com"), ("pre_login", "short"), ("client_id", "other")] {
        expect_denied(&exchange(&server, &with(sound.clone(), name, value)).await, 400, "invalid_request");
    }
    for other in ["authorization_code", "JWT-bearer", "client_credentials"] {
        expect_denied(
            &exchange(&server, &with(sound.clone(), "grant_type", other)).await,
            400,
            "unsupported_grant_type",
        );
    }
    let key = format!("Bearer {SERVICE_KEY}");
    let json = Call::new("POST", "/v1/token").header("Authorization", &key).json(&json!({}));
    json.send(server.address).await.expect_error(415, "unsupported_media_type");
    let long = with(sound.clone(), "scope", &"x".repeat(8 * 1024));
    call(&long).header("Authorization", &key).send(server.address).await.expect_error(413, "too_large");
    // What nobody asked for is passed over.
    assert_eq!(exchange(&server, &with(sound, "scope", "openid")).await.status, 200);
}

#[tokio::test]
async fn oauth_clients_find_the_endpoint_by_themselves() {
    let server = Server::start().await;
    let appended = Call::new("GET", "/.well-known/oauth-authorization-server").send(server.address).await;
    let inserted = Call::at("GET", "/.well-known/oauth-authorization-server/loopkey").send(server.address).await;
    assert_eq!((appended.status, &appended.body), (200, &inserted.body));
    let expected = json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "token_endpoint": format!("{ISSUER}/v1/token"),
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    });
    assert_eq!(appended.json(), expected);
}

/// Whoever may redeem need not be able to enrol a device for anybody, too.
#[tokio::test]
async fn the_token_key_redeems_and_does_nothing_else() {
    const TOKEN_KEY: &str = "a key for the token endpoint";
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let config = LoginConfig { token_key: Some(Secret::new(TOKEN_KEY.to_owned())), ..config() };
    assert_eq!(server.login.reload(config).await, Ok(Vec::new()));
    let (browser, challenge, token) = asked(&server, &device).await;
    let form = form(&browser, &challenge, &token, device.subject.as_str());
    let with_key =
        async |key: &str| call(&form).header("Authorization", &basic("wiki", key)).send(server.address).await;
    expect_denied(&with_key(SERVICE_KEY).await, 401, "invalid_client");
    let granted = with_key(TOKEN_KEY).await;
    assert_eq!(granted.status, 200, "{granted:?}");
    trace::note_members(&granted.json());
    for path in ["/v1/accounts", "/v1/audit"] {
        let asked = Call::new("GET", path).header("Authorization", &format!("Bearer {TOKEN_KEY}"));
        asked.send(server.address).await.expect_error(401, "unauthorized");
    }
}
