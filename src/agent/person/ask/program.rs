//! The programs that show a question on a desktop: what each is started with, and what its end means. Pure.
//!
//! No shell is involved. What comes from elsewhere is never an argument of its own that could be taken for an option, and
//! never markup: it is the rest of a `--text=`, escaped, or an argument behind `--`, or a variable of the environment.

use super::question::Question;
use crate::agent::person::consent::Answer;
use crate::protocol::limits::CONSENT_TIMEOUT;

pub(super) const TITLE: &str = "Loopkey";

/// A program that can show a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// GNOME's and most others'.
    Zenity,
    /// KDE's. Its question with buttons has the consent as default; its list begins with what we say.
    Kdialog,
    /// macOS. Compiled and never run.
    Osascript,
    /// Windows, with the system's own two buttons. Compiled and never run.
    Powershell,
}

/// How a program is started.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Program {
    /// The ones to look for, the first to be taken first.
    pub(super) const fn candidates(is_kde: bool) -> &'static [Self] {
        match (cfg!(windows), cfg!(target_os = "macos"), is_kde) {
            (true, ..) => &[Self::Powershell],
            (_, true, _) => &[Self::Osascript],
            (_, _, true) => &[Self::Kdialog, Self::Zenity],
            (_, _, false) => &[Self::Zenity, Self::Kdialog],
        }
    }

    /// Its file's name.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Zenity => "zenity",
            Self::Kdialog => "kdialog",
            Self::Osascript => "osascript",
            Self::Powershell => "powershell.exe",
        }
    }

    /// What it is started with to show a question.
    pub(super) fn start(self, question: &Question) -> Start {
        match self {
            Self::Zenity => zenity(question),
            Self::Kdialog => kdialog(question),
            Self::Osascript => osascript(question),
            Self::Powershell => powershell(question),
        }
    }

    /// What it means that the program ended with this code and these words. Whatever is not clearly a yes is a no.
    pub(super) fn answer(self, question: &Question, code: Option<i32>, said: &str) -> Answer {
        let said = said.trim_end();
        let once = match self {
            Self::Zenity => code == Some(0),
            Self::Kdialog => code == Some(0) && said == "once",
            Self::Osascript => code == Some(0) && said == question.allow_once,
            Self::Powershell => code == Some(1),
        };
        let always = question.always_allow.is_some_and(|label| match self {
            Self::Zenity => code == Some(1) && said == label,
            Self::Kdialog => code == Some(0) && said == "always",
            Self::Osascript => code == Some(0) && said == label,
            Self::Powershell => false,
        });
        if once || always { Answer::Allow { remember: always } } else { Answer::Deny }
    }
}

/// `zenity --question`: a press on the extra button ends with 1 and says its label, as cancelling does with nothing.
fn zenity(question: &Question) -> Start {
    let rows: String =
        question.rows().map(|(label, name)| format!("{}:  {}\n", escaped(label), escaped(name))).collect();
    let text = format!(
        "<span size='large' weight='bold'>{}</span>\n\n{rows}\n<span size='xx-large' weight='bold'>{}</span>\n\n{}",
        escaped(&question.heading),
        escaped(&question.number.1),
        escaped(question.advice),
    );
    let mut arguments = vec![
        "--question".to_owned(),
        "--default-cancel".to_owned(),
        "--icon-name=dialog-password".to_owned(),
        // The lines are broken already, and a window that wraps them is wider than it need be.
        "--no-wrap".to_owned(),
        // Should the agent be killed, its dialog does not stay for good.
        format!("--timeout={}", CONSENT_TIMEOUT.as_secs() + 1),
        format!("--title={TITLE}"),
        format!("--text={text}"),
        format!("--ok-label={}", question.allow_once),
        format!("--cancel-label={}", question.deny),
    ];
    arguments.extend(question.always_allow.map(|label| format!("--extra-button={label}")));
    // GLib reads arguments in the session's character set; ours are UTF-8 in any session.
    Start { arguments, environment: vec![("CHARSET", "UTF-8".to_owned())] }
}

