//! Two tabs of one site are one session.

use crate::desk::Desk;
use crate::support::browser::Engine;

#[tokio::test]
async fn both_tabs_are_signed_in_and_out_together() {
    let desk = Desk::with_person(Engine::Chromium).await;
    let second = desk.context.new_page().await.expect("a tab");
    second.goto(&desk.demo.site_url()).await.expect("the site");
    desk.card(&second, "person").await;
    desk.site.bring_to_front().await.expect("the first tab in front");
    desk.sign_in().await;
    desk.session(&second, "in").await;
    desk.click_client("#sign-out").await;
    desk.session(&second, "out").await;
    desk.session(&desk.site, "out").await;
    desk.leave().await;
}
