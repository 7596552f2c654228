//! Every limit of an open socket, each hit exactly: what is on it passes, and one more does not. The clock stands still
//! between the steps, so that nothing depends on how fast the test is. Two limits are shown below the network, where time
//! can be paused or nothing is read: a prompt's minute in `src/agent/person/consent.rs`, what waits for a page that does not read
//! in `src/agent/page/wire.rs`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use loopkey::agent::{Answer, Asker, OriginSettings, Prompt};
use loopkey::protocol::limits::{
    CONTROLS_PER_SECOND, MAX_FRAGMENTS, MESSAGE_MAX_LEN, MESSAGES_PER_SECOND, OPEN_TIMEOUT, PING_INTERVAL,
    PONG_TIMEOUT, PROMPT_WINDOW, PROMPTS_PER_WINDOW, RATE_BURST,
};
use serde_json::json;
use tokio::sync::Notify;

use super::raw::{masked, text};
use super::stage::{Socket, Stage};

const PONG: &str = r#"{"type":"pong"}"#;
/// The least that a clock can tell.
const A_MOMENT: Duration = Duration::from_millis(1);

/// Has the agent look at its clock: it answers the frame, and nobody's script hears of it.
async fn wake(socket: &mut Socket) {
    socket.raw.say(masked(0x89, b"wake")).await;
}

/// Lets time pass, and has the agent notice.
async fn pass(stage: &Stage, socket: &mut Socket, time: Duration) {
    stage.clock.advance(time);
    wake(socket).await;
}

/// A sound message of exactly that many bytes.
fn long_pong(len: usize) -> String {
    format!("{PONG:<len$}")
}

#[tokio::test]
async fn open_is_awaited_for_five_seconds() {
    let stage = Stage::new().await;
    let mut in_time = stage.greeted().await;
    let mut late = stage.greeted().await;
    pass(&stage, &mut in_time, OPEN_TIMEOUT - A_MOMENT).await;
    in_time.open(json!({ "challenge": stage.issuer.challenge() })).await;
    in_time.next_of("ready").await;
    pass(&stage, &mut late, A_MOMENT).await;
    assert_eq!((OPEN_TIMEOUT, late.closed().await), (Duration::from_secs(5), Some(4408)));
    stage.serves(&mut in_time).await;
    stage.unharmed().await;
}

