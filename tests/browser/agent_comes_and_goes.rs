//! The agent is not there, dies in the middle, and comes back.

use crate::desk::{Desk, Site};
use crate::support::browser::Engine;

#[tokio::test]
async fn an_absent_agent_is_said_and_found_when_it_comes() {
    let desk = Desk::new(Engine::Chromium, Site::Local).await;
    desk.click_client("#agent").await;
    desk.client_is("agent", "stopped").await;
    desk.open(Site::Local).await;
    desk.card(&desk.site, "absent").await;
    desk.click_client("#agent").await;
    desk.client_is("agent", "running").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "person").await;
    desk.sign_in().await;
    desk.leave().await;
}

#[tokio::test]
async fn an_agent_that_dies_in_the_middle_of_a_login_is_survived() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    // As a crash would: the client's own window is behind its prompt.
    desk.demo.stop_agent().await;
    desk.client_is("agent", "stopped").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "absent").await;
    desk.session(&desk.site, "out").await;
    desk.click_client("#agent").await;
    desk.client_is("agent", "running").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.site
        .wait_for(
            "['person', 'refused'].includes(document.querySelector('loopkey-card').getAttribute('view'))",
            crate::desk::SOON,
        )
        .await
        .expect("the person is picked up again");
    desk.sign_in().await;
    desk.leave().await;
}
