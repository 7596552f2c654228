//! `GET /v1/session`, its events, and `POST /v1/logout`.

use std::time::Duration;

use loopkey::store::StoreUrl;
use serde_json::json;

use super::browser::SESSION;
use super::device::Device;
use super::failing::FailingStore;
use super::http::Call;
use super::{NOW, Server, clock};

#[tokio::test]
async fn a_session_says_who_is_signed_in() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "小雨@example.com").await;
    let mut browser = server.browser();
    browser.get("/v1/session").await.expect_error(401, "no_session");
    device.signs_in(&mut browser).await;
    let answer = browser.get("/v1/session").await;
    let expected = json!({
        "account": "小雨@example.com", "subject": device.subject.as_str(), "name": "小雨@example.com", "avatar": null,
        "device": device.id(), "device_name": "laptop", "method": "agent",
        "signed_in_at": NOW, "expires_at": NOW + 12 * 3600,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
    assert_eq!(answer.header("x-loopkey-account"), Some("%E5%B0%8F%E9%9B%A8@example.com"));
    assert_eq!(answer.header("x-loopkey-name"), Some("%E5%B0%8F%E9%9B%A8@example.com"));
    // A proxy that asks on a page's behalf passes the cookie on and has no origin.
    let cookie = format!("{SESSION}={}", browser.cookies[SESSION]);
    let forward = Call::new("GET", "/v1/session").header("Cookie", &cookie).send(server.address).await;
    assert_eq!((forward.status, forward.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn two_session_cookies_count_as_none() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let value = &browser.cookies[SESSION];
    for cookies in [format!("{SESSION}={value}; {SESSION}={value}"), format!("__host-loopkey_session={value}")] {
        let call = Call::new("GET", "/v1/session").header("Cookie", &cookies);
        call.send(server.address).await.expect_error(401, "no_session");
    }
}

/// Entries that got lost are made up for by looking at everything that is open.
#[tokio::test]
async fn a_page_learns_of_a_sign_out_whose_entry_was_lost() {
    let clock = clock();
    let inner = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let store = FailingStore::over(inner);
    let server = Server::start_with(store.clone(), clock).await;
    let (device, other) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let (mut hers, mut others) = (server.browser(), server.browser());
    device.signs_in(&mut hers).await;
    other.signs_in(&mut others).await;
    let mut events = hers.events().await;
    store.fail("log");
    assert_eq!(device.signs_out(&server, 1).await.status, 204);
    events.until("event: signed_out").await;
    assert!(others.is_signed_in().await);
    store.recover();
    let mut events = others.events().await;
    assert_eq!(other.signs_out(&server, 1).await.status, 204);
    events.until("event: signed_out").await;
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    server.clock.advance(Duration::from_secs(2 * 3600 - 1));
    assert!(browser.is_signed_in().await);
    server.clock.advance(Duration::from_secs(2 * 3600));
    assert!(!browser.is_signed_in().await);
    let late = browser.call("GET", "/v1/session/events").send(server.address).await;
    late.expect_error(401, "no_session");
}

#[tokio::test]
async fn logging_out_ends_this_session_and_tells_its_pages() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut here, mut there) = (server.browser(), server.browser());
    device.signs_in(&mut here).await;
    device.signs_in(&mut there).await;
    let stream = here.events().await;
    let mut copy = here.clone();
    let answer = here.post("/v1/logout", json!({"everywhere": false})).await;
    assert_eq!((answer.status, here.cookies.len()), (204, 0));
    assert!(stream.rest().await.contains("event: signed_out\ndata: {\"reason\":\"logged_out\"}\n\n"));
    assert!(!copy.is_signed_in().await && there.is_signed_in().await);
    copy.post("/v1/logout", json!({"everywhere": false})).await.expect_error(401, "no_session");
}

#[tokio::test]
async fn logging_out_everywhere_ends_the_accounts_sessions() {
    let server = Server::start().await;
    let (one, other) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "ada").await);
    let lin = Device::enrol(&server, "lin").await;
    let (mut here, mut there, mut bystander) = (server.browser(), server.browser(), server.browser());
    one.signs_in(&mut here).await;
    other.signs_in(&mut there).await;
    lin.signs_in(&mut bystander).await;
    let (own, stream) = (here.events().await, there.events().await);
    assert_eq!(here.post("/v1/logout", json!({"everywhere": true})).await.status, 204);
    assert!(own.rest().await.contains("{\"reason\":\"logged_out\"}"));
    assert!(stream.rest().await.contains("{\"reason\":\"logged_out_everywhere\"}"));
    assert!(!there.is_signed_in().await && bystander.is_signed_in().await);
}

#[tokio::test]
async fn a_session_has_only_so_many_event_streams() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(browser.events().await);
    }
    let answer = browser.call("GET", "/v1/session/events").send(server.address).await;
    answer.expect_error(429, "too_many");
    let cookie = format!("{SESSION}={}", browser.cookies[SESSION]);
    let answer = Call::new("GET", "/v1/session/events").header("Cookie", &cookie).send(server.address).await;
    answer.expect_error(429, "too_many");
}
