//! The popup bridge under attack: heads that are almost right, keys of others, first frames that are none, openers that are
//! not on the list, and answers that no person gave.

mod heads;
pub(crate) mod window;

use std::time::Duration;

use loopkey::agent::Answer;
use loopkey::protocol::grant::Choice;
use serde_json::{Value, json};

use super::raw::{Raw, masked, text};
use super::stage::Stage;
use window::{Window, key};

/// A stage on which nobody outside the browser can ask.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    stage.answer(Some(Answer::Unavailable));
    stage
}

fn origin(stage: &Stage) -> String {
    stage.issuer.url.origin().as_str().to_owned()
}

/// A window whose page has asked for a token and whose prompt is open; the prompt.
async fn asking(stage: &Stage) -> (Window, Value) {
    let mut window = Window::live(stage.port(), &origin(stage), &stage.issuer.challenge()).await;
    let login = json!({ "type": "login", "id": 7, "epoch": 0, "challenge": stage.issuer.challenge() });
    window.relay(&login).await;
    let prompt = window.next_of("consent_request").await;
    (window, prompt)
}

#[tokio::test]
async fn i164_a_key_that_is_missing_used_foreign_or_too_late() {
    let (stage, other) = (stage().await, stage().await);
    let (port, origin) = (stage.port(), origin(&stage));
    let used = key(port).await;
    let first = Window::greeted(port, &used, &origin).await;
    let late = key(port).await;
    stage.clock.advance(Duration::from_secs(30));
    let pushed_out = key(port).await;
    for _ in 0..16 {
        key(port).await;
    }
    let foreign = key(other.port()).await;
    let never = "A".repeat(43);
    for wrong in [used.as_str(), &late, &pushed_out, &foreign, &never] {
        stage.clock.advance(Duration::from_millis(100));
        assert_eq!(Window::of(port, wrong, &origin).await.refused().await, Some(4400), "{wrong}");
    }
    let fresh = key(port).await;
    let spoiled = [
        json!({ "type": "bridge", "origin": origin }),
        json!({ "type": "bridge", "key": null, "origin": origin }),
        json!({ "type": "bridge", "key": "", "origin": origin }),
        json!({ "type": "bridge", "key": format!("{fresh}="), "origin": origin }),
        json!({ "type": "bridge", "key": fresh[1..], "origin": origin }),
        json!({ "type": "bridge", "key": [fresh], "origin": origin }),
        json!({ "type": "bridge", "key": fresh, "origin": origin, "more": 1 }),
    ];
    for frame in spoiled {
        stage.clock.advance(Duration::from_millis(100));
        let mut window = Window::silent(port).await;
        window.say(&frame).await;
        assert_eq!(window.refused().await, Some(4400), "{frame}");
    }
    // What is no frame of a bridge uses no key up.
    drop(Window::greeted(port, &fresh, &origin).await);
    drop(first);
    other.unharmed().await;
    stage.unharmed().await;
}

/// Of many who show the same key at once, one is let in.
#[tokio::test]
async fn i164_one_of_many_with_the_same_key() {
    let stage = stage().await;
    let (port, origin, key) = (stage.port(), origin(&stage), key(stage.port()).await);
    let mut windows = Vec::new();
    for _ in 0..8 {
        windows.push(Window::silent(port).await);
    }
    let bridge = json!({ "type": "bridge", "key": key, "origin": origin });
    for window in &mut windows {
        window.say(&bridge).await;
    }
    let mut greeted = 0;
    for mut window in windows {
        match window.next().await {
            Ok(hello) => greeted += usize::from(hello["data"]["type"] == "hello"),
            Err(code) => assert_eq!(code, Some(4400)),
        }
    }
    assert_eq!(greeted, 1);
    stage.unharmed().await;
}

