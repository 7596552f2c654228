//! The command, with the databases of NSS as browsers have them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::openssl;
use crate::support::home::Home;

fn certutil(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("certutil");
    command.arg("-d").arg(format!("sql:{}", folder.display())).args(arguments);
    let output = command.output().expect("certutil runs (libnss3-tools)");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A home with an agent's configuration; Firefox has two profiles there, of which one was never opened.
struct Desk {
    home: Home,
    config: String,
    state: PathBuf,
    firefox: PathBuf,
    chromium: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let home = Home::new();
        let config = home.agent_toml(28_970, "[wss]\n").to_string_lossy().into_owned();
        let (state, chromium) = (home.beside("state"), home.path().join(".pki/nssdb"));
        let firefox = home.path().join(".mozilla/firefox/abc.default");
        std::fs::create_dir_all(&firefox).expect("a folder");
        std::fs::create_dir_all(firefox.with_file_name("never.opened")).expect("a folder");
        certutil(&firefox, &["-N", "--empty-password"]);
        Self { home, config, state, firefox, chromium }
    }

    #[track_caller]
    fn certs(&self, arguments: &[&str], code: i32) -> String {
        self.home.expect(&[&["certs"], arguments, &["--config", &self.config]].concat(), code)
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.certs(&["status", "--json"], 0)).expect("JSON")
    }

    fn know(&self) -> Vec<bool> {
        let status = self.status();
        let stores = status["stores"].as_array().expect("a list").iter();
        stores.filter(|known| known["store"]["system"].is_null()).map(|known| known["knows"] == true).collect()
    }
}

#[test]
fn what_is_installed_is_taken_away_without_a_trace() {
    let desk = Desk::new();
    let other = desk.home.beside("other.pem");
    std::fs::write(&other, crate::support::certs::Misused::new().pem).expect("written");
    certutil(&desk.firefox, &["-A", "-n", "somebody's own", "-t", "C,,", "-i", &other.to_string_lossy()]);
    let list = certutil(&desk.firefox, &["-L"]);
    // The database of a profile is SQLite's: of it, what it says is compared.
    let files =
        || -> Vec<_> { desk.home.content().into_iter().filter(|(path, _)| !path.starts_with(&desk.firefox)).collect() };
    let before = files();

    desk.certs(&["status"], 2);
    desk.certs(&["create"], 0);
    assert!(desk.certs(&["create"], 2).contains("loopkey certs renew"));
    let mode =
        |name: &str| std::fs::metadata(desk.state.join("wss").join(name)).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("identity.pem"), mode("")), (0o600, 0o700));
    assert_eq!(files(), before, "nobody is told");
    assert_eq!(desk.know(), [false, false]);

    let said = desk.certs(&["install", "--dry-run"], 0);
    assert!(said.contains("nothing is changed") && said.matches(" -A ").count() == 2, "{said}");
    assert_eq!(files(), before);
    desk.certs(&["install"], 0);
    assert_eq!(desk.know(), [true, true]);
    let name = desk.status()["name"].as_str().expect("a name").to_owned();
    for folder in [&desk.chromium, &desk.firefox] {
        let trusted = certutil(folder, &["-L"]);
        let line = trusted.lines().find(|line| line.starts_with(&name)).expect("listed");
        assert!(line.trim_end().ends_with("C,,"), "for servers, and for nothing else: {line}");
        let theirs = desk.home.beside("theirs.pem");
        std::fs::write(&theirs, certutil(folder, &["-L", "-n", &name, "-a"])).expect("written");
        let print = |file: &Path| openssl(&["x509", "-noout", "-fingerprint", "-sha256"], file);
        assert_eq!(print(&theirs), print(&desk.state.join("wss/authority.pem")));
    }
    assert!(desk.certs(&["install"], 0).contains("knows the authority already"));

    let said = desk.certs(&["remove", "--dry-run"], 0);
    assert!(said.contains("nothing is changed"), "{said}");
    assert_eq!(desk.know(), [true, true]);
    desk.certs(&["remove"], 0);
    assert_eq!(certutil(&desk.firefox, &["-L"]), list);
    assert_eq!(files(), before);
    assert!(!desk.state.join("wss").exists());
    let said = desk.certs(&["remove"], 0);
    assert!(said.contains("nothing was there") && said.contains("agent.toml still has [wss]"), "{said}");
}

