//! Names and pictures come from elsewhere and are shown in prompts: what of them may be shown.

/// Whether a picture's address is one that can only be a picture: https, or the bytes themselves (protocol section 6).
pub(in crate::agent) fn is_picture(avatar: &str) -> bool {
    const MAX_LEN: usize = 96 * 1024;
    let data = ["data:image/png;base64,", "data:image/jpeg;base64,", "data:image/webp;base64,"];
    let known = avatar.starts_with("https://") || data.iter().any(|prefix| avatar.starts_with(prefix));
    known && avatar.len() <= MAX_LEN && avatar.bytes().all(|b| b.is_ascii_graphic())
}

/// A name as it may be shown: one line, no control or direction-changing characters, at most 64 letters.
pub(in crate::agent) fn plain_name(name: &str) -> String {
    let deceptive = |c: char| {
        c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    name.chars().filter(|c| !deceptive(*c)).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_what_it_says() {
        assert_eq!(plain_name("Ada \u{202e}ecalevoL\u{0} \u{feff}林小雨\n"), "Ada ecalevoL 林小雨");
        assert_eq!(plain_name("Ada\u{2028}\u{2029}\u{85}Lovelace\u{61c}\u{e0041}"), "AdaLovelace", "one line");
        assert_eq!(plain_name(&"x".repeat(10_000)).len(), 64);
    }

    #[test]
    fn a_picture_can_only_be_a_picture() {
        for good in ["https://cdn.example/a.png", "data:image/png;base64,AAAA", "data:image/webp;base64,AAAA"] {
            assert!(is_picture(good), "{good}");
        }
        for bad in [
            "",
            "http://cdn.example/a.png",
            "javascript:alert(1)",
            "data:image/svg+xml;base64,AAAA",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://a b",
            &format!("https://{}", "x".repeat(200_000)),
        ] {
            assert!(!is_picture(bad), "{}", &bad[..bad.len().min(40)]);
        }
    }
}
