//! The OpenAPI document, held against the routes and against a running server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;

use loopkey::crypto::Algorithm;
use serde_json::Value;

use super::browser::{Browser, SESSION};
use super::device::Device;
use super::http::Call;
use super::program::Program;
use super::{ISSUER, ORIGIN, SERVICE_KEY, Server};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Paths and their methods.
type Calls = BTreeMap<String, BTreeSet<String>>;

fn documented(document: &Value) -> Calls {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().expect("a path item").keys().cloned().collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// The routes as the router is made: `.route(&at("PATH"), METHOD(…).METHOD(…))`.
fn routed() -> Calls {
    let source = include_str!("../../../src/login/mod.rs");
    let router = source.split_once("pub fn router(").expect("a router").1;
    let router = router.split_once(".method_not_allowed_fallback").expect("its end").0;
    let mut calls = Calls::new();
    for route in router.split("&at(\"").skip(1) {
        let (path, rest) = route.split_once('"').expect("a path");
        let words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '(' && c != '_');
        let methods = words.filter_map(|word| word.split_once('(').map(|(name, _)| name));
        calls.insert(path.to_owned(), methods.filter(|name| METHODS.contains(name)).map(str::to_owned).collect());
    }
    // The one call that has a second address.
    calls.insert("/.well-known/oauth-authorization-server".to_owned(), BTreeSet::from(["get".to_owned()]));
    calls
}

#[tokio::test]
async fn the_document_has_every_call_and_no_other() {
    let server = Server::start().await;
    let answer = Call::new("GET", "/openapi.json").send(server.address).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["servers"][0]["url"], ISSUER);
    let calls = documented(&document);
    assert!(calls.len() > 25, "{calls:?}");
    assert_eq!(calls, routed());
    // What the source says is what is answered: each documented method, and on its path no other.
    for (path, methods) in &calls {
        for method in METHODS {
            let answer =
                Call::new(&method.to_ascii_uppercase(), &path.replace(['{', '}'], "")).send(server.address).await;
            assert_eq!(answer.status != 405, methods.contains(method), "{method} {path}: {answer:?}");
        }
    }
}

/// Every error code that an answer may have is in the document, and the document has no other.
#[test]
fn the_document_has_every_error_and_no_other() {
    let source = include_str!("../../../src/login/answer.rs");
    let list = source.split_once("\nrefusals! {").expect("the list").1.split_once("\n}").expect("its end").0;
    let lines = list.lines().filter(|line| line.trim_end().ends_with("\","));
    let known: BTreeSet<_> = lines.map(|line| line.split('"').nth(1).expect("a code")).collect();
    let text = include_str!("../../../docs/openapi.json");
    let mut said = BTreeSet::new();
    errors(&serde_json::from_str(text).expect("JSON"), &mut said);
    let oauth = ["invalid_client", "invalid_grant", "invalid_request", "unsupported_grant_type"];
    // A call that exists is answered otherwise than by this one.
    let expected = known.iter().copied().filter(|code| *code != "method_not_allowed").chain(oauth);
    assert_eq!(said, expected.map(str::to_owned).collect());
}

fn errors(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(error) = members.get("properties").and_then(|properties| properties.get("error")) {
                let codes = error["enum"].as_array().cloned().unwrap_or_else(|| vec![error["const"].clone()]);
                found.extend(codes.iter().filter_map(|code| code.as_str().map(str::to_owned)));
            }
            members.values().for_each(|member| errors(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| errors(item, found)),
        _ => {}
    }
}

/// Some thousand requests made from the document, sound and unsound, by schemathesis. `./test` installs and runs it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "about a minute, and needs schemathesis: ./test runs it"]
async fn schemathesis_finds_nothing() {
    let program = Program::start(
        "store = \"memory:\"\n[limits]\naddress_per_minute = 1000000\ntrusted_proxies = [\"127.0.0.1\"]",
    )
    .await;
    let device = Device::enrol_at(program.address, "ada", Algorithm::Es256).await;
    let mut browser = Browser::new(program.address, ORIGIN);
    device.signs_in(&mut browser).await;
    let st = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/st");
    assert!(
        st.is_file(),
        "schemathesis is not installed; ./test installs it, or: python3 -m venv target/schemathesis && target/schemathesis/bin/pip install -r tests/it/login/schemathesis.txt"
    );
    let files = [
        ("schemathesis.toml", include_str!("schemathesis.toml")),
        ("schemathesis_hooks.py", include_str!("schemathesis_hooks.py")),
    ];
    for (name, content) in files {
        std::fs::write(program.path(name), content).expect("written");
    }
    let mut command = tokio::process::Command::new(st);
    command.current_dir(program.path("")).stdin(Stdio::null()).env("NO_COLOR", "1");
    command.env("LOOPKEY_SERVICE_KEY", SERVICE_KEY).env("LOOPKEY_SESSION", &browser.cookies[SESSION]);
    let origin = format!("http://{}", program.address);
    command.args(["run", "--origin", &origin, &format!("{origin}/loopkey/openapi.json")]);
    let output = command.output().await.expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(program.is_ready().await, "the server is as well as before");
}
