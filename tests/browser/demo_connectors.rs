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
