//! The page "Your devices and sessions", on a phone's and on a desk's screen.

use crate::desk::{Desk, SOON};
use crate::support::browser::{Engine, Page};

const PHONE: (u32, u32) = (360, 740);
const DESK: (u32, u32) = (1100, 860);

async fn is(page: &Page, phase: &str) {
    let condition = format!("document.body.dataset.phase === '{phase}'");
    page.wait_for(&condition, SOON).await.unwrap_or_else(|error| panic!("the page is never {phase}: {error:#}"));
}

/// The page in a tab of its own, in the same browser as the site.
async fn opened(desk: &Desk, size: (u32, u32)) -> Page {
    let page = desk.context.new_page().await.expect("a tab");
    page.set_viewport(size.0, size.1).await.expect("a size");
    page.goto(&format!("{}/account?lang=en", desk.demo.site_url())).await.expect("the page");
    is(&page, "ready").await;
    page
}

/// Signs in in a browser of its own.
async fn elsewhere(desk: &Desk) -> Page {
    let context = desk.context.another().await.expect("a context of its own");
    let page = context.new_page().await.expect("a tab");
    page.goto(&desk.demo.site_url()).await.expect("the site");
    desk.card(&page, "person").await;
    desk.click_continue(&page).await;
    desk.card(&page, "consent").await;
    desk.answer("#consent-allow").await;
    desk.session(&page, "in").await;
    page
}

async fn count(page: &Page, selector: &str) -> usize {
    page.eval(&format!("document.querySelectorAll('{selector}').length")).await.expect("a number")
}

/// Nothing is wider than the screen, and everything that can be pressed is high enough for a finger.
async fn fits(page: &Page) {
    let wide: Vec<String> = page
        .eval("[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.unseen')).map((e) => e.outerHTML.slice(0, 90))")
        .await
        .expect("the elements");
    assert_eq!(wide, Vec::<String>::new(), "wider than the screen");
    let low: Vec<f64> = page
        .eval("[...document.querySelectorAll('button')].map((b) => b.getBoundingClientRect().height).filter((h) => h < 40)")
        .await
        .expect("the heights");
    assert_eq!(low, Vec::<f64>::new(), "too low for a finger");
}

fn kept_its_policy(page: &Page) {
    let violations: Vec<_> =
        page.console().into_iter().filter(|line| line.contains("Content Security Policy")).collect();
    assert!(violations.is_empty(), "the page broke its own policy: {violations:#?}");
}

async fn a_person_sees_and_ends_sessions(engine: Engine) {
    let desk = Desk::with_person(engine).await;
    desk.sign_in().await;
    let other = elsewhere(&desk).await;
    let page = opened(&desk, PHONE).await;
    assert_eq!((count(&page, "#sessions li").await, count(&page, "#sessions .badge").await), (2, 1));
    assert_eq!(count(&page, "#devices li").await, 1);
    fits(&page).await;
    desk.picture(&page, "account-phone").await;
    page.set_viewport(DESK.0, DESK.1).await.expect("a size");
    fits(&page).await;
    desk.picture(&page, "account").await;

    // Without a mouse: the second button of the list is the other browser's.
    page.eval::<()>("document.querySelector('#sessions li:not(.current) button').focus() ?? null")
        .await
        .expect("the focus");
    page.press("Enter").await.expect("the key");
    page.wait_for("document.querySelectorAll('#sessions li').length === 1", SOON).await.expect("it is gone");
    assert_eq!(page.text("[role=status]").await.expect("what is said"), "The session has ended.");
    desk.session(&other, "out").await;

    // The desktop program signs out, and the page is told.
    desk.click_client("#sign-out").await;
    is(&page, "none").await;
    assert!(page.text("main").await.expect("the text").contains("The desktop app was signed out on your computer."));
    let back: String = page.eval("document.querySelector('a').href").await.expect("a link");
    assert_eq!(back, format!("{}/", desk.demo.site_url()));
    desk.picture(&page, "account-signed-out").await;
    kept_its_policy(&page);
    desk.leave().await;
}

#[tokio::test]
async fn sessions_in_chromium() {
    a_person_sees_and_ends_sessions(Engine::Chromium).await;
}

#[tokio::test]
async fn sessions_in_firefox() {
    a_person_sees_and_ends_sessions(Engine::Firefox).await;
}

#[tokio::test]
async fn a_device_is_removed_after_one_question() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.sign_in().await;
    desk.site.click("#account-link").await.expect("the link");
    let page = &desk.site;
    is(page, "ready").await;
    page.set_viewport(PHONE.0, PHONE.1).await.expect("a size");
    page.click("#devices li button").await.expect("the button");
    page.wait_for("document.activeElement.id === 'question-no'", SOON)
        .await
        .expect("the focus on what changes nothing");
    assert!(page.text(".question").await.expect("the question").contains("you will be signed out here"));
    fits(page).await;
    desk.picture(page, "account-question-phone").await;
    page.press("Enter").await.expect("the key");
    page.wait_for("document.activeElement.id.startsWith('remove-')", SOON).await.expect("the focus is back");
    assert_eq!(count(page, ".question").await, 0);
    page.click("#devices li button").await.expect("the button");
    page.click("#question-yes").await.expect("the answer");
    is(page, "none").await;
    assert!(page.text("main").await.expect("the text").contains("The device that signed you in was removed."));
    desk.leave().await;
}

#[tokio::test]
async fn out_everywhere_in_chinese_and_in_the_dark() {
    let desk = Desk::with_person(Engine::Chromium).await;
    desk.sign_in().await;
    let other = elsewhere(&desk).await;
    let page = desk.context.new_page().await.expect("a tab");
    page.set_language("zh-CN").await.expect("the language");
    page.emulate_dark(true).await.expect("the dark");
    page.set_viewport(DESK.0, DESK.1).await.expect("a size");
    page.goto(&format!("{}/account", desk.demo.site_url())).await.expect("the page");
    is(&page, "ready").await;
    assert_eq!(page.text("#title").await.expect("the title"), "您的设备与会话");
    desk.picture(&page, "account-zh-dark").await;
    page.set_viewport(PHONE.0, PHONE.1).await.expect("a size");
    page.click("#everywhere-button").await.expect("the button");
    fits(&page).await;
    desk.picture(&page, "account-zh-dark-phone").await;
    page.click("#question-yes").await.expect("the answer");
    is(&page, "none").await;
    assert_eq!(page.text("#title").await.expect("the title"), "您已退出登录");
    desk.picture(&page, "account-zh-dark-phone-out").await;
    desk.session(&other, "out").await;
    kept_its_policy(&page);
    desk.leave().await;
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_back_to_the_site() {
    let desk = Desk::with_person(Engine::Chromium).await;
    let page = desk.context.new_page().await.expect("a tab");
    page.set_viewport(PHONE.0, PHONE.1).await.expect("a size");
    page.goto(&format!("{}/account?lang=en", desk.demo.site_url())).await.expect("the page");
    is(&page, "none").await;
    desk.picture(&page, "account-nobody-phone").await;
    page.click("a").await.expect("the link back");
    desk.card(&page, "person").await;
    desk.leave().await;
}
