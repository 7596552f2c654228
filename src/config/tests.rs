//! Each wrong entry is named with its line and a cure; all of them in one go.

use super::*;
use crate::agent::Ask;
use crate::store::StoreUrl;

const AGENT: &str = r#"ports = [28970, 28971]
state_dir = "/tmp/loopkey-state"
control = "/tmp/loopkey-state/control.sock"
development = false
allow_root = false
peer_check = "on"

[[issuer]]
url = "https://app.example.com/loopkey"

[[origin]]
origin = "https://app.example.com"
issuer = "https://app.example.com/loopkey"
grants = ["presence", "login", "action:open"]
consent = "prompt"
proof = "challenge"
"#;

pub(super) const SERVER: &str = r#"issuer = "http://localhost:28980"
listen = "127.0.0.1:28980"
origins = ["http://localhost:28980"]
store = "embedded:loopkey-data"
ports = [28970]
development = true
"#;

const POLICY: &str = r#"only_listed = true

[[origin]]
origin = "https://app.example.com"
grants = ["presence", "login"]
consent = "always"

[[origin]]
origin = "https://games.example.com"
consent = "blocked"
"#;

/// Where the files are said to be.
const FOLDER: &str = if cfg!(windows) { "C:\\etc\\loopkey" } else { "/etc/loopkey" };

fn agent(text: &str) -> Result<crate::agent::AgentSettings, ConfigError> {
    super::agent(text, Path::new(FOLDER))
}

pub(super) fn server(text: &str) -> Result<ServerConfig, ConfigError> {
    super::server(text, Path::new(FOLDER))
}

/// Changes the file and returns what is found wrong with it.
pub(super) fn faults<T: std::fmt::Debug>(
    read: fn(&str) -> Result<T, ConfigError>,
    file: &str,
    changes: &[(&str, &str)],
) -> Vec<String> {
    let mut text = file.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the file");
        text = text.replacen(from, to, 1);
    }
    match read(&text) {
        Err(ConfigError::Faults(faults)) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{changes:?} passed: {other:?}"),
    }
}

#[track_caller]
pub(super) fn assert_named(found: &[String], line: usize, entry: &str, cure: &str) {
    let expected = format!("line {line}: {entry}");
    let named = found.iter().any(|fault| fault.starts_with(&expected) && fault.contains(cure));
    assert!(named, "no {expected:?} … {cure:?} in {found:#?}");
}

#[test]
fn the_files_of_the_protocol_are_read() {
    let settings = agent(AGENT).expect("a sound file");
    assert_eq!(settings.ports, [28970, 28971]);
    assert!(settings.peer_check && settings.origins[0].grants.has_action("open"));
    assert_eq!((settings.ask, settings.desktop_presence), (Ask::Auto, false));
    let told = format!("ask = \"dialog\"\n{AGENT}[desktop]\npresence = {}\n", cfg!(target_os = "linux"));
    let settings = agent(&told).expect("a sound file");
    assert_eq!((settings.ask, settings.desktop_presence), (Ask::Dialog, cfg!(target_os = "linux")));
    let config = server(SERVER).expect("a sound file");
    // Whatever folder the program was started in.
    assert!(matches!(config.store, StoreUrl::Embedded(folder) if folder == Path::new(FOLDER).join("loopkey-data")));
    let policy = policy(POLICY).expect("a sound file");
    assert!(policy.only_listed && policy.origins[1].blocked && policy.origins[1].consent.is_none());
    let [app, _] = policy.origins.as_slice() else { panic!("{policy:?}") };
    assert_eq!((app.consent, app.blocked), (Some(crate::protocol::grant::ConsentMode::Always), false));
}

