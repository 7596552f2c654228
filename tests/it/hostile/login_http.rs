//! `POST /v1/login` as no page of ours would call it (inputs 135 to 143): fixed answers, and the honest login still works
//! afterwards.

use std::io::Write as _;

use serde_json::{Value, json};

use super::forge::{Case, Object};
use crate::login::browser::{PRE_LOGIN, SESSION};
use crate::login::device::Device;
use crate::login::http::{Answer, Call};
use crate::login::logs::Everything;
use crate::login::{ISSUER, ORIGIN, Server};

/// A call without the headers that a browser adds.
pub(super) fn bare(method: &str, path: &str) -> Call {
    Call::new(method, path)
}

impl Case {
    /// The body of the honest login.
    fn body(&self) -> Value {
        let token = self.device.token(&self.challenge);
        json!({"challenge": self.challenge, "token": token, "subject": self.device.subject.as_str()})
    }

    /// The honest browser's call, without a body so far.
    fn post(&self) -> Call {
        self.browser.call("POST", "/v1/login")
    }

    async fn send(&self, call: Call) -> Answer {
        let answer = call.send(self.server.address).await;
        assert_eq!(answer.all("set-cookie").count(), 0, "no cookie changes: {answer:?}");
        answer
    }
}

#[tokio::test]
async fn i135_login_by_get() {
    let case = Case::new().await;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "post", "Post"] {
        let answer = case.send(case.browser.call(method, "/v1/login").json(&case.body())).await;
        if method == "HEAD" {
            assert_eq!((answer.status, answer.body.as_str()), (405, ""));
            continue;
        }
        answer.expect_error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    case.still_redeems().await;
}

#[tokio::test]
async fn i136_a_form_or_plain_text() {
    let case = Case::new().await;
    let body = case.body().to_string();
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; charset=utf-8; application/json",
        "text/json",
        "application/jsonp",
        "application/json-patch+json",
        "application/json, text/plain",
        "",
    ] {
        let answer = case.send(case.post().header("Content-Type", kind).body(body.as_str())).await;
        answer.expect_error(415, "unsupported_media_type");
    }
    case.send(case.post().body(body.as_str())).await.expect_error(415, "unsupported_media_type");
    let two = case.post().header("Content-Type", "application/json").header("Content-Type", "application/json");
    case.send(two.body(body.as_str())).await.expect_error(415, "unsupported_media_type");
    case.still_redeems().await;
}

#[tokio::test]
async fn i137_a_cross_site_origin_or_fetch_site() {
    let case = Case::new().await;
    let cookie = format!("{PRE_LOGIN}={}", case.browser.cookies[PRE_LOGIN]);
    let call = || bare("POST", "/v1/login").header("Cookie", &cookie).json(&case.body());
    for origin in [
        "https://evil.example.com",
        "https://app.example.com.evil.example",
        "https://app.example.com:8443",
        "http://app.example.com",
        "https://app.example.com/",
        "https://APP.example.com",
        "https://app.example.com, https://evil.example.com",
        "null",
        "",
    ] {
        let answer = case.send(call().header("Origin", origin).header("Sec-Fetch-Site", "same-origin")).await;
        answer.expect_error(403, "forbidden");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    let two = call().header("Origin", ORIGIN).header("Origin", ORIGIN);
    case.send(two).await.expect_error(403, "forbidden");
    case.send(call()).await.expect_error(403, "forbidden");
    case.send(call().header("Origin", ORIGIN).header("Sec-Fetch-Site", "cross-site"))
        .await
        .expect_error(403, "forbidden");
    let both = call().header("Sec-Fetch-Site", "same-origin").header("Sec-Fetch-Site", "cross-site");
    case.send(both.header("Origin", ORIGIN)).await.expect_error(403, "forbidden");
    case.still_redeems().await;
}

#[tokio::test]
async fn i138_a_body_of_five_mebibytes() {
    let case = Case::new().await;
    let large = case.body().to_string() + &" ".repeat(5 * 1024 * 1024);
    let announced = case.post().header("Content-Type", "application/json").body(large.as_str());
    let answer = case.send(announced).await;
    answer.expect_error(413, "too_large");
    assert_eq!(answer.header("connection"), Some("close"), "nobody waits for the rest");
    // Sent in chunks, so that no length tells beforehand.
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let chunked = case.post().header("Content-Type", "application/json").header("Transfer-Encoding", "chunked");
    chunked.send_raw(case.server.address, chunk.as_bytes()).await.expect_error(413, "too_large");
    // A length that no number holds.
    let lying = case.post().header("Content-Type", "application/json").header("Content-Length", "99999999999999999999");
    let answer = lying.send_raw(case.server.address, b"{}").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    case.still_redeems().await;
}

/// Gzip without a library: a header, one stored block, and a checksum that nobody gets to look at.
fn gzip(text: &str) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    let len = u16::try_from(text.len()).expect("a short text");
    packed.write_all(&[len.to_le_bytes(), (!len).to_le_bytes()].concat()).expect("in memory");
    packed.extend_from_slice(text.as_bytes());
    packed.extend_from_slice(&[0; 8]);
    packed
}

