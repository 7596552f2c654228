//! `loopkey admin`, the program itself, against a running login server.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::commands::until;
use crate::support::nginx::Nginx;
use crate::support::trace;
use crate::support::world::http;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkey");
const SERVICE_KEY: &str = "a service key for administrators";

/// A login server in a folder, with its configuration.
struct Site {
    folder: tempfile::TempDir,
    issuer: String,
    server: Option<Child>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = crate::support::places::free_places().site;
        let issuer = format!("http://127.0.0.1:{port}");
        loopkey::keyfile::create(&folder.path().join("service.key"), SERVICE_KEY.as_bytes()).expect("written");
        let toml = format!(
            "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{port}\"\norigins = [\"{issuer}\"]\nstore = \"embedded:data\"\n\
             service_key_file = \"service.key\"\ndevelopment = true\n"
        );
        std::fs::write(folder.path().join("server.toml"), toml).expect("written");
        trace::note(SERVICE_KEY);
        let mut site = Self { folder, issuer, server: None };
        site.serve().await;
        site
    }

    async fn serve(&mut self) {
        let mut command = self.command(&["serve", "--config", "server.toml"]);
        self.server = Some(trace::of_child(&mut command).spawn().expect("the program starts"));
        let healthy =
            || async { http().get(format!("{}/readyz", self.issuer)).send().await.is_ok_and(|a| a.status() == 200) };
        until("the server's health", healthy).await;
    }

    fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.folder.path()).env("LOOPKEY_LOG", "warn").stdin(Stdio::null());
        command
    }

    /// Runs `loopkey admin`: exit code, what it said, why it failed.
    fn admin(&self, arguments: &[&str]) -> (i32, String, String) {
        let arguments = [&["admin", "--config", "server.toml"], arguments].concat();
        let output = self.command(&arguments).output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let (code, said, fault) = self.admin(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}{fault}");
        said
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[&["--json"], arguments].concat())).expect("JSON")
    }

    async fn account(&self, name: &str) {
        let call = http().post(format!("{}/v1/enrolment-tickets", self.issuer)).bearer_auth(SERVICE_KEY);
        let answer = call.json(&json!({"account": name, "name": name})).send().await.expect("sent");
        assert_eq!(answer.status(), 201);
        trace::note_members(&answer.json().await.expect("JSON"));
    }
}

fn holds(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_administered_from_the_command_line() {
    let site = Site::start().await;
    site.account("ada").await;
    site.account("li/n").await;
    let listed = site.done(&["accounts"]);
    assert!(
        listed.starts_with("account  name  organisation  disabled  subject\nada      ada   -             false"),
        "{listed}"
    );
    assert!(site.done(&["accounts", "--limit", "1"]).contains("--after \"ada\""));
    assert!(site.done(&["set", "li/n", "--name", "Lin", "--organisation", "acme"]).contains("name: Lin"));
    assert_eq!(site.json(&["account", "li/n"])["organisation"], "acme");
    assert_eq!(site.json(&["set", "li/n", "--organisation", ""])["organisation"], Value::Null);
    assert_eq!(site.json(&["set", "ada", "--minimum-uv", "prompt"])["minimum_uv"], "prompt");
    assert!(site.done(&["disable", "ada"]).contains("cannot sign in"));
    assert_eq!(site.json(&["account", "ada"])["disabled"], true);
    assert!(site.done(&["enable", "ada"]).contains("can sign in"));
    assert!(site.done(&["sign-out", "ada"]).contains("signed out everywhere"));
    assert!(site.done(&["sign-out", "--organisation", "acme"]).contains("everybody in acme"));
    assert_eq!(site.done(&["devices", "ada"]).trim(), "nothing is there");
    assert!(site.done(&["rotate-keys"]).contains("signs from"));

    for (arguments, code, why) in [
        (&["account", "nobody"][..], 1, "no such account"),
        (&["revoke", "ada", "-x"], 1, "no such account, device"),
        (&["sign-out", "--organisation", "elsewhere"], 1, "no such account, device or organisation"),
        (&["set", "ada", "--avatar", "ftp://x"], 1, "does not take that value"),
        (&["erase", "ada"], 2, "--yes"),
        (&["sign-out"], 2, "required"),
        (&["accounts", "--limit", "0"], 2, "1..=1000"),
    ] {
        let (found, said, fault) = site.admin(arguments);
        assert_eq!((found, fault.contains(why)), (code, true), "{arguments:?}: {said}{fault}");
    }
    assert!(site.done(&["erase", "ada", "--yes"]).contains("erased"));
    let audit = site.done(&["audit", "--limit", "4"]);
    assert!(audit.contains("account_erased") && audit.contains("challenge_key_rotated"), "{audit}");
    assert!(!audit.contains(" ada "), "{audit}");

    // Without the configuration, and with the wrong key.
    std::fs::write(site.path("wrong.key"), "another service key of some length").expect("written");
    let by_address = |key: &str| {
        let arguments = ["admin", "--issuer", &site.issuer, "--service-key-file", key, "accounts"];
        site.command(&arguments).output().expect("the program runs")
    };
    assert!(by_address("service.key").status.success());
    let refused = by_address("wrong.key");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not know this service key"));
    let nothing = site.command(&["admin", "accounts"]).output().expect("the program runs");
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("--config server.toml"));
}