#[test]
fn a_shared_store_is_read_with_its_secrets() {
    let folder = tempfile::tempdir().expect("folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let (secret, password) = (file("secret", "0123456789abcdef0123456789abcdef\n"), file("password", "hunter2\n"));
    let told = |secret: &str| {
        let text = SERVER.replace("embedded:loopkey-data", "postgres://loopkey@db/loopkey");
        format!("{text}[shared_store]\nsecret_file = \"{secret}\"\npassword_file = \"{password}\"\nreplicas = 1\n")
    };
    let config = server(&told(&secret)).expect("a sound file");
    assert!(!format!("{config:?}").contains("hunter2") && !format!("{config:?}").contains("0123456789"));
    let StoreUrl::Postgres(shared) = config.store else { panic!("{:?}", config.store) };
    assert_eq!(shared.options.replicas, 1);
    assert_eq!(shared.options.password.as_ref().map(|secret| secret.expose().as_str()), Some("hunter2"));
    let sealing = shared.options.sealing_secret.as_ref().map(|secret| secret.expose().len());
    assert_eq!(sealing, Some(32));
    let error = server(&told(&file("short", "too short"))).expect_err("short").to_string();
    assert!(error.contains("shared_store.secret_file") && error.contains("openssl rand"), "{error}");
}

#[test]
fn each_wrong_entry_of_an_agent_is_named_with_its_line() {
    let origin = "origin = \"https://app.example.com\"";
    for (from, to, line, entry, cure) in [
        (origin, "origin = \"https://*.example.com\"", 12, "origin[0].origin", "no wildcards"),
        (origin, "origin = \"https://app.example.com/\"", 12, "origin[0].origin", "remove the slash"),
        (origin, "origin = \"https://App.example.com\"", 12, "origin[0].origin", "lower case"),
        (origin, "origin = \"http://app.example.com\"", 12, "origin[0].origin", "use https"),
        (origin, "origin = \"http://localhost:3000\"", 12, "origin[0].origin", "development = true"),
        (origin, "origin = \"https://app.example.com:443\"", 12, "origin[0].origin", "leave out"),
        (origin, "origin = \"https://app.example.com.\"", 12, "origin[0].origin", "remove the dot"),
        (origin, "origin = \"null\"", 12, "origin[0].origin", "https://"),
        (origin, "origin = 7", 12, "origin[0].origin", "in quotes"),
        (origin, "", 11, "origin[0].origin", "is missing"),
        (
            "issuer = \"https://app.example.com/loopkey\"",
            "issuer = \"https://other.example\"",
            13,
            "origin[0].issuer",
            "no [[issuer]]",
        ),
        (
            "url = \"https://app.example.com/loopkey\"",
            "url = \"https://app.example.com/loopkey/\"",
            9,
            "issuer[0].url",
            "remove it",
        ),
        ("ports = [28970, 28971]", "ports = [80]", 1, "ports[0]", "10240 to 32767"),
        ("ports = [28970, 28971]", "ports = [28970, 28971, 28972, 28973]", 1, "ports", "one to 3"),
        ("ports = [28970, 28971]", "ports = [28970, 28970]", 1, "ports[1]", "twice"),
        ("ports = [28970, 28971]", "ports = \"28970\"", 1, "ports", "list of ports"),
        ("ports = [28970, 28971]", "ports = [70000]", 1, "ports[0]", "port number"),
        ("peer_check = \"on\"", "peer_check = true", 6, "peer_check", "one of"),
        ("allow_root", "allow-root", 5, "allow-root", "did you mean allow_root"),
        ("proof = ", "proofs = ", 16, "origin[0].proofs", "did you mean proof"),
        ("proof = ", "prof = ", 16, "origin[0].prof", "did you mean proof"),
        ("proof = ", "porof = ", 16, "origin[0].porof", "did you mean proof"),
        ("proof = ", "profits = ", 16, "origin[0].profits", "known here"),
        ("development = false", "developer = false", 4, "developer", "known here"),
        ("consent = \"prompt\"", "consent = \"never\"", 15, "origin[0].consent", "\"always\""),
        (
            "url = \"https://app.example.com/loopkey\"",
            "url = \"https://app.example.com/loopkey\"\nca_file = \"/nowhere/ca.pem\"",
            10,
            "issuer[0].ca_file",
            "cannot read",
        ),
        ("proof = \"challenge\"", "[limits]\ntotal = 1000", 17, "limits.total", "1 to 256"),
        ("development = false", "ask = \"person\"", 4, "ask", "\"terminal\""),
        ("proof = \"challenge\"", "[desktop]\npresence = \"on\"", 17, "desktop.presence", "true or false"),
        ("proof = \"challenge\"", "[desktop]\nlock = true", 17, "desktop.lock", "known here"),
        ("\"action:open\"", "\"action:\"", 14, "origin[0].grants[2]", "action:NAME"),
    ] {
        let found = faults(agent, AGENT, &[(from, to)]);
        assert_named(&found, line, entry, cure);
    }
}

#[test]
fn each_wrong_entry_of_a_server_is_named_with_its_line() {
    for (from, to, line, entry, cure) in [
        ("development = true", "", 1, "issuer", "development = true"),
        ("development = true", "", 3, "origins[0]", "development = true"),
        ("[\"http://localhost:28980\"]", "[\"https://*\"]", 3, "origins[0]", "no wildcards"),
        ("[\"http://localhost:28980\"]", "[]", 3, "origins", "list at least"),
        ("\"127.0.0.1:28980\"", "\"localhost:28980\"", 2, "listen", "an IP address"),
        ("embedded:loopkey-data", "mysql://localhost", 4, "store", "embedded:FOLDER"),
        ("embedded:loopkey-data", "sqlite", 4, "store", "embedded:FOLDER"),
        ("embedded:loopkey-data", "redis://localhost", 4, "store", "[shared_store]"),
        ("development = true", "[shared_store]\nreplicas = 1", 6, "shared_store", "for redis:// and postgres:// alone"),
        ("development = true", "[shared_store]\nreplicas = 1", 6, "shared_store.secret_file", "is missing"),
        ("development = true", "[shared_store]\nreplicas = 9", 7, "shared_store.replicas", "0 to 8"),
        (
            "development = true",
            "[shared_store]\nsecret_file = \"/nowhere/secret\"",
            7,
            "shared_store.secret_file",
            "cannot be read",
        ),
        ("ports = [28970]", "ports = [80]", 5, "ports[0]", "10240 to 32767"),
        ("[\"http://localhost:28980\"]", "[\"https://elsewhere.example\"]", 3, "origins[0]", "same site"),
        (
            "development = true",
            "development = true\nservice_key_file = \"/nowhere/key\"",
            7,
            "service_key_file",
            "cannot be read",
        ),
        (
            "development = true",
            "development = true\ntoken_key_file = \"/nowhere/key\"",
            7,
            "token_key_file",
            "cannot be read",
        ),
        ("development = true", "development = true\n[tls]\ncert_file = \"/nowhere\"", 7, "tls.key_file", "is missing"),
        (
            "development = true",
            "development = true\n[tls]\ncert_file = \"/nowhere\"\nkey_file = \"/nowhere\"",
            8,
            "tls.cert_file",
            "cannot be read",
        ),
        ("listen = ", "bind = ", 1, "listen", "is missing"),
    ] {
        let found = faults(server, SERVER, &[(from, to)]);
        assert_named(&found, line, entry, cure);
    }
}

#[test]
fn each_wrong_entry_of_a_policy_is_named_with_its_line() {
    let origin = "origin = \"https://app.example.com\"";
    for (from, to, line, entry, cure) in [
        ("only_listed = true", "only_listed = \"yes\"", 1, "only_listed", "true or false"),
        ("only_listed", "only-listed", 1, "only-listed", "did you mean only_listed"),
        (origin, "origin = \"https://*.example.com\"", 4, "origin[0].origin", "no wildcards"),
        (origin, "origin = \"http://app.example.com\"", 4, "origin[0].origin", "use https"),
        (origin, "", 3, "origin[0].origin", "is missing"),
        (origin, "issuer = \"https://app.example.com\"", 4, "origin[0].issuer", "known here: origin, grants, consent"),
        ("\"login\"", "\"log in\"", 5, "origin[0].grants[1]", "action:NAME"),
        ("[\"presence\", \"login\"]", "\"login\"", 5, "origin[0].grants", "list of strings"),
        ("\"always\"", "\"never\"", 6, "origin[0].consent", "\"blocked\""),
        ("\"always\"", "true", 6, "origin[0].consent", "\"blocked\""),
        ("consent = \"always\"", "consents = \"always\"", 6, "origin[0].consents", "did you mean consent"),
        ("https://games", "https://app", 9, "origin[1].origin", "listed twice"),
    ] {
        assert_named(&faults(policy, POLICY, &[(from, to)]), line, entry, cure);
    }
}

#[test]
fn which_of_the_files_it_is_shows_from_its_keys() {
    let blocked = "[[origin]]\norigin = \"https://games.example.com\"\nconsent = \"blocked\"\n";
    for (text, kind) in [
        (AGENT, Kind::Agent),
        ("", Kind::Agent),
        (SERVER, Kind::Server),
        ("  listen = \"127.0.0.1:1\"", Kind::Server),
        (POLICY, Kind::Policy),
        (blocked, Kind::Policy),
        ("only_listed = false", Kind::Policy),
    ] {
        assert_eq!(Kind::of(text), kind, "{text}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, POLICY).expect("written");
    let error = load(&path, Kind::Agent, super::agent).expect_err("it is a policy").to_string();
    let (_, page) = error.split_once("looks like a policy: see ").expect(&error);
    assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page).is_file(), "{page}");
}

/// Only root can write one that counts; `tests/it/hostile/policy.rs` does.
#[test]
#[cfg(unix)]
fn a_policy_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    assert_eq!(policy_at(&path).expect("there is none"), crate::agent::Policy::default());
    let with_modes = |of_folder, of_file| {
        std::fs::write(&path, POLICY).expect("written");
        for (path, mode) in [(folder.path(), of_folder), (path.as_path(), of_file)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
        }
        policy_at(&path).map_err(|error| error.to_string())
    };
    for of_file in [0o666, 0o664, 0o602] {
        let error = with_modes(0o755, of_file).expect_err("others can write it");
        assert!(error.contains(&format!("sudo chmod go-w {}", path.display())), "{error}");
    }
    for of_folder in [0o777, 0o770, 0o1777] {
        let error = with_modes(of_folder, 0o644).expect_err("others can replace it");
        assert!(error.contains("nobody but root can write to it and its folder"), "{error}");
    }
    // What is nobody else's counts where it is root's, and only there.
    let own = with_modes(0o755, 0o644);
    assert_eq!(own.is_ok(), rustix::process::geteuid().is_root(), "{own:?}");
}

