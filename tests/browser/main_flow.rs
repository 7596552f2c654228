//! One click and one answer: signed in.

use crate::desk::{Desk, Site};
use crate::support::browser::{Engine, Permission};

async fn one_click_signs_in(engine: Engine, site: Site) {
    let desk = Desk::new(engine, site).await;
    desk.open(site).await;
    desk.card(&desk.site, "person").await;
    let name = desk.site.text("loopkey-card >>> #title").await.expect("the card's title");
    assert!(name.contains("Ada Lovelace"), "the card names {name:?}");
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    let shown = desk.site.text("loopkey-card >>> #digits").await.expect("the page's digits");
    let digits = desk.answer("#consent-allow").await;
    assert_eq!(shown.trim(), digits.trim(), "both show the same digits");
    desk.session(&desk.site, "in").await;
    assert!(desk.site.text("#person-name").await.expect("the name").contains("Ada Lovelace"));
    let cookies = desk.context.cookies().await.expect("cookies");
    let session = cookies.iter().find(|cookie| cookie.name == "__Host-loopkey_session").expect("a session cookie");
    assert!(session.http_only && session.secure, "script cannot read the session");
    assert!(cookies.iter().all(|cookie| cookie.name != "__Host-loopkey_pre"), "the pre-login cookie is gone");
    // The session outlives the page, and the page does not ask again.
    desk.open(site).await;
    desk.session(&desk.site, "in").await;
    desk.site.click("#logout").await.expect("the log-out button");
    desk.session(&desk.site, "out").await;
    desk.leave().await;
}

#[tokio::test]
async fn chromium_on_a_page_of_this_computer() {
    one_click_signs_in(Engine::Chromium, Site::Local).await;
}

#[tokio::test]
async fn chromium_on_a_public_page_that_has_the_permission() {
    one_click_signs_in(Engine::Chromium, Site::Public(Permission::Granted)).await;
}

#[tokio::test]
async fn firefox() {
    one_click_signs_in(Engine::Firefox, Site::Local).await;
}
