//! What is registered on each system, as files: read back by the rules of that system.

use std::path::{Path, PathBuf};

use loopkey::install::{Entry, Homes, Plan, Registration, StartsBy, linux, macos, windows};
use plist::Value;

const PROGRAM: &str = "/opt/harbor/loopkey";
const CONFIG: &str = "/home/ada/R & D <1>/agent.toml";

fn homes() -> Homes {
    let home = PathBuf::from("/home/ada");
    Homes { config: home.join(".config"), data: home.join(".local/share"), home }
}

fn registration(program: &str, config: &str) -> Registration {
    Registration::new(Path::new(program), Path::new(config), 28970).expect("paths that can be written")
}

#[track_caller]
fn content<'a>(plan: &'a Plan, end: &str) -> &'a str {
    let found = plan.entries.iter().find(|entry| entry.path().ends_with(end));
    let Some(Entry::File { content, .. }) = found else { panic!("there is no file {end}: {plan:#?}") };
    content
}

/// The value of a key of a desktop entry or a unit.
#[track_caller]
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {key} in {text}"))
}

#[test]
fn a_path_that_no_file_can_carry_is_refused() {
    for path in ["/opt/a\nExec=evil/loopkey", "/opt/a\tb", "/opt/\u{7f}", "loopkey", "", "./loopkey"] {
        for (program, config) in [(path, CONFIG), (PROGRAM, path)] {
            let refused = Registration::new(Path::new(program), Path::new(config), 28970);
            assert!(refused.is_err_and(|error| error.to_string().contains("cannot be registered")), "{path:?}");
        }
    }
}

#[test]
fn linux_runs_a_program_with_blanks_by_a_link_without() {
    let plan = linux::plan(&registration("/opt/My App/loopkey", CONFIG), &homes(), StartsBy::Session);
    let exec = value(content(&plan, "loopkey-wake.desktop"), "Exec");
    assert_eq!(exec, "/home/ada/.local/share/loopkey/bin/loopkey open-url -- %u");
    let link =
        Entry::Link { path: "/home/ada/.local/share/loopkey/bin/loopkey".into(), target: "/opt/My App/loopkey".into() };
    assert!(plan.entries.contains(&link) && plan.notes.is_empty(), "{plan:#?}");
    // Where every place needs quotes, most desktops still run it, and the person is told of the other.
    let home = PathBuf::from("/home/Ada L");
    let homes = Homes { config: home.join(".config"), data: home.join(".local/share"), home };
    let plan = linux::plan(&registration("/opt/My App/loopkey", CONFIG), &homes, StartsBy::Session);
    assert_eq!(value(content(&plan, "loopkey-wake.desktop"), "Exec"), "\"/opt/My App/loopkey\" open-url -- %u");
    assert!(plan.notes.iter().any(|note| note.contains("xdg-open alone cannot")), "{:?}", plan.notes);
}

#[test]
fn linux_systemd_holds_both_addresses_of_the_first_port() {
    let plan = linux::plan(&registration(PROGRAM, CONFIG), &homes(), StartsBy::Systemd);
    let socket = content(&plan, "systemd/user/loopkey-agent.socket");
    let listens: Vec<_> = socket.lines().filter(|line| line.starts_with("Listen")).collect();
    assert_eq!(listens, ["ListenStream=127.0.0.1:28970", "ListenStream=[::1]:28970"]);
    let service = content(&plan, "systemd/user/loopkey-agent.service");
    assert_eq!(value(service, "ExecStart"), format!("\"{PROGRAM}\" agent --config \"{CONFIG}\""));
    assert!(
        !plan.entries.iter().any(|entry| entry.path().ends_with("autostart/loopkey-agent.desktop")),
        "started once"
    );
}