#[tokio::test]
async fn i140_a_compressed_body() {
    let case = Case::new().await;
    let body = case.body().to_string();
    for encoding in ["gzip", "x-gzip", "deflate", "br", "zstd", "identity", ""] {
        for bytes in [gzip(&body), body.clone().into_bytes()] {
            let call = case.post().header("Content-Type", "application/json").header("Content-Encoding", encoding);
            case.send(call.body(bytes)).await.expect_error(415, "unsupported_media_type");
        }
    }
    // Without saying so it is no JSON.
    let call = case.post().header("Content-Type", "application/json").body(gzip(&body));
    case.send(call).await.expect_error(400, "bad_request");
    case.still_redeems().await;
}

/// What stands in an address stands in histories and logs: it is not read, and not logged.
// On one thread, so that the server's tasks log to this test's subscriber.
#[tokio::test]
async fn i141_a_token_in_the_query_is_ignored_and_not_logged() {
    let log = Everything::default();
    let _second = tracing::Dispatch::new(Everything::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut case = Case::new().await;
    let body = case.body();
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    let query = format!("challenge={}&token={}&subject={}", text("challenge"), text("token"), text("subject"));
    let path = format!("/v1/login?{query}");
    for (method, status) in [("GET", 405), ("POST", 415)] {
        assert_eq!(case.send(case.browser.call(method, &path)).await.status, status);
    }
    let empty = case.browser.call("POST", &path).json(&json!({}));
    case.send(empty).await.expect_error(400, "bad_request");
    // The body decides, whatever the address says.
    let hollow = json!({"challenge": text("challenge"), "token": "", "subject": text("subject")});
    let answer = case.browser.post(&path, hollow).await.undated();
    assert_eq!(answer, case.refusal);
    let session = case.browser.call("GET", &format!("/v1/session?{query}"));
    case.send(session).await.expect_error(401, "no_session");
    case.still_redeems().await;
    let logged = log.text();
    assert!(logged.contains("refused a login token"), "the log is read at all");
    for name in ["challenge", "token"] {
        let signature = text(name).rsplit('.').next().expect("a part").to_owned();
        assert!(!logged.contains(&signature), "the {name} is in the log:\n{logged}");
    }
}

#[tokio::test]
async fn i142_a_method_override() {
    let mut case = Case::new().await;
    let names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"];
    for name in names {
        let answer = case.send(case.browser.call("GET", "/v1/login").header(name, "POST").json(&case.body())).await;
        answer.expect_error(405, "method_not_allowed");
    }
    let query = case.send(case.browser.call("GET", "/v1/login?_method=POST").json(&case.body())).await;
    query.expect_error(405, "method_not_allowed");
    let named = case.send(case.post().json(&json!({"_method": "GET"}))).await;
    named.expect_error(400, "bad_request");
    // Nor is a call that may be made turned into one that changes something.
    let device = Device::enrol(&case.server, "ada").await;
    let challenge = case.browser.challenge().await;
    let mut signed_in = case.browser.clone();
    assert_eq!(signed_in.login(&challenge, &device.token(&challenge), device.subject.as_str()).await.status, 204);
    for name in names {
        let revoke = signed_in.call("GET", &format!("/v1/devices/{}", device.id())).header(name, "DELETE");
        case.send(revoke).await.expect_error(405, "method_not_allowed");
        let log_out = signed_in.call("GET", "/v1/logout").header(name, "POST");
        case.send(log_out).await.expect_error(405, "method_not_allowed");
    }
    assert!(signed_in.is_signed_in().await);
    assert!(signed_in.cookies.contains_key(SESSION));
    case.still_redeems().await;
}

/// The login server's address is the configured issuer, whatever a proxy or an attacker says.
#[tokio::test]
async fn i143_a_spoofed_host_changes_no_address() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let spoofs = [
        ("Host", "evil.example.com"),
        ("X-Forwarded-Host", "evil.example.com"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Forwarded-Port", "8080"),
        ("X-Original-URL", "/v1/logout"),
        ("X-Rewrite-URL", "/v1/logout"),
        ("Forwarded", "for=1.2.3.4;host=evil.example.com;proto=http"),
        ("X-Host", "evil.example.com"),
    ];
    for (name, value) in spoofs {
        let answer = bare("GET", "/.well-known/loopkey.json").header(name, value).send(server.address).await;
        assert!(!answer.body.contains("evil") && !answer.body.contains("http:"), "{name}: {answer:?}");
        let mut browser = server.browser();
        let answer =
            browser.call("POST", "/v1/challenge").header(name, value).json(&json!({})).send(server.address).await;
        let challenge = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
        let claims = Object::of_part(&challenge, 1);
        assert_eq!(claims.raw("iss"), format!("\"{ISSUER}\""), "{name}");
        assert_eq!(claims.raw("rdm"), format!("\"{ISSUER}/v1/login\""), "{name}");
        assert_eq!(claims.raw("org"), format!("\"{ORIGIN}\""), "{name}");
        let cookie = answer.header("set-cookie").expect("a cookie");
        assert!(!cookie.contains("Domain") && cookie.contains("; Secure;"), "{cookie}");
        // And a token for the address that the attacker would like is refused where it is spoofed.
        let pair = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
        browser.cookies.insert(pair.0.into(), pair.1.into());
        let evil: loopkey::protocol::issuer::Issuer = "https://evil.example.com/loopkey".parse().expect("issuer");
        let token = device.token_with(&challenge, |login| login.aud = evil.login_url());
        let body = json!({"challenge": challenge, "token": token, "subject": device.subject.as_str()});
        let post = browser.call("POST", "/v1/login").header(name, value).json(&body);
        post.send(server.address).await.expect_error(401, "invalid_token");
        assert_eq!(browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await.status, 204);
    }
}
