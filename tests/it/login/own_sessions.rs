//! `/v1/sessions`, and the page that shows them.

use std::time::Duration;

use serde_json::{Value, json};

use super::browser::{Browser, SESSION};
use super::device::Device;
use super::http::Call;
use super::{NOW, ORIGIN, Server};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";

async fn sessions(browser: &mut Browser) -> Vec<Value> {
    let answer = browser.get("/v1/sessions").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["sessions"].as_array().expect("a list").clone()
}

fn id(session: &Value) -> String {
    session["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_person_sees_the_own_sessions_newest_first() {
    let server = Server::start().await;
    let (ada, lin) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let (mut first, mut second, mut other) = (server.browser(), server.browser(), server.browser());
    server.browser().get("/v1/sessions").await.expect_error(401, "no_session");
    first.user_agent = FIREFOX;
    ada.signs_in(&mut first).await;
    server.clock.advance(Duration::from_secs(600));
    second.origin = "https://www.example.com".to_owned();
    ada.signs_in(&mut second).await;
    lin.signs_in(&mut other).await;
    let listed = sessions(&mut first).await;
    let own = id(&listed[1]);
    let expected = json!({
        "id": own, "browser": "Firefox on Windows", "device": ada.id(), "device_name": "laptop", "origin": ORIGIN,
        "method": "agent", "signed_in_at": NOW, "last_used": NOW + 600, "expires_at": NOW + 12 * 3600, "current": true,
    });
    assert_eq!(listed[1], expected);
    assert_eq!((&listed[0]["browser"], &listed[0]["current"]), (&Value::Null, &json!(false)));
    assert_eq!(listed[0]["origin"], "https://www.example.com");
    assert_eq!(listed.len(), 2, "nobody else's");
    assert_ne!(own, first.cookies[SESSION], "the id of the list is not the cookie");
    first.cookies.insert(SESSION.into(), own);
    first.get("/v1/session").await.expect_error(401, "no_session");
}

#[tokio::test]
async fn a_person_ends_the_own_sessions_and_no_others() {
    let server = Server::start().await;
    let (ada, lin) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let (mut here, mut there, mut other) = (server.browser(), server.browser(), server.browser());
    ada.signs_in(&mut here).await;
    ada.signs_in(&mut there).await;
    lin.signs_in(&mut other).await;
    let foreign = id(&sessions(&mut other).await[0]);
    for wrong in [foreign.as_str(), "x", "", "../session", &"A".repeat(43), &here.cookies[SESSION].clone()] {
        here.delete(&format!("/v1/sessions/{wrong}")).await.expect_error(404, "not_found");
    }
    assert!(other.is_signed_in().await);

    let far = sessions(&mut here).await.into_iter().find(|session| session["current"] == false).expect("the other");
    let stream = there.events().await;
    let from_nowhere = Call::new("DELETE", &format!("/v1/sessions/{}", id(&far)))
        .header("Cookie", &format!("{SESSION}={}", here.cookies[SESSION]));
    from_nowhere.send(server.address).await.expect_error(403, "forbidden");
    let answer = here.delete(&format!("/v1/sessions/{}", id(&far))).await;
    assert_eq!((answer.status, answer.all("set-cookie").count()), (204, 0));
    assert!(stream.rest().await.contains("event: signed_out"));
    assert!(!there.is_signed_in().await && here.is_signed_in().await);
    here.delete(&format!("/v1/sessions/{}", id(&far))).await.expect_error(404, "not_found");

    let own = id(&sessions(&mut here).await[0]);
    let answer = here.delete(&format!("/v1/sessions/{own}")).await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.ends_with("; Max-Age=0")), "{answer:?}");
    assert!(!here.is_signed_in().await);
}

#[tokio::test]
async fn the_account_page_runs_nothing_but_its_own_modules_and_is_framed_by_nobody() {
    let server = Server::start().await;
    let page = Call::new("GET", "/account").send(server.address).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let named: Vec<_> =
        page.body.split('"').filter(|text| text.starts_with("sdk/account/")).map(str::to_owned).collect();
    assert_eq!(named, ["sdk/account/account.css", "sdk/account/main.js"]);
    for path in [vec!["account".to_owned()], named].concat() {
        let answer = Call::new("GET", &format!("/{path}")).send(server.address).await;
        let policy = answer.header("content-security-policy").expect("a policy");
        for part in ["default-src 'none'", "script-src 'self'", "trusted-types 'none'", "frame-ancestors 'none'"] {
            assert!(policy.split("; ").any(|directive| directive == part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!((answer.status, answer.header("x-frame-options")), (200, Some("DENY")), "{path}");
    }
    for path in ["/account/", "/sdk/account/index.html", "/sdk/account/none.js", "/sdk/account/../loopkey.js"] {
        Call::new("GET", path).send(server.address).await.expect_error(404, "not_found");
    }
}
