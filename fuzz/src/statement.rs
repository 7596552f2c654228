//! Signed statements: as they are, and signed by the target so that the fuzzer reaches what lies behind the signature.
//!
//! The first letter says which statement is meant (`c`hallenge, `p`resence, `l`ogin, `s`ign-out, `e`nrolment, lin`k`; in upper
//! case the rest is the statement itself, in lower case its header and its claims on a line each). The second says whose key:
//! `2` is the P-256 key, anything else the Ed25519 key. An empty header stands for the right one.

use std::sync::OnceLock;

use loopkey::crypto::{Algorithm, PublicKey, Signer, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::statement::{
    self, BadStatement, CHALLENGE_LIFE_SECONDS, Challenge, Enrolment, LOGIN_LIFE_SECONDS, Link, Login,
    MAX_STATEMENT_LEN, PRESENCE_LIFE_SECONDS, Presence, SignOut, Statement,
};
use serde_json::{Map, Value, json};

/// The keys that the statements are signed with: those of RFC 8032 section 7.1 (test 1) and RFC 7515 appendix A.3.
pub fn key(algorithm: Algorithm) -> &'static SoftwareKey {
    static KEYS: OnceLock<[SoftwareKey; 2]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let bytes = |text: &str| base64url::decode(text).expect("base64url");
        let (seed, public) =
            ("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let ed25519 =
            [&bytes("MFMCAQEwBQYDK2VwBCIEIA")[..], &bytes(seed), &[0xa1, 0x23, 0x03, 0x21, 0], &bytes(public)];
        let prefix = bytes("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg");
        let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
        let d = bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
        let p256 = [&prefix[..], &d, &[0xa1, 0x44, 0x03, 0x42, 0, 4], &bytes(x), &bytes(y)];
        [(Algorithm::Ed25519, ed25519.concat()), (Algorithm::Es256, p256.concat())]
            .map(|(algorithm, document)| SoftwareKey::from_pkcs8(algorithm, &document).expect("a published key"))
    });
    keys.iter().find(|key| key.public().algorithm() == algorithm).expect("one of each")
}

/// See the top of the file.
pub fn run(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut rest = text.chars();
    let (Some(kind), Some(whose)) = (rest.next(), rest.next()) else { return false };
    let key = key(if whose == '2' { Algorithm::Es256 } else { Algorithm::Ed25519 });
    match kind.to_ascii_lowercase() {
        'c' => read::<Challenge>(kind, rest.as_str(), key),
        'p' => read::<Presence>(kind, rest.as_str(), key),
        'l' => read::<Login>(kind, rest.as_str(), key),
        's' => read::<SignOut>(kind, rest.as_str(), key),
        'k' => read::<Link>(kind, rest.as_str(), key),
        'e' => read::<Enrolment>(kind, rest.as_str(), key),
        _ => false,
    }
}

/// Whether the statement verifies, which it must then do rightly.
fn read<S: Statement + PartialEq + std::fmt::Debug>(kind: char, rest: &str, key: &SoftwareKey) -> bool {
    let compact = match rest.split_once('\n') {
        _ if kind.is_ascii_uppercase() => rest.to_owned(),
        Some((header, claims)) => forge::<S>(header, claims, key),
        None => return false,
    };
    let Ok(read) = verify::<S>(&compact, key.public()) else { return false };
    assert_one_spelling(&compact);
    assert_header::<S>(&compact, key.public());
    assert_claims(&compact, &read);
    assert_signed_alone(&compact, &read, key);
    true
}

fn forge<S: Statement>(header: &str, claims: &str, key: &SoftwareKey) -> String {
    let sound = json!({"alg": key.public().algorithm(), "typ": S::TYP, "kid": key.public().id()}).to_string();
    let header = if header.is_empty() { &sound } else { header };
    let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    format!("{input}.{}", base64url::encode(key.sign(input.as_bytes()).expect("signed")))
}

/// An enrolment is verified with the key that it carries, everything else with the one that is known.
fn verify<S: Statement>(compact: &str, key: &PublicKey) -> Result<S, BadStatement> {
    if S::TYP == Enrolment::TYP {
        let (_, own) = statement::verify_enrolment(compact)?;
        return statement::verify(compact, &own);
    }
    statement::verify(compact, key)
}

