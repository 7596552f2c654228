//! One answer for every cause (A26): who is refused learns nothing of why, and nothing of who is enrolled here. That the
//! work is the same too is shown where it can be counted, in `src/verify/tests.rs`.

use std::time::Duration;

use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::sign;
use loopkey::store::AccountChange;
use serde_json::json;

use super::forge::{Case, quoted, sign_text, with_signature};
use crate::login::browser::PRE_LOGIN;
use crate::login::device::{Device, enrolment};
use crate::login::http::{Answer, Call};

fn stranger() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Es256).expect("key").0
}

/// What is wrong with a token, and the token; everything else about the login is right.
async fn bad_tokens(case: &Case) -> Vec<(&'static str, String)> {
    let (device, challenge) = (&case.device, &case.challenge);
    let sound = device.token(challenge);
    let claim = |name: &str, raw: &str| case.with_claims(&case.claims().with(name, raw));
    let stranger = stranger();
    let unknown_header = super::forge::header("loopkey-login+jwt", stranger.public()).text();
    let lin = Device::enrol(&case.server, "lin").await;
    let revoked = Device::enrol(&case.server, "ada").await;
    let ada = "ada".parse().expect("account");
    assert!(
        case.server
            .store
            .revoke_device(&ada, &revoked.issuer.0, loopkey::store::Actor::Administrator)
            .await
            .expect("store")
    );
    let disabled = Device::enrol(&case.server, "eve").await;
    let change = AccountChange { disabled: Some(true), ..AccountChange::default() };
    case.server.store.change_account(&"eve".parse().expect("account"), change).await.expect("store").expect("disabled");
    let signed_out = Device::enrol(&case.server, "ada").await;
    assert_eq!(signed_out.signs_out(&case.server, 9).await.status, 204);
    vec![
        ("nothing", String::new()),
        ("no parts", "token".to_owned()),
        ("two parts", sound.rsplit_once('.').expect("parts").0.to_owned()),
        ("no base64url", format!("{sound}=")),
        ("a header that is none", sign_text("[]", case.claims().text(), &device.key)),
        ("no algorithm", case.with_header(&case.header().with("alg", "\"none\""))),
        ("the other algorithm", case.with_header(&case.header().with("alg", "\"Ed25519\""))),
        ("another type", device.proof(challenge, PresenceState::SignedIn)),
        ("an unknown key", sign_text(&unknown_header, case.claims().text(), &stranger)),
        ("a known key's name, signed by another", sign_text(&case.header().text(), case.claims().text(), &stranger)),
        (
            "a flipped bit",
            with_signature(&sound, |mut s| {
                s[20] ^= 1;
                s
            }),
        ),
        ("claims that are none", sign_text(&case.header().text(), "[]", &device.key)),
        ("an unknown claim", case.with_claims(&case.claims().also("admin", "true"))),
        ("a life too long", claim("exp", "1800000301")),
        ("another challenge", claim("nonce", &quoted(&base64url::encode([1; 32])))),
        ("another origin", claim("org", "\"https://www.example.com\"")),
        ("another recipient", claim("aud", "\"https://evil.example.com/v1/login\"")),
        ("another device's name", claim("iss", "\"loopkey:device-2\"")),
        ("another browser", claim("sid", &quoted(&base64url::encode([1; 32])))),
        ("another person", lin.token(challenge)),
        ("another person's name", lin.token_with(challenge, |t| t.sub = device.subject.clone())),
        ("a revoked device", revoked.token(challenge)),
        ("a disabled account", disabled.token_with(challenge, |t| t.sub = device.subject.clone())),
        ("a stale epoch", signed_out.token(challenge)),
    ]
}

