//! One line of the audit log.

use serde::{Deserialize, Serialize};

use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::time::UnixMillis;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the members are the words of the protocol")]
pub enum Act {
    /// An account was enrolled, and is signed in.
    Enrolled { issuer: Issuer, account: Subject, device: DeviceId },
    /// An account was removed with its key and its consents.
    Removed { issuer: Issuer, account: Subject },
    /// The account was signed out, or another one signed in in its place; the epoch is the new one.
    SignedOut { issuer: Issuer, account: Subject, epoch: Epoch },
    /// The person was asked, or had answered before.
    Consent { issuer: Issuer, origin: Origin, account: Subject, outcome: Outcome, remembered: bool },
    /// The person was asked to let another browser in.
    Approval { issuer: Issuer, origin: Origin, account: Subject, outcome: Outcome },
    /// A login token was signed.
    Token { issuer: Issuer, origin: Origin, account: Subject, epoch: Epoch },
    /// A page of an allowed origin was refused: at the gate, at its `open`, or one of its requests. `code` says why.
    Refused { origin: Origin, code: String },
    /// An origin caused too many lines to write them all down: so many are missing before this one.
    Skipped { origin: Origin, lines: u64 },
    /// A page had the client do something.
    Action { origin: Origin, account: Subject, name: String },
    /// The person took back what an origin was allowed.
    Revoked { origin: Origin },
    /// The person chose how an origin is treated from now on.
    Chosen { origin: Origin, choice: String },
    /// The client opened a page, to be signed in without a further prompt.
    Opened { origin: Origin, account: Subject },
    /// The lines before were found damaged or missing when the agent started.
    Gap { missing: u64 },
}

/// How a consent came about, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The person agreed in a prompt.
    Allowed,
    /// The person agreed in the window of a bridge.
    Window,
    /// The person had agreed before, for good.
    Remembered,
    /// The click in the page was enough: the configuration trusts this origin.
    Page,
    /// The person opened the page from the client.
    Opened,
    /// The person said no.
    Denied,
    /// The person did not answer in time.
    Timeout,
    /// Nobody could be asked.
    Unavailable,
    /// The page left, or took its request back.
    Withdrawn,
}

/// One line, without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; the first is 1.
    pub n: u64,
    /// When, by this computer's clock.
    pub at: UnixMillis,
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// The hash of the line before; empty in the first.
    pub prev: String,
}

/// What stands between the entry and its hash.
const HASH: &str = r#","hash":""#;

impl Entry {
    /// The line, with its line end, and the hash that the next line carries.
    pub(super) fn encode(&self) -> (String, String) {
        let body = serde_json::to_string(self).expect("entries have string keys and whole numbers only");
        let hash = hash_of(&body);
        let members = body.strip_suffix('}').unwrap_or(&body);
        (format!("{members}{HASH}{hash}\"}}\n"), hash)
    }

    /// Reads a line without its line end; the second part is its hash. `None` where it is none, or was changed.
    pub(super) fn decode(line: &str) -> Option<(Self, String)> {
        let (members, rest) = line.rsplit_once(HASH)?;
        let hash = rest.strip_suffix("\"}")?;
        let body = format!("{members}}}");
        let entry = serde_json::from_str(&body).ok()?;
        (hash_of(&body) == hash).then(|| (entry, hash.to_owned()))
    }
}

/// SHA-256 over the line as it stands in the file, the hash itself left out.
fn hash_of(body: &str) -> String {
    base64url::encode(crypto::sha256(&[body.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_a_changed_one_does_not() {
        let origin: Origin = "https://app.example".parse().expect("an origin");
        let act = Act::Refused { origin, code: "denied".into() };
        let entry = Entry { n: 7, at: UnixMillis(1), act, prev: "p".repeat(43) };
        let (line, hash) = entry.encode();
        let line = line.strip_suffix('\n').expect("a line end");
        assert_eq!(Entry::decode(line), Some((entry, hash)));
        for at in 0..line.len() {
            let mut changed = line.as_bytes().to_vec();
            changed[at] ^= 1;
            assert_eq!(String::from_utf8(changed).ok().as_deref().and_then(Entry::decode), None, "byte {at}");
            assert_eq!(Entry::decode(&line[..at]), None, "cut at {at}");
        }
    }
}
