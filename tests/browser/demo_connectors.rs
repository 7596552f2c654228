//! The demo's site offers providers beside the agent, and each of them ends signed in there: DingTalk's page as a whole and in
//! a frame, and a certified OpenID provider's.

use loopkey::demo::Beside;

use crate::connectors::{Provider, SECRET, consent_at};
use crate::desk::{Desk, SOON, Site, options};
use crate::support::browser::{Engine, Page};
use crate::support::places::free_places;
use crate::support::trace;

const DING: &str = "loopkey-card >>> [data-way=dingtalk]";

async fn desk(engine: Engine, beside: Beside) -> Desk {
    let places = free_places();
    let options = options(&places, engine, Site::Local);
    let desk = Desk::beside(places, engine, Site::Local, options, beside).await;
    // Nobody answers: the ways are shown without a click.
    desk.demo.stop_agent().await;
    desk.open(Site::Local).await;
    desk.card(&desk.site, "absent").await;
    desk
}

async fn with_dingtalk(engine: Engine) -> Desk {
    desk(engine, Beside { dingtalk: true, ..Beside::default() }).await
}

async fn shown(page: &Page, selector: &str) {
    let condition = format!("!!$('{selector}')?.checkVisibility()");
    page.wait_for(&condition, SOON).await.unwrap_or_else(|error| panic!("{selector} is never shown: {error:#}"));
}

/// By its element and not by its place: what is above on the page may still grow while it is looked at.
async fn press(page: &Page, selector: &str) {
    page.eval::<()>(&format!("$('{selector}').click() ?? null"))
        .await
        .unwrap_or_else(|error| panic!("{selector}: {error:#}"));
}

async fn signed_in_as(desk: &Desk, name: &str, method: &str) {
    desk.session(&desk.site, "in").await;
    assert_eq!(desk.site.text("#person-name").await.expect("the name"), name);
    let session: serde_json::Value =
        desk.site.eval("fetch('/v1/session').then((answer) => answer.json())").await.expect("a session");
    assert_eq!(session["method"], method);
    let address: String = desk.site.eval("location.href").await.expect("an address");
    assert_eq!(address, format!("{}/", desk.demo.site_url()), "where it began, with nothing left in the address");
}

/// The link that is under the frame leads to the page as a whole, which asks who it is.
async fn as_a_page(desk: &Desk, choice: &str) {
    shown(&desk.site, DING).await;
    desk.site.click(DING).await.expect("the way");
    shown(&desk.site, "loopkey-card >>> .frame iframe").await;
    desk.picture(&desk.site, "ways-frame").await;
    let link = desk.site.text("loopkey-card >>> .frame + a").await.expect("the link");
    assert_eq!(link, "Open DingTalk · 钉钉 as a page instead");
    desk.site.click("loopkey-card >>> .frame + a").await.expect("the link");
    let choice = format!("a[data-person=\"{choice}\"]");
    shown(&desk.site, &choice).await;
    desk.picture(&desk.site, "dingtalk").await;
    desk.site.click(&choice).await.expect("a choice");
}

async fn dingtalk_from_the_demo(engine: Engine) {
    let desk = with_dingtalk(engine).await;
    as_a_page(&desk, "").await;
    desk.card(&desk.site, "absent").await;
    let notice = desk.site.text("loopkey-card >>> .other .notice").await.expect("a sentence");
    assert_eq!(notice, "You were not let in. You can try again.");
    as_a_page(&desk, "lin").await;
    signed_in_as(&desk, "林小雨", "connector:dingtalk").await;

    // In the frame, where DingTalk knows who sits there: it says so by a message, and twice.
    desk.site.click("#logout").await.expect("the button");
    desk.session(&desk.site, "out").await;
    {
        let mut state = desk.demo.dingtalk().expect("it is there").state();
        let corp = state.corps.keys().next().cloned().expect("an organisation");
        (state.asks_who, state.person) = (false, Some((corp, "sam".to_owned())));
    }
    shown(&desk.site, DING).await;
    desk.site.click(DING).await.expect("the way");
    signed_in_as(&desk, "Sam Okafor", "connector:dingtalk").await;
    desk.demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d04_d12_dingtalk_from_the_demo_chromium() {
    dingtalk_from_the_demo(Engine::Chromium).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d04_d12_dingtalk_from_the_demo_firefox() {
    dingtalk_from_the_demo(Engine::Firefox).await;
}

/// Somebody who is at work in the frame, and says no in it.
#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_in_the_frame_reads_one_sentence() {
    let desk = with_dingtalk(Engine::Chromium).await;
    {
        let mut state = desk.demo.dingtalk().expect("it is there").state();
        (state.asks_who, state.person) = (false, None);
    }
    shown(&desk.site, DING).await;
    desk.site.click(DING).await.expect("the way");
    shown(&desk.site, "loopkey-card >>> .other .notice").await;
    let notice = desk.site.text("loopkey-card >>> .other .notice").await.expect("a sentence");
    assert_eq!(notice, "You were not let in. You can try again.");
    desk.picture(&desk.site, "ways-notice").await;
    desk.session(&desk.site, "out").await;
    desk.demo.stop().await;
}

/// Whoever is signed in to Harbor is signed in to the site, which offers DingTalk too.
async fn signed_in_beside_dingtalk() -> Desk {
    let places = free_places();
    let options = options(&places, Engine::Chromium, Site::Local);
    let beside = Beside { dingtalk: true, ..Beside::default() };
    let desk = Desk::beside(places, Engine::Chromium, Site::Local, options, beside).await;
    desk.open(Site::Local).await;
    desk.card(&desk.site, "person").await;
    desk.sign_in().await;
    desk
}

/// Harbor is Ada's: the page of somebody who came by DingTalk says nothing of it, and has nothing to open there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_harbor_is_shown_to_whom_it_belongs() {
    let desk = signed_in_beside_dingtalk().await;
    shown(&desk.site, "#player").await;
    desk.site.click("#logout").await.expect("the button");
    desk.session(&desk.site, "out").await;
    shown(&desk.site, "#notice").await;
    press(&desk.site, "loopkey-card >>> #ways").await;
    shown(&desk.site, "#notice").await;
    shown(&desk.site, DING).await;
    press(&desk.site, DING).await;
    desk.site.wait_for("$('#notice').hidden", SOON).await.expect("a new attempt, and no old ending");
    shown(&desk.site, "loopkey-card >>> .frame + a").await;
    press(&desk.site, "loopkey-card >>> .frame + a").await;
    shown(&desk.site, "a[data-person=sam]").await;
    desk.site.click("a[data-person=sam]").await.expect("a choice");
    signed_in_as(&desk, "Sam Okafor", "connector:dingtalk").await;
    assert_eq!(desk.site.text("#method").await.expect("a way"), "DingTalk");
    desk.site.wait_for("document.body.dataset.presence === 'signed_in'", SOON).await.expect("Harbor is there");
    let of_harbor: Vec<String> = desk
        .site
        .eval("[...document.querySelectorAll('#presence, #player, #device-row, .open')].filter((e) => e.checkVisibility()).map((e) => e.outerHTML)")
        .await
        .expect("the elements");
    assert_eq!(of_harbor, Vec::<String>::new());
    desk.demo.stop().await;
}

