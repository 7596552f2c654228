//! A sound challenge and sound answers to it, to be spoiled one change at a time.

use super::{ChallengeKeys, Device, Expectations, Fault, Presented, Redeemable};
use crate::crypto::{self, Algorithm, Secret, Signer, SoftwareKey};
use crate::protocol::base64url;
use crate::protocol::id::{ChallengeId, DeviceId, DeviceIssuer, Epoch, Incarnation, Seq, Subject, TokenId};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;
use crate::protocol::statement::{self, Audience, Challenge, Login, Presence, UserVerification};
use crate::protocol::time::Timestamp;

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} parses"))
}

/// Everything that one login is made of, each part open to change before it is signed.
pub(crate) struct Case {
    pub(crate) issuer: Issuer,
    pub(crate) issuer_key: SoftwareKey,
    pub(crate) known_challenge_keys: ChallengeKeys,
    pub(crate) device_key: SoftwareKey,
    pub(crate) device: Option<Device>,
    pub(crate) cookie: Option<Secret<[u8; 32]>>,
    pub(crate) origin: Origin,
    pub(crate) now: Timestamp,
    pub(crate) posted: Subject,
    pub(crate) challenge: Challenge,
    pub(crate) login: Login,
    pub(crate) presence: Presence,
}

impl Case {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let issuer: Issuer = parsed("https://app.example.com/loopkey");
        let (issuer_key, _) = SoftwareKey::generate(algorithm).expect("key");
        let (device_key, _) = SoftwareKey::generate(algorithm).expect("key");
        let cookie = crypto::random::<32>();
        let (origin, subject): (Origin, Subject) = (parsed("https://app.example.com"), parsed("subject-1"));
        let id: DeviceId = parsed("device-1");
        let challenge = Challenge {
            iss: issuer.clone(),
            aud: Audience::Agent,
            org: origin.clone(),
            jti: ChallengeId::from_bytes(crypto::random()),
            sid: statement::sid(&cookie),
            iat: Timestamp(NOW),
            exp: Timestamp(NOW + 120),
            rdm: issuer.login_url(),
            inc: parsed::<Incarnation>("life-1"),
        };
        let login = Login {
            iss: DeviceIssuer(id.clone()),
            aud: challenge.rdm.clone(),
            sub: subject.clone(),
            org: origin.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            jti: TokenId::from_bytes(crypto::random()),
            epo: Epoch(4),
            uv: UserVerification::Prompt,
            iat: Timestamp(NOW),
            exp: Timestamp(NOW + 300),
        };
        let presence = Presence {
            iss: DeviceIssuer(id.clone()),
            aud: issuer.clone(),
            sub: subject.clone(),
            org: origin.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            pst: PresenceState::SignedIn,
            seq: Seq(17),
            epo: Epoch(4),
            iat: Timestamp(NOW),
            exp: Timestamp(NOW + 60),
        };
        let device = Device {
            id,
            key: device_key.public().clone(),
            subject: subject.clone(),
            revoked: false,
            account_disabled: false,
            epoch: Epoch(4),
            minimum_uv: UserVerification::Prompt,
        };
        Self {
            known_challenge_keys: ChallengeKeys::new([issuer_key.public().clone()]),
            issuer,
            issuer_key,
            device_key,
            device: Some(device),
            cookie: Some(Secret::new(cookie)),
            origin,
            now: Timestamp(NOW + 5),
            posted: subject,
            challenge,
            login,
            presence,
        }
    }

    pub(crate) fn device(&mut self) -> &mut Device {
        self.device.as_mut().expect("the case has a device")
    }

    pub(crate) fn expectations(&self) -> Expectations<'_> {
        Expectations {
            issuer: &self.issuer,
            challenge_keys: &self.known_challenge_keys,
            origin: &self.origin,
            cookie: self.cookie.as_ref(),
            now: self.now,
        }
    }

    /// C, T and P as they are on the wire.
    pub(crate) fn sign(&self) -> (String, String, String) {
        (
            statement::sign(&self.challenge, &self.issuer_key).expect("C"),
            statement::sign(&self.login, &self.device_key).expect("T"),
            statement::sign(&self.presence, &self.device_key).expect("P"),
        )
    }

    pub(crate) fn redeem(&self, challenge: &str, token: &str) -> Result<Redeemable, Fault> {
        Presented::<Login>::parse(challenge, token)?.verify(self.device.as_ref(), &self.expectations(), &self.posted)
    }

    pub(crate) fn prove(&self, challenge: &str, proof: &str) -> Result<super::Proved, Fault> {
        Presented::<Presence>::parse(challenge, proof)?.verify(self.device.as_ref(), &self.expectations())
    }
}

/// Signs any header over any claims, as a hostile device can.
pub(crate) fn forge(header: &serde_json::Value, claims: &serde_json::Value, key: &SoftwareKey) -> String {
    let part = |value: &serde_json::Value| base64url::encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(input.as_bytes()).expect("signature");
    format!("{input}.{}", base64url::encode(signature))
}
