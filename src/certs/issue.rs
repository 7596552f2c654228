//! One authority, one certificate (RFC 5280). The authority's key signs twice, itself and the certificate, and is gone.
//!
//! What bounds a stolen or broken authority: it may sign for `localhost`, `127.0.0.1` and `::1` alone (critical name
//! constraints, IP addresses included, since a constraint on DNS names leaves those free), for servers alone, through no
//! further authority, and for a year.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use zeroize::Zeroizing;

use super::fault::CertsError;
use crate::crypto::{self, Secret};
use crate::protocol::time::Timestamp;

/// How long certificate and authority are good for. Browsers take 398 days at most from public authorities; a year is what
/// an authority of this kind should live at most.
const LIFE_SECONDS: u64 = 365 * 24 * 3600;
/// Clocks that are a little behind take the certificate too.
const BACKDATED_SECONDS: u64 = 3600;

/// What every authority of ours is called, before what tells it from others.
pub(super) const NAME: &str = "Loopkey local authority";

/// What was made. The authority's key is not part of it.
#[derive(Debug)]
pub struct Issued {
    /// The authority's name, as browsers' lists show it; no two are alike.
    pub name: String,
    /// The authority's certificate (PEM).
    pub authority: String,
    /// The agent's certificate and its key (PEM).
    pub identity: Secret<String>,
    /// When both end.
    pub ends: Timestamp,
}

/// Makes an authority and the one certificate that it ever signs.
///
/// # Errors
/// [`CertsError::Issue`].
pub fn issue(now: Timestamp) -> Result<Issued, CertsError> {
    let made = make(now);
    made.map_err(|error| CertsError::Issue(error.to_string()))
}

fn make(now: Timestamp) -> Result<Issued, rcgen::Error> {
    let begins = Timestamp(now.0.saturating_sub(BACKDATED_SECONDS));
    let ends = begins.plus(LIFE_SECONDS);
    let distinct: String = crypto::random::<4>().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{NAME} {distinct}");

    let mut authority = params(&name, begins, ends)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv4Addr::LOCALHOST.into(), 32)),
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128)),
        ],
        excluded_subtrees: Vec::new(),
    });

    // A common name that the constraints permit as well: some look at it where they find no DNS name.
    let mut leaf = params("localhost", begins, ends)?;
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    leaf.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];

    let leaf_key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
    let (authority, leaf) = {
        // Written nowhere, and overwritten at the end of these lines.
        let key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
        let leaf = leaf.signed_by(&*leaf_key, &Issuer::from_params(&authority, &*key))?;
        (authority.self_signed(&*key)?, leaf)
    };
    let key = Zeroizing::new(leaf_key.serialize_pem());
    let identity = Secret::new(format!("{}{}", leaf.pem(), *key));
    Ok(Issued { name, authority: authority.pem(), identity, ends })
}

/// What authority and certificate have in common.
fn params(name: &str, begins: Timestamp, ends: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let at = |time: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(time.0);
    let mut params = CertificateParams::new(Vec::new())?;
    params.not_before = at(begins);
    params.not_after = at(ends);
    let mut serial = crypto::random::<16>();
    // A positive number of sixteen bytes, whatever was drawn.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}
