//! What every kind of connector has, and OpenID Connect.

use crate::config::tests::{SERVER, assert_named, faults, server};
use crate::login::NewAccounts;
use crate::protocol::statement::UserVerification;

const CONNECTOR: &str = r#"
[[connector]]
name = "corp"
kind = "oidc"
label = "Corp account"
issuer = "https://id.example.com/realms/staff"
client_id = "loopkey"
client_secret_file = "SECRET"
scopes = ["email"]
recheck_minutes = 60
accounts = "create"
verifies = "prompt"

[[connector]]
name = "other"
kind = "oidc"
label = "其他账号"
issuer = "https://other.example.com"
client_id = "public-client"
"#;

/// A file with both connectors, and a secret in a file of its own.
fn file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, "planted-client-secret\n").expect("written");
    let text = format!("{SERVER}{CONNECTOR}").replace("SECRET", &path.to_string_lossy());
    (folder, text)
}

#[test]
fn d01_d02_several_instances_stand_side_by_side_and_their_secrets_show_nowhere() {
    let (_folder, text) = file();
    let config = server(&text).expect("a sound file");
    let [corp, other] = config.login.connectors.as_slice() else { panic!("{:?}", config.login.connectors) };
    assert_eq!((corp.name.as_str(), corp.label.as_str(), corp.connector.kind()), ("corp", "Corp account", "oidc"));
    assert_eq!((corp.accounts, corp.verifies), (NewAccounts::Create, UserVerification::Prompt));
    let rechecks = [corp, other].map(|way| way.connector.rechecks_every().map(|period| period.as_secs()));
    assert_eq!(rechecks, [Some(3600), None]);
    assert_eq!((other.accounts, other.verifies), (NewAccounts::Linked, UserVerification::Page));
    assert_eq!(other.label.as_str(), "其他账号");
    assert!(!format!("{config:?}").contains("planted"), "{config:?}");
    assert!(!corp.connector.front_end().to_string().contains("planted"));
}

#[test]
fn d02_d13_everything_wrong_is_named_with_its_entry_and_a_cure() {
    let (_folder, text) = file();
    let found = |changes: &[(&str, &str)]| faults(server, &text, changes);
    let line = |entry: &str| 1 + text.lines().position(|line| line.starts_with(entry)).expect("a line");
    for (changes, at, entry, cure) in [
        (&[("name = \"corp\"", "name = \"Corp 1\"")][..], "name", "connector[0].name", "a-z"),
        (&[("name = \"corp\"\n", "")], "[[connector]]", "connector[0].name", "is missing"),
        (&[("kind = \"oidc\"", "kind = \"saml\"")], "kind", "connector[0].kind", "\"oidc\""),
        (&[("kind = \"oidc\"\n", "")], "[[connector]]", "connector[0].kind", "is missing"),
        (&[("label = \"Corp account\"", "label = \" \"")], "label", "connector[0].label", "words"),
        (
            &[("https://id.example.com/realms/staff", "id.example.com")],
            "issuer = \"https://id",
            "connector[0].issuer",
            "https://",
        ),
        (
            &[("https://id.example.com/realms/staff", "https://id.example.com?x")],
            "issuer = \"https://id",
            "connector[0].issuer",
            "https://",
        ),
        (
            &[("https://id.example.com/realms/staff", "https://id.example.com/.well-known/openid-configuration")],
            "issuer = \"https://id",
            "connector[0].issuer",
            "leave off",
        ),
        (&[("client_id = \"loopkey\"", "client_id = \"\"")], "client_id", "connector[0].client_id", "visible"),
        (&[("client_id = \"loopkey\"\n", "")], "[[connector]]", "connector[0].client_id", "is missing"),
        (&[("accounts = \"create\"", "accounts = \"all\"")], "accounts", "connector[0].accounts", "\"linked\""),
        (&[("verifies = \"prompt\"", "verifies = \"yes\"")], "verifies", "connector[0].verifies", "\"os\""),
        (
            &[("scopes = [\"email\"]", "scopes = [\"email profile\"]")],
            "scopes",
            "connector[0].scopes[0]",
            "without spaces",
        ),
        (&[("scopes =", "scope =")], "scopes", "connector[0].scope", "did you mean scopes?"),
        (
            &[("client_secret_file", "client_secret")],
            "client_secret",
            "connector[0].client_secret",
            "by client_secret_file",
        ),
        (
            &[("client_secret_file", "client_secret_env = \"X\"\nclient_secret_file")],
            "client_secret",
            "connector[0].client_secret_env",
            "one of the two",
        ),
        (&[("name = \"other\"", "name = \"corp\"")], "name = \"other\"", "connector[1].name", "name of its own"),
    ] {
        assert_named(&found(changes), line(at), entry, cure);
    }
    let gone = text.replace("/secret\"", "/no-secret\"");
    assert_named(
        &faults(server, &gone, &[]),
        line("client_secret"),
        "connector[0].client_secret_file",
        "cannot be read",
    );
    let path = text.lines().find_map(|line| line.strip_prefix("client_secret_file = ")).expect("a path");
    let unset = text.replace(&format!("client_secret_file = {path}"), "client_secret_env = \"LOOPKEY_TEST_NEVER_SET\"");
    let found = faults(server, &unset, &[]);
    assert_named(&found, line("client_secret"), "connector[0].client_secret_env", "LOOPKEY_TEST_NEVER_SET");
    assert!(!format!("{found:?}").contains("planted"));
    // Addresses that are never called: of this computer, of a private network, of nothing. The file's own issuer is public then.
    let public = text.replace("development = true\n", "").replace("http://localhost:28980", "https://app.example.com");
    for address in ["https://127.0.0.1/x", "https://10.0.0.1", "https://[::1]", "https://:99999/x"] {
        let found = faults(server, &public, &[("https://other.example.com", address)]);
        assert!(found.iter().any(|fault| fault.contains("connector[1].issuer")), "{address}: {found:?}");
    }
    let insecure = text
        .replace("https://id.example.com", "http://id.example.com")
        .replace("development = true", "development = false");
    let insecure = insecure.replace("http://localhost:28980", "https://app.example.com");
    assert_named(
        &faults(server, &insecure, &[]),
        line("issuer = \"https://id"),
        "connector[0].issuer",
        "development = true",
    );
}
