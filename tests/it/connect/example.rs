//! `examples/connector.rs`, as the program that it is: a connector written outside the crate, for a provider that speaks OAuth 2.0
//! and no OpenID Connect.

use std::collections::BTreeMap;
use std::process::Stdio;

use axum::Router;
use axum::extract::Query;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::http;

const SECRET: &str = "the secret of an example";

/// A GitHub as far as one sign-in needs it. Returns its address.
async fn provider() -> String {
    let answer = |value: &Value| ([(CONTENT_TYPE, "application/json")], value.to_string());
    let token = async move |body: String| {
        let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let is_sound = form["client_secret"] == SECRET && form["redirect_uri"].ends_with("/v1/connect/github/callback");
        answer(&match form["code"].as_str() {
            "c0de" if is_sound => json!({ "access_token": "t0ken", "token_type": "bearer" }),
            _ => json!({ "error": "bad_verification_code" }),
        })
    };
    let user = async move |headers: HeaderMap| {
        let is_known = headers.get("authorization").is_some_and(|given| given == "Bearer t0ken");
        let user = json!({ "id": 583231, "login": "octo", "name": null, "avatar_url": null });
        is_known.then_some(answer(&user)).ok_or(StatusCode::UNAUTHORIZED)
    };
    let router = Router::new().route("/login/oauth/access_token", post(token)).route("/user", get(user));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    address
}

async fn start(provider: &str) -> (Child, String) {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/it");
    let program = profile.join("examples").join(format!("connector{}", std::env::consts::EXE_SUFFIX));
    let build = "cargo build --all-features --example connector";
    assert!(program.is_file(), "{} is not built; run: {build}", program.display());
    let port = free_places().site.to_string();
    let mut child = Command::new(program)
        .args(["--client-id", "example", "--port", &port, "--site", provider, "--api", provider])
        .env("GITHUB_SECRET", SECRET)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let out = child.stdout.take().expect("its output");
    let line = BufReader::new(out).lines().next_line().await.expect("readable").expect("it says where it is");
    let begin = line.strip_prefix("Sign in at ").unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, begin)
}

#[tokio::test]
async fn d14_a_connector_of_somebody_elses_as_a_program() {
    trace::start();
    trace::note(SECRET);
    let provider = provider().await;
    let (_child, begin) = start(&provider).await;
    let (issuer, _) = begin.split_once("/v1/").expect("an issuer");
    for (code, landed) in [("another", "#loopkey_error=code_expired"), ("c0de", "")] {
        let answer = http().get(&begin).send().await.expect("an answer");
        assert_eq!(answer.status(), 303);
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        let (location, cookie) = (header("location"), header("set-cookie"));
        let location: url::Url = location.parse().expect("an address");
        assert!(location.as_str().starts_with(&format!("{provider}/login/oauth/authorize?")), "{location}");
        let Query(asked) = Query::<BTreeMap<String, String>>::try_from_uri(&location.as_str().parse().expect("a URI"))
            .expect("parameters");
        let back = format!("{}?code={code}&state={}", asked["redirect_uri"], asked["state"]);
        let cookie = cookie.split(';').next().expect("a cookie").to_owned();
        let answer = http().get(&back).header("Cookie", cookie).send().await.expect("an answer");
        assert_eq!(answer.headers()["location"], format!("{issuer}/account{landed}").as_str());
        let session = answer.headers().get_all("set-cookie").iter().find_map(|cookie| {
            let cookie = cookie.to_str().expect("text").split(';').next().expect("a cookie");
            cookie.starts_with("__Host-loopkey_session=").then(|| cookie.to_owned())
        });
        assert_eq!(session.is_some(), landed.is_empty());
        if let Some(session) = session {
            trace::note_cookies(&session);
            let answer = http().get(format!("{issuer}/v1/session")).header("Cookie", session).send().await;
            let session: Value = answer.expect("an answer").json().await.expect("JSON");
            assert_eq!((&session["name"], &session["method"]), (&json!("octo"), &json!("connector:github")));
        }
    }
}
