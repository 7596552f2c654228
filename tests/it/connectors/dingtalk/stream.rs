//! Stream mode: how the suite's ticket comes.

use std::sync::{Arc, Mutex};

use loopkey::connectors::dingtalk::{Dialect, Heard, InMemory, Suite};
use serde_json::json;

use super::suite::{SUITE, suite};
use super::{Stand, noted};
use loopkey::demo::dingtalk::StreamSide;

/// A suite that hears its events, and how many it was told.
fn listening(suite: &Arc<Suite>, heard: &Arc<Mutex<Vec<String>>>) -> tokio::task::JoinHandle<()> {
    let (suite, heard) = (Arc::clone(suite), Arc::clone(heard));
    tokio::spawn(async move {
        let suite = &suite;
        let told = |event: loopkey::connectors::dingtalk::Event| {
            heard.lock().expect("a list").push(event.id.clone());
            async move { suite.hear(&event).await }
        };
        suite.events().run(told).await;
    })
}

#[tokio::test]
async fn c04_the_ticket_comes_over_the_stream_and_rotates() {
    let stand = Stand::start().await;
    let (suite, heard) = (suite(&stand, InMemory::default()), Arc::default());
    let task = listening(&suite, &heard);
    let mut side = stand.fake.stream().await;
    side.send(&StreamSide::system("ping", "m1")).await;
    let pong = side.answer().await;
    assert_eq!((pong["code"].as_u64(), pong["headers"]["messageId"].as_str()), (Some(200), Some("m1")));
    assert_eq!(pong["data"], "{\"opaque\":\"0\"}");
    for id in ["e1", "e2"] {
        let ticket = noted(stand.fake.state().rotate_suite_ticket(SUITE));
        let data = json!({
            "EventType": "suite_ticket", "SuiteKey": SUITE, "SuiteTicket": ticket.expose(), "TimeStamp": 1,
        });
        let event = StreamSide::event(id, "suite_ticket", &data);
        side.send(&event).await;
        let answer = side.answer().await;
        assert_eq!((answer["code"].as_u64(), answer["data"].as_str()), (Some(200), Some("{\"status\":\"SUCCESS\"}")));
        // An event whose answer was lost comes again; it is answered, and not done again.
        side.send(&event).await;
        assert_eq!(side.answer().await["code"], 200);
        assert!(suite.access_token(if id == "e1" { Dialect::New } else { Dialect::Old }).await.is_ok());
    }
    assert_eq!(*heard.lock().expect("a list"), ["e1", "e2"]);
    // What is no ticket of this suite changes nothing.
    let foreign = json!({ "EventType": "suite_ticket", "SuiteKey": "suiteother", "SuiteTicket": "x" });
    side.send(&StreamSide::event("e3", "suite_ticket", &foreign)).await;
    side.answer().await;
    stand.pass(7_300);
    suite.access_token(Dialect::New).await.expect("with the ticket of before");
    // DingTalk asks for another connection, with another ticket.
    side.send(&StreamSide::system("disconnect", "m9")).await;
    side.end().await;
    let mut again = stand.fake.stream().await;
    again.send(&StreamSide::system("ping", "m2")).await;
    assert_eq!(again.answer().await["headers"]["messageId"], "m2");
    assert_eq!(stand.fake.calls("/v1.0/gateway/connections/open"), 2);
    // One that breaks off, or speaks nonsense, is left too.
    again.send(&json!("nonsense")).await;
    again.end().await;
    drop(stand.fake.stream().await);
    drop(stand.fake.stream().await);
    task.abort();
}

#[tokio::test]
async fn c04_an_event_that_could_not_be_dealt_with_is_asked_for_again() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let answers = Arc::new(Mutex::new(vec![Heard::Success, Heard::Later]));
    let heard = Arc::clone(&answers);
    let task = tokio::spawn(async move {
        let next = move |_| std::future::ready(heard.lock().expect("answers").pop().expect("one more"));
        connector.events().run(next).await;
    });
    let mut side = stand.fake.stream().await;
    let event = StreamSide::event("e1", "user_leave_org", &json!({ "userId": ["ada"] }));
    for code in [500, 200, 200] {
        side.send(&event).await;
        assert_eq!(side.answer().await["code"], code);
    }
    assert!(answers.lock().expect("answers").is_empty());
    task.abort();
}
