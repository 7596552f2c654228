//! From a click to a session, and the ways in which it does not come to that.

use loopkey::agent::Answer;
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::grant::ConsentMode;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::PresenceState;
use serde_json::json;

use crate::support::world::{TestBrowser, TestPage, World, enrol};

/// Clicks, and posts the token to the login server.
async fn sign_in(browser: &mut TestBrowser, page: &mut TestPage, subject: &str) -> u16 {
    let challenge = browser.challenge().await;
    let (answer, _) = page.login(challenge.clone()).await;
    let AgentMessage::Token { token, .. } = answer else { panic!("{answer:?}") };
    let body = json!({ "challenge": challenge, "token": token, "subject": subject });
    let (status, _) = browser.post("/v1/login", body.clone()).await;
    let (again, _) = browser.post("/v1/login", body).await;
    assert_eq!(again, 401, "a token is good once");
    status
}

#[tokio::test]
async fn a_token_opens_one_session() {
    let world = World::new().await;
    let (mut browser, mut page) = world.open_page().await;
    assert_eq!(sign_in(&mut browser, &mut page, world.account.as_str()).await, 204);
    assert!(browser.is_signed_in().await);
    let prompts = world.asker.prompts.lock().expect("unpoisoned").clone();
    assert_eq!(prompts.len(), 1);
    assert_eq!((&prompts[0].origin, prompts[0].name.as_str()), (&world.server.issuer.origin(), "ada of the test"));
    world.agent.stop().await;
}

#[tokio::test]
async fn the_page_and_the_prompt_show_the_same_digits() {
    let world = World::new().await;
    let (mut browser, mut page) = world.open_page().await;
    let (_, digits) = page.login(browser.challenge().await).await;
    let shown = world.asker.prompts.lock().expect("unpoisoned")[0].code.clone();
    assert_eq!(digits.as_deref(), Some(shown.as_str()));
    assert!(shown.len() == 2 && shown.bytes().all(|b| b.is_ascii_digit()));
    world.agent.stop().await;
}

#[tokio::test]
async fn consent_is_asked_for_remembered_and_taken_back() {
    let world = World::new().await;
    let (mut browser, mut page) = world.open_page().await;
    let set = |answer| *world.asker.answer.lock().expect("unpoisoned") = Some(answer);
    let prompts = || world.asker.prompts.lock().expect("unpoisoned").len();
    set(Answer::Deny);
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Denied, .. }), "{answer:?}");
    set(Answer::Allow { remember: true });
    assert_eq!(sign_in(&mut browser, &mut page, world.account.as_str()).await, 204);
    assert_eq!(prompts(), 2);
    assert_eq!(sign_in(&mut browser, &mut page, world.account.as_str()).await, 204);
    assert_eq!(prompts(), 2, "it was remembered");
    assert_eq!(world.agent.handle.consents().len(), 1);
    world.agent.handle.revoke(&world.server.issuer.origin()).expect("revoked");
    let (mut browser, mut page) = world.open_page().await;
    assert_eq!(sign_in(&mut browser, &mut page, world.account.as_str()).await, 204);
    assert_eq!(prompts(), 3, "it was taken back");
    world.agent.stop().await;
}

#[tokio::test]
async fn a_trusted_page_needs_no_prompt_and_a_strict_one_always() {
    for (mode, asked) in [(ConsentMode::Page, 0), (ConsentMode::Always, 2)] {
        let world = World::with(|settings| settings.origins[0].consent = mode).await;
        *world.asker.answer.lock().expect("unpoisoned") = Some(Answer::Allow { remember: true });
        let (mut browser, mut page) = world.open_page().await;
        for _ in 0..2 {
            assert_eq!(sign_in(&mut browser, &mut page, world.account.as_str()).await, 204);
        }
        assert_eq!(world.asker.prompts.lock().expect("unpoisoned").len(), asked, "{mode:?}");
        world.agent.stop().await;
    }
}

#[tokio::test]
async fn a_change_under_the_prompt_ends_it() {
    let world = World::new().await;
    *world.asker.answer.lock().expect("unpoisoned") = None;
    let other = enrol(&world.server, &world.agent.handle, "bob").await;
    let agent = &world.agent.handle;
    agent.set_presence(&world.account, PresenceState::SignedIn).expect("set");
    for (change, code) in
        [(PresenceState::Locked, RefusalCode::Locked), (PresenceState::SignedOut, RefusalCode::Switched)]
    {
        agent.set_presence(&world.account, PresenceState::SignedIn).expect("set");
        let (mut browser, mut page) = world.open_page().await;
        let (id, message) = page.machine.login(browser.challenge().await);
        page.send(&message.encode()).await;
        assert!(matches!(page.next().await, Ok(AgentMessage::Consent { .. })));
        match change {
            // Somebody else signs in.
            PresenceState::SignedOut => drop(agent.set_presence(&other, PresenceState::SignedIn).expect("set")),
            locked => drop(agent.set_presence(&world.account, locked).expect("set")),
        }
        assert!(matches!(page.next().await, Ok(AgentMessage::State { .. })));
        let answer = page.next().await.expect("an answer");
        assert_eq!(answer, AgentMessage::Refused { id, code });
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn three_prompts_in_ten_minutes_are_enough() {
    // Whatever the person answered: the limit is on being asked.
    for answered in [Answer::Deny, Answer::Allow { remember: false }] {
        let world = World::new().await;
        *world.asker.answer.lock().expect("unpoisoned") = Some(answered);
        let (mut browser, mut page) = world.open_page().await;
        for _ in 0..3 {
            page.login(browser.challenge().await).await;
        }
        let (answer, digits) = page.login(browser.challenge().await).await;
        assert!(matches!(&answer, AgentMessage::Refused { code: RefusalCode::Busy, .. }), "{answered:?}: {answer:?}");
        assert_eq!((digits, world.asker.prompts.lock().expect("unpoisoned").len()), (None, 3), "{answered:?}");
        world.agent.stop().await;
    }
}

#[tokio::test]
async fn one_prompt_at_a_time() {
    let world = World::new().await;
    *world.asker.answer.lock().expect("unpoisoned") = None;
    let (mut browser, mut first) = world.open_page().await;
    let (_, message) = first.machine.login(browser.challenge().await);
    first.send(&message.encode()).await;
    assert!(matches!(first.next().await, Ok(AgentMessage::Consent { .. })));
    let (mut other, mut second) = world.open_page().await;
    let (answer, _) = second.login(other.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Busy, .. }), "{answer:?}");
    // The page leaves: its prompt goes with it, and the next one may ask.
    drop(first);
    *world.asker.answer.lock().expect("unpoisoned") = Some(Answer::Deny);
    loop {
        let (answer, _) = second.login(other.challenge().await).await;
        if matches!(answer, AgentMessage::Refused { code: RefusalCode::Denied, .. }) {
            break;
        }
        assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Busy, .. }), "{answer:?}");
    }
    world.agent.stop().await;
}
