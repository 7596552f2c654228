//! What people call the program at the other end of a connection.

use crate::agent::issuer::profile::plain_name;

/// File names of browsers, without their ending, and what their makers call them. A longer name that begins so means the same:
/// `chrome-stable`, `firefox-esr`.
const BROWSERS: [(&str, &str); 12] = [
    ("chromium", "Chromium"),
    ("google chrome", "Google Chrome"),
    ("chrome", "Google Chrome"),
    ("firefox", "Firefox"),
    ("librewolf", "LibreWolf"),
    ("msedge", "Microsoft Edge"),
    ("microsoft edge", "Microsoft Edge"),
    ("brave", "Brave"),
    ("vivaldi", "Vivaldi"),
    ("opera", "Opera"),
    ("safari", "Safari"),
    ("com.apple.webkit", "Safari"),
];

/// The browser's name; another program is called by its file's name.
pub(super) fn name_of(program: &str) -> String {
    let stem = program.strip_suffix(".exe").unwrap_or(program);
    let lower = stem.to_lowercase();
    let known = BROWSERS.iter().find(|(prefix, _)| lower.starts_with(prefix));
    known.map_or_else(|| plain_name(stem), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_has_its_makers_name_and_another_program_its_own() {
        for (program, name) in [
            ("chromium", "Chromium"),
            ("chrome.exe", "Google Chrome"),
            ("firefox-esr", "Firefox"),
            ("Google Chrome Helper", "Google Chrome"),
            ("curl", "curl"),
            ("ev\u{202e}il\n", "evil"),
        ] {
            assert_eq!(name_of(program), name, "{program:?}");
        }
    }
}
