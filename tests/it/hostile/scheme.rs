//! What a page can put into an address of `loopkey:`. There is one address, and no other does anything.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::home::Home;
use crate::support::places::free_places;

/// Addresses as a hostile page, a broken browser or another program might hand them over.
const HOSTILE: [&str; 44] = [
    "",
    " ",
    "loopkey",
    "loopkey:",
    "loopkey:wak",
    "loopkey:wakee",
    "loopkey:wake ",
    " loopkey:wake",
    "loopkey:wake\n",
    "loopkey:wake\r\n",
    "loopkey:wake\0",
    "loopkey:wake/",
    "loopkey:wake?",
    "loopkey:wake?v=1&rid=AAAAAAAAAAAAAAAAAAAAAA",
    "loopkey:wake#",
    "loopkey:wake#fragment",
    "loopkey:wake;loopkey:wake",
    "loopkey:wake loopkey:wake",
    "loopkey:/wake",
    "loopkey://wake",
    "loopkey:///wake",
    "loopkey://evil.example/wake",
    "loopkey://user@wake",
    "Loopkey:wake",
    "LOOPKEY:WAKE",
    "loopkey:WAKE",
    "loopkey:Wake",
    "loopkey:%77ake",
    "loopkey%3Awake",
    "loopkey:wake%00",
    "loopkey:wake\" --config \"/tmp/evil.toml",
    "loopkey:wake' --config '/tmp/evil.toml",
    "loopkey:wake --gpu-launcher=calc",
    "loopkey:wake&calc",
    "loopkey:wake|calc",
    "loopkey:$(touch pwned)",
    "loopkey:`touch pwned`",
    "loopkey:wake;touch pwned",
    "--config=/tmp/evil.toml",
    "--help",
    "-",
    "\\\\evil.example\\share\\loopkey:wake",
    "javascript:alert(1)",
    "l\u{3bf}opkey:wake",
];

/// What the command says, with everything logged; it must have ended with exit code 2.
#[track_caller]
fn refusal(home: &Home, words: &[&OsStr]) -> String {
    let mut command = home.command(env!("CARGO_BIN_EXE_loopkey"), &["open-url", "--"]);
    let output = command.args(words).env("LOOPKEY_LOG", "trace").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{words:?}");
    assert!(output.stdout.is_empty(), "{words:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An agent is installed that the right address would start.
fn installed() -> Home {
    let home = Home::new();
    home.install(&home.agent_toml(free_places().agent[0], ""));
    home
}

#[track_caller]
fn expect_nothing_happened(home: &Home) {
    home.expect(&["status"], 3);
    assert!(!home.beside("state").exists(), "no agent was started");
    assert!(!home.beside("pwned").exists() && !home.path().join("pwned").exists(), "no shell read it");
}

#[test]
fn a30_i145_every_other_address_is_refused_and_not_shown() {
    let home = installed();
    let told = refusal(&home, &[OsStr::new("loopkey:other")]);
    for address in HOSTILE {
        // No argument of a program has a NUL in it: that one ends there.
        let given = address.split('\0').next().expect("a beginning");
        if given != "loopkey:wake" {
            assert_eq!(refusal(&home, &[OsStr::new(given)]), told, "{address:?}: nothing of it is said or logged");
        }
    }
    assert_eq!(refusal(&home, &[OsStr::from_bytes(b"loopkey:\xff\xfe")]), told);
    let long = format!("loopkey:wake{}", "a".repeat(64 * 1024));
    assert_eq!(refusal(&home, &[OsStr::new(&long)]), told);
    expect_nothing_happened(&home);
}

#[test]
fn i145_one_address_and_no_second_word() {
    let home = installed();
    let wake = OsStr::new("loopkey:wake");
    let told = refusal(&home, &[OsStr::new("loopkey:other")]);
    for words in [
        &[][..],
        &[wake, wake],
        &[wake, OsStr::new("")],
        &[wake, OsStr::new("--log=trace")],
        &[OsStr::new("--"), wake],
        &[OsStr::new("agent"), wake],
        &[OsStr::new("--control"), OsStr::new("/tmp/evil"), wake],
    ] {
        assert_eq!(refusal(&home, words), told, "{words:?}");
    }
    // Without the two dashes it is no address.
    for words in [&["open-url", "loopkey:wake"][..], &["open-url"], &["open-url", "--address", "loopkey:wake"]] {
        home.expect(words, 2);
    }
    expect_nothing_happened(&home);
}

/// The whole way that a browser takes on Linux: the openers read the desktop entry, and the program gets what they make of it.
#[test]
fn a30_no_address_gets_past_the_desktops_openers() {
    let home = installed();
    for address in HOSTILE.into_iter().filter(|address| address.to_lowercase().starts_with("loopkey:")) {
        let Some(address) = Some(address).filter(|address| !address.contains('\0')) else { continue };
        for (opener, arguments) in [("xdg-open", &[address][..]), ("gio", &["open", address])] {
            let output = home.command(opener, arguments).env("BROWSER", "false").output();
            output.unwrap_or_else(|error| panic!("{opener}: {error}; run: apt-get install xdg-utils libglib2.0-bin"));
        }
    }
    expect_nothing_happened(&home);
    // And it is no accident that nothing did.
    home.expect(&["open-url", "--", "loopkey:wake"], 0);
}
