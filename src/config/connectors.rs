//! `[[connector]]` in `server.toml`: the providers that people can sign in with. What every kind has is read here, and what
//! one alone has in its own function. Secrets come from files or the environment, and never from the file itself.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::reader::{Notes, Section};
use super::server::read_secret;
use crate::clock::{Clock, SystemClock};
use crate::connectors::dingtalk::{self, Credentials, Dialect, DingTalk, Edition, Hosts, PageDigest};
use crate::connectors::oidc::{Oidc, OidcSettings};
use crate::connectors::{Connector, Guarded};
use crate::crypto::Secret;
use crate::login::{ConfiguredConnector, NewAccounts};
use crate::protocol::statement::UserVerification;
use crate::store::{ConnectorName, DisplayName};

/// What every kind has.
const COMMON: [&str; 5] = ["name", "kind", "label", "accounts", "verifies"];

/// What DingTalk has besides.
const DINGTALK: [&str; 10] = [
    "app_key",
    "app_secret_file",
    "app_secret_env",
    "corp_id",
    "agent_id",
    "credentials",
    "dialect",
    "page_digest",
    "edition",
    "hosts",
];

/// What the connectors of one file share.
struct Means<'a> {
    notes: &'a Notes<'a>,
    development: bool,
    http: Guarded,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Copy)]
enum Kind {
    Oidc,
    DingTalk,
}

/// Reads all of them.
pub(super) fn read(notes: &Notes<'_>, root: &mut Section<'_>, development: bool) -> Vec<ConfiguredConnector> {
    let http = match crate::connectors::http(development) {
        Ok(http) => http,
        Err(error) => {
            notes.fault_of("connector", error);
            return Vec::new();
        }
    };
    let means = Means { notes, development, http, clock: Arc::new(SystemClock) };
    root.sections("connector", |section| means.read(section))
}

