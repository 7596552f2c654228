//! The browser's permission to reach apps on this device, on a page that Chromium holds to be public.

use crate::desk::{Desk, SOON, Site};
use crate::support::browser::{Engine, Permission};

#[tokio::test]
async fn nothing_connects_before_the_click_where_the_browser_would_ask() {
    let site = Site::Public(Permission::Prompt);
    let desk = Desk::new(Engine::Chromium, site).await;
    desk.open(site).await;
    desk.card(&desk.site, "invite").await;
    let state = desk.site.eval::<String>("document.querySelector('loopkey-card').getAttribute('reason')").await;
    assert_eq!(state.expect("the reason"), "needs_click");
    // Whatever a page tries on loopback without the permission leaves a line in the console.
    let tried = || desk.site.console().iter().any(|line| line.contains("127.0.0.1"));
    assert!(!tried(), "{:?}", desk.site.console());
    // It is the click that connects: a browser without a window answers its own question with no.
    desk.site.click("loopkey-card >>> #connect").await.expect("the card's button");
    desk.site.wait_for_console("ERR_BLOCKED_BY_LOCAL_NETWORK_ACCESS_CHECKS", SOON).await.expect("the click connects");
    desk.card(&desk.site, "absent").await;
    let url = desk.demo.site_url();
    desk.context.set_permission(&url, "loopback-network", Permission::Granted).await.expect("the permission is set");
    desk.card(&desk.site, "person").await;
    desk.sign_in().await;
    desk.leave().await;
}

#[tokio::test]
async fn a_denied_permission_is_named_and_other_ways_are_offered() {
    let site = Site::Public(Permission::Denied);
    let desk = Desk::new(Engine::Chromium, site).await;
    desk.open(site).await;
    desk.card(&desk.site, "blocked").await;
    desk.site.click("loopkey-card >>> #ways").await.expect("the way to other ways");
    let open = "document.querySelector('loopkey-card').shadowRoot.querySelector('#other').hidden === false";
    desk.site.wait_for(open, SOON).await.expect("other ways are shown");
    desk.picture(&desk.site, "other-ways").await;
    desk.leave().await;
}
