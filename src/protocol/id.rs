//! Identifiers that travel on the wire, each a type of its own so that none can be passed for another.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{base64url, json};

/// The text is not such an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct BadId(pub(crate) &'static str);

/// Makes an identifier of exactly `$bytes` bytes, written as base64url.
macro_rules! fixed_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        base64url::fixed_text!($name);

        /// Whoever made the identifier drew or hashed it, so that its last bytes spread as well as all of it. What is equal is a
        /// matter of every byte.
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                state.write(&self.0[$bytes - 8..]);
            }
        }

        impl $name {
            /// Wraps bytes that the caller drew or hashed.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes themselves.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                base64url::decode_array(text).map(Self).map_err(|_| BadId(stringify!($name)))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                base64url::with_encoded(&self.0, |text| f.write_str(text))
            }
        }

        fixed_id!(@debug $name);
    };
    // Single-use values are as good as secrets until they are used: a log must not hold them.
    (@debug $name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}

fixed_id!(
    /// A challenge's `jti`: 256 random bits; what the single-use mark is keyed by.
    ChallengeId, 32
);
fixed_id!(
    /// Binds statements to one browser: SHA-256 over a label and the pre-login cookie's secret (protocol section 5).
    Sid, 32
);
fixed_id!(
    /// A login token's own `jti`: 128 random bits, for the audit record only.
    TokenId, 16
);
fixed_id!(
    /// The nonce of `hello`: fresh for each socket, echoed by the page.
    Nonce, 32
);
fixed_id!(
    /// The mark in the address of a page that the person opened from the client: the agent shows its SHA-256 there.
    PageMark, 32
);
fixed_id!(
    /// The key in one delivery of the bridge's page: what it opens, once, is that bridge's socket.
    BridgeKey, 32
);
fixed_id!(
    /// An order: 128 random bits, which the agents that are asked and whoever scans its QR code know.
    OrderId, 16
);
fixed_id!(
    /// An enrolment ticket: 256 random bits, valid five minutes, consumed by its first use.
    EnrolmentTicket, 32
);

/// Makes an identifier that its issuer chooses: printable ASCII without blanks, quotes or backslashes, bounded in length.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        /// Cheap to clone.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        json::as_text!($name);

        impl $name {
            /// Longest accepted length in bytes.
            pub const MAX_LEN: usize = $max;

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let sound = (1..=Self::MAX_LEN).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
                if sound { Ok(Self(text.into())) } else { Err(BadId(stringify!($name))) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_id!(
    /// Pairwise identifier of an account for one issuer: what signed statements carry instead of the account.
    Subject, 128
);
opaque_id!(
    /// The issuer's name for one enrolled device key.
    DeviceId, 128
);
opaque_id!(
    /// Identity of the single-use store's current life (protocol section 6.9).
    Incarnation, 128
);

/// The `iss` of every statement that a device signs: `loopkey:` and the device id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIssuer(pub DeviceId);

impl Serialize for DeviceIssuer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceIssuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::from_text(deserializer)
    }
}

impl std::fmt::Display for DeviceIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loopkey:{}", self.0)
    }
}

impl std::str::FromStr for DeviceIssuer {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let device = text.strip_prefix("loopkey:").ok_or(BadId("DeviceIssuer"))?;
        device.parse().map(Self)
    }
}

/// Counts sign-outs and account switches of one agent at one issuer (protocol section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after a sign-out or a switch.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Counts changes of state for one issuer and one run of the agent; never reset on a switch (protocol section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The number of the next change.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_up_by_one_and_never_round() {
        assert_eq!((Epoch(4).next(), Epoch(u64::MAX).next()), (Epoch(5), Epoch(u64::MAX)));
        assert_eq!((Seq(4).next(), Seq(u64::MAX).next()), (Seq(5), Seq(u64::MAX)));
    }

    #[test]
    fn identifiers_have_one_spelling() {
        let text = "AQEBAQEBAQEBAQEBAQEBAQ";
        assert_eq!(text.parse::<TokenId>().map(|id| id.to_string()).as_deref(), Ok(text));
        for other in ["AQEBAQEBAQEBAQEBAQEBAR", "AQEBAQEBAQEBAQEBAQEBAQ==", "AQEBAQEBAQEBAQEBAQEB", ""] {
            assert_eq!(other.parse::<TokenId>(), Err(BadId("TokenId")), "{other:?}");
        }
        assert_eq!(DeviceIssuer("3q2-7w".parse().expect("id")).to_string(), "loopkey:3q2-7w");
        for other in ["3q2-7w", "loopkey:", "Loopkey:3q2-7w", "loopkey: 3q2-7w"] {
            assert!(other.parse::<DeviceIssuer>().is_err(), "{other:?}");
        }
        for other in ["", "a b", "a\"b", "a\\b", "ä", "a\n", &"a".repeat(129)] {
            assert!(other.parse::<Subject>().is_err(), "{other:?}");
        }
        assert!("a".repeat(128).parse::<Subject>().is_ok());
    }
}