/// Whoever signed in with the desktop program links an account elsewhere, and is the same person with it from then on.
#[tokio::test(flavor = "multi_thread")]
async fn d10_d11_a_person_links_an_account_elsewhere_and_takes_it_away_again() {
    let desk = signed_in_beside_dingtalk().await;

    let page = desk.context.new_page().await.expect("a tab");
    page.set_viewport(360, 740).await.expect("a size");
    page.goto(&format!("{}/account?lang=en", desk.demo.site_url())).await.expect("the page");
    shown(&page, "#link-dingtalk").await;
    assert!(page.text("#identities").await.expect("the panel").contains("No account is linked."));
    press(&page, "#link-dingtalk").await;
    shown(&page, "a[data-person=\"\"]").await;
    page.click("a[data-person=\"\"]").await.expect("no");
    shown(&page, "#identities .trouble").await;
    let trouble = page.text("#identities .trouble").await.expect("a sentence");
    assert_eq!(trouble, "Nothing was linked.");
    press(&page, "#link-dingtalk").await;
    shown(&page, "a[data-person=\"lin\"]").await;
    page.click("a[data-person=\"lin\"]").await.expect("a choice");
    shown(&page, "#identities li").await;
    let linked = page.text("#identities li").await.expect("what is linked");
    assert!(linked.contains("DingTalk · 钉钉") && linked.contains("As 林小雨"), "{linked}");
    let wide: Vec<String> = page
        .eval("[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.unseen')).map((e) => e.outerHTML.slice(0, 90))")
        .await
        .expect("the elements");
    assert_eq!(wide, Vec::<String>::new(), "wider than the screen");
    desk.picture(&page, "account-linked").await;

    // Her DingTalk account signs Ada in now.
    desk.site.bring_to_front().await.expect("the site in front");
    desk.site.click("#logout").await.expect("the button");
    desk.session(&desk.site, "out").await;
    desk.demo.stop_agent().await;
    desk.card(&desk.site, "absent").await;
    as_a_page(&desk, "lin").await;
    signed_in_as(&desk, "Ada Lovelace", "connector:dingtalk").await;

    page.bring_to_front().await.expect("the page in front");
    page.goto(&format!("{}/account?lang=zh", desk.demo.site_url())).await.expect("the page");
    shown(&page, "#identities li button").await;
    press(&page, "#identities li button").await;
    shown(&page, "#question-yes").await;
    desk.picture(&page, "account-unlink-zh").await;
    press(&page, "#question-yes").await;
    page.wait_for("!$('#identities li')", SOON).await.expect("it is gone");
    assert_eq!(page.text("[role=status]").await.expect("what is said"), "已解除关联 林小雨。");
    desk.site.click("#logout").await.expect("the button");
    desk.session(&desk.site, "out").await;
    as_a_page(&desk, "lin").await;
    signed_in_as(&desk, "林小雨", "connector:dingtalk").await;
    desk.demo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_provider_from_the_demo() {
    trace::start();
    trace::note(SECRET);
    let places = free_places();
    let provider = Provider::start(&format!("http://localhost:{}", places.site)).await;
    let options = options(&places, Engine::Chromium, Site::Local);
    let beside = Beside { connectors: vec![provider.client("rsa")], ..Beside::default() };
    let desk = Desk::beside(places, Engine::Chromium, Site::Local, options, beside).await;
    desk.demo.stop_agent().await;
    desk.open(Site::Local).await;
    let way = "loopkey-card >>> [data-way=rsa]";
    shown(&desk.site, way).await;
    desk.site.click(way).await.expect("the way");
    consent_at(&provider, &desk.site, "ada").await;
    signed_in_as(&desk, "ada of the provider", "connector:rsa").await;
    desk.demo.stop().await;
}