#[tokio::test]
async fn a_message_has_8192_bytes_at_most_however_it_is_cut() {
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    let whole = |len| text(&long_pong(len));
    let in_two = |len| {
        let message = long_pong(len);
        let (first, second) = message.as_bytes().split_at(5000);
        [masked(0x01, first), masked(0x80, second)].concat()
    };
    assert_eq!(MESSAGE_MAX_LEN, 8192);
    socket.raw.say([whole(MESSAGE_MAX_LEN), in_two(MESSAGE_MAX_LEN)].concat()).await;
    stage.serves(&mut socket).await;
    for one_more in [whole(MESSAGE_MAX_LEN + 1), in_two(MESSAGE_MAX_LEN + 1)] {
        let mut socket = stage.live().await;
        socket.raw.say(one_more).await;
        assert_eq!(socket.closed().await, Some(1009));
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn a_frame_has_8192_bytes_at_most_and_is_refused_by_its_header() {
    let stage = Stage::new().await;
    let announced = |first: u8, len: usize| masked(first, &vec![b' '; len])[..8].to_vec();
    for first in [0x81, 0x01, 0x82] {
        let mut socket = stage.live().await;
        socket.raw.say(announced(first, MESSAGE_MAX_LEN + 1)).await;
        assert_eq!(socket.closed().await, Some(1009), "{first:02x}");
    }
    // One that may still come is waited for.
    let mut socket = stage.live().await;
    let frame = masked(0x81, long_pong(MESSAGE_MAX_LEN).as_bytes());
    let (header, payload) = frame.split_at(8);
    socket.raw.say(header).await;
    socket.raw.say(payload).await;
    stage.serves(&mut socket).await;
    stage.unharmed().await;
}

#[tokio::test]
async fn a_message_has_sixteen_fragments_at_most() {
    let stage = Stage::new().await;
    let fragments = |count: u32| {
        let mut message = masked(0x01, PONG.as_bytes());
        message.extend((2..count).flat_map(|_| [masked(0x00, b" "), masked(0x8a, b"")].concat()));
        message.extend(masked(0x80, b""));
        message
    };
    let mut socket = stage.live().await;
    socket.raw.say(fragments(MAX_FRAGMENTS)).await;
    stage.serves(&mut socket).await;
    socket.raw.say(fragments(MAX_FRAGMENTS + 1)).await;
    assert_eq!((MAX_FRAGMENTS, socket.closed().await), (16, Some(4400)));
    stage.unharmed().await;
}

#[tokio::test]
async fn only_text_is_taken() {
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    socket.raw.say(masked(0x81, PONG.as_bytes())).await;
    stage.serves(&mut socket).await;
    socket.raw.say(masked(0x82, PONG.as_bytes())).await;
    assert_eq!(socket.closed().await, Some(1003));
    stage.unharmed().await;
}

#[tokio::test]
async fn thirty_messages_a_second_after_sixty_at_once() {
    let stage = Stage::new().await;
    let pongs = |count: u32| text(PONG).repeat(count as usize);
    let mut socket = stage.live().await;
    // `open` was the first of them, and each look whether the socket is served is one.
    socket.raw.say(pongs(RATE_BURST - 2)).await;
    stage.serves(&mut socket).await;
    for _ in 0..3 {
        stage.clock.advance(Duration::from_secs(1));
        socket.raw.say(pongs(MESSAGES_PER_SECOND - 1)).await;
        stage.serves(&mut socket).await;
    }
    socket.raw.say(pongs(1)).await;
    assert_eq!((RATE_BURST, MESSAGES_PER_SECOND, socket.closed().await), (60, 30, Some(4429)));
    stage.unharmed().await;
}

#[tokio::test]
async fn ten_control_frames_a_second_after_sixty_at_once() {
    let stage = Stage::new().await;
    // Pings and pongs count alike, answered or not.
    let controls = |count: u32| [masked(0x89, b"x"), masked(0x8a, b"")].concat().repeat(count as usize / 2);
    let mut socket = stage.live().await;
    socket.raw.say(controls(RATE_BURST)).await;
    stage.serves(&mut socket).await;
    for _ in 0..3 {
        stage.clock.advance(Duration::from_secs(1));
        socket.raw.say(controls(CONTROLS_PER_SECOND)).await;
        stage.serves(&mut socket).await;
    }
    socket.raw.say(masked(0x8a, b"")).await;
    assert_eq!((CONTROLS_PER_SECOND, socket.closed().await), (10, Some(4429)));
    stage.unharmed().await;
}

#[tokio::test]
async fn the_script_is_asked_every_thirty_seconds_and_given_up_after_seventy_five() {
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    let mut times = 0;
    for _ in 0..3 {
        pass(&stage, &mut socket, PING_INTERVAL - A_MOMENT).await;
        stage.serves(&mut socket).await;
        // Exactly now, and not a moment before: `serves` has heard everything that came until then.
        pass(&stage, &mut socket, A_MOMENT).await;
        assert_eq!(socket.next().await.expect("a ping"), json!({ "type": "ping" }));
        socket.raw.say(text(PONG)).await;
        stage.serves(&mut socket).await;
        times += 1;
    }
    for _ in 0..2 {
        pass(&stage, &mut socket, PING_INTERVAL).await;
        socket.next_of("ping").await;
    }
    pass(&stage, &mut socket, PONG_TIMEOUT - 2 * PING_INTERVAL - A_MOMENT).await;
    // Not a moment before: it is there, and gets nothing that is signed.
    socket.say(&json!({ "type": "prove", "id": 4711, "challenge": stage.issuer.challenge() })).await;
    assert_eq!(socket.answer(4711).await["type"], "refused");
    pass(&stage, &mut socket, A_MOMENT).await;
    assert_eq!((times, PING_INTERVAL.as_secs(), PONG_TIMEOUT.as_secs()), (3, 30, 75));
    assert_eq!(socket.closed().await, Some(4408));
    // Nobody else's script answers for this one, and the honest page's has not answered either.
    stage.agent.stop().await;
}

#[tokio::test]
async fn nothing_is_signed_for_a_page_that_missed_a_ping() {
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    for asked in 1..=2 {
        pass(&stage, &mut socket, PING_INTERVAL).await;
        socket.next_of("ping").await;
        // One ping is under way; with the second the first is missed.
        socket.say(&json!({ "type": "prove", "id": asked, "challenge": stage.issuer.challenge() })).await;
        let answer = socket.answer(asked).await;
        let expected = if asked == 1 { json!(null) } else { json!("unavailable") };
        assert_eq!(answer["code"], expected, "{answer}");
    }
    socket.login(3, 0, stage.issuer.challenge()).await;
    assert_eq!(socket.answer(3).await["code"], "unavailable");
    assert_eq!(stage.prompts(), 0);
    // The script is awake again.
    socket.raw.say(text(PONG)).await;
    stage.serves(&mut socket).await;
    socket.login(4, 0, stage.issuer.challenge()).await;
    assert_eq!(socket.answer(4).await["type"], "token");
    stage.agent.stop().await;
}

/// Says yes when the test does.
struct Hesitant(Arc<Notify>);

#[async_trait]
impl Asker for Hesitant {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, _: Prompt) -> Answer {
        self.0.notified().await;
        Answer::Allow { remember: false }
    }
}

#[tokio::test]
async fn a_ping_that_is_missed_under_the_prompt_costs_the_token() {
    let yes = Arc::new(Notify::new());
    let stage = Stage::built(|_| (), |builder| builder.asker(Arc::new(Hesitant(Arc::clone(&yes))))).await;
    let mut socket = stage.live().await;
    for (id, missed) in [(1, 2), (2, 1)] {
        socket.login(id, 0, stage.issuer.challenge()).await;
        socket.next_of("consent").await;
        for _ in 0..missed {
            pass(&stage, &mut socket, PING_INTERVAL).await;
            socket.next_of("ping").await;
        }
        yes.notify_one();
        let answer = socket.answer(id).await;
        let expected = if missed > 1 { json!("unavailable") } else { json!(null) };
        assert_eq!(answer["code"], expected, "{answer}");
        socket.raw.say(text(PONG)).await;
    }
    stage.agent.stop().await;
}

#[tokio::test]
async fn three_prompts_in_ten_minutes_and_a_fourth_when_the_first_is_that_old() {
    let stage = Stage::new().await;
    // A page of its own for each: sockets do not outlive minutes of silence.
    let ask = async || {
        let mut socket = stage.live().await;
        socket.login(1, 0, stage.issuer.challenge()).await;
        socket.answer(1).await["code"].clone()
    };
    for _ in 0..PROMPTS_PER_WINDOW {
        assert_eq!(ask().await, json!(null), "a token");
    }
    assert_eq!(ask().await, "busy");
    stage.clock.advance(PROMPT_WINDOW - A_MOMENT);
    assert_eq!(ask().await, "busy");
    stage.clock.advance(A_MOMENT);
    assert_eq!(ask().await, json!(null), "a token");
    assert_eq!((PROMPTS_PER_WINDOW, PROMPT_WINDOW.as_secs(), stage.prompts()), (3, 600, 4));
    stage.agent.stop().await;
}

#[tokio::test]
async fn one_prompt_in_all_whoever_asks() {
    const SECOND: &str = "https://second.example";
    let stage = Stage::with(|settings| {
        let second = OriginSettings { origin: SECOND.parse().expect("an origin"), ..settings.origins[0].clone() };
        settings.origins.push(second);
    })
    .await;
    stage.answer(None);
    let mut first = stage.live().await;
    first.login(1, 0, stage.issuer.challenge()).await;
    first.next_of("consent").await;
    let of_second = || stage.issuer.sign(&stage.issuer.claims_for(SECOND));
    let mut second = stage.greeted_from(SECOND).await;
    second.open(json!({ "challenge": of_second() })).await;
    second.next_of("ready").await;
    second.login(1, 0, of_second()).await;
    assert_eq!(second.answer(1).await["code"], "busy");
    first.say(&json!({ "type": "cancel", "id": 1 })).await;
    assert_eq!(first.answer(1).await["code"], "cancelled");
    second.login(2, 0, of_second()).await;
    assert_eq!(second.next_of("consent").await["id"], 2);
    assert_eq!(stage.prompts(), 2);
    drop(second);
    stage.unharmed().await;
}

#[tokio::test]
async fn one_login_at_a_time_on_a_socket() {
    let stage = Stage::new().await;
    stage.answer(None);
    let mut socket = stage.live().await;
    socket.login(1, 0, stage.issuer.challenge()).await;
    socket.next_of("consent").await;
    for id in [1, 2] {
        socket.login(id, 0, stage.issuer.challenge()).await;
        assert_eq!(socket.answer(id).await["code"], "busy");
    }
    // The first is still the one that is asked for: it is this one that the page can take back.
    socket.say(&json!({ "type": "cancel", "id": 2 })).await;
    socket.say(&json!({ "type": "cancel", "id": 1 })).await;
    assert_eq!(socket.next().await.expect("an answer"), json!({ "type": "refused", "id": 1, "code": "cancelled" }));
    stage.serves(&mut socket).await;
    stage.unharmed().await;
}
