//! `/v1/accounts` and what else takes the service key (protocol section 6.10).

use serde_json::{Value, json};

use super::browser::Browser;
use super::device::{Device, ticket};
use super::http::{Answer, Call};
use super::{SERVICE_KEY, Server};

async fn admin(server: &Server, method: &str, path: &str, body: Option<Value>) -> Answer {
    let call = Call::new(method, path).header("Authorization", &format!("Bearer {SERVICE_KEY}"));
    let call = if let Some(body) = body { call.json(&body) } else { call };
    call.send(server.address).await
}

async fn signed_in(server: &Server, device: &Device) -> Browser {
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    browser
}

async fn recorded(server: &Server) -> Vec<(String, String)> {
    let answer = admin(server, "GET", "/v1/audit?limit=20", None).await.json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    answer["entries"].as_array().expect("entries").iter().map(|e| (text(&e["what"]), text(&e["account"]))).collect()
}

#[tokio::test]
async fn every_call_wants_the_service_key_and_no_page() {
    let server = Server::start().await;
    ticket(&server, "ada").await;
    for (method, path) in [
        ("GET", "/v1/accounts"),
        ("GET", "/v1/accounts/ada"),
        ("PATCH", "/v1/accounts/ada"),
        ("DELETE", "/v1/accounts/ada"),
        ("POST", "/v1/accounts/ada/sign-out"),
        ("GET", "/v1/accounts/ada/devices"),
        ("DELETE", "/v1/accounts/ada/devices/x"),
        ("POST", "/v1/organisations/acme/sign-out"),
        ("POST", "/v1/challenge-keys"),
        ("GET", "/v1/audit"),
    ] {
        let call = Call::new(method, path).json(&json!({}));
        call.send(server.address).await.expect_error(401, "unauthorized");
        let wrong = call.clone().header("Authorization", "Bearer a wrong service key");
        wrong.send(server.address).await.expect_error(401, "unauthorized");
        let page = call.header("Authorization", &format!("Bearer {SERVICE_KEY}")).header("Origin", super::ORIGIN);
        page.send(server.address).await.expect_error(403, "forbidden");
    }
    assert_eq!(admin(&server, "GET", "/v1/accounts/ada", None).await.status, 200, "nothing happened to her");
}

