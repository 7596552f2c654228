//! `GET /v1/link`: the test is the agent.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use loopkey::crypto::{Algorithm, SoftwareKey};
use loopkey::login::RateLimits;
use loopkey::protocol::id::{Epoch, Nonce};
use loopkey::protocol::issuer::{Issuer, LinkUrl};
use loopkey::protocol::link::{Profile, SUBPROTOCOL, ToAgent, ToServer, VERSION};
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::{self, Link};
use loopkey::store::{AccountChange, AccountId, Actor, StoreUrl};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::device::{Device, issuer};
use super::failing::FailingStore;
use super::http::Call;
use super::{ORIGIN, Server, clock, no_limits};

/// An agent's end of a link.
pub(super) struct TestLink {
    socket: WebSocketStream<TcpStream>,
    nonce: Nonce,
}

/// The status that refuses a link, or the link.
async fn upgrade(
    address: SocketAddr,
    subprotocol: &str,
    origin: Option<&str>,
) -> Result<WebSocketStream<TcpStream>, u16> {
    let url = format!("ws://{address}/loopkey/v1/link");
    let mut request = url.into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().expect("a header"));
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", origin.parse().expect("a header"));
    }
    let stream = TcpStream::connect(address).await.expect("connected");
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

impl TestLink {
    /// A link on which the server has said hello.
    pub(super) async fn connect(server: &Server) -> Self {
        Self::connect_at(server.address).await
    }

    async fn connect_at(address: SocketAddr) -> Self {
        let socket = upgrade(address, SUBPROTOCOL, None).await.expect("upgraded");
        let mut link = Self { socket, nonce: Nonce::from_bytes([0; 32]) };
        let ToAgent::Hello { v: VERSION, nonce } = link.hear().await else { panic!("hello comes first") };
        link.nonce = nonce;
        link
    }

    /// An open link, with the epoch and the person that the server answered.
    pub(super) async fn open(server: &Server, device: &Device) -> (Self, Epoch, Profile) {
        Self::open_at(server.address, device).await
    }

    /// The same by way of another address.
    pub(super) async fn open_at(address: SocketAddr, device: &Device) -> (Self, Epoch, Profile) {
        let mut link = Self::connect_at(address).await;
        let proof = link.proof(device);
        link.say(&ToServer::Open { proof }).await;
        let ToAgent::Ready { epoch, profile } = link.hear().await else { panic!("the link is not open") };
        (link, epoch, profile)
    }

    fn claims(&self, device: &Device) -> Link {
        Link { iss: device.issuer.clone(), aud: issuer().link_url(), nonce: self.nonce, epo: device.epoch }
    }

    pub(super) fn proof(&self, device: &Device) -> String {
        statement::sign(&self.claims(device), &device.key).expect("L")
    }

    pub(super) async fn say(&mut self, frame: &ToServer) {
        self.socket.send(Message::text(frame.encode())).await.expect("sent");
    }

    pub(super) async fn hear(&mut self) -> ToAgent {
        match self.socket.next().await.expect("the server is there").expect("a frame") {
            Message::Text(text) => ToAgent::parse(&text).expect("a frame of a login server"),
            other => panic!("{other:?}"),
        }
    }