impl Means<'_> {
    fn read(&self, mut section: Section<'_>) -> Option<ConfiguredConnector> {
        let name = section.required::<ConnectorName>("name", "\"corp\"");
        let label = section.required::<Label>("label", "\"Corp account\"");
        let accounts = [("linked", NewAccounts::Linked), ("create", NewAccounts::Create)];
        let accounts = section.one_of("accounts", &accounts).unwrap_or_default();
        let verifies =
            [("page", UserVerification::Page), ("prompt", UserVerification::Prompt), ("os", UserVerification::Os)];
        let verifies = section.one_of("verifies", &verifies).unwrap_or(UserVerification::Page);
        section.require("kind", "\"oidc\"");
        let connector = match section.one_of("kind", &[("oidc", Kind::Oidc), ("dingtalk", Kind::DingTalk)])? {
            Kind::Oidc => self.oidc(section),
            Kind::DingTalk => self.dingtalk(section),
        };
        let Label(label) = label?;
        Some(ConfiguredConnector { name: name?, label, connector: connector?, accounts, verifies })
    }

    fn oidc(&self, mut section: Section<'_>) -> Option<Arc<dyn Connector>> {
        let issuer = section.required::<Address>("issuer", "\"https://id.example.com\"");
        let client_id = section.required::<Text>("client_id", "\"loopkey\"");
        let client_secret = self.secret(&mut section, "client_secret");
        let scopes = section.list_of::<Scope>("scopes");
        let userinfo = section.boolean("userinfo").unwrap_or(false);
        let recheck = section.number("recheck_minutes", 5, 1440);
        let recheck =
            recheck.and_then(|minutes| u64::try_from(minutes).ok()).map(|minutes| Duration::from_secs(60 * minutes));
        if let Some(Address(issuer)) = &issuer
            && !self.development
            && issuer.starts_with("http://")
        {
            self.notes.fault_of(&section.entry("issuer"), "http:// needs development = true; use https://");
        }
        let own =
            ["issuer", "client_id", "client_secret_file", "client_secret_env", "scopes", "userinfo", "recheck_minutes"];
        section.end(&[&COMMON[..], &own[..]].concat());
        let mut scopes: Vec<_> = scopes.map_or_else(
            || ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            |scopes| scopes.into_iter().map(|Scope(scope)| scope).collect(),
        );
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        let (Address(issuer), Text(client_id)) = (issuer?, client_id?);
        let settings =
            OidcSettings { issuer, client_id, client_secret: client_secret.ok()?, scopes, userinfo, recheck };
        Some(Arc::new(Oidc::new(settings, self.http.clone(), Arc::clone(&self.clock))))
    }

    fn dingtalk(&self, mut section: Section<'_>) -> Option<Arc<dyn Connector>> {
        let app_key = section.parsed::<Text>("app_key").map(|Text(key)| key).unwrap_or_default();
        let corp_id = section.required::<Text>("corp_id", "\"dingexample0001\"");
        section.require("agent_id", "1234567890");
        let agent_id = section.number("agent_id", 1_000_000_000, 9_999_999_999);
        let credentials = [
            ("app", Credentials::App),
            ("app_of_corp", Credentials::AppOfCorp),
            ("corp_secret", Credentials::CorpSecret),
        ];
        let credentials = section.one_of("credentials", &credentials).unwrap_or_default();
        let dialect = section.one_of("dialect", &[("new", Dialect::New), ("old", Dialect::Old)]).unwrap_or_default();
        let digests = [("sha256", PageDigest::Sha256), ("sha1", PageDigest::Sha1)];
        let page_digest = section.one_of("page_digest", &digests).unwrap_or_default();
        let editions = [("china", Edition::China), ("international", Edition::International)];
        let edition = section.one_of("edition", &editions).unwrap_or_default();
        let secret_entry =
            section.entry(if section.has("app_secret_env") { "app_secret_env" } else { "app_secret_file" });
        let secret = self.secret(&mut section, "app_secret");
        if matches!(secret, Ok(None)) {
            self.notes.fault_of(&secret_entry, "is missing: name the file with the application's secret");
        }
        let hosts = section.section("hosts").map(|mut hosts| {
            let [oapi, api, login] =
                ["oapi", "api", "login"].map(|host| hosts.required::<Text>(host, "\"https://dingtalk.example.com\""));
            hosts.end(&["oapi", "api", "login"]);
            let (Text(oapi), Text(api), Text(login)) = (oapi?, api?, login?);
            Some(Hosts { oapi, api, login })
        });
        let table_entry = section.entry("");
        section.end(&[&COMMON[..], &DINGTALK[..]].concat());
        let hosts = match hosts {
            None => None,
            Some(hosts) => Some(hosts?),
        };
        let Text(corp_id) = corp_id?;
        let agent_id = Some(u64::try_from(agent_id?).ok()?);
        let table = dingtalk::Table { app_key, corp_id, agent_id, credentials, dialect, page_digest, edition, hosts };
        let settings = dingtalk::Settings::new(table, secret.ok()??);
        let made = settings.and_then(|settings| DingTalk::new(settings, self.http.clone(), Arc::clone(&self.clock)));
        let made = made.map_err(|fault| {
            let entry = match fault.entry() {
                "app_secret" => secret_entry,
                other => format!("{table_entry}{other}"),
            };
            // The message begins with the entry, as the file's own faults do.
            let said = fault.to_string();
            self.notes.fault_of(&entry, said.split_once(": ").map_or(said.as_str(), |(_, problem)| problem));
        });
        Some(Arc::new(made.ok()?))
    }

    /// A secret, from a file or the environment; none where neither is named. An error where it was named and is not there.
    fn secret(&self, section: &mut Section<'_>, key: &str) -> Result<Option<Secret<String>>, ()> {
        let (in_file, in_environment) = (format!("{key}_file"), format!("{key}_env"));
        let (file_entry, variable_entry) = (section.entry(&in_file), section.entry(&in_environment));
        let (named, path) = (section.has(&in_file), section.path(&in_file));
        let (named_variable, variable) = (section.has(&in_environment), section.parsed::<Text>(&in_environment));
        let secret = match (named, named_variable) {
            (false, false) => return Ok(None),
            (true, true) => {
                self.notes.fault_of(&variable_entry, format!("is beside {in_file}: keep one of the two"));
                return Err(());
            }
            (true, false) => read_secret(self.notes, &file_entry, path.as_deref().unwrap_or(Path::new(""))).ok_or(())?,
            (false, true) => {
                let Text(variable) = variable.ok_or(())?;
                let value = std::env::var(&variable).map_err(|_| {
                    let problem =
                        format!("there is no variable {variable} in the environment: set it before the start");
                    self.notes.fault_of(&variable_entry, problem);
                })?;
                Secret::new(value)
            }
        };
        if secret.expose().is_empty() {
            let entry = if named { &file_entry } else { &variable_entry };
            self.notes.fault_of(entry, "holds nothing: put the provider's secret there");
            return Err(());
        }
        Ok(Some(secret))
    }
}

