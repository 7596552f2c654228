//! Public keys as JSON (RFC 7517), reduced to the two kinds that the protocol knows.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::{base64url, json};

/// A public key's coordinates. Whether they are a sound key is [`crate::crypto::PublicKey`]'s question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jwk {
    /// `kty` `EC`, `crv` `P-256` (RFC 7518 section 6.2).
    P256 {
        /// Big-endian x coordinate.
        x: [u8; 32],
        /// Big-endian y coordinate.
        y: [u8; 32],
    },
    /// `kty` `OKP`, `crv` `Ed25519` (RFC 8037).
    Ed25519 {
        /// RFC 8032 encoding.
        x: [u8; 32],
    },
}

impl Jwk {
    /// The exact text that RFC 7638 section 3 hashes: required members only, in lexicographic order.
    #[must_use]
    pub fn thumbprint_input(&self) -> String {
        match self {
            Self::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, base64url::encode(x), base64url::encode(y))
            }
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url::encode(x)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    kty: String,
    crv: String,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::present")]
    y: Option<String>,
}

impl TryFrom<Members> for Jwk {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        let coordinate = |text: &str| base64url::decode_array(text).map_err(|_| "a coordinate is not 32 bytes");
        match (members.kty.as_str(), members.crv.as_str(), members.y) {
            ("EC", "P-256", Some(y)) => Ok(Self::P256 { x: coordinate(&members.x)?, y: coordinate(&y)? }),
            ("OKP", "Ed25519", None) => Ok(Self::Ed25519 { x: coordinate(&members.x)? }),
            _ => Err("neither a P-256 nor an Ed25519 key"),
        }
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kty, crv, x, y) = match self {
            Self::P256 { x, y } => ("EC", "P-256", x, Some(y)),
            Self::Ed25519 { x } => ("OKP", "Ed25519", x, None),
        };
        Members { kty: kty.into(), crv: crv.into(), x: base64url::encode(x), y: y.map(base64url::encode) }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::object::<_, Members>(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

/// An issuer's published keys (`jwks_uri`). It may grow: members and keys of unknown kinds are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet(pub Vec<Jwk>);

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Set<'a> {
            keys: &'a [Jwk],
        }
        Set { keys: &self.0 }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JwkSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let known = |key: &serde_json::Value| {
            let member = |name: &str| key.get(name).and_then(|v| v.as_str()).map(str::to_owned);
            Members { kty: member("kty")?, crv: member("crv")?, x: member("x")?, y: member("y") }.try_into().ok()
        };
        Ok(Self(Set::deserialize(deserializer)?.keys.iter().filter_map(known).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;

    #[test]
    fn the_thumbprint_of_rfc_8037_appendix_a_3() {
        let jwk: Jwk =
            serde_json::from_str(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#)
                .expect("jwk");
        let key = PublicKey::from_jwk(&jwk).expect("key");
        assert_eq!(key.id().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn an_enrolled_key_is_closed_and_a_published_set_is_open() {
        let p256 = r#"{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#;
        assert!(serde_json::from_str::<Jwk>(&format!("{p256}}}")).is_ok());
        assert!(serde_json::from_str::<Jwk>(&format!(r#"{p256},"d":"AAAA"}}"#)).is_err());
        let listed = r#"["OKP","Ed25519","11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]"#;
        assert!(serde_json::from_str::<Jwk>(listed).is_err(), "an array in the object's place");
        let set = format!(r#"{{"keys":[{p256},"use":"sig","kid":"x"}},{{"kty":"RSA"}}],"next":1}}"#);
        assert_eq!(serde_json::from_str::<JwkSet>(&set).expect("set").0.len(), 1);
    }
}
