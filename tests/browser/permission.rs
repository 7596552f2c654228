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
    // Every connection that a page tries leaves a mark in the browser's own record, granted or not.
    let tried = "performance.getEntriesByType('resource').filter(e => e.name.includes('127.0.0.1')).length";
    assert_eq!(desk.site.eval::<u32>(tried).await.expect("a count"), 0);
    let url = desk.demo.site_url();
    desk.context.set_permission(&url, "loopback-network", Permission::Granted).await.expect("the permission is set");
    // The person says yes: the card goes on, by the click or by the news of the permission.
    let _ = desk.site.click("loopkey-card >>> #connect").await;
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