    /// The code that the server closes with, and nothing before it.
    pub(super) async fn closed(mut self) -> u16 {
        match self.socket.next().await {
            Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                assert_eq!(reason.as_str(), "");
                code.into()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whether the server answers still, in order: a sign-out that changes nothing.
    pub(super) async fn is_alive(&mut self, device: &Device) {
        self.say(&ToServer::Signout { statement: device.sign_out(0) }).await;
        assert_eq!(self.hear().await, ToAgent::SignedOut { epoch: Epoch(0) });
    }
}

fn elsewhere() -> LinkUrl {
    "https://elsewhere.example".parse::<Issuer>().expect("an issuer").link_url()
}

fn account(name: &str) -> AccountId {
    name.parse().expect("an account")
}

#[tokio::test]
async fn an_agent_is_told_its_epoch_and_its_person() {
    let server = Server::start().await;
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let device = Device::enrol_with(&server, "ada", algorithm).await;
        let (mut link, epoch, profile) = TestLink::open(&server, &device).await;
        assert_eq!((epoch, profile), (Epoch(0), Profile { name: "ada".into(), avatar: None }));
        link.is_alive(&device).await;
    }
}

#[tokio::test]
async fn epochs_only_rise_whoever_is_ahead() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    // The agent is ahead: its sign-out was lost with the disk, say.
    device.epoch = Epoch(3);
    assert_eq!(TestLink::open(&server, &device).await.1, Epoch(3));
    assert!(!browser.is_signed_in().await, "its sessions below are over");
    // The server is ahead: the agent was restored from a backup.
    device.epoch = Epoch(1);
    let (mut link, epoch, _) = TestLink::open(&server, &device).await;
    assert_eq!(epoch, Epoch(3));
    link.is_alive(&device).await;
}

#[tokio::test]
async fn a_revoked_device_is_told_at_once_and_again_when_it_comes_back() {
    let server = Server::start().await;
    let (device, other) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "ada").await);
    let mut browser = server.browser();
    other.signs_in(&mut browser).await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let (mut beside, ..) = TestLink::open(&server, &other).await;
    assert_eq!(browser.delete(&format!("/v1/devices/{}", device.id())).await.status, 204);
    assert_eq!(link.hear().await, ToAgent::Revoked {});
    assert_eq!(link.closed().await, 4401);
    let mut again = TestLink::connect(&server).await;
    let proof = again.proof(&device);
    again.say(&ToServer::Open { proof }).await;
    assert_eq!(again.hear().await, ToAgent::Revoked {});
    assert_eq!(again.closed().await, 4401);
    beside.is_alive(&other).await;
}

#[tokio::test]
async fn signing_out_everywhere_asks_each_device_and_whoever_is_away_learns_it_by_ready() {
    let server = Server::start().await;
    let [here, mut away] = [Device::enrol(&server, "ada").await, Device::enrol(&server, "ada").await];
    let lin = Device::enrol(&server, "lin").await;
    let mut browser = server.browser();
    here.signs_in(&mut browser).await;
    let (mut link, ..) = TestLink::open(&server, &here).await;
    let (mut bystander, ..) = TestLink::open(&server, &lin).await;
    assert_eq!(browser.post("/v1/logout", json!({"everywhere": true})).await.status, 204);
    assert_eq!(link.hear().await, ToAgent::SignOutRequest {});
    link.say(&ToServer::Signout { statement: here.sign_out(1) }).await;
    assert_eq!(link.hear().await, ToAgent::SignedOut { epoch: Epoch(1) });
    link.is_alive(&here).await;
    assert_eq!(TestLink::open(&server, &away).await.1, Epoch(1));
    // It is not asked again: it signed out, and perhaps in again.
    away.epoch = Epoch(1);
    let (mut link, epoch, _) = TestLink::open(&server, &away).await;
    assert_eq!(epoch, Epoch(1));
    link.is_alive(&away).await;
    bystander.is_alive(&lin).await;
}

#[tokio::test]
async fn the_account_of_a_link_is_disabled_or_erased() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let disabled = AccountChange { disabled: Some(true), ..AccountChange::default() };
    server.store.change_account(&account("ada"), disabled).await.expect("store");
    assert_eq!(link.hear().await, ToAgent::SignOutRequest {});
    assert_eq!(link.closed().await, 4401);
    let mut again = TestLink::connect(&server).await;
    let proof = again.proof(&device);
    again.say(&ToServer::Open { proof }).await;
    let ToAgent::Ready { epoch: Epoch(1), .. } = again.hear().await else { panic!("it did not sign out yet") };
    assert_eq!(again.closed().await, 4401, "it is not revoked: it may be enabled again");
    device.epoch = Epoch(1);
    let mut again = TestLink::connect(&server).await;
    let proof = again.proof(&device);
    again.say(&ToServer::Open { proof }).await;
    assert_eq!(again.closed().await, 4401, "it did by now");
    let enabled = AccountChange { disabled: Some(false), ..AccountChange::default() };
    server.store.change_account(&account("ada"), enabled).await.expect("store");
    let (mut link, ..) = TestLink::open(&server, &device).await;
    assert!(server.store.erase_account(&account("ada")).await.expect("store"));
    assert_eq!(link.hear().await, ToAgent::Revoked {});
}

