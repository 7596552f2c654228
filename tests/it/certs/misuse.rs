//! What the authority is worth to somebody who has it: nothing but this computer's own names. Read by OpenSSL, and verified
//! by OpenSSL and by rustls; what browsers say of it is in `tests/browser/wss.rs`.

use std::process::Command;
use std::sync::Arc;

use loopkey::certs::issue;
use loopkey::protocol::time::Timestamp;
use rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::openssl;
use crate::support::certs::{Misused, client};

const EXTENSIONS: &[&str] = &["x509", "-noout", "-ext", "basicConstraints,keyUsage,extendedKeyUsage,nameConstraints"];

#[test]
fn a31_the_authority_is_bounded_in_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, identity) = (folder.path().join("authority.pem"), folder.path().join("identity.pem"));
    // In 2030, so that dates are those of no clock.
    let issued = issue(Timestamp(1_900_000_000)).expect("issued");
    std::fs::write(&authority, &issued.authority).expect("written");
    std::fs::write(&identity, issued.identity.expose()).expect("written");

    let text = openssl(EXTENSIONS, &authority);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words,
        "X509v3 Key Usage: critical Certificate Sign X509v3 Extended Key Usage: TLS Web Server Authentication \
         X509v3 Name Constraints: critical Permitted: DNS:localhost IP:127.0.0.1/255.255.255.255 \
         IP:0:0:0:0:0:0:0:1/FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF \
         X509v3 Basic Constraints: critical CA:TRUE, pathlen:0"
    );
    assert!(openssl(&["x509", "-noout", "-subject"], &authority).contains(&issued.name));

    let text =
        openssl(&["x509", "-noout", "-ext", "basicConstraints,keyUsage,extendedKeyUsage,subjectAltName"], &identity);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words,
        "X509v3 Subject Alternative Name: DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1 \
         X509v3 Key Usage: critical Digital Signature X509v3 Extended Key Usage: TLS Web Server Authentication \
         X509v3 Basic Constraints: critical CA:FALSE"
    );
    let text = openssl(&["x509", "-noout", "-text"], &identity);
    assert!(text.contains("ASN1 OID: prime256v1") && text.contains("ecdsa-with-SHA256"), "{text}");

    // 365 days, an hour of them before it was made.
    for file in [&authority, &identity] {
        let dates = openssl(&["x509", "-noout", "-startdate", "-enddate"], file);
        assert_eq!(dates, "notBefore=Mar 17 16:46:40 2030 GMT\nnotAfter=Mar 17 16:46:40 2031 GMT\n");
    }
    assert_eq!(issued.ends, Timestamp(1_900_000_000 - 3600 + 365 * 86_400));

    let verify = |name: &str| {
        let mut command = Command::new("openssl");
        command.args(["verify", "-attime", "1900000000", "-purpose", "sslserver", "-CAfile"]).arg(&authority);
        command.args(name.split(' ')).arg(&identity).output().expect("openssl runs").status.success()
    };
    for name in ["-verify_hostname localhost", "-verify_ip 127.0.0.1", "-verify_ip ::1"] {
        assert!(verify(name), "{name}");
    }
    assert!(!verify("-verify_ip 127.0.0.2") && !verify("-verify_hostname example.com"));
}

#[test]
fn a31_the_authoritys_key_is_nowhere() {
    let issued = issue(Timestamp(1_900_000_000)).expect("issued");
    let keys = |pem: &str| pem.matches("PRIVATE KEY-----").count();
    assert_eq!(
        (keys(&issued.authority), keys(issued.identity.expose())),
        (0, 2),
        "the certificate's own, begin and end"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let [authority, identity] = ["authority.pem", "identity.pem"].map(|name| folder.path().join(name));
    std::fs::write(&authority, &issued.authority).expect("written");
    std::fs::write(&identity, issued.identity.expose()).expect("written");
    let of_key = openssl(&["pkey", "-pubout"], &identity);
    assert_eq!(of_key, openssl(&["x509", "-noout", "-pubkey"], &identity));
    assert_ne!(of_key, openssl(&["x509", "-noout", "-pubkey"], &authority));
    assert!(!format!("{issued:?}").contains("PRIVATE"), "nothing secret is shown");
    // No two are alike, so that one can be told from the next.
    let other = issue(Timestamp(1_900_000_000)).expect("issued");
    assert!(other.name != issued.name && other.authority != issued.authority);
}

#[tokio::test]
async fn a31_a_misused_authority_is_refused_by_openssl_and_rustls() {
    let folder = tempfile::tempdir().expect("a folder");
    let [real, misused] = ["real.pem", "misused.pem"].map(|name| folder.path().join(name));
    let authority = Misused::new();
    std::fs::write(&real, issue(Timestamp(1_900_000_000)).expect("issued").authority).expect("written");
    std::fs::write(&misused, &authority.pem).expect("written");
    assert_eq!(openssl(EXTENSIONS, &real), openssl(EXTENSIONS, &misused), "bounded like the real one");

    for (name, good) in
        [("localhost", true), ("127.0.0.1", true), ("::1", true), ("example.com", false), ("127.0.0.2", false)]
    {
        let (page, agent) = tokio::io::duplex(16 * 1024);
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(&[name])));
        tokio::spawn(async move { acceptor.accept(agent).await.map(drop) });
        let config = client(&misused);
        let name = ServerName::try_from(name).expect("a name");
        let taken = TlsConnector::from(Arc::new(config)).connect(name.clone(), page).await;
        let fault = taken.err().map(|error| error.to_string());
        match fault {
            None => assert!(good, "{name:?}"),
            Some(fault) => assert!(!good && fault.contains("NameConstraintViolation"), "{name:?}: {fault}"),
        }
    }
    // A name that is allowed beside one that is not.
    let leaf = folder.path().join("leaf.pem");
    std::fs::write(&leaf, authority.certificate(&["localhost", "example.com"])).expect("written");
    let output = Command::new("openssl").args(["verify", "-CAfile"]).args([&misused, &leaf]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("permitted subtree violation"), "{said}");
}
