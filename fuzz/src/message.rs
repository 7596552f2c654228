//! Text frames → messages, in both directions.

use loopkey::protocol::bridge::{BridgeMessage, relayed};
use loopkey::protocol::message::{AgentMessage, PageMessage};
use loopkey::protocol::page::{OpenWith, Page};
use serde_json::Value;

/// The bytes are one text frame, read by the agent and by a page.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let request = PageMessage::parse(text);
    if let Ok(message) = &request {
        assert_sound_request(text, message);
        let behind = BridgeMessage::parse(&relayed(text)).expect("what a page may say, it may say behind a bridge");
        assert!(matches!(behind, BridgeMessage::Relay { data } if data == *message), "{text}");
    }
    if let Ok(message) = BridgeMessage::parse(text) {
        assert!(request.is_err(), "{text} is a page's and a bridge's");
        let encoded = serde_json::to_string(&message).expect("JSON");
        assert!(BridgeMessage::parse(&encoded).is_ok_and(|again| again == message), "{text}");
    }
    if let Ok(message) = AgentMessage::parse(text) {
        let encoded = message.encode();
        assert!(AgentMessage::parse(&encoded).is_ok_and(|again| again == message), "{text}");
    }
    // A page stands any text at any time, and answers nothing but what it must.
    let mut page = Page::new(OpenWith::Challenge("c".into()));
    for _ in 0..3 {
        let _ = page.handle(text);
    }
    request.is_ok()
}

/// Which members a page's message may have.
fn members(kind: &str) -> &'static [&'static str] {
    match kind {
        "open" => &["type", "nonce", "challenge", "resume", "seq"],
        "prove" => &["type", "id", "challenge"],
        "login" => &["type", "id", "epoch", "challenge"],
        "cancel" => &["type", "id"],
        "action" => &["type", "id", "name", "params"],
        "pong" => &["type"],
        other => panic!("{other} is no message of a page"),
    }
}

fn assert_sound_request(text: &str, message: &PageMessage) {
    let encoded = message.encode();
    let again = PageMessage::parse(&encoded).unwrap_or_else(|_| panic!("{encoded} does not read back"));
    assert!(again == *message && again.encode() == encoded, "{text} reads back as {encoded}");

    let Ok(Value::Object(object)) = serde_json::from_str(text) else { panic!("{text} is no object") };
    let kind = object["type"].as_str().expect("the type is text");
    assert_eq!(kind, format!("{message:?}"));
    assert!(object.keys().all(|name| members(kind).contains(&name.as_str())), "{text} has an unknown member");
    for (name, value) in &object {
        let sound = match name.as_str() {
            "id" | "epoch" | "seq" => value.is_u64(),
            "params" => true,
            _ => value.is_string(),
        };
        assert!(sound, "{name} of {text} is of the wrong type");
    }
    let Value::Object(encoded) = serde_json::from_str(&encoded).expect("JSON") else { panic!("an object") };
    assert_eq!(encoded, object, "nothing is lost and nothing is added");

    assert_closed(text.trim_matches([' ', '\t', '\r', '\n']), &object);
}

/// Each of these changes makes another text of it, which nobody may read as a message.
fn assert_closed(text: &str, object: &serde_json::Map<String, Value>) {
    let inside = &text[1..];
    let comma = if object.is_empty() { "" } else { "," };
    for (name, value) in object {
        let name = Value::from(name.as_str());
        assert!(PageMessage::parse(&format!("{{{name}:{value}{comma}{inside}")).is_err(), "{name} twice");
    }
    for spoiled in [
        format!("{{\"zz\":1{comma}{inside}"),
        format!("[{text}]"),
        format!("{text},"),
        format!("{text}{text}"),
        format!("\u{feff}{text}"),
        text[..text.len() - 1].to_owned(),
    ] {
        assert!(PageMessage::parse(&spoiled).is_err(), "{spoiled} passes");
    }
    assert!(PageMessage::parse(&format!("\r\n\t {text} ")).is_ok(), "blanks around the object");
}
