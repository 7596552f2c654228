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

/// What the card tells a person to do in the browser's own windows, with a picture of them.
async fn is_guided(engine: Engine, desk: &Desk, view: &str, guide: &str, steps: usize) {
    desk.card(&desk.site, view).await;
    for language in ["en", "zh"] {
        desk.site.click(&format!("#lang-{language}")).await.expect("the language");
        let speaks = format!(
            "document.querySelector('loopkey-card').lang.startsWith('{language}') && $('loopkey-card >>> #steps').children.length === {steps}"
        );
        desk.site.wait_for(&speaks, SOON).await.expect("so many steps");
        let drawn = "$('loopkey-card >>> .guide svg').getBoundingClientRect().height > 80";
        assert!(desk.site.eval::<bool>(drawn).await.expect("a picture"));
        desk.picture(&desk.site, &format!("guide-{guide}-{language}")).await;
        // Firefox is told of the theme when it starts.
        if engine == Engine::Chromium {
            desk.site.emulate_dark(true).await.expect("the theme");
            desk.picture(&desk.site, &format!("guide-{guide}-{language}-dark")).await;
            desk.site.emulate_dark(false).await.expect("the theme");
        }
    }
}

async fn a_denied_permission_is_named_and_other_ways_are_offered(engine: Engine, steps: usize) {
    let site = Site::Public(Permission::Denied);
    let desk = Desk::new(engine, site).await;
    desk.open(site).await;
    is_guided(engine, &desk, "blocked", "again", steps).await;
    desk.site.click("loopkey-card >>> #ways").await.expect("the way to other ways");
    let open = "document.querySelector('loopkey-card').shadowRoot.querySelector('#other').hidden === false";
    desk.site.wait_for(open, SOON).await.expect("other ways are shown");
    desk.picture(&desk.site, "other-ways").await;
    // The person does as the card says.
    let url = desk.demo.site_url();
    desk.context.set_permission(&url, "loopback-network", Permission::Granted).await.expect("the permission is set");
    desk.card(&desk.site, "person").await;
    desk.leave().await;
}

#[tokio::test]
async fn a_denied_permission_is_named_and_other_ways_are_offered_chromium() {
    a_denied_permission_is_named_and_other_ways_are_offered(Engine::Chromium, 2).await;
}

#[tokio::test]
async fn a_denied_permission_is_named_and_other_ways_are_offered_firefox() {
    a_denied_permission_is_named_and_other_ways_are_offered(Engine::Firefox, 3).await;
}

async fn a_granted_permission_needs_no_click(engine: Engine) {
    let site = Site::Public(Permission::Granted);
    let desk = Desk::new(engine, site).await;
    desk.open(site).await;
    desk.card(&desk.site, "person").await;
    desk.sign_in().await;
    desk.leave().await;
}

#[tokio::test]
async fn a_granted_permission_needs_no_click_chromium() {
    a_granted_permission_needs_no_click(Engine::Chromium).await;
}

#[tokio::test]
async fn a_granted_permission_needs_no_click_firefox() {
    a_granted_permission_needs_no_click(Engine::Firefox).await;
}

/// A Firefox without a window keeps its question open.
#[tokio::test]
async fn firefox_asks_and_its_answer_is_waited_for() {
    let site = Site::Public(Permission::Prompt);
    let desk = Desk::new(Engine::Firefox, site).await;
    desk.open(site).await;
    desk.card(&desk.site, "invite").await;
    desk.site.click("loopkey-card >>> #connect").await.expect("the card's button");
    is_guided(Engine::Firefox, &desk, "asking", "ask", 2).await;
    let url = desk.demo.site_url();
    desk.context.set_permission(&url, "loopback-network", Permission::Granted).await.expect("the permission is set");
    desk.card(&desk.site, "person").await;
    desk.sign_in().await;
    desk.leave().await;
}

#[tokio::test]
async fn a_firefox_that_does_not_ask_for_sockets_is_not_kept_from_them() {
    for permission in [Permission::Prompt, Permission::Denied] {
        let site = Site::Ungated(permission);
        let desk = Desk::new(Engine::Firefox, site).await;
        desk.open(site).await;
        if permission == Permission::Prompt {
            desk.card(&desk.site, "invite").await;
            desk.site.click("loopkey-card >>> #connect").await.expect("the card's button");
        }
        desk.card(&desk.site, "person").await;
        desk.leave().await;
    }
}
