//! Another device lets a browser in: a computer and a "phone", two contexts of one real browser that share nothing.

use crate::desk::{Desk, SOON};
use crate::support::browser::{Engine, Page};
use crate::support::camera;

const PHONE: (u32, u32) = (360, 740);
const BOX: &str = "document.querySelector('loopkey-card').shadowRoot.querySelector('.approval')";

/// A browser of its own in which the person is signed in.
async fn phone(desk: &Desk) -> Page {
    let context = desk.context.another().await.expect("a context of its own");
    let page = context.new_page().await.expect("a tab");
    page.set_viewport(PHONE.0, PHONE.1).await.expect("a size");
    page.goto(&desk.demo.site_url()).await.expect("the site");
    desk.card(&page, "person").await;
    desk.click_continue(&page).await;
    desk.card(&page, "consent").await;
    desk.answer("#consent-allow").await;
    desk.session(&page, "in").await;
    page
}

/// Another browser, at the site's card, where somebody chose this way in.
async fn computer(desk: &Desk, lang: &str) -> Page {
    let context = desk.context.another().await.expect("a context of its own");
    let page = context.new_page().await.expect("a tab");
    page.set_viewport(1100, 860).await.expect("a size");
    page.set_language(lang).await.expect("a language");
    page.goto(&desk.demo.site_url()).await.expect("the site");
    desk.card(&page, "person").await;
    page.click("loopkey-card >>> #ways").await.expect("the other ways");
    page.click("loopkey-card >>> #approval").await.expect("this way");
    page
}

async fn waits(page: &Page, phase: &str) {
    let condition = format!("{BOX}?.dataset.phase === '{phase}'");
    page.wait_for(&condition, SOON).await.unwrap_or_else(|error| panic!("never {phase}: {error:#}"));
}

/// What a camera reads from the computer's screen.
async fn seen(desk: &Desk, page: &Page) -> String {
    waits(page, "scan").await;
    page.wait_for(&format!("{BOX}.querySelector('img').naturalWidth > 0"), SOON).await.expect("the picture is shown");
    let svg: String = page.eval("fetch('/v1/orders/qr.svg').then((r) => r.text())").await.expect("the picture");
    let address = camera::read(&svg);
    assert!(address.starts_with(&format!("{}/q#1.", desk.demo.site_url())), "{address}");
    address
}

async fn is(page: &Page, phase: &str) {
    let condition = format!("document.body.dataset.phase === '{phase}'");
    page.wait_for(&condition, SOON).await.unwrap_or_else(|error| panic!("the phone never is {phase}: {error:#}"));
}

async fn scan(desk: &Desk, phone: &Page, address: &str, lang: &str) {
    // Another page in between: only the fragment would differ from one code to the next.
    phone.goto("about:blank").await.expect("an empty page");
    phone.goto(&address.replace("/q#", &format!("/q?lang={lang}#"))).await.expect("the page");
    is(phone, "ask").await;
    let wide: Vec<String> = phone
        .eval("[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5).map((e) => e.outerHTML.slice(0, 90))")
        .await
        .expect("the elements");
    assert_eq!(wide, Vec::<String>::new(), "wider than the phone");
    // Saying no is as large as saying yes.
    let sizes: Vec<(f64, f64)> = phone
        .eval("['deny', 'approve'].map((id) => { const r = document.getElementById(id).getBoundingClientRect(); return [r.width, r.height]; })")
        .await
        .expect("sizes");
    assert!((sizes[0].0 - sizes[1].0).abs() < 0.5 && sizes[0].1 == sizes[1].1 && sizes[0].1 >= 44.0, "{sizes:?}");
    desk.picture(phone, &format!("approve-{lang}")).await;
}

async fn digits(page: &Page) -> String {
    waits(page, "digits").await;
    page.eval(&format!("{BOX}.querySelector('.number').textContent")).await.expect("digits")
}

/// Types digits once input counts, and presses the button.
async fn press(phone: &Page, digits: &str, button: &str) {
    phone.bring_to_front().await.expect("the phone in front");
    phone.click("#code").await.expect("the field");
    phone.type_text(digits).await.expect("typed");
    // The dead time is over once a press counts: until then nothing happens.
    let pressed = format!(
        "(document.getElementById('{button}')?.click(), document.body.dataset.phase !== 'ask' || document.getElementById('{button}').disabled)"
    );
    phone.wait_for(&pressed, SOON).await.expect("the press counts");
}

/// In the dark, or no more. Firefox is told at its start alone, and stays as it is.
async fn darken(page: &Page, engine: Engine, dark: bool) {
    if engine == Engine::Chromium {
        page.emulate_dark(dark).await.expect("dark");
    }
}

