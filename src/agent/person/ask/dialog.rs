//! The desktop's own dialog, shown by a program that the desktop brings along. A child process can be taken away at any
//! moment by ending it, has the three buttons that are needed, and cannot take the agent with it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Once;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::dead_time::{self, DEAD_TIME};
use super::digits::DigitsQuestion;
use super::program::{Program, Start};
use super::question::{Language, Question};
use crate::agent::person::approval::{ApprovalAnswer, ApprovalPrompt};
use crate::agent::person::consent::{Answer, Asker, Prompt};

/// What such a program takes until its window is there. It does not tell, so the dead time begins this late.
const OPENING_TIME: Duration = Duration::from_millis(500);

/// Asks in a dialog of the desktop.
#[derive(Debug)]
pub(super) struct Dialog {
    announced: Once,
}

impl Default for Dialog {
    fn default() -> Self {
        Self { announced: Once::new() }
    }
}

#[async_trait]
impl Asker for Dialog {
    fn is_available(&self) -> bool {
        find().is_some()
    }

    async fn ask(&self, prompt: Prompt) -> Answer {
        let Some((program, path)) = find() else { return Answer::Unavailable };
        self.announced.call_once(|| tracing::info!(program = %path.display(), "the person is asked in a dialog"));
        let question = Question::new(&prompt, Language::of_session());
        dead_time::after(OPENING_TIME + DEAD_TIME, || show(program, &path, &question)).await
    }

    async fn approve(&self, prompt: ApprovalPrompt) -> ApprovalAnswer {
        let Some((program, path)) = find() else { return ApprovalAnswer::Unavailable };
        let question = DigitsQuestion::new(&prompt, Language::of_session());
        dead_time::after(OPENING_TIME + DEAD_TIME, || ask_digits(program, &path, &question)).await
    }
}

/// How often a dialog comes back in which something else than two digits was typed.
const TYPED_AT_MOST: usize = 5;

/// Asks for digits until two are typed, or none.
async fn ask_digits(program: Program, path: &Path, question: &DigitsQuestion) -> ApprovalAnswer {
    for _ in 0..TYPED_AT_MOST {
        let Some(start) = program.ask_digits(question) else { return ApprovalAnswer::Unavailable };
        let Some((code, said)) = run(path, start).await else { return ApprovalAnswer::Unavailable };
        if let Some(answer) = program.digits_answer(code, &said) {
            return answer;
        }
    }
    ApprovalAnswer::Deny
}

/// Shows the dialog for as long as the future is.
async fn show(program: Program, path: &Path, question: &Question) -> Answer {
    match run(path, program.start(question)).await {
        Some((code, said)) => program.answer(question, code, &said),
        None => Answer::Unavailable,
    }
}

/// How a dialog ended, and what it said.
async fn run(path: &Path, start: Start) -> Option<(Option<i32>, String)> {
    let Start { arguments, environment } = start;
    let mut command = Command::new(path);
    command.args(arguments).envs(environment).stdin(Stdio::null()).kill_on_drop(true);
    match command.output().await {
        Ok(output) => {
            let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            tracing::debug!(status = %output.status, complaint = words(&output.stderr), "the dialog ended");
            Some((output.status.code(), words(&output.stdout)))
        }
        Err(error) => {
            tracing::warn!(%error, program = %path.display(), "the dialog cannot be shown");
            None
        }
    }
}

/// The program that shows dialogs here, if there is a desktop and one is installed.
fn find() -> Option<(Program, PathBuf)> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // macOS and Windows always have a desktop.
    let has_display =
        cfg!(any(windows, target_os = "macos")) || set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY")).is_some();
    let is_kde = set("XDG_CURRENT_DESKTOP").is_some_and(|names| names.to_string_lossy().split(':').any(|n| n == "KDE"));
    let path = set("PATH").filter(|_| has_display)?;
    Program::candidates(is_kde).iter().find_map(|program| Some((*program, installed(program.file(), &path)?)))
}

/// Where a program is. Folders that depend on where the agent was started are passed over.
fn installed(file: &str, path: &OsStr) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(file)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_taken_from_absolute_folders_only() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("zenity"), "").expect("written");
        let path = |folders: &[&Path]| std::env::join_paths(folders).expect("a path");
        let elsewhere = Path::new("/nowhere");
        let found = folder.path().join("zenity");
        assert_eq!(installed("zenity", &path(&[elsewhere, folder.path()])), Some(found));
        assert_eq!(installed("kdialog", &path(&[elsewhere, folder.path()])), None);
        // This file is there, seen from the package's folder, where tests run.
        assert_eq!(installed("Cargo.toml", &path(&[Path::new("."), Path::new("")])), None);
    }
}