#[tokio::test]
async fn a26_thirty_causes_and_one_answer() {
    let mut case = Case::new().await;
    let bad = bad_tokens(&case).await;
    let mut causes = bad.len();
    for (what, token) in bad {
        case.refuses(what, &token).await;
    }
    // What is wrong around a sound token.
    let subject = case.device.subject.as_str().to_owned();
    let token = case.device.token(&case.challenge);
    let mut foreign = case.server.browser();
    let foreign_challenge = foreign.challenge().await;
    let forged_challenge = with_signature(&case.challenge, |mut s| {
        s[20] ^= 1;
        s
    });
    let around = [
        ("no challenge", "", token.clone(), subject.as_str()),
        ("a forged challenge", &forged_challenge, token.clone(), &subject),
        ("another browser's challenge", &foreign_challenge, case.device.token(&foreign_challenge), &subject),
        ("another person's card", &case.challenge, token.clone(), "subject-2"),
        ("nobody's card", &case.challenge, token.clone(), ""),
    ];
    for (what, challenge, token, subject) in around {
        let answer = case.browser.login(challenge, &token, subject).await;
        assert_eq!(answer.undated(), case.refusal, "{what}");
        causes += 1;
    }
    let no_cookie = case.server.browser().login(&case.challenge, &token, &subject).await;
    assert_eq!(no_cookie.undated(), case.refusal, "no cookie");
    // Spent, and too late.
    let cookie = case.browser.cookies[PRE_LOGIN].clone();
    assert_eq!(
        case.browser.login(&case.challenge, &token, &subject).await.status,
        204,
        "none of it burnt the challenge"
    );
    case.browser.cookies = [(PRE_LOGIN.to_owned(), cookie)].into();
    case.refuses("spent", &token).await;
    case.challenge = case.browser.challenge().await;
    let token = case.device.token(&case.challenge);
    case.server.clock.advance(Duration::from_secs(301));
    case.refuses("expired", &token).await;
    assert!(causes + 3 >= 30, "{causes} causes");
    // The whole answer, once in full: nothing in it depends on the cause.
    let names: Vec<_> = case.refusal.headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "content-type",
        "vary",
        "x-content-type-options",
        "cross-origin-resource-policy",
        "cache-control",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
        "content-length",
        "connection",
    ];
    assert_eq!(names, expected);
}

/// Whether a key is enrolled shows at no other door either.
#[tokio::test]
async fn a26_an_enrolled_key_looks_like_an_unknown_one_at_every_door() {
    let case = Case::new().await;
    let stranger = stranger();
    let alike = |answers: [Answer; 2], code: &str| {
        let [known, unknown] = answers.map(Answer::undated);
        known.expect_error(401, code);
        assert_eq!(known, unknown, "{code}");
    };
    let forged = |statement: &str, kid: &SoftwareKey| {
        let typ = super::forge::Object::of_part(statement, 0).raw("typ").trim_matches('"').to_owned();
        let claims = super::forge::Object::of_part(statement, 1).text();
        // Signed by nobody who is enrolled; only the name differs.
        sign_text(&super::forge::header(&typ, kid.public()).text(), claims, &stranger)
    };
    let proof = case.device.proof(&case.challenge, PresenceState::SignedIn);
    let prove = async |kid: &SoftwareKey| {
        let body = json!({"challenge": case.challenge, "proof": forged(&proof, kid)});
        case.browser.call("POST", "/v1/presence").json(&body).send(case.server.address).await
    };
    let wrong = self::stranger();
    alike([prove(&case.device.key).await, prove(&wrong).await], "invalid_proof");
    let sign_out = case.device.sign_out(1);
    let leave = async |kid: &SoftwareKey| {
        Call::new("POST", "/v1/sign-outs")
            .json(&json!({"statement": forged(&sign_out, kid)}))
            .send(case.server.address)
            .await
    };
    alike([leave(&case.device.key).await, leave(&wrong).await], "invalid_statement");
    // An enrolment without a good ticket does not say whether the key is there already.
    let ticketless = |key: &SoftwareKey| {
        let ticket = loopkey::protocol::id::EnrolmentTicket::from_bytes([7; 32]);
        sign(&enrolment(key, ticket), key).expect("E")
    };
    let enrol = async |key: &SoftwareKey| {
        case.server.machine("POST", "/v1/devices", json!({"enrolment": ticketless(key)})).await
    };
    alike([enrol(&case.device.key).await, enrol(&wrong).await], "invalid_enrolment");
    case.still_redeems().await;
}
