//! The person says no, the page takes it back, and the login server forgets in between.

use crate::desk::{Desk, SOON};
use crate::support::browser::Engine;

#[tokio::test]
async fn a_no_is_a_no_and_may_be_thought_over() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    desk.answer("#consent-deny").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "refused").await;
    desk.session(&desk.site, "out").await;
    desk.sign_in().await;
    desk.leave().await;
}

#[tokio::test]
async fn a_click_that_comes_with_the_window_is_not_a_yes_and_the_prompt_says_so() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    desk.client.wait_for("document.querySelector('#consent').open", SOON).await.expect("the prompt");
    // The click that brings a window to the front arrives right behind its focus.
    let at_once = "(dispatchEvent(new Event('focus')), document.querySelector('#consent-allow').click(), \
                   document.querySelector('#consent').open && document.querySelector('#consent-too-soon').textContent)";
    let said: String = desk.client.eval(at_once).await.expect("the prompt stays and says why");
    assert!(said.contains("once more"), "{said}");
    desk.answer("#consent-allow").await;
    desk.session(&desk.site, "in").await;
    desk.leave().await;
}

#[tokio::test]
async fn a_cancelled_request_takes_the_prompt_away() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    desk.client.wait_for("document.querySelector('#consent').open", SOON).await.expect("the prompt");
    desk.site.click("loopkey-card >>> #cancel").await.expect("the cancel button");
    desk.client.wait_for("!document.querySelector('#consent').open", SOON).await.expect("the prompt goes");
    desk.leave().await;
}

#[tokio::test]
async fn a_remembered_consent_is_not_asked_for_again() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    desk.client.bring_to_front().await.expect("the client's window in front");
    desk.client
        .wait_for("document.querySelector('#consent').dataset.armed === 'true'", SOON)
        .await
        .expect("the prompt");
    desk.client.click("#consent-remember").await.expect("the check box");
    desk.answer("#consent-allow").await;
    desk.session(&desk.site, "in").await;
    let told = "document.querySelector('#log').textContent.includes('from now on')";
    desk.client.wait_for(told, SOON).await.expect("the person sees what they chose");
    desk.site.click("#logout").await.expect("the log-out button");
    desk.session(&desk.site, "out").await;
    desk.card(&desk.site, "person").await;
    desk.click_continue(&desk.site).await;
    desk.session(&desk.site, "in").await;
    desk.leave().await;
}

#[tokio::test]
async fn a_challenge_of_the_stores_former_life_costs_no_second_prompt() {
    let mut desk = Desk::with_person(Engine::Chromium).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    // The single-use marks live in memory: a restart of the login server is a new life of the store.
    desk.demo.restart_login_server().await.expect("the login server restarts");
    desk.answer("#consent-allow").await;
    desk.session(&desk.site, "in").await;
    desk.leave().await;
}
