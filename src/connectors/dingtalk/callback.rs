//! The older push over HTTP (legacy; DingTalk advises Stream mode): a signed and encrypted envelope around an event, and the
//! same around our answer. Everything that is wrong with one is refused alike, the signature first of all: nobody learns from
//! a refusal what a ciphertext decrypts to.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::DingTalkFault;
use super::settings::BadSettings;
use crate::connectors::{Fault, Posted};
use crate::crypto::{self, Secret, cbc, digests, equal_digests};
use crate::protocol::time::UnixMillis;

/// Characters of an `EncodingAESKey`.
const KEY_LEN: usize = 43;
/// Longest accepted token in bytes.
const TOKEN_MAX_LEN: usize = 64;
/// Random bytes in front of a message, and bytes of its length.
const RANDOM_LEN: usize = 16;
const PREFIX_LEN: usize = RANDOM_LEN + 4;
/// Padding is to this: to more than a cipher's block. Padding to 16, which some senders do, is read all the same.
const PAD_TO: usize = 32;
/// How far the signed time may be from ours, in milliseconds. DingTalk pushes again up to 100 times what is not answered, and
/// its documents do not say whether with a new time; whatever is missed so comes anew with the next ticket.
const AGE_MAX: u64 = 3_600_000;
/// Whom an envelope is for while its address is tried out and the application has no key yet.
pub(super) const UNNAMED_SUITE: &str = "suite4xxxxxxxxxxxxxxx";

/// What an application's events over HTTP are signed and encrypted with.
#[derive(Debug, Clone)]
pub struct Callback {
    token: Secret<String>,
    key: Secret<[u8; 32]>,
}

/// A push, its signature and its envelope found right.
pub(super) struct Opened {
    pub(super) message: Secret<String>,
    /// Whom it is for: a suite's key.
    pub(super) owner: String,
}

#[derive(Deserialize)]
struct Body {
    encrypt: String,
}

impl Callback {
    /// Takes the token and the key (`EncodingAESKey`, 43 characters) that the developer console shows beside the address.
    ///
    /// # Errors
    /// [`BadSettings::CallbackToken`], [`BadSettings::CallbackKey`].
    pub fn new(token: Secret<String>, key: &Secret<String>) -> Result<Self, BadSettings> {
        let is_token = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !(1..=TOKEN_MAX_LEN).contains(&token.expose().len()) || !is_token(token.expose()) {
            return Err(BadSettings::CallbackToken);
        }
        Ok(Self { token, key: decode_key(key.expose()).ok_or(BadSettings::CallbackKey)? })
    }

    /// Opens a push.
    pub(super) fn open(&self, posted: &Posted<'_>) -> Result<Opened, DingTalkFault> {
        let refused = |why: &str| DingTalkFault::new(Fault::Refused, format_args!("a push that is none: {why}"));
        let named = |name: &str| posted.parameters.get(name).map(|value| value.expose().as_str());
        let signature = match (named("signature"), named("msg_signature")) {
            (Some(one), Some(other)) if one != other => return Err(refused("two signatures")),
            (Some(signature), _) | (None, Some(signature)) => signature,
            (None, None) => return Err(refused("no signature")),
        };
        let (Some(timestamp), Some(nonce)) = (named("timestamp"), named("nonce")) else {
            return Err(refused("no time, or no nonce"));
        };
        let body: Body = serde_json::from_slice(posted.body.expose()).map_err(|_| refused("no envelope"))?;
        if !is_same(signature, &self.sign(timestamp, nonce, &body.encrypt)) {
            return Err(refused("another signature"));
        }
        // Only digits: what is signed is one text, and what stands in the one part of it must not pass for another.
        let time = millis(timestamp).ok_or_else(|| refused("no time"))?;
        if time.0.abs_diff(posted.now.0.saturating_mul(1000)) > AGE_MAX {
            return Err(refused("of another time"));
        }
        let ciphertext = BASE64_STANDARD.decode(&body.encrypt).map_err(|_| refused("no base64"))?;
        self.decrypt(&ciphertext).ok_or_else(|| refused("not one of ours"))
    }

