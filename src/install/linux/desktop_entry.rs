//! Desktop entries, by the Desktop Entry Specification 1.5 of freedesktop.org.

/// What the entry opens.
pub(super) const KIND: &str = "x-scheme-handler/loopkey";

/// The entry that a page's `loopkey:wake` runs. The address is one argument behind `--`: it can be no option, and no
/// shell ever sees it.
pub(super) fn wake(program: &str) -> String {
    format!(
        "[Desktop Entry]\n\
         Type=Application\n\
         Name=Loopkey\n\
         Comment=Starts the sign-in agent when a page of an allowed site asks for it\n\
         Comment[zh]=在网站请求登录时启动登录代理\n\
         Exec={} open-url -- %u\n\
         Terminal=false\n\
         NoDisplay=true\n\
         StartupNotify=false\n\
         MimeType={KIND};\n",
        word(program)
    )
}

/// The entry that starts the agent with the desktop's session.
pub(super) fn autostart(program: &str, config: &str) -> String {
    format!(
        "[Desktop Entry]\n\
         Type=Application\n\
         Name=Loopkey agent\n\
         Comment=Signs you in to web pages with the desktop client\n\
         Comment[zh]=使用桌面客户端登录网页\n\
         Exec={} agent --config {}\n\
         Terminal=false\n\
         NoDisplay=true\n",
        word(program),
        word(config)
    )
}

/// Whether a word of `Exec` means itself without quotes, to every reader of the file.
pub(super) fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "/._+@:,-".contains(c))
}

/// One word of `Exec`. Two rules lie over each other: inside quotes `"`, backtick, `$` and `\` are escaped, and in the
/// value of any key each `\` is written twice.
fn word(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' => quoted.extend(['\\', '\\', c]),
            '\\' => quoted.push_str(r"\\\\"),
            '%' => quoted.push_str("%%"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_the_specification_says_so() {
        for (text, expected) in [
            ("/usr/bin/loopkey", "/usr/bin/loopkey"),
            ("/home/阿达/loopkey", "/home/阿达/loopkey"),
            ("/opt/My App/loopkey", "\"/opt/My App/loopkey\""),
            ("/opt/100%/x", "\"/opt/100%%/x\""),
            ("/opt/a\"b/x", r#""/opt/a\\"b/x""#),
            ("/opt/$HOME/x", r#""/opt/\\$HOME/x""#),
            (r"/opt/a\b/x", r#""/opt/a\\\\b/x""#),
            ("/opt/a`b'c~d/x", r#""/opt/a\\`b'c~d/x""#),
            ("a=b", "\"a=b\""),
            ("", "\"\""),
        ] {
            assert_eq!(word(text), expected, "{text}");
        }
    }
}
