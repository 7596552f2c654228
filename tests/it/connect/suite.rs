//! A suite of DingTalk behind the login server: its ticket comes in the background or to an address, and is there for every
//! replica and after a restart.

use std::sync::Arc;
use std::time::Duration;

use loopkey::connectors::dingtalk::{DingTalk, OnShelf};
use loopkey::login::{ConfiguredConnector, LoginConfig, NewAccounts};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, SharedStore, StoreUrl};
use serde_json::{Value, json};

use crate::connectors::dingtalk::callback::{callback, subscription, ticket_event};
use crate::connectors::dingtalk::suite::{SUITE, of, open};
use crate::connectors::dingtalk::{CORP, OTHER_CORP, Stand, noted};
use crate::login::http::{Answer, Call};
use crate::login::{Server, config};
use loopkey::demo::dingtalk::{Push, StreamSide};

/// As a file with two organisations of one suite makes them.
fn connectors(stand: &Stand, is_posted: bool) -> Vec<ConfiguredConnector> {
    let keeper = Box::new(OnShelf::of(&of(stand, CORP)));
    let suite = DingTalk::suite(&of(stand, CORP), Stand::http(), stand.clock.clone(), keeper).expect("a suite");
    let make = |name: &str, corp: &str, is_posted: bool| {
        let connector = DingTalk::of_suite(of(stand, corp), &suite).expect("a connector");
        let connector = if is_posted { connector.with_callback(callback()).expect("a suite's") } else { connector };
        ConfiguredConnector {
            name: name.parse().expect("a name"),
            label: DisplayName::clean("钉钉").expect("a label"),
            connector: Arc::new(connector),
            accounts: NewAccounts::Create,
            verifies: UserVerification::Page,
        }
    };
    vec![make("ours", CORP, is_posted), make("theirs", OTHER_CORP, false)]
}

async fn server(stand: &Stand, store: &SharedStore, is_posted: bool) -> Server {
    let config = LoginConfig { connectors: connectors(stand, is_posted), ..config() };
    Server::start_configured(config, Arc::clone(store), stand.clock.clone()).await
}

async fn memory(stand: &Stand) -> SharedStore {
    loopkey::store::open(&StoreUrl::Memory, stand.clock.clone()).await.expect("a store")
}

/// Signs somebody in with a code of the suite in an organisation.
async fn sign_in(stand: &Stand, server: &Server, connector: &str, corp: &str, userid: &str) -> Answer {
    let code = noted(stand.fake.state().in_app_code(SUITE, corp, userid));
    server.browser().post(&format!("/v1/connect/{connector}/code"), json!({ "code": code.expose() })).await
}

/// Pushes another ticket over a stream.
async fn push(stand: &Stand, side: &mut StreamSide, id: &str) {
    side.send(&StreamSide::event(id, "suite_ticket", &ticket_event(stand))).await;
    assert_eq!(side.answer().await["data"], "{\"status\":\"SUCCESS\"}");
}

#[tokio::test]
async fn c04_the_ticket_that_one_replica_heard_is_there_for_all_and_after_a_restart() {
    let stand = Stand::start().await;
    open(&stand);
    let folder = tempfile::tempdir().expect("a folder");
    let url = StoreUrl::Embedded(folder.path().join("data"));
    let store = loopkey::store::open(&url, stand.clock.clone()).await.expect("a store");
    let one = server(&stand, &store, false).await;
    let mut side = stand.fake.stream().await;
    sign_in(&stand, &one, "ours", CORP, "ada").await.expect_error(503, "provider_unavailable");
    let other = server(&stand, &store, false).await;
    let silent = stand.fake.stream().await;
    push(&stand, &mut side, "e1").await;
    // Both organisations, at the replica that heard it and at the one that did not.
    assert_eq!(sign_in(&stand, &one, "ours", CORP, "ada").await.status, 204);
    assert_eq!(sign_in(&stand, &other, "theirs", OTHER_CORP, "eve").await.status, 204);
    assert_eq!(stand.fake.calls("/v1.0/gateway/connections/open"), 2, "one stream a replica, not one a connector");
    let ticket = current(&stand);
    one.stop().await;
    other.stop().await;
    // The streams ended with their servers.
    side.end().await;
    silent.end().await;
    drop(store);
    for file in std::fs::read_dir(folder.path().join("data")).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
        assert!(!bytes.windows(ticket.len()).any(|window| window == ticket.as_bytes()), "it is kept sealed");
    }
    stand.pass(8_000);
    let store = loopkey::store::open(&url, stand.clock.clone()).await.expect("a store");
    let again = server(&stand, &store, false).await;
    assert_eq!(sign_in(&stand, &again, "ours", CORP, "ada").await.status, 204, "nothing was pushed since");
    again.stop().await;
}