fn part(compact: &str, at: usize) -> Vec<u8> {
    base64url::decode(compact.split('.').nth(at).expect("three parts")).expect("strict base64url")
}

fn object(compact: &str, at: usize) -> Map<String, Value> {
    match serde_json::from_slice(&part(compact, at)) {
        Ok(Value::Object(object)) => object,
        other => panic!("part {at} of {compact} is {other:?}"),
    }
}

fn assert_one_spelling(compact: &str) {
    assert!(compact.len() <= MAX_STATEMENT_LEN);
    let again = [0, 1, 2].map(|at| base64url::encode(part(compact, at))).join(".");
    assert_eq!(again, compact, "three parts, and no other spelling of the same bytes");
    assert_eq!(part(compact, 2).len(), 64);
}

fn assert_header<S: Statement>(compact: &str, key: &PublicKey) {
    let header = object(compact, 0);
    assert_eq!(header["typ"], S::TYP);
    if S::TYP != Enrolment::TYP {
        assert_eq!((&header["alg"], &header["kid"]), (&json!(key.algorithm()), &json!(key.id())));
    }
    assert!(header.len() == 3 || S::MAY_GROW, "a member too many");
    assert!(!header.contains_key("crit"));
}

fn assert_claims<S: Statement>(compact: &str, read: &S) {
    let claims = object(compact, 1);
    let Ok(Value::Object(known)) = serde_json::to_value(read) else { panic!("claims are an object") };
    for (name, value) in &known {
        assert_eq!(claims.get(name), Some(value), "{name} was read as it stands");
    }
    assert!(known.len() == claims.len() || S::MAY_GROW, "a claim too many");
    let life = match S::TYP {
        Challenge::TYP => CHALLENGE_LIFE_SECONDS,
        Presence::TYP => PRESENCE_LIFE_SECONDS,
        Login::TYP => LOGIN_LIFE_SECONDS,
        _ => return assert!(!claims.contains_key("exp") || S::MAY_GROW),
    };
    let (iat, exp) = (claims["iat"].as_u64().expect("a number"), claims["exp"].as_u64().expect("a number"));
    assert!(exp.checked_sub(iat).is_some_and(|seconds| seconds <= life), "lives from {iat} to {exp}");
}

/// It is nobody else's, nothing else, and nothing in it can be changed.
fn assert_signed_alone<S: Statement + PartialEq + std::fmt::Debug>(compact: &str, read: &S, key: &SoftwareKey) {
    for other in [Algorithm::Ed25519, Algorithm::Es256].map(self::key) {
        if object(compact, 0)["kid"] != json!(other.public().id()) {
            assert!(statement::verify::<S>(compact, other.public()).is_err(), "it is another key's");
        }
    }
    let kinds = [
        (Challenge::TYP, verify::<Challenge>(compact, key.public()).is_ok()),
        (Presence::TYP, verify::<Presence>(compact, key.public()).is_ok()),
        (Login::TYP, verify::<Login>(compact, key.public()).is_ok()),
        (Link::TYP, verify::<Link>(compact, key.public()).is_ok()),
        (SignOut::TYP, verify::<SignOut>(compact, key.public()).is_ok()),
        (Enrolment::TYP, verify::<Enrolment>(compact, key.public()).is_ok()),
    ];
    assert!(kinds.iter().all(|(typ, passes)| *passes == (*typ == S::TYP)), "one statement passes for another");

    // Every tenth place or so: each costs a verification.
    for at in (compact.len() % 7..compact.len()).step_by(1 + compact.len() / 9) {
        for by in ["A", "_", ".", "="] {
            let spoiled = format!("{}{by}{}", &compact[..at], &compact[at + 1..]);
            assert!(spoiled == compact || verify::<S>(&spoiled, key.public()).is_err(), "changed at {at}: {spoiled}");
        }
    }
    for spoiled in
        [format!("{compact}A"), format!("{compact}="), format!("{compact}."), compact[..compact.len() - 1].into()]
    {
        assert!(verify::<S>(&spoiled, key.public()).is_err(), "{spoiled}");
    }

    // An enrolment may be signed with a key that this target does not have.
    if S::TYP != Enrolment::TYP {
        let again = statement::sign(read, key).expect("signed");
        assert_eq!(verify::<S>(&again, key.public()).as_ref(), Ok(read), "signed anew, it says the same");
    }
}
