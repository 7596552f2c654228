//! Asking for the two digits of an order: what is said, what a program is started with to ask it, and what its end means.
//! Pure, as `question` and `program` are for the other question.

use super::program::{Program, Start, TITLE};
use super::question::{Language, lines};
use crate::agent::issuer::profile::plain_name;
use crate::agent::person::approval::{ApprovalAnswer, ApprovalPrompt};
use crate::protocol::order::{Digits, Place};

/// One question in words. No field holds a control character but line breaks of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DigitsQuestion {
    pub(super) heading: String,
    /// Label and what it is.
    pub(super) rows: Vec<(&'static str, String)>,
    pub(super) advice: &'static str,
    pub(super) approve: &'static str,
    pub(super) deny: &'static str,
    pub(super) withdrawn: &'static str,
    seconds: u64,
}

impl DigitsQuestion {
    pub(super) fn new(prompt: &ApprovalPrompt, language: Language) -> Self {
        let origin = lines(prompt.origin.as_str());
        let account = lines(&plain_name(&prompt.name));
        let browser = prompt.browser.as_deref().map(|name| lines(&plain_name(name)));
        let place = place(prompt.place, language).map(str::to_owned);
        let seconds = prompt.seconds;
        let labelled = |labels: [&'static str; 3]| {
            let values = [Some(account), browser, place];
            labels.into_iter().zip(values).filter_map(|(label, value)| Some((label, value?))).collect()
        };
        match language {
            Language::English => Self {
                heading: format!("Sign in another browser to {origin}?"),
                rows: labelled(["Account", "Browser", "Place"]),
                advice: "Only if you are signing in there yourself: type the two digits that it shows.\n\
                         Nobody who calls or writes to you needs them.",
                approve: "Approve",
                deny: "Deny",
                withdrawn: "Nobody waits for an answer any more.",
                seconds,
            },
            Language::Chinese => Self {
                heading: format!("让另一个浏览器登录 {origin}？"),
                rows: labelled(["账号", "浏览器", "位置"]),
                advice: "仅当您本人正在那里登录时，才输入那里显示的两位数字。\n任何来电或来信的人都不需要它。",
                approve: "批准",
                deny: "拒绝",
                withdrawn: "已无需回答。",
                seconds,
            },
        }
    }

    fn text(&self) -> String {
        let rows: String = self.rows.iter().map(|(label, value)| format!("{label}: {value}\n")).collect();
        format!("{}\n\n{rows}\n{}", self.heading, self.advice)
    }
}

const fn place(place: Place, language: Language) -> Option<&'static str> {
    match (place, language) {
        (Place::Here, Language::English) => Some("the login server’s own computer"),
        (Place::Local, Language::English) => Some("a local network"),
        (Place::Internet, Language::English) => Some("the Internet"),
        (Place::Here, Language::Chinese) => Some("登录服务器本机"),
        (Place::Local, Language::Chinese) => Some("本地网络"),
        (Place::Internet, Language::Chinese) => Some("互联网"),
        (Place::Unknown, _) => None,
    }
}

/// What typed text means: two digits, or none that could be them.
pub(super) fn typed(text: &str) -> Option<ApprovalAnswer> {
    Digits::try_from(text.trim().to_owned()).ok().map(ApprovalAnswer::Approve)
}