#[tokio::test]
async fn a_profile_that_changed_is_pushed_and_one_that_did_not_is_not() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    let picture = "https://cdn.example.com/ada.png";
    for (profile, told) in [
        (json!({"account": "ada", "name": "ada"}), None),
        (json!({"account": "ada", "name": "Ada", "avatar": picture}), Some(("Ada", Some(picture)))),
        (json!({"account": "ada", "name": "Ada"}), Some(("Ada", None))),
        (json!({"account": "lin", "name": "Lin"}), None),
    ] {
        assert_eq!(server.backend("/v1/enrolment-tickets", profile).await.status, 201);
        if let Some((name, avatar)) = told {
            let pushed = ToAgent::Profile { name: name.into(), avatar: avatar.map(str::to_owned) };
            assert_eq!(link.hear().await, pushed);
        }
    }
    link.is_alive(&device).await;
}

#[tokio::test]
async fn a_sign_out_over_the_link_is_the_same_as_the_call() {
    let server = Server::start().await;
    let (mut device, lin) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    // What the call would refuse is not answered, and what follows is.
    let mut spoiled = device.sign_out(7);
    spoiled.pop();
    link.say(&ToServer::Signout { statement: spoiled }).await;
    link.say(&ToServer::Signout { statement: device.sign_out(1) }).await;
    assert_eq!(link.hear().await, ToAgent::SignedOut { epoch: Epoch(1) });
    assert!(!browser.is_signed_in().await);
    // After a switch the sign-out of the person before comes over the link of the next.
    device.epoch = Epoch(1);
    device.signs_in(&mut browser).await;
    let (mut next, ..) = TestLink::open(&server, &lin).await;
    next.say(&ToServer::Signout { statement: device.sign_out(2) }).await;
    assert_eq!(next.hear().await, ToAgent::SignedOut { epoch: Epoch(2) });
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn a_presence_is_news_for_the_accounts_open_pages() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let mut stream = browser.events().await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    for presence in [PresenceState::Away, PresenceState::Locked] {
        link.say(&ToServer::Presence { presence, epoch: Epoch(0) }).await;
        stream.until(&format!("event: presence\ndata: {{\"presence\":\"{presence}\"}}\n\n")).await;
    }
    // Of a time before the one that was named already: it may have been on its way for long.
    link.say(&ToServer::Presence { presence: PresenceState::SignedOut, epoch: Epoch(1) }).await;
    stream.until("signed_out").await;
    link.say(&ToServer::Presence { presence: PresenceState::SignedIn, epoch: Epoch(0) }).await;
    link.is_alive(&device).await;
    device.signs_out(&server, 1).await;
    assert!(!stream.rest().await.contains("signed_in"));
}

#[tokio::test]
async fn what_an_agent_said_last_does_not_stand_once_it_is_gone() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let mut stream = browser.events().await;
    let (mut older, ..) = TestLink::open(&server, &device).await;
    older.say(&ToServer::Presence { presence: PresenceState::Locked, epoch: Epoch(0) }).await;
    stream.until("locked").await;
    // Its place was taken: nobody is gone.
    let (mut link, ..) = TestLink::open(&server, &device).await;
    assert_eq!(older.closed().await, 4429);
    link.say(&ToServer::Presence { presence: PresenceState::Away, epoch: Epoch(0) }).await;
    stream.until("away").await;
    drop(link);
    stream.until("event: presence\ndata: {\"presence\":\"unknown\"}\n\n").await;
    device.signs_out(&server, 1).await;
    assert_eq!(stream.rest().await.matches("unknown").count(), 1, "the newer link was one of the same agent");
}

