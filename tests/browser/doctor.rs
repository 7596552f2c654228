//! `loopkey doctor` finds a denied permission in the profiles that real browsers wrote.

use std::path::Path;
use std::process::Stdio;

use axum::response::Html;
use axum::routing::get;
use loopkey::protocol::origin::Origin;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::desk::SOON;
use crate::support::browser::{Browser, Engine, LaunchOptions, Permission};
use crate::support::places::free_places;
use crate::support::world::{RunningAgent, Server, TestAsker, settings};

/// A page that opens a socket to the agent as soon as it is there, as the browser's person would not want it.
async fn page(agent: u16) -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let html = format!("<!doctype html><title>page</title><script>new WebSocket('ws://127.0.0.1:{agent}/v1')</script>");
    let router = axum::Router::new().route("/", get(async move || Html(html)));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    origin.parse().expect("an origin")
}

/// An agent for that page, and the page.
async fn agent_and_page(folder: &Path, server: &Server) -> (RunningAgent, Origin) {
    let mut settings = settings(folder, &server.issuer);
    settings.ports = free_places().agent;
    let agent_port = settings.ports[0];
    settings.origins[0].origin = page(agent_port).await;
    let origin = settings.origins[0].origin.clone();
    // The one that pages are told of, not any: the page is there before the agent.
    let agent = loopkey::agent::Agent::builder(settings).asker(TestAsker::new(None));
    (RunningAgent::run_on_its_port(agent).await, origin)
}

/// What the program says where the person's home is here, as soon as it speaks of a browser that denies.
async fn denials(folder: &Path, home: &Path) -> Vec<Value> {
    let started = tokio::time::Instant::now();
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
        command.args(["doctor", "--json", "--control"]).arg(folder.join("run").join("control.sock"));
        command.env("HOME", home).env("XDG_CONFIG_HOME", home).env("LOOPKEY_LOG", "error").stdin(Stdio::null());
        let output = command.output().await.expect("the program runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("a list").iter();
        let denials: Vec<_> = findings.filter(|finding| finding["code"] == "browser_denied").cloned().collect();
        if !denials.is_empty() {
            assert_eq!(output.status.code(), Some(1), "{report:#}");
            return denials;
        }
        // Browsers write their profiles some seconds after something has changed.
        assert!(started.elapsed() < 4 * SOON, "no denial is found: {report:#}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_permission_that_chromium_denies_is_found_in_its_profile() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let (agent, origin) = agent_and_page(folder.path(), &server).await;
    // Without a window Chromium answers its own question with Block, and keeps that as if a person had said it.
    let public = format!("--ip-address-space-overrides={}=public", origin.as_str().trim_start_matches("http://"));
    let options = LaunchOptions::default().argument(public).start_page(origin.as_str());
    let browser = Browser::launch(Engine::Chromium, options).await.expect("Chromium");
    let denials = denials(folder.path(), browser.home()).await;
    let [denial] = &denials[..] else { panic!("{denials:#?}") };
    let details = &denial["details"];
    assert_eq!((&details["browser"], &details["profile"]), (&"Chromium".into(), &"Default".into()), "{denial:#}");
    assert_eq!(details["origin"], origin.as_str());
    assert!(denial["cure"].as_str().expect("a cure").contains("allow access to other apps and services"), "{denial:#}");
    agent.stop().await;
}

#[tokio::test]
async fn a_permission_that_firefox_denies_is_found_in_its_profile() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let (agent, origin) = agent_and_page(folder.path(), &server).await;
    let browser = Browser::launch(Engine::Firefox, LaunchOptions::default()).await.expect("Firefox");
    let context = browser.new_context().await.expect("a context");
    context
        .set_permission(origin.as_str(), "loopback-network", Permission::Denied)
        .await
        .expect("the permission is set");
    let home = tempfile::tempdir().expect("a home");
    let profiles = home.path().join(".mozilla").join("firefox");
    std::fs::create_dir_all(&profiles).expect("made");
    std::os::unix::fs::symlink(browser.home().join("firefox"), profiles.join("x.default")).expect("linked");
    let denials = denials(folder.path(), home.path()).await;
    let [denial] = &denials[..] else { panic!("{denials:#?}") };
    assert_eq!(
        (&denial["details"]["browser"], &denial["details"]["profile"]),
        (&"Firefox".into(), &"x.default".into())
    );
    agent.stop().await;
}
