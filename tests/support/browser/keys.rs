//! Keys by their names in `KeyboardEvent.key`, with what each protocol wants to know about them.

use anyhow::{Context as _, bail};

/// One key press, with the modifiers held during it.
pub(super) struct Stroke {
    pub(super) modifiers: Vec<&'static Modifier>,
    /// `KeyboardEvent.key`
    pub(super) key: String,
    /// `KeyboardEvent.code`; empty where it does not matter.
    pub(super) code: String,
    /// `KeyboardEvent.keyCode`
    pub(super) virtual_key: u32,
    /// The text the key types, if it types any.
    pub(super) text: Option<String>,
    /// The key in WebDriver's private-use code points, or the character itself.
    pub(super) webdriver: char,
}

/// A modifier key.
pub(super) struct Modifier {
    name: &'static str,
    /// The bit in a DevTools key event.
    pub(super) bit: u32,
    /// WebDriver's code point.
    pub(super) webdriver: char,
}

const MODIFIERS: [Modifier; 4] = [
    Modifier { name: "Alt", bit: 1, webdriver: '\u{E00A}' },
    Modifier { name: "Control", bit: 2, webdriver: '\u{E009}' },
    Modifier { name: "Meta", bit: 4, webdriver: '\u{E03D}' },
    Modifier { name: "Shift", bit: 8, webdriver: '\u{E008}' },
];

/// Name (also the code), key code, typed text, WebDriver's code point.
const NAMED: [(&str, u32, Option<&str>, char); 14] = [
    ("Backspace", 8, None, '\u{E003}'),
    ("Tab", 9, None, '\u{E004}'),
    ("Enter", 13, Some("\r"), '\u{E007}'),
    ("Escape", 27, None, '\u{E00C}'),
    ("Space", 32, Some(" "), ' '),
    ("PageUp", 33, None, '\u{E00E}'),
    ("PageDown", 34, None, '\u{E00F}'),
    ("End", 35, None, '\u{E010}'),
    ("Home", 36, None, '\u{E011}'),
    ("ArrowLeft", 37, None, '\u{E012}'),
    ("ArrowUp", 38, None, '\u{E013}'),
    ("ArrowRight", 39, None, '\u{E014}'),
    ("ArrowDown", 40, None, '\u{E015}'),
    ("Delete", 46, None, '\u{E017}'),
];

impl Stroke {
    /// Parses `Enter`, `a` or `Shift+Tab`.
    pub(super) fn parse(stroke: &str) -> anyhow::Result<Self> {
        let (held, name) = match stroke.rsplit_once('+') {
            Some((held, name)) if !name.is_empty() => (held, name),
            _ => ("", stroke),
        };
        let modifiers = held
            .split('+')
            .filter(|name| !name.is_empty())
            .map(|name| {
                MODIFIERS.iter().find(|known| known.name == name).with_context(|| format!("unknown modifier {name:?}"))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut characters = name.chars();
        let mut parsed = match (characters.next(), characters.next()) {
            (Some(character), None) => Self::character(character),
            _ => Self::named(name)?,
        };
        if modifiers.iter().any(|modifier| modifier.name != "Shift") {
            parsed.text = None;
        }
        parsed.modifiers = modifiers;
        Ok(parsed)
    }

    /// The key that types `character`.
    pub(super) fn character(character: char) -> Self {
        let upper = character.to_ascii_uppercase();
        let code = match character {
            ' ' => "Space".to_owned(),
            'a'..='z' | 'A'..='Z' => format!("Key{upper}"),
            '0'..='9' => format!("Digit{character}"),
            _ => String::new(),
        };
        let virtual_key = if upper.is_ascii_alphanumeric() || upper == ' ' { u32::from(upper) } else { 0 };
        Self {
            modifiers: vec![],
            key: character.into(),
            code,
            virtual_key,
            text: Some(character.into()),
            webdriver: character,
        }
    }

    fn named(name: &str) -> anyhow::Result<Self> {
        let Some((_, virtual_key, text, webdriver)) = NAMED.iter().find(|(known, ..)| *known == name) else {
            bail!("unknown key {name:?}");
        };
        let key = if name == "Space" { " " } else { name };
        Ok(Self {
            modifiers: vec![],
            key: key.into(),
            code: name.into(),
            virtual_key: *virtual_key,
            text: text.map(str::to_owned),
            webdriver: *webdriver,
        })
    }
}
