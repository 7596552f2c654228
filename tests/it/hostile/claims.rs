//! A login token that a real device signed, with claims that do not fit (inputs 118 to 129, and 134): one answer, and the
//! challenge is still good afterwards.

use loopkey::crypto::Algorithm;
use loopkey::protocol::base64url;
use loopkey::protocol::id::Epoch;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::{self, UserVerification};
use loopkey::store::{AccountChange, Actor};
use serde_json::json;

use super::forge::{Case, Object, quoted, refused, refused_claims};
use crate::login::NOW;
use crate::login::browser::PRE_LOGIN;
use crate::login::device::{Device, enrolment, ticket};

#[tokio::test]
async fn i118_a_duplicate_claim() {
    refused_claims(|sound| {
        let names = sound.names();
        let same = names.iter().map(|name| sound.clone().also(name, sound.raw(name)));
        // A lenient reader would take the first of two, or the last.
        let other = ["\"subject-2\"", "null"].map(|raw| sound.clone().also("sub", raw));
        same.chain(other).collect()
    })
    .await;
}

#[tokio::test]
async fn i118_a_claim_of_the_wrong_type() {
    refused_claims(|sound| {
        let mut spoiled = Vec::new();
        for name in sound.names() {
            for raw in ["null", "true", "[]", "{}", "-1", "0.5", &format!("[{}]", sound.raw(&name))] {
                spoiled.push(sound.clone().with(&name, raw));
            }
        }
        // serde reads an enumeration from this as well; a word is a word.
        spoiled.push(sound.clone().with("uv", r#"{"prompt":null}"#));
        spoiled.push(sound.with("epo", "\"0\""));
        spoiled
    })
    .await;
}

#[tokio::test]
async fn i118_an_array_in_the_objects_place() {
    refused(Algorithm::Es256, |case| {
        let claims = case.claims();
        // In the order in which the program declares them.
        let order = ["iss", "aud", "sub", "org", "nonce", "sid", "jti", "epo", "uv", "iat", "exp"];
        let values: Vec<_> = order.iter().map(|name| claims.raw(name)).collect();
        let header = case.header();
        let header_values = ["alg", "typ", "kid"].map(|name| header.raw(name));
        let sign = |header: &str, claims: &str| super::forge::sign_text(header, claims, &case.device.key);
        vec![
            sign(&header.text(), &format!("[{}]", values.join(","))),
            sign(&header.text(), &format!("[{}]", claims.text())),
            sign(&format!("[{}]", header_values.join(",")), &claims.text()),
        ]
    })
    .await;
}

#[tokio::test]
async fn i118_an_unknown_claim() {
    refused_claims(|sound| {
        ["nbf", "admin", "scope", "SUB", "sub ", ""].map(|name| sound.clone().also(name, "1800000000")).to_vec()
    })
    .await;
}

#[tokio::test]
async fn i118_a_missing_claim() {
    refused_claims(|sound| sound.names().iter().map(|name| sound.clone().without(name)).collect()).await;
}

#[tokio::test]
async fn i119_an_end_that_is_no_whole_number_of_seconds() {
    refused_claims(|sound| {
        let end = NOW + 300;
        [
            format!("\"{end}\""),
            format!("{end}.0"),
            format!("{end}.5"),
            format!("{end}e0"),
            "1.8000003e9".to_owned(),
            "1e3".to_owned(),
            "18446744073709551616".to_owned(),
            "1e400".to_owned(),
            "-0".to_owned(),
            "-1".to_owned(),
            format!("0{end}"),
            format!("+{end}"),
            format!("0x{end:x}"),
            "Infinity".to_owned(),
            "NaN".to_owned(),
        ]
        .iter()
        .map(|raw| sound.clone().with("exp", raw))
        .collect()
    })
    .await;
}

#[tokio::test]
async fn i120_a_life_of_more_than_five_minutes_or_less_than_none() {
    refused_claims(|sound| {
        let spans = [(NOW, NOW + 301), (NOW, u64::MAX), (0, NOW + 300), (NOW + 1, NOW), (u64::MAX, NOW)];
        let with = |(iat, exp): (u64, u64)| sound.clone().with("iat", &iat.to_string()).with("exp", &exp.to_string());
        spans.map(with).to_vec()
    })
    .await;
}

fn each(sound: &Object, name: &str, texts: &[&str]) -> Vec<Object> {
    texts.iter().map(|text| sound.clone().with(name, &quoted(text))).collect()
}

#[tokio::test]
async fn i121_another_device_in_iss() {
    refused_claims(|sound| {
        let own = sound.raw("iss").trim_matches('"').to_owned();
        let bare = own.trim_start_matches("loopkey:").to_owned();
        let texts =
            ["loopkey:device-2", "loopkey:", "", &bare, &own.to_uppercase(), &format!("{own} "), &format!(" {own}")];
        each(&sound, "iss", &texts)
    })
    .await;
}

#[tokio::test]
async fn i121_another_recipient_in_aud() {
    refused_claims(|sound| {
        let texts = [
            "https://app.example.com/loopkey",
            "https://app.example.com/loopkey/v1/login/",
            "https://app.example.com/loopkey/v1/login?",
            "https://app.example.com/loopkey/v1/presence",
            "https://APP.example.com/loopkey/v1/login",
            "https://app.example.com:443/loopkey/v1/login",
            "http://app.example.com/loopkey/v1/login",
            "https://app.example.com.evil.example/loopkey/v1/login",
            "https://evil.example.com/loopkey/v1/login",
            "loopkey-agent",
            "",
        ];
        each(&sound, "aud", &texts)
    })
    .await;
}

#[tokio::test]
async fn i121_another_origin_in_org() {
    refused_claims(|sound| {
        let texts = [
            // The second is on the login server's list: it must be the challenge's own all the same.
            "https://evil.example.com",
            "https://www.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "http://app.example.com",
            "https://APP.example.com",
            "null",
            "",
        ];
        each(&sound, "org", &texts)
    })
    .await;
}

/// Also the right statement posted from another page than the one that its challenge was issued to.
#[tokio::test]
async fn i121_a_token_of_one_page_posted_by_another() {
    let mut case = Case::new().await;
    let token = case.device.token(&case.challenge);
    let own = std::mem::replace(&mut case.browser.origin, "https://www.example.com".to_owned());
    let mut answer = case.browser.login(&case.challenge, &token, case.device.subject.as_str()).await.undated();
    for (name, value) in &mut answer.headers {
        if name == "access-control-allow-origin" {
            assert_eq!(*value, "https://www.example.com", "the one header that tells which page asked");
            value.clone_from(&own);
        }
    }
    assert_eq!(answer, case.refusal);
    case.browser.origin = own;
    case.still_redeems().await;
}

#[tokio::test]
async fn i122_the_nonce_of_another_challenge() {
    let mut case = Case::new().await;
    // Both are of this browser and unused.
    let other = case.browser.challenge().await;
    let answers_other = case.device.token(&other);
    case.refuses("a token for another challenge", &answers_other).await;
    let nonces = [statement_nonce(&other), base64url::encode([0; 32]), "AA".to_owned(), String::new()];
    for nonce in nonces {
        let claims = case.claims().with("nonce", &quoted(&nonce));
        case.refuses("a foreign nonce", &case.with_claims(&claims)).await;
    }
    case.still_redeems().await;
}

fn statement_nonce(challenge: &str) -> String {
    crate::login::device::read(challenge).jti.to_string()
}

#[tokio::test]
async fn i123_the_sid_of_another_browser() {
    let mut case = Case::new().await;
    let mut thief = case.server.browser();
    let foreign = thief.challenge().await;
    // The victim's challenge and token, posted by the thief's browser.
    let (token, subject) = (case.device.token(&case.challenge), case.device.subject.clone());
    let stolen = thief.login(&case.challenge, &token, subject.as_str()).await;
    assert_eq!(stolen.undated(), case.refusal);
    // The thief's challenge, relayed to the victim's browser.
    let relayed = case.browser.login(&foreign, &case.device.token(&foreign), subject.as_str()).await;
    assert_eq!(relayed.undated(), case.refusal);
    // The right challenge, and a token for the other browser.
    let foreign_sid = Object::of_part(&foreign, 1).raw("sid").to_owned();
    let claims = case.claims().with("sid", &foreign_sid);
    case.refuses("a foreign sid", &case.with_claims(&claims)).await;
    for raw in [quoted(&base64url::encode([0; 32])), quoted("AA"), quoted("")] {
        let claims = case.claims().with("sid", &raw);
        case.refuses("a made-up sid", &case.with_claims(&claims)).await;
    }
    case.still_redeems().await;
}

/// Posts the honest token with these `Cookie` headers and demands the one refusal.
async fn refuses_cookies(case: &Case, lines: &[String]) {
    let token = case.device.token(&case.challenge);
    let body = json!({"challenge": case.challenge, "token": token, "subject": case.device.subject.as_str()});
    let mut call = case.server.browser().call("POST", "/v1/login").json(&body);
    for line in lines {
        call = call.header("Cookie", line);
    }
    assert_eq!(call.send(case.server.address).await.undated(), case.refusal, "{lines:?}");
}

#[tokio::test]
async fn i124_no_pre_login_cookie() {
    let case = Case::new().await;
    let value = case.browser.cookies[PRE_LOGIN].clone();
    for line in [
        String::new(),
        "other=1".to_owned(),
        format!("__host-loopkey_pre={value}"),
        format!("loopkey_pre={value}"),
        format!("{PRE_LOGIN}="),
        format!("{PRE_LOGIN}=\"{value}\""),
        format!("{PRE_LOGIN}={value}A"),
        format!("__Host-loopkey_session={value}"),
    ] {
        refuses_cookies(&case, &[line]).await;
    }
    refuses_cookies(&case, &[]).await;
    case.still_redeems().await;
}

/// A sibling domain can plant a second cookie of a name, though not one that starts with `__Host-`; old browsers let it.
#[tokio::test]
async fn i125_two_pre_login_cookies() {
    let case = Case::new().await;
    let own = format!("{PRE_LOGIN}={}", case.browser.cookies[PRE_LOGIN]);
    let planted = format!("{PRE_LOGIN}={}", base64url::encode([7; 32]));
    for lines in [
        vec![format!("{own}; {own}")],
        vec![format!("{own}; {planted}")],
        vec![format!("{planted}; {own}")],
        vec![format!("{own}; {PRE_LOGIN}=")],
        vec![own.clone(), planted],
        vec![own.clone(), own],
    ] {
        refuses_cookies(&case, &lines).await;
    }
    case.still_redeems().await;
}

#[tokio::test]
async fn i126_an_epoch_from_before_a_sign_out() {
    let mut case = Case::new().await;
    let before = case.device.token(&case.challenge);
    assert_eq!(case.device.signs_out(&case.server, 3).await.status, 204);
    case.refuses("signed before the sign-out", &before).await;
    case.device.epoch = Epoch(2);
    let between = case.device.token(&case.challenge);
    case.refuses("signed after it, with an older epoch", &between).await;
    case.device.epoch = Epoch(3);
    case.still_redeems().await;
}

#[tokio::test]
async fn i127_a_revoked_device() {
    let mut case = Case::new().await;
    let account = "ada".parse().expect("account");
    let revoked =
        case.server.store.revoke_device(&account, &case.device.issuer.0, Actor::Administrator).await.expect("store");
    assert!(revoked);
    let token = case.device.token(&case.challenge);
    case.refuses("revoked", &token).await;
    case.device = Device::enrol(&case.server, "ada").await;
    case.still_redeems().await;
}

async fn change(case: &Case, change: AccountChange) {
    let account = "ada".parse().expect("account");
    assert!(case.server.store.change_account(&account, change).await.expect("store").is_some());
}

#[tokio::test]
async fn i127_a_disabled_account() {
    let mut case = Case::new().await;
    change(&case, AccountChange { disabled: Some(true), ..AccountChange::default() }).await;
    let token = case.device.token(&case.challenge);
    case.refuses("disabled", &token).await;
    change(&case, AccountChange { disabled: Some(false), ..AccountChange::default() }).await;
    case.still_redeems().await;
}

#[tokio::test]
async fn i128_a_verification_below_the_accounts_policy() {
    let mut case = Case::new().await;
    for (minimum, weaker) in [
        (UserVerification::Os, vec![UserVerification::Prompt, UserVerification::Page]),
        (UserVerification::Prompt, vec![UserVerification::Page]),
    ] {
        change(&case, AccountChange { minimum_uv: Some(minimum), ..AccountChange::default() }).await;
        for uv in weaker {
            let token = case.device.token_with(&case.challenge, |login| login.uv = uv);
            case.refuses(&format!("{uv:?} where {minimum:?} is asked for"), &token).await;
        }
    }
    // The last policy asks for a prompt, and that is what the honest token has.
    case.still_redeems().await;
}

/// A token that promises a proof which this version cannot ask for is not taken without it.
#[tokio::test]
async fn i129_a_confirmation_key_without_a_proof_of_it() {
    refused_claims(|sound| {
        let jkt = format!(r#"{{"jkt":"{}"}}"#, base64url::encode([1; 32]));
        [jkt.as_str(), "null", "{}"].map(|raw| sound.clone().also("cnf", raw)).to_vec()
    })
    .await;
}

#[tokio::test]
async fn i134_another_statement_of_the_same_device() {
    let mut case = Case::new().await;
    let (device, challenge) = (&case.device, &case.challenge);
    let new_key = enrolment(&device.key, ticket(&case.server, "ada").await);
    let statements = [
        ("a presence proof", device.proof(challenge, PresenceState::SignedIn)),
        ("a sign-out", device.sign_out(1)),
        ("an enrolment", statement::sign(&new_key, &device.key).expect("E")),
        ("the challenge itself", challenge.clone()),
    ];
    for (what, statement) in statements {
        case.refuses(what, &statement).await;
    }
    // A login token's claims under another statement's type, and the other way round.
    for typ in ["loopkey-presence+jwt", "loopkey-challenge+jwt", "JWT", "LOOPKEY-LOGIN+JWT", "login", ""] {
        let token = case.with_header(&case.header().with("typ", &quoted(typ)));
        case.refuses(typ, &token).await;
    }
    let proof = Object::of_part(&case.device.proof(&case.challenge, PresenceState::SignedIn), 1);
    case.refuses("a proof's claims in a token", &case.with_claims(&proof)).await;
    case.still_redeems().await;
}
