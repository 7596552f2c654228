//! Every claim and every header member of every statement, spoiled in turn, where the statement is verified (A21, A22).
//! Each statement is signed with the right key, so that nothing but the spoiled member can be the reason.

use std::time::Duration;

use loopkey::clock::Clock as _;
use loopkey::crypto::{Algorithm, Signer};
use loopkey::protocol::acceptance::{Expected, IssuerTime, SeenChallenges, accept};
use loopkey::protocol::base64url;
use loopkey::protocol::id::Epoch;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement;
use loopkey::protocol::time::{Moment, Timestamp};
use loopkey::store::StoreUrl;
use serde_json::json;

use super::forge::{Case, Object, header, quoted, sign_text};
use crate::login::device::{enrolment, issuer, ticket};
use crate::login::http::Answer;
use crate::login::{NOW, ORIGIN, Server, clock};

/// What no member may ever be, whatever it means.
fn wrong_forms(raw: &str) -> Vec<String> {
    let mut forms: Vec<String> =
        ["null", "true", "[]", "{}", "\"\"", "-1", "-0", "0.5", "1e3", "1e400", "18446744073709551616"]
            .map(str::to_owned)
            .to_vec();
    forms.push(format!("[{raw}]"));
    if raw.starts_with('"') {
        // serde reads an enumeration from this as well.
        forms.push(format!("{{{raw}:null}}"));
        forms.push("7".to_owned());
        forms.push("\"\\ud800\"".to_owned());
    } else if !raw.starts_with('{') {
        forms.extend([format!("\"{raw}\""), format!("{raw}.0"), format!("{raw}e0"), format!("0{raw}")]);
    }
    forms
}

/// What only looks like the same text.
fn wrong_texts(raw: &str) -> Vec<String> {
    let text = raw.trim_matches('"');
    [format!("\"{text}\\u0000\""), format!("\" {text}\""), format!("\"{text}\\n\"")].to_vec()
}

/// Each member removed, renamed, given twice, and in every wrong form; and the object as a whole.
fn spoiled(sound: &Object) -> Vec<String> {
    let mut texts = Vec::new();
    for name in sound.names() {
        let raw = sound.raw(&name).to_owned();
        texts.push(sound.clone().without(&name).text());
        texts.push(sound.clone().without(&name).also(&name.to_uppercase(), &raw).text());
        texts.push(sound.clone().also(&name, &raw).text());
        // The same name in other letters is the same name.
        let escaped = format!("\\u{:04x}{}", u32::from(name.as_bytes()[0]), &name[1..]);
        texts.push(sound.clone().also(&escaped, &raw).text());
        texts.extend(wrong_forms(&raw).iter().map(|form| sound.clone().with(&name, form).text()));
        // A device's name is free text: it is cleaned, not refused.
        if raw.starts_with('"') && name != "name" {
            texts.extend(wrong_texts(&raw).iter().map(|form| sound.clone().with(&name, form).text()));
        }
    }
    let text = sound.text();
    texts.extend([
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        "\u{feff}".to_owned() + &text,
        format!("[{text}]"),
        format!("{text}{text}"),
        format!("{text},"),
        text.replace(':', "="),
        text.replacen('}', ",}", 1),
        text.replacen('{', "{/**/", 1),
        text.replace('"', "'"),
        format!("[{}]", sound.names().iter().map(|name| sound.raw(name)).collect::<Vec<_>>().join(",")),
    ]);
    texts
}

/// What is spoiled only where nothing may be added.
fn grown(sound: &Object) -> Vec<String> {
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    ["1", "null", "{}", nested.as_str()].iter().map(|raw| sound.clone().also("more", raw).text()).collect()
}

/// Headers that bring their own key, or ask for something that nobody offers.
fn foreign_headers(sound: &Object, jwk: &str) -> Vec<String> {
    let mut texts: Vec<_> = ["none", "None", "HS256", "RS256", "ES384", "ES256K", "EdDSA", "Ed448", "es256"]
        .map(|alg| sound.clone().with("alg", &quoted(alg)).text())
        .to_vec();
    let other = if sound.raw("alg") == "\"ES256\"" { "\"Ed25519\"" } else { "\"ES256\"" };
    texts.push(sound.clone().with("alg", other).text());
    texts.push(sound.clone().with("kid", &quoted(&base64url::encode([1; 32]))).text());
    texts.push(sound.clone().with("typ", "\"JWT\"").text());
    texts.push(sound.clone().also("crit", "[\"exp\"]").text());
    texts.extend(
        [("jwk", jwk), ("jku", "\"https://evil.example.com\"")].map(|(n, raw)| sound.clone().also(n, raw).text()),
    );
    texts
}

