//! Names that are shown to people, cleaned of what could make one text look like another.

/// Longest shown name in bytes.
pub const DISPLAY_NAME_MAX_LEN: usize = 128;

/// Why a text cannot be shown as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Nothing visible is left of it.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`DISPLAY_NAME_MAX_LEN`].
    #[error("the name is longer than 128 bytes")]
    TooLong,
}

/// A name of a person or a device: one line, visible, not longer than [`DISPLAY_NAME_MAX_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Takes out what does not show or turns the text around (control characters, bidirectional controls, invisible
    /// formats) and white space at the ends.
    ///
    /// # Errors
    /// [`BadText`] where too little or too much is left.
    pub fn clean(text: &str) -> Result<Self, BadText> {
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let name = visible.trim();
        match name.len() {
            0 => Err(BadText::Empty),
            1..=DISPLAY_NAME_MAX_LEN => Ok(Self(name.to_owned())),
            _ => Err(BadText::TooLong),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What an engine reads back: it was clean when it was written.
    pub(super) const fn stored(text: String) -> Self {
        Self(text)
    }
}

/// Controls, bidirectional formatting (Unicode Annex 9), and format characters of no width. The joiners stay: names in
/// Persian and in Indic scripts are spelled with them.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_taken_out() {
        for (given, shown) in [
            ("Ada Lovelace", "Ada Lovelace"),
            ("  林小雨\n", "林小雨"),
            ("evil\u{202E}gpj.exe", "evilgpj.exe"),
            ("a\u{0}b\u{7f}c\u{200B}", "abc"),
            ("<b>Ada</b>", "<b>Ada</b>"),
            ("\u{2066}x\u{2069}", "x"),
        ] {
            assert_eq!(DisplayName::clean(given).map(|n| n.as_str().to_owned()).as_deref(), Ok(shown), "{given:?}");
        }
        assert_eq!(DisplayName::clean("\u{202E} \t"), Err(BadText::Empty));
        assert_eq!(DisplayName::clean(&"é".repeat(65)), Err(BadText::TooLong));
        assert!(DisplayName::clean(&"é".repeat(64)).is_ok());
    }
}
