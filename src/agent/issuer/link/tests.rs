//! The link in paused time over in-memory streams; the test is the login server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::{Dial, LinkState, keep_over};
use crate::agent::core::Core;
use crate::agent::issuer::client::{DialFault, Enrolled, LinkSocket, socket_config};
use crate::agent::issuer::hub::Hub;
use crate::agent::issuer::keystore::{FileKeyStore, KeyStore as _};
use crate::agent::tests::{House, house};
use crate::crypto::Algorithm;
use crate::protocol::id::{Epoch, Nonce, Subject};
use crate::protocol::issuer::LinkUrl;
use crate::protocol::link::{OPENING_TIMEOUT, Profile, SILENCE_MAX, ServerLink, ToAgent, ToServer};
use crate::protocol::state::PresenceState;
use crate::protocol::statement::{self, Link, SignOut};

/// Gives the test the other end of each connection, and when it was opened.
struct Network {
    dialled: mpsc::UnboundedSender<(DuplexStream, Instant)>,
    is_down: bool,
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self) -> Result<(LinkSocket, LinkUrl), DialFault> {
        let (agent, server) = tokio::io::duplex(256 * 1024);
        self.dialled.send((server, Instant::now())).expect("the test listens");
        let issuer: crate::protocol::issuer::Issuer = "https://login.example".parse().expect("an issuer");
        if self.is_down {
            return Err(DialFault::Unreachable { issuer, reason: "the test says so".to_owned() });
        }
        let socket = LinkSocket::from_raw_socket(Box::new(agent), Role::Client, Some(socket_config())).await;
        Ok((socket, issuer.link_url()))
    }
}

struct Stage {
    house: House,
    dialled: mpsc::UnboundedReceiver<(DuplexStream, Instant)>,
}

impl Stage {
    fn new(is_down: bool) -> Self {
        let house = house();
        let (dialled, connections) = mpsc::unbounded_channel();
        let core = Arc::clone(&house.doorman.core);
        tokio::spawn(async move {
            let hub = Arc::clone(core.hubs.values().next().expect("one issuer"));
            keep_over(&Network { dialled, is_down }, &hub, &core).await;
        });
        Self { house, dialled: connections }
    }

    fn core(&self) -> &Core {
        &self.house.doorman.core
    }

    fn hub(&self) -> &Arc<Hub> {
        self.core().hubs.values().next().expect("one issuer")
    }

    fn enrol(&self, name: &str) -> Subject {
        let keys = FileKeyStore::new(self.house.folder.path().join("keys"), Algorithm::Ed25519).expect("a key store");
        let enrolled = Enrolled {
            device: format!("device-of-{name}").parse().expect("an id"),
            subject: name.parse().expect("a subject"),
            name: name.to_owned(),
            avatar: None,
            epoch: Epoch(0),
        };
        self.hub().enrolled(enrolled, keys.create().expect("a key")).expect("enrolled").subject
    }

    /// The next connection, as the login server sees it, and when it came.
    async fn connection(&mut self) -> (Server, Instant) {
        let (stream, at) = self.dialled.recv().await.expect("a connection");
        (Server(WebSocketStream::from_raw_socket(stream, Role::Server, None).await), at)
    }

    /// The next link, open, with what the agent's L said.
    async fn link(&mut self, epoch: u64) -> (Server, Link) {
        let (mut server, _) = self.connection().await;
        let nonce = Nonce::from_bytes([9; 32]);
        server.say(&ServerLink::new(nonce).1).await;
        let ToServer::Open { proof } = server.hear().await else { panic!("open comes first") };
        let account = self.hub().link_account(None).expect("enrolled");
        let keys = FileKeyStore::new(self.house.folder.path().join("keys"), Algorithm::Ed25519).expect("a key store");
        let key = keys.load(account.key).expect("the key");
        let link = statement::verify::<Link>(&proof, key.public()).expect("a sound L");
        assert_eq!((link.nonce, link.aud.as_str()), (nonce, "wss://login.example/v1/link"));
        let profile = Profile { name: "Ada Lovelace".into(), avatar: None };
        server.say(&ToAgent::Ready { epoch: Epoch(epoch), profile }).await;
        (server, link)
    }
}

struct Server(WebSocketStream<DuplexStream>);