fn other(sound: &Object, values: &[(&str, &[&str])]) -> Vec<String> {
    let texts = values.iter().flat_map(|(name, raws)| raws.iter().map(move |raw| sound.clone().with(name, raw).text()));
    texts.collect()
}

/// Signs every spoiled header and every spoiled set of claims, and demands one and the same refusal of all.
async fn each_is_refused(
    key: &dyn Signer,
    (header, claims): (&Object, &Object),
    values: &[(&str, &[&str])],
    code: &str,
    post: impl AsyncFn(String) -> Answer,
) {
    let jwk = serde_json::to_string(&key.public().to_jwk()).expect("JSON");
    let headers = [spoiled(header), grown(header), foreign_headers(header, &jwk)].concat();
    let bodies = [spoiled(claims), grown(claims), other(claims, values)].concat();
    let headers = headers.iter().map(|text| (text.clone(), claims.text()));
    let bodies = bodies.iter().map(|text| (header.text(), text.clone()));
    let mut first: Option<Answer> = None;
    for (header, claims) in headers.chain(bodies) {
        let answer = post(sign_text(&header, &claims, key)).await.undated();
        answer.expect_error(401, code);
        assert_eq!(*first.get_or_insert(answer.clone()), answer, "{header} {claims}");
    }
    // Not text at all.
    let answer = post(sign_text(&header.text(), [claims.text().as_bytes(), b"\xff"].concat(), key)).await;
    assert_eq!(first, Some(answer.undated()));
}

const EVIL: &str = "\"https://evil.example.com\"";
const ID: &str = "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";

#[tokio::test]
async fn a22_every_member_of_a_login_token() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let case = Case::of(algorithm).await;
        let values: [(&str, &[&str]); 9] = [
            ("iss", &["\"loopkey:device-2\"", "\"device\"", EVIL]),
            ("aud", &[EVIL, "\"https://app.example.com/loopkey\""]),
            ("sub", &["\"subject-2\""]),
            ("org", &[EVIL, "\"https://www.example.com\""]),
            ("nonce", &[ID]),
            ("sid", &[ID]),
            ("jti", &["\"AA\"", ID]),
            ("uv", &["\"click\"", "\"Prompt\"", "\"none\""]),
            ("exp", &["1800000301", "1799999999", "0", "18446744073709551615"]),
        ];
        let post = async |token: String| {
            let mut browser = case.browser.clone();
            browser.login(&case.challenge, &token, case.device.subject.as_str()).await
        };
        each_is_refused(&case.device.key, (&case.header(), &case.claims()), &values, "invalid_token", post).await;
        case.still_redeems().await;
    }
}

#[tokio::test]
async fn a22_every_member_of_a_presence_proof() {
    let case = Case::new().await;
    let proof = case.device.proof(&case.challenge, PresenceState::SignedIn);
    let (header, claims) = (Object::of_part(&proof, 0), Object::of_part(&proof, 1));
    let values: [(&str, &[&str]); 8] = [
        ("iss", &["\"loopkey:device-2\"", "\"device\""]),
        ("aud", &[EVIL, "\"https://app.example.com/loopkey/v1/login\"", "\"https://app.example.com/loopkey/\""]),
        ("sub", &["\"subject-2\""]),
        ("org", &[EVIL, "\"https://www.example.com\""]),
        ("nonce", &[ID]),
        ("sid", &[ID]),
        ("pst", &["\"here\"", "\"SignedIn\"", "\"SIGNED_IN\""]),
        ("exp", &["1800000061", "1799999999", "18446744073709551615"]),
    ];
    let post = async |proof: String| {
        let body = json!({"challenge": case.challenge, "proof": proof});
        case.browser.call("POST", "/v1/presence").json(&body).send(case.server.address).await
    };
    each_is_refused(&case.device.key, (&header, &claims), &values, "invalid_proof", post).await;
    let sound = post(sign_text(&header.text(), claims.text(), &case.device.key)).await;
    assert_eq!(sound.status, 200, "{sound:?}");
    case.still_redeems().await;
}