/// What is found in the settings as a whole counts the entries that could be read only; the file has the others too.
#[test]
fn a_fault_behind_an_unreadable_entry_is_named_by_its_place_in_the_file() {
    let second = "\n[[origin]]\norigin = \"http://localhost:3000\"\nissuer = \"https://app.example.com/loopkey\"\n";
    let file = AGENT.to_owned() + second;
    let found =
        faults(agent, &file, &[("origin = \"https://app", "origin = \"https://App"), ("[28970, 28971]", "[true, 80]")]);
    assert_named(&found, 1, "ports[1]", "10240 to 32767");
    assert_named(&found, 12, "origin[0].origin", "lower case");
    assert_named(&found, 19, "origin[1].origin", "development = true");
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn each_wrong_limit_of_a_server_is_named_with_its_line() {
    for (entry, name, cure) in [
        ("trusted_proxies = [\"127.0.0.1\", \"proxy\"]", "limits.trusted_proxies[1]", "such as"),
        ("trusted_proxies = [\"10.0.0.1/8\"]", "limits.trusted_proxies[0]", "write 10.0.0.0/8"),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "limits.trusted_proxies[0]", "every address"),
        ("trusted_proxies = \"127.0.0.1\"", "limits.trusted_proxies", "list of strings"),
        ("address_per_minute = 0", "limits.address_per_minute", "60 to 1000000"),
        ("address_per_minute = \"many\"", "limits.address_per_minute", "60 to 1000000"),
        ("device_per_minute = 11", "limits.device_per_minute", "12 to 1000000"),
        ("account_per_minute = 11", "limits.account_per_minute", "12 to 1000000"),
        ("wrong_keys_per_minute = 11", "limits.wrong_keys_per_minute", "12 to 1000000"),
        ("connections = 63", "limits.connections", "64 to 1000000"),
        ("links = 0", "limits.links", "1 to 1000000"),
        ("trusted = []", "limits.trusted", "known here"),
    ] {
        let section = format!("development = true\n[limits]\n{entry}");
        assert_named(&faults(server, SERVER, &[("development = true", &section)]), 8, name, cure);
    }
    let sound = "[limits]\naddress_per_minute = 600\ndevice_per_minute = 60\naccount_per_minute = 61\n\
        wrong_keys_per_minute = 62\nconnections = 640\nlinks = 63\ntrusted_proxies = [\"127.0.0.1\", \"fd00::/8\"]\n";
    let limits = server(&format!("{SERVER}{sound}")).expect("a sound file").login.limits;
    assert_eq!((limits.address_per_minute, limits.trusted_proxies.len()), (600, 2));
    let others = (limits.device_per_minute, limits.account_per_minute, limits.wrong_keys_per_minute);
    assert_eq!((others, limits.connections, limits.links), ((60, 61, 62), 640, 63));
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let found = faults(agent, AGENT, &[("[28970, 28971]", "[80]"), ("\"on\"", "1"), ("\"prompt\"", "\"no\"")]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("line 1:") && found[1].starts_with("line 6:") && found[2].starts_with("line 15:"));
    let broken = faults(agent, "ports = [", &[]);
    assert!(broken[0].starts_with("line 1: "), "{broken:?}");
}