/// `kdialog --radiolist`: OK says the chosen row's tag, cancelling ends with 1.
fn kdialog(question: &Question) -> Start {
    let rows: Vec<_> = question.rows().map(|(label, name)| format!("{}: {}", escaped(label), escaped(name))).collect();
    let rows = rows.join("<br>");
    let text = format!(
        "<qt><h3>{}</h3><p>{rows}</p><h1>{}</h1><p>{}</p></qt>",
        escaped(&question.heading),
        escaped(&question.number.1),
        escaped(question.advice),
    )
    .replace('\n', "<br>");
    let row = |tag: &str, label: &str, chosen: &str| [tag.to_owned(), label.to_owned(), chosen.to_owned()];
    let mut arguments = vec!["--title".to_owned(), TITLE.to_owned(), "--radiolist".to_owned(), text];
    arguments.extend(row("deny", question.deny, "on"));
    arguments.extend(row("once", question.allow_once, "off"));
    arguments.extend(question.always_allow.map(|label| row("always", label, "off")).into_iter().flatten());
    Start { arguments, environment: Vec::new() }
}

/// AppleScript gets every text as an argument of `run`, so none of it is script. Escape presses the cancel button.
fn osascript(question: &Question) -> Start {
    const SCRIPT: [&str; 6] = [
        "on run argv",
        "set choices to items 4 thru -1 of argv",
        "set answer to display dialog (item 2 of argv) with title (item 1 of argv) buttons choices \
         default button (item 3 of argv) cancel button (item 3 of argv) with icon caution",
        "return button returned of answer",
        "end run",
        "",
    ];
    let mut arguments: Vec<String> = SCRIPT.iter().flat_map(|line| ["-e".to_owned(), (*line).to_owned()]).collect();
    arguments.extend(["--".to_owned(), TITLE.to_owned(), plain(question), question.deny.to_owned()]);
    arguments.extend(question.always_allow.into_iter().chain([question.deny, question.allow_once]).map(str::to_owned));
    Start { arguments, environment: Vec::new() }
}

/// The script host's message box: 1 (OK, Cancel) + 48 (warning) + 256 (the second is the default) + 4096 (in front). It
/// ends with 1 for OK, which allows once; there is no third button.
fn powershell(question: &Question) -> Start {
    const SCRIPT: &str = "exit (New-Object -ComObject WScript.Shell).Popup($env:LOOPKEY_TEXT, [int]$env:LOOPKEY_SECONDS, \
                          $env:LOOPKEY_TITLE, 4401)";
    let text = format!("{}\n\nOK: {}", plain(question), question.allow_once);
    Start {
        arguments: ["-NoProfile", "-NonInteractive", "-WindowStyle", "Hidden", "-Command", SCRIPT]
            .map(str::to_owned)
            .into(),
        environment: vec![
            ("LOOPKEY_TEXT", text),
            ("LOOPKEY_TITLE", TITLE.to_owned()),
            ("LOOPKEY_SECONDS", (CONSENT_TIMEOUT.as_secs() + 1).to_string()),
        ],
    }
}

/// The question for programs that know no markup.
fn plain(question: &Question) -> String {
    let rows: String =
        question.rows().chain([&question.number]).map(|(label, value)| format!("{label}: {value}\n")).collect();
    format!("{}\n\n{rows}\n{}", question.heading, question.advice)
}

