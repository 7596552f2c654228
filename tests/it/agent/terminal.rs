//! The prompt in a terminal: the agent runs in a real one, made by `script`.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::message::AgentMessage;
use serde_json::json;

use super::program::{Program, soon, until};

/// The dead time and a little. The person reads.
const READING_TIME: Duration = Duration::from_millis(600);

/// What a person sees in the terminal, and their keyboard.
struct Terminal {
    agent: Program,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts the agent in a terminal of its own; `line` is the shell's, with `AGENT` for the command.
    async fn open(settings: &str, line: &str) -> Self {
        let start = |program: &str, arguments: [&str; 3]| {
            let mut command = Command::new("script");
            let line = line.replace("AGENT", &format!("'{program}' {}", arguments.join(" ")));
            command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
            command.env("LOOPKEY_LOG", "warn").env("LC_ALL", "C.UTF-8").env("DISPLAY", "").env("WAYLAND_DISPLAY", "");
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            command
        };
        let mut agent = Program::start(settings, "", start).await;
        let keyboard = agent.process.0.stdin.take().expect("a pipe");
        let mut paper = agent.process.0.stdout.take().expect("a pipe");
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            let mut text = Vec::new();
            while let Ok(len @ 1..) = paper.read(&mut bytes) {
                text.extend_from_slice(&bytes[..len]);
                *shown.lock().expect("unpoisoned") = String::from_utf8_lossy(&text).into_owned();
            }
        });
        Self { agent, keyboard, screen }
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.keyboard, "{line}").expect("typed");
    }

    /// Waits until the terminal shows a text so often.
    async fn shows(&self, text: &str, times: usize) {
        let count = || self.screen.lock().expect("unpoisoned").matches(text).count();
        until(&format!("{text:?} on the terminal, {times} times"), async || count() >= times).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_asks_where_there_is_no_desktop() {
    let mut terminal = Terminal::open("", "AGENT").await;
    // Typed before there was a question.
    terminal.type_line("y");
    for (prompt, line, token) in [(1, "n", false), (2, "y", true), (3, "a", true)] {
        let (mut page, digits) = terminal.agent.page_that_asks().await;
        terminal.shows("[y/a/N]", prompt).await;
        terminal.shows(&format!("│ Number: {digits}"), 1).await;
        terminal.shows("│ Account: ada of the test", prompt).await;
        tokio::time::sleep(READING_TIME).await;
        terminal.type_line(line);
        match soon("an answer", page.next()).await.expect("an answer") {
            AgentMessage::Token { .. } => assert!(token, "{line}"),
            AgentMessage::Refused { code: RefusalCode::Denied, .. } => assert!(!token, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    let grants = terminal.agent.control.call("grants.list", &json!({})).await.expect("a list");
    assert_eq!(grants["grants"].as_array().map(Vec::len), Some(1), "the last answer was for good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_in_the_terminal_says_that_it_is_over() {
    let terminal = Terminal::open("ask = \"terminal\"", "AGENT").await;
    let (page, _) = terminal.agent.page_that_asks().await;
    terminal.shows("[y/a/N]", 1).await;
    drop(page);
    terminal.shows("╰ Nobody waits for an answer any more.", 1).await;
}

/// A job in the background that reads from its terminal is stopped by the system.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_background_the_terminal_is_left_to_the_shell() {
    let mut terminal = Terminal::open("ask = \"terminal\"", "trap 'kill %1' EXIT HUP; set -m; AGENT & wait").await;
    terminal.type_line("for the shell");
    let (mut browser, mut page) = terminal.agent.open_page().await;
    let (answer, digits) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::Unavailable, .. }), "{answer:?}");
    assert_eq!(digits, None);
}