/// The ticket that counts at the fake.
fn current(stand: &Stand) -> String {
    let state = stand.fake.state();
    let loopkey::demo::dingtalk::Kind::Suite { ticket, .. } = &state.apps[SUITE].kind else { panic!("a suite") };
    ticket.clone()
}

#[tokio::test]
async fn c04_the_stream_goes_on_over_a_reload_and_ends_where_nobody_wants_it() {
    let stand = Stand::start().await;
    open(&stand);
    let server = server(&stand, &memory(&stand).await, false).await;
    let mut side = stand.fake.stream().await;
    let reload = async |connectors| {
        assert_eq!(server.login.reload(LoginConfig { connectors, ..config() }).await, Ok(Vec::new()));
    };
    reload(connectors(&stand, false)).await;
    // The stream of before serves the connectors of now.
    push(&stand, &mut side, "e1").await;
    assert_eq!(sign_in(&stand, &server, "ours", CORP, "ada").await.status, 204);
    let opened = || stand.fake.calls("/v1.0/gateway/connections/open");
    assert_eq!(opened(), 1);
    // A file that is wrong changes nothing.
    let twice = [connectors(&stand, false), connectors(&stand, false)].concat();
    server.login.reload(LoginConfig { connectors: twice, ..config() }).await.expect_err("two of one name");
    push(&stand, &mut side, "e2").await;
    reload(Vec::new()).await;
    side.end().await;
    reload(connectors(&stand, false)).await;
    let mut side = stand.fake.stream().await;
    push(&stand, &mut side, "e3").await;
    assert_eq!(opened(), 2);
    // Where events come over HTTP, no stream is kept open.
    reload(connectors(&stand, true)).await;
    side.end().await;
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_opened_again() {
    let stand = Stand::start().await;
    open(&stand);
    let server = server(&stand, &memory(&stand).await, false).await;
    drop(stand.fake.stream().await);
    let mut side = tokio::time::timeout(Duration::from_secs(10), stand.fake.stream()).await.expect("another one");
    push(&stand, &mut side, "e1").await;
    assert_eq!(sign_in(&stand, &server, "ours", CORP, "ada").await.status, 204);
    server.stop().await;
}

async fn post(server: &Server, connector: &str, push: &Push) -> Answer {
    let call = Call::new("POST", &format!("/v1/connect/{connector}/events?{}", push.query));
    call.header("Content-Type", "application/json").body(push.body.clone()).send(server.address).await
}

#[tokio::test]
async fn c04_a_push_over_http_is_taken_and_everything_else_hears_one_refusal() {
    let stand = Stand::start().await;
    open(&stand);
    let server = server(&stand, &memory(&stand).await, true).await;
    let now = || loopkey::clock::Clock::wall(&*stand.clock).0;
    let first = subscription().push(&ticket_event(&stand), now());
    for _ in 0..2 {
        let answer = post(&server, "ours", &first).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(subscription().hear(&answer.json()).as_deref(), Some("success"));
    }
    // The ticket is the suite's: the other organisation has it too.
    assert_eq!(sign_in(&stand, &server, "ours", CORP, "ada").await.status, 204);
    assert_eq!(sign_in(&stand, &server, "theirs", OTHER_CORP, "eve").await.status, 204);
    stand.pass(60);
    let second = subscription().push(&ticket_event(&stand), now());
    assert_eq!(post(&server, "ours", &second).await.status, 200);
    let changed = |query: String, body: &str| Push { query, body: body.to_owned() };
    let (query, body) = (second.query.clone(), second.body.as_str());
    let refused = [
        first,
        changed(query.replace("signature=", "signature=0"), body),
        changed(query.replace("nonce=", "nonce=0"), body),
        changed(format!("{query}&nonce=1"), body),
        changed(String::new(), body),
        changed(query.clone(), "{}"),
        changed(query.clone(), ""),
        changed(query, &json!({ "encrypt": "AAAA" }).to_string()),
        loopkey::demo::dingtalk::Subscription { owner: "suiteother".into(), ..subscription() }
            .push(&json!({ "EventType": "check_url" }), now()),
        loopkey::demo::dingtalk::Subscription { token: "other".into(), ..subscription() }
            .push(&json!({ "EventType": "check_url" }), now()),
    ];
    let mut answers = Vec::new();
    for push in refused {
        let answer = post(&server, "ours", &push).await;
        let headers: Vec<_> =
            answer.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date")).cloned().collect();
        answers.push((answer.status, answer.body, headers));
    }
    assert_eq!((answers[0].0, answers[0].1.as_str()), (400, r#"{"error":"bad_request"}"#));
    answers.dedup();
    assert_eq!(answers.len(), 1, "the same for every cause: {answers:?}");
    post(&server, "theirs", &second).await.expect_error(404, "unsupported");
    post(&server, "nobody", &second).await.expect_error(404, "not_found");
    let call = Call::new("POST", &format!("/v1/connect/ours/events?{}", second.query));
    let from_a_page = call
        .clone()
        .header("Origin", crate::login::ORIGIN)
        .json(&serde_json::from_str::<Value>(&second.body).expect("JSON"));
    from_a_page.send(server.address).await.expect_error(403, "forbidden");
    let text = call.clone().header("Content-Type", "text/plain").body(second.body.clone());
    text.send(server.address).await.expect_error(415, "unsupported_media_type");
    let long = call.header("Content-Type", "application/json").body("x".repeat(64 * 1024 + 1));
    long.send(server.address).await.expect_error(413, "too_large");
    assert_eq!(stand.fake.calls("/v1.0/gateway/connections/open"), 0, "no stream beside it");
    server.stop().await;
}

/// The program itself, from its `server.toml` to the session.
#[cfg(unix)]
#[tokio::test]
async fn c04_the_program_with_a_suite_in_its_file_is_reloaded_killed_and_started_again() {
    use crate::commands::until;
    use crate::login::browser::Browser;
    use crate::login::program::Program;

    let stand = Stand::start().await;
    open(&stand);
    let hosts = stand.fake.hosts();
    let connector = |name: &str, corp: &str| {
        format!(
            "[[connector]]\nname = \"{name}\"\nkind = \"dingtalk\"\nlabel = \"DingTalk\"\naccounts = \"create\"\n\
             credentials = \"suite\"\napp_key = \"{SUITE}\"\napp_secret_file = \"suite-secret\"\ncorp_id = \"{corp}\"\n\
             agent_id = 1234567890\nhosts = {{ oapi = \"{}\", api = \"{}\", login = \"{}\" }}\n",
            hosts.oapi, hosts.api, hosts.login
        )
    };
    let first = format!("store = \"embedded:data\"\ndevelopment = true\n{}", connector("ours", CORP));
    let secret = crate::connectors::dingtalk::secret();
    let mut program = Program::begin(&first, &[("suite-secret", &secret)]);
    until("a server that is ready", || async { program.is_ready().await }).await;
    let address = program.address;
    let sign_in = async |connector: &str, corp: &str, userid: &str| {
        let code = noted(stand.fake.state().in_app_code(SUITE, corp, userid));
        let mut browser = Browser::new(address, crate::login::ORIGIN);
        browser.post(&format!("/v1/connect/{connector}/code"), json!({ "code": code.expose() })).await
    };
    let mut side = stand.fake.stream().await;
    sign_in("ours", CORP, "ada").await.expect_error(503, "provider_unavailable");
    push(&stand, &mut side, "e1").await;
    assert_eq!(sign_in("ours", CORP, "ada").await.status, 204);
    // Another organisation opens the suite: it is there after a reload, and the stream goes on.
    program.reload(&format!("{first}{}", connector("theirs", OTHER_CORP)));
    let is_listed = || async {
        let listed = Call::new("GET", "/v1/connectors").send(address).await;
        listed.body.contains("theirs")
    };
    until("the other organisation", is_listed).await;
    assert_eq!(sign_in("theirs", OTHER_CORP, "eve").await.status, 204);
    push(&stand, &mut side, "e2").await;
    assert_eq!(stand.fake.calls("/v1.0/gateway/connections/open"), 1);
    let (log, ticket) = (program.log(), current(&stand));
    assert!(log.contains("DingTalk pushed the suite's ticket"), "{log}");
    assert!(!log.contains(&ticket) && !log.contains(&secret), "no secret is logged");
    program.kill();
    side.end().await;
    let fetched = stand.fake.calls("/service/get_corp_token");
    stand.fake.state().forget_tokens();
    program.start_again().await;
    drop(stand.fake.stream().await);
    assert_eq!(sign_in("ours", CORP, "ada").await.status, 204, "with the ticket that was kept");
    assert_eq!(stand.fake.calls("/service/get_corp_token"), fetched + 1);
}
