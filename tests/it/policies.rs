//! `loopkey policy`: what it writes, and that nothing of what others wrote is lost or overruled.
//!
//! `--install` is run as root of a mount namespace, with a folder of the test's own for `/etc`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::certs::Misused;
use crate::support::home::Home;

const SITE: &str = "https://app.example.com";

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parsed(path: &Path) -> Value {
    serde_json::from_str(&read(path)).expect("JSON")
}

#[test]
fn everything_is_written_below_a_folder_and_nowhere_else() {
    let home = Home::new();
    let (out, authority) = (home.beside("out"), home.beside("authority.pem"));
    std::fs::write(&authority, Misused::new().pem).expect("written");
    let (to, from) = (out.to_string_lossy(), authority.to_string_lossy());
    let other = "https://www.example.com:8443";
    home.expect(
        &[
            "policy",
            "--origin",
            SITE,
            "--origin",
            other,
            "--origin",
            SITE,
            "--consent",
            "always",
            "--only-listed",
            "--authority",
            &from,
            "--out",
            &to,
        ],
        0,
    );
    assert_eq!(home.content().len(), 0, "nothing in the home");
    for browser in ["chromium", "opt/chrome", "opt/edge"] {
        let policies = parsed(&out.join("etc").join(browser).join("policies/managed/loopkey.json"));
        for key in ["LoopbackNetworkAllowedForUrls", "LocalNetworkAccessAllowedForUrls"] {
            assert_eq!(policies[key], json!([SITE, other]), "{browser}: {key}");
        }
        let launch = json!([{ "protocol": "loopkey", "allowed_origins": [SITE, other] }]);
        assert_eq!(policies["AutoLaunchProtocolsFromOrigins"], launch);
        let constraints = &policies["CACertificatesWithConstraints"][0]["constraints"];
        let bounds = json!({ "permitted_dns_names": ["localhost"], "permitted_cidrs": ["127.0.0.1/32", "::1/128"] });
        assert_eq!(*constraints, bounds);
    }
    let firefox = parsed(&out.join("etc/firefox/policies/policies.json"));
    assert_eq!(firefox["policies"]["LocalNetworkAccess"]["SkipDomains"], json!(["app.example.com", "www.example.com"]));
    assert_eq!(firefox["policies"]["Certificates"]["Install"], json!(["/etc/loopkey/authority.pem"]));
    assert_eq!(read(&out.join("etc/loopkey/authority.pem")), read(&authority));
    let policy = out.join("etc/loopkey/policy.toml");
    home.expect(&["check-config", "--as", "policy", &policy.to_string_lossy()], 0);
    let policy = loopkey::config::policy(&read(&policy)).expect("a policy");
    assert!(policy.only_listed && policy.origins.len() == 2);

    let said = home.expect(&["policy", "--origin", SITE, "--browser", "edge"], 0);
    assert!(said.contains(r"HKLM\Software\Policies\Microsoft\Edge") && !said.contains("Firefox"), "{said}");
    home.expect(&["policy", "--origin", "https://app.example.com/path"], 2);
    home.expect(&["policy", "--origin", SITE, "--authority", &home.agent_toml(28_970, "").to_string_lossy()], 2);
}

/// A folder for `/etc`.
struct Etc(Home);

impl Etc {
    fn new() -> Self {
        let home = Home::new();
        std::fs::create_dir(home.beside("etc")).expect("a folder");
        Self(home)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.beside("etc").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// Installs; gives the fault, or nothing.
    fn install(&self, arguments: &[&str]) -> String {
        let root = loopkey::install::require_a_person(false).is_err();
        let own: &[&str] = if root { &["--mount"] } else { &["--mount", "--map-root-user"] };
        let mut command = self.0.command("unshare", own);
        command
            .args(["sh", "-c", "mount --bind \"$1\" /etc && shift && exec \"$@\"", "test"])
            .arg(self.0.beside("etc"));
        command.arg(env!("CARGO_BIN_EXE_loopkey")).args(["policy", "--install", "--origin", SITE]).args(arguments);
        let output = command.output().expect("unshare runs");
        let fault = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), fault.is_empty(), "{fault}");
        fault
    }

    fn content(&self) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.beside("etc")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { found.push((path.clone(), read(&path))) }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn what_others_wrote_stays_and_a_second_time_changes_nothing() {
    let etc = Etc::new();
    etc.write("chromium/policies/managed/other.json", r#"{"HomepageLocation":"https://intra.example"}"#);
    let theirs = json!({ "policies": {
        "DisableTelemetry": true,
        "LocalNetworkAccess": { "SkipDomains": ["printer.example"], "Locked": true },
        "Certificates": { "ImportEnterpriseRoots": true },
        "AutoLaunchProtocolsFromOrigins": [
            { "protocol": "zoommtg", "allowed_origins": ["https://zoom.example"] },
            { "protocol": "loopkey", "allowed_origins": ["https://old.example"] },
        ],
    } });
    etc.write("firefox/policies/policies.json", &theirs.to_string());
    etc.write("loopkey/policy.toml", "# ours\n[[origin]]\norigin = \"https://games.example\"\nconsent = \"blocked\"");
    assert_eq!(etc.install(&["--only-listed"]), "");
    let merged = parsed(&etc.at("firefox/policies/policies.json"));
    let expected = json!({ "policies": {
        "DisableTelemetry": true,
        "LocalNetworkAccess": { "SkipDomains": ["printer.example", "app.example.com"], "Locked": true },
        "Certificates": { "ImportEnterpriseRoots": true },
        "AutoLaunchProtocolsFromOrigins": [
            { "protocol": "zoommtg", "allowed_origins": ["https://zoom.example"] },
            { "protocol": "loopkey", "allowed_origins": ["https://old.example", SITE] },
        ],
    } });
    assert_eq!(merged, expected);
    assert_eq!(
        read(&etc.at("chromium/policies/managed/other.json")),
        r#"{"HomepageLocation":"https://intra.example"}"#
    );
    let own = loopkey::config::policy(&read(&etc.at("loopkey/policy.toml"))).expect("a policy");
    assert!(own.only_listed && own.origins.len() == 2 && own.origins[0].blocked, "{own:?}");
    let once = etc.content();
    assert_eq!(etc.install(&["--only-listed"]), "");
    assert_eq!(etc.content(), once);
}

#[test]
fn what_stands_in_the_way_is_named_and_nothing_is_written() {
    for (path, text, named) in [
        (
            "opt/edge/policies/managed/a.json",
            r#"{"AutoLaunchProtocolsFromOrigins":[]}"#,
            "sets AutoLaunchProtocolsFromOrigins already",
        ),
        ("chromium/policies/managed/b.json", "{", "is not JSON"),
        ("firefox/policies/policies.json", "[", "is not JSON"),
        (
            "firefox/policies/policies.json",
            r#"{"policies":{"LocalNetworkAccess":true}}"#,
            "something else about LocalNetworkAccess",
        ),
        ("loopkey/policy.toml", "[[origin]]\norigin = \"https://app.example.com\"\nconsent = \"blocked\"", SITE),
        ("loopkey/policy.toml", "only_listed = false", "only_listed"),
        ("loopkey/policy.toml", "nonsense = 1", "is not a known key"),
    ] {
        let etc = Etc::new();
        etc.write(path, text);
        let before = etc.content();
        let fault = etc.install(&["--only-listed"]);
        assert!(fault.contains(named) && fault.contains(path), "{path} {text}: {fault}");
        assert_eq!(etc.content(), before, "{path}: {text}");
    }
}