impl Server {
    async fn say(&mut self, frame: &ToAgent) {
        self.0.send(Message::text(frame.encode())).await.expect("sent");
    }

    async fn hear(&mut self) -> ToServer {
        loop {
            match self.0.next().await.expect("the agent is there").expect("a frame") {
                Message::Text(text) => return ToServer::parse(&text).expect("a frame of an agent"),
                Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn presence(&mut self) -> (PresenceState, Epoch) {
        let ToServer::Presence { presence, epoch } = self.hear().await else { panic!("a presence") };
        (presence, epoch)
    }

    async fn sign_out(&mut self) -> String {
        let ToServer::Signout { statement } = self.hear().await else { panic!("a sign-out") };
        statement
    }

    /// The code that the agent closes with, if with any.
    async fn closed(mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(frame)) = self.0.next().await {
            if let Message::Close(Some(CloseFrame { code: given, .. })) = frame {
                code = Some(given.into());
            }
        }
        code
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_account_there_is_no_link_and_nothing_runs() {
    let mut stage = Stage::new(false);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(stage.dialled.try_recv().is_err());
    let subject = stage.enrol("ada");
    let (mut server, link) = stage.link(0).await;
    assert_eq!((link.iss.0.as_str(), link.epo), ("device-of-ada", Epoch(0)));
    assert_eq!(server.presence().await, (PresenceState::SignedIn, Epoch(0)));
    assert_eq!(stage.hub().accounts()[0].name, "Ada Lovelace", "the profile is the login server's");
    stage.hub().remove(&subject).expect("removed");
    server.closed().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(stage.dialled.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_tried_with_jitter_from_a_second_to_a_minute() {
    let mut stage = Stage::new(true);
    stage.enrol("ada");
    let mut tries = Vec::new();
    for _ in 0..100 {
        tries.push(stage.dialled.recv().await.expect("a try").1);
    }
    let gaps: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, ceiling) in gaps.iter().zip([1, 2, 4, 8, 16, 32].into_iter().chain(std::iter::repeat(60))) {
        // tokio's timers count whole milliseconds.
        assert!(*gap <= Duration::from_millis(ceiling * 1000 + 2), "{gap:?} of {ceiling} s");
    }
    let (short, long) = (gaps.iter().any(|g| g.as_secs() < 20), gaps.iter().any(|g| g.as_secs() > 40));
    assert!(short && long, "the whole of a pause is jitter: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_higher_epoch_is_on_the_disk_before_it_is_announced_and_means_signed_out() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    let (mut states, mut told) = (stage.hub().subscribe(), stage.core().signed_out_accounts());
    let (mut server, _) = stage.link(7).await;
    let state = states.wait_for(|p| p.state.epoch == Epoch(7)).await.expect("a state").state;
    assert_eq!(state.presence, PresenceState::SignedOut);
    let files = std::fs::read_dir(stage.house.folder.path()).expect("a folder").flatten();
    let record = files.map(|file| file.path()).find(|path| path.extension().is_some_and(|e| e == "json"));
    let record = std::fs::read_to_string(record.expect("a record")).expect("text");
    assert!(record.contains("\"epoch\": 7"), "{record}");
    assert!(told.recv().await.is_ok_and(|account| account.account.as_str() == "ada"), "the client is told");
    // The server learns that it was done, and then how things stand.
    let statement = server.sign_out().await;
    assert_eq!(SignOut::epoch_of(&statement), Some(Epoch(7)));
    assert_eq!(server.presence().await, (PresenceState::SignedOut, Epoch(7)));
    server.say(&ToAgent::SignedOut { epoch: Epoch(7) }).await;
    while !stage.hub().pending_sign_outs().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_is_not_higher_changes_nothing() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    stage.hub().sign_out(&"ada".parse().expect("a subject")).expect("signed out");
    stage.hub().set_presence(&"ada".parse().expect("a subject"), PresenceState::SignedIn).expect("set");
    let (mut server, link) = stage.link(0).await;
    assert_eq!(link.epo, Epoch(1), "L says what the agent's is");
    server.sign_out().await;
    assert_eq!(server.presence().await, (PresenceState::SignedIn, Epoch(1)));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_account_is_removed_and_told() {
    let mut stage = Stage::new(false);
    let subject = stage.enrol("ada");
    let (mut told, mut signed_out) = (stage.core().revoked_accounts(), stage.core().signed_out_accounts());
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    server.say(&ToAgent::Revoked {}).await;
    let account = told.recv().await.expect("told");
    assert_eq!((account.account, account.issuer), (subject, stage.hub().issuer().clone()));
    assert!(signed_out.try_recv().is_err(), "that it is gone is enough");
    assert!(stage.hub().accounts().is_empty());
    assert_eq!(stage.hub().published().state.presence, PresenceState::SignedOut);
    let keys = std::fs::read_dir(stage.house.folder.path().join("keys")).expect("a folder");
    assert_eq!(keys.count(), 0, "its key is gone");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_revoked_meanwhile_learns_it_in_place_of_ready() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    let mut told = stage.core().revoked_accounts();
    let (mut server, _) = stage.connection().await;
    server.say(&ServerLink::new(Nonce::from_bytes([1; 32])).1).await;
    assert!(matches!(server.hear().await, ToServer::Open { .. }));
    server.say(&ToAgent::Revoked {}).await;
    told.recv().await.expect("told");
    assert!(stage.hub().accounts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_request_is_the_persons_own_sign_out() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    let mut told = stage.core().signed_out_accounts();
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    assert!(told.try_recv().is_err(), "nobody was signed out yet");
    server.say(&ToAgent::SignOutRequest {}).await;
    let statement = server.sign_out().await;
    assert_eq!(SignOut::epoch_of(&statement), Some(Epoch(1)));
    assert_eq!(server.presence().await, (PresenceState::SignedOut, Epoch(1)));
    assert_eq!(stage.hub().accounts().len(), 1, "the account stays enrolled");
    let account = told.try_recv().expect("told");
    assert_eq!((account.account.as_str(), account.issuer), ("ada", stage.hub().issuer().clone()));
    assert!(told.try_recv().is_err(), "once");
    // An answer for another epoch is not for this one.
    server.say(&ToAgent::SignedOut { epoch: Epoch(5) }).await;
    server.say(&ToAgent::Profile { name: "Ada".into(), avatar: None }).await;
    while stage.hub().accounts()[0].name != "Ada" {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.hub().pending_sign_outs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_link_delivers_nobody_calls_and_not_for_long() {
    let mut stage = Stage::new(false);
    let subject = stage.enrol("ada");
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    stage.hub().sign_out(&subject).expect("signed out");
    let patience = Duration::from_secs(1);
    let started = Instant::now();
    stage.hub().leave_it_to_the_link(patience).await;
    assert_eq!(started.elapsed(), patience, "the server does not answer");
    server.sign_out().await;
    server.say(&ToAgent::SignedOut { epoch: Epoch(1) }).await;
    let started = Instant::now();
    stage.hub().leave_it_to_the_link(patience).await;
    assert!(started.elapsed() < patience && stage.hub().pending_sign_outs().is_empty());
    drop(server);
    while stage.hub().link_state() == LinkState::Up {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    stage.hub().leave_it_to_the_link(patience).await;
    assert_eq!(started.elapsed(), Duration::ZERO, "without a link nothing is left to it");
}

#[tokio::test(start_paused = true)]
async fn of_many_presences_the_newest_is_sent() {
    let mut stage = Stage::new(false);
    let subject = stage.enrol("ada");
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    let started = Instant::now();
    for n in 0..100 {
        let presence = if n % 2 == 0 { PresenceState::Away } else { PresenceState::SignedIn };
        stage.hub().set_presence(&subject, presence).expect("set");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.hub().set_presence(&subject, PresenceState::Locked).expect("set");
    let mut frames = 1;
    while server.presence().await.0 != PresenceState::Locked {
        frames += 1;
    }
    assert!(frames <= 7, "{frames} frames in {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    let (unspoken, at) = stage.connection().await;
    unspoken.closed().await;
    let waited = Instant::now() - at;
    assert!(waited >= OPENING_TIMEOUT && waited < OPENING_TIMEOUT + Duration::from_secs(2), "{waited:?}");
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    for _ in 0..3 {
        tokio::time::sleep(SILENCE_MAX - Duration::from_secs(1)).await;
        server.0.send(Message::Ping("".into())).await.expect("sent");
        assert!(matches!(server.0.next().await, Some(Ok(Message::Pong(_)))));
    }
    let started = Instant::now();
    server.closed().await;
    let waited = started.elapsed();
    assert!(waited >= SILENCE_MAX && waited < SILENCE_MAX + Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_switch_links_the_other_account() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    let (server, _) = stage.link(0).await;
    let bob = stage.enrol("bob");
    server.closed().await;
    let (mut server, link) = stage.link(0).await;
    assert_eq!((link.iss.0.as_str(), link.epo), ("device-of-bob", Epoch(1)));
    // Ada's sign-out still goes out, over whichever link there is.
    assert_eq!(SignOut::epoch_of(&server.sign_out().await), Some(Epoch(1)));
    // Signed out, the link stays with whom it was.
    stage.hub().sign_out(&bob).expect("signed out");
    while server.presence().await.0 != PresenceState::SignedOut {
        let statement = server.sign_out().await;
        assert_eq!(SignOut::epoch_of(&statement), Some(Epoch(2)));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_switch_nothing_is_said_of_the_next_person_over_the_link_of_the_one_before() {
    let mut stage = Stage::new(false);
    let ada = stage.enrol("ada");
    let account = stage.hub().current().expect("signed in");
    assert!(stage.hub().published_over(&account).is_some());
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Both at once: another person, and a presence that is due.
    let bob = stage.enrol("bob");
    stage.hub().set_presence(&bob, PresenceState::Away).expect("set");
    assert!(stage.hub().published_over(&account).is_none(), "{ada} has left");
    while let Some(Ok(frame)) = server.0.next().await {
        assert!(!frame.to_text().unwrap_or_default().contains("presence"), "{frame:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_signs_in_after_a_refusal_is_linked_at_once() {
    let mut stage = Stage::new(false);
    let subject = stage.enrol("ada");
    let (mut server, _) = stage.link(0).await;
    server.presence().await;
    stage.hub().sign_out(&subject).expect("signed out");
    server.sign_out().await;
    let frame = CloseFrame { code: 4401.into(), reason: "".into() };
    server.0.close(Some(frame)).await.expect("closed");
    while stage.hub().link_state() != LinkState::NotAccepted {
        tokio::task::yield_now().await;
    }
    drop(server);
    let (signed_in, hub) = (Instant::now(), Arc::clone(stage.hub()));
    hub.set_presence(&subject, PresenceState::SignedIn).expect("set");
    let (_, at) = stage.connection().await;
    assert!(at - signed_in <= Duration::from_millis(2), "{:?}", at - signed_in);
}

#[tokio::test(start_paused = true)]
async fn an_epoch_far_out_of_reach_is_no_epoch() {
    let mut stage = Stage::new(false);
    stage.enrol("ada");
    let (server, _) = stage.link((1 << 32) + 1).await;
    assert_eq!(server.closed().await, Some(4400));
    assert_eq!(stage.hub().published().state.epoch, Epoch(0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_otherwise_is_refused_and_not_asked_again_at_once() {
    let binary = Message::binary(vec![1]);
    let early = Message::text(ToAgent::SignOutRequest {}.encode());
    for (frame, code) in [(binary, 1003), (early, 4400), (Message::text("{}"), 4400)] {
        let mut stage = Stage::new(false);
        let subject = stage.enrol("ada");
        let (mut server, _) = stage.connection().await;
        server.0.send(frame).await.expect("sent");
        assert_eq!(server.closed().await, Some(code));
        assert!(matches!(stage.hub().link_state(), LinkState::Refused(_)));
        assert_eq!(stage.hub().current().map(|account| account.subject), Some(subject), "nothing came of it");
    }
}

#[tokio::test(start_paused = true)]
async fn how_the_server_closes_says_how_soon_to_come_again() {
    for (code, longest) in [(1001, 8), (1013, 8), (1011, 1), (4401, 60), (4429, 60)] {
        let mut stage = Stage::new(false);
        stage.enrol("ada");
        let (mut server, _) = stage.link(0).await;
        server.presence().await;
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        server.0.close(Some(frame)).await.expect("closed");
        let closed = Instant::now();
        let (_, at) = stage.connection().await;
        assert!(at - closed <= Duration::from_millis(longest * 1000 + 2), "{code}: {:?}", at - closed);
        let refused = matches!(stage.hub().link_state(), LinkState::NotAccepted | LinkState::Refused(_));
        assert_eq!(refused, longest == 60, "{code}");
    }
}
