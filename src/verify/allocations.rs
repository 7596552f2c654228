//! What a stranger sends must not decide how much memory is taken for it.

use allocation_counter::measure;

use super::testing::{Case, forge};
use super::{PRESENTED_MAX_LEN, Presented};
use crate::crypto::{Algorithm, Signer as _};
use crate::protocol::base64url;
use crate::protocol::statement::Login;
use serde_json::{Value, json};

/// The most that verifying something sound or hostile may hold at once: the statement in its few forms.
const MOST: u64 = 4 * PRESENTED_MAX_LEN as u64;

#[test]
fn what_is_too_long_takes_no_more_however_long_it_is() {
    let case = Case::new(Algorithm::Ed25519);
    let (challenge, token, _) = case.sign();
    let taken = |challenge: &str, token: &str| {
        let info = measure(|| assert!(Presented::<Login>::parse(challenge, token).is_err()));
        (info.count_total, info.bytes_total)
    };
    let longer = |len: usize| "A".repeat(len);
    for sound in [&challenge, &token] {
        assert!(sound.len() < PRESENTED_MAX_LEN);
    }
    let first = [taken(&longer(PRESENTED_MAX_LEN + 1), &token), taken(&challenge, &longer(PRESENTED_MAX_LEN + 1))];
    for len in [10 * PRESENTED_MAX_LEN, 1000 * PRESENTED_MAX_LEN] {
        let [as_challenge, as_token] = [taken(&longer(len), &token), taken(&challenge, &longer(len))];
        assert_eq!([as_challenge, as_token], first, "{len} bytes");
    }
}

#[test]
fn within_the_limit_nothing_takes_more_than_a_few_statements_do() {
    let case = Case::new(Algorithm::Ed25519);
    let (challenge, token, _) = case.sign();
    let sound = measure(|| assert!(case.redeem(&challenge, &token).is_ok()));
    assert!(sound.bytes_max <= MOST, "{sound:?}");
    let header =
        json!({ "alg": "EdDSA", "typ": "loopkey-login+jwt", "kid": case.device_key.public().id().to_string() });
    let forged = |claims: &Value| forge(&header, claims, &case.device_key);
    let raw = |claims: &str| {
        let [header, claims] = [header.to_string(), claims.to_owned()].map(base64url::encode);
        format!("{header}.{claims}.{}", base64url::encode([0; 64]))
    };
    let room = PRESENTED_MAX_LEN * 3 / 4 - 400;
    for hostile in [
        forged(&json!({ "iss": "x".repeat(room) })),
        forged(&Value::Object((0..room / 12).map(|n| (format!("m{n:04}"), json!(1))).collect())),
        raw(&"[".repeat(room)),
        raw(&format!("{{\"iss\":{}", "[".repeat(room))),
        raw(&format!("{{{}", "\"iss\":\"\",".repeat(room / 9))),
        raw(&format!("{{\"iss\":\"{}", "\\u0041".repeat(room / 6))),
        format!("{}..", ".".repeat(PRESENTED_MAX_LEN - 2)),
    ] {
        assert!(hostile.len() <= PRESENTED_MAX_LEN, "{}", hostile.len());
        let taken = measure(|| assert!(case.redeem(&challenge, &hostile).is_err()));
        assert!(taken.bytes_max <= MOST, "{taken:?}: {}", &hostile[..80]);
    }
}
