//! What every statement has in common, and the bounds of each.

use super::*;
use crate::crypto::{Algorithm, Signer as _, SoftwareKey};
use crate::protocol::id::{ChallengeId, EnrolmentTicket, Epoch, Seq, Sid, TokenId};
use crate::protocol::issuer::Issuer;
use crate::protocol::state::PresenceState;
use crate::protocol::time::Timestamp;

const NOW: Timestamp = Timestamp(1_800_000_000);

fn key(algorithm: Algorithm) -> SoftwareKey {
    SoftwareKey::generate(algorithm).expect("key").0
}

fn issuer() -> Issuer {
    "https://app.example.com/loopkey".parse().expect("issuer")
}

fn device() -> crate::protocol::id::DeviceIssuer {
    crate::protocol::id::DeviceIssuer("device-1".parse().expect("device"))
}

fn challenge(exp: Timestamp) -> Challenge {
    Challenge {
        iss: issuer(),
        aud: Audience::Agent,
        org: "https://app.example.com".parse().expect("origin"),
        jti: ChallengeId::from_bytes([1; 32]),
        sid: Sid::from_bytes([2; 32]),
        iat: NOW,
        exp,
        rdm: issuer().login_url(),
        inc: "life".parse().expect("incarnation"),
    }
}

fn presence(exp: Timestamp) -> Presence {
    Presence {
        iss: device(),
        aud: issuer(),
        sub: "someone".parse().expect("subject"),
        org: challenge(exp).org,
        nonce: challenge(exp).jti,
        sid: challenge(exp).sid,
        pst: PresenceState::Away,
        seq: Seq(17),
        epo: Epoch(4),
        iat: NOW,
        exp,
    }
}

fn login(exp: Timestamp) -> Login {
    Login {
        iss: device(),
        aud: issuer().login_url(),
        sub: "someone".parse().expect("subject"),
        org: challenge(exp).org,
        nonce: challenge(exp).jti,
        sid: challenge(exp).sid,
        jti: TokenId::from_bytes([3; 16]),
        epo: Epoch(4),
        uv: UserVerification::Prompt,
        iat: NOW,
        exp,
    }
}

fn sign_out() -> SignOut {
    SignOut { iss: device(), aud: issuer(), sub: "someone".parse().expect("subject"), epo: Epoch(5) }
}

fn enrolment(key: &SoftwareKey, name: &str) -> Enrolment {
    let nonce = EnrolmentTicket::from_bytes([4; 32]);
    Enrolment { aud: issuer(), nonce, jwk: key.public().to_jwk(), name: name.to_owned() }
}

fn access(exp: Timestamp) -> AccessToken {
    AccessToken {
        iss: issuer(),
        sub: "someone".parse().expect("subject"),
        aud: "https://app.example.com".to_owned(),
        account: "ada".to_owned(),
        client_id: "backend".to_owned(),
        jti: TokenId::from_bytes([3; 16]),
        auth_time: NOW,
        amr: vec!["pop".to_owned()],
        iat: NOW,
        exp,
    }
}

fn passes<S: Statement>(statement: &S) -> bool {
    let key = key(Algorithm::Ed25519);
    verify::<S>(&sign(statement, &key).expect("signed"), key.public()).is_ok()
}

#[test]
fn each_statement_reads_back_as_it_was_signed() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let key = key(algorithm);
        let (own, other) = (key.public(), self::key(algorithm));
        let signed = sign(&sign_out(), &key).expect("signed");
        assert_eq!(verify(&signed, own), Ok(sign_out()));
        assert_eq!(verify::<SignOut>(&signed, other.public()), Err(BadStatement::Signature));
        assert_eq!(verify::<Presence>(&signed, own), Err(BadStatement::Type));
        let enrolment = enrolment(&key, "Ada's laptop");
        let signed = sign(&enrolment, &key).expect("signed");
        assert_eq!(verify_enrolment(&signed), Ok((enrolment.clone(), own.clone())));
        let foreign = sign(&enrolment, &other).expect("signed");
        assert_eq!(verify_enrolment(&foreign), Err(BadStatement::Signature), "vouched for by another key");
    }
}

#[test]
fn no_statement_lives_longer_than_it_may() {
    let back = Timestamp(NOW.0 - 1);
    for (seconds, sound) in [(0, true), (120, true), (121, false)] {
        assert_eq!(passes(&challenge(NOW.plus(seconds))), sound, "a challenge of {seconds} s");
    }
    for (seconds, sound) in [(0, true), (60, true), (61, false)] {
        assert_eq!(passes(&presence(NOW.plus(seconds))), sound, "a proof of {seconds} s");
    }
    for (seconds, sound) in [(0, true), (300, true), (301, false)] {
        assert_eq!(passes(&login(NOW.plus(seconds))), sound, "a token of {seconds} s");
    }
    for (seconds, sound) in [(0, true), (300, true), (301, false)] {
        assert_eq!(passes(&access(NOW.plus(seconds))), sound, "an access token of {seconds} s");
    }
    assert!(!passes(&access(back)));
    assert!(!passes(&challenge(back)) && !passes(&presence(back)) && !passes(&login(back)), "ends before it begins");
}

#[test]
fn a_devices_name_is_bounded() {
    let key = key(Algorithm::Ed25519);
    let fault = |name: &str| verify_enrolment(&sign(&enrolment(&key, name), &key).expect("signed")).err();
    assert_eq!(fault(&"a".repeat(128)), None);
    assert_eq!(fault(&"a".repeat(129)), Some(BadStatement::Claims));
    assert_eq!(fault(&"ä".repeat(65)), Some(BadStatement::Claims), "bytes are counted");
}

#[test]
fn a_statement_is_looked_at_up_to_its_longest_length() {
    let fault = |len: usize| Unverified::<Login>::parse(&"A".repeat(len)).err();
    assert_eq!(fault(MAX_STATEMENT_LEN), Some(BadStatement::Form));
    assert_eq!(fault(MAX_STATEMENT_LEN + 1), Some(BadStatement::TooLong));
    assert_eq!(fault(2 * MAX_STATEMENT_LEN), Some(BadStatement::TooLong));
}

/// Both are signed with the same keys: neither may ever be taken for the other.
#[test]
fn an_access_token_is_no_challenge_and_a_challenge_no_access_token() {
    let key = key(Algorithm::Es256);
    let token = sign(&access(NOW.plus(60)), &key).expect("signed");
    assert_eq!(verify::<Challenge>(&token, key.public()), Err(BadStatement::Type));
    assert_eq!(verify::<Login>(&token, key.public()), Err(BadStatement::Type));
    let challenge = sign(&challenge(NOW.plus(60)), &key).expect("signed");
    assert_eq!(verify::<AccessToken>(&challenge, key.public()), Err(BadStatement::Type));
    // A verifier that forgets to look at `typ` is left with the audience.
    assert!(!passes(&AccessToken { aud: AGENT_AUDIENCE.to_owned(), ..access(NOW.plus(60)) }));
}
