//! Approval (protocol section 8): one browser asks to be let in, another device decides. The test is both, and the camera.

use std::net::SocketAddr;

use loopkey::protocol::id::{Epoch, Nonce, OrderId};
use loopkey::protocol::link::{Asking, ToAgent, ToServer};
use loopkey::protocol::order::{Decision, Digits, Place};
use loopkey::protocol::statement::{Approval, sign};
use loopkey::store::{AccountId, NoteKey, NoteKind};
use serde_json::{Value, json};

use super::browser::{Browser, SESSION};
use super::device::{Device, issuer};
use super::http::{Answer, Stream};
use super::link::TestLink;
use super::{ORIGIN, Server};
use crate::support::camera;

pub(super) const ORDER: &str = "__Host-loopkey_order";

/// An order as its browser has it.
struct Waiting {
    browser: Browser,
    code: String,
}

impl Waiting {
    async fn open_at(mut browser: Browser, body: Value) -> Self {
        let answer = browser.post("/v1/orders", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let code = answer.json()["code"].as_str().expect("digits").to_owned();
        Self { browser, code }
    }

    async fn scan(server: &Server) -> Self {
        Self::open_at(server.browser(), json!({})).await
    }

    async fn agents(server: &Server, account: &str) -> Self {
        Self::open_at(server.browser(), json!({"account": account})).await
    }

    /// The fragment that a camera reads from the picture of this moment.
    async fn picture(&mut self) -> String {
        let answer = self.browser.get("/v1/orders/qr.svg").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/svg+xml")), "{answer:?}");
        let address = camera::read(&answer.body);
        address.strip_prefix("https://app.example.com/loopkey/q#").expect("an address of the login server").to_owned()
    }

    async fn events(&self) -> Stream {
        self.browser.call("GET", "/v1/orders/events").open(self.browser.address()).await
    }

    async fn finish(&mut self) -> Answer {
        self.browser.post("/v1/orders/finish", json!({})).await
    }

    /// Other digits than the right ones.
    fn wrong(&self) -> String {
        if self.code == "47" { "48".into() } else { "47".into() }
    }
}

fn says(state: &str) -> String {
    format!("\"state\":\"{state}\"")
}

/// A browser in which somebody is signed in: a phone.
async fn phone(server: &Server, account: &str) -> Browser {
    let device = Device::enrol(server, account).await;
    signed_in(server, &device).await
}

async fn signed_in(server: &Server, device: &Device) -> Browser {
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let answer = browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    browser
}

async fn scan(phone: &mut Browser, picture: &str) -> Answer {
    phone.post("/v1/approvals/scan", json!({"code": picture})).await
}

async fn decide(phone: &mut Browser, scanned: &Answer, decision: &str, code: &str) -> Answer {
    phone
        .post("/v1/approvals/decide", json!({"order": scanned.json()["order"], "decision": decision, "code": code}))
        .await
}

#[tokio::test]
async fn a_phone_scans_types_and_the_browser_that_waits_is_signed_in() {
    let server = Server::start().await;
    let mut phone = phone(&server, "ada").await;
    let mut browser = server.browser();
    browser.user_agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let mut waiting = Waiting::open_at(browser, json!({})).await;
    let mut events = waiting.events().await;
    events.until("\"state\":\"pending\",\"picture\":0").await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut phone, &picture).await;
    assert_eq!(scanned.status, 200, "{scanned:?}");
    let shown = scanned.json();
    let about = (&shown["origin"], &shown["browser"], &shown["place"], &shown["same_network"], &shown["name"]);
    assert_eq!(
        about,
        (&json!(ORIGIN), &json!("Firefox on Windows"), &json!("here"), &json!(true), &json!("ada")),
        "{shown}"
    );
    let members: Vec<_> = shown.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = ["browser", "name", "order", "origin", "place", "same_network", "seconds"];
    assert_eq!(members, expected, "the digits are read from the other screen");
    events.until(&says("scanned")).await;
    waiting.browser.get("/v1/orders/qr.svg").await.expect_error(401, "invalid_order");
    // The page is loaded again: the same browser goes on with what it took on.
    assert_eq!(scan(&mut phone, &picture).await.status, 200);
    waiting.finish().await.expect_error(401, "invalid_order");
    let decided = decide(&mut phone, &scanned, "approve", &waiting.code).await;
    assert_eq!((decided.status, decided.json()), (200, json!({"state": "approved"})));
    events.until(&says("approved")).await;
    let answer = waiting.finish().await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
    assert!(waiting.browser.cookies.contains_key(SESSION) && !waiting.browser.cookies.contains_key(ORDER));
    let session = waiting.browser.get("/v1/session").await.json();
    let of = (&session["account"], &session["method"], &session["device"]);
    assert_eq!(of, (&json!("ada"), &json!("approval"), &Value::Null));
    let told = events.rest().await;
    for identity in ["ada", shown["order"].as_str().expect("an order")] {
        assert!(!told.contains(identity), "the stream names nobody: {told}");
    }
    let acts: Vec<_> = server.store.audit_tail(None, 10).await.expect("store").into_iter().map(|e| e.what).collect();
    assert_eq!(acts[..2], ["signed_in", "approval_given"], "newest first");
}

