//! Who may call, and with what: the rules that hold for every call.

use serde_json::json;

use super::http::Call;
use super::{ORIGIN, Server};

/// Calls of pages that change something, with a body that is sound as far as its form goes.
fn page_calls() -> Vec<(&'static str, &'static str, serde_json::Value)> {
    vec![
        ("POST", "/v1/challenge", json!({})),
        ("POST", "/v1/presence", json!({"challenge": "", "proof": ""})),
        ("POST", "/v1/login", json!({"challenge": "", "token": "", "subject": "s"})),
        ("POST", "/v1/logout", json!({"everywhere": false})),
        ("DELETE", "/v1/devices/x", json!({})),
        ("DELETE", "/v1/sessions/x", json!({})),
    ]
}

fn machine_calls() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("/v1/devices", json!({"enrolment": ""})),
        ("/v1/sign-outs", json!({"statement": ""})),
        ("/v1/enrolment-tickets", json!({"account": "a", "name": "a"})),
        ("/v1/token", json!({})),
    ]
}

#[tokio::test]
async fn pages_of_the_list_may_call_and_no_others() {
    let server = Server::start().await;
    for (method, path, body) in page_calls() {
        let call = Call::new(method, path).json(&body);
        let listed = call.clone().header("Origin", ORIGIN).send(server.address).await;
        assert_ne!(listed.status, 403, "{path}");
        assert_eq!(listed.header("access-control-allow-origin"), Some(ORIGIN));
        assert_eq!(listed.header("access-control-allow-credentials"), Some("true"));
        let without = call.send(server.address).await;
        without.expect_error(403, "forbidden");
        for origin in [
            "null",
            "",
            "https://evil.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com/",
            "HTTPS://app.example.com",
            "https://app.example.com.evil.test",
            "https://app.example.com https://app.example.com",
        ] {
            let answer = call.clone().header("Origin", origin).send(server.address).await;
            answer.expect_error(403, "forbidden");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin:?}");
            assert_eq!(answer.header("vary"), Some("Origin"));
        }
        let two = call.clone().header("Origin", ORIGIN).header("Origin", ORIGIN);
        two.send(server.address).await.expect_error(403, "forbidden");
        let cross = call.header("Origin", ORIGIN).header("Sec-Fetch-Site", "cross-site");
        cross.send(server.address).await.expect_error(403, "forbidden");
    }
}

#[tokio::test]
async fn agents_and_backends_calls_refuse_any_origin() {
    let server = Server::start().await;
    for (path, body) in machine_calls() {
        let call = Call::new("POST", path).json(&body);
        for origin in [ORIGIN, "null", "https://evil.example.com"] {
            let answer = call.clone().header("Origin", origin).send(server.address).await;
            answer.expect_error(403, "forbidden");
        }
        let answer = call.send(server.address).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn bodies_are_one_closed_json_object_of_bounded_size() {
    let server = Server::start().await;
    let page = server.browser();
    let send = async |path: &str, kind: Option<&str>, body: &str| {
        let call = page.call("POST", path).body(body);
        let call = kind.map_or(call.clone(), |kind| call.header("Content-Type", kind));
        call.send(server.address).await
    };
    let json = Some("application/json");
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonp")] {
        send("/v1/challenge", kind, "{}").await.expect_error(415, "unsupported_media_type");
    }
    assert_eq!(send("/v1/challenge", Some("Application/JSON; charset=utf-8"), "{}").await.status, 200);
    let gzip = page.call("POST", "/v1/challenge").header("Content-Encoding", "gzip").json(&json!({}));
    gzip.send(server.address).await.expect_error(415, "unsupported_media_type");
    for body in ["", "[]", "null", "1", "{", "{}{}", "{\"a\":1}", "{\"challenge\":\"x\"}"] {
        send("/v1/challenge", json, body).await.expect_error(400, "bad_request");
    }
    for body in [
        r#"{"everywhere":1}"#,
        r#"{"everywhere":null}"#,
        r#"{"everywhere":true,"everywhere":true}"#,
        "{}",
        "[true]",
        r#"{"everywhere":true,"x":1}"#,
    ] {
        // Nobody is signed in, but who is gets 400.
        let answer = send("/v1/logout", json, body).await;
        answer.expect_error(401, "no_session");
        let presence = body.replace("everywhere", "challenge");
        send("/v1/presence", json, &presence).await.expect_error(400, "bad_request");
    }
    let large = format!("{{\"challenge\":\"{}\",\"proof\":\"\"}}", "A".repeat(8 * 1024));
    send("/v1/presence", json, &large).await.expect_error(413, "too_large");
    let enormous = "A".repeat(5 * 1024 * 1024);
    send("/v1/login", json, &enormous).await.expect_error(413, "too_large");
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_bounded_too() {
    let server = Server::start().await;
    let page = server.browser();
    let chunk = format!("{:x}\r\n{}\r\n", 9000, "A".repeat(9000));
    let call = page.call("POST", "/v1/login").header("Content-Type", "application/json");
    let call = call.header("Transfer-Encoding", "chunked");
    call.send_raw(server.address, format!("{chunk}0\r\n\r\n").as_bytes()).await.expect_error(413, "too_large");
}

#[tokio::test]
async fn other_methods_and_paths() {
    let server = Server::start().await;
    let page = server.browser();
    for (method, path) in [
        ("GET", "/v1/login"),
        ("PUT", "/v1/login"),
        ("GET", "/v1/challenge"),
        ("POST", "/v1/session"),
        ("PATCH", "/v1/devices"),
        ("GET", "/v1/devices/x"),
        ("OPTIONS", "/v1/login"),
    ] {
        let answer = page.call(method, path).send(server.address).await;
        answer.expect_error(405, "method_not_allowed");
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    for path in ["/v1/nothing", "/v1/login/", "/v2/login", "/sdk/../Cargo.toml", "/sdk/none.js"] {
        page.call("GET", path).send(server.address).await.expect_error(404, "not_found");
    }
    // A token in the query string is nobody's.
    let answer = page.call("POST", "/v1/login?token=x&_method=GET").json(&json!({})).send(server.address).await;
    answer.expect_error(400, "bad_request");
}

#[tokio::test]
async fn preflights_are_answered_for_the_list_alone() {
    let server = Server::start().await;
    let ask = |origin: &str| {
        let call = Call::new("OPTIONS", "/v1/login").header("Origin", origin);
        call.header("Access-Control-Request-Method", "POST").header("Access-Control-Request-Headers", "content-type")
    };
    let answer = ask("https://www.example.com").send(server.address).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://www.example.com"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, DELETE"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = ask("https://evil.example.com").send(server.address).await;
    answer.expect_error(403, "forbidden");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
