//! The test vectors in `tests/vectors/`, which the tests in `web/` read too. `LOOPKEY_WRITE_VECTORS=1` writes the signed
//! ones anew (with new keys); the others are written by hand.

use std::path::PathBuf;

use loopkey::crypto::{Algorithm, PublicKey, Signer, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::link::{ToAgent, ToServer};
use loopkey::protocol::message::{AgentMessage, PageMessage};
use loopkey::protocol::origin::Origin;
use loopkey::protocol::statement::jwk::Jwk;
use loopkey::protocol::statement::{self, Approval, Challenge, Link, Login, Presence, SignOut};
use serde::Deserialize;
use serde_json::{Value, json};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", name].iter().collect()
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(path(name)).expect("a vector file");
    serde_json::from_str(&text).expect("JSON")
}

fn list<'a>(vectors: &'a Value, name: &str) -> &'a Vec<Value> {
    let list = vectors[name].as_array().expect("a list");
    assert!(!list.is_empty(), "{name} is empty");
    list
}

#[test]
fn origins() {
    let vectors = read("origins.json");
    for origin in list(&vectors, "serialized") {
        let text = origin.as_str().expect("text");
        assert!(text.parse::<Origin>().is_ok(), "{text}");
    }
    for origin in list(&vectors, "refused") {
        let text = origin.as_str().expect("text");
        assert!(text.parse::<Origin>().is_err(), "{text}");
    }
}

