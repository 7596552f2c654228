//! The agent's part of an approval: a real login server asks it over its link, and the test is the desktop client.

use std::sync::Arc;

use async_trait::async_trait;
use loopkey::agent::audit::{Act, Outcome};
use loopkey::agent::{Answer, ApprovalAnswer, ApprovalPrompt, Asker, Prompt};
use loopkey::protocol::order::Digits;
use loopkey::protocol::state::PresenceState;
use serde_json::json;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::support::world::{RunningAgent, TestBrowser, TestClient, World};

/// A question and where its answer goes.
type Question = (ApprovalPrompt, oneshot::Sender<ApprovalAnswer>);

/// An embedding program whose person is the test.
struct Person(Mutex<mpsc::Sender<Question>>);

#[async_trait]
impl Asker for Person {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, _: Prompt) -> Answer {
        Answer::Unavailable
    }

    async fn approve(&self, prompt: ApprovalPrompt) -> ApprovalAnswer {
        let (answer, answered) = oneshot::channel();
        self.0.lock().await.send((prompt, answer)).await.expect("the test is there");
        answered.await.unwrap_or_default()
    }
}

async fn world() -> (World, mpsc::Receiver<Question>) {
    let (questions, asked) = mpsc::channel(8);
    let person: Arc<dyn Asker> = Arc::new(Person(Mutex::new(questions)));
    let world = World::built(|_| (), |builder| builder.asker(person)).await;
    (world, asked)
}

async fn order(world: &World) -> (TestBrowser, String) {
    let mut browser = TestBrowser::of(&world.server);
    let (status, body) = browser.post("/v1/orders", json!({ "account": "ada" })).await;
    assert_eq!(status, 201, "{body}");
    let code = body["code"].as_str().expect("digits").to_owned();
    (browser, code)
}

/// Whether the browser is let in: once it is clear.
async fn finished(browser: &mut TestBrowser) -> bool {
    browser.post("/v1/orders/finish", json!({})).await.0 == 204
}

fn outcomes(agent: &RunningAgent) -> Vec<Outcome> {
    let entries = agent.handle.log(100).expect("readable").entries;
    entries
        .into_iter()
        .filter_map(|entry| if let Act::Approval { outcome, .. } = entry.act { Some(outcome) } else { None })
        .collect()
}

async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let done = async {
        while !is().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), done).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn the_person_types_the_digits_and_the_other_browser_is_let_in() {
    let (world, mut asked) = world().await;
    let (mut browser, code) = order(&world).await;
    let (prompt, answer) = asked.recv().await.expect("a question");
    assert_eq!((prompt.origin, prompt.subject.clone()), (world.server.issuer.origin(), world.account.clone()));
    assert_eq!(prompt.name, "ada of the test");
    answer.send(ApprovalAnswer::Approve(Digits::try_from(code).expect("digits"))).expect("somebody waits");
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while !finished(&mut browser).await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("let in");
    assert!(browser.is_signed_in().await);
    assert_eq!(outcomes(&world.agent), [Outcome::Allowed]);
    // Its session is the device's: signing out there ends it.
    world.agent.handle.sign_out(&world.account).expect("signed out");
    until("the session ends", async || !browser.is_signed_in().await).await;
    world.agent.stop().await;
}

#[tokio::test]
async fn a34_wrong_digits_and_a_refusal_let_nobody_in() {
    let (world, mut asked) = world().await;
    for deny in [true, false] {
        let (mut browser, code) = order(&world).await;
        let (_, answer) = asked.recv().await.expect("a question");
        let wrong = if code == "47" { "48" } else { "47" };
        let wrong = Digits::try_from(wrong.to_owned()).expect("digits");
        answer.send(if deny { ApprovalAnswer::Deny } else { ApprovalAnswer::Approve(wrong) }).expect("somebody waits");
        until("it is decided", async || {
            let recorded = world.server.audit().await;
            recorded.iter().filter(|what| *what == "approval_denied").count() == if deny { 1 } else { 2 }
        })
        .await;
        assert!(!finished(&mut browser).await);
    }
    assert_eq!(outcomes(&world.agent), [Outcome::Denied, Outcome::Allowed]);
    world.agent.stop().await;
}

#[tokio::test]
async fn the_question_goes_when_the_browser_gives_up_and_when_the_client_is_locked() {
    let (world, mut asked) = world().await;
    let (mut browser, _) = order(&world).await;
    let (_, mut answer) = asked.recv().await.expect("a question");
    assert_eq!(browser.post("/v1/orders/cancel", json!({})).await.0, 204);
    answer.closed().await;
    let (mut browser, code) = order(&world).await;
    let (_, mut answer) = asked.recv().await.expect("a question");
    world.agent.handle.set_presence(&world.account, PresenceState::Locked).expect("locked");
    answer.closed().await;
    assert_eq!(outcomes(&world.agent), [Outcome::Withdrawn, Outcome::Withdrawn]);
    // Nobody is asked while it is locked; and what was typed before is worth nothing.
    drop(code);
    assert!(!finished(&mut browser).await);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_client_that_knows_no_digits_is_passed_over() {
    let world = World::new().await;
    let mut client = TestClient::hello(&world.settings.control).await;
    let (_browser, _) = order(&world).await;
    let call = client.next("approval.request").await;
    client.peer.answer(call.id.as_ref().expect("a number"), Ok(json!({ "allow": true }))).await;
    until("it is written down", async || outcomes(&world.agent) == [Outcome::Unavailable]).await;
    world.agent.stop().await;
}
