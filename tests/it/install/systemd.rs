//! Where systemd runs for the person: units instead of an entry for the session. `systemctl` is a script that writes down
//! how it was called; the units themselves are verified by systemd's own program.

use std::process::Command;

use super::{succeeds, tool};
use crate::commands::until;
use crate::support::home::Home;
use crate::support::places::free_places;

const UNITS: &str = ".config/systemd/user";

/// Puts a `systemctl` into the session that says yes to everything, and does what `start` is told to do.
fn systemctl(home: &Home, start: &str) {
    let calls = home.beside("calls");
    home.script(
        "systemctl",
        &format!("echo \"$@\" >> '{}'\ncase \"$*\" in *start*) {start} ;; esac\n", calls.display()),
    );
}

fn calls(home: &Home) -> Vec<String> {
    let calls = std::fs::read_to_string(home.beside("calls")).unwrap_or_default();
    let _ = std::fs::remove_file(home.beside("calls"));
    calls.lines().filter(|call| !call.contains("show")).map(str::to_owned).collect()
}

#[test]
fn units_are_made_linked_verified_and_taken_away() {
    let home = Home::new();
    systemctl(&home, "true");
    let before = home.content();
    let config = home.agent_toml(free_places().agent[0], "");
    let said = home.install(&config);
    assert!(said.contains("systemd starts the agent with the desktop"), "{said}");
    assert_eq!(calls(&home), ["--user daemon-reload"]);
    let units = home.path().join(UNITS);
    for (link, unit) in
        [("graphical-session.target.wants", "loopkey-agent.service"), ("sockets.target.wants", "loopkey-agent.socket")]
    {
        let target = std::fs::read_link(units.join(link).join(unit)).expect("what `systemctl enable` would make");
        assert_eq!(target, units.join(unit));
        let mut verify = Command::new("systemd-analyze");
        verify.args(["--user", "verify", "--man=no"]).arg(units.join(unit)).env("XDG_RUNTIME_DIR", home.beside("bin"));
        let output = tool(&mut verify, "systemd");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !told.contains("loopkey"), "{unit}: {told}");
    }
    assert!(!home.path().join(".config/autostart").exists(), "started once");

    home.install(&config);
    assert_eq!(calls(&home), [""; 0], "a second time changes nothing");
    let said = home.expect(&["uninstall"], 0);
    assert!(!said.contains("failed") && !said.contains("still running"), "{said}");
    assert_eq!(calls(&home), ["--user stop loopkey-agent.socket", "--user daemon-reload"]);
    assert_eq!(home.content(), before);
}

/// The login server's unit, which packages install.
#[test]
fn the_login_servers_unit_is_one_that_systemd_reads() {
    let home = Home::new();
    let unit = include_str!("../../../packaging/loopkey-server.service");
    let unit = unit.replace("/usr/local/bin/loopkey", env!("CARGO_BIN_EXE_loopkey"));
    let path = home.beside("loopkey-server.service");
    std::fs::write(&path, unit).expect("written");
    let mut verify = Command::new("systemd-analyze");
    let output = tool(verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(&path), "systemd");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("loopkey-server"), "{told}");
}

#[test]
fn another_port_in_the_configuration_is_another_socket() {
    let home = Home::new();
    systemctl(&home, "true");
    let ports = free_places().agent;
    home.install(&home.agent_toml(ports[0], ""));
    let socket = || std::fs::read_to_string(home.path().join(UNITS).join("loopkey-agent.socket")).expect("a unit");
    assert!(socket().contains(&format!("127.0.0.1:{}\n", ports[0])), "{}", socket());
    calls(&home);
    home.install(&home.agent_toml(ports[1], ""));
    assert!(socket().contains(&format!("[::1]:{}\n", ports[1])), "{}", socket());
    assert_eq!(calls(&home), ["--user stop loopkey-agent.socket", "--user daemon-reload"]);
}

