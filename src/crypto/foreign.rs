//! Keys of other systems, as they publish them, and signatures made with them. Only ever verified with; nothing of ours is
//! signed so.

use ring::signature::{self, UnparsedPublicKey};
use serde::Deserialize;

use super::BadSignature;
use crate::protocol::base64url;

/// How another system signs (RFC 7518 section 3.1, RFC 8037). There is no `none` and no HMAC: what anybody can make, and what
/// the public key itself could be used for, cannot even be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForeignAlgorithm {
    /// RSA with PKCS#1 v1.5 padding and SHA-256: what every provider must offer.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// Ed25519, under its older name too.
    EdDsa,
}

impl ForeignAlgorithm {
    /// The algorithm of a header's `alg`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The left half of the digest that goes with the algorithm, in base64url: what `at_hash` is made of (OpenID Connect
    /// Core section 3.1.3.6).
    #[must_use]
    pub fn half_digest(self, text: &str) -> String {
        let algorithm = if self == Self::EdDsa { &ring::digest::SHA512 } else { &ring::digest::SHA256 };
        let digest = ring::digest::digest(algorithm, text.as_bytes());
        base64url::encode(&digest.as_ref()[..digest.as_ref().len() / 2])
    }
}

/// A public key as a JWK set has it. Members that are not needed here are ignored.
#[derive(Debug, Clone, Deserialize)]
pub struct ForeignKey {
    kty: String,
    /// Its name.
    pub kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl ForeignKey {
    /// Whether signatures of the algorithm may be verified with it.
    #[must_use]
    pub fn is_for(&self, algorithm: ForeignAlgorithm) -> bool {
        let kind = match algorithm {
            ForeignAlgorithm::Rs256 => self.kty == "RSA",
            ForeignAlgorithm::Es256 => self.kty == "EC" && self.crv.as_deref() == Some("P-256"),
            ForeignAlgorithm::EdDsa => self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519"),
        };
        kind && self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|alg| ForeignAlgorithm::named(alg) == Some(algorithm))
    }

    /// Verifies a signature in its JWS form. RSA keys have 2048 to 8192 bits; ring refuses the others.
    ///
    /// # Errors
    /// [`BadSignature`], whatever is wrong.
    pub fn verify(&self, algorithm: ForeignAlgorithm, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        if !self.is_for(algorithm) {
            return Err(BadSignature);
        }
        let part =
            |text: &Option<String>| base64url::decode(text.as_deref().unwrap_or_default()).map_err(|_| BadSignature);
        let verified = match algorithm {
            ForeignAlgorithm::Rs256 => {
                let key = signature::RsaPublicKeyComponents { n: part(&self.n)?, e: part(&self.e)? };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            ForeignAlgorithm::Es256 => {
                let point = [&[4][..], &part(&self.x)?, &part(&self.y)?].concat();
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            ForeignAlgorithm::EdDsa => {
                UnparsedPublicKey::new(&signature::ED25519, part(&self.x)?).verify(message, signature)
            }
        };
        verified.map_err(|_| BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_of_an_algorithm_that_anybody_can_use() {
        for name in ["none", "None", "HS256", "HS512", "RS1", "ES256K", "", "rs256"] {
            assert_eq!(ForeignAlgorithm::named(name), None, "{name}");
        }
    }

    /// RFC 7515, appendix A.2 and A.3.
    #[test]
    fn signatures_of_the_standards_examples_are_verified() {
        let rsa: ForeignKey = serde_json::from_str(
            r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
        )
        .expect("a key");
        let signed = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let signature = base64url::decode(signature).expect("base64url");
        assert_eq!(rsa.verify(ForeignAlgorithm::Rs256, signed.as_bytes(), &signature), Ok(()));
        assert_eq!(rsa.verify(ForeignAlgorithm::Rs256, b"another", &signature), Err(BadSignature));
        assert_eq!(rsa.verify(ForeignAlgorithm::Es256, signed.as_bytes(), &signature), Err(BadSignature));
        let ec: ForeignKey = serde_json::from_str(
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        )
        .expect("a key");
        let signed = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let signature = base64url::decode(signature).expect("base64url");
        assert_eq!(ec.verify(ForeignAlgorithm::Es256, signed.as_bytes(), &signature), Ok(()));
        assert_eq!(ec.verify(ForeignAlgorithm::EdDsa, signed.as_bytes(), &signature), Err(BadSignature));
    }

    #[test]
    fn a_key_for_something_else_verifies_nothing() {
        let key = |more: &str| -> ForeignKey {
            serde_json::from_str(&format!(r#"{{"kty":"RSA","n":"AQ","e":"AQAB"{more}}}"#)).expect("a key")
        };
        assert!(
            key("").is_for(ForeignAlgorithm::Rs256)
                && key(r#","use":"sig","alg":"RS256""#).is_for(ForeignAlgorithm::Rs256)
        );
        assert!(!key(r#","use":"enc""#).is_for(ForeignAlgorithm::Rs256));
        assert!(!key(r#","alg":"PS256""#).is_for(ForeignAlgorithm::Rs256));
        assert!(!key("").is_for(ForeignAlgorithm::Es256));
    }
}
