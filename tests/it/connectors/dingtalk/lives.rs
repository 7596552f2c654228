//! How long what DingTalk gives out counts, and what it says afterwards: asked by hand, so that no cache is between.

use loopkey::clock::Clock as _;
use loopkey::connectors::dingtalk::{Dialect, DingTalk, InMemory, SuiteTicket};
use loopkey::connectors::{Connector as _, Method};
use loopkey::crypto::Secret;
use serde_json::{Value, json};

use super::suite::{SUITE, of, suite};
use super::{CORP, Stand, noted};

/// Asks with a token, and gives status, code and inner code.
async fn ask(stand: &Stand, dialect: Dialect, path: &str, token: &Secret<String>) -> (u16, Value, Value) {
    let hosts = stand.fake.hosts();
    let (host, query) = match dialect {
        Dialect::Old => (hosts.oapi, format!("?access_token={}&userid=ada", token.expose())),
        Dialect::New => (hosts.api, String::new()),
    };
    let method = if path == "/user/get" { Method::GET } else { Method::POST };
    let http = Stand::http();
    let mut request = http.request(method, &format!("{host}{path}{query}")).expect("an address");
    if dialect == Dialect::New {
        request = request.header("x-acs-dingtalk-access-token", token.expose());
    }
    let answer = http.send(request.json(&json!({ "userid": "ada" }))).await.expect("an answer");
    let said: Value = answer.json().expect("JSON");
    let code = if said["code"].is_null() { said["errcode"].clone() } else { said["code"].clone() };
    (answer.status, code, said["sub_code"].clone())
}

#[tokio::test]
async fn a_token_counts_for_7199_seconds_and_not_for_7201() {
    for (dialect, path, fine, refused) in [
        (Dialect::Old, "/user/get", json!(0), (200, json!(40014), Value::Null)),
        (Dialect::Old, "/topapi/v2/user/get", json!(0), (200, json!(88), json!("40014"))),
        (Dialect::New, "/v1.0/oauth2/jsapiTickets", Value::Null, (400, json!("InvalidAuthentication"), Value::Null)),
    ] {
        let stand = Stand::start().await;
        let connector = stand.connector(|_| {});
        let token = connector.access_token(dialect).await.expect("a token");
        stand.pass(7_199);
        assert_eq!(ask(&stand, dialect, path, &token).await, (200, fine, Value::Null), "{path}");
        stand.pass(2);
        assert_eq!(ask(&stand, dialect, path, &token).await, refused, "{path}");
        connector.exchange(&stand.code("ada")).await.expect("with another token");
    }
}

#[tokio::test]
async fn a_token_again_is_the_same_of_an_application_and_another_of_a_suite() {
    let stand = Stand::start().await;
    for dialect in [Dialect::New, Dialect::Old] {
        // Two replicas, each with a cache of its own.
        let (one, other) = (stand.connector(|_| {}), stand.connector(|_| {}));
        let (one, other) = (one.access_token(dialect).await, other.access_token(dialect).await);
        assert_eq!(one.expect("a token").expose(), other.expect("a token").expose());
    }
    let suite = suite(&stand, InMemory::default());
    let value = noted(stand.fake.state().rotate_suite_ticket(SUITE));
    let ticket = SuiteTicket { value, made: stand.clock.wall() };
    assert!(suite.take_ticket(&ticket).await.expect("kept"));
    for dialect in [Dialect::New, Dialect::Old] {
        let replica = || DingTalk::of_suite(of(&stand, CORP), &suite).expect("a connector");
        let (one, other) = (replica().access_token(dialect).await, replica().access_token(dialect).await);
        assert_ne!(one.expect("a token").expose(), other.expect("a token").expose());
    }
}

#[tokio::test]
async fn a_ticket_again_is_the_same_and_ends_after_a_day_however_often_it_was_renewed() {
    let stand = Stand::start().await;
    let ticket = async || {
        // Without a cache of tickets in between.
        let connector = stand.connector(|_| {});
        connector.page_ticket().await.expect("a ticket").expose().clone()
    };
    let first = ticket().await;
    for hour in 1..24 {
        stand.pass(3_600);
        assert_eq!(ticket().await, first, "after {hour} hours");
    }
    stand.pass(3_601);
    assert_ne!(ticket().await, first, "after a day");
}
