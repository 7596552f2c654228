//! An agent's device key as a test plays it: enrols itself and signs whatever the test says.

use std::net::SocketAddr;

use loopkey::crypto::{Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::id::{DeviceIssuer, EnrolmentTicket, Epoch, Seq, Subject, TokenId};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::{self, Challenge, Enrolment, Login, Presence, SignOut, UserVerification, sign};
use serde_json::json;

use super::browser::Browser;
use super::http::Answer;
use super::{ISSUER, Server, backend, machine};

pub(crate) struct Device {
    pub(crate) key: SoftwareKey,
    pub(crate) issuer: DeviceIssuer,
    pub(crate) subject: Subject,
    pub(crate) epoch: Epoch,
}

pub(crate) fn issuer() -> Issuer {
    ISSUER.parse().expect("issuer")
}

/// What a challenge says, without asking whether it is true.
pub(crate) fn read(challenge: &str) -> Challenge {
    let claims = challenge.split('.').nth(1).expect("a payload");
    serde_json::from_slice(&base64url::decode(claims).expect("base64url")).expect("claims")
}

/// Asks the backend for a ticket.
pub(crate) async fn ticket(server: &Server, account: &str) -> EnrolmentTicket {
    ticket_at(server.address, account).await
}

pub(crate) async fn ticket_at(address: SocketAddr, account: &str) -> EnrolmentTicket {
    let answer = backend(address, "/v1/enrolment-tickets", json!({"account": account, "name": account})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["ticket"].as_str().expect("a ticket").parse().expect("a ticket")
}

/// An enrolment of that key with that ticket.
pub(crate) fn enrolment(key: &SoftwareKey, ticket: EnrolmentTicket) -> Enrolment {
    Enrolment { aud: issuer(), nonce: ticket, jwk: key.public().to_jwk(), name: "laptop".into() }
}

impl Device {
    /// A new device of an account.
    pub(crate) async fn enrol(server: &Server, account: &str) -> Self {
        Self::enrol_with(server, account, Algorithm::Es256).await
    }

    pub(crate) async fn enrol_with(server: &Server, account: &str, algorithm: Algorithm) -> Self {
        Self::enrol_at(server.address, account, algorithm).await
    }

    /// A new device at whatever answers there.
    pub(crate) async fn enrol_at(address: SocketAddr, account: &str, algorithm: Algorithm) -> Self {
        let (key, document) = SoftwareKey::generate(algorithm).expect("key");
        crate::support::trace::note_bytes(document.expose());
        let signed = sign(&enrolment(&key, ticket_at(address, account).await), &key).expect("E");
        let answer = machine(address, "POST", "/v1/devices", json!({"enrolment": signed})).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let text = |name: &str| answer.json()[name].as_str().expect("text").to_owned();
        Self {
            key,
            issuer: DeviceIssuer(text("device").parse().expect("id")),
            subject: text("subject").parse().expect("subject"),
            epoch: Epoch(answer.json()["epoch"].as_u64().expect("a number")),
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.issuer.0.as_str()
    }

    /// A sound token for a challenge, changed as the test wants before it is signed.
    pub(crate) fn token_with(&self, challenge: &str, change: impl FnOnce(&mut Login)) -> String {
        let challenge = read(challenge);
        let mut login = Login {
            iss: self.issuer.clone(),
            aud: challenge.rdm.clone(),
            sub: self.subject.clone(),
            org: challenge.org.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            jti: TokenId::from_bytes(loopkey::crypto::random()),
            epo: self.epoch,
            uv: UserVerification::Prompt,
            iat: challenge.iat,
            exp: challenge.iat.plus(statement::LOGIN_LIFE_SECONDS),
        };
        change(&mut login);
        sign(&login, &self.key).expect("T")
    }

    pub(crate) fn token(&self, challenge: &str) -> String {
        self.token_with(challenge, |_| {})
    }

    pub(crate) fn proof(&self, challenge: &str, presence: PresenceState) -> String {
        let challenge = read(challenge);
        let proof = Presence {
            iss: self.issuer.clone(),
            aud: issuer(),
            sub: self.subject.clone(),
            org: challenge.org.clone(),
            nonce: challenge.jti,
            sid: challenge.sid,
            pst: presence,
            seq: Seq(1),
            epo: self.epoch,
            iat: challenge.iat,
            exp: challenge.iat.plus(statement::PRESENCE_LIFE_SECONDS),
        };
        sign(&proof, &self.key).expect("P")
    }

    pub(crate) fn sign_out(&self, epoch: u64) -> String {
        let statement =
            SignOut { iss: self.issuer.clone(), aud: issuer(), sub: self.subject.clone(), epo: Epoch(epoch) };
        sign(&statement, &self.key).expect("S")
    }

    /// Posts a sign-out.
    pub(crate) async fn signs_out(&self, server: &Server, epoch: u64) -> Answer {
        server.machine("POST", "/v1/sign-outs", json!({"statement": self.sign_out(epoch)})).await
    }

    /// Signs a browser in.
    pub(crate) async fn signs_in(&self, browser: &mut Browser) {
        let challenge = browser.challenge().await;
        let answer = browser.login(&challenge, &self.token(&challenge), self.subject.as_str()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}
