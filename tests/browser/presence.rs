//! Lock, leave, switch, sign out in the client: the open page changes at once.

use crate::desk::{Desk, SOON};
use crate::support::browser::Engine;

#[tokio::test]
async fn a_card_follows_the_client() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.click_client("#lock").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "locked").await;
    desk.click_client("#lock").await;
    desk.card(&desk.site, "person").await;
    desk.click_client("#sign-in-lin").await;
    desk.client_is("person", "lin").await;
    let named =
        "document.querySelector('loopkey-card').shadowRoot.querySelector('#title').textContent.includes('林小雨')";
    desk.site.wait_for(named, SOON).await.expect("the card names the other person");
    desk.click_client("#sign-out").await;
    desk.card(&desk.site, "signed-out").await;
    desk.leave().await;
}

#[tokio::test]
async fn a_sign_out_in_the_client_ends_the_web_session() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.sign_in().await;
    desk.click_client("#away").await;
    desk.site.wait_for("document.body.dataset.presence === 'away'", SOON).await.expect("the page shows that she left");
    desk.picture(&desk.site, "site-away").await;
    desk.click_client("#lock").await;
    desk.site.wait_for("document.body.dataset.presence === 'locked'", SOON).await.expect("the page shows the lock");
    desk.picture(&desk.site, "site-locked").await;
    desk.click_client("#sign-out").await;
    desk.session(&desk.site, "out").await;
    let reason: String = desk.site.eval("document.body.dataset.reason").await.expect("the reason");
    assert_eq!(reason, "signed_out");
    desk.leave().await;
}

#[tokio::test]
async fn a_switch_of_person_ends_the_web_session_of_the_one_before() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.sign_in().await;
    desk.click_client("#sign-in-sam").await;
    desk.session(&desk.site, "out").await;
    let named = "document.querySelector('loopkey-card').shadowRoot.querySelector('#title').textContent.includes('Sam')";
    desk.site.wait_for(named, SOON).await.expect("the card names the other person");
    desk.sign_in().await;
    assert!(desk.site.text("#person-name").await.expect("the name").contains("Sam Okafor"));
    desk.leave().await;
}
