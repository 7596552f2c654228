//! The agent's own dialog: a real one, on a display of the test's own, answered with keys. What it looks like goes to
//! `target/screenshots/`.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::message::AgentMessage;
use serde_json::{Value, json};

use super::program::{Program, Running, output, soon, until};
use crate::support::world::TestBrowser;

/// What the agent thinks a window takes to open, the dead time, and a little. The person reads.
const READING_TIME: Duration = Duration::from_millis(1200);

/// A display that nobody sees.
struct Display {
    name: String,
    _server: Running,
}

impl Display {
    fn open() -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Running::start(&mut command, "xvfb");
        let mut number = String::new();
        BufReader::new(server.0.stdout.take().expect("a pipe")).read_line(&mut number).expect("a display");
        Self { name: format!(":{}", number.trim()), _server: server }
    }

    fn xdotool(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("xdotool");
        command.args(arguments).env("DISPLAY", &self.name);
        command
    }

    fn has_dialog(&self) -> bool {
        let found = self.xdotool(&["search", "--onlyvisible", "--name", "^Loopkey$"]).output();
        !found.expect("xdotool runs: apt-get install xdotool").stdout.is_empty()
    }

    /// Waits for the dialog; returns its window.
    async fn dialog(&self) -> String {
        until("the dialog", async || self.has_dialog()).await;
        output(&mut self.xdotool(&["search", "--onlyvisible", "--name", "^Loopkey$"]), "xdotool").trim().to_owned()
    }

    /// Reads the dialog and presses keys in it.
    async fn press(&self, keys: &[&str]) {
        let window = self.dialog().await;
        tokio::time::sleep(READING_TIME).await;
        let keys = [&["windowfocus", "--sync", &window, "key"][..], keys].concat();
        output(&mut self.xdotool(&keys), "xdotool");
    }

    /// Takes a picture of everything that is on the display.
    fn picture(&self, name: &str) {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "target", "screenshots"].iter().collect();
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{name}.png"));
        let file = file.to_str().expect("text");
        let mut import = Command::new("import");
        output(import.args(["-display", &self.name, "-window", "root", "-trim", "+repage", file]), "imagemagick");
    }

    async fn agent(&self, of_origin: &str, language: &str) -> Program {
        // Whatever desktop the tests are run on.
        let variables = [("LC_ALL", language), ("WAYLAND_DISPLAY", ""), ("XDG_CURRENT_DESKTOP", "")];
        let variables = [&variables[..], &[("DISPLAY", self.name.as_str())]].concat();
        Program::with("ask = \"dialog\"", of_origin, &variables).await
    }
}