#[tokio::test]
async fn an_agent_is_asked_over_its_link_and_its_a_signs_in_until_its_epoch_rises() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let (mut other, ..) = TestLink::open(&server, &Device::enrol(&server, "lin").await).await;
    let mut waiting = Waiting::agents(&server, "ada").await;
    let mut events = waiting.events().await;
    let ToAgent::Approval(asking) = link.hear().await else { panic!("the agent is asked") };
    assert_eq!((asking.origin.as_str(), asking.place, asking.seconds), (ORIGIN, Place::Here, 120));
    let statement = a(&device, &asking, Decision::Approve, &waiting.code);
    link.say(&ToServer::ApprovalResult { statement }).await;
    events.until(&says("approved")).await;
    assert_eq!(link.hear().await, ToAgent::ApprovalOver { order: asking.order });
    assert_eq!(waiting.finish().await.status, 204);
    let session = waiting.browser.get("/v1/session").await.json();
    assert_eq!((&session["method"], &session["device"]), (&json!("approval"), &json!(device.id())));
    assert!(waiting.browser.is_signed_in().await);
    assert_eq!(server.machine("POST", "/v1/sign-outs", json!({"statement": device.sign_out(1)})).await.status, 204);
    assert!(!waiting.browser.is_signed_in().await, "it ends with the device's epoch");
    other.is_alive(&device).await; // and was told nothing before
}

/// A of a device about what it was asked.
fn a(device: &Device, asking: &Asking, decision: Decision, code: &str) -> String {
    sign(&claims(device, asking, decision, code), &device.key).expect("A")
}

fn claims(device: &Device, asking: &Asking, decision: Decision, code: &str) -> Approval {
    Approval {
        iss: device.issuer.clone(),
        aud: issuer(),
        sub: device.subject.clone(),
        order: asking.order,
        nonce: asking.nonce,
        code: Digits::try_from(code.to_owned()).expect("two digits"),
        decision,
        epo: device.epoch,
    }
}

