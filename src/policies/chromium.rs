//! Chromium and its kin: one file of JSON among others in a folder.

use base64::Engine as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::Wish;
use super::fault::PolicyError;
use crate::protocol::metadata::WAKE_SCHEME;

pub(super) fn policies(wish: &Wish) -> Result<Value, PolicyError> {
    let sites = wish.sites();
    let mut policies = json!({
        // Today's name, and the one before 145.
        "LoopbackNetworkAllowedForUrls": sites,
        "LocalNetworkAccessAllowedForUrls": sites,
        "AutoLaunchProtocolsFromOrigins": [{ "protocol": WAKE_SCHEME, "allowed_origins": sites }],
    });
    if let Some(authority) = &wish.authority {
        let certificate = CertificateDer::from_pem_slice(authority.as_bytes())
            .map_err(|error| PolicyError::Authority(error.to_string()))?;
        // What the authority's own constraints say, said by the browser as well.
        policies["CACertificatesWithConstraints"] = json!([{
            "certificate": base64::engine::general_purpose::STANDARD.encode(certificate),
            "constraints": {
                "permitted_dns_names": ["localhost"],
                "permitted_cidrs": ["127.0.0.1/32", "::1/128"],
            },
        }]);
    }
    Ok(policies)
}
