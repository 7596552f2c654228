//! What the demo's pages say, in the language that was chosen.

use crate::desk::{Desk, SOON, Site};
use crate::support::browser::Engine;

#[tokio::test]
async fn the_clients_event_log_is_in_the_language_of_the_window() {
    let desk = Desk::new(Engine::Chromium, Site::Local).await;
    desk.click_client("#lang-zh").await;
    desk.click_client("#lock").await;
    desk.client_is("presence", "locked").await;
    let log = |sentence: &str| format!("$('#log').textContent.includes('{sentence}')");
    for sentence in ["代理正在运行", "Ada Lovelace 已登录", "已锁定"] {
        desk.client.wait_for(&log(sentence), SOON).await.expect("the event in Chinese");
    }
    desk.picture(&desk.client, "client-zh").await;
    desk.click_client("#lang-en").await;
    desk.client.wait_for(&log("Ada Lovelace signed in"), SOON).await.expect("the event in English");
    desk.leave().await;
}

#[tokio::test]
async fn a_log_out_everywhere_is_named_in_the_other_browser() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.sign_in().await;
    let elsewhere = desk.context.another().await.expect("a context of its own");
    let other = elsewhere.new_page().await.expect("a tab");
    other.goto(&desk.demo.site_url()).await.expect("the site");
    desk.card(&other, "person").await;
    desk.click_continue(&other).await;
    desk.card(&other, "consent").await;
    desk.answer("#consent-allow").await;
    desk.session(&other, "in").await;
    desk.site.click("#logout-everywhere").await.expect("the button");
    for (page, reason) in [(&desk.site, "logged_out"), (&other, "logged_out_everywhere")] {
        desk.session(page, "out").await;
        let said: String = page.eval("document.body.dataset.reason").await.expect("the reason");
        assert_eq!(said, reason);
        assert!(!page.text("#notice").await.expect("the notice").is_empty());
    }
    desk.leave().await;
}
