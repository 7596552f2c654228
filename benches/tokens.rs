//! What issuing and verifying cost beside the bare operations of ring, in the same run and turn by turn, with each algorithm:
//! everything above the floor is parsing, framing and claims.

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loopkey::clock::ManualClock;
use loopkey::crypto::{self, Algorithm, Secret, Signer as _, SoftwareKey};
use loopkey::protocol::id::{ChallengeId, DeviceId, DeviceIssuer, Epoch, Seq, TokenId};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::{self, Audience, Challenge, Login, Presence, UserVerification};
use loopkey::protocol::time::{Timestamp, UnixMillis};
use loopkey::verify::mark::Marks;
use loopkey::verify::{ChallengeKeys, Device, Expectations, Presented};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use support::{Samples, print};

const ROUNDS: usize = 300;
const WARM_UP: usize = 30;
/// A single one is too short to be timed by itself.
const BATCH: usize = 20;
const NOW: Timestamp = Timestamp(1_800_000_000);

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("sound")
}

/// One login: who is asked, who signs, and what.
struct Case {
    issuer: Issuer,
    origin: Origin,
    challenge_keys: ChallengeKeys,
    challenge_key: SoftwareKey,
    key: SoftwareKey,
    cookie: Secret<[u8; 32]>,
    device: Device,
    challenge: Challenge,
    login: Login,
    presence: Presence,
    marks: Marks,
}

impl Case {
    fn new(algorithm: Algorithm) -> Self {
        let (issuer, origin): (Issuer, Origin) =
            (parsed("https://app.example.com/loopkey"), parsed("https://app.example.com"));
        let (challenge_key, _) = SoftwareKey::generate(algorithm).expect("a key");
        let (key, _) = SoftwareKey::generate(algorithm).expect("a key");
        let (id, cookie): (DeviceId, [u8; 32]) = (parsed("device-1"), crypto::random());
        let marks = Marks::new(Arc::new(ManualClock::at(UnixMillis(NOW.0 * 1000))));
        let challenge = Challenge {
            iss: issuer.clone(),
            aud: Audience::Agent,
            org: origin.clone(),
            jti: ChallengeId::from_bytes(crypto::random()),
            sid: statement::sid(&cookie),
            iat: NOW,
            exp: NOW.plus(120),
            rdm: issuer.login_url(),
            inc: marks.incarnation(),
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
        let presence = Presence {
            iss: DeviceIssuer(id.clone()),
            aud: issuer.clone(),
            sub: login.sub.clone(),
            org: origin.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            pst: PresenceState::SignedIn,
            seq: Seq(17),
            epo: Epoch(4),
            iat: NOW,
            exp: NOW.plus(60),
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
        let challenge_keys = ChallengeKeys::new([challenge_key.public().clone()]);
        let cookie = Secret::new(cookie);
        Self { issuer, origin, challenge_keys, challenge_key, key, cookie, device, challenge, login, presence, marks }
    }

    /// C, T and P of a login of its own.
    fn next(&mut self) -> [String; 3] {
        self.challenge.jti = ChallengeId::from_bytes(crypto::random());
        (self.login.nonce, self.presence.nonce) = (self.challenge.jti, self.challenge.jti);
        let challenge = statement::sign(&self.challenge, &self.challenge_key).expect("C");
        [challenge, self.issue(), statement::sign(&self.presence, &self.key).expect("P")]
    }

    fn issue(&self) -> String {
        statement::sign(&self.login, &self.key).expect("T")
    }

    fn expected(&self) -> Expectations<'_> {
        Expectations {
            issuer: &self.issuer,
            challenge_keys: &self.challenge_keys,
            origin: &self.origin,
            cookie: Some(&self.cookie),
            now: NOW,
        }
    }

    fn prove(&self, challenge: &str, proof: &str) {
        let presented = Presented::<Presence>::parse(challenge, proof).expect("sound");
        black_box(presented.verify(Some(&self.device), &self.expected()).expect("everything is right"));
    }

    fn redeem(&self, challenge: &str, token: &str) {
        let presented = Presented::<Login>::parse(challenge, token).expect("sound");
        let redeemable =
            presented.verify(Some(&self.device), &self.expected(), &self.login.sub).expect("everything is right");
        let first = self.marks.mark(redeemable.mark(), redeemable.incarnation(), redeemable.until());
        black_box(redeemable.redeem(first.expect("a first use")).expect("redeemed"));
    }
}

/// A key of ring alone.
enum Pair {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

/// A key of ring alone, and a message of a token's length with its signature.
struct Bare {
    pair: Pair,
    random: SystemRandom,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Bare {
    fn new(algorithm: Algorithm, len: usize) -> Self {
        let random = SystemRandom::new();
        let pair = match algorithm {
            Algorithm::Ed25519 => {
                Pair::Ed25519(Ed25519KeyPair::from_seed_unchecked(&crypto::random::<32>()).expect("a key"))
            }
            Algorithm::Es256 => {
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
                Pair::Es256(pair.expect("its own"))
            }
        };
        let mut bare = Self { pair, random, message: vec![b'x'; len], signature: Vec::new() };
        bare.signature = bare.sign();
        bare
    }

    fn sign(&self) -> Vec<u8> {
        let message = black_box(&self.message);
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message),
            Pair::Es256(pair) => pair.sign(&self.random, message).expect("a signature"),
        };
        signature.as_ref().to_vec()
    }

    fn verify(&self, times: usize) {
        for _ in 0..times {
            let (message, signature) = (black_box(&self.message), &self.signature);
            match &self.pair {
                Pair::Ed25519(pair) => UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(message, signature),
                Pair::Es256(pair) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key()).verify(message, signature)
                }
            }
            .expect("its own");
        }
    }
}

/// The time that one of a batch takes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures wall time")]
fn each<T>(batch: &[T], mut act: impl FnMut(&T)) -> Duration {
    let started = Instant::now();
    for one in batch {
        act(one);
    }
    started.elapsed() / u32::try_from(batch.len()).expect("few")
}

fn main() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        measure(algorithm);
    }
}

fn measure(algorithm: Algorithm) {
    let mut case = Case::new(algorithm);
    let bare = Bare::new(algorithm, case.issue().rsplit_once('.').expect("a signature").0.len());
    let mut samples: [Samples; 5] = Default::default();
    for round in 0..WARM_UP + ROUNDS {
        let statements: Vec<_> = (0..BATCH).map(|_| case.next()).collect();
        let times = [
            each(&statements, |_| drop(black_box(bare.sign()))),
            each(&statements, |_| drop(black_box(case.issue()))),
            each(&statements, |_| bare.verify(2)),
            each(&statements, |[challenge, _, proof]| case.prove(challenge, proof)),
            each(&statements, |[challenge, token, _]| case.redeem(challenge, token)),
        ];
        if round >= WARM_UP {
            for (samples, time) in samples.iter_mut().zip(times) {
                samples.add(time);
            }
        }
    }
    let [sign, issue, two, prove, redeem] = &samples;
    print(
        format!("{algorithm:?}: issue"),
        &[("ring: one signature", sign), ("a login token: claims, framing, signature", issue)],
    );
    print(
        format!("{algorithm:?}: verify, both statements and all claims"),
        &[
            ("ring: two signatures", two),
            ("a presence proof with its challenge", prove),
            ("a login token with its challenge, and the mark", redeem),
        ],
    );
}
