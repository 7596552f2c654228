//! A prompt in the terminal that the agent was started in by hand.
//!
//! It reads only while a prompt is open and the agent is in the foreground: a job in the background that reads from its
//! terminal is stopped by the system (POSIX, General Terminal Interface, 11.1.4), and what is typed then is the shell's.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Once;

use async_trait::async_trait;
use futures::stream::{self, Stream, StreamExt as _};
use rustix::fs::{Mode, OFlags};
use rustix::termios;
use tokio::net::unix::pipe;

use super::dead_time::DEAD_TIME;
use super::digits::{DigitsQuestion, typed};
use super::question::{Language, Question};
use crate::agent::person::approval::{ApprovalAnswer, ApprovalPrompt};
use crate::agent::person::consent::{Answer, Asker, Prompt};

/// Longest line that is read; a terminal gives at most 4096 bytes at once.
const LINE_MAX_LEN: usize = 4096;

/// Asks in the terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    announced: Once,
}

impl Default for Terminal {
    fn default() -> Self {
        Self { announced: Once::new() }
    }
}

#[async_trait]
impl Asker for Terminal {
    fn is_available(&self) -> bool {
        is_ours()
    }

    async fn ask(&self, prompt: Prompt) -> Answer {
        self.announced.call_once(|| tracing::info!("the person is asked in this terminal"));
        let keyboard = match open() {
            Ok(keyboard) => keyboard,
            Err(error) => {
                tracing::warn!(%error, "the terminal cannot be read");
                return Answer::Unavailable;
            }
        };
        let question = Question::new(&prompt, Language::of_session());
        let lines = stream::unfold(keyboard, async |keyboard| Some((next_line(&keyboard).await?, keyboard)));
        converse(&question, lines, io::stderr()).await
    }

    async fn approve(&self, prompt: ApprovalPrompt) -> ApprovalAnswer {
        let keyboard = match open() {
            Ok(keyboard) => keyboard,
            Err(error) => {
                tracing::warn!(%error, "the terminal cannot be read");
                return ApprovalAnswer::Unavailable;
            }
        };
        let question = DigitsQuestion::new(&prompt, Language::of_session());
        let lines = stream::unfold(keyboard, async |keyboard| Some((next_line(&keyboard).await?, keyboard)));
        ask_digits(&question, lines, io::stderr()).await
    }
}