#[tokio::test]
async fn i165_a_first_frame_that_is_none_and_a_second_one() {
    let stage = stage().await;
    let (port, origin) = (stage.port(), origin(&stage));
    let open = json!({ "type": "open", "nonce": "A".repeat(43), "challenge": stage.issuer.challenge() });
    let too_big = text(&"x".repeat(8193));
    for (first, code) in [
        (text(&json!({ "type": "relay", "data": open }).to_string()), 4400),
        (text(&open.to_string()), 4400),
        (text(r#"{"type":"consent_answer","id":1,"allow":true,"remember":true}"#), 4400),
        (text(r#"{"type":"relay","data":{"type":"pong"}}"#), 4400),
        (text("{"), 4400),
        (text("[]"), 4400),
        (masked(0x81, &[0xff, 0xfe]), 1007),
        (masked(0x82, b"bridge"), 1003),
        (too_big, 1009),
    ] {
        stage.clock.advance(Duration::from_millis(100));
        let mut window = Window::silent(port).await;
        window.raw.say(&first).await;
        assert_eq!(window.refused().await, Some(code), "{:?}", String::from_utf8_lossy(&first[..first.len().min(99)]));
    }
    // Control frames are counted there too.
    let mut window = Window::silent(port).await;
    for _ in 0..61 {
        window.raw.say(masked(0x89, b"")).await;
    }
    assert_eq!(window.closed().await, Some(4429));
    // Once, and not again: neither with the same key nor with a fresh one, nor as another page.
    for (again, whose) in
        [(None, origin.as_str()), (Some(key(port).await), &origin), (Some(key(port).await), "https://evil.example")]
    {
        let first = key(port).await;
        let mut window = Window::greeted(port, &first, &origin).await;
        window.say(&json!({ "type": "bridge", "key": again.unwrap_or(first), "origin": whose })).await;
        assert_eq!(window.closed().await, Some(4400));
    }
    // A page's own message is none of a bridge's, even later.
    let mut window = Window::live(port, &origin, &stage.issuer.challenge()).await;
    window.say(&json!({ "type": "pong" })).await;
    assert_eq!(window.closed().await, Some(4400));
    // And a bridge's frames are none of a page's.
    for frame in [
        json!({ "type": "relay", "data": { "type": "pong" } }),
        json!({ "type": "bridge", "key": key(port).await, "origin": origin }),
        json!({ "type": "consent_answer", "id": 1, "allow": true, "remember": true }),
    ] {
        let mut page = stage.live().await;
        page.say(&frame).await;
        assert_eq!(page.closed().await, Some(4400), "{frame}");
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn i166_an_opener_that_is_not_on_the_list() {
    let stage = stage().await;
    let (port, origin) = (stage.port(), origin(&stage));
    let own = format!("http://127.0.0.1:{port}");
    let host = origin.strip_prefix("http://").expect("http");
    let forged = [
        "null".to_owned(),
        String::new(),
        "https://evil.example".to_owned(),
        own,
        format!("{origin}/"),
        format!(" {origin}"),
        format!("{origin} "),
        format!("{origin}."),
        format!("{origin}.evil.example"),
        format!("https://{host}"),
        origin.to_uppercase(),
        format!("{origin}0"),
        format!("{origin}#"),
        format!("{origin}, null"),
        format!("http://user@{host}"),
        format!("{origin}\0"),
        host.to_owned(),
        "*".to_owned(),
        "file://".to_owned(),
        "about:blank".to_owned(),
        "x".repeat(7000),
    ];
    for wrong in forged {
        stage.clock.advance(Duration::from_millis(100));
        let key = key(port).await;
        assert_eq!(Window::of(port, &key, &wrong).await.refused().await, Some(4400), "{wrong:?}");
        // The key is used up all the same: nobody tries one origin after the other with it.
        assert_eq!(
            Window::of(port, &key, &origin).await.refused().await,
            Some(4400),
            "{wrong:?}, and then the right one"
        );
    }
    // One that the person has blocked looks the same from outside.
    let set = |choice| stage.agent.handle.choose(&stage.issuer.url.origin(), choice).expect("chosen");
    set(Some(Choice::Blocked));
    assert_eq!(Window::of(port, &key(port).await, &origin).await.refused().await, Some(4400));
    set(None);
    drop(Window::greeted(port, &key(port).await, &origin).await);
    stage.agent.stop().await;
}

/// A yes for good.
fn yes(id: &Value) -> Value {
    json!({ "type": "consent_answer", "id": id, "allow": true, "remember": true })
}

#[tokio::test]
async fn i167_an_answer_to_what_was_never_asked() {
    let stage = stage().await;
    let (port, origin) = (stage.port(), origin(&stage));
    let mut window = Window::greeted(port, &key(port).await, &origin).await;
    window.say(&yes(&json!(1))).await;
    assert_eq!(window.closed().await, Some(4400), "before the page has opened");
    let mut window = Window::live(port, &origin, &stage.issuer.challenge()).await;
    window.say(&yes(&json!(1))).await;
    assert_eq!(window.closed().await, Some(4400), "nothing was asked");
    assert_eq!(stage.prompts(), 0);

    // Somebody is asked, and another window answers; then the right one, with another number.
    let (mut window, prompt) = asking(&stage).await;
    stage.clock.advance(Duration::from_millis(500));
    let mut other = Window::live(port, &origin, &stage.issuer.challenge()).await;
    other.say(&yes(&prompt["id"])).await;
    assert_eq!(other.closed().await, Some(4400), "by another window");
    window.say(&yes(&json!(2))).await;
    assert_eq!(window.closed().await, Some(4400), "another number");
    assert!(stage.agent.handle.consents().is_empty(), "nothing of all that was taken for a yes");
    stage.unharmed().await;
}

#[tokio::test]
async fn i167_an_answer_by_the_page_or_before_anybody_can_have_read_the_question() {
    let stage = stage().await;
    // Inside `relay` it is no message, however often it is wrapped.
    for wraps in [0, 1] {
        let (mut window, prompt) = asking(&stage).await;
        stage.clock.advance(Duration::from_millis(500));
        let wrapped = (0..wraps).fold(yes(&prompt["id"]), |data, _| json!({ "type": "relay", "data": data }));
        window.relay(&wrapped).await;
        assert_eq!(window.closed().await, Some(4400), "by the page");
    }
    let (mut window, prompt) = asking(&stage).await;
    stage.clock.advance(Duration::from_millis(499));
    window.say(&yes(&prompt["id"])).await;
    assert_eq!(window.closed().await, Some(4400), "too early");
    assert!(stage.agent.handle.consents().is_empty(), "nothing of all that was taken for a yes");
    stage.unharmed().await;
}

/// What comes after a prompt has gone counts for nothing, and for the next prompt neither.
#[tokio::test]
async fn i167_an_answer_counts_once_and_for_its_own_prompt() {
    let stage = stage().await;
    let (mut window, prompt) = asking(&stage).await;
    window.relay(&json!({ "type": "cancel", "id": 7 })).await;
    assert_eq!(window.next_of("consent_end").await["id"], prompt["id"]);
    stage.clock.advance(Duration::from_millis(500));
    window.say(&yes(&prompt["id"])).await;
    let login = json!({ "type": "login", "id": 8, "epoch": 0, "challenge": stage.issuer.challenge() });
    window.relay(&login).await;
    let next = window.next_of("consent_request").await;
    assert_eq!(next["id"], json!(2));
    window.say(&yes(&prompt["id"])).await;
    stage.clock.advance(Duration::from_millis(500));
    window.answer(&next["id"], false, true).await;
    assert_eq!(window.answer_to(8).await, json!({ "type": "refused", "id": 8, "code": "denied" }));
    window.say(&yes(&next["id"])).await;
    window.relay(&json!({ "type": "prove", "id": 9, "challenge": stage.issuer.challenge() })).await;
    assert_eq!(window.answer_to(9).await["type"], "proof", "the socket stands");
    assert!(stage.agent.handle.consents().is_empty(), "nothing of all that was taken for a yes");
    drop(window);
    stage.unharmed().await;
}

/// A second window with the first one's key and the other way round: each speaks for the page that opened it and for no other,
/// and whichever key was shown is used up.
#[tokio::test]
async fn i168_two_bridges_at_once_with_swapped_keys() {
    let second = "https://second.example";
    let stage = Stage::with(|settings| {
        let mut origin = settings.origins[0].clone();
        origin.origin = second.parse().expect("an origin");
        settings.origins.push(origin);
    })
    .await;
    stage.answer(Some(Answer::Unavailable));
    let (port, first) = (stage.port(), origin(&stage));
    let (one, two) = (key(port).await, key(port).await);
    let mut ours = Window::greeted(port, &two, &first).await;
    let mut theirs = Window::greeted(port, &one, second).await;
    for (used, origin) in [(&one, first.as_str()), (&two, second)] {
        assert_eq!(Window::of(port, used, origin).await.refused().await, Some(4400));
    }
    // A challenge of one page is none of the other's, whichever window carries it.
    theirs.open(&stage.issuer.challenge()).await;
    assert_eq!(theirs.closed().await, Some(4401));
    ours.open(&stage.issuer.challenge()).await;
    assert_eq!(ours.relayed().await["type"], "ready");
    let sockets = stage.agent.handle.status().origins.into_iter().map(|o| (o.origin.to_string(), o.sockets));
    assert_eq!(
        Vec::from_iter(sockets.filter(|(_, sockets)| *sockets > 1)),
        [(first.clone(), 2)],
        "the honest page and this one"
    );

    // Two prompts at once there are not, in whichever windows; and each answers for itself.
    let login = json!({ "type": "login", "id": 7, "epoch": 0, "challenge": stage.issuer.challenge() });
    ours.relay(&login).await;
    let prompt = ours.next_of("consent_request").await;
    assert_eq!(prompt["origin"], json!(first));
    let mut beside = Window::live(port, &first, &stage.issuer.challenge()).await;
    let login = json!({ "type": "login", "id": 7, "epoch": 0, "challenge": stage.issuer.challenge() });
    beside.relay(&login).await;
    assert_eq!(beside.answer_to(7).await["code"], json!("busy"));
    stage.clock.advance(Duration::from_millis(500));
    ours.answer(&prompt["id"], true, false).await;
    assert_eq!(ours.answer_to(7).await["type"], "token");
    drop((ours, beside));
    stage.unharmed().await;
}

/// What holds for other sockets in numbers holds for these.
#[tokio::test]
async fn i168_bridges_take_the_places_of_sockets() {
    let stage = Stage::with(|settings| {
        (settings.limits.per_origin, settings.limits.not_yet_open) = (2, 3);
    })
    .await;
    let (port, origin) = (stage.port(), origin(&stage));
    // The honest page has one of its origin's two places, the first window takes the other.
    let first = Window::live(port, &origin, &stage.issuer.challenge()).await;
    assert_eq!(Window::of(port, &key(port).await, &origin).await.refused().await, Some(4429));
    drop(first);
    // Before its first frame a bridge is one of those that are not open yet; there are three, and one is a head's.
    let waiting = [Window::silent(port).await, Window::silent(port).await, Window::silent(port).await];
    let mut raw = Raw::connect(port).await;
    raw.say(window::page_head(port)).await;
    let answer = raw.rest().await;
    assert!(answer.starts_with(b"HTTP/1.1 403 "), "{}", String::from_utf8_lossy(&answer));
    for window in waiting {
        assert_eq!(window.closed().await, Some(4408), "nobody says whose it is");
    }
    stage.unharmed().await;
}
