//! What `install` leaves on a Linux desktop, read by the desktop's own programs, and that `uninstall` leaves nothing.

use std::process::{Command, Stdio};

use super::succeeds;
use crate::commands::until;
use crate::support::home::Home;
use crate::support::places::free_places;

const KIND: &str = "x-scheme-handler/loopkey";
const WAKE: &str = ".local/share/applications/loopkey-wake.desktop";
const AUTOSTART: &str = ".config/autostart/loopkey-agent.desktop";

fn port() -> u16 {
    free_places().agent[0]
}

/// Writes a file of somebody else into a home.
fn put(home: &Home, path: &str, text: &str) {
    let path = home.path().join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("written");
}

#[test]
fn a_desktop_knows_the_scheme_and_afterwards_nothing_is_left() {
    let others = "# mine\n[Default Applications]\ntext/html=firefox.desktop\nx-scheme-handler/loopkey=other.desktop;\n\n\
                  [Added Associations]\ntext/html=firefox.desktop;chromium.desktop;\n";
    for list in [None, Some(""), Some(others), Some("[Added Associations]\na/b=c.desktop;")] {
        let home = Home::new();
        if let Some(list) = list {
            put(&home, ".config/mimeapps.list", list);
            put(
                &home,
                ".local/share/applications/other.desktop",
                "[Desktop Entry]\nType=Application\nName=O\nExec=true %u\n",
            );
            put(&home, ".config/autostart/other.desktop", "[Desktop Entry]\nType=Application\nName=O\nExec=true\n");
        }
        let before = home.content();
        let config = home.agent_toml(port(), "");
        let said = home.install(&config);
        for path in [WAKE, AUTOSTART, ".config/mimeapps.list"] {
            assert!(home.path().join(path).is_file() && said.contains(path), "{path}: {said}");
        }
        assert!(said.contains("systemd does not run for this user"), "{said}");
        for entry in [WAKE, AUTOSTART] {
            let mut validate = Command::new("desktop-file-validate");
            let hints = succeeds(validate.arg(home.path().join(entry)), "desktop-file-utils");
            assert_eq!(hints, "", "{entry}");
        }
        let default = succeeds(&mut home.command("xdg-mime", &["query", "default", KIND]), "xdg-utils");
        assert_eq!(default.trim(), "loopkey-wake.desktop");
        let default = succeeds(home.command("gio", &["mime", KIND]).env("LC_ALL", "C"), "libglib2.0-bin");
        assert!(default.lines().next().is_some_and(|line| line.ends_with("loopkey-wake.desktop")), "{default}");

        let installed = home.content();
        let again = home.install(&config);
        assert_eq!(home.content(), installed, "a second time changes nothing");
        assert_eq!(again.matches("as it was").count(), 3, "{again}");

        home.expect(&["uninstall"], 0);
        assert_eq!(home.content(), before, "every byte of the others, and nothing of ours");
    }
}

#[test]
fn a_list_of_default_programs_that_is_a_link_stays_one() {
    let home = Home::new();
    let elsewhere = home.beside("dotfiles.list");
    std::fs::write(&elsewhere, "[Default Applications]\ntext/html=firefox.desktop\n").expect("written");
    std::fs::create_dir(home.path().join(".config")).expect("a folder");
    std::os::unix::fs::symlink(&elsewhere, home.path().join(".config/mimeapps.list")).expect("a link");
    let before = home.content();
    home.install(&home.agent_toml(port(), ""));
    let list = std::fs::read_to_string(&elsewhere).expect("readable");
    assert!(list.contains("x-scheme-handler/loopkey=loopkey-wake.desktop;\n"), "{list}");
    assert!(home.path().join(".config/mimeapps.list").is_symlink());
    home.expect(&["uninstall"], 0);
    assert_eq!(home.content(), before);
    assert_eq!(
        std::fs::read_to_string(&elsewhere).expect("readable"),
        "[Default Applications]\ntext/html=firefox.desktop\n"
    );
}

#[test]
fn a_dry_run_shows_everything_and_does_nothing() {
    let home = Home::new();
    let config = home.agent_toml(port(), "");
    let said = home.expect(&["install", "--config", &config.to_string_lossy(), "--dry-run"], 0);
    assert!(said.contains("| MimeType=x-scheme-handler/loopkey;") && said.contains(AUTOSTART), "{said}");
    assert!(home.content().is_empty());
    home.install(&config);
    let installed = home.content();
    let said = home.expect(&["uninstall", "--dry-run"], 0);
    assert!(said.contains(WAKE) && said.contains("mimeapps.list"), "{said}");
    assert_eq!(home.content(), installed);
}