async fn a_phone_lets_the_computer_in_and_says_no_too(engine: Engine) {
    let desk = Desk::with_person(engine).await;
    let phone = phone(&desk).await;

    // No, in Chinese and in the dark.
    darken(&phone, engine, true).await;
    let computer = computer(&desk, "zh").await;
    darken(&computer, engine, true).await;
    let address = seen(&desk, &computer).await;
    desk.picture(&computer, "approval-scan-zh").await;
    scan(&desk, &phone, &address, "zh").await;
    assert_eq!(digits(&computer).await.len(), 2);
    press(&phone, "", "deny").await;
    is(&phone, "denied").await;
    desk.picture(&phone, "approve-denied-zh").await;
    waits(&computer, "denied").await;
    desk.picture(&computer, "approval-denied-zh").await;
    desk.session(&computer, "out").await;

    // Again, and yes.
    computer.click("loopkey-card >>> #approval-again").await.expect("again");
    let address = seen(&desk, &computer).await;
    darken(&phone, engine, false).await;
    scan(&desk, &phone, &address, "en").await;
    let code = digits(&computer).await;
    darken(&computer, engine, false).await;
    desk.picture(&computer, "approval-digits").await;
    press(&phone, &code, "approve").await;
    is(&phone, "approved").await;
    desk.picture(&phone, "approve-approved").await;
    desk.session(&computer, "in").await;

    // The code is over, for whoever comes late.
    phone.goto("about:blank").await.expect("an empty page");
    phone.goto(&address).await.expect("the page");
    is(&phone, "unknown").await;
    for page in [&phone, &computer] {
        let violations: Vec<_> =
            page.console().into_iter().filter(|line| line.contains("Content Security Policy")).collect();
        assert!(violations.is_empty(), "a page broke its own policy: {violations:#?}");
    }
    desk.leave().await;
}

#[tokio::test]
async fn a_phone_lets_the_computer_in_and_says_no_too_chromium() {
    a_phone_lets_the_computer_in_and_says_no_too(Engine::Chromium).await;
}

#[tokio::test]
async fn a_phone_lets_the_computer_in_and_says_no_too_firefox() {
    a_phone_lets_the_computer_in_and_says_no_too(Engine::Firefox).await;
}

#[tokio::test]
async fn a34_a_phone_without_a_session_is_told_to_sign_in_first() {
    let desk = Desk::with_person(Engine::Chromium).await;
    let computer = computer(&desk, "en").await;
    let address = seen(&desk, &computer).await;
    desk.picture(&computer, "approval-scan").await;
    let context = desk.context.another().await.expect("a context of its own");
    let stranger = context.new_page().await.expect("a tab");
    stranger.set_viewport(PHONE.0, PHONE.1).await.expect("a size");
    stranger.goto(&address).await.expect("the page");
    is(&stranger, "stranger").await;
    desk.picture(&stranger, "approve-stranger").await;
    waits(&computer, "scan").await;
    // Given up, the card is as before.
    computer.click("loopkey-card >>> #approval-close").await.expect("cancel");
    computer.wait_for(&format!("!{BOX}"), SOON).await.expect("it is gone");
    desk.leave().await;
}

#[tokio::test]
async fn the_desktop_app_on_another_computer_lets_the_browser_in() {
    let desk = Desk::with_person(Engine::Chromium).await;
    let computer = computer(&desk, "en").await;
    waits(&computer, "scan").await;
    computer.click("loopkey-card >>> #approval-by-name").await.expect("the other way");
    waits(&computer, "name").await;
    computer.type_text("ada").await.expect("typed");
    desk.picture(&computer, "approval-name").await;
    computer.press("Enter").await.expect("the key");
    let code = digits(&computer).await;
    desk.picture(&computer, "approval-asked").await;
    desk.client.bring_to_front().await.expect("the client's window in front");
    let armed =
        "document.querySelector('#consent').open && document.querySelector('#consent').dataset.armed === 'true'";
    desk.client.wait_for(armed, SOON).await.expect("the question");
    desk.client.click("#consent-digits").await.expect("the field");
    desk.client.type_text(&code).await.expect("typed");
    desk.picture(&desk.client, "client-approval").await;
    // Typing it brings the window to the front, which begins the dead time anew.
    desk.client.wait_for(armed, SOON).await.expect("the question");
    desk.client.click("#consent-allow").await.expect("the button");
    desk.session(&computer, "in").await;
    desk.leave().await;
}