#[tokio::test]
async fn an_agent_without_a_link_answers_by_a_call_and_every_spoiled_a_is_refused() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let stranger = Device::enrol(&server, "eve").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let mut waiting = Waiting::agents(&server, "ada").await;
    let ToAgent::Approval(asking) = link.hear().await else { panic!("the agent is asked") };
    let sound = || claims(&device, &asking, Decision::Approve, &waiting.code);
    let post = async |statement: String| server.machine("POST", "/v1/approvals", json!({"statement": statement})).await;
    let spoiled = [
        Approval { aud: "https://elsewhere.example".parse().expect("an issuer"), ..sound() },
        Approval { iss: stranger.issuer.clone(), ..sound() },
        Approval { sub: stranger.subject.clone(), ..sound() },
        Approval { order: OrderId::from_bytes([9; 16]), ..sound() },
        Approval { nonce: Nonce::from_bytes([9; 32]), ..sound() },
    ];
    for spoiled in spoiled {
        let answer = post(sign(&spoiled, &device.key).expect("A")).await;
        answer.expect_error(401, "invalid_statement");
    }
    // Another account's device, by its own key and word: the order is not for it.
    post(a(&stranger, &asking, Decision::Approve, &waiting.code)).await.expect_error(401, "invalid_statement");
    // Signed by another key than it names.
    post(sign(&sound(), &stranger.key).expect("A")).await.expect_error(401, "invalid_statement");
    // Of before a sign-out.
    server.store.raise_epoch(&device.issuer.0, Epoch(7)).await.expect("store");
    post(sign(&sound(), &device.key).expect("A")).await.expect_error(401, "invalid_statement");
    let answer = post(sign(&Approval { epo: Epoch(7), ..sound() }, &device.key).expect("A")).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    // One answer counts.
    post(sign(&Approval { epo: Epoch(7), ..sound() }, &device.key).expect("A"))
        .await
        .expect_error(401, "invalid_statement");
    let from_a_page = server.browser().post("/v1/approvals", json!({"statement": "a.b.c"})).await;
    from_a_page.expect_error(403, "forbidden");
    assert_eq!(waiting.finish().await.status, 204);
}

#[tokio::test]
async fn an_agent_that_links_up_later_is_asked_too() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut first, ..) = TestLink::open(&server, &device).await;
    let _waiting = Waiting::agents(&server, "ada").await;
    assert!(matches!(first.hear().await, ToAgent::Approval(_)));
    let (mut second, ..) = TestLink::open(&server, &device).await;
    assert!(matches!(second.hear().await, ToAgent::Approval(_)), "the link is another, the order the same");
}