/// Whether the agent was started by hand in a terminal and is in its foreground.
fn is_ours() -> bool {
    let stdin = io::stdin();
    stdin.is_terminal()
        && io::stderr().is_terminal()
        && termios::tcgetpgrp(stdin.as_fd()).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// The terminal once more: what is set on standard input itself would be set for the shell too. What was typed before
/// the prompt is thrown away.
fn open() -> io::Result<pipe::Receiver> {
    let name = termios::ttyname(io::stdin().as_fd(), Vec::new())?;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let terminal =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    termios::tcflush(&terminal, termios::QueueSelector::IFlush)?;
    // Tokio's only reader for a file that can be waited for. It reads from anything.
    pipe::Receiver::from_file_unchecked(terminal.into())
}

/// The next line that is typed; `None` where the terminal is gone or no longer ours.
async fn next_line(keyboard: &pipe::Receiver) -> Option<String> {
    let mut line = [0; LINE_MAX_LEN];
    loop {
        keyboard.readable().await.ok()?;
        if !is_ours() {
            return None;
        }
        match keyboard.try_read(&mut line) {
            Ok(0) => return None,
            Ok(len) => return Some(String::from_utf8_lossy(&line[..len]).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

/// Puts the question for a yes or no.
async fn converse(question: &Question, lines: impl Stream<Item = String>, out: impl Write) -> Answer {
    let can_remember = question.always_allow.is_some();
    let keys = if can_remember { "[y/a/N] " } else { "[y/N] " };
    let paper = Paper { withdrawn: question.withdrawn, keys, out, is_over: false };
    let read = |line: &str| match line {
        "y" | "Y" => Some(Answer::Allow { remember: false }),
        "a" | "A" if can_remember => Some(Answer::Allow { remember: true }),
        "" | "n" | "N" => Some(Answer::Deny),
        _ => None,
    };
    paper.put(&framed(question), lines, read).await.unwrap_or(Answer::Unavailable)
}

/// Puts the question for the digits: two digits approve, an empty line or `n` denies.
async fn ask_digits(question: &DigitsQuestion, lines: impl Stream<Item = String>, out: impl Write) -> ApprovalAnswer {
    let keys = format!("[00-99/n: {}] ", question.deny);
    let paper = Paper { withdrawn: question.withdrawn, keys: &keys, out, is_over: false };
    let rows = question.rows.iter().map(|(label, value)| format!("{label}: {value}"));
    let around = [question.heading.clone(), String::new()].into_iter().chain(rows);
    let text = in_frame(around.chain([String::new(), question.advice.to_owned()]));
    let read = |line: &str| match line {
        "" | "n" | "N" => Some(ApprovalAnswer::Deny),
        digits => typed(digits),
    };
    paper.put(&text, lines, read).await.unwrap_or(ApprovalAnswer::Unavailable)
}

/// What the prompt is written on. Dropped before there was an answer, it says that none is wanted any more.
struct Paper<'a, W: Write> {
    withdrawn: &'a str,
    keys: &'a str,
    out: W,
    is_over: bool,
}

impl<W: Write> Paper<'_, W> {
    /// Puts a question and reads until a line is an answer to it; nothing where no line comes any more. Lines that come in the
    /// dead time are as if they had not.
    async fn put<T>(
        mut self,
        text: &str,
        lines: impl Stream<Item = String>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.write(text);
        self.ask();
        let dead_time = tokio::time::sleep(DEAD_TIME);
        tokio::pin!(dead_time, lines);
        let mut counts = false;
        let answer = loop {
            let line = tokio::select! {
                biased;
                () = &mut dead_time, if !counts => {
                    counts = true;
                    continue;
                }
                line = lines.next() => line,
            };
            match line.map(|line| read(line.trim())) {
                None => break None,
                Some(Some(answer)) if counts => break Some(answer),
                Some(_) => self.ask(),
            }
        };
        self.is_over = true;
        answer
    }

    /// Nothing can be done about a terminal that takes no text; the minute ends the prompt.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }

    fn ask(&mut self) {
        let asked = format!("╰ {}", self.keys);
        self.write(&asked);
    }
}

impl<W: Write> Drop for Paper<'_, W> {
    fn drop(&mut self) {
        if !self.is_over {
            let notice = format!("\n╰ {}\n", self.withdrawn);
            self.write(&notice);
        }
    }
}

/// The question in a frame that only opens to the right: how wide a letter is, only the terminal knows.
fn framed(question: &Question) -> String {
    let choices = [("y", Some(question.allow_once)), ("a", question.always_allow), ("n", Some(question.deny))];
    let choices = choices.iter().filter_map(|(key, label)| Some(format!("{key}: {}", (*label)?)));
    let rows = question.rows().chain([&question.number]).map(|(label, value)| format!("{label}: {value}"));
    let text = [question.heading.clone(), String::new()].into_iter().chain(rows).chain([
        String::new(),
        question.advice.to_owned(),
        choices.collect::<Vec<_>>().join("   "),
    ]);
    in_frame(text)
}

fn in_frame(text: impl Iterator<Item = String>) -> String {
    let text = text.collect::<Vec<_>>().join("\n");
    let framed: String = text.lines().map(|line| format!("│ {line}\n")).collect();
    format!("\n╭ Loopkey\n{framed}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::stream;

    use super::super::digits::typed as typed_digits;
    use super::super::question::prompt;
    use super::*;

    /// What comes of lines that are typed after these pauses, in milliseconds, and what the terminal showed.
    async fn typed(can_remember: bool, lines: &[(u64, &str)]) -> (Answer, String) {
        let mut asked = prompt("Ada");
        asked.can_remember = can_remember;
        let question = Question::new(&asked, Language::English);
        let lines = stream::iter(lines).then(async |(pause, line)| {
            tokio::time::sleep(Duration::from_millis(*pause)).await;
            format!("{line}\n")
        });
        let mut out = Vec::new();
        let answer = converse(&question, lines, &mut out).await;
        (answer, String::from_utf8(out).expect("text"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_an_answer_and_nothing_else_is() {
        let (once, always) = (Answer::Allow { remember: false }, Answer::Allow { remember: true });
        for (can_remember, lines, answer, asked) in [
            (true, &[(501, "y")][..], once, 1),
            (true, &[(501, "a")], always, 1),
            (true, &[(501, " N ")], Answer::Deny, 1),
            (true, &[(501, "")], Answer::Deny, 1),
            (true, &[(501, "yes"), (1, "what?"), (1, "n")], Answer::Deny, 3),
            (true, &[(499, "y"), (2, "n")], Answer::Deny, 2),
            (true, &[(0, "y"), (0, "y"), (0, "y"), (0, "y"), (600, "y")], once, 5),
            (false, &[(501, "a"), (1, "n")], Answer::Deny, 2),
            (true, &[], Answer::Unavailable, 1),
        ] {
            let (given, shown) = typed(can_remember, lines).await;
            assert_eq!((given, shown.matches("/N] ").count()), (answer, asked), "{lines:?}: {shown}");
            assert_eq!(shown.contains("a: Always allow"), can_remember, "{shown}");
            for part in ["Sign in to https://app.example?", "Account: Ada", "Browser: Firefox", "Number: 47"] {
                assert!(shown.contains(&format!("│ {part}\n")), "{part} is missing: {shown}");
            }
            assert!(!shown.contains("Nobody waits"), "{shown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_digits_approve_and_nothing_else_does() {
        let prompt = ApprovalPrompt {
            origin: "https://app.example".parse().expect("an origin"),
            subject: "s".parse().expect("a subject"),
            name: "Ada\u{1b}[2J".to_owned(),
            browser: Some("Firefox on Windows".to_owned()),
            place: crate::protocol::order::Place::Local,
            seconds: 60,
        };
        let question = DigitsQuestion::new(&prompt, Language::English);
        let approve = |digits: &str| typed_digits(digits).expect("two digits");
        for (lines, answer) in [
            (&[(501, "47")][..], approve("47")),
            (&[(501, "yes"), (1, "4"), (1, "470"), (1, "07")], approve("07")),
            (&[(100, "47"), (500, "n")], ApprovalAnswer::Deny),
            (&[(501, "")], ApprovalAnswer::Deny),
            (&[], ApprovalAnswer::Unavailable),
        ] {
            let typed = stream::iter(lines).then(async |(pause, line)| {
                tokio::time::sleep(Duration::from_millis(*pause)).await;
                format!("{line}\n")
            });
            let mut out = Vec::new();
            assert_eq!(ask_digits(&question, typed, &mut out).await, answer, "{lines:?}");
            let shown = String::from_utf8(out).expect("text");
            for part in ["https://app.example", "Ada", "Firefox on Windows", "a local network"] {
                assert!(shown.contains(part), "{part} is missing: {shown}");
            }
            assert!(!shown.contains('\u{1b}'), "{shown:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_prompt_that_is_taken_away_says_so() {
        let question = Question::new(&prompt("Ada"), Language::English);
        let mut out = Vec::new();
        let nobody = converse(&question, stream::pending(), &mut out);
        assert!(tokio::time::timeout(Duration::from_secs(1), nobody).await.is_err());
        assert!(String::from_utf8_lossy(&out).ends_with("\n╰ Nobody waits for an answer any more.\n"));
    }

    #[test]
    fn a_name_cannot_paint_the_terminal() {
        // Clear the screen, go up a line, forge an answer in the frame, set the window's title.
        let hostile = "Ada\u{1b}[2J\u{1b}[1A\r\u{9b}1A\n╰ [y/N] y\u{7}\u{1b}]0;x\u{7}\u{2028}\u{85}";
        let mut asked = prompt(hostile);
        asked.browser = Some(hostile.to_owned());
        let shown = framed(&Question::new(&asked, Language::Chinese));
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        let tame = framed(&Question::new(&prompt("Ada"), Language::Chinese));
        assert_eq!(shown.lines().count(), tame.lines().count(), "{shown}");
    }
}
