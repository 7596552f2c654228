//! Statements that no sound device would sign: any header and any claims, to the letter, under a real key; and one login
//! that is about to be spoiled.

use loopkey::crypto::{Algorithm, PublicKey, Signer};
use loopkey::protocol::base64url;
use serde_json::Value;

use crate::login::Server;
use crate::login::browser::Browser;
use crate::login::device::Device;
use crate::login::http::Answer;

/// A JSON object as text: members in their order, values as they are written, names as often as one likes.
#[derive(Clone, Default)]
pub(crate) struct Object(Vec<(String, String)>);

impl Object {
    /// The object in one part of a compact statement: 0 is the header, 1 the claims.
    pub(crate) fn of_part(compact: &str, part: usize) -> Self {
        let part = compact.split('.').nth(part).expect("a part");
        let value: Value = serde_json::from_slice(&base64url::decode(part).expect("base64url")).expect("JSON");
        let members = value.as_object().expect("an object").iter();
        Self(members.map(|(name, value)| (name.clone(), value.to_string())).collect())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// A member's value as it is written.
    pub(crate) fn raw(&self, name: &str) -> &str {
        &self.0.iter().find(|(n, _)| n == name).expect("such a member").1
    }

    /// Replaces a member, or adds it.
    pub(crate) fn with(mut self, name: &str, raw: &str) -> Self {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, value)) => *value = raw.to_owned(),
            None => self.0.push((name.to_owned(), raw.to_owned())),
        }
        self
    }

    /// Adds a member, whether or not there is one of that name.
    pub(crate) fn also(mut self, name: &str, raw: &str) -> Self {
        self.0.push((name.to_owned(), raw.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn text(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, raw)| format!("\"{name}\":{raw}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// A text as JSON writes it.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Header and claims as they are signed.
pub(crate) fn signing_input(header: &str, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", base64url::encode(header), base64url::encode(claims))
}

/// Signs exactly this.
pub(crate) fn sign_text(header: &str, claims: impl AsRef<[u8]>, key: &dyn Signer) -> String {
    let input = signing_input(header, claims);
    let signature = key.sign(input.as_bytes()).expect("signed");
    format!("{input}.{}", base64url::encode(signature))
}

/// The sound header of a statement of that type.
pub(crate) fn header(typ: &str, key: &PublicKey) -> Object {
    let alg = match key.algorithm() {
        Algorithm::Es256 => "ES256",
        Algorithm::Ed25519 => "Ed25519",
    };
    let members = [("alg", alg), ("typ", typ), ("kid", &key.id().to_string())];
    Object(members.map(|(name, text)| (name.to_owned(), quoted(text))).to_vec())
}

/// The statement with its signature changed.
pub(crate) fn with_signature(compact: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = compact.rsplit_once('.').expect("parts");
    let signature = change(base64url::decode(signature).expect("base64url"));
    format!("{input}.{}", base64url::encode(signature))
}

/// One login: everything in it is sound until a test spoils the token.
pub(crate) struct Case {
    pub(crate) server: Server,
    pub(crate) device: Device,
    pub(crate) browser: Browser,
    pub(crate) challenge: String,
    /// What every refused token is answered with.
    pub(crate) refusal: Answer,
}

impl Case {
    pub(crate) async fn new() -> Self {
        Self::of(Algorithm::Es256).await
    }

    pub(crate) async fn of(algorithm: Algorithm) -> Self {
        Self::on(Server::start().await, algorithm).await
    }

    /// On a server of the test's own.
    pub(crate) async fn on(server: Server, algorithm: Algorithm) -> Self {
        let device = Device::enrol_with(&server, "ada", algorithm).await;
        let mut browser = server.browser();
        let challenge = browser.challenge().await;
        let refusal = browser.login(&challenge, "", device.subject.as_str()).await.undated();
        refusal.expect_error(401, "invalid_token");
        assert_eq!(refusal.all("set-cookie").count(), 0, "no cookie changes");
        Self { server, device, browser, challenge, refusal }
    }

    /// The claims of a sound token.
    pub(crate) fn claims(&self) -> Object {
        Object::of_part(&self.device.token(&self.challenge), 1)
    }

    /// The header of a sound token.
    pub(crate) fn header(&self) -> Object {
        header("loopkey-login+jwt", loopkey::crypto::Signer::public(&self.device.key))
    }

    /// The device signs any header over sound claims.
    pub(crate) fn with_header(&self, header: &Object) -> String {
        sign_text(&header.text(), self.claims().text(), &self.device.key)
    }

    /// The device signs any claims under a sound header.
    pub(crate) fn with_claims(&self, claims: &Object) -> String {
        sign_text(&self.header().text(), claims.text(), &self.device.key)
    }

    /// Posts a token with this browser and demands the one refusal, header for header, and no change of cookies.
    pub(crate) async fn refuses(&mut self, what: &str, token: &str) {
        let (cookies, challenge) = (self.browser.cookies.clone(), self.challenge.clone());
        let answer = self.browser.login(&challenge, token, self.device.subject.as_str()).await;
        assert_eq!(answer.undated(), self.refusal, "{what}: {token}");
        assert_eq!(self.browser.cookies, cookies, "{what}");
    }

    /// The honest token signs in: nothing before has used the challenge up.
    pub(crate) async fn still_redeems(mut self) {
        let token = self.device.token(&self.challenge);
        let answer = self.browser.login(&self.challenge, &token, self.device.subject.as_str()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
}

/// Each of the tokens gets the one refusal, and the honest one still signs in after them.
pub(crate) async fn refused(algorithm: Algorithm, forge: impl FnOnce(&Case) -> Vec<String>) {
    let mut case = Case::of(algorithm).await;
    let tokens = forge(&case);
    assert!(!tokens.is_empty());
    for (number, token) in tokens.iter().enumerate() {
        case.refuses(&format!("no. {number}"), token).await;
    }
    case.still_redeems().await;
}

/// As [`refused`], where only the header differs.
pub(crate) async fn refused_headers(change: impl FnOnce(Object) -> Vec<Object>) {
    refused(Algorithm::Es256, |case| change(case.header()).iter().map(|header| case.with_header(header)).collect())
        .await;
}

/// As [`refused`], where only the claims differ.
pub(crate) async fn refused_claims(change: impl FnOnce(Object) -> Vec<Object>) {
    refused(Algorithm::Es256, |case| change(case.claims()).iter().map(|claims| case.with_claims(claims)).collect())
        .await;
}