#[tokio::test]
async fn accounts_are_listed_page_by_page_and_shown() {
    let server = Server::start().await;
    for account in ["ada", "grace/hopper", "小雨"] {
        ticket(&server, account).await;
    }
    let first = admin(&server, "GET", "/v1/accounts?limit=2", None).await.json();
    let names = |page: &Value| -> Vec<String> {
        let accounts = page["accounts"].as_array().expect("accounts");
        accounts.iter().map(|account| account["account"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!((names(&first), &first["next"]), (vec!["ada".into(), "grace/hopper".into()], &json!("grace/hopper")));
    let second = admin(&server, "GET", "/v1/accounts?limit=2&after=grace%2Fhopper", None).await.json();
    assert_eq!((names(&second), &second["next"]), (vec!["小雨".to_owned()], &Value::Null));
    let shown = admin(&server, "GET", "/v1/accounts/%E5%B0%8F%E9%9B%A8", None).await.json();
    let expected = json!({
        "account": "小雨", "subject": shown["subject"], "name": "小雨", "avatar": null, "organisation": null,
        "disabled": false, "minimum_uv": "page",
    });
    assert_eq!(shown, expected);
    assert_eq!(admin(&server, "GET", "/v1/accounts/grace%2Fhopper", None).await.status, 200);
    admin(&server, "GET", "/v1/accounts/nobody", None).await.expect_error(404, "not_found");
    for query in ["limit=0", "limit=1001", "limit=x", "after=", "unknown=1", "limit=1&limit=2"] {
        let path = format!("/v1/accounts?{query}");
        admin(&server, "GET", &path, None).await.expect_error(400, "bad_request");
    }
}

#[tokio::test]
async fn an_account_is_changed_and_a_disabled_one_is_out_at_once() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = signed_in(&server, &device).await;
    let mut events = browser.events().await;
    let change = json!({"name": "Ada L.", "avatar": "https://cdn.example.com/a.png", "organisation": null});
    let changed = admin(&server, "PATCH", "/v1/accounts/ada", Some(change)).await.json();
    assert_eq!((&changed["name"], &changed["avatar"]), (&json!("Ada L."), &json!("https://cdn.example.com/a.png")));
    assert_eq!(browser.get("/v1/session").await.json()["name"], "Ada L.");
    let less = admin(&server, "PATCH", "/v1/accounts/ada", Some(json!({"avatar": null}))).await.json();
    assert_eq!((&less["name"], &less["avatar"]), (&json!("Ada L."), &Value::Null), "what is left out stays");
    for wrong in [
        json!({"name": ""}),
        json!({"name": null}),
        json!({"avatar": "http://cdn.example.com/a.png"}),
        json!({"disabled": "yes"}),
        json!({"disabled": null}),
        json!({"minimum_uv": "face"}),
        json!({"organisation": ""}),
        json!({"subject": "another"}),
    ] {
        admin(&server, "PATCH", "/v1/accounts/ada", Some(wrong)).await.expect_error(400, "bad_request");
    }
    admin(&server, "PATCH", "/v1/accounts/nobody", Some(json!({}))).await.expect_error(404, "not_found");

    assert_eq!(admin(&server, "PATCH", "/v1/accounts/ada", Some(json!({"disabled": true}))).await.status, 200);
    events.until(r#"event: signed_out"#).await;
    assert!(!browser.is_signed_in().await);
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    assert_eq!(admin(&server, "PATCH", "/v1/accounts/ada", Some(json!({"disabled": false}))).await.status, 200);
    assert!(!browser.is_signed_in().await, "what ended stays ended");
    device.signs_in(&mut browser).await;
    let told = recorded(&server).await;
    assert_eq!(told.iter().filter(|(what, _)| what == "account_changed").count(), 4);
}

#[tokio::test]
async fn an_account_is_signed_out_everywhere_and_its_devices_revoked() {
    let server = Server::start().await;
    let (ada, lin) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let (mut hers, mut other) = (signed_in(&server, &ada).await, signed_in(&server, &lin).await);
    let mut events = hers.events().await;
    assert_eq!(admin(&server, "POST", "/v1/accounts/ada/sign-out", None).await.status, 204);
    events.until("event: signed_out\ndata: {\"reason\":\"logged_out_everywhere\"}").await;
    assert!(!hers.is_signed_in().await && other.is_signed_in().await);
    admin(&server, "POST", "/v1/accounts/nobody/sign-out", None).await.expect_error(404, "not_found");

    ada.signs_in(&mut hers).await;
    let mut events = hers.events().await;
    let listed = admin(&server, "GET", "/v1/accounts/ada/devices", None).await.json();
    assert_eq!(listed["devices"][0]["device"], ada.id());
    let path = format!("/v1/accounts/ada/devices/{}", ada.id());
    let foreign = format!("/v1/accounts/lin/devices/{}", ada.id());
    admin(&server, "DELETE", &foreign, None).await.expect_error(404, "not_found");
    assert_eq!(admin(&server, "DELETE", &path, None).await.status, 204);
    events.until("event: signed_out\ndata: {\"reason\":\"revoked\"}").await;
    admin(&server, "DELETE", &path, None).await.expect_error(404, "not_found");
    assert_eq!(admin(&server, "GET", "/v1/accounts/ada/devices", None).await.json()["devices"], json!([]));
    admin(&server, "GET", "/v1/accounts/nobody/devices", None).await.expect_error(404, "not_found");
    let told = recorded(&server).await;
    let ada_s = |what: &str| told.contains(&(what.to_owned(), "ada".to_owned()));
    assert!(ada_s("account_signed_out") && ada_s("device_revoked"), "{told:?}");
}

#[tokio::test]
async fn an_organisation_is_signed_out_with_one_call() {
    let server = Server::start().await;
    let mut inside = Vec::new();
    for account in ["ada", "grace"] {
        let device = Device::enrol(&server, account).await;
        let path = format!("/v1/accounts/{account}");
        let changed = admin(&server, "PATCH", &path, Some(json!({"organisation": "acme & sons"}))).await.json();
        assert_eq!(changed["organisation"], "acme & sons");
        inside.push(signed_in(&server, &device).await);
    }
    let lin = Device::enrol(&server, "lin").await;
    let mut outside = signed_in(&server, &lin).await;
    let mut events = inside[0].events().await;
    let path = "/v1/organisations/acme%20%26%20sons/sign-out";
    assert_eq!(admin(&server, "POST", path, None).await.status, 204);
    events.until("event: signed_out").await;
    for browser in &mut inside {
        assert!(!browser.is_signed_in().await);
    }
    assert!(outside.is_signed_in().await);
    admin(&server, "POST", "/v1/organisations/elsewhere/sign-out", None).await.expect_error(404, "not_found");
    assert_eq!(recorded(&server).await[0].0, "organisation_signed_out");
}

#[tokio::test]
async fn an_erased_account_leaves_no_name_behind() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = signed_in(&server, &device).await;
    let mut events = browser.events().await;
    assert_eq!(admin(&server, "DELETE", "/v1/accounts/ada", None).await.status, 204);
    events.until("event: signed_out\ndata: {\"reason\":\"ended\"}").await;
    assert!(!browser.is_signed_in().await);
    admin(&server, "DELETE", "/v1/accounts/ada", None).await.expect_error(404, "not_found");
    let audit = admin(&server, "GET", "/v1/audit", None).await;
    assert_eq!(audit.json()["entries"][0]["subject"], device.subject.as_str());
    assert!(!audit.body.contains("\"ada\"") && audit.body.contains("account_erased"), "{}", audit.body);
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
}