#[test]
fn tls_is_off_until_its_table_is_there() {
    assert_eq!(agent(AGENT).expect("sound").wss, None);
    let with = |table: &str| agent(&AGENT.replace("[[issuer]]", &format!("{table}\n[[issuer]]")));
    assert_eq!(with("[wss]").expect("sound").wss.map(|wss| wss.port), Some(28972));
    assert_eq!(with("[wss]\nport = 28973").expect("sound").wss.map(|wss| wss.port), Some(28973));
    for (table, fault) in [
        ("[wss]\nport = 28970", "line 9: wss.port: 28970 is one of `ports`, where no TLS is spoken: choose another"),
        ("[wss]\nport = 443", "line 9: wss.port: 443 is out of range: choose one from 10240 to 32767"),
        ("[wss]\nport = \"28972\"", "line 9: wss.port: must be a number from 1 to 65535"),
        ("[wss]\ncert_file = \"a\"", "line 9: wss.cert_file: is not a known key (known here: port)"),
    ] {
        let found = with(table).expect_err("wrong").to_string();
        assert_eq!(found, fault);
    }
    let server_with = |line: &str| server(&SERVER.replace("ports = [28970]", &format!("ports = [28970]\n{line}")));
    assert_eq!(server_with("wss_ports = [28972]").expect("sound").login.wss_ports, [28972]);
    let found = server_with("wss_ports = [28972, 28970]").expect_err("wrong").to_string();
    assert!(found.starts_with("line 6: wss_ports[1]: 28970 is one of `ports`"), "{found}");
}