#[tokio::test]
async fn a22_every_member_of_a_sign_out() {
    let case = Case::new().await;
    let mut signed_in = case.server.browser();
    case.device.signs_in(&mut signed_in).await;
    let sign_out = case.device.sign_out(1);
    let (header, claims) = (Object::of_part(&sign_out, 0), Object::of_part(&sign_out, 1));
    let values: [(&str, &[&str]); 3] = [
        ("iss", &["\"loopkey:device-2\"", "\"device\""]),
        ("aud", &[EVIL, "\"https://app.example.com/loopkey/v1/sign-outs\""]),
        ("sub", &["\"subject-2\""]),
    ];
    let post =
        async |statement: String| case.server.machine("POST", "/v1/sign-outs", json!({"statement": statement})).await;
    each_is_refused(&case.device.key, (&header, &claims), &values, "invalid_statement", post).await;
    assert!(signed_in.is_signed_in().await, "nobody was signed out");
    assert_eq!(post(sign_text(&header.text(), claims.text(), &case.device.key)).await.status, 204);
    assert!(!signed_in.is_signed_in().await);
    let stored = case.server.store.device(case.device.key.public().id()).await.expect("store").expect("the device");
    assert_eq!(stored.epoch, Epoch(1));
}

#[tokio::test]
async fn a22_every_member_of_an_enrolment() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let case = Case::new().await;
        let (key, _) = loopkey::crypto::SoftwareKey::generate(algorithm).expect("key");
        let (other, _) = loopkey::crypto::SoftwareKey::generate(algorithm).expect("key");
        let signed = statement::sign(&enrolment(&key, ticket(&case.server, "ada").await), &key).expect("E");
        let (header, claims) = (Object::of_part(&signed, 0), Object::of_part(&signed, 1));
        let foreign = serde_json::to_string(&other.public().to_jwk()).expect("JSON");
        let long = format!("\"{}\"", "a".repeat(129));
        let values: [(&str, &[&str]); 4] = [
            ("aud", &[EVIL, "\"https://app.example.com/loopkey/v1/devices\""]),
            ("nonce", &[ID]),
            ("jwk", &[&foreign]),
            ("name", &[&long, "\" \"", "\"\\u202e\""]),
        ];
        let post =
            async |statement: String| case.server.machine("POST", "/v1/devices", json!({"enrolment": statement})).await;
        each_is_refused(&key, (&header, &claims), &values, "invalid_enrolment", post).await;
        let sound = post(sign_text(&header.text(), claims.text(), &key)).await;
        assert_eq!(sound.status, 201, "the ticket is still good: {sound:?}");
    }
}

/// The challenge comes back to the login server that wrote it, which reads it as closed as the rest.
#[tokio::test]
async fn a22_every_member_of_a_challenge_at_the_login_server() {
    // In a folder, where the challenge key is kept: this test signs with it.
    let (folder, clock) = (tempfile::tempdir().expect("folder"), clock());
    let url = StoreUrl::Embedded(folder.path().join("store"));
    let store = loopkey::store::open(&url, clock.clone()).await.expect("store");
    let case = Case::on(Server::start_with(store, clock).await, Algorithm::Es256).await;
    let signers = case.server.store.challenge_signers(Algorithm::Es256).await.expect("keys");
    let now = case.server.clock.timestamp();
    let (header, claims) = (Object::of_part(&case.challenge, 0), Object::of_part(&case.challenge, 1));
    let values: [(&str, &[&str]); 8] = [
        ("iss", &[EVIL, "\"https://app.example.com\""]),
        ("aud", &["\"agent\"", "\"loopkey-agent \"", EVIL]),
        ("org", &[EVIL, "\"https://www.example.com\""]),
        ("jti", &[ID]),
        ("sid", &[ID]),
        ("iat", &["1799999000", "1800000121"]),
        ("exp", &["1800000121", "1799999999", "18446744073709551615"]),
        ("rdm", &[EVIL, "\"https://app.example.com/loopkey/v1/login/\""]),
    ];
    let token = case.device.token(&case.challenge);
    let post = async |challenge: String| {
        let mut browser = case.browser.clone();
        browser.login(&challenge, &token, case.device.subject.as_str()).await
    };
    // `inc` is a text of the store's own: in another form it is another life, which is an answer of its own.
    let is_another_life = |answer: &Answer| answer.status == 409;
    let mut lives = 0;
    let inc = claims.raw("inc");
    for text in [wrong_forms(inc), wrong_texts(inc), vec!["\"life-2\"".to_owned()]].concat() {
        let text = claims.clone().with("inc", &text).text();
        let answer = post(sign_text(&header.text(), text, signers.current(now))).await;
        lives += u32::from(is_another_life(&answer));
        assert!(is_another_life(&answer) || answer.undated() == case.refusal);
    }
    assert_eq!(lives, 1, "only a sound name of another life");
    each_is_refused(signers.current(now), (&header, &claims), &values, "invalid_token", post).await;
    let resigned = sign_text(&header.text(), claims.text(), signers.current(now));
    assert_eq!(post(resigned).await.status, 204, "the control");
}

