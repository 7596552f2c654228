//! An open socket: the handshake, its refusals, resuming, and what is pushed.

use futures::{SinkExt as _, StreamExt as _};
use loopkey::protocol::id::Nonce;
use loopkey::protocol::limits::OPEN_TIMEOUT;
use loopkey::protocol::message::{AgentMessage, PageMessage};
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::support::world::{TestPage, World};

#[tokio::test]
async fn the_proof_of_ready_names_the_person_to_the_login_server_only() {
    let world = World::new().await;
    let mut browser = world.browser();
    let challenge = browser.challenge().await;
    let open = OpenWith::Challenge(challenge.clone());
    let mut page = TestPage::connect(&world.agent.handle, &world.server.issuer, open).await;
    let ready = page.next().await.expect("ready");
    let AgentMessage::Ready { state, proof: Some(proof), resumed, .. } = ready else { panic!("{ready:?}") };
    assert_eq!((state.presence, resumed), (PresenceState::SignedIn, false));
    assert!(!ready_text(&page).contains("ada"));
    let (status, answer) = browser.post("/v1/presence", json!({ "challenge": challenge, "proof": proof })).await;
    assert_eq!((status, &answer["account"]["name"]), (200, &json!("ada of the test")), "{answer}");
    let (status, _) = world.browser().post("/v1/presence", json!({ "challenge": challenge, "proof": proof })).await;
    assert_eq!(status, 401, "another browser learns nothing from it");
    world.agent.stop().await;
}

fn ready_text(page: &TestPage) -> String {
    format!("{:?}", page.machine.state())
}