async fn remembered(agent: &Program) -> usize {
    let grants: Value = agent.control.call("grants.list", &json!({})).await.expect("a list");
    grants["grants"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_choice_in_the_dialog_is_what_it_says() {
    let display = Display::open();
    // The focus is on the no. Tab leads to the one side of it and, shifted, to the other.
    for (keys, token, kept) in [
        (&["Return"][..], false, 0),
        (&["Escape"], false, 0),
        (&["Tab", "Return"], true, 0),
        (&["shift+Tab", "Return"], true, 1),
    ] {
        let agent = display.agent("", "C.UTF-8").await;
        let (mut page, _) = agent.page_that_asks().await;
        display.press(keys).await;
        match soon("an answer", page.next()).await.expect("an answer") {
            AgentMessage::Token { .. } => assert!(token, "{keys:?}"),
            AgentMessage::Refused { code: RefusalCode::Denied, .. } => assert!(!token, "{keys:?}"),
            other => panic!("{keys:?}: {other:?}"),
        }
        assert_eq!(remembered(&agent).await, kept, "{keys:?}");
        assert!(!display.has_dialog());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialog_speaks_the_persons_language_and_a_hostile_name_is_only_a_name() {
    let display = Display::open();
    let hostile = "--extra-button=x</span> <b>Ada</b> &amp; \\n\\t\u{202e}%s";
    for (language, name, picture) in [
        ("C.UTF-8", "Ada Lovelace", "consent-en"),
        ("zh_CN.UTF-8", "林小雨", "consent-zh"),
        ("C.UTF-8", hostile, "consent-hostile-name"),
    ] {
        let agent = display.agent("", language).await;
        let profile = json!({ "presence": "signed_in", "profile": { "name": name } });
        agent.control.call("presence.set", &profile).await.expect("set");
        let (mut page, _) = agent.page_that_asks().await;
        display.dialog().await;
        tokio::time::sleep(READING_TIME).await;
        display.picture(picture);
        display.press(&["Tab", "Return"]).await;
        let answer = soon("an answer", page.next()).await;
        assert!(matches!(answer, Ok(AgentMessage::Token { .. })), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_remembered_the_dialog_offers_two_choices() {
    let display = Display::open();
    let agent = display.agent("consent = \"always\"", "C.UTF-8").await;
    let (mut page, _) = agent.page_that_asks().await;
    display.dialog().await;
    tokio::time::sleep(READING_TIME).await;
    display.picture("consent-always");
    display.press(&["Tab", "Return"]).await;
    let answer = soon("an answer", page.next()).await;
    assert!(matches!(answer, Ok(AgentMessage::Token { .. })), "{answer:?}");
    assert_eq!(remembered(&agent).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialog_goes_when_nobody_waits_for_it_any_more() {
    let display = Display::open();
    let agent = display.agent("", "C.UTF-8").await;
    let is_gone = async || !display.has_dialog();

    let (page, _) = agent.page_that_asks().await;
    display.dialog().await;
    drop(page);
    until("the end of the dialog of a page that left", is_gone).await;

    let (_page, _) = agent.page_that_asks().await;
    display.dialog().await;
    agent.control.call("presence.signOut", &json!({})).await.expect("signed out");
    until("the end of the dialog of a person who signed out", is_gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_desktop_the_dialog_cannot_be_shown() {
    let agent = Program::with("ask = \"dialog\"", "", &[("DISPLAY", ""), ("WAYLAND_DISPLAY", "")]).await;
    let (mut browser, mut page) = agent.open_page().await;
    let (answer, digits) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Unavailable, .. }), "{answer:?}");
    assert_eq!(digits, None);
    // A display that nobody serves is noticed too, by what the program does.
    let agent = Program::with("ask = \"dialog\"", "", &[("DISPLAY", ":65000"), ("WAYLAND_DISPLAY", "")]).await;
    let (mut browser, mut page) = agent.open_page().await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Unavailable, .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_that_comes_at_once_counts_for_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let (zenity, shown) = (folder.path().join("zenity"), folder.path().join("shown"));
    std::fs::write(&zenity, format!("#!/bin/sh\necho shown >> '{}'\nexit 0\n", shown.display())).expect("written");
    std::fs::set_permissions(&zenity, std::fs::Permissions::from_mode(0o755)).expect("made a program");
    let path = folder.path().to_str().expect("text");
    let agent = Program::with("ask = \"dialog\"", "", &[("DISPLAY", ":0"), ("PATH", path)]).await;
    let (mut page, _) = agent.page_that_asks().await;
    let answer = soon("an answer", page.next()).await;
    assert!(matches!(answer, Ok(AgentMessage::Refused { code: RefusalCode::Unavailable, .. })), "{answer:?}");
    assert_eq!(std::fs::read_to_string(&shown).expect("shown").lines().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digits_of_another_browser_are_typed_in_the_dialog() {
    let display = Display::open();
    for (language, picture, right) in [("C.UTF-8", "approval-en", true), ("zh_CN.UTF-8", "approval-zh", false)] {
        let agent = display.agent("", language).await;
        let mut browser = TestBrowser::of(&agent.server);
        let (status, order) = browser.post("/v1/orders", json!({ "account": "ada" })).await;
        assert_eq!(status, 201, "{order}");
        let code = order["code"].as_str().expect("digits").to_owned();
        // What are no two digits is asked for again.
        display.press(&["7", "Return"]).await;
        until("the next dialog", async || display.has_dialog()).await;
        tokio::time::sleep(READING_TIME).await;
        display.picture(picture);
        let [tens, units] = [&code[..1], &code[1..]];
        if right {
            display.press(&[tens, units, "Return"]).await;
            until("the session", async || agent.server.audit().await.contains(&"approval_given".to_owned())).await;
        } else {
            display.press(&["Escape"]).await;
            until("the refusal", async || agent.server.audit().await.contains(&"approval_denied".to_owned())).await;
        }
        let finished = browser.post("/v1/orders/finish", json!({})).await.0;
        assert_eq!(finished, if right { 204 } else { 401 });
        assert!(!display.has_dialog());
    }
}
