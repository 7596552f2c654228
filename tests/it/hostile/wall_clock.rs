//! A wall clock that is wrong, or is set while the agent runs: nothing fails by it, and no window gets wider.

use std::sync::Arc;
use std::time::Duration;

use loopkey::agent::{Agent, Answer};
use loopkey::clock::{Clock, SystemClock};
use loopkey::protocol::base64url;
use loopkey::protocol::limits::RESUME_TICKET_LIFE;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::time::{Moment, UnixMillis};
use serde_json::{Value, json};

use super::stage::{Stage, with};
use crate::support::world::{RunningAgent, Server, TestAsker, TestBrowser, TestPage, enrol, settings};

/// By how much the wall clock is wrong, in milliseconds.
const WRONG_BY: [i64; 4] = [-86_400_000, 86_400_000, -600_000, 600_000];

/// The system's clock, with the wall clock off.
#[derive(Debug)]
struct WrongWall(i64);

impl Clock for WrongWall {
    fn wall(&self) -> UnixMillis {
        UnixMillis(SystemClock.wall().0.saturating_add_signed(self.0))
    }

    fn now(&self) -> Moment {
        SystemClock.now()
    }
}

#[tokio::test]
async fn a20_a_wrong_clock_keeps_nobody_out() {
    let server = Server::start().await;
    for wrong_by in WRONG_BY {
        let folder = tempfile::tempdir().expect("a folder");
        let asker = TestAsker::new(Some(Answer::Allow { remember: false }));
        let builder = Agent::builder(settings(folder.path(), &server.issuer)).clock(Arc::new(WrongWall(wrong_by)));
        let agent = RunningAgent::run(builder.asker(asker)).await;
        let account = enrol(&server, &agent.handle, "ada").await;
        let mut browser = TestBrowser::of(&server);
        let open = OpenWith::Challenge(browser.challenge().await);
        let mut page = TestPage::open(&agent.handle, &server.issuer, open).await;
        let challenge = browser.challenge().await;
        let (AgentMessage::Token { token, .. }, _) = page.login(challenge.clone()).await else { panic!("a token") };
        let login = json!({ "challenge": challenge, "token": token, "subject": account });
        assert_eq!(browser.post("/v1/login", login).await.0, 204, "off by {wrong_by} ms");
        drop(page);
        agent.stop().await;
    }
}

/// The claims of a statement, whoever signed it.
fn claims_of(statement: &Value) -> Value {
    let payload = statement.as_str().and_then(|text| text.split('.').nth(1)).expect("a payload");
    serde_json::from_slice(&base64url::decode(payload).expect("base64url")).expect("JSON")
}

/// Sets the wall clock by turns to each of the wrong times.
fn set_wall(stage: &Stage, turn: usize) {
    let right = stage.issuer.time() * 1000;
    stage.clock.set_wall(UnixMillis(right.saturating_add_signed(WRONG_BY[turn % WRONG_BY.len()])));
}

#[tokio::test]
async fn a20_setting_the_clock_widens_no_window() {
    let stage = Stage::new().await;
    let dated = |iat: u64| {
        let claims = with(stage.issuer.claims(), "iat", json!(iat));
        stage.issuer.sign(&with(claims, "exp", json!(iat + 120)))
    };
    let now = stage.issuer.time();
    for turn in 0..WRONG_BY.len() {
        // The age of a challenge, to the second on either side, whatever the wall clock says.
        for (iat, accepted) in [(now - 121, false), (now - 120, true), (now + 5, true), (now + 6, false)] {
            set_wall(&stage, turn);
            let mut socket = stage.greeted().await;
            set_wall(&stage, turn + 1);
            socket.open(json!({ "challenge": dated(iat) })).await;
            match accepted {
                true => assert_eq!(socket.next().await.expect("ready")["type"], "ready"),
                false => assert_eq!(socket.closed().await, Some(4401), "{iat} at {now}"),
            }
        }
    }
    // What is signed is dated by the challenge and the time since.
    let mut socket = stage.live().await;
    let challenge = dated(now - 100);
    stage.clock.advance(Duration::from_secs(7));
    for turn in 0..2 {
        set_wall(&stage, turn);
        let (id, challenge) = (turn as u64, if turn == 0 { challenge.clone() } else { dated(now - 50) });
        let age = if turn == 0 { now - 100 } else { now - 50 };
        socket.login(id, 0, challenge).await;
        let token = claims_of(&socket.answer(id).await["token"]);
        let issued = token["iat"].as_u64().expect("a time");
        assert!(issued >= age && issued == now + 7, "{issued} is the issuer's time");
        assert_eq!(token["exp"], json!(issued + 300));
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn a20_setting_the_clock_revives_no_ticket() {
    let stage = Stage::new().await;
    let mut socket = stage.greeted().await;
    socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
    let ready = socket.next_of("ready").await;
    let resume = json!({ "resume": ready["resume"], "seq": ready["seq"] });
    drop(socket);
    stage.clock.advance(RESUME_TICKET_LIFE);
    for turn in 0..WRONG_BY.len() {
        set_wall(&stage, turn);
        let mut late = stage.greeted().await;
        late.open(resume.clone()).await;
        assert_eq!(late.closed().await, Some(4401));
    }
    // The honest page slept through the ten minutes; the agent is there for the next one.
    drop(stage.live().await);
    stage.agent.stop().await;
}
