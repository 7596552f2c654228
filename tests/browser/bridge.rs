//! The popup bridge: a page that the browser keeps from the agent opens a window of the agent's own, and signs in through it.

mod hostile;
mod house;

use crate::desk::SOON;
use crate::engines::{Row, seen};
use crate::support::browser::{Engine, LaunchOptions, Page, Permission};
use house::{House, KeptBy};

/// From the blocked card to the card with a name, through the window.
async fn through_the_window(house: &House, reason: &str) -> Page {
    house.open().await;
    house.card("blocked").await;
    let attributes = "[...$('loopkey-card').attributes].filter(({ name }) => name === 'reason')[0].value";
    assert_eq!(house.page.eval::<String>(attributes).await.expect("the reason"), reason);
    house.picture(&house.page, &format!("bridge-card-{reason}")).await;
    house.page.click("loopkey-card >>> #bridge").await.expect("the card's button");
    let window = house.window().await;
    window.wait_for("document.body.dataset.state === 'connected'", SOON).await.expect("the window is connected");
    house.picture(&window, "bridge-connected").await;
    house.page.bring_to_front().await.expect("the page in front");
    house.card("person").await;
    assert!(house.page.text("loopkey-card >>> #title").await.expect("the title").contains("Ada Lovelace"));
    let text = house.page.text("loopkey-card >>> #text").await.expect("the text");
    assert!(text.contains("Keep the small window open"), "{text}");
    house.picture(&house.page, "bridge-card-person").await;
    window
}

/// Answers the window's prompt once it takes input; the digits that it showed.
async fn answer(house: &House, window: &Page, button: &str) -> String {
    window.wait_for("document.body.dataset.state === 'asking'", SOON).await.expect("the prompt");
    // This brings the window to the front, which begins its dead time anew.
    house.picture(window, "bridge-asking").await;
    assert_eq!(window.text("#origin").await.expect("the origin"), house.site.url(), "whom it is for");
    assert_eq!(window.text("#account").await.expect("the account"), "Ada Lovelace");
    let digits = window.eval("[...document.querySelectorAll('#digits span')].map((d) => d.textContent).join('')").await;
    // A click that gives the window the focus counts for nothing, and the person clicks once more.
    for _ in 0..3 {
        window.wait_for("document.body.dataset.armed === 'true'", SOON).await.expect("it takes input");
        window.click(button).await.expect("the prompt's button");
        let taken = "document.body.dataset.state !== 'asking' || document.body.dataset.armed === 'false'";
        window.wait_for(taken, SOON).await.expect("the click arrives");
        if window.eval::<bool>("document.body.dataset.state !== 'asking'").await.expect("the state") {
            break;
        }
    }
    digits.expect("the digits")
}

async fn a_page_signs_in_through_the_window(engine: Engine, kept: KeptBy, reason: &str) {
    let house = House::new(engine, kept).await;
    let window = through_the_window(&house, reason).await;
    house.page.click("loopkey-card >>> #login").await.expect("the card's button");
    house.card("consent").await;
    let shown = house.page.text("loopkey-card >>> #digits").await.expect("the page's digits");
    house.picture(&house.page, "bridge-card-consent").await;
    // Whoever answers without reading says no.
    window.bring_to_front().await.expect("the window in front");
    let focused = "document.activeElement?.id === 'deny'";
    window.wait_for(focused, SOON).await.expect("the no has the focus");
    let asked = answer(&house, &window, "#allow").await;
    assert_eq!(shown.trim(), asked, "both show the same digits");
    house.page.bring_to_front().await.expect("the page in front");
    house.card("done").await;
    // The window closes by itself, and the session goes on.
    house.no_window().await;
    assert!(house.page.eval::<bool>("Boolean($('loopkey-card').loopkey.session)").await.expect("a session"));
    seen(Row::SmallWindow, engine);
    house.leave();
}

#[tokio::test]
async fn chromium_where_the_permission_is_denied() {
    a_page_signs_in_through_the_window(Engine::Chromium, KeptBy::Permission(Permission::Denied), "denied").await;
}

#[tokio::test]
async fn chromium_where_the_pages_own_policy_allows_no_socket() {
    a_page_signs_in_through_the_window(Engine::Chromium, KeptBy::Policy, "forbidden").await;
}

