//! What a refusal costs beside what is accepted: who is refused early must not learn from the time whether a key is
//! enrolled here. Only the rows marked `*` can be reached without a device key of one's own; the first two of them must
//! cost the same.

#[path = "support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use loopkey::crypto::{self, Algorithm, KeyId, PublicKey, Secret, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::id::{ChallengeId, DeviceId, DeviceIssuer, Epoch, Sid, TokenId};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::statement::jwk::Jwk;
use loopkey::protocol::statement::{self, Audience, Challenge, Login, UserVerification};
use loopkey::protocol::time::Timestamp;
use loopkey::verify::{ChallengeKeys, Device, Expectations, Presented};
use support::{Samples, print};

const ROUNDS: usize = 400;
const WARM_UP: usize = 40;
const NOW: Timestamp = Timestamp(1_800_000_000);

fn main() {
    login_server();
}

/// A login server without its HTTP: what it expects, and the devices that it knows.
struct Verifier {
    issuer: Issuer,
    origin: Origin,
    challenge_key: SoftwareKey,
    challenge_keys: ChallengeKeys,
    cookie: Secret<[u8; 32]>,
    devices: HashMap<KeyId, (Jwk, Device)>,
}

impl Verifier {
    /// Looks the key up and loads it, as a store does, and verifies.
    fn accepts(&self, challenge: &str, token: &str, posted: &str) -> bool {
        let expected = Expectations {
            issuer: &self.issuer,
            challenge_keys: &self.challenge_keys,
            origin: &self.origin,
            cookie: Some(&self.cookie),
            now: NOW,
        };
        let Ok(presented) = Presented::<Login>::parse(challenge, token) else { return false };
        let device = self.devices.get(&presented.key_id()).map(|(jwk, device)| {
            let key = PublicKey::enrolled(jwk).expect("it was sound when it was enrolled");
            Device { key, ..device.clone() }
        });
        let Ok(posted) = posted.parse() else { return false };
        presented.verify(device.as_ref(), &expected, &posted).is_ok()
    }
}

/// One device and all that it signs.
struct Agent {
    key: SoftwareKey,
    login: Login,
}

impl Agent {
    fn sign(&self, change: impl FnOnce(&mut Login)) -> String {
        let mut login = self.login.clone();
        change(&mut login);
        statement::sign(&login, &self.key).expect("signed")
    }

