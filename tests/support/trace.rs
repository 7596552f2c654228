//! The log of a whole test run at TRACE, and beside it every secret that the tests came to see: `hostile/secrets.rs`
//! searches the one for the other when everything has run.
//!
//! On only where [`VARIABLE`] names a folder, as `./test` does. Each process writes `NAME-PID.log` and `NAME-PID.secrets`
//! there. What goes through here is the product, its dependencies and the tests' own clients, since they share a process;
//! the program, started as itself, writes a log of its own.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use tracing_subscriber::fmt::format::FmtSpan;

/// Names the folder.
pub(crate) const VARIABLE: &str = "LOOPKEY_TEST_TRACE";

/// Members of messages, bodies and answers whose values are secrets, at least until they are used.
const SECRET_MEMBERS: [&str; 8] =
    ["challenge", "enrolment", "nonce", "proof", "resume", "statement", "ticket", "token"];
/// Shorter values are what tests put in the place of secrets.
pub(crate) const SECRET_MIN_LEN: usize = 16;

struct Recorder {
    folder: PathBuf,
    log: Arc<File>,
    secrets: File,
}

/// Starts recording, once in a process, where it is asked for. Whatever makes an agent or a login server calls it first.
pub(crate) fn start() {
    let _ = recorder();
}

fn recorder() -> Option<&'static Recorder> {
    static RECORDER: OnceLock<Option<Recorder>> = OnceLock::new();
    RECORDER.get_or_init(|| std::env::var_os(VARIABLE).map(|folder| record_in(PathBuf::from(folder)))).as_ref()
}

fn record_in(folder: PathBuf) -> Recorder {
    std::fs::create_dir_all(&folder).expect("a folder for the trace");
    let program = std::env::current_exe().expect("this program");
    let name = program.file_stem().expect("its name").to_string_lossy().into_owned();
    let open = |kind: &str| {
        let path = folder.join(format!("{name}-{}.{kind}", std::process::id()));
        OpenOptions::new().append(true).create(true).open(path).expect("a file of the trace")
    };
    let (log, secrets) = (Arc::new(open("log")), open("secrets"));
    // Every target, every level, spans of their own too: a field may be recorded that no event repeats.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(Arc::clone(&log))
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first subscriber of the process");
    log::set_boxed_logger(Box::new(LogRecords(Arc::clone(&log)))).expect("the first logger of the process");
    log::set_max_level(log::LevelFilter::Trace);
    Recorder { folder, log, secrets }
}

/// What dependencies say through `log`. The program installs no such logger; a program that embeds the agent may.
struct LogRecords(Arc<File>);

impl log::Log for LogRecords {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if shows_frames(record.target()) {
            harvest(&record.args().to_string());
            return;
        }
        let line = format!("{} log:{} {}\n", record.level(), record.target(), record.args());
        (&*self.0).write_all(line.as_bytes()).expect("the trace is written");
    }

    fn flush(&self) {}
}

/// The one exception: tungstenite shows each frame and message whole at TRACE, and has no switch for it. SECURITY.md
/// says what that means for a program that logs it. So it is where secrets are taken from rather than looked for.
fn shows_frames(target: &str) -> bool {
    target == "tungstenite::protocol" || target.starts_with("tungstenite::protocol::frame")
}

/// Notes the secrets of a message that tungstenite shows, received (as text) or sent (escaped).
fn harvest(shown: &str) {
    if let Some(text) = shown.strip_prefix("Received message ") {
        note_message(text);
    } else if let Some((_, payload)) = shown.split_once("payload: b\"") {
        let text = payload.rsplit_once('"').map_or(payload, |(text, _)| text);
        note_message(&text.replace("\\\"", "\""));
    }
}

/// Notes a secret, so that the log is searched for it.
pub(crate) fn note(secret: &str) {
    if let Some(recorder) = recorder().filter(|_| secret.len() >= SECRET_MIN_LEN) {
        (&recorder.secrets).write_all(format!("{secret}\n").as_bytes()).expect("the secret is noted");
    }
}

/// Notes bytes in each form in which a log might show them.
pub(crate) fn note_bytes(secret: &[u8]) {
    note(&BASE64_URL_SAFE_NO_PAD.encode(secret));
    note(&BASE64_STANDARD.encode(secret));
    note(&secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

/// Notes every secret member of a JSON text.
pub(crate) fn note_message(text: &str) {
    if recorder().is_some() {
        note_members(&serde_json::from_str(text).unwrap_or(Value::Null));
    }
}

/// Notes every secret member of a JSON value.
pub(crate) fn note_members(value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(secret) if SECRET_MEMBERS.contains(&name.as_str()) => note(secret),
                    inner => note_members(inner),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(note_members),
        _ => {}
    }
}

/// Notes the value of a `Cookie` or `Set-Cookie` header.
pub(crate) fn note_cookies(header: &str) {
    for (_, value) in header.split(';').filter_map(|pair| pair.split_once('=')) {
        note(value);
    }
}

/// Notes the private keys in a state folder or a store.
pub(crate) fn note_keys(folder: &Path) {
    if recorder().is_none() {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            note_keys(&path);
            continue;
        }
        let content = std::fs::read(&path).unwrap_or_default();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pk8") => note_bytes(&content),
            // A device key: the algorithm's name, a line end, PKCS#8.
            Some("key") => note_bytes(content.splitn(2, |byte| *byte == b'\n').last().unwrap_or_default()),
            _ => {}
        }
    }
}

/// Has a program that a test starts log at TRACE as well, to a file of its own; without a trace it is left as it is.
pub(crate) fn of_child(command: &mut Command) -> &mut Command {
    static CHILDREN: AtomicU32 = AtomicU32::new(0);
    let Some(recorder) = recorder() else { return command };
    let number = CHILDREN.fetch_add(1, Ordering::Relaxed);
    let file = recorder.folder.join(format!("program-{}-{number}.log", std::process::id()));
    let log = File::create(file).expect("a file of the trace");
    command.env("LOOPKEY_LOG", "trace").stderr(Stdio::from(log))
}
