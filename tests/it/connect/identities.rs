//! Linking and unlinking, by the person and by the backend.

use serde_json::{Value, json};

use super::{PAGE, Stage, assert_failed, assert_signed_in};
use crate::login::browser::{Browser, SESSION};
use crate::login::device::Device;

#[tokio::test]
async fn d11_a_signed_in_person_links_an_identity_and_takes_it_away() {
    let stage = Stage::start().await;
    let device = Device::enrol(&stage.server, "ada").await;
    let mut browser = stage.server.browser();
    device.signs_in(&mut browser).await;
    assert_eq!(browser.get("/v1/identities").await.json(), json!({ "identities": [] }));
    let answer = browser.post("/v1/connect/corp/link", json!({ "return_to": PAGE })).await;
    let location = answer.json()["location"].as_str().expect("a location").to_owned();
    let with = stage.provider.authorize(&location);
    assert_signed_in(&stage.come_back(&mut browser, "corp", &with).await);
    assert_eq!(browser.get("/v1/session").await.json()["method"], "agent", "the session is the same");
    let identity = browser.get("/v1/identities").await.json()["identities"][0].clone();
    assert_eq!((&identity["connector"], &identity["label"]), (&json!("corp"), &json!("The corp account")));
    assert_eq!(identity["name"], "Ada of the provider");
    // From now on she signs in so, on any computer.
    let mut other = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut other, "corp").await);
    assert_eq!(other.get("/v1/session").await.json()["account"], "ada");
    // It is nobody else's.
    let lin = Device::enrol(&stage.server, "lin").await;
    let mut lins = stage.server.browser();
    lin.signs_in(&mut lins).await;
    let location = lins.post("/v1/connect/corp/link", json!({ "return_to": PAGE })).await.json();
    let with = stage.provider.authorize(location["location"].as_str().expect("a location"));
    assert_failed(&stage.come_back(&mut lins, "corp", &with).await, "identity_taken");
    let path = format!("/v1/identities/{}", identity["id"].as_str().expect("an id"));
    lins.delete(&path).await.expect_error(404, "not_found");
    assert_eq!(browser.delete(&path).await.status, 204);
    browser.delete(&path).await.expect_error(404, "not_found");
    assert_failed(&stage.sign_in(&mut stage.server.browser(), "corp").await, "not_linked");
    assert!(other.is_signed_in().await, "sessions go on");
}

/// Whoever takes away the one identity that their account was made for gets in again, as the same person; and not where the
/// account may not.
#[tokio::test]
async fn d11_who_unlinked_the_only_way_in_comes_back_to_the_same_account() {
    let stage = Stage::start().await;
    let mut browser = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut browser, "open").await);
    let account = browser.get("/v1/session").await.json()["account"].clone();
    let unlink = async |browser: &mut Browser| {
        let listed = browser.get("/v1/identities").await.json();
        let id = listed["identities"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(browser.delete(&format!("/v1/identities/{id}")).await.status, 204);
    };
    unlink(&mut browser).await;
    let mut again = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut again, "open").await);
    assert_eq!(again.get("/v1/session").await.json()["account"], account);
    // Linked to somebody else meanwhile, it is theirs.
    unlink(&mut again).await;
    let lin = Device::enrol(&stage.server, "lin").await;
    let mut lins = stage.server.browser();
    lin.signs_in(&mut lins).await;
    let location = lins.post("/v1/connect/open/link", json!({ "return_to": PAGE })).await.json();
    let with = stage.provider.authorize(location["location"].as_str().expect("a location"));
    assert_signed_in(&stage.come_back(&mut lins, "open", &with).await);
    let mut third = stage.server.browser();
    assert_signed_in(&stage.sign_in(&mut third, "open").await);
    assert_eq!(third.get("/v1/session").await.json()["account"], "lin");
    unlink(&mut third).await;
    let path = format!("/v1/accounts/{}", account.as_str().expect("a name"));
    let disable = stage.service("PATCH", &path, Some(json!({ "disabled": true }))).await;
    assert!(disable.status < 300, "{disable:?}");
    assert_failed(&stage.sign_in(&mut stage.server.browser(), "open").await, "access_refused");
}