impl Program {
    /// What it is started with to ask for the digits; nothing where it cannot.
    pub(super) fn ask_digits(self, question: &DigitsQuestion) -> Option<Start> {
        let text = question.text();
        match self {
            Self::Zenity => Some(Start {
                arguments: vec![
                    "--entry".to_owned(),
                    format!("--title={TITLE}"),
                    // Here it is no markup, but C's escapes are undone, and an underscore marks a key.
                    format!("--text={}", text.replace('\\', "\\\\").replace('_', "__")),
                    format!("--timeout={}", question.seconds + 1),
                    format!("--ok-label={}", question.approve),
                    format!("--cancel-label={}", question.deny),
                ],
                environment: vec![("CHARSET", "UTF-8".to_owned())],
            }),
            Self::Kdialog => {
                // Qt guesses whether a text is markup: what could be is not.
                let plain = text.replace('<', "‹").replace('&', "＆");
                let arguments = ["--title", TITLE, "--ok-label", question.approve, "--cancel-label", question.deny];
                let arguments = arguments.into_iter().map(str::to_owned);
                Some(Start {
                    arguments: arguments.chain(["--inputbox".to_owned(), plain, String::new()]).collect(),
                    environment: Vec::new(),
                })
            }
            Self::Osascript => {
                const SCRIPT: [&str; 5] = [
                    "on run argv",
                    "set answer to display dialog (item 2 of argv) with title (item 1 of argv) default answer \"\" \
                     buttons {item 3 of argv, item 4 of argv} default button (item 4 of argv) \
                     cancel button (item 3 of argv) with icon caution",
                    "return text returned of answer",
                    "end run",
                    "",
                ];
                let script = SCRIPT.iter().flat_map(|line| ["-e".to_owned(), (*line).to_owned()]);
                let given = ["--", TITLE, &text, question.deny, question.approve].map(str::to_owned);
                Some(Start { arguments: script.chain(given).collect(), environment: Vec::new() })
            }
            Self::Powershell => None,
        }
    }

    /// What it means that the program ended with this code and these words; nothing where what was typed are not two digits.
    /// Whatever is not clearly an approval is a refusal.
    pub(super) fn digits_answer(self, code: Option<i32>, said: &str) -> Option<ApprovalAnswer> {
        if code == Some(0) { typed(said) } else { Some(ApprovalAnswer::Deny) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(name: &str) -> ApprovalPrompt {
        ApprovalPrompt {
            origin: "https://app.example".parse().expect("an origin"),
            subject: "s".parse().expect("a subject"),
            name: name.to_owned(),
            browser: Some("Firefox on Windows".to_owned()),
            place: Place::Local,
            seconds: 60,
        }
    }

    #[test]
    fn the_question_says_where_who_and_from_what_and_never_the_digits_or_an_option() {
        for language in [Language::English, Language::Chinese] {
            for program in [Program::Zenity, Program::Kdialog, Program::Osascript] {
                let start = |name| program.ask_digits(&DigitsQuestion::new(&prompt(name), language)).expect("it can");
                let (tame, hostile) = (start("Ada"), start("--ok-label=x\n\u{1b}[2J<b>_a\\n"));
                assert_eq!(tame.arguments.len(), hostile.arguments.len());
                let shown = tame.arguments.concat();
                for part in ["https://app.example", "Ada", "Firefox on Windows"] {
                    assert!(shown.contains(part), "{program:?} does not show {part}");
                }
                assert!(hostile.arguments.iter().all(|argument| !argument.starts_with("--ok-label=x")));
            }
        }
        assert_eq!(Program::Powershell.ask_digits(&DigitsQuestion::new(&prompt("Ada"), Language::English)), None);
    }

    #[test]
    fn two_digits_are_an_approval_other_text_is_asked_again_and_the_rest_is_a_refusal() {
        let approved = Digits::try_from("47".to_owned()).ok().map(ApprovalAnswer::Approve);
        for (code, said, answer) in [
            (Some(0), "47\n", approved.clone()),
            (Some(0), " 47 ", approved),
            (Some(0), "", None),
            (Some(0), "4", None),
            (Some(0), "yes", None),
            (Some(1), "47", Some(ApprovalAnswer::Deny)),
            (Some(5), "", Some(ApprovalAnswer::Deny)),
            (None, "47", Some(ApprovalAnswer::Deny)),
        ] {
            assert_eq!(Program::Zenity.digits_answer(code, said), answer, "{code:?} {said:?}");
        }
    }
}
