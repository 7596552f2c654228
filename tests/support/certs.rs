//! What `loopkey certs` makes, for an agent of a test's own, and an authority that is misused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use loopkey::agent::{AgentSettings, WssFiles, WssSettings};
use loopkey::certs::Certs;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::install::Homes;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Has the agent of these settings speak TLS, with a certificate that no browser knows yet.
pub(crate) fn make(settings: &mut AgentSettings) -> Certs {
    settings.wss = Some(WssSettings::default());
    let home = settings.state_dir.join("nobody");
    let homes = Homes { config: home.join(".config"), data: home.join(".local/share"), home };
    let certs = Certs { files: WssFiles::of(&settings.state_dir), homes };
    certs.create(SystemClock.timestamp()).expect("a certificate");
    certs
}

/// A client that trusts an authority's file, and nothing else.
pub(crate) fn client(authority: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).expect("a certificate")).expect("an authority");
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// An authority like the one that `loopkey certs` makes, whose key was not destroyed.
pub(crate) struct Misused {
    pub(crate) pem: String,
    params: CertificateParams,
    key: KeyPair,
}

impl Misused {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, "Loopkey local authority, misused");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let ip = |address: IpAddr, prefix| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix));
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![
                GeneralSubtree::DnsName("localhost".to_owned()),
                ip(Ipv4Addr::LOCALHOST.into(), 32),
                ip(Ipv6Addr::LOCALHOST.into(), 128),
            ],
            excluded_subtrees: Vec::new(),
        });
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("an authority").pem();
        Self { pem, params, key }
    }

    fn sign(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names).expect("names");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // GnuTLS holds a common name against the constraints too where there is no DNS name beside it.
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        (leaf.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).expect("signed"), key)
    }

    /// A certificate for these names (PEM).
    pub(crate) fn certificate(&self, names: &[&str]) -> String {
        self.sign(names).0.pem()
    }

    /// A server with a certificate for these names.
    pub(crate) fn server(&self, names: &[&str]) -> ServerConfig {
        let (leaf, key) = self.sign(names);
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a server")
    }
}