#[test]
fn messages() {
    let vectors = read("messages.json");
    for text in list(&vectors, "page_to_agent").iter().map(|m| m.as_str().expect("text")) {
        let message = PageMessage::parse(text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(serde_json::from_str::<Value>(&message.encode()).ok(), serde_json::from_str(text).ok(), "{text}");
    }
    for text in list(&vectors, "page_to_agent_refused").iter().map(|m| m.as_str().expect("text")) {
        assert!(PageMessage::parse(text).is_err(), "{text}");
    }
    for text in list(&vectors, "agent_to_page").iter().map(|m| m.as_str().expect("text")) {
        assert!(AgentMessage::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn link_frames() {
    let vectors = read("link.json");
    for text in list(&vectors, "agent_to_server").iter().map(|m| m.as_str().expect("text")) {
        let frame = ToServer::parse(text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(serde_json::from_str::<Value>(&frame.encode()).ok(), serde_json::from_str(text).ok(), "{text}");
    }
    for text in list(&vectors, "agent_to_server_refused").iter().map(|m| m.as_str().expect("text")) {
        assert!(ToServer::parse(text).is_err(), "{text}");
    }
    for text in list(&vectors, "server_to_agent").iter().map(|m| m.as_str().expect("text")) {
        assert!(ToAgent::parse(text).is_ok_and(|frame| frame != ToAgent::Unknown), "{text}");
    }
    for text in list(&vectors, "server_to_agent_passed_over").iter().map(|m| m.as_str().expect("text")) {
        assert_eq!(ToAgent::parse(text), Ok(ToAgent::Unknown), "{text}");
    }
    for text in list(&vectors, "server_to_agent_refused").iter().map(|m| m.as_str().expect("text")) {
        assert!(ToAgent::parse(text).is_err(), "{text}");
    }
}

#[test]
fn sids() {
    let vectors = read("sids.json");
    for pair in list(&vectors, "sids") {
        let secret = base64url::decode_array(pair["cookie"].as_str().expect("text")).expect("32 bytes");
        assert_eq!(statement::sid(&secret).to_string(), pair["sid"].as_str().expect("text"));
    }
}

#[derive(Deserialize)]
struct Signed {
    name: String,
    typ: String,
    key: String,
    compact: String,
    valid: bool,
}

fn accepts(signed: &Signed, key: &PublicKey) -> bool {
    match signed.typ.as_str() {
        "challenge" => statement::verify::<Challenge>(&signed.compact, key).is_ok(),
        "presence" => statement::verify::<Presence>(&signed.compact, key).is_ok(),
        "login" => statement::verify::<Login>(&signed.compact, key).is_ok(),
        "link" => statement::verify::<Link>(&signed.compact, key).is_ok(),
        "approval" => statement::verify::<Approval>(&signed.compact, key).is_ok(),
        "sign_out" => statement::verify::<SignOut>(&signed.compact, key).is_ok(),
        "enrolment" => statement::verify_enrolment(&signed.compact).is_ok_and(|(_, own)| own == *key),
        other => panic!("no statement is called {other}"),
    }
}

#[test]
fn statements() {
    if std::env::var_os("LOOPKEY_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&write_statements()).expect("JSON");
        std::fs::write(path("statements.json"), text + "\n").expect("written");
    }
    let vectors = read("statements.json");
    for signed in list(&vectors, "statements") {
        let signed: Signed = serde_json::from_value(signed.clone()).expect("a statement");
        let jwk: Jwk = serde_json::from_value(vectors["keys"][&signed.key]["jwk"].clone()).expect("a key");
        let key = PublicKey::from_jwk(&jwk).expect("a sound key");
        assert_eq!(vectors["keys"][&signed.key]["kid"], key.id().to_string());
        assert_eq!(accepts(&signed, &key), signed.valid, "{}", signed.name);
    }
}

/// Signs any header and claims, sound or not.
fn compact(header: &Value, claims: &Value, key: &dyn Signer) -> String {
    let part = |json: &Value| base64url::encode(json.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(input.as_bytes()).expect("signed");
    format!("{input}.{}", base64url::encode(signature))
}

fn id(byte: u8, len: usize) -> String {
    base64url::encode(vec![byte; len])
}

fn claims_of(typ: &str, jwk: &Jwk) -> Value {
    let (issuer, origin, device) = ("https://app.example.com/loopkey", "https://app.example.com", "loopkey:3q2-7w");
    let rdm = format!("{issuer}/v1/login");
    match typ {
        "challenge" => json!({"iss": issuer, "aud": "loopkey-agent", "org": origin, "jti": id(1, 32), "sid": id(2, 32),
            "iat": 1_795_204_800, "exp": 1_795_204_920, "rdm": rdm, "inc": "a1b2c3"}),
        "presence" => json!({"iss": device, "aud": issuer, "sub": "c3ViamVjdA", "org": origin, "nonce": id(1, 32),
            "sid": id(2, 32), "pst": "signed_in", "seq": 17, "epo": 4, "iat": 1_795_204_801, "exp": 1_795_204_861}),
        "login" => json!({"iss": device, "aud": rdm, "sub": "c3ViamVjdA", "org": origin, "nonce": id(1, 32),
            "sid": id(2, 32), "jti": id(3, 16), "epo": 4, "uv": "prompt", "iat": 1_795_204_802, "exp": 1_795_205_102}),
        "link" => json!({"iss": device, "aud": "wss://app.example.com/loopkey/v1/link", "nonce": id(5, 32), "epo": 5}),
        "approval" => json!({"iss": device, "aud": issuer, "sub": "c3ViamVjdA", "order": id(6, 16), "nonce": id(7, 32),
            "code": "47", "decision": "approve", "epo": 4}),
        "sign_out" => json!({"iss": device, "aud": issuer, "sub": "c3ViamVjdA", "epo": 5}),
        _ => json!({"aud": issuer, "nonce": id(4, 32), "jwk": jwk, "name": "Ada's laptop"}),
    }
}

fn write_statements() -> Value {
    let mut keys = serde_json::Map::new();
    let mut statements = Vec::new();
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let (key, _) = SoftwareKey::generate(algorithm).expect("key");
        let (jwk, kid) = (key.public().to_jwk(), key.public().id().to_string());
        let name = serde_json::to_value(algorithm).expect("name").as_str().expect("text").to_owned();
        keys.insert(name.clone(), json!({"jwk": jwk, "kid": kid}));
        for (short, typ) in [
            ("challenge", "loopkey-challenge+jwt"),
            ("presence", "loopkey-presence+jwt"),
            ("login", "loopkey-login+jwt"),
            ("sign_out", "loopkey-signout+jwt"),
            ("link", "loopkey-link+jwt"),
            ("approval", "loopkey-approval+jwt"),
            ("enrolment", "loopkey-enrolment+jwt"),
        ] {
            let header = json!({"alg": name, "typ": typ, "kid": kid});
            let claims = claims_of(short, &jwk);
            let mut add = |what: &str, valid: bool, compact: String| {
                statements.push(json!({"name": format!("{short} {name}: {what}"), "typ": short, "key": name,
                    "compact": compact, "valid": valid}));
            };
            let with = |json: &Value, member: &str, value: Value| {
                let mut changed = json.clone();
                changed[member] = value;
                changed
            };
            let sound = compact(&header, &claims, &key);
            let open = short == "challenge";
            add("sound", true, sound.clone());
            add("unknown claim", open, compact(&header, &with(&claims, "extra", json!(1)), &key));
            add(
                "unknown header member",
                open,
                compact(&with(&header, "jku", json!("https://evil.example")), &claims, &key),
            );
            add("crit", false, compact(&with(&header, "crit", json!(["b64"])), &claims, &key));
            add("alg none", false, compact(&with(&header, "alg", json!("none")), &claims, &key));
            add("alg EdDSA", false, compact(&with(&header, "alg", json!("EdDSA")), &claims, &key));
            let other = if name == "ES256" { "Ed25519" } else { "ES256" };
            add("the other algorithm", false, compact(&with(&header, "alg", json!(other)), &claims, &key));
            add("another type", false, compact(&with(&header, "typ", json!("JWT")), &claims, &key));
            add("another kid", false, compact(&with(&header, "kid", json!(base64url::encode([9; 32]))), &claims, &key));
            add("padding", false, format!("{sound}="));
            add("a fourth part", false, format!("{sound}."));
            add("no signature", false, sound.rsplit_once('.').expect("parts").0.to_owned() + ".");
            if short == "approval" {
                for (what, member, value) in [
                    ("one digit", "code", json!("4")),
                    ("digits as a number", "code", json!(47)),
                    ("three digits", "code", json!("147")),
                    ("another decision", "decision", json!("maybe")),
                    ("a decision in capitals", "decision", json!("Approve")),
                    ("a short order", "order", json!(id(6, 15))),
                ] {
                    add(what, false, compact(&header, &with(&claims, member, value), &key));
                }
                add("a refusal", true, compact(&header, &with(&claims, "decision", json!("deny")), &key));
            }
            if claims.get("exp").is_some() {
                add("exp as text", false, compact(&header, &with(&claims, "exp", json!("1795204830")), &key));
                add("exp as float", false, compact(&header, &with(&claims, "exp", json!(1_795_204_830.5)), &key));
                add("too long a life", false, compact(&header, &with(&claims, "exp", json!(1_795_206_000)), &key));
            }
        }
    }
    json!({ "keys": keys, "statements": statements })
}
