//! JWS compact serialization (RFC 7515 section 7.1), closed: three parts, a header of exactly `alg`, `typ` and `kid`, and
//! an algorithm that the stored key dictates.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{base64url, json};
use super::header;
use crate::crypto::{Algorithm, KeyId, PublicKey, SignError, Signer};

/// Longest accepted statement in bytes.
pub const MAX_STATEMENT_LEN: usize = 8 * 1024;

/// No statement of ours is much longer.
const USUAL_LEN: usize = 1024;

/// One of the protocol's signed statements.
pub trait Statement: Serialize + DeserializeOwned {
    /// The header's `typ`: no statement is ever taken for another (RFC 8725 section 3.11).
    const TYP: &'static str;

    /// Whether the statement may carry members that this version does not know. Only a challenge may.
    const MAY_GROW: bool = false;

    /// What the claims must satisfy among themselves, such as the longest life.
    fn is_consistent(&self) -> bool {
        true
    }
}

/// Why a statement was not accepted. For the log; whoever sent it learns nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStatement {
    /// Longer than [`MAX_STATEMENT_LEN`].
    #[error("the statement is too long")]
    TooLong,
    /// Not three base64url parts.
    #[error("the statement is not a compact JWS")]
    Form,
    /// The header is not exactly the three members, or one is of an unknown kind.
    #[error("the statement's header is not the protocol's")]
    Header,
    /// Another statement than the one expected here.
    #[error("the statement is of another type")]
    Type,
    /// The header names another algorithm than the key's.
    #[error("the statement's algorithm is not the key's")]
    Algorithm,
    /// Signed by another key, or changed since.
    #[error("the statement's signature does not verify")]
    Signature,
    /// A claim is missing, unknown, of the wrong type or out of bounds.
    #[error("the statement's claims are not the protocol's")]
    Claims,
}

/// A statement whose form is right and whose signature nobody has looked at yet.
#[derive(Debug)]
pub struct Unverified<'a, S> {
    algorithm: Algorithm,
    key_id: KeyId,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
    statement: std::marker::PhantomData<S>,
}

impl<'a, S: Statement> Unverified<'a, S> {
    /// Takes a statement apart: size, three parts, strict base64url, header.
    ///
    /// # Errors
    /// [`BadStatement`] for the first thing that is wrong.
    pub fn parse(compact: &'a str) -> Result<Self, BadStatement> {
        if compact.len() > MAX_STATEMENT_LEN {
            return Err(BadStatement::TooLong);
        }
        let (signing_input, signature) = compact.rsplit_once('.').ok_or(BadStatement::Form)?;
        let (header, payload) = signing_input.split_once('.').ok_or(BadStatement::Form)?;
        // A further dot lands in the payload, where base64url has no place for it.
        let decode = |part| base64url::decode(part).map_err(|_| BadStatement::Form);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let (algorithm, key_id) = header::read(&header, S::TYP, S::MAY_GROW)?;
        let statement = std::marker::PhantomData;
        Ok(Self { algorithm, key_id, signing_input, payload, signature, statement })
    }

    /// The key that the statement says it is signed with: for looking it up, not for trusting it.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Verifies algorithm, signature and claims, in this order.
    ///
    /// # Errors
    /// [`BadStatement`] for the first thing that is wrong.
    pub fn verify(&self, key: &PublicKey) -> Result<S, BadStatement> {
        if self.algorithm != key.algorithm() {
            return Err(BadStatement::Algorithm);
        }
        key.verify(self.signing_input.as_bytes(), &self.signature).map_err(|_| BadStatement::Signature)?;
        // A look-up by another name than the key's own must not pass for the key's statement.
        if self.key_id != key.id() {
            return Err(BadStatement::Signature);
        }
        self.claims()
    }

    /// The claims before anything is verified: for a statement that carries the key it is signed with.
    pub(super) fn claims(&self) -> Result<S, BadStatement> {
        let claims: S = json::parse_object_of_bytes(&self.payload).map_err(|_| BadStatement::Claims)?;
        if claims.is_consistent() { Ok(claims) } else { Err(BadStatement::Claims) }
    }
}

/// Signs a statement.
///
/// # Errors
/// [`SignError`] where the key cannot be used.
pub fn sign<S: Statement>(statement: &S, signer: &dyn Signer) -> Result<String, SignError> {
    let key = signer.public();
    let (mut compact, mut json) = (String::with_capacity(USUAL_LEN), Vec::with_capacity(USUAL_LEN));
    base64url::push(&mut compact, header::write(key.algorithm(), S::TYP, key.id()));
    serde_json::to_writer(&mut json, statement).map_err(|error| SignError(error.to_string()))?;
    compact.push('.');
    base64url::push(&mut compact, &json);
    let signature = signer.sign(compact.as_bytes())?;
    compact.push('.');
    base64url::push(&mut compact, signature);
    Ok(compact)
}

/// Verifies a statement in one go, for whoever has just one key to try.
///
/// # Errors
/// [`BadStatement`] for the first thing that is wrong.
pub fn verify<S: Statement>(compact: &str, key: &PublicKey) -> Result<S, BadStatement> {
    Unverified::parse(compact)?.verify(key)
}
