//! A page starts and steers something in the client, and sees it change.

use crate::desk::{Desk, SOON};
use crate::support::browser::Engine;

async fn a_page_steers_the_client(engine: Engine) {
    let desk = Desk::with_person(engine).await;
    desk.sign_in().await;
    desk.site.wait_for("!document.querySelector('#player').hidden", SOON).await.expect("what Harbor plays is known");
    assert_eq!(desk.site.text("#player-title").await.expect("a title"), "Low Water");
    desk.site.click("#player-toggle").await.expect("a button");
    desk.client_is("playing", "true").await;
    desk.site.wait_for("document.body.dataset.playing === 'true'", SOON).await.expect("the page is told");
    desk.site.click("#player-next").await.expect("a button");
    let next = "document.querySelector('#player-title').textContent === 'The Lamp Room'";
    desk.site.wait_for(next, SOON).await.expect("the next piece");
    desk.picture(&desk.site, "site-player").await;
    // The person steers it in the client, and the page hears of that too.
    desk.client.bring_to_front().await.expect("in front");
    desk.click_client("#player-toggle").await;
    desk.site.wait_for("document.body.dataset.playing === 'false'", SOON).await.expect("the page is told");
    desk.site.bring_to_front().await.expect("in front");
    desk.site.click("#documents button").await.expect("a document's button");
    desk.client_is("document", "One sign-in for every tool").await;
    desk.picture(&desk.client, "client-document").await;
    // Behind the lock nothing is to be done.
    desk.click_client("#lock").await;
    desk.site.wait_for("document.querySelector('#work').inert", SOON).await.expect("covered");
    desk.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_steers_the_client_chromium() {
    a_page_steers_the_client(Engine::Chromium).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_steers_the_client_firefox() {
    a_page_steers_the_client(Engine::Firefox).await;
}
