//! How long what DingTalk gives out counts, and what it says afterwards: asked by hand, so that no cache is between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use loopkey::clock::Clock as _;
use loopkey::connectors::dingtalk::{Dialect, DingTalk, InMemory, SuiteTicket};
use loopkey::connectors::{ConnectFault, Connector as _, Fault, Method, Shelf};
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

/// What a login server's store is to its connectors.
#[derive(Debug, Default)]
struct Board {
    texts: Mutex<BTreeMap<String, String>>,
    is_away: Mutex<bool>,
}

impl Board {
    fn texts(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<String, String>>, ConnectFault> {
        if *self.is_away.lock().expect("a board") {
            return Err(Fault::Unavailable.into());
        }
        Ok(self.texts.lock().expect("a board"))
    }
}

#[async_trait::async_trait]
impl Shelf for Board {
    async fn read(&self, name: &str) -> Result<Option<String>, ConnectFault> {
        Ok(self.texts()?.get(name).cloned())
    }

    async fn write(&self, name: &str, former: Option<&str>, text: String) -> Result<bool, ConnectFault> {
        let mut texts = self.texts()?;
        let is_so = texts.get(name).map(String::as_str) == former;
        if is_so {
            texts.insert(name.to_owned(), text);
        }
        Ok(is_so)
    }
}

#[tokio::test]
async fn f12_replicas_share_the_token_of_a_suite_and_one_of_them_renews_it() {
    let stand = Stand::start().await;
    super::suite::open(&stand);
    let (board, value) = (Arc::new(Board::default()), noted(stand.fake.state().rotate_suite_ticket(SUITE)));
    let shelf = Arc::clone(&board) as Arc<dyn Shelf>;
    let replica = async || {
        let ticket = SuiteTicket { value: value.clone(), made: stand.clock.wall() };
        let keeper = Box::new(InMemory::with(ticket));
        let suite = DingTalk::suite(&of(&stand, CORP), Stand::http(), stand.clock.clone(), keeper).expect("a suite");
        let connector = DingTalk::of_suite(of(&stand, CORP), &suite).expect("a connector");
        assert!(connector.attend(&shelf).is_some(), "its events are streamed");
        connector
    };
    let (one, other) = (replica().await, replica().await);
    for (dialect, path) in [(Dialect::New, "/v1.0/oauth2/corpAccessToken"), (Dialect::Old, "/service/get_corp_token")] {
        let token = async |connector: &DingTalk| {
            noted(connector.access_token(dialect).await.expect("a token").expose().clone()).expose().clone()
        };
        let first = token(&one).await;
        assert_eq!((token(&other).await, stand.fake.calls(path)), (first.clone(), 1));
        let shown = format!("{:?}{one:?}", board.texts().expect("a board"));
        assert!(!shown.contains(&first), "it is kept sealed");
        // Each renews early; the one who comes second finds what the first one fetched.
        stand.pass(6_130);
        let second = token(&other).await;
        assert_eq!((token(&one).await, stand.fake.calls(path)), (second.clone(), 2));
        assert_ne!(first, second);
        // A third replica that starts late has it for what is left of its life.
        stand.pass(5_000);
        let late = replica().await;
        assert_eq!((token(&late).await, stand.fake.calls(path)), (second, 2));
        stand.pass(2_190);
        token(&late).await;
        assert_eq!(stand.fake.calls(path), 3);
        // One that DingTalk does not take is found by nobody any more.
        stand.fake.state().forget_tokens();
        if dialect == Dialect::Old {
            late.person("ada").await.expect("with another token");
            assert_eq!(stand.fake.calls(path), 4);
            other.person("ada").await.expect("with the other one");
            assert_eq!(stand.fake.calls(path), 4);
        }
        // A store that is away stops nobody.
        *board.is_away.lock().expect("a board") = true;
        token(&replica().await).await;
        *board.is_away.lock().expect("a board") = false;
    }
}