#[test]
fn macos_starts_the_agent_at_login_and_opens_the_scheme_by_a_bundle() {
    let plan = macos::plan(&registration(PROGRAM, CONFIG), &homes(), 501);
    let parsed = |end: &str| Value::from_reader_xml(content(&plan, end).as_bytes()).expect("a property list");
    let agent = parsed("Library/LaunchAgents/loopkey.agent.plist");
    let agent = agent.as_dictionary().expect("a dictionary");
    let words: Vec<_> = agent["ProgramArguments"].as_array().expect("words").iter().map(Value::as_string).collect();
    assert_eq!(words, [Some(PROGRAM), Some("agent"), Some("--config"), Some(CONFIG)]);
    assert_eq!(agent["Label"].as_string(), Some("loopkey.agent"));
    assert_eq!(agent["RunAtLoad"].as_boolean(), Some(true));
    let keep = agent["KeepAlive"].as_dictionary().expect("a dictionary");
    assert_eq!(keep["SuccessfulExit"].as_boolean(), Some(false), "`loopkey stop` is not undone");

    let bundle = parsed("Loopkey Wake.app/Contents/Info.plist");
    let bundle = bundle.as_dictionary().expect("a dictionary");
    let types = bundle["CFBundleURLTypes"].as_array().expect("types");
    let schemes: Vec<_> = types
        .iter()
        .flat_map(|each| each.as_dictionary().expect("a dictionary")["CFBundleURLSchemes"].as_array().expect("schemes"))
        .collect();
    assert_eq!(schemes, [&Value::from("loopkey")]);
    let program = bundle["CFBundleExecutable"].as_string().expect("a name");
    let waker = plan.entries.iter().find(|entry| entry.path().ends_with(format!("Contents/MacOS/{program}")));
    let Some(Entry::File { content, executable: true, .. }) = waker else { panic!("{plan:#?}") };
    assert_eq!(content, &format!("#!/bin/sh\nexec '{PROGRAM}' open-url -- loopkey:wake\n"));
    assert!(
        plan.commands.iter().any(|words| words[..3] == ["launchctl", "bootstrap", "gui/501"]),
        "{:?}",
        plan.commands
    );
    assert!(plan.undo.iter().any(|words| words[1..] == ["bootout", "gui/501/loopkey.agent"]), "{:?}", plan.undo);
}

/// The bundle's script, run by a real shell with a program whose name tries everything.
#[test]
fn macos_the_bundles_program_is_one_word_to_a_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("it's $(touch pwned) `x` \"y\" & loopkey");
    let seen = folder.path().join("seen");
    std::fs::write(&program, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\n", seen.display())).expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let plan = macos::plan(&registration(&program.to_string_lossy(), CONFIG), &homes(), 501);
    let script = content(&plan, "Contents/MacOS/loopkey-wake");
    let run = std::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg("sh")
        .arg("loopkey:evil")
        .current_dir(folder.path())
        .status();
    assert!(run.expect("a shell").success());
    assert_eq!(std::fs::read_to_string(&seen).expect("it ran"), "open-url\n--\nloopkey:wake\n");
    assert!(!folder.path().join("pwned").exists());
}

#[test]
fn windows_writes_four_values_of_this_users_and_deletes_what_is_above_them() {
    // Paths of Windows are not absolute here, so these stand for them.
    let plan = windows::plan(&registration("/C:/Program Files/Loopkey/loopkey.exe", "/C:/Users/Ada L/agent.toml"));
    let added: Vec<_> = plan.commands.iter().map(|words| added(words)).collect();
    let program = "\"/C:/Program Files/Loopkey/loopkey.exe\"";
    let (classes, run) = (r"HKCU\Software\Classes\loopkey", r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run");
    assert_eq!(
        added,
        [
            (classes.to_owned(), None, "URL:Loopkey".to_owned()),
            (classes.to_owned(), Some("URL Protocol".to_owned()), String::new()),
            (format!(r"{classes}\shell\open\command"), None, format!("{program} open-url -- \"%1\"")),
            (
                run.to_owned(),
                Some("Loopkey".to_owned()),
                format!("{program} agent --config \"/C:/Users/Ada L/agent.toml\"")
            ),
        ]
    );
    assert!(plan.entries.is_empty() && plan.default.is_none());
    // The key that is Loopkey's goes whole; of the other only the one value.
    let gone: Vec<_> = plan.undo.iter().map(|words| words.join(" ")).collect();
    assert_eq!(gone, [format!("reg.exe delete {classes} /f"), format!("reg.exe delete {run} /v Loopkey /f")]);
}

/// Key, name (`None`: the key's own value) and text of a `reg.exe add`.
#[track_caller]
fn added(words: &[String]) -> (String, Option<String>, String) {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["reg.exe", "add", key, "/ve", "/t", "REG_SZ", "/d", data, "/f"] => ((*key).into(), None, (*data).into()),
        ["reg.exe", "add", key, "/v", name, "/t", "REG_SZ", "/d", data, "/f"] => {
            ((*key).into(), Some((*name).into()), (*data).into())
        }
        other => panic!("{other:?}"),
    }
}