    /// The answer to a push.
    pub(super) fn seal(&self, message: &str, owner: &str, now: UnixMillis) -> Value {
        let (timestamp, nonce) = (now.0.to_string(), crypto::random::<8>().map(|byte| format!("{byte:02x}")).concat());
        let encrypt = self.encrypt(message, owner, crypto::random());
        let msg_signature = self.sign(&timestamp, &nonce, &encrypt);
        json!({ "msg_signature": msg_signature, "timeStamp": timestamp, "nonce": nonce, "encrypt": encrypt })
    }

    /// SHA-1 of the four texts, sorted as bytes and joined.
    fn sign(&self, timestamp: &str, nonce: &str, encrypt: &str) -> String {
        let mut parts = [self.token.expose().as_str(), timestamp, nonce, encrypt];
        parts.sort_unstable();
        digests::sha1_hex(&parts.concat())
    }

    fn decrypt(&self, ciphertext: &[u8]) -> Option<Opened> {
        let padded = cbc::decrypt(self.key.expose(), self.iv(), ciphertext)?;
        let (message, owner) = unwrap(padded.expose())?;
        Some(Opened { message: Secret::new(message.to_owned()), owner: owner.to_owned() })
    }

    fn encrypt(&self, message: &str, owner: &str, random: [u8; RANDOM_LEN]) -> String {
        let length = u32::try_from(message.len()).expect("answers are short");
        let mut text = [&random[..], &length.to_be_bytes(), message.as_bytes(), owner.as_bytes()].concat();
        let pad = PAD_TO - text.len() % PAD_TO;
        text.resize(text.len() + pad, u8::try_from(pad).expect("32 at most"));
        BASE64_STANDARD.encode(cbc::encrypt(self.key.expose(), self.iv(), &text).expect("whole blocks"))
    }

    /// The key's first half: so DingTalk has it, the same for every message. The random bytes in front make up for it.
    fn iv(&self) -> &[u8; cbc::BLOCK_LEN] {
        self.key.expose().first_chunk().expect("16 of 32")
    }
}

/// 43 characters are 32 bytes and two bits, which need not be zero: DingTalk draws the characters.
fn decode_key(text: &str) -> Option<Secret<[u8; 32]>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    if text.len() != KEY_LEN {
        return None;
    }
    let bytes = Secret::new(GeneralPurpose::new(&STANDARD, config).decode(text).ok()?);
    bytes.expose().as_slice().try_into().ok().map(Secret::new)
}

/// Message and owner of a decrypted envelope: 16 random bytes, the message's length in bytes, message, owner, padding.
fn unwrap(padded: &[u8]) -> Option<(&str, &str)> {
    let pad = usize::from(*padded.last()?);
    if !(1..=PAD_TO).contains(&pad) || pad > padded.len() {
        return None;
    }
    let (text, padding) = padded.split_at(padded.len() - pad);
    if padding.iter().any(|byte| usize::from(*byte) != pad) {
        return None;
    }
    let (prefix, rest) = text.split_at_checked(PREFIX_LEN)?;
    let length = u32::from_be_bytes(*prefix.last_chunk()?);
    let (message, owner) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((std::str::from_utf8(message).ok()?, std::str::from_utf8(owner).ok()?))
}

/// Compares digests of both: the time that takes says nothing of where they differ.
fn is_same(given: &str, own: &str) -> bool {
    let digest = |text: &str| crypto::sha256(&[text.as_bytes()]);
    equal_digests(&digest(given), &digest(own))
}

/// A time in milliseconds, or, with as many digits, in seconds: DingTalk writes both.
pub(super) fn millis(text: &str) -> Option<UnixMillis> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = text.parse().ok()?;
    Some(UnixMillis(if number < 100_000_000_000 { number * 1000 } else { number }))
}

#[cfg(test)]
mod tests;
