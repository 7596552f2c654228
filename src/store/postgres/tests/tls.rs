//! TLS to the server: verified in full, or not at all.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::super::Postgres;
use super::super::testing::server::Server;
use super::super::testing::{clock, shared};
use crate::store::Store as _;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("name");
        (params.signed_by(&key, &self.issuer).expect("certificate").pem(), key.serialize_pem())
    }

    fn file(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, &self.pem).expect("written");
        path
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_certificate_is_verified_by_authority_and_name() {
    let (ours, other) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(&[]);
    let (certificate, key) = ours.issue("127.0.0.1");
    server.write("server.crt", &certificate);
    server.write("server.key", &key);
    let base = server.url(&server.database());
    server.write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
    server.crash();
    server.boot(&[("ssl", "on")]);
    let open = async |mode: &str, ca_file: Option<PathBuf>| {
        let mut shared = shared(&format!("{base}?sslmode={mode}"));
        shared.options.ca_file = ca_file;
        Postgres::open(&shared, clock()).await
    };
    let (good, bad) = (ours.file(folder.path(), "ours.pem"), other.file(folder.path(), "other.pem"));
    let store = open("verify-full", Some(good.clone())).await.expect("opened");
    store.ping().await.expect("answers");
    let encrypted = server.sql("postgres", "SELECT count(*) FILTER (WHERE ssl) > 0, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'loopkey%'");
    assert_eq!(encrypted, "t|t");
    for ca_file in [None, Some(bad)] {
        let error = open("verify-full", ca_file).await.expect_err("another authority").to_string();
        assert!(error.contains("certificate") || error.contains("UnknownIssuer"), "{error}");
    }
    let error = open("disable", None).await.expect_err("the server demands TLS").to_string();
    assert!(error.contains("write sslmode=verify-full"), "{error}");
    let missing = folder.path().join("missing.pem");
    let error = open("verify-full", Some(missing)).await.expect_err("no file").to_string();
    assert!(error.contains("ca_file") && error.contains("missing.pem"), "{error}");

    // The right authority, another name.
    let (certificate, key) = ours.issue("db.example.com");
    server.write("server.crt", &certificate);
    server.write("server.key", &key);
    server.crash();
    server.boot(&[("ssl", "on")]);
    let error = open("verify-full", Some(good)).await.expect_err("another name").to_string();
    assert!(error.contains("name") || error.contains("certificate"), "{error}");
}