#[tokio::test]
async fn a_device_that_is_revoked_behind_its_approval_lets_nobody_in() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let mut waiting = Waiting::agents(&server, "ada").await;
    let ToAgent::Approval(asking) = link.hear().await else { panic!("the agent is asked") };
    let statement = a(&device, &asking, Decision::Approve, &waiting.code);
    assert_eq!(server.machine("POST", "/v1/approvals", json!({"statement": statement})).await.status, 204);
    let ada: AccountId = "ada".parse().expect("an account");
    assert!(server.store.revoke_device(&ada, &device.issuer.0, loopkey::store::Actor::Person).await.expect("store"));
    waiting.finish().await.expect_error(401, "invalid_order");
    assert!(!waiting.browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn a34_i146_a_second_scanner_ends_the_order_for_both() {
    let server = Server::start().await;
    let (mut ada, mut eve) = (phone(&server, "ada").await, phone(&server, "eve").await);
    let mut waiting = Waiting::scan(&server).await;
    let mut events = waiting.events().await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    scan(&mut eve, &picture).await.expect_error(409, "superseded");
    events.until(&says("superseded")).await;
    decide(&mut ada, &scanned, "approve", &waiting.code).await.expect_error(409, "superseded");
    waiting.finish().await.expect_error(401, "invalid_order");
}

#[tokio::test]
async fn i146_two_who_scan_at_once_are_never_both_let_in() {
    let server = Server::start().await;
    let (mut ada, mut eve) = (phone(&server, "ada").await, phone(&server, "eve").await);
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    let (one, two) = tokio::join!(scan(&mut ada, &picture), scan(&mut eve, &picture));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {two:?}");
}

#[tokio::test]
async fn a34_i146_a_picture_is_over_after_the_next_one() {
    let server = Server::start().await;
    let mut ada = phone(&server, "ada").await;
    let mut waiting = Waiting::scan(&server).await;
    let first = waiting.picture().await;
    server.clock.advance(std::time::Duration::from_secs(5));
    let second = waiting.picture().await;
    assert_ne!(first, second);
    server.clock.advance(std::time::Duration::from_secs(5));
    scan(&mut ada, &first).await.expect_error(401, "invalid_order");
    // A step that nobody has seen yet cannot be made without the order's key.
    let forged = second.replacen(".1.", ".2.", 1);
    scan(&mut ada, &forged).await.expect_error(401, "invalid_order");
    assert_eq!(scan(&mut ada, &second).await.status, 200, "the one before the current");
}

#[tokio::test]
async fn a34_i146_the_session_goes_to_the_browser_with_the_cookie_alone() {
    let server = Server::start().await;
    let mut ada = phone(&server, "ada").await;
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    decide(&mut ada, &scanned, "approve", &waiting.code).await;
    // Another browser that knows all that can be seen: nothing, another order's cookie, and a cookie that is the number.
    let mut other = server.browser();
    other.post("/v1/orders/finish", json!({})).await.expect_error(401, "invalid_order");
    let mut other = Waiting::scan(&server).await;
    other.finish().await.expect_error(401, "invalid_order");
    for path in ["/v1/orders/events", "/v1/orders/qr.svg"] {
        server.browser().get(path).await.expect_error(401, "invalid_order");
    }
    ada.post("/v1/orders/finish", json!({})).await.expect_error(401, "invalid_order");
    // The right browser by a page of another origin, listed as it is.
    let mut elsewhere = waiting.browser.clone();
    elsewhere.origin = "https://www.example.com".into();
    elsewhere.post("/v1/orders/finish", json!({})).await.expect_error(401, "invalid_order");
    elsewhere.origin = "https://evil.example".into();
    elsewhere.post("/v1/orders/finish", json!({})).await.expect_error(403, "forbidden");
    let mut copy = waiting.browser.clone();
    assert_eq!(waiting.finish().await.status, 204);
    copy.post("/v1/orders/finish", json!({})).await.expect_error(401, "invalid_order");
}

#[tokio::test]
async fn a34_i146_wrong_digits_or_none_are_a_refusal_for_good() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut ada = signed_in(&server, &device).await;
    let mut waiting = Waiting::scan(&server).await;
    let mut events = waiting.events().await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    for malformed in ["", "4", "147", "4a"] {
        decide(&mut ada, &scanned, "approve", malformed).await.expect_error(400, "bad_request");
    }
    let decided = decide(&mut ada, &scanned, "approve", &waiting.wrong()).await;
    assert_eq!(decided.json(), json!({"state": "denied"}));
    events.until(&says("denied")).await;
    let right = waiting.code.clone();
    decide(&mut ada, &scanned, "approve", &right).await.expect_error(401, "invalid_order");
    waiting.finish().await.expect_error(401, "invalid_order");
    // The same over a link.
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let mut waiting = Waiting::agents(&server, "ada").await;
    let ToAgent::Approval(asking) = link.hear().await else { panic!("the agent is asked") };
    let post = async |statement: String| server.machine("POST", "/v1/approvals", json!({"statement": statement})).await;
    assert_eq!(post(a(&device, &asking, Decision::Approve, &waiting.wrong())).await.status, 204);
    post(a(&device, &asking, Decision::Approve, &waiting.code)).await.expect_error(401, "invalid_statement");
    waiting.finish().await.expect_error(401, "invalid_order");
}

