//! What a prompt says, in the person's language. Names come from elsewhere: they are cleaned here once more, whoever
//! brought them, and broken into lines that fit any screen, so that no long one pushes its own end out of sight.

use crate::agent::issuer::profile::plain_name;
use crate::agent::person::consent::Prompt;

/// Letters to a line of a name or an origin.
const LINE_LEN: usize = 40;

/// Languages that there are words in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// The language of the person's session.
    pub(super) fn of_session() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// The language that the environment names, by the order of POSIX (Base Definitions, 8.2).
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set).unwrap_or_default();
        if locale == "zh" || locale.starts_with("zh_") || locale.starts_with("zh.") {
            Self::Chinese
        } else {
            Self::English
        }
    }
}

/// One prompt in words. No field holds a control character; `heading`, `account` and `browser` may have line breaks of
/// our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) heading: String,
    /// Label and name.
    pub(super) account: (&'static str, String),
    /// Label and name, where it is known.
    pub(super) browser: Option<(&'static str, String)>,
    /// Label and digits.
    pub(super) number: (&'static str, String),
    pub(super) advice: &'static str,
    pub(super) allow_once: &'static str,
    /// `None` where the answer is not remembered.
    pub(super) always_allow: Option<&'static str>,
    pub(super) deny: &'static str,
    /// What is said of a prompt that nobody waits for any more.
    pub(super) withdrawn: &'static str,
}

impl Question {
    pub(super) fn new(prompt: &Prompt, language: Language) -> Self {
        let origin = lines(prompt.origin.as_str());
        let account = lines(&plain_name(&prompt.name));
        let browser = prompt.browser.as_deref().map(|name| lines(&plain_name(name)));
        let number: String = prompt.code.chars().filter(char::is_ascii_digit).collect();
        match language {
            Language::English => Self {
                heading: format!("Sign in to {origin}?"),
                account: ("Account", account),
                browser: browser.map(|name| ("Browser", name)),
                number: ("Number", number),
                advice: "Allow it only if the page shows this number too.",
                allow_once: "Allow once",
                always_allow: prompt.can_remember.then_some("Always allow"),
                deny: "Don’t allow",
                withdrawn: "Nobody waits for an answer any more.",
            },
            Language::Chinese => Self {
                heading: format!("登录 {origin}？"),
                account: ("账号", account),
                browser: browser.map(|name| ("浏览器", name)),
                number: ("数字", number),
                advice: "仅当页面显示相同数字时才允许。",
                allow_once: "允许一次",
                always_allow: prompt.can_remember.then_some("始终允许"),
                deny: "不允许",
                withdrawn: "已无需回答。",
            },
        }
    }

    /// The labelled names, in the order in which they are shown.
    pub(super) fn rows(&self) -> impl Iterator<Item = &(&'static str, String)> {
        std::iter::once(&self.account).chain(&self.browser)
    }
}

/// The text with a line break after each [`LINE_LEN`] letters.
pub(super) fn lines(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(LINE_LEN).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// A prompt as tests ask it.
#[cfg(test)]
pub(super) fn prompt(name: &str) -> Prompt {
    Prompt {
        origin: "https://app.example".parse().expect("an origin"),
        subject: "s".parse().expect("a subject"),
        name: name.to_owned(),
        code: "47".to_owned(),
        browser: Some("Firefox".to_owned()),
        can_remember: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_language_is_read_as_posix_says() {
        let of = |set: &[(&str, &str)]| {
            Language::of(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zh")]), Language::Chinese);
        assert_eq!(of(&[("LANG", "zhx_XX")]), Language::English);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_MESSAGES", "de_DE")]), Language::English);
        assert_eq!(of(&[("LANG", "C"), ("LC_MESSAGES", "zh_TW")]), Language::Chinese);
        assert_eq!(of(&[("LC_ALL", ""), ("LANG", "zh_CN")]), Language::Chinese, "set to nothing is not set");
        assert_eq!(of(&[("LC_ALL", "C.UTF-8"), ("LC_MESSAGES", "zh_CN")]), Language::English);
    }

    #[test]
    fn nothing_in_a_name_or_an_origin_leaves_its_line_or_its_end_out() {
        let mut asked = prompt("Ada\u{1b}[2J\u{202e}\r\n\u{2028}\u{2029}\u{85}Lovelace");
        asked.browser = Some("Fire\u{7}fox".to_owned());
        asked.code = "4\n7".to_owned();
        let question = Question::new(&asked, Language::English);
        assert_eq!(question.account.1, "Ada[2JLovelace");
        assert_eq!(question.browser, Some(("Browser", "Firefox".to_owned())));
        assert_eq!(question.number.1, "47");
        asked.origin = format!("https://{}evil.example", "app.example.com.".repeat(3)).parse().expect("an origin");
        let heading = Question::new(&asked, Language::Chinese).heading;
        assert!(heading.lines().all(|line| line.chars().count() <= LINE_LEN + 4), "{heading}");
        assert_eq!(heading.replace('\n', ""), format!("登录 {}？", asked.origin));
    }

    #[test]
    fn what_cannot_be_remembered_is_not_offered() {
        let mut asked = prompt("Ada");
        for language in [Language::English, Language::Chinese] {
            asked.can_remember = true;
            assert!(Question::new(&asked, language).always_allow.is_some());
            asked.can_remember = false;
            assert!(Question::new(&asked, language).always_allow.is_none());
        }
    }
}