/// The agent lets a challenge grow, and nothing else.
#[test]
fn a22_every_member_of_a_challenge_at_the_agent() {
    let (key, _) = loopkey::crypto::SoftwareKey::generate(Algorithm::Es256).expect("key");
    let (issuer, origin) = (issuer(), ORIGIN.parse().expect("origin"));
    let now = Moment(Duration::from_secs(5000));
    let mut seen = SeenChallenges::default();
    let mut accepts = |compact: &str| {
        let time = IssuerTime { date: Timestamp(NOW), heard: now };
        let expected = Expected { issuer: &issuer, origin: &origin, time };
        accept(compact, &[key.public().clone()], expected, &mut seen, now).is_ok()
    };
    let header = header("loopkey-challenge+jwt", key.public());
    let number = NOW.to_string();
    let id = |byte| quoted(&base64url::encode([byte; 32]));
    let claims = Object::default()
        .also("iss", &quoted(issuer.as_str()))
        .also("aud", "\"loopkey-agent\"")
        .also("org", &quoted(ORIGIN))
        .also("jti", &id(1))
        .also("sid", &id(2))
        .also("iat", &number)
        .also("exp", &(NOW + 120).to_string())
        .also("rdm", &quoted(&issuer.login_url().to_string()))
        .also("inc", "\"life-1\"");
    let jwk = serde_json::to_string(&key.public().to_jwk()).expect("JSON");
    let values: [(&str, &[&str]); 6] = [
        ("iss", &[EVIL, "\"https://app.example.com\""]),
        ("aud", &["\"agent\"", "\"loopkey-agent/1\"", EVIL]),
        ("org", &[EVIL, "\"https://www.example.com\""]),
        ("iat", &["1799999879", "1800000006"]),
        ("exp", &["1800000121", "1799999999", "18446744073709551615"]),
        ("rdm", &[EVIL, "\"https://app.example.com/loopkey/v1/login/\"", "\"\""]),
    ];
    for text in [spoiled(&header), foreign_headers(&header, &jwk)].concat() {
        // A key that comes along is growth, and nobody looks at it: the published key verifies.
        let is_growth = text.contains("\"jwk\"") || text.contains("\"jku\"");
        let fresh = claims.clone().with("jti", &quoted(&base64url::encode(loopkey::crypto::random::<32>()))).text();
        assert_eq!(accepts(&sign_text(&text, fresh, &key)), is_growth, "{text}");
    }
    for text in [spoiled(&claims), other(&claims, &values)].concat() {
        assert!(!accepts(&sign_text(&header.text(), &text, &key)), "{text}");
    }
    for (number, text) in grown(&claims).iter().enumerate().filter(|(_, text)| !text.contains("[[")) {
        let fresh = text.replace(&id(1), &id(10 + number as u8));
        assert!(accepts(&sign_text(&header.text(), fresh, &key)), "a challenge may grow: {text}");
    }
}

/// Nobody but the stored key says how it is verified, at every door that takes a statement.
#[tokio::test]
async fn a21_the_stored_key_fixes_the_algorithm_at_every_door() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let case = Case::of(algorithm).await;
        let (attacker, _) = loopkey::crypto::SoftwareKey::generate(Algorithm::Es256).expect("key");
        let jwk = serde_json::to_string(&attacker.public().to_jwk()).expect("JSON");
        let device = &case.device;
        let doors = [
            ("/v1/login", "token", "invalid_token", device.token(&case.challenge)),
            ("/v1/presence", "proof", "invalid_proof", device.proof(&case.challenge, PresenceState::SignedIn)),
            ("/v1/sign-outs", "statement", "invalid_statement", device.sign_out(1)),
        ];
        for (path, member, code, sound) in doors {
            let (header, claims) = (Object::of_part(&sound, 0), Object::of_part(&sound, 1).text());
            for text in foreign_headers(&header, &jwk) {
                // By whoever holds the key, by an attacker, and by nobody.
                let input = super::forge::signing_input(&text, &claims);
                let forgeries =
                    [sign_text(&text, &claims, &device.key), sign_text(&text, &claims, &attacker), format!("{input}.")];
                for statement in forgeries {
                    let mut body = json!({ member: statement });
                    let call = if path == "/v1/sign-outs" {
                        crate::login::http::Call::new("POST", path)
                    } else {
                        body["challenge"] = json!(case.challenge);
                        case.browser.call("POST", path)
                    };
                    if path == "/v1/login" {
                        body["subject"] = json!(device.subject.as_str());
                    }
                    call.json(&body).send(case.server.address).await.expect_error(401, code);
                }
            }
        }
        case.still_redeems().await;
    }
}