/// What a button says.
struct Label(DisplayName);

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DisplayName::clean(text).map(Self).map_err(|_| "must be some words, such as \"Corp account\"")
    }
}

/// Visible ASCII.
struct Text(String);

impl FromStr for Text {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
        sound.then(|| Self(text.to_owned())).ok_or("must be 1 to 256 visible letters, without spaces")
    }
}

/// A scope (RFC 6749 section 3.3).
struct Scope(String);

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Text(text) = text.parse()?;
        let sound = !text.contains(['"', '\\']);
        sound.then_some(Self(text)).ok_or("must be one scope, such as \"email\"")
    }
}

/// A provider's name for itself.
struct Address(String);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be the provider's address exactly as its configuration says `issuer`, such as \"https://id.example.com\"";
        let Text(text) = text.parse().map_err(|_| FORM)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let sound =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@']));
        sound.then_some(Self(text)).ok_or(FORM)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SERVER, assert_named, faults, server};
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

    const DINGTALK: &str = r#"
[[connector]]
name = "ding"
kind = "dingtalk"
label = "钉钉"
app_key = "dingabcdefghij012345"
app_secret_file = "SECRET"
corp_id = "dingcorp0001"
agent_id = 1234567890
page_digest = "sha1"
edition = "international"
"#;

    #[test]
    fn d01_d02_dingtalk_is_read_and_each_wrong_entry_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let secret = "planted0".repeat(8);
        std::fs::write(&path, &secret).expect("written");
        let text = format!("{SERVER}{DINGTALK}").replace("SECRET", &path.to_string_lossy());
        let config = server(&text).expect("a sound file");
        let [ding] = config.login.connectors.as_slice() else { panic!("{:?}", config.login.connectors) };
        assert_eq!((ding.connector.kind(), ding.connector.tenant()), ("dingtalk", Some("dingcorp0001")));
        assert!(ding.connector.is_in_app());
        let described = ding.connector.describe();
        assert_eq!(
            (&described["page_digest"], &described["hosts"][0]),
            (&"sha1".into(), &"https://oapi.dingtalk.io".into())
        );
        let shown = format!("{config:?}{described}{}", ding.connector.front_end());
        assert!(!shown.contains("planted"), "{shown}");

        let line = |entry: &str| 1 + text.lines().position(|line| line.starts_with(entry)).expect("a line");
        for (from, to, at, entry, cure) in [
            ("dingabcdefghij012345", "short", "app_key", "connector[0].app_key", "20 letters and digits"),
            ("\"dingcorp0001\"", "\"corp\"", "corp_id", "connector[0].corp_id", "front page"),
            ("corp_id = \"dingcorp0001\"\n", "", "[[connector]]", "connector[0].corp_id", "is missing"),
            ("1234567890", "12", "agent_id", "connector[0].agent_id", "from 1000000000"),
            ("agent_id = 1234567890\n", "", "[[connector]]", "connector[0].agent_id", "is missing"),
            (
                "page_digest = \"sha1\"",
                "page_digest = \"md5\"",
                "page_digest",
                "connector[0].page_digest",
                "\"sha256\"",
            ),
            ("edition =", "editions =", "edition", "connector[0].editions", "did you mean edition?"),
        ] {
            assert_named(&faults(server, &text, &[(from, to)]), line(at), entry, cure);
        }
        std::fs::write(&path, "planted-too-short").expect("written");
        let found = faults(server, &text, &[]);
        assert_named(&found, line("app_secret_file"), "connector[0].app_secret_file", "64 letters");
        assert!(!format!("{found:?}").contains("planted"));
        let without = text.lines().filter(|line| !line.starts_with("app_secret_file")).collect::<Vec<_>>().join("\n");
        assert_named(
            &faults(server, &without, &[]),
            line("[[connector]]"),
            "connector[0].app_secret_file",
            "is missing",
        );
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
            (&[("client_secret_file", "client_secret")], "client_secret", "connector[0].client_secret", "known here"),
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
        let unset =
            text.replace(&format!("client_secret_file = {path}"), "client_secret_env = \"LOOPKEY_TEST_NEVER_SET\"");
        let found = faults(server, &unset, &[]);
        assert_named(&found, line("client_secret"), "connector[0].client_secret_env", "LOOPKEY_TEST_NEVER_SET");
        assert!(!format!("{found:?}").contains("planted"));
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
}