#[test]
fn a_start_by_the_session_gives_way_to_systemd_and_the_other_way_round() {
    let home = Home::new();
    let config = home.agent_toml(free_places().agent[0], "");
    let autostart = home.path().join(".config/autostart/loopkey-agent.desktop");
    home.install(&config);
    assert!(autostart.exists());
    systemctl(&home, "true");
    home.install(&config);
    assert!(!autostart.exists() && home.path().join(UNITS).join("loopkey-agent.service").exists());
    home.script("systemctl", "exit 1\n");
    home.install(&config);
    assert!(autostart.exists() && !home.path().join(UNITS).join("loopkey-agent.service").exists());
    home.expect(&["uninstall"], 0);
    assert!(home.content().is_empty(), "{:?}", home.content());
}

#[tokio::test]
async fn systemd_is_asked_to_start_the_agent_and_to_let_go_of_its_port() {
    let home = Home::new();
    let config = home.agent_toml(free_places().agent[0], "");
    // What systemd does with the unit, without systemd.
    let start = format!("'{}' agent --config '{}' >/dev/null 2>&1 &", env!("CARGO_BIN_EXE_loopkey"), config.display());
    systemctl(&home, &start);
    home.install(&config);
    calls(&home);
    home.expect(&["open-url", "--", "loopkey:wake"], 0);
    assert_eq!(calls(&home), ["--user --no-block start loopkey-agent.service"]);
    home.expect(&["open-url", "--", "loopkey:wake"], 0);
    assert_eq!(calls(&home), [""; 0], "a running agent is left alone");
    home.expect(&["stop"], 0);
    assert_eq!(calls(&home), ["--user stop loopkey-agent.socket"], "or the next page would start it again");
    until("the agent's end", async || !home.control().exists()).await;
}

/// The files are taken away all the same.
#[test]
fn what_uninstall_could_not_stop_is_said_with_the_command_that_does() {
    let home = Home::new();
    systemctl(&home, "exit 5");
    let before = home.content();
    home.install(&home.agent_toml(free_places().agent[0], ""));
    home.expect(&["open-url", "--", "loopkey:wake"], 0);
    home.script("systemctl", "echo 'Failed to connect to bus' >&2\nexit 1\n");
    let said = home.expect(&["uninstall"], 0);
    let failed = "`systemctl --user stop loopkey-agent.socket` failed: Failed to connect to bus";
    assert!(said.contains(failed) && said.contains("by hand"), "{said}");
    assert_eq!(home.content(), before);
    let stop =
        format!("an agent is still running; to end it, run: loopkey stop --control '{}'", home.control().display());
    assert!(said.contains(&stop), "{said}");
    home.expect(&["stop"], 0);
}

#[test]
fn where_systemd_does_not_know_the_agent_it_is_started_all_the_same() {
    let home = Home::new();
    systemctl(&home, "exit 5");
    home.install(&home.agent_toml(free_places().agent[0], ""));
    home.expect(&["open-url", "--", "loopkey:wake"], 0);
    assert!(calls(&home).contains(&"--user --no-block start loopkey-agent.service".to_owned()));
    home.expect(&["status"], 0);
}

#[test]
fn the_units_of_a_path_with_everything_in_it_are_read_as_they_were_meant() {
    let folder = tempfile::Builder::new().prefix("A \"b\" $HOME 100% \\n ").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.expect("a folder");
    let config = folder.path().join("agent.toml");
    let home = Home::new();
    systemctl(&home, "true");
    std::fs::rename(home.agent_toml(free_places().agent[0], ""), &config).expect("moved");
    home.install(&config);
    let unit = home.path().join(UNITS).join("loopkey-agent.service");
    // systemd's own reading of the line, as it would run it.
    let text = std::fs::read_to_string(&unit).expect("readable");
    let line = text.lines().find(|line| line.starts_with("ExecStart=")).expect("the line");
    let escaped =
        config.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    assert!(line.ends_with(&format!("agent --config \"{escaped}\"")), "{line}");
    succeeds(
        Command::new("systemd-analyze")
            .args(["--user", "verify", "--man=no"])
            .arg(&unit)
            .env("XDG_RUNTIME_DIR", home.beside("bin")),
        "systemd",
    );
}
