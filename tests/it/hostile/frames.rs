//! Hostile WebSocket frames, after the upgrade: each closes with the code that RFC 6455 or the protocol has for it, before
//! `open` and after it, and nobody else notices.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use super::raw::{Raw, masked, text, upgrade};
use super::stage::{Socket, Stage, bounce};
use loopkey::protocol::limits::{RATE_BURST, SEND_QUEUE_MAX_LEN};
use loopkey::protocol::state::PresenceState;

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const CLOSE: u8 = 0x88;

/// The header of a masked text frame that announces this many bytes, and nothing behind it.
fn announced(len: u64) -> Vec<u8> {
    [&[TEXT, 0x80 | 127][..], &len.to_be_bytes(), &[0; 4]].concat()
}

#[tokio::test]
async fn i066_an_unmasked_frame() {
    let pong = br#"{"type":"pong"}"#;
    let unmasked = |first: u8, payload: &[u8]| [&[first, payload.len() as u8][..], payload].concat();
    bounce(1002, [unmasked(TEXT, pong), unmasked(TEXT, b""), unmasked(PING, b""), unmasked(0x82, b"x")]).await;
}

#[tokio::test]
async fn i067_a_binary_message() {
    let in_two = [masked(0x02, b"{}"), masked(ENDS, b"")].concat();
    bounce(1003, [masked(0x82, b""), masked(0x82, br#"{"type":"pong"}"#), in_two]).await;
}

#[tokio::test]
async fn i068_reserved_bits() {
    bounce(1002, [0x40, 0x20, 0x10, 0x70].map(|bits| masked(TEXT | bits, br#"{"type":"pong"}"#))).await;
}

#[tokio::test]
async fn i069_unknown_opcodes() {
    bounce(1002, (0x83..=0x87).chain(0x8b..=0x8f).map(|first| masked(first, b""))).await;
}

#[tokio::test]
async fn i070_fragmented_control_frames() {
    bounce(1002, [PING, PONG, CLOSE].map(|first| masked(first & 0x0f, b""))).await;
}

#[tokio::test]
async fn i071_control_frames_over_125_bytes() {
    bounce(1002, [PING, PONG, CLOSE].map(|first| masked(first, &[b'x'; 126]))).await;
}

#[tokio::test]
async fn i072_seventeen_fragments() {
    let mut message = masked(TEXT_BEGINS, br#"{"type":"#);
    message.extend((0..15).flat_map(|_| masked(GOES_ON, b" ")));
    message.extend(masked(ENDS, br#""pong"}"#));
    bounce(4400, [message]).await;
}

#[tokio::test]
async fn i073_fragments_without_end() {
    let mut message = masked(TEXT_BEGINS, b"");
    message.extend((0..10_000).flat_map(|_| masked(GOES_ON, b"")));
    bounce(4400, [message]).await;
}

#[tokio::test]
async fn i074_sixteen_megabytes_are_announced() {
    bounce(1009, [announced(16 * 1024 * 1024)]).await;
}

#[tokio::test]
async fn i075_a_length_of_2_to_the_63() {
    bounce(1009, [announced(1 << 63), announced(u64::MAX), announced(u64::from(u32::MAX) + 1)]).await;
}

#[tokio::test]
async fn i076_broken_utf8_over_several_frames() {
    // The euro sign in two halves is sound text, and no message; a half of it is no text.
    let halves = |second: &[u8]| [masked(TEXT_BEGINS, b"\xe2\x82"), masked(ENDS, second)].concat();
    bounce(1007, [halves(b"x"), halves(b""), halves(b"\xc0"), masked(TEXT, b"\xed\xa0\x80")]).await;
    bounce(4400, [halves(b"\xac")]).await;
}

#[tokio::test]
async fn i077_a_flood_of_pings_without_reading() {
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    let flood: Vec<u8> = (0..5_000).flat_map(|_| masked(PING, &[b'x'; 125])).collect();
    // The agent hangs up in the midst of it, so that not all of it can be written.
    socket.raw.say(&flood).await;
    let mut answered = 0;
    let code = loop {
        match socket.raw.frame().await {
            Some((PONG, _)) => answered += 1,
            Some((CLOSE, code)) => break code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 4429_u16.to_be_bytes());
    assert!(answered <= RATE_BURST, "{answered} pings were answered");
    stage.unharmed().await;
}

#[tokio::test]
async fn i078_the_pushes_are_never_read() {
    const CHANGES: usize = 5_000;
    let stage = Stage::new().await;
    let connection = TcpSocket::new_v4().expect("a socket");
    connection.set_recv_buffer_size(4096).expect("a size");
    let mut raw = Raw(connection.connect(([127, 0, 0, 1], stage.port()).into()).await.expect("connected"));
    raw.say(upgrade(stage.port(), stage.issuer.url.origin().as_str())).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::io::AsyncReadExt::read_u8(&mut raw.0).await.expect("a head"));
    }
    let mut socket = Socket::greet(raw).await;
    socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
    socket.next_of("ready").await;
    let mut last = None;
    for change in 0..CHANGES {
        let presence = if change % 2 == 0 { PresenceState::Away } else { PresenceState::Locked };
        last = Some(stage.agent.handle.set_presence(&stage.account, presence).expect("set"));
        // Each state gets its turn on the agent's side.
        tokio::task::yield_now().await;
    }
    // All that was kept for it: what the agent may hold and what the system's own buffers do.
    let mut kept = 0;
    loop {
        let state = socket.next_of("state").await;
        kept += state.to_string().len();
        if state["seq"] == json!(last) {
            break;
        }
    }
    assert!(kept < 2 * SEND_QUEUE_MAX_LEN, "{kept} bytes were kept of some {}", CHANGES * 90);
    stage.unharmed().await;
}

#[tokio::test]
async fn i079_close_codes_that_nobody_may_send() {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX];
    bounce(1002, codes.map(|code| masked(CLOSE, &code.to_be_bytes()))).await;
    // Half a code, and a reason that is no text.
    bounce(1002, [masked(CLOSE, &[3])]).await;
    bounce(1007, [masked(CLOSE, b"\x03\xe8\xff")]).await;
}

#[tokio::test]
async fn i080_data_after_the_close() {
    let stage = Stage::new().await;
    let prove = text(&json!({ "type": "prove", "id": 1, "challenge": stage.issuer.challenge() }).to_string());
    // After the page's own goodbye, and after the agent's: `closed` demands that nothing follows.
    for (last_words, code) in [(masked(CLOSE, &1000_u16.to_be_bytes()), 1000), (text("{"), 4400)] {
        let mut socket = stage.live().await;
        socket.raw.say([last_words, prove.clone(), masked(PING, b"x")].concat()).await;
        assert_eq!(socket.closed().await, Some(code));
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn i081_five_hundred_messages_at_once() {
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    let flood: Vec<u8> = (0..500).flat_map(|_| text(r#"{"type":"pong"}"#)).collect();
    let _ = socket.raw.0.write_all(&flood).await;
    assert_eq!(socket.closed().await, Some(4429));
    stage.unharmed().await;
}