#[tokio::test]
async fn a34_i146_nobody_decides_who_is_not_signed_in_or_did_not_scan() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut ada, mut tablet) = (signed_in(&server, &device).await, signed_in(&server, &device).await);
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    scan(&mut server.browser(), &picture).await.expect_error(401, "no_session");
    let scanned = scan(&mut ada, &picture).await;
    let code = waiting.code.clone();
    decide(&mut server.browser(), &scanned, "approve", &code).await.expect_error(401, "no_session");
    decide(&mut tablet, &scanned, "approve", &code).await.expect_error(401, "invalid_order");
    let decided = decide(&mut ada, &scanned, "deny", "00").await;
    assert_eq!(decided.json(), json!({"state": "denied"}));
    decide(&mut ada, &scanned, "approve", &code).await.expect_error(401, "invalid_order");
    // A page of no listed origin decides nothing either.
    ada.origin = "https://evil.example".into();
    decide(&mut ada, &scanned, "approve", &code).await.expect_error(403, "forbidden");
}

#[tokio::test]
async fn i146_an_order_for_agents_is_for_no_scanner_and_the_other_way_round() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let mut agents = Waiting::agents(&server, "ada").await;
    agents.browser.get("/v1/orders/qr.svg").await.expect_error(401, "invalid_order");
    let ToAgent::Approval(_) = link.hear().await else { panic!("the agent is asked") };
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    let order = picture.split('.').nth(1).expect("an order").parse().expect("an order");
    let asking = Asking {
        order,
        nonce: Nonce::from_bytes([0; 32]),
        origin: ORIGIN.parse().expect("an origin"),
        browser: None,
        place: Place::Here,
        seconds: 1,
    };
    let statement = a(&device, &asking, Decision::Approve, &waiting.code);
    let answer = server.machine("POST", "/v1/approvals", json!({"statement": statement})).await;
    answer.expect_error(401, "invalid_statement");
}

#[tokio::test]
async fn a34_an_account_is_asked_three_times_in_ten_minutes_and_nobody_can_tell() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    for _ in 0..3 {
        Waiting::agents(&server, "ada").await;
        let ToAgent::Approval(_) = link.hear().await else { panic!("the agent is asked") };
    }
    let (fourth, unknown) = (Waiting::agents(&server, "ada").await, Waiting::agents(&server, "nobody").await);
    for waiting in [&fourth, &unknown] {
        waiting.events().await.until("data: {\"state\":\"pending\"}\n\n").await;
    }
    // What came before this answer was no question.
    link.is_alive(&device).await;
    // What the person's own phone scans is counted apart: whoever knows the name keeps nobody from that.
    let mut ada = signed_in(&server, &device).await;
    for expected in [200, 200, 200, 429] {
        let mut waiting = Waiting::scan(&server).await;
        let picture = waiting.picture().await;
        assert_eq!(scan(&mut ada, &picture).await.status, expected);
    }
    server.clock.advance(std::time::Duration::from_secs(600));
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    assert_eq!(scan(&mut ada, &picture).await.status, 200, "after ten minutes");
}

#[tokio::test]
async fn an_order_ends_by_its_clock_by_its_browser_and_by_the_next_one() {
    let server = Server::start().await;
    let mut ada = phone(&server, "ada").await;
    let mut waiting = Waiting::scan(&server).await;
    let mut events = waiting.events().await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    server.clock.advance(std::time::Duration::from_secs(60));
    events.until(&says("expired")).await;
    let code = waiting.code.clone();
    decide(&mut ada, &scanned, "approve", &code).await.expect_error(401, "invalid_order");

    // Approved, and not fetched in time.
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    let code = waiting.code.clone();
    assert_eq!(decide(&mut ada, &scanned, "approve", &code).await.status, 200);
    server.clock.advance(std::time::Duration::from_secs(10));
    waiting.finish().await.expect_error(401, "invalid_order");

    let mut waiting = Waiting::scan(&server).await;
    let mut events = waiting.events().await;
    let mut before = waiting.browser.clone();
    assert_eq!(waiting.browser.post("/v1/orders", json!({})).await.status, 201);
    events.until(&says("cancelled")).await;
    before.post("/v1/orders/finish", json!({})).await.expect_error(401, "invalid_order");
    assert_eq!(waiting.browser.post("/v1/orders/cancel", json!({})).await.status, 204);
    assert!(!waiting.browser.cookies.contains_key(ORDER));
    assert_eq!(server.browser().post("/v1/orders/cancel", json!({})).await.status, 204, "nothing tells");
}

