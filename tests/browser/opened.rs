//! From the client to a page that is signed in: one click in the client, none in the page.

use crate::desk::{Desk, SOON, Site};
use crate::support::browser::Engine;

async fn the_client_opens_the_site_signed_in(engine: Engine) {
    let desk = Desk::new(engine, Site::Local).await;
    desk.click_client("#open-site").await;
    desk.client
        .wait_for("document.querySelector('#log li')?.textContent.includes('opens in the browser')", SOON)
        .await
        .expect("opened");
    let address = desk.opened.take().expect("an address");
    desk.site.goto(&address).await.expect("the site");
    desk.session(&desk.site, "in").await;
    let place: String = desk.site.eval("location.href").await.expect("an address");
    assert_eq!(place, format!("{}/", desk.demo.site_url()), "the mark is gone from the address");
    // A person who opens the same address again, or finds it in the history, has to click.
    desk.site.click("#logout").await.expect("a button");
    desk.session(&desk.site, "out").await;
    let second = desk.context.new_page().await.expect("a tab");
    second.goto(&address).await.expect("the site");
    desk.card(&second, "person").await;
    desk.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_opens_the_site_signed_in_chromium() {
    the_client_opens_the_site_signed_in(Engine::Chromium).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_opens_the_site_signed_in_firefox() {
    the_client_opens_the_site_signed_in(Engine::Firefox).await;
}
