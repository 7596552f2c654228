//! A full disk: whoever asks for a change is told so, what was acknowledged stays, reading goes on, and so does all else
//! once there is room again. The real program, on a small disk in a mount namespace of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::commands::until;
use crate::hostile::puppet::{ROOT, loopkey, run_as};
use crate::support::places::free_places;
use crate::support::trace;
use crate::support::world::http;

const SERVICE_KEY: &str = "a service key for a full disk";

/// Makes a small disk where the store will be, says who it is, and becomes the server.
const IN_A_NAMESPACE: &str = r#"set -e
cd "$1"; mount -t tmpfs -o size=2m,mode=700 tmpfs data
echo $$ > pid; exec "$2" --log warn serve --config server.toml"#;

struct Site {
    folder: tempfile::TempDir,
    issuer: String,
    server: Child,
}

impl Drop for Site {
    fn drop(&mut self) {
        // One that `sudo` started is root's to end.
        if let Some(pid) = self.pid() {
            let _ = run_as(ROOT, Path::new("kill")).args(["-KILL", &pid]).status();
        }
        let _ = self.server.wait();
    }
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_places().site;
        let issuer = format!("http://127.0.0.1:{port}");
        std::fs::write(folder.path().join("service.key"), SERVICE_KEY).expect("written");
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        let toml = format!(
            "issuer = \"{issuer}\"\nlisten = \"127.0.0.1:{port}\"\norigins = [\"{issuer}\"]\nstore = \"embedded:data\"\n\
             service_key_file = \"service.key\"\ndevelopment = true\n"
        );
        std::fs::write(folder.path().join("server.toml"), toml).expect("written");
        trace::note(SERVICE_KEY);
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut command = run_as(ROOT, Path::new("unshare"));
        command.args(["--mount", "--", "sh", "-c", IN_A_NAMESPACE, "sh"]).arg(folder.path()).arg(loopkey());
        let server = command.stdin(Stdio::null()).stderr(log).spawn().expect("unshare runs (it takes root, or sudo)");
        let site = Self { folder, issuer, server };
        until("a server on a small disk", || async { site.status("/readyz").await == Some(200) }).await;
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pid(&self) -> Option<String> {
        std::fs::read_to_string(self.path("pid")).ok().map(|pid| pid.trim().to_owned())
    }

    async fn status(&self, path: &str) -> Option<u16> {
        http().get(format!("{}{path}", self.issuer)).send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// Says that there is an account that takes 2 KiB.
    async fn account(&self, n: usize) -> reqwest::Response {
        let picture = format!("https://cdn.example.com/{}", "p".repeat(1900));
        let profile = json!({ "account": format!("person-{n}"), "name": "x".repeat(60), "avatar": picture });
        let call = http().post(format!("{}/v1/enrolment-tickets", self.issuer)).bearer_auth(SERVICE_KEY);
        call.json(&profile).send().await.expect("an answer")
    }

    async fn accounts(&self) -> usize {
        let mut found = 0;
        let mut after = String::new();
        loop {
            let call = http().get(format!("{}/v1/accounts?limit=1000{after}", self.issuer)).bearer_auth(SERVICE_KEY);
            let page: Value = call.send().await.expect("an answer").json().await.expect("JSON");
            found += page["accounts"].as_array().expect("accounts").len();
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return found,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_loses_nothing_and_is_over_when_there_is_room() {
    let site = Site::start().await;
    let mut acknowledged = 0;
    let refused = loop {
        let answer = site.account(acknowledged).await;
        if answer.status() != 201 {
            break answer;
        }
        trace::note_members(&answer.json().await.expect("JSON"));
        acknowledged += 1;
        assert!(acknowledged < 5_000, "the disk is not small");
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.text().await.expect("a body"), r#"{"error":"unavailable"}"#);
    assert_eq!(site.accounts().await, acknowledged, "what was acknowledged is there, and nothing else");
    assert_eq!(site.status("/healthz").await, Some(200), "the process lives");
    let log = std::fs::read_to_string(site.path("log")).expect("a log");
    assert!(log.contains("the disk is full: free space there"), "{log}");

    let pid = site.pid().expect("the server's");
    let mut remount = run_as(ROOT, Path::new("nsenter"));
    remount.args(["-t", &pid, "-m", "--", "mount", "-o", "remount,size=32m"]).arg(site.path("data"));
    assert!(remount.status().expect("nsenter runs").success());
    assert_eq!(site.account(acknowledged).await.status(), 201);
    assert_eq!(site.accounts().await, acknowledged + 1);
    assert_eq!(site.status("/readyz").await, Some(200));
}