#[tokio::test]
async fn an_account_that_is_signed_out_everywhere_meanwhile_lets_nobody_in() {
    let server = Server::start().await;
    let mut ada = phone(&server, "ada").await;
    let mut waiting = Waiting::scan(&server).await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    let code = waiting.code.clone();
    assert_eq!(decide(&mut ada, &scanned, "approve", &code).await.status, 200);
    assert_eq!(ada.post("/v1/logout", json!({"everywhere": true})).await.status, 204);
    waiting.finish().await.expect_error(401, "invalid_order");
}

#[tokio::test]
async fn i146_so_many_strange_codes_and_no_more() {
    let server = Server::start().await;
    let mut ada = phone(&server, "ada").await;
    for _ in 0..10 {
        scan(&mut ada, "1.QEFCQ0RFRkdISUpLTE1OTw.0.SLzvaBg-eHAcgvEdBerbqg").await.expect_error(401, "invalid_order");
    }
    scan(&mut ada, "").await.expect_error(429, "too_many_requests");
    let mut eve = phone(&server, "eve").await;
    scan(&mut eve, "").await.expect_error(401, "invalid_order");
    // And so many orders from one address.
    let opened = async || server.browser().post("/v1/orders", json!({})).await.status;
    let mut statuses = Vec::new();
    for _ in 0..31 {
        statuses.push(opened().await);
    }
    assert_eq!((statuses[29], statuses[30]), (201, 429));
}

#[tokio::test]
async fn the_store_holds_nothing_that_signs_in() {
    let server = Server::start().await;
    let waiting = Waiting::scan(&server).await;
    let secret = &waiting.browser.cookies[ORDER];
    let key = loopkey::protocol::base64url::decode(secret).expect("base64url");
    let note = NoteKey::of(NoteKind::new("order"), &key);
    let note = server.store.note(&note).await.expect("store").expect("kept under its digest");
    assert!(!note.value.as_str().contains(secret.as_str()));
}

/// The whole of it with each step at another server. For any store that servers share.
pub(super) async fn at_two_servers(one: SocketAddr, two: SocketAddr) {
    let device = Device::enrol_at(one, "ada", loopkey::crypto::Algorithm::Es256).await;
    let mut ada = Browser::new(one, ORIGIN);
    let challenge = ada.challenge().await;
    assert_eq!(ada.login(&challenge, &device.token(&challenge), device.subject.as_str()).await.status, 204);
    let mut waiting = Waiting::open_at(Browser::new(two, ORIGIN), json!({})).await;
    let mut events = waiting.events().await;
    let picture = waiting.picture().await;
    let scanned = scan(&mut ada, &picture).await;
    assert_eq!(scanned.status, 200, "{scanned:?}");
    events.until(&says("scanned")).await;
    let code = waiting.code.clone();
    assert_eq!(decide(&mut ada, &scanned, "approve", &code).await.json(), json!({"state": "approved"}));
    events.until(&says("approved")).await;
    assert_eq!(waiting.finish().await.status, 204);

    let (mut link, ..) = TestLink::open_at(one, &device).await;
    let mut waiting = Waiting::open_at(Browser::new(two, ORIGIN), json!({"account": "ada"})).await;
    let mut events = waiting.events().await;
    let ToAgent::Approval(asking) = link.hear().await else { panic!("the agent is asked at the other server") };
    link.say(&ToServer::ApprovalResult { statement: a(&device, &asking, Decision::Deny, "00") }).await;
    events.until(&says("denied")).await;
    waiting.finish().await.expect_error(401, "invalid_order");
}