#[tokio::test]
async fn a_link_is_made_only_by_the_session_that_wanted_it() {
    let stage = Stage::start().await;
    let device = Device::enrol(&stage.server, "ada").await;
    let mut browser = stage.server.browser();
    browser.post("/v1/connect/corp/link", json!({ "return_to": PAGE })).await.expect_error(401, "no_session");
    device.signs_in(&mut browser).await;
    browser
        .post("/v1/connect/corp/link", json!({ "return_to": "https://evil.example/" }))
        .await
        .expect_error(400, "bad_request");
    let answer = browser.post("/v1/connect/corp/link", json!({ "return_to": PAGE })).await.json();
    let with = stage.provider.authorize(answer["location"].as_str().expect("a location"));
    // Somebody else is in this browser meanwhile; Ada's session is open still.
    let lin = Device::enrol(&stage.server, "lin").await;
    let mut lins = stage.server.browser();
    lin.signs_in(&mut lins).await;
    let adas = browser.clone();
    browser.cookies.insert(SESSION.into(), lins.cookies[SESSION].clone());
    assert_failed(&stage.come_back(&mut browser, "corp", &with).await, "no_session");
    assert!(adas.clone().is_signed_in().await);
    for account in ["ada", "lin"] {
        let known = stage.service("GET", &format!("/v1/accounts/{account}/identities"), None).await.json();
        assert_eq!(known, json!({ "identities": [] }));
    }
}

#[tokio::test]
async fn d10_a_backend_links_lists_and_unlinks() {
    let stage = Stage::start().await;
    stage.server.backend("/v1/enrolment-tickets", json!({ "account": "ada", "name": "Ada" })).await;
    stage.server.backend("/v1/enrolment-tickets", json!({ "account": "lin", "name": "Lin" })).await;
    let identity = json!({
        "connector": "corp", "tenant": "https://id.example.com", "external_id": "7",
        "details": { "job_number": "A-113" },
    });
    let at = "/v1/accounts/ada/identities";
    let put = async |path: &str, body: &Value| stage.service("PUT", path, Some(body.clone())).await;
    assert_eq!(put(at, &identity).await.status, 204);
    put("/v1/accounts/lin/identities", &identity).await.expect_error(409, "identity_taken");
    put("/v1/accounts/nobody/identities", &identity).await.expect_error(404, "not_found");
    put(at, &json!({ "connector": "Corp", "tenant": "", "external_id": "7" })).await.expect_error(400, "bad_request");
    put(at, &json!({ "connector": "corp", "tenant": "", "external_id": "" })).await.expect_error(400, "bad_request");
    let listed = stage.service("GET", at, None).await.json();
    assert_eq!(listed["identities"][0]["details"], json!({ "job_number": "A-113" }));
    let one = format!("{at}/{}", listed["identities"][0]["id"].as_str().expect("an id"));
    stage.server.machine("DELETE", &one, json!({})).await.expect_error(401, "unauthorized");
    assert_eq!(stage.service("DELETE", &one, None).await.status, 204);
    stage.service("DELETE", &one, None).await.expect_error(404, "not_found");
    stage.service("GET", "/v1/accounts/nobody/identities", None).await.expect_error(404, "not_found");
}

#[tokio::test]
async fn what_a_connector_does_not_have_is_said_so() {
    let stage = Stage::start().await;
    let mut browser = stage.server.browser();
    browser.post("/v1/connect/corp/code", json!({ "code": "x" })).await.expect_error(404, "unsupported");
    browser.post("/v1/connect/corp/page", json!({ "url": PAGE })).await.expect_error(404, "unsupported");
    browser.post("/v1/connect/corp/code", json!({ "code": "" })).await.expect_error(400, "bad_request");
    browser
        .post("/v1/connect/corp/page", json!({ "url": "https://evil.example/" }))
        .await
        .expect_error(400, "bad_request");
    browser.post("/v1/connect/none/code", json!({ "code": "x" })).await.expect_error(404, "not_found");
    let mut foreign = crate::login::browser::Browser::new(stage.server.address, "https://evil.example");
    foreign.post("/v1/connect/corp/code", json!({ "code": "x" })).await.expect_error(403, "forbidden");
}