#[tokio::test]
async fn a_challenge_opens_one_socket() {
    let world = World::new().await;
    let challenge = world.browser().challenge().await;
    let (agent, issuer) = (&world.agent.handle, &world.server.issuer);
    let _first = TestPage::open(agent, issuer, OpenWith::Challenge(challenge.clone())).await;
    let mut second = TestPage::connect(agent, issuer, OpenWith::Challenge(challenge.clone())).await;
    assert_eq!(second.closed().await, Some(4401), "used");
    let mut forged = challenge.clone();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    for open in [OpenWith::Challenge(forged), OpenWith::Challenge("a.b.c".into()), OpenWith::Nothing] {
        let mut page = TestPage::connect(agent, issuer, open.clone()).await;
        assert_eq!(page.closed().await, Some(4401), "{open:?}");
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn what_is_unexpected_closes_with_the_code_for_it() {
    let world = World::new().await;
    let (agent, issuer) = (&world.agent.handle, &world.server.issuer);
    let wrong_nonce =
        PageMessage::Open { nonce: Nonce::from_bytes([1; 32]), challenge: None, resume: None, seq: None }.encode();
    for (text, code) in [("{", 4400), ("[]", 4400), (r#"{"type":"pong","x":1}"#, 4400), (wrong_nonce.as_str(), 4400)] {
        let mut page = TestPage::connect(agent, issuer, OpenWith::Nothing).await;
        page.send(text).await;
        // The machine of the test's page answers `hello` by itself; what was sent before it came first.
        assert_eq!(page.closed().await, Some(code), "{text}");
    }
    let (_, mut page) = world.open_page().await;
    page.socket.send(Message::binary(vec![1])).await.expect("sent");
    assert_eq!(page.closed().await, Some(1003), "binary");
    let (_, mut page) = world.open_page().await;
    page.send(&"x".repeat(9000)).await;
    assert_eq!(page.closed().await, Some(1009), "too long");
    world.agent.stop().await;
}

/// By the computer's own clock and timer: other tests of deadlines have a clock of theirs.
#[tokio::test]
async fn a_page_that_never_opens_is_closed_after_five_seconds() {
    let world = World::new().await;
    let began = tokio::time::Instant::now();
    let mut page = TestPage::connect(&world.agent.handle, &world.server.issuer, OpenWith::Nothing).await;
    let code = loop {
        match page.socket.next().await {
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
            Some(Ok(Message::Text(hello))) => assert!(hello.contains("hello"), "{hello}"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Some(4408));
    assert!(began.elapsed() >= OPEN_TIMEOUT, "closed after {:?}", began.elapsed());
    world.agent.stop().await;
}

#[tokio::test]
async fn broken_frames_close_with_the_code_for_them() {
    let world = World::new().await;
    let fragment = |first: u8| vec![first, 0x80, 0, 0, 0, 0];
    let mut many = fragment(0x01);
    many.extend((0..16).flat_map(|_| fragment(0x00)));
    for (bytes, code) in [
        (vec![0x81, 0x01, b'x'], 1002),                   // not masked
        (vec![0xc1, 0x80, 0, 0, 0, 0], 1002),             // a reserved bit
        (vec![0x83, 0x80, 0, 0, 0, 0], 1002),             // an unknown opcode
        (vec![0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007), // not UTF-8
        (many, 4400),                                     // seventeen fragments
    ] {
        let (_, mut page) = world.open_page().await;
        page.socket.get_mut().write_all(&bytes).await.expect("written");
        assert_eq!(page.closed().await, Some(code), "{bytes:02x?}");
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn a_lost_socket_resumes_once_without_a_signature() {
    let world = World::new().await;
    let (agent, issuer) = (&world.agent.handle, &world.server.issuer);
    let (_, page) = world.open_page().await;
    let reopen = page.machine.reopen().expect("a ticket");
    drop(page);
    let mut again = TestPage::connect(agent, issuer, reopen.clone()).await;
    let ready = again.next().await.expect("ready");
    assert!(matches!(ready, AgentMessage::Ready { resumed: true, proof: None, .. }));
    let mut twice = TestPage::connect(agent, issuer, reopen).await;
    assert_eq!(twice.closed().await, Some(4401));
    let reopen = again.machine.reopen().expect("a ticket");
    agent.sign_out(&world.account).expect("signed out");
    let mut after = TestPage::connect(agent, issuer, reopen).await;
    assert!(matches!(after.next().await, Ok(AgentMessage::Ready { resumed: false, .. })), "the epoch is another one");
    world.agent.stop().await;
}

#[tokio::test]
async fn every_page_learns_of_a_change_and_the_last_change_is_what_counts() {
    let world = World::new().await;
    let (_, mut first) = world.open_page().await;
    let (_, mut second) = world.open_page().await;
    let agent = &world.agent.handle;
    for presence in [PresenceState::Away, PresenceState::Locked] {
        let seq = agent.set_presence(&world.account, presence).expect("set");
        for page in [&mut first, &mut second] {
            loop {
                match page.next().await.expect("a state") {
                    AgentMessage::State { seq: pushed, state } if pushed == seq => {
                        assert_eq!(state.presence, presence);
                        break;
                    }
                    AgentMessage::State { seq: earlier, .. } => assert!(earlier < seq),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn an_agent_that_stops_says_so_and_a_revoked_origin_is_shown_out() {
    let world = World::new().await;
    let (_, mut revoked) = world.open_page().await;
    let origin = world.server.issuer.origin();
    world.agent.handle.revoke(&origin).expect("revoked");
    assert_eq!(revoked.closed().await, Some(4403));
    let (_, mut page) = world.open_page().await;
    let (closed, ()) = tokio::join!(page.closed(), world.agent.stop());
    assert_eq!(closed, Some(1001));
}

#[tokio::test]
async fn a_page_that_closes_gets_its_answer() {
    let world = World::new().await;
    for (sent, answered) in [
        (vec![0x03, 0xe8], Some(1000)),
        (vec![0x0b, 0xb8, b'b', b'y', b'e'], Some(3000)),
        (vec![], None),
        (vec![0x13, 0x88], Some(1002)), // 5000 is nobody's code
        (vec![0x03, 0xed], Some(1002)), // 1005 is never sent
    ] {
        let (_, mut page) = world.open_page().await;
        let mut frame = vec![0x88, 0x80 | u8::try_from(sent.len()).expect("short"), 0, 0, 0, 0];
        frame.extend(&sent);
        page.socket.get_mut().write_all(&frame).await.expect("written");
        assert_eq!(page.closed().await, answered, "{sent:02x?}");
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn a_page_that_was_behind_reads_the_newest_state_and_no_backlog() {
    const CHANGES: usize = 4000;
    let world = World::new().await;
    let (agent, issuer) = (&world.agent.handle, &world.server.issuer);
    let open = OpenWith::Challenge(world.browser().challenge().await);
    let mut page = TestPage::connect_narrowly(agent, issuer, open).await;
    assert!(matches!(page.next().await, Ok(AgentMessage::Ready { .. })));
    let mut last = None;
    for change in 0..CHANGES {
        let presence = if change % 2 == 0 { PresenceState::Away } else { PresenceState::Locked };
        last = Some((agent.set_presence(&world.account, presence).expect("set"), presence));
        // Each state gets its turn on the agent's side.
        tokio::task::yield_now().await;
    }
    let mut read = 0;
    loop {
        read += 1;
        let AgentMessage::State { seq, state } = page.next().await.expect("a state") else { continue };
        if Some((seq, state.presence)) == last {
            break;
        }
    }
    assert!(read < CHANGES / 2, "{read} of {CHANGES} states were kept for a page that did not read");
    world.agent.stop().await;
}

#[tokio::test]
async fn a_key_that_the_issuer_has_just_made_is_learnt_at_once() {
    let mut world = World::new().await;
    let _before = world.open_page().await;
    world.server.rotate_key().await;
    let _after = world.open_page().await;
    world.agent.stop().await;
}

#[tokio::test]
async fn while_the_issuer_is_away_the_page_is_told_to_try_later() {
    let mut world = World::new().await;
    let (_, mut open) = world.open_page().await;
    world.server.stop().await;
    // Of a key that the agent has never seen: it would have to ask.
    let (key, _) = loopkey::crypto::SoftwareKey::generate(loopkey::crypto::Algorithm::Es256).expect("a key");
    let challenge: loopkey::protocol::statement::Challenge = serde_json::from_value(json!({
        "iss": world.server.issuer, "aud": "loopkey-agent", "org": world.server.issuer.origin(), "jti": "A".repeat(43),
        "sid": "A".repeat(43), "iat": 1, "exp": 2, "rdm": world.server.issuer.login_url(), "inc": "x",
    }))
    .expect("a challenge");
    let challenge = loopkey::protocol::statement::sign(&challenge, &key).expect("signed");
    let (agent, issuer) = (&world.agent.handle, &world.server.issuer);
    let mut page = TestPage::connect(agent, issuer, OpenWith::Challenge(challenge)).await;
    assert_eq!(page.closed().await, Some(1013));
    // An open socket stays.
    agent.set_presence(&world.account, PresenceState::Away).expect("set");
    assert!(matches!(open.next().await, Ok(AgentMessage::State { .. })));
    world.agent.stop().await;
}