    /// The same claims under another header.
    fn with_header(&self, header: &str) -> String {
        let claims = serde_json::to_vec(&self.login).expect("JSON");
        let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
        format!("{input}.{}", base64url::encode(self.key.sign(input.as_bytes()).expect("signed")))
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("sound")
}

fn setting(algorithm: Algorithm) -> (Verifier, Agent, Challenge) {
    let issuer: Issuer = parsed("https://app.example.com/loopkey");
    let origin: Origin = parsed("https://app.example.com");
    let (challenge_key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
    let (key, _) = SoftwareKey::generate(algorithm).expect("key");
    let (id, cookie): (DeviceId, [u8; 32]) = (parsed("device-1"), crypto::random());
    let challenge = Challenge {
        iss: issuer.clone(),
        aud: Audience::Agent,
        org: origin.clone(),
        jti: ChallengeId::from_bytes(crypto::random()),
        sid: statement::sid(&cookie),
        iat: NOW,
        exp: NOW.plus(120),
        rdm: issuer.login_url(),
        inc: parsed("life-1"),
    };
    let login = Login {
        iss: DeviceIssuer(id.clone()),
        aud: challenge.rdm.clone(),
        sub: parsed("subject-1"),
        org: origin.clone(),
        nonce: challenge.jti,
        sid: challenge.sid,
        jti: TokenId::from_bytes(crypto::random()),
        epo: Epoch(4),
        uv: UserVerification::Prompt,
        iat: NOW,
        exp: NOW.plus(300),
    };
    let device = Device {
        id,
        key: key.public().clone(),
        subject: login.sub.clone(),
        revoked: false,
        account_disabled: false,
        epoch: Epoch(4),
        minimum_uv: UserVerification::Prompt,
    };
    let verifier = Verifier {
        challenge_keys: ChallengeKeys::new([challenge_key.public().clone()]),
        devices: HashMap::from([(key.public().id(), (key.public().to_jwk(), device))]),
        cookie: Secret::new(cookie),
        issuer,
        origin,
        challenge_key,
    };
    (verifier, Agent { key, login }, challenge)
}

/// A change to a token's claims.
type Change = fn(&mut Login);

/// The refusals that a signature of an enrolled device leads to.
const SIGNED: [(&str, Change); 11] = [
    ("a life too long", |t| t.exp = NOW.plus(301)),
    ("another challenge", |t| t.nonce = ChallengeId::from_bytes([1; 32])),
    ("another origin", |t| t.org = parsed("https://www.example.com")),
    ("another recipient", |t| t.aud = parsed::<Issuer>("https://evil.example.com").login_url()),
    ("another device's name", |t| t.iss = DeviceIssuer(parsed("device-2"))),
    ("another browser", |t| t.sid = Sid::from_bytes([1; 32])),
    ("expired", |t| (t.iat, t.exp) = (Timestamp(NOW.0 - 200), Timestamp(NOW.0 - 1))),
    ("another person", |t| t.sub = parsed("subject-2")),
    ("an epoch of before", |t| t.epo = Epoch(3)),
    ("too weak a verification", |t| t.uv = UserVerification::Page),
    ("everything wrong at once", |t| {
        t.sub = parsed("subject-2");
        t.sid = Sid::from_bytes([1; 32]);
    }),
];

/// Times of each cause, taken turn by turn so that all of them see the same machine.
fn login_server() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let (verifier, agent, challenge) = setting(algorithm);
        let compact = statement::sign(&challenge, &verifier.challenge_key).expect("signed");
        let (stranger, _) = SoftwareKey::generate(algorithm).expect("key");
        let stranger = Agent { key: stranger, login: agent.login.clone() };
        let kid = agent.key.public().id();
        let (name, other) = match algorithm {
            Algorithm::Es256 => ("ES256", "Ed25519"),
            Algorithm::Ed25519 => ("Ed25519", "ES256"),
        };
        let header = |alg: &str, typ: &str, kid: KeyId| format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#);
        let typ = "loopkey-login+jwt";
        let sound = agent.sign(|_| ());
        let mut causes = vec![
            ("accepted", sound.clone()),
            ("* an unknown key", stranger.sign(|_| ())),
            ("* a known key, signed by another", stranger.with_header(&header(name, typ, kid))),
            ("* a known key, the other algorithm", agent.with_header(&header(other, typ, kid))),
            (
                "* an unknown key, the other algorithm",
                agent.with_header(&header(other, typ, stranger.key.public().id())),
            ),
            ("* no token", String::new()),
            ("* two parts", sound.rsplit_once('.').expect("parts").0.to_owned()),
            ("* padding", format!("{sound}=")),
            ("* no algorithm", agent.with_header(&header("none", typ, kid))),
            ("* another type", agent.with_header(&header(name, "loopkey-presence+jwt", kid))),
        ];
        causes.extend(SIGNED.map(|(cause, change)| (cause, agent.sign(change))));
        let mut samples = vec![Samples::default(); causes.len()];
        for round in 0..WARM_UP + ROUNDS {
            for ((cause, token), samples) in causes.iter().zip(&mut samples) {
                let (time, accepted) = timed(|| verifier.accepts(&compact, token, "subject-1"));
                assert_eq!(accepted, *cause == "accepted", "{cause}");
                if round >= WARM_UP {
                    samples.add(time);
                }
            }
        }
        let rows: Vec<_> = causes.iter().map(|(cause, _)| *cause).zip(&samples).collect();
        print(format_args!("Login server, {name}: a token refused, beside one accepted; {ROUNDS} rounds"), &rows);
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn timed(verify: impl FnOnce() -> bool) -> (Duration, bool) {
    let started = Instant::now();
    let accepted = black_box(verify());
    (started.elapsed(), accepted)
}
