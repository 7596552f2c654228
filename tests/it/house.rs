//! The house rules that a compiler does not know: which room may name which, and how long a file may be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each room of `src/` may name, besides itself. `agent` and `login` never name each other.
const MAY_NAME: [(&str, &[&str]); 18] = [
    // Marks in tests what is counted; any room may.
    ("counted", &[]),
    ("clock", &["protocol"]),
    ("crypto", &["protocol"]),
    ("keyfile", &["crypto"]),
    ("protocol", &["crypto"]),
    ("verify", &["clock", "crypto", "protocol"]),
    ("store", &["clock", "crypto", "keyfile", "protocol", "verify"]),
    ("connectors", &["clock", "crypto", "protocol"]),
    ("login", &["connectors", "clock", "crypto", "keyfile", "protocol", "store", "verify"]),
    ("agent", &["clock", "crypto", "keyfile", "protocol"]),
    ("config", &["agent", "clock", "connectors", "login", "store", "protocol", "crypto"]),
    ("install", &["crypto", "keyfile", "protocol"]),
    ("certs", &["agent", "crypto", "install", "keyfile", "protocol"]),
    ("policies", &["agent", "config", "protocol"]),
    ("doctor", &["agent", "certs", "config", "install", "protocol", "clock"]),
    ("demo", &["agent", "connectors", "login", "store", "protocol", "clock", "crypto"]),
    (
        "cli",
        &[
            "agent", "certs", "login", "store", "config", "demo", "doctor", "install", "policies", "protocol",
            "crypto", "clock",
        ],
    ),
    ("main", &["cli"]),
];

/// No file of the program is longer.
const FILE_MAX_LINES: usize = 600;

pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a readable folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let inner = folders.iter().flat_map(|folder| sources(folder));
    inner.chain(files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs"))).collect()
}

fn room_of(file: &Path, root: &Path) -> String {
    let inside = file.strip_prefix(root).expect("below the root");
    let room = inside.components().next().expect("a component").as_os_str().to_string_lossy().into_owned();
    room.trim_end_matches(".rs").to_owned()
}

/// The rooms that a line names by `crate::ROOM` (or `loopkey::ROOM`, in `main.rs`).
fn named(line: &str) -> impl Iterator<Item = String> {
    let code = line.split("//").next().unwrap_or_default().to_owned();
    let starts: Vec<_> = ["crate::", "loopkey::"]
        .iter()
        .flat_map(|p| code.match_indices(p).map(|(at, p)| at + p.len()).collect::<Vec<_>>())
        .collect();
    starts.into_iter().map(move |at| code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

#[test]
fn dependencies_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rules: BTreeMap<_, _> = MAY_NAME.into_iter().collect();
    let mut broken = Vec::new();
    for file in sources(&root) {
        let room = room_of(&file, &root);
        if room == "lib" {
            continue;
        }
        let allowed = rules.get(room.as_str()).unwrap_or_else(|| panic!("the room {room} has no rule in {}", file!()));
        let text = std::fs::read_to_string(&file).expect("a readable file");
        for (number, line) in text.lines().enumerate() {
            for other in named(line).filter(|other| rules.contains_key(other.as_str())) {
                if other != room && other != "counted" && !allowed.contains(&other.as_str()) {
                    broken.push(format!("{}:{}: {room} names {other}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "these point the wrong way:\n{}", broken.join("\n"));
}

#[test]
fn the_protocol_does_no_input_or_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol");
    for file in sources(&root) {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        for banned in
            ["tokio", "std::fs", "std::io", "TcpStream", "async fn", "SystemTime", "Instant", "thread_rng", "rand::"]
        {
            assert!(!text.contains(banned), "{} names {banned}", file.display());
        }
    }
}

#[test]
fn ring_has_one_door() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root).into_iter().filter(|file| !file.starts_with(root.join("crypto"))) {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        // rustls' provider of the same name is asked for by its own path; `String::` only ends alike.
        let names = |line: &str| line.contains(" ring::") || line.contains("(ring::") || line.starts_with("use ring");
        let uses = text.lines().any(names);
        assert!(!uses, "{} names ring; only src/crypto/ does", file.display());
    }
}

#[test]
fn no_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in sources(&root.join("src")).into_iter().chain(sources(&root.join("tests"))) {
        let lines = std::fs::read_to_string(&file).expect("a readable file").lines().count();
        assert!(lines <= FILE_MAX_LINES, "{} has {lines} lines", file.display());
    }
}

#[test]
fn the_threat_model_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/threat-model.md")).expect("the threat model");
    let files = sources(&root.join("src")).into_iter().chain(sources(&root.join("tests")));
    let code: String = files.map(|file| std::fs::read_to_string(file).expect("a readable file")).collect();
    let is_name = |text: &&str| {
        text.matches('_').count() >= 2
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            // The rows of the catalogue are held against their tests in `hostile::catalogue`.
            && !crate::hostile::catalogue::is_of_a_row(text)
    };
    let named: Vec<_> = document.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/threat-model.md names tests that are not there: {missing:#?}");
}