#[test]
fn a_database_that_was_there_or_is_used_by_now_stays() {
    for used_later in [false, true] {
        let desk = Desk::new();
        let make = || {
            std::fs::create_dir_all(&desk.chromium).expect("a folder");
            certutil(&desk.chromium, &["-N", "--empty-password"]);
        };
        if !used_later {
            make();
        }
        desk.certs(&["create"], 0);
        desk.certs(&["install"], 0);
        let other = desk.home.beside("other.pem");
        std::fs::write(&other, crate::support::certs::Misused::new().pem).expect("written");
        if used_later {
            certutil(&desk.chromium, &["-A", "-n", "somebody's own", "-t", "C,,", "-i", &other.to_string_lossy()]);
        }
        desk.certs(&["remove"], 0);
        let list = certutil(&desk.chromium, &["-L"]);
        assert!(!list.contains("Loopkey") && list.contains("somebody's own") == used_later, "{list}");
    }
}

#[test]
fn a_renewal_is_another_authority_wherever_the_former_was_known() {
    let desk = Desk::new();
    assert!(desk.certs(&["renew"], 2).contains("loopkey certs create"));
    desk.certs(&["create"], 0);
    desk.certs(&["install"], 0);
    let former = desk.status();
    assert!(desk.certs(&["renew", "--due"], 0).contains("nothing is done"));
    assert_eq!(desk.status(), former);
    desk.certs(&["renew"], 0);
    let (status, former) = (desk.status(), former["name"].as_str().expect("a name"));
    assert_eq!((&status["sound"], &status["due"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_ne!(status["name"], former);
    assert_eq!(desk.know(), [true, true]);
    for folder in [&desk.chromium, &desk.firefox] {
        assert_eq!(certutil(folder, &["-L"]).matches("Loopkey local authority").count(), 1);
    }
    desk.certs(&["remove"], 0);
}

#[test]
fn without_certutil_it_says_what_to_install() {
    let desk = Desk::new();
    desk.certs(&["create"], 0);
    let mut command = desk.home.command(env!("CARGO_BIN_EXE_loopkey"), &["certs", "install", "--config", &desk.config]);
    let output = command.env("PATH", desk.home.beside("bin")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("libnss3-tools"), "{said}");
}

/// In a mount namespace of its own, so that this computer's own store stays as it is.
#[test]
fn the_systems_store_knows_it_only_when_asked_and_forgets_it_without_a_trace() {
    let desk = Desk::new();
    desk.certs(&["create"], 0);
    let script = r#"
        set -e
        for folder in /etc/ssl/certs /usr/local/share/ca-certificates; do
          copy=$(mktemp -d "$1/XXXXXX"); cp -a "$folder/." "$copy/"; mount --bind "$copy" "$folder"
        done
        # As it leaves everything; Java's keystore has times in it.
        update-ca-certificates --fresh > /dev/null
        list() {
          cd /
          find etc/ssl/certs usr/local/share/ca-certificates -path etc/ssl/certs/java -prune -o -type f -exec sha256sum {} + \
            -o -type l -printf '%p %l\n' | sort
        }
        list > "$1/before"
        "$2" certs install --config "$3" > "$1/said"
        if grep ca-certificates "$1/said"; then exit 1; fi
        list | cmp - "$1/before"
        "$2" certs install --system --config "$3"
        if list | cmp -s - "$1/before"; then exit 1; fi
        openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt -verify_ip 127.0.0.1 "$4/identity.pem"
        "$2" certs renew --config "$3"
        openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt -verify_ip 127.0.0.1 "$4/identity.pem"
        test "$(ls /usr/local/share/ca-certificates/loopkey-* | wc -l)" = 1
        "$2" certs remove --config "$3"
        list | diff "$1/before" -
        if grep -rlia loopkey /etc/ssl/certs; then exit 1; fi
    "#;
    let place = desk.home.beside("place");
    std::fs::create_dir(&place).expect("a folder");
    let root = loopkey::install::require_a_person(false).is_err();
    let mut command =
        desk.home.command(if root { "unshare" } else { "sudo" }, if root { &[] } else { &["-E", "unshare"] });
    command.args(["--mount", "sh", "-c", script, "test"]).arg(&place).arg(env!("CARGO_BIN_EXE_loopkey"));
    let output = command.arg(&desk.config).arg(desk.state.join("wss")).output().expect("unshare runs");
    let [said, fault] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{said}{fault}");
    assert!(said.contains("run        update-ca-certificates"), "every command is shown: {said}");
}
