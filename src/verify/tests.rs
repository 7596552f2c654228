//! One change a row: each step of the order refuses what it is there for, and nothing else notices.

use serde_json::{Value, json};

use super::testing::{Case, NOW, forge, parsed};
use super::*;
use crate::crypto::{self, Algorithm, Secret, Signer as _, SoftwareKey};
use crate::protocol::base64url;
use crate::protocol::id::{ChallengeId, DeviceIssuer, Epoch, Sid};
use crate::protocol::statement::{self, BadStatement, Login, UserVerification};
use crate::protocol::time::Timestamp;

const BOTH: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Ed25519];

fn fresh_key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Es256).expect("key").0
}

/// A change to a sound case, and what must come of it.
type Row = (&'static str, fn(&mut Case), Fault);

/// What spoils a login token and a presence proof alike.
fn shared_rows() -> Vec<Row> {
    fn both(case: &mut Case, change: impl Fn(&mut DeviceIssuer, &mut ChallengeId, &mut Sid, &mut Epoch)) {
        let (login, presence) = (&mut case.login, &mut case.presence);
        change(&mut login.iss, &mut login.nonce, &mut login.sid, &mut login.epo);
        change(&mut presence.iss, &mut presence.nonce, &mut presence.sid, &mut presence.epo);
    }
    vec![
        ("an unknown kid", |c| c.device = None, Fault::UnknownKey),
        (
            "a record of another key",
            |c| {
                c.device().key =
                    SoftwareKey::generate(c.device_key.public().algorithm()).expect("key").0.public().clone();
            },
            Fault::Statement(BadStatement::Signature),
        ),
        (
            "a record of the other algorithm",
            |c| {
                let other = match c.device_key.public().algorithm() {
                    Algorithm::Es256 => Algorithm::Ed25519,
                    Algorithm::Ed25519 => Algorithm::Es256,
                };
                c.device().key = SoftwareKey::generate(other).expect("key").0.public().clone();
            },
            Fault::Statement(BadStatement::Algorithm),
        ),
        ("a challenge of a foreign key", |c| c.issuer_key = fresh_key(), Fault::ChallengeKey),
        (
            "a challenge after its key was withdrawn",
            |c| c.known_challenge_keys = ChallengeKeys::new([]),
            Fault::ChallengeKey,
        ),
        (
            "a challenge of another issuer",
            |c| c.challenge.iss = parsed("https://evil.example.com"),
            Fault::ChallengeIssuer,
        ),
        (
            "a challenge that redeems elsewhere",
            |c| {
                c.challenge.rdm = parsed::<crate::protocol::issuer::Issuer>("https://evil.example.com").login_url();
            },
            Fault::ChallengeIssuer,
        ),
        (
            "a challenge that was issued to another origin",
            |c| {
                c.challenge.org = parsed("https://other.example.com");
                c.login.org = c.challenge.org.clone();
                c.presence.org = c.challenge.org.clone();
            },
            Fault::ChallengeOrigin,
        ),
        (
            "a challenge that lives too long",
            |c| c.challenge.exp = Timestamp(NOW + 121),
            Fault::Challenge(BadStatement::Claims),
        ),
        (
            "the answer to another challenge",
            |c| both(c, |_, nonce, _, _| *nonce = ChallengeId::from_bytes([7; 32])),
            Fault::Nonce,
        ),
        (
            "an answer for another origin",
            |c| {
                c.login.org = parsed("https://evil.example.com");
                c.presence.org = c.login.org.clone();
            },
            Fault::Origin,
        ),
        ("another device's name", |c| both(c, |iss, _, _, _| *iss = DeviceIssuer(parsed("device-2"))), Fault::Issuer),
        ("no cookie, or two", |c| c.cookie = None, Fault::NoBrowser),
        ("another browser's cookie", |c| c.cookie = Some(Secret::new([9; 32])), Fault::ChallengeBrowser),
        (
            "another browser's challenge under this one's sid",
            |c| c.challenge.sid = Sid::from_bytes([9; 32]),
            Fault::ChallengeBrowser,
        ),
        ("another browser's answer", |c| both(c, |_, _, sid, _| *sid = Sid::from_bytes([9; 32])), Fault::Browser),
        (
            "a person whom the device does not belong to",
            |c| {
                c.login.sub = parsed("subject-2");
                c.presence.sub = parsed("subject-2");
                c.posted = parsed("subject-2");
            },
            Fault::Subject,
        ),
        ("a revoked device", |c| c.device().revoked = true, Fault::Revoked),
        ("a disabled account", |c| c.device().account_disabled = true, Fault::Disabled),
        ("an epoch before the last sign-out", |c| both(c, |_, _, _, epo| *epo = Epoch(3)), Fault::Epoch),
    ]
}

fn login_rows() -> Vec<Row> {
    vec![
        (
            "a challenge of 421 s ago",
            |c| {
                c.now = Timestamp(NOW + 421);
                (c.login.iat, c.login.exp) = (Timestamp(NOW + 200), Timestamp(NOW + 500));
            },
            Fault::ChallengeAge,
        ),
        (
            "another recipient",
            |c| {
                c.login.aud = parsed::<crate::protocol::issuer::Issuer>("https://evil.example.com").login_url();
            },
            Fault::Audience,
        ),
        ("a second after its end", |c| c.now = Timestamp(NOW + 301), Fault::Expired),
        ("a life of 301 s", |c| c.login.exp = Timestamp(NOW + 301), Fault::Statement(BadStatement::Claims)),
        ("an end before its beginning", |c| c.login.iat = Timestamp(NOW + 301), Fault::Statement(BadStatement::Claims)),
        ("another person's card", |c| c.posted = parsed("subject-2"), Fault::PostedSubject),
        ("a click where a prompt is asked for", |c| c.login.uv = UserVerification::Page, Fault::UserVerification),
        (
            "a prompt where the system's check is asked for",
            |c| c.device().minimum_uv = UserVerification::Os,
            Fault::UserVerification,
        ),
    ]
}

fn presence_rows() -> Vec<Row> {
    vec![
        (
            "a challenge of 121 s ago",
            |c| {
                c.now = Timestamp(NOW + 121);
                (c.presence.iat, c.presence.exp) = (Timestamp(NOW + 100), Timestamp(NOW + 160));
            },
            Fault::ChallengeAge,
        ),
        ("another recipient", |c| c.presence.aud = parsed("https://evil.example.com"), Fault::Audience),
        ("a second after its end", |c| c.now = Timestamp(NOW + 61), Fault::Expired),
        ("a life of 61 s", |c| c.presence.exp = Timestamp(NOW + 61), Fault::Statement(BadStatement::Claims)),
    ]
}

#[test]
fn a_sound_login_is_redeemable() {
    for algorithm in BOTH {
        let case = Case::new(algorithm);
        let (c, t, _) = case.sign();
        let redeemable = case.redeem(&c, &t).expect("sound");
        assert_eq!(*redeemable.mark(), case.challenge.jti);
        assert_eq!(*redeemable.incarnation(), case.challenge.inc);
        assert_eq!(redeemable.until(), Timestamp(NOW + 480));
    }
}

#[test]
fn each_spoiled_login_has_its_own_fault() {
    for algorithm in BOTH {
        for (what, change, fault) in shared_rows().into_iter().chain(login_rows()) {
            let mut case = Case::new(algorithm);
            change(&mut case);
            let (c, t, _) = case.sign();
            assert_eq!(case.redeem(&c, &t).err(), Some(fault), "{algorithm:?}: {what}");
        }
    }
}

#[test]
fn each_spoiled_presence_proof_has_its_own_fault() {
    for algorithm in BOTH {
        for (what, change, fault) in shared_rows().into_iter().chain(presence_rows()) {
            let mut case = Case::new(algorithm);
            change(&mut case);
            let (c, _, p) = case.sign();
            assert_eq!(case.prove(&c, &p).err(), Some(fault), "{algorithm:?}: {what}");
        }
    }
}

/// The last good moment, next to each first bad one above.
#[test]
fn the_bounds_themselves_are_good() {
    let mut case = Case::new(Algorithm::Es256);
    case.now = Timestamp(NOW + 300);
    let (c, t, _) = case.sign();
    assert!(case.redeem(&c, &t).is_ok(), "exp itself");

    case.now = Timestamp(NOW + 420);
    (case.login.iat, case.login.exp) = (Timestamp(NOW + 120), Timestamp(NOW + 420));
    let (c, t, _) = case.sign();
    assert!(case.redeem(&c, &t).is_ok(), "a challenge of 420 s ago");

    let mut case = Case::new(Algorithm::Es256);
    case.now = Timestamp(NOW + 120);
    (case.presence.iat, case.presence.exp) = (Timestamp(NOW + 60), Timestamp(NOW + 120));
    let (c, _, p) = case.sign();
    let proved = case.prove(&c, &p).expect("a challenge of 120 s ago");
    assert_eq!((proved.epoch, proved.seq), (case.presence.epo, case.presence.seq));

    case.device().epoch = Epoch(2);
    case.login.uv = UserVerification::Os;
    let (c, t, _) = case.sign();
    assert!(case.redeem(&c, &t).is_ok(), "a higher epoch and more than the policy asks");
}

#[test]
fn no_statement_passes_for_another() {
    let case = Case::new(Algorithm::Es256);
    let (c, t, p) = case.sign();
    assert_eq!(case.redeem(&c, &p).err(), Some(Fault::Statement(BadStatement::Type)), "P as T");
    assert_eq!(case.prove(&c, &t).err(), Some(Fault::Statement(BadStatement::Type)), "T as P");
    assert_eq!(case.redeem(&t, &t).err(), Some(Fault::Challenge(BadStatement::Type)), "T as C");
    assert_eq!(case.redeem(&c, &c).err(), Some(Fault::Statement(BadStatement::Type)), "C as T");
}

#[test]
fn headers_are_exactly_three_members_of_the_keys_own_algorithm() {
    let case = Case::new(Algorithm::Es256);
    let (c, _, _) = case.sign();
    let claims = serde_json::to_value(&case.login).expect("claims");
    let kid = case.device_key.public().id().to_string();
    let sound = json!({"alg": "ES256", "typ": "loopkey-login+jwt", "kid": kid});
    assert!(case.redeem(&c, &forge(&sound, &claims, &case.device_key)).is_ok(), "the control");
    let with = |name: &str, value: Value| {
        let mut header = sound.clone();
        header[name] = value;
        header
    };
    let header = Fault::Statement(BadStatement::Header);
    let rows = [
        (with("alg", json!("none")), header),
        (with("alg", json!("None")), header),
        (with("alg", json!("HS256")), header),
        (with("alg", json!("EdDSA")), header),
        (with("alg", json!("Ed25519")), Fault::Statement(BadStatement::Algorithm)),
        (with("typ", json!("JWT")), Fault::Statement(BadStatement::Type)),
        (with("kid", json!("../../etc/passwd")), header),
        (with("kid", json!("' OR 1=1 --")), header),
        (with("kid", Value::Null), header),
        (with("jwk", serde_json::to_value(case.device_key.public().to_jwk()).expect("jwk")), header),
        (with("jku", json!("https://evil.example.com")), header),
        (with("x5c", json!([])), header),
        (with("crit", json!(["b64"])), header),
        (with("b64", json!(false)), header),
        (json!({"alg": "ES256", "typ": "loopkey-login+jwt"}), header),
        (json!(["ES256", "loopkey-login+jwt", kid]), header),
    ];
    for (forged, fault) in rows {
        assert_eq!(case.redeem(&c, &forge(&forged, &claims, &case.device_key)).err(), Some(fault), "{forged}");
    }
}

#[test]
fn claims_are_closed_in_the_token_and_in_our_own_challenge() {
    let case = Case::new(Algorithm::Es256);
    let (c, t, _) = case.sign();
    let header =
        |typ: &str, key: &SoftwareKey| json!({"alg": "ES256", "typ": typ, "kid": key.public().id().to_string()});
    let sound = serde_json::to_value(&case.login).expect("claims");
    let mut rows: Vec<Value> = Vec::new();
    for (name, value) in [
        ("exp", json!("1800000300")),
        ("exp", json!(1_800_000_300.0)),
        ("exp", json!(-1)),
        ("aud", json!([sound["aud"]])),
        ("epo", Value::Null),
        ("uv", json!("click")),
        ("admin", json!(true)),
        ("sid", json!("AA")),
        ("jti", json!("")),
    ] {
        let mut claims = sound.clone();
        claims[name] = value;
        rows.push(claims);
    }
    for name in ["iss", "aud", "sub", "org", "nonce", "sid", "jti", "epo", "uv", "iat", "exp"] {
        let mut claims = sound.clone();
        claims.as_object_mut().expect("object").remove(name);
        rows.push(claims);
    }
    for claims in rows {
        let token = forge(&header("loopkey-login+jwt", &case.device_key), &claims, &case.device_key);
        assert_eq!(case.redeem(&c, &token).err(), Some(Fault::Statement(BadStatement::Claims)), "{claims}");
    }
    // An agent lets a challenge grow; the server that wrote it does not.
    let mut claims = serde_json::to_value(&case.challenge).expect("claims");
    let typ = header("loopkey-challenge+jwt", &case.issuer_key);
    assert!(case.redeem(&forge(&typ, &claims, &case.issuer_key), &t).is_ok(), "the control");
    claims["ops"] = json!(["login"]);
    let fault = case.redeem(&forge(&typ, &claims, &case.issuer_key), &t).err();
    assert_eq!(fault, Some(Fault::Challenge(BadStatement::Claims)));
}

#[test]
fn any_other_byte_or_form_is_refused() {
    let mut case = Case::new(Algorithm::Es256);
    let (c, t, _) = case.sign();
    let (input, signature) = t.rsplit_once('.').expect("parts");
    let mut flipped = base64url::decode(signature).expect("signature");
    flipped[10] ^= 1;
    let flipped = format!("{input}.{}", base64url::encode(&flipped));
    assert_eq!(case.redeem(&c, &flipped).err(), Some(Fault::Statement(BadStatement::Signature)));
    let zero = format!("{input}.{}", base64url::encode([0; 64]));
    assert_eq!(case.redeem(&c, &zero).err(), Some(Fault::Statement(BadStatement::Signature)));
    for form in [format!("{t}="), format!(" {t}"), format!("{t}."), format!("{t}.AA"), input.to_owned(), String::new()]
    {
        assert_eq!(case.redeem(&c, &form).err(), Some(Fault::Statement(BadStatement::Form)), "{form}");
    }
    let long = "A".repeat(PRESENTED_MAX_LEN + 1);
    assert_eq!(case.redeem(&c, &long).err(), Some(Fault::Statement(BadStatement::TooLong)));
    let spoiled = c.replacen('.', ".A", 1);
    assert!(matches!(case.redeem(&spoiled, &t).err(), Some(Fault::Challenge(_))));
    case.device = None;
    assert_eq!(case.redeem(&long, &t).err(), Some(Fault::Challenge(BadStatement::TooLong)), "before any key is sought");
}

#[test]
fn a_challenge_may_be_as_long_as_a_statement_and_no_longer() {
    let case = Case::new(Algorithm::Es256);
    let (_, t, _) = case.sign();
    let challenge = |len: usize| case.redeem(&"A".repeat(len), &t).err();
    assert_eq!(challenge(PRESENTED_MAX_LEN), Some(Fault::Challenge(BadStatement::Form)));
    assert_eq!(challenge(PRESENTED_MAX_LEN + 1), Some(Fault::Challenge(BadStatement::TooLong)));
    assert_eq!(case.known_challenge_keys.keys(), [case.issuer_key.public().clone()]);
}

#[test]
fn a_mark_redeems_its_own_challenge_only() {
    let case = Case::new(Algorithm::Es256);
    let (c, t, _) = case.sign();
    let other = ChallengeId::from_bytes(crypto::random());
    let foreign = mark::settle(&other, mark::Outcome::Inserted).expect("first use");
    assert_eq!(case.redeem(&c, &t).expect("sound").redeem(foreign).err(), Some(Fault::ForeignMark));
    let own = mark::settle(&case.challenge.jti, mark::Outcome::Inserted).expect("first use");
    let redeemed = case.redeem(&c, &t).expect("sound").redeem(own).expect("redeemed");
    assert_eq!((redeemed.epoch(), redeemed.subject()), (Epoch(4), &case.posted));
}

/// ECDSA signatures come in pairs: (r, n−s) verifies too. The mark is keyed by the challenge, so it makes no second use.
#[test]
fn the_twin_signature_of_es256_is_marked_alike() {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let case = Case::new(Algorithm::Es256);
    let (c, t, _) = case.sign();
    let (input, signature) = t.rsplit_once('.').expect("parts");
    let mut twin = base64url::decode(signature).expect("signature");
    let mut borrow = 0_i16;
    for i in (0..32).rev() {
        let difference = i16::from(N[i]) - i16::from(twin[32 + i]) - borrow;
        borrow = i16::from(difference < 0);
        twin[32 + i] = u8::try_from(difference.rem_euclid(256)).expect("byte");
    }
    let twin = format!("{input}.{}", base64url::encode(&twin));
    assert_ne!(twin, t);
    let (first, second) = (case.redeem(&c, &t).expect("sound"), case.redeem(&c, &twin).expect("verifies as well"));
    assert_eq!(first.mark(), second.mark());
}

#[test]
fn faults_do_not_quote_what_was_presented() {
    let mut case = Case::new(Algorithm::Es256);
    case.login.sub = parsed("planted-subject");
    let (c, t, _) = case.sign();
    let fault = case.redeem(&c, &t).expect_err("another subject");
    assert!(!format!("{fault} {fault:?}").contains("planted"));
    let presented = Presented::<Login>::parse(&c, &t).expect("form");
    assert_eq!(presented.key_id(), case.device_key.public().id());
    assert_ne!(statement::sid(&[0; 32]), statement::sid(&[1; 32]));
}

/// Signatures that are verified while something runs.
fn verifications(run: impl FnOnce()) -> u32 {
    let before = crypto::VERIFICATIONS.get();
    run();
    crypto::VERIFICATIONS.get() - before
}

/// Whoever has no device key learns nothing from the time that a refusal takes: one verification of the statement,
/// whether its `kid` is enrolled, enrolled with the other algorithm, or unknown.
#[test]
fn a26_an_unknown_key_costs_what_a_known_one_does() {
    // The dummies are made at their first use.
    let _ = Case::new(Algorithm::Es256).redeem("", "");
    for algorithm in BOTH {
        for (what, change, _) in &shared_rows()[..3] {
            let mut case = Case::new(algorithm);
            change(&mut case);
            let (c, t, p) = case.sign();
            assert_eq!(verifications(|| assert!(case.redeem(&c, &t).is_err())), 1, "{algorithm:?} T: {what}");
            assert_eq!(verifications(|| assert!(case.prove(&c, &p).is_err())), 1, "{algorithm:?} P: {what}");
        }
        // Past the signature only who has a device's key gets: from there on C is verified too, whatever is wrong.
        for (what, change, fault) in shared_rows().into_iter().skip(3).chain(login_rows()) {
            if matches!(fault, Fault::Statement(_) | Fault::ChallengeKey) {
                continue;
            }
            let mut case = Case::new(algorithm);
            change(&mut case);
            let (c, t, _) = case.sign();
            assert_eq!(verifications(|| assert!(case.redeem(&c, &t).is_err())), 2, "{algorithm:?}: {what}");
        }
    }
}

/// The same for statements that answer no challenge, such as a sign-out.
#[test]
fn a26_any_statement_of_an_unknown_key_is_verified_in_vain() {
    let case = Case::new(Algorithm::Ed25519);
    let (_, t, _) = case.sign();
    let statement = statement::Unverified::<Login>::parse(&t).expect("form");
    let known = case.device_key.public();
    let cost = |key| verifications(|| drop(verify_signature(&statement, key)));
    assert_eq!([cost(Some(known)), cost(Some(fresh_key().public())), cost(None)], [1, 1, 1]);
    assert_eq!(verify_signature(&statement, None).err(), Some(Fault::UnknownKey));
}
