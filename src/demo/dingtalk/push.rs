//! The older push over HTTP: what DingTalk posts to an application's address, and what it makes of the answer. Written by the
//! documents, and not with what the connector has for it: each is held against the other.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::crypto::{self, cbc, digests};

/// An address for events, as it was entered in the console.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// `Token`.
    pub token: String,
    /// `EncodingAESKey`: 43 characters.
    pub key: String,
    /// Whom envelopes are for.
    pub owner: String,
}

/// What is posted.
#[derive(Debug, Clone)]
pub struct Push {
    /// The query of the address.
    pub query: String,
    pub body: String,
}

impl Subscription {
    /// Posts an event at a time in Unix milliseconds.
    pub fn push(&self, event: &Value, now: u64) -> Push {
        let (timestamp, nonce) = (now.to_string(), digests::sha1_hex(&format!("{:?}", crypto::random::<8>())));
        let encrypt = self.encrypt(event.to_string().as_bytes());
        let signature = self.signature(&timestamp, &nonce[..8], &encrypt);
        let query = format!("signature={signature}&timestamp={timestamp}&nonce={}", &nonce[..8]);
        Push { query, body: json!({ "encrypt": encrypt }).to_string() }
    }

    /// What an answer says, where it is signed and encrypted as it should be.
    pub fn hear(&self, answer: &Value) -> Option<String> {
        let text = |member: &str| answer[member].as_str();
        let encrypt = text("encrypt")?;
        if text("msg_signature")? != self.signature(text("timeStamp")?, text("nonce")?, encrypt) {
            return None;
        }
        let key = self.key_bytes();
        let plain = cbc::decrypt(&key, key.first_chunk()?, &BASE64_STANDARD.decode(encrypt).ok()?)?;
        let plain = plain.expose();
        let text = &plain[..plain.len().checked_sub(usize::from(*plain.last()?))?];
        let length = usize::try_from(u32::from_be_bytes(*text.get(16..20)?.first_chunk()?)).ok()?;
        let message = text.get(20..20 + length)?;
        (text.get(20 + length..)? == self.owner.as_bytes()).then(|| String::from_utf8_lossy(message).into_owned())
    }

    fn signature(&self, timestamp: &str, nonce: &str, encrypt: &str) -> String {
        let mut parts = [self.token.as_str(), timestamp, nonce, encrypt];
        parts.sort_unstable();
        digests::sha1_hex(&parts.join(""))
    }

    fn encrypt(&self, message: &[u8]) -> String {
        let length = u32::try_from(message.len()).expect("a short event").to_be_bytes();
        let mut plain = crypto::random::<16>().to_vec();
        for part in [&length[..], message, self.owner.as_bytes()] {
            plain.extend_from_slice(part);
        }
        // From 1 to 32 bytes, each of which says how many there are.
        let pad = u8::try_from(32 - plain.len() % 32).expect("32 at most");
        plain.extend(std::iter::repeat_n(pad, usize::from(pad)));
        let key = self.key_bytes();
        let iv = key.first_chunk().expect("16 of 32");
        BASE64_STANDARD.encode(cbc::encrypt(&key, iv, &plain).expect("whole blocks"))
    }

    fn key_bytes(&self) -> [u8; 32] {
        let loose = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(&STANDARD, loose).decode(&self.key).expect("43 characters");
        bytes.try_into().expect("32 bytes")
    }
}