/// Behind a proxy that keeps these calls away, as the documents have it: by its configuration a server is called where it
/// listens, and by the public address the administrator hears what is in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_a_proxy_is_administered_where_it_listens() {
    let proxy = Nginx::start(|listen| format!("server {{ {listen} location / {{ return 404; }} }}"));
    let mut site = Site::start().await;
    let public = format!("http://{}", proxy.address);
    let toml = std::fs::read_to_string(site.path("server.toml")).expect("the configuration");
    let toml = toml.replace(&format!("issuer = \"{}\"", site.issuer), &format!("issuer = \"{public}/loopkey\""));
    std::fs::write(site.path("server.toml"), toml.replace("[\"http", &format!("[\"{public}\", \"http")))
        .expect("written");
    site.kill();
    site.issuer.push_str("/loopkey");
    site.serve().await;
    site.account("ada").await;
    assert!(site.done(&["accounts"]).contains("ada"));

    let issuer = format!("{public}/loopkey");
    let arguments = ["admin", "--issuer", &issuer, "--service-key-file", "service.key", "accounts"];
    let outside = site.command(&arguments).output().expect("the program runs");
    let said = String::from_utf8_lossy(&outside.stderr).into_owned();
    assert_eq!(
        (outside.status.code(), said.contains("a proxy in front keeps these calls away")),
        (Some(1), true),
        "{said}"
    );

    site.kill();
    let (code, _, said) = site.admin(&["accounts"]);
    assert_eq!(code, 1);
    assert!(said.contains("refused") && said.contains("where it listens: start it"), "{said}");
}

/// `loopkey admin accounts | head -1`: whoever has read enough ends the program, and that is no fault.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_to_read_to_the_end() {
    let site = Site::start().await;
    for n in 0..20 {
        site.account(&format!("person-{n}")).await;
    }
    for command in [&["accounts"][..], &["--json", "accounts"], &["audit"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = site.command(&[&["admin", "--config", "server.toml"], command].concat());
        let output = command.stdout(writer).output().expect("the program runs");
        let fault = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), fault.as_ref()), (Some(0), ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_store_is_copied_and_put_back() {
    let mut site = Site::start().await;
    for n in 0..20 {
        site.account(&format!("person-{n}")).await;
    }
    let said = site.done(&["backup", "copy"]);
    assert!(said.contains("20 accounts, 0 devices copied"), "{said}");
    assert!(holds(&site.path("copy"), "loopkey.sqlite3") && holds(&site.path("copy"), "challenge-keys"));
    site.account("too late").await;
    let again = site.admin(&["backup", "copy"]);
    assert_eq!((again.0, again.2.contains("there already")), (1, true), "{again:?}");

    let running = site.admin(&["restore", "copy"]);
    assert_eq!((running.0, running.2.contains("another process has this store open")), (1, true), "{running:?}");
    assert_eq!(site.json(&["accounts"])["accounts"].as_array().map(Vec::len), Some(21), "it goes on as it was");
    site.kill();

    let nowhere = site.admin(&["restore", "elsewhere"]);
    assert_eq!((nowhere.0, nowhere.2.contains("holds no store")), (1, true), "{nowhere:?}");
    // A copy with a torn page is found out, and the store stays.
    std::fs::create_dir(site.path("torn")).expect("a folder");
    let mut bytes = std::fs::read(site.path("copy/loopkey.sqlite3")).expect("the copy");
    let half = bytes.len() / 2;
    bytes[half..half + 4096].fill(0xa5);
    std::fs::write(site.path("torn/loopkey.sqlite3"), bytes).expect("written");
    let torn = site.admin(&["restore", "torn"]);
    assert_eq!((torn.0, torn.1.as_str()), (1, ""), "{torn:?}");
    assert!(!holds(site.folder.path(), "data.restoring") && !holds(site.folder.path(), "data.before-restore"));

    let said = site.done(&["restore", "copy"]);
    assert!(said.contains("20 accounts") && said.contains("data.before-restore"), "{said}");
    site.serve().await;
    assert_eq!(site.json(&["accounts"])["accounts"].as_array().map(Vec::len), Some(20));
}