#[tokio::test]
async fn of_one_devices_links_the_newest_stays() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (older, ..) = TestLink::open(&server, &device).await;
    let (mut newer, ..) = TestLink::open(&server, &device).await;
    assert_eq!(older.closed().await, 4429);
    newer.is_alive(&device).await;
    server.store.revoke_device(&account("ada"), &device.issuer.0, Actor::Administrator).await.expect("store");
    assert_eq!(newer.hear().await, ToAgent::Revoked {});
}

#[tokio::test]
async fn only_an_l_for_this_link_of_an_enrolled_device_opens_it() {
    let server = Server::start().await;
    let (device, other) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let stranger = SoftwareKey::generate(Algorithm::Es256).expect("key").0;
    let (before, ..) = TestLink::open(&server, &device).await;
    let replayed = before.proof(&device);
    type Spoil<'a> = Box<dyn Fn(&TestLink) -> String + 'a>;
    let changed = |change: fn(&mut Link)| -> Spoil<'_> {
        let device = &device;
        Box::new(move |link| {
            let mut claims = link.claims(device);
            change(&mut claims);
            statement::sign(&claims, &device.key).expect("L")
        })
    };
    let spoiled: [(&str, Spoil<'_>); 10] = [
        ("replayed", Box::new(|_| replayed.clone())),
        ("another nonce", changed(|claims| claims.nonce = Nonce::from_bytes([7; 32]))),
        (
            "another issuer",
            changed(|claims| {
                claims.aud = elsewhere();
            }),
        ),
        (
            "another device's name",
            Box::new(|link| {
                let claims = Link { iss: other.issuer.clone(), ..link.claims(&device) };
                statement::sign(&claims, &device.key).expect("L")
            }),
        ),
        ("another device's key", Box::new(|link| statement::sign(&link.claims(&device), &other.key).expect("L"))),
        ("an unknown key", Box::new(|link| statement::sign(&link.claims(&device), &stranger).expect("L"))),
        ("another statement", Box::new(|_| device.sign_out(1))),
        (
            "a broken signature",
            Box::new(|link| {
                let mut proof = link.proof(&device);
                let last = if proof.pop() == Some('A') { 'Q' } else { 'A' };
                proof.push(last);
                proof
            }),
        ),
        ("no statement", Box::new(|_| "a.b.c".to_owned())),
        ("nothing", Box::new(|_| String::new())),
    ];
    for (what, spoil) in &spoiled {
        let mut link = TestLink::connect(&server).await;
        let proof = spoil(&link);
        link.say(&ToServer::Open { proof }).await;
        assert_eq!(link.closed().await, 4401, "{what}");
    }
    assert_eq!(
        server.store.device(loopkey::crypto::Signer::public(&device.key).id()).await.expect("store").map(|d| d.epoch),
        Some(Epoch(0))
    );
}

