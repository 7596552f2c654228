//! The older push over HTTP, as a connector takes it.

use loopkey::clock::Clock as _;
use loopkey::connectors::dingtalk::{BadSettings, Callback, Dialect, DingTalk, InMemory};
use loopkey::connectors::{ConnectFault, Connector as _, Fault, Posted};
use loopkey::crypto::Secret;
use loopkey::demo::dingtalk::{Push, Subscription};
use serde_json::{Value, json};

use super::suite::{SUITE, of, suite};
use super::{CORP, Stand, noted};

/// What the console would show.
pub(crate) fn subscription() -> Subscription {
    let (token, key) = ("planted-callback-token", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF7");
    for secret in [token, key] {
        drop(noted(secret.to_owned()));
    }
    Subscription { token: token.into(), key: key.into(), owner: SUITE.into() }
}

pub(crate) fn callback() -> Callback {
    let Subscription { token, key, .. } = subscription();
    Callback::new(Secret::new(token), &Secret::new(key)).expect("a callback")
}

/// A push of a ticket that was made just now.
pub(crate) fn ticket_event(stand: &Stand) -> Value {
    let ticket = noted(stand.fake.state().rotate_suite_ticket(SUITE));
    let made = stand.clock.wall().0;
    json!({ "EventType": "suite_ticket", "SuiteKey": SUITE, "SuiteTicket": ticket.expose(), "TimeStamp": made.to_string() })
}

fn connector(stand: &Stand) -> DingTalk {
    let suite = suite(stand, InMemory::default());
    let connector = DingTalk::of_suite(of(stand, CORP), &suite).expect("a connector");
    connector.with_callback(callback()).expect("a suite's")
}

async fn post(stand: &Stand, connector: &DingTalk, push: &Push) -> Result<Value, ConnectFault> {
    let pairs = form_urlencoded::parse(push.query.as_bytes());
    let parameters = pairs.map(|(name, value)| (name.into_owned(), Secret::new(value.into_owned()))).collect();
    let body = Secret::new(push.body.clone().into_bytes());
    connector.event(&Posted { parameters: &parameters, body: &body, now: stand.clock.timestamp() }).await
}

fn push(stand: &Stand, event: &Value) -> Push {
    subscription().push(event, stand.clock.wall().0)
}

#[tokio::test]
async fn c04_the_ticket_comes_over_http_too_and_is_answered_as_dingtalk_wants_it() {
    let stand = Stand::start().await;
    let connector = connector(&stand);
    for dialect in [Dialect::New, Dialect::Old] {
        let first = push(&stand, &ticket_event(&stand));
        let answer = post(&stand, &connector, &first).await.expect("taken");
        let members: Vec<_> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["encrypt", "msg_signature", "nonce", "timeStamp"]);
        assert_eq!(subscription().hear(&answer).as_deref(), Some("success"));
        connector.access_token(dialect).await.expect("with that ticket");
        // The answer was lost: it is pushed again, and answered again.
        stand.pass(60);
        let again = post(&stand, &connector, &first).await.expect("the same ticket");
        assert_eq!(subscription().hear(&again).as_deref(), Some("success"));
    }
    // What is not about tickets is heard and left alone.
    for event in
        [json!({ "EventType": "check_url" }), json!({ "EventType": "org_suite_auth", "说明": "票".repeat(200) })]
    {
        let answer = post(&stand, &connector, &push(&stand, &event)).await.expect("heard");
        assert_eq!(subscription().hear(&answer).as_deref(), Some("success"));
    }
}

#[tokio::test]
async fn c04_the_address_is_tried_out_with_a_random_word_or_without() {
    let stand = Stand::start().await;
    let connector = connector(&stand);
    let unnamed = Subscription { owner: "suite4xxxxxxxxxxxxxxx".into(), ..subscription() };
    for (from, kind) in [(subscription(), "check_update_suite_url"), (unnamed.clone(), "check_create_suite_url")] {
        for (event, said) in [
            (json!({ "EventType": kind, "Random": "LPIdSnlF", "TestSuiteKey": "suite4xxxxxxxxxxxxxxx" }), "LPIdSnlF"),
            (json!({ "EventType": kind }), "success"),
        ] {
            let answer = post(&stand, &connector, &from.push(&event, stand.clock.wall().0)).await.expect("heard");
            assert_eq!(from.hear(&answer).as_deref(), Some(said), "{kind}");
        }
    }
    // Under that name nothing else counts.
    let event = unnamed.push(&ticket_event(&stand), stand.clock.wall().0);
    assert_eq!(post(&stand, &connector, &event).await.expect_err("no ticket").fault, Fault::Refused);
}

#[tokio::test]
async fn c04_a_push_that_is_old_foreign_or_forged_changes_nothing() {
    let stand = Stand::start().await;
    let connector = connector(&stand);
    let replayed = push(&stand, &ticket_event(&stand));
    post(&stand, &connector, &replayed).await.expect("taken");
    stand.pass(1_800);
    let newest = ticket_event(&stand);
    post(&stand, &connector, &push(&stand, &newest)).await.expect("taken");
    let other_owner = Subscription { owner: "suiteother".into(), ..subscription() };
    let other_token = Subscription { token: "other".into(), ..subscription() };
    let other_key = Subscription { key: "z".repeat(43), ..subscription() };
    let now = stand.clock.wall().0;
    let mut foreign = newest.clone();
    foreign["SuiteKey"] = json!("suiteother");
    let wrong = [
        ("replayed within the hour", replayed.clone()),
        ("of another suite", other_owner.push(&newest, now)),
        ("another suite's ticket", push(&stand, &foreign)),
        ("another token", other_token.push(&newest, now)),
        ("another key", other_key.push(&newest, now)),
        ("of another time", subscription().push(&newest, now - 3_602_000)),
        ("no ticket", push(&stand, &json!({ "EventType": "suite_ticket" }))),
        ("no event", push(&stand, &json!({ "SuiteTicket": "x" }))),
        ("no object", push(&stand, &json!("suite_ticket"))),
    ];
    let mut said = std::collections::BTreeSet::new();
    for (what, push) in wrong {
        let fault = post(&stand, &connector, &push).await.expect_err(what);
        assert_eq!(fault.fault, Fault::Refused, "{what}");
        said.insert(fault.fault.code());
    }
    assert_eq!(said.len(), 1, "one refusal for all of them");
    connector.access_token(Dialect::New).await.expect("the newest ticket is the one that is kept");
    // A time that is still to come keeps no later ticket out.
    let mut early = ticket_event(&stand);
    early["TimeStamp"] = json!(now * 2);
    post(&stand, &connector, &push(&stand, &early)).await.expect("taken");
    stand.pass(1);
    post(&stand, &connector, &push(&stand, &ticket_event(&stand))).await.expect("the next one");
    connector.access_token(Dialect::Old).await.expect("with the next one");
}

#[tokio::test]
async fn events_over_http_are_a_suites_alone() {
    let stand = Stand::start().await;
    let internal = stand.connector(|_| {});
    let event = push(&stand, &json!({ "EventType": "check_url" }));
    assert_eq!(post(&stand, &internal, &event).await.expect_err("none").fault, Fault::Unsupported);
    assert_eq!(internal.with_callback(callback()).map(drop).expect_err("none"), BadSettings::Callback);
    // Of a suite whose events come as a stream, too.
    let streamed = DingTalk::of_suite(of(&stand, CORP), &suite(&stand, InMemory::default())).expect("a connector");
    assert_eq!(post(&stand, &streamed, &event).await.expect_err("none").fault, Fault::Unsupported);
}
