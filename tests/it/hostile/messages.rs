//! Hostile messages: what is not, to the letter, one of a page's six messages closes the socket with 4400. What they may
//! not say when, and what they may not ask for, is in `order` and `challenge`.

use loopkey::agent::control::Method;
use loopkey::protocol::message::PageMessage;
use serde_json::{Value, json};

use super::raw::{masked, text};
use super::stage::{Stage, bounce};

/// Every message of a page; a new one does not compile before it is written down here, and in the protocol.
const fn kind(message: &PageMessage) -> &'static str {
    match message {
        PageMessage::Open { .. } => "open",
        PageMessage::Prove { .. } => "prove",
        PageMessage::Login { .. } => "login",
        PageMessage::Cancel { .. } => "cancel",
        PageMessage::Action { .. } => "action",
        PageMessage::Pong {} => "pong",
    }
}

async fn bounce_texts<T: AsRef<str>>(hostile: impl IntoIterator<Item = T>) {
    bounce(4400, hostile.into_iter().map(|message| text(message.as_ref()))).await;
}

/// An action with these params, in JSON or not.
fn action(params: &str) -> String {
    format!(r#"{{"type":"action","id":1,"name":"open","params":{params}}}"#)
}

#[tokio::test]
async fn i082_what_is_not_json() {
    bounce_texts([
        "",
        " ",
        "pong",
        "GET / HTTP/1.1\r\n\r\n",
        "{",
        r#"{"type":"pong""#,
        r#"{"type":"pong"}}"#,
        r#"{"type":"pong"} {"type":"pong"}"#,
        r#"{"type":"pong",}"#,
        "{'type':'pong'}",
        "{type:\"pong\"}",
        "\u{feff}{\"type\":\"pong\"}",
        "{\"type\":\"pong\"}\0",
        "{\"type\":\"pong\"}\u{a0}",
        "/* */{\"type\":\"pong\"}",
        "{\"type\":\"action\",\"id\":1,\"name\":\"a\nb\",\"params\":{}}",
        &action("NaN"),
        &action("01"),
        &action("\"\\x41\""),
        &action("undefined"),
    ])
    .await;
}

#[tokio::test]
async fn i083_an_array_in_an_objects_place() {
    // The last ones are what a derived reader would take: the members in their order.
    let nonce = "A".repeat(43);
    let positional = [format!(r#"["open","{nonce}"]"#), format!(r#"["open",{{"nonce":"{nonce}"}}]"#)];
    let flat = ["[]", r#"["pong"]"#, " [\"pong\"]", r#"[{"type":"pong"}]"#, r#""pong""#, "null", "true", "7"];
    bounce_texts(positional.iter().map(String::as_str).chain(flat)).await;
    bounce_texts([r#"["login",1,0,"c"]"#, r#"["cancel",1]"#, r#"{"type":"cancel","id":[1]}"#, r#"{"pong":[]}"#]).await;
}

#[tokio::test]
async fn i084_two_hundred_levels_and_four_thousand() {
    let arrays = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| r#"{"a":"#.repeat(depth) + "1" + &"}".repeat(depth);
    bounce_texts([
        arrays(200),
        objects(200),
        action(&arrays(200)),
        action(&objects(200)),
        action(&arrays(4_000)),
        "[".repeat(8_000),
        r#"{"a":"#.repeat(1_600),
        action(&"[".repeat(8_000)),
    ])
    .await;
    // A hundred are nobody's harm: the request is read, and refused for what it asks.
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    socket.raw.say(text(&action(&arrays(100)))).await;
    assert_eq!(socket.answer(1).await["code"], "not_granted");
    stage.unharmed().await;
}

#[tokio::test]
async fn i085_members_that_are_there_twice() {
    let nonce = "A".repeat(43);
    bounce_texts([
        r#"{"type":"pong","type":"pong"}"#,
        r#"{"type":"cancel","id":1,"id":1}"#,
        r#"{"type":"cancel","id":1,"\u0069d":1}"#,
        r#"{"type":"cancel","\u0074ype":"cancel","id":1}"#,
        r#"{"type":"prove","id":1,"challenge":"c","challenge":"d"}"#,
        r#"{"type":"login","id":1,"epoch":0,"epoch":1,"challenge":"c"}"#,
        &format!(r#"{{"type":"open","nonce":"{nonce}","nonce":"{nonce}"}}"#),
        &action(r#"{"url":"https://a.example","url":"https://b.example"}"#),
        &action(r#"{"url":1,"\u0075rl":2}"#),
        &action(r#"[{"deep":{"a":1,"a":1}}]"#),
    ])
    .await;
}

#[tokio::test]
async fn i086_unknown_types_and_unknown_members() {
    let types = ["", " pong", "Pong", "PONG", "pong\0", "rpc", "constructor", "__proto__", "bridge", "relay"];
    bounce_texts(types.map(|name| json!({ "type": name }).to_string())).await;
    // What the agent says is not for pages to say.
    let agents = ["hello", "ready", "state", "proof", "consent", "token", "result", "refused", "ping"];
    bounce_texts(agents.map(|name| json!({ "type": name, "id": 1, "code": "47" }).to_string())).await;
    let nonce = "A".repeat(43);
    let sound = [
        json!({ "type": "open", "nonce": nonce }),
        json!({ "type": "prove", "id": 1, "challenge": "c" }),
        json!({ "type": "login", "id": 1, "epoch": 0, "challenge": "c" }),
        json!({ "type": "cancel", "id": 1 }),
        json!({ "type": "action", "id": 1, "name": "open", "params": {} }),
        json!({ "type": "pong" }),
    ];
    let kinds = sound.iter().map(|message| kind(&PageMessage::parse(&message.to_string()).expect("sound")));
    assert_eq!(kinds.collect::<Vec<_>>(), ["open", "prove", "login", "cancel", "action", "pong"]);
    let with_more = sound.iter().flat_map(|message| {
        ["grants", "origin", "uv", "__proto__", "Type", ""].map(|name| {
            let mut message = message.clone();
            message[name] = json!(1);
            message.to_string()
        })
    });
    bounce_texts(with_more).await;
    bounce_texts([r#"{}"#, r#"{"id":1}"#, r#"{"type":"login","id":1,"epoch":0}"#, r#"{"type":"cancel"}"#]).await;
}

#[tokio::test]
async fn i087_wrong_types_null_and_numbers_out_of_range() {
    let numbers =
        ["null", "-1", "-0.5", "1.0", "1e2", "1e400", "-1e400", "18446744073709551616", r#""1""#, "true", "{}"];
    let texts = ["null", "1", "true", "[]", r#"["c"]"#, "{}"];
    let hostile = numbers
        .iter()
        .flat_map(|n| {
            [
                format!(r#"{{"type":"cancel","id":{n}}}"#),
                format!(r#"{{"type":"prove","id":{n},"challenge":"c"}}"#),
                format!(r#"{{"type":"login","id":1,"epoch":{n},"challenge":"c"}}"#),
                format!(r#"{{"type":"action","id":{n},"name":"open","params":{{}}}}"#),
            ]
        })
        .chain(texts.iter().flat_map(|t| {
            [
                format!(r#"{{"type":{t}}}"#),
                format!(r#"{{"type":"prove","id":1,"challenge":{t}}}"#),
                format!(r#"{{"type":"action","id":1,"name":{t},"params":{{}}}}"#),
            ]
        }))
        .chain([action("1e400"), r#"{"type":"action","id":1,"name":"open"}"#.to_owned()]);
    bounce_texts(hostile).await;
    // The optional members of `open`: left out they are nothing, but where one stands it has a value.
    let stage = Stage::new().await;
    for (member, value) in [
        ("challenge", json!(null)),
        ("challenge", json!(7)),
        ("challenge", json!(["a.b.c"])),
        ("resume", json!(null)),
        ("resume", json!({})),
        ("seq", json!(null)),
        ("seq", json!(-1)),
        ("seq", json!("17")),
    ] {
        let mut socket = stage.greeted().await;
        socket.open(json!({ member: value })).await;
        assert_eq!(socket.closed().await, Some(4400), "{member}");
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn i088_lone_surrogates() {
    let halves = [r"\ud800", r"\udc00", r"\ud800x", r"\udbff\ud800", r"\udc00\ud800", r"\ud8", r"\ud800\u"];
    let hostile = halves.iter().flat_map(|half| {
        [
            format!(r#"{{"type":"prove","id":1,"challenge":"{half}"}}"#),
            format!(r#"{{"type":"action","id":1,"name":"{half}","params":{{}}}}"#),
            format!(r#"{{"type":"pong","{half}":1}}"#),
            action(&format!(r#"{{"a":["{half}"]}}"#)),
            action(&format!(r#"{{"{half}":1}}"#)),
        ]
    });
    bounce_texts(hostile).await;
    // The same as bytes: that is no UTF-8 to begin with.
    bounce(1007, [masked(0x81, b"{\"type\":\"prove\",\"id\":1,\"challenge\":\"\xed\xa0\x80\"}")]).await;
}

/// The names that the control socket answers to, and those that the agent says on it.
fn control_methods() -> Vec<&'static str> {
    let mut names: Vec<_> = Method::ALL.iter().map(|method| method.word()).collect();
    for name in
        ["stop", "doctor", "log.tail", "grants.set", "actions.register", "presence.set", "account.enrol", "status"]
    {
        assert!(names.contains(&name), "{name} is no method any more");
    }
    names.extend([
        "consent.request",
        "action.invoke",
        "sockets.changed",
        "account.revoked",
        "account.signed_out",
        "consent.withdrawn",
    ]);
    names
}

#[tokio::test]
async fn a40_no_control_call_is_a_message_of_a_page() {
    let names = control_methods();
    let rpc = |name: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": name, "params": {} });
    bounce_texts(names.iter().flat_map(|name| {
        let mut disguised = rpc(name);
        disguised["type"] = json!("pong");
        [json!({ "type": name, "params": {} }), json!({ "type": name }), rpc(name), disguised].map(|m| m.to_string())
    }))
    .await;
    // As the name of an action it is one that no origin may invoke, and nothing happens.
    let stage = Stage::new().await;
    let mut socket = stage.live().await;
    for (id, name) in (1..).zip(&names) {
        let action = json!({ "type": "action", "id": id, "name": name, "params": Value::Null });
        socket.say(&action).await;
        assert_eq!(socket.answer(id).await["code"], "not_granted", "{name}");
    }
    assert_eq!(stage.agent.handle.accounts().len(), 1);
    stage.unharmed().await;
}
