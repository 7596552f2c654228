//! `loopkey open-url -- loopkey:wake`.

use std::process::Stdio;

use crate::support::home::Home;
use crate::support::places::free_places;

const WAKE: [&str; 3] = ["open-url", "--", "loopkey:wake"];

/// How many processes run an agent of this home.
fn agents(home: &Home) -> usize {
    let config = home.beside("agent.toml").to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| line.split(|byte| *byte == 0).any(|word| word == b"agent") && contains(line, config.as_bytes()))
        .count()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn it_starts_the_agent_that_was_installed_and_returns_when_that_answers() {
    let home = Home::new();
    let port = free_places().agent[0];
    home.install(&home.agent_toml(port, ""));
    home.expect(&["status"], 3);
    home.expect(&WAKE, 0);
    let status = home.expect(&["status"], 0);
    assert!(status.contains(&format!("port {port}")), "{status}");
    home.expect(&WAKE, 0);
    assert_eq!(agents(&home), 1, "a running agent is left alone");
}

#[test]
fn of_eight_wakes_at_once_one_starts_an_agent_and_all_wait_for_it() {
    let home = Home::new();
    home.install(&home.agent_toml(free_places().agent[0], ""));
    let wakes: Vec<_> = (0..8)
        .map(|_| home.command(env!("CARGO_BIN_EXE_loopkey"), &WAKE).stderr(Stdio::piped()).spawn().expect("it starts"))
        .collect();
    for wake in wakes {
        let output = wake.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(agents(&home), 1);
    home.expect(&["status"], 0);
}

#[test]
fn without_an_installed_agent_it_says_how_to_install_one() {
    let home = Home::new();
    assert!(home.expect(&WAKE, 1).contains("loopkey install --config"));
    assert!(home.content().is_empty());
}

#[test]
fn what_keeps_the_agent_from_starting_is_said() {
    let home = Home::new();
    let port = free_places().agent[0];
    let config = home.agent_toml(port, "");
    home.install(&config);
    let squatter = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let fault = home.expect(&WAKE, 1);
    assert!(fault.contains("ended at once") && fault.contains("loopkey agent --config"), "{fault}");
    drop(squatter);
    std::fs::write(&config, "ports = [80]\n").expect("written");
    assert!(home.expect(&WAKE, 2).contains("ports[0]"));
    std::fs::remove_file(&config).expect("removed");
    assert!(home.expect(&WAKE, 2).contains("agent.toml"));
}

#[test]
fn a_record_that_others_could_have_written_starts_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.install(&home.agent_toml(free_places().agent[0], ""));
    let record = home.path().join(".config/loopkey/install.json");
    assert_eq!(std::fs::metadata(&record).expect("a record").permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&record, PermissionsExt::from_mode(0o666)).expect("a mode");
    for arguments in [&WAKE[..], &["uninstall"]] {
        assert!(home.expect(arguments, 1).contains("chmod 600"));
    }
    std::fs::set_permissions(&record, PermissionsExt::from_mode(0o600)).expect("a mode");
    std::fs::write(&record, "{}").expect("written");
    assert!(home.expect(&WAKE, 1).contains("run `loopkey install` again"));
    home.expect(&["status"], 3);
}
