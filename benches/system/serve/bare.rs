//! What every floor does, without any library but ring: a hello, a signature verified, one made, messages of the agent's length.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{self, EcdsaKeyPair, UnparsedPublicKey};

use crate::spec::FloorSpec;

/// About as long as a presence proof before its signature is attached.
const SIGNED_LEN: usize = 520;

/// The keys of a floor.
pub(crate) struct Bare {
    challenges: UnparsedPublicKey<Vec<u8>>,
    own: EcdsaKeyPair,
    random: SystemRandom,
    ready_len: usize,
    /// What a page's messages are read into, in bytes.
    pub(crate) read_buffer: usize,
}

impl Bare {
    pub(crate) fn new(spec: &FloorSpec) -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let broken = |_| anyhow::anyhow!("ring makes no key");
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(broken)?;
        let own = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|error| anyhow::anyhow!("ring reads no key: {error}"))?;
        let challenges = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, spec.key.clone());
        Ok(Self { challenges, own, random, ready_len: spec.lengths.ready, read_buffer: spec.read_buffer })
    }

    /// A hello with a nonce of its own.
    pub(crate) fn hello(&self) -> String {
        let mut nonce = [0; 32];
        self.random.fill(&mut nonce).expect("the system gives random bytes");
        format!(r#"{{"type":"hello","v":1,"nonce":"{}"}}"#, BASE64_URL_SAFE_NO_PAD.encode(nonce))
    }

    /// One signature verified; `None` where it is not of the challenge key.
    pub(crate) fn verify(&self, open: &str) -> Option<()> {
        let (_, challenge) = open.split_once(r#""challenge":""#)?;
        let (challenge, _) = challenge.split_once('"')?;
        let (input, signature) = challenge.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.challenges.verify(input.as_bytes(), &signature).ok()
    }

    /// A `ready` with one signature in it, as long as the agent's.
    pub(crate) fn ready(&self) -> String {
        let signature = self.own.sign(&self.random, &[b'p'; SIGNED_LEN]).expect("a signature");
        ready_around(&BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()), self.ready_len)
    }
}

/// A `ready` with this proof, padded to a length.
pub(crate) fn ready_around(proof: &str, len: usize) -> String {
    let bare = format!(r#"{{"type":"ready","seq":1,"proof":"{proof}","resume":""}}"#);
    let padding = "r".repeat(len.saturating_sub(bare.len()));
    format!(r#"{{"type":"ready","seq":1,"proof":"{proof}","resume":"{padding}"}}"#)
}

/// A state as the agent says it, of its length.
pub(crate) fn state(len: usize) -> String {
    let bare = r#"{"type":"state","seq":1,"state":{"presence":"signed_in","since":1800000000000,"epoch":1}}"#;
    format!("{bare:<len$}")
}

/// An unmasked text frame (RFC 6455 section 5.2).
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()).expect("short messages") {
        len @ 0..126 => frame.push(len.to_le_bytes()[0]),
        len => {
            frame.push(126);
            frame.extend(len.to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}

/// The answer to an upgrade; `None` where its head is not whole yet.
pub(crate) fn upgraded(head: &[u8]) -> Option<String> {
    if !head.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = std::str::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64_STANDARD.encode(context.finish());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: loopkey.1\r\n\r\n"
    ))
}