#[tokio::test]
async fn firefox_where_the_pages_own_policy_allows_no_socket() {
    a_page_signs_in_through_the_window(Engine::Firefox, KeptBy::Policy, "forbidden").await;
}

/// What the window is for in the first place.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn webkit_where_an_https_page_gets_no_socket() {
    a_page_signs_in_through_the_window(Engine::WebKit, KeptBy::WebKit, "forbidden").await;
}

#[tokio::test]
async fn a_no_in_the_window_is_a_no_and_may_be_thought_over() {
    let house = House::new(Engine::Chromium, KeptBy::Policy).await;
    let window = through_the_window(&house, "forbidden").await;
    house.page.click("loopkey-card >>> #login").await.expect("the card's button");
    answer(&house, &window, "#deny").await;
    window.wait_for("document.body.dataset.state === 'denied'", SOON).await.expect("the window says so");
    house.picture(&window, "bridge-denied").await;
    house.page.bring_to_front().await.expect("the page in front");
    house.card("refused").await;
    assert!(house.page.eval::<bool>("!$('loopkey-card').loopkey.session").await.expect("no session"));
    house.page.click("loopkey-card >>> #login").await.expect("the card's button");
    answer(&house, &window, "#allow").await;
    house.page.bring_to_front().await.expect("the page in front");
    house.card("done").await;
    house.leave();
}

#[tokio::test]
async fn a_cancelled_login_takes_the_prompt_out_of_the_window() {
    let house = House::new(Engine::Chromium, KeptBy::Policy).await;
    let window = through_the_window(&house, "forbidden").await;
    house.page.click("loopkey-card >>> #login").await.expect("the card's button");
    window.wait_for("document.body.dataset.state === 'asking'", SOON).await.expect("the prompt");
    house.page.bring_to_front().await.expect("the page in front");
    house.page.click("loopkey-card >>> #cancel").await.expect("the cancel button");
    window.wait_for("document.body.dataset.state === 'connected'", SOON).await.expect("the prompt goes");
    house.leave();
}

#[tokio::test]
async fn closing_the_window_ends_the_connection_and_the_card_says_so() {
    let house = House::new(Engine::Chromium, KeptBy::Policy).await;
    let window = through_the_window(&house, "forbidden").await;
    window.close().await.expect("closed");
    house.card("blocked").await;
    let told = house.page.text("loopkey-card >>> #title").await.expect("the title");
    assert_eq!(told, "The small window was closed");
    house.picture(&house.page, "bridge-card-closed").await;
    // And it opens again.
    house.page.click("loopkey-card >>> #bridge").await.expect("the card's button");
    house.card("person").await;
    house.leave();
}

#[tokio::test]
async fn the_window_speaks_both_languages_by_day_and_by_night() {
    for (language, question) in [("en", "Sign in?"), ("zh", "是否登录？")] {
        let options = LaunchOptions::default().argument(format!("--accept-lang={language}"));
        let house = House::launched(Engine::Chromium, KeptBy::Policy, options).await;
        let window = through_the_window(&house, "forbidden").await;
        window.set_viewport(420, 520).await.expect("a size");
        for dark in [false, true] {
            window.emulate_dark(dark).await.expect("the scheme");
            house
                .picture(&window, &format!("bridge-connected-{language}-{}", if dark { "dark" } else { "light" }))
                .await;
        }
        house.page.bring_to_front().await.expect("the page in front");
        house.page.click("loopkey-card >>> #login").await.expect("the card's button");
        window.bring_to_front().await.expect("the window in front");
        for dark in [false, true] {
            window.emulate_dark(dark).await.expect("the scheme");
            // Brought to the front before the picture, so that it takes input again by then.
            let armed = "document.body.dataset.armed === 'true' && !document.getAnimations().length";
            window.wait_for(armed, SOON).await.expect("the prompt");
            assert_eq!(window.text("#title").await.expect("the title"), question);
            house.picture(&window, &format!("bridge-asking-{language}-{}", if dark { "dark" } else { "light" })).await;
            let fits = "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth";
            assert!(window.eval::<bool>(fits).await.expect("the size"), "it fits its window");
        }
        house.leave();
    }
}