#[test]
fn a_file_of_somebody_else_is_not_overwritten() {
    let home = Home::new();
    put(&home, WAKE, "[Desktop Entry]\nType=Application\nName=Mine\nExec=true\n");
    let before = home.content();
    let config = home.agent_toml(port(), "");
    let fault = home.expect(&["install", "--config", &config.to_string_lossy()], 1);
    assert!(fault.contains(WAKE) && fault.contains("move it away"), "{fault}");
    assert_eq!(home.content(), before, "nothing was begun");
    std::fs::remove_file(home.path().join(WAKE)).expect("moved away");
    home.install(&config);
    // What was installed and then spoiled is written anew.
    put(&home, WAKE, "spoiled");
    home.install(&config);
    assert!(std::fs::read_to_string(home.path().join(WAKE)).expect("readable").contains("MimeType"));
}

#[test]
fn a_configuration_that_an_installed_agent_could_not_use_is_refused() {
    let home = Home::new();
    let config = home.agent_toml(port(), "[[issuer]]\nurl = \"https://a.example\"\nca_file = \"ca.pem\"\n");
    std::fs::write(home.beside("ca.pem"), "").expect("written");
    let file = config.to_string_lossy();
    let fault = home.expect(&["install", "--config", &file], 2);
    assert!(fault.contains("ca_file"), "{fault}");
    std::fs::write(&config, "ports = [80]\n").expect("written");
    assert!(home.expect(&["install", "--config", &file], 2).contains("ports[0]"));
    assert!(home.expect(&["install", "--config", "nowhere.toml"], 2).contains("nowhere.toml"));
    assert!(home.content().is_empty());
}

#[test]
fn root_installs_and_uninstalls_only_what_is_allowed_to_run_as_root() {
    use crate::hostile::puppet::{ROOT, loopkey, run_as};
    let home = Home::new();
    let config = home.agent_toml(port(), "");
    let text = std::fs::read_to_string(&config).expect("readable").replace("allow_root = true", "allow_root = false");
    std::fs::write(&config, text).expect("written");
    for arguments in [&["install", "--config", &config.to_string_lossy()][..], &["uninstall"]] {
        let mut command = run_as(ROOT, &loopkey());
        let output = command.args(arguments).envs(home.environment()).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains("as root") && told.contains("run it as that user") && told.contains("allow_root"),
            "{told}"
        );
    }
    assert!(home.content().is_empty());
}

/// The program under a path with all that the Desktop Entry Specification wants quoted, opened by both openers of Linux,
/// and started by the entry for the session.
#[tokio::test]
async fn a_path_with_blanks_percents_and_quotes_runs_everywhere() {
    let folder = tempfile::Builder::new().prefix("My \"App\" $HOME 100% `x` ").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.expect("a folder");
    let program = folder.path().join("loop key\\y");
    std::fs::hard_link(env!("CARGO_BIN_EXE_loopkey"), &program).expect("a name for the program");
    let home = Home::new();
    let plain = home.agent_toml(port(), "");
    let config = folder.path().join("the agent's $(touch x) %u.toml");
    std::fs::rename(plain, &config).expect("moved");
    succeeds(&mut home.command(&program, &["install", "--config", &config.to_string_lossy()]), "loopkey");
    for entry in [WAKE, AUTOSTART] {
        succeeds(Command::new("desktop-file-validate").arg(home.path().join(entry)), "desktop-file-utils");
    }
    let autostart = home.path().join(AUTOSTART);
    for (opener, arguments) in [
        ("xdg-open", &["loopkey:wake"][..]),
        ("gio", &["open", "loopkey:wake"]),
        ("gio", &["launch", &autostart.to_string_lossy()]),
    ] {
        home.expect(&["status"], 3);
        // What is started may go on, and hold whatever pipe it was given.
        let mut opening = home.command(opener, arguments);
        let opened = opening.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let opened =
            opened.unwrap_or_else(|error| panic!("{opener}: {error}; run: apt-get install xdg-utils libglib2.0-bin"));
        assert!(opened.success(), "{opener} {arguments:?}");
        // gio does not wait for what it starts.
        until("the agent's answer", async || home.loopkey(&["status"]).status.success()).await;
        home.expect(&["stop"], 0);
        until("the agent's end", async || !home.control().exists()).await;
    }
    home.expect(&["uninstall"], 0);
    assert!(home.content().is_empty() && program.exists(), "{:?}", home.content());
}