#[tokio::test]
async fn whatever_else_is_sent_closes_the_link() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let open = |link: &TestLink| ToServer::Open { proof: link.proof(&device) }.encode();
    let presence = || ToServer::Presence { presence: PresenceState::Away, epoch: Epoch(0) }.encode();
    // Before it is open.
    for (frame, code) in [
        (Message::text(presence()), 4400),
        (Message::text(ToServer::Signout { statement: device.sign_out(1) }.encode()), 4400),
        (Message::text("{}"), 4400),
        (Message::text("not JSON"), 4400),
        (Message::binary(vec![0; 8]), 1003),
        (Message::text("x".repeat(8 * 1024 + 1)), 1009),
    ] {
        let mut link = TestLink::connect(&server).await;
        link.socket.send(frame).await.expect("sent");
        assert_eq!(link.closed().await, code);
    }
    let mut link = TestLink::connect(&server).await;
    let with_more = open(&link).replacen('{', r#"{"more":1,"#, 1);
    link.socket.send(Message::text(with_more)).await.expect("sent");
    assert_eq!(link.closed().await, 4400, "an unknown member");
    let mut link = TestLink::connect(&server).await;
    let twice = open(&link).replacen('{', r#"{"proof":"a.b.c","#, 1);
    link.socket.send(Message::text(twice)).await.expect("sent");
    assert_eq!(link.closed().await, 4400, "a member twice");
    // Once it is open.
    for (what, code) in
        [("a second L", 4400), ("binary", 1003), ("oversize", 1009), ("unknown", 4400), ("too often", 4429)]
    {
        let (mut link, ..) = TestLink::open(&server, &device).await;
        let frames = match what {
            "a second L" => vec![Message::text(open(&link))],
            "binary" => vec![Message::binary(vec![1])],
            "oversize" => vec![Message::text("x".repeat(9000))],
            "unknown" => vec![Message::text(r#"{"type":"later"}"#)],
            _ => vec![Message::text(presence()); 100],
        };
        for frame in frames {
            // It may have closed already.
            let _ = link.socket.send(frame).await;
        }
        assert_eq!(link.closed().await, code, "{what}");
    }
}

#[tokio::test]
async fn what_is_no_upgrade_of_an_agent_is_refused() {
    let server = Server::start().await;
    for origin in [ORIGIN, "https://evil.example", "null"] {
        assert_eq!(upgrade(server.address, SUBPROTOCOL, Some(origin)).await.err(), Some(403), "{origin}");
    }
    for subprotocol in ["loopkey.1", "loopkey-link.2", "x"] {
        assert_eq!(upgrade(server.address, subprotocol, None).await.err(), Some(426), "{subprotocol}");
    }
    assert!(upgrade(server.address, &format!("loopkey-link.9, {SUBPROTOCOL}"), None).await.is_ok());
    let plain = Call::new("GET", "/v1/link").send(server.address).await;
    plain.expect_error(426, "upgrade_required");
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    Call::new("POST", "/v1/link").send(server.address).await.expect_error(405, "method_not_allowed");
}

#[tokio::test]
async fn there_is_room_for_so_many_links_and_calls_of_one_address_are_counted() {
    let server = Server::start_limited(RateLimits { links: 1, address_per_minute: 5, ..no_limits() }).await;
    let link = TestLink::connect(&server).await;
    assert_eq!(upgrade(server.address, SUBPROTOCOL, None).await.err(), Some(503));
    drop(link);
    while let Err(status) = upgrade(server.address, SUBPROTOCOL, None).await {
        if status == 429 {
            return;
        }
    }
    // The limit on calls comes in the end, whether or not there is room.
    loop {
        match upgrade(server.address, SUBPROTOCOL, None).await {
            Err(429) => return,
            Ok(_) | Err(503) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let (open, ..) = TestLink::open(&server, &device).await;
    let not_yet = TestLink::connect(&server).await;
    let closed = tokio::spawn(async move { (open.closed().await, not_yet.closed().await) });
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("within the grace");
    assert_eq!(closed.await.expect("joined"), (1001, 1001));
}

#[tokio::test]
async fn while_the_store_does_not_answer_links_are_put_off() {
    let clock = clock();
    let store = FailingStore::over(loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store"));
    let server = Server::start_with(store.clone(), clock).await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    store.fail("device");
    link.say(&ToServer::Signout { statement: device.sign_out(1) }).await;
    assert_eq!(link.closed().await, 1013);
    let mut link = TestLink::connect(&server).await;
    let proof = link.proof(&device);
    link.say(&ToServer::Open { proof }).await;
    assert_eq!(link.closed().await, 1013);
    store.recover();
    let (mut link, epoch, _) = TestLink::open(&server, &device).await;
    assert_eq!(epoch, Epoch(0), "nothing was done");
    link.is_alive(&device).await;
}

#[tokio::test]
async fn open_links_are_counted() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let metrics = async || Call::new("GET", "/metrics").send(server.address).await.body;
    assert!(metrics().await.contains("\nloopkey_links 0\n"));
    let not_yet = TestLink::connect(&server).await;
    let (link, ..) = TestLink::open(&server, &device).await;
    assert!(metrics().await.contains("\nloopkey_links 1\n"));
    drop((link, not_yet));
    while !metrics().await.contains("\nloopkey_links 0\n") {
        tokio::task::yield_now().await;
    }
}