/// Text for Pango's markup and for Qt's. The backslash too: zenity undoes C's escapes before it reads the markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '<' | '>' | '"' | '\'' | '\\' => escaped.push_str(&format!("&#{};", u32::from(letter))),
            plain => escaped.push(plain),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::question::{Language, prompt};
    use super::*;

    const ALL: [Program; 4] = [Program::Zenity, Program::Kdialog, Program::Osascript, Program::Powershell];

    /// A name that is an option, markup, an escape and a script at once.
    const HOSTILE: &str = "--ok-label=x</span>&lt;\\n\" & (do shell script \"id\") '$(id)'";

    fn question(name: &str, can_remember: bool) -> Question {
        let mut prompt = prompt(name);
        prompt.can_remember = can_remember;
        Question::new(&prompt, Language::English)
    }

    #[test]
    fn a_name_stays_a_name() {
        let hostile = question(HOSTILE, true);
        let tame = question("Ada", true);
        for program in ALL {
            let (with, without) = (program.start(&hostile), program.start(&tame));
            assert_eq!(with.arguments.len(), without.arguments.len(), "{program:?}");
            // One place at most tells the two apart: the text.
            let differing: Vec<_> = with.arguments.iter().zip(&without.arguments).filter(|(a, b)| a != b).collect();
            assert!(differing.len() <= 1, "{program:?}: {differing:#?}");
            for (argument, _) in differing {
                let is_text = argument.starts_with("--text=") || !argument.starts_with('-');
                assert!(is_text, "{program:?}: {argument}");
            }
        }
        for program in [Program::Zenity, Program::Kdialog] {
            let arguments = program.start(&hostile).arguments.concat();
            assert!(!arguments.contains("x</span>") && !arguments.contains('\\'), "{arguments}");
            let shown = "--ok-label=x&#60;/span&#62;&#38;lt;&#92;n&#34; &#38;";
            assert!(arguments.contains(shown), "{arguments}");
        }
        let script = Program::Osascript.start(&hostile).arguments;
        let end = script.iter().position(|argument| argument == "--").expect("an end of the options");
        assert!(script[..end].iter().all(|argument| !argument.contains("ok-label")));
    }

    #[test]
    fn every_program_shows_everything() {
        for program in ALL {
            let Start { arguments, environment } = program.start(&question("Ada", true));
            let shown =
                arguments.into_iter().chain(environment.into_iter().map(|(_, value)| value)).collect::<String>();
            for part in ["https://app.example", "Ada", "Firefox", "47", "Allow once"] {
                assert!(shown.contains(part), "{program:?} does not show {part}: {shown}");
            }
            let offers_always = shown.contains("Always allow");
            assert_eq!(offers_always, program != Program::Powershell, "{program:?}");
            let strict = program.start(&question("Ada", false));
            assert!(!strict.arguments.concat().contains("Always allow"), "{program:?}");
        }
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        let (once, always) = (Answer::Allow { remember: false }, Answer::Allow { remember: true });
        for (program, code, said, answer) in [
            (Program::Zenity, Some(0), "", once),
            (Program::Zenity, Some(1), "Always allow\n", always),
            (Program::Zenity, Some(1), "", Answer::Deny),
            (Program::Zenity, Some(5), "", Answer::Deny),
            (Program::Zenity, None, "", Answer::Deny),
            (Program::Kdialog, Some(0), "once\n", once),
            (Program::Kdialog, Some(0), "always\n", always),
            (Program::Kdialog, Some(0), "deny\n", Answer::Deny),
            (Program::Kdialog, Some(0), "", Answer::Deny),
            (Program::Kdialog, Some(1), "once\n", Answer::Deny),
            (Program::Osascript, Some(0), "Allow once\n", once),
            (Program::Osascript, Some(0), "Always allow\n", always),
            (Program::Osascript, Some(1), "Allow once\n", Answer::Deny),
            (Program::Powershell, Some(1), "", once),
            (Program::Powershell, Some(2), "", Answer::Deny),
            (Program::Powershell, Some(-1), "", Answer::Deny),
        ] {
            assert_eq!(program.answer(&question("Ada", true), code, said), answer, "{program:?} {code:?} {said:?}");
        }
        for (program, code, said) in [
            (Program::Zenity, 1, "Always allow"),
            (Program::Kdialog, 0, "always"),
            (Program::Osascript, 0, "Always allow"),
        ] {
            let strict = question("Ada", false);
            assert_eq!(program.answer(&strict, Some(code), said), Answer::Deny, "{program:?}: it was not offered");
        }
    }

    #[test]
    fn the_desktops_own_program_comes_first() {
        if cfg!(target_os = "linux") {
            assert_eq!(Program::candidates(true)[0], Program::Kdialog);
            assert_eq!(Program::candidates(false)[0], Program::Zenity);
        }
    }
}
