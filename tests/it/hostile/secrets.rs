//! A19: nothing secret is logged. The whole suite runs with every target at TRACE (see `support/trace.rs`), and then its
//! logs are searched for what the tests came to see, and for whatever looks like a secret that no test noted.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::support::trace;

/// So much of a secret gives it away: signatures, keys and tickets are random from their first byte.
const PREFIX: usize = 16;
/// Lengths of 32 and 64 random bytes in base64url, and of a resume ticket.
const SECRET_LENGTHS: [usize; 3] = [43, 86, 87];

/// What may stand before such a text although it is no secret: thumbprints of public keys.
const PUBLIC: [&str; 2] = ["the issuer publishes no key ", " who="];

/// The secrets that were noted, to be found in a text in one pass.
#[derive(Default)]
struct Noted {
    /// By their first bytes; of a signed statement, its signature's.
    coded: HashMap<[u8; PREFIX], String>,
    /// Those that are written in other letters, such as a service key that is a sentence.
    plain: HashSet<String>,
}

const fn is_coded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/' | b'=')
}

impl Noted {
    fn add(&mut self, secret: &str) {
        let signature = match secret.split('.').collect::<Vec<_>>()[..] {
            [_, _, signature] => signature,
            _ => secret,
        };
        match signature.as_bytes().first_chunk() {
            Some(prefix) if signature.bytes().all(is_coded) => {
                self.coded.insert(*prefix, secret.to_owned());
            }
            _ => {
                self.plain.insert(secret.to_owned());
            }
        }
    }

    fn find(&self, line: &str) -> Option<&str> {
        let coded = line.as_bytes().split(|byte| !is_coded(*byte)).filter(|run| run.len() >= PREFIX);
        let mut windows = coded.flat_map(|run| run.windows(PREFIX));
        let found = windows.find_map(|window| self.coded.get(window));
        found.or_else(|| self.plain.iter().find(|secret| line.contains(secret.as_str()))).map(String::as_str)
    }
}

/// What in a line looks like a secret, whoever's it is.
fn looks_secret(line: &str) -> Option<&'static str> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut at = 0;
    for run in line.split(|letter: char| !u8::try_from(letter).is_ok_and(is_letter)) {
        let (before, after) = (&line[..at], &line[at + run.len()..]);
        at = line.len().min(at + run.len() + after.chars().next().map_or(0, char::len_utf8));
        // `{"` begins every header of a statement.
        if run.starts_with("eyJ") && after.starts_with('.') {
            return Some("a signed statement");
        }
        if run.starts_with("__Host-") && after.starts_with('=') && !after.starts_with("=;") {
            return Some("a cookie");
        }
        // Random text has letters of both cases; names of constants, files and functions do not.
        let mixed = run.bytes().any(|b| b.is_ascii_lowercase()) && run.bytes().any(|b| b.is_ascii_uppercase());
        if SECRET_LENGTHS.contains(&run.len()) && mixed && !PUBLIC.iter().any(|public| before.ends_with(public)) {
            return Some("random text of a secret's length");
        }
    }
    has_byte_list(line).then_some("a list of bytes")
}

/// `::1`, as the TLS library writes it: no secret, and the one list of bytes that is none.
const LOOPBACK: &str = "Ipv6Addr([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])";

/// Whether the line shows bytes as `Debug` does: `[48, 129, …]`, sixteen or more.
fn has_byte_list(line: &str) -> bool {
    line.replace(LOOPBACK, "").split('[').skip(1).any(|list| {
        let list = list.split(']').next().unwrap_or_default();
        list.split(", ").take_while(|item| item.parse::<u8>().is_ok()).count() >= 16
    })
}

/// The logs and the noted secrets of a run.
#[derive(Default)]
struct Run {
    noted: Noted,
    logs: Vec<(String, String)>,
}

impl Run {
    fn read(folder: &Path) -> Self {
        let mut run = Self::default();
        for entry in std::fs::read_dir(folder).expect("the folder of the trace") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a readable file")).into_owned();
            if name.ends_with(".log") {
                run.logs.push((name, text));
            } else {
                // Hostile statements hold line ends: what is left of one in a line may be too short to be told from words.
                let secrets = text.lines().map(str::trim).filter(|secret| secret.len() >= trace::SECRET_MIN_LEN);
                secrets.for_each(|secret| run.noted.add(secret));
            }
        }
        run
    }

    /// Every line that gives something away, and what.
    fn findings(&self) -> Vec<String> {
        let lines = self.logs.iter().flat_map(|(name, text)| text.lines().map(move |line| (name, line)));
        let findings = lines.filter_map(|(name, line)| {
            let what = match self.noted.find(line) {
                Some(secret) => format!("the secret {secret}"),
                None => looks_secret(line)?.to_owned(),
            };
            Some(format!("{name}: {what}: {line}"))
        });
        findings.collect()
    }

    fn says(&self, file: &str, text: &str) -> bool {
        self.logs.iter().any(|(name, log)| name.starts_with(file) && log.contains(text))
    }
}

/// Run by `./test` when everything else has run.
#[test]
#[ignore = "searches the logs of a whole run: ./test"]
fn a19_nothing_secret_was_logged() {
    let folder = std::env::var_os(trace::VARIABLE).unwrap_or_else(|| {
        panic!("run ./test, or the other tests with {} naming an empty folder and then this one", trace::VARIABLE)
    });
    let run = Run::read(Path::new(&folder));
    // An empty search finds nothing: the logs must hold what they are known to hold, from each who writes them.
    for (file, text) in [
        ("it-", "loopkey::login::redeem: signed in"),
        ("it-", "loopkey::agent"),
        ("it-", "TRACE hyper_util::"),
        ("it-", "TRACE log:tokio_tungstenite"),
        ("browser-", "loopkey::login::redeem: signed in"),
        ("program-", "the login server listens"),
        ("program-", "the agent listens"),
        ("program-", "TRACE "),
    ] {
        assert!(run.says(file, text), "{file}*.log says nothing of {text:?}: was everything run with the trace?");
    }
    assert!(run.noted.coded.len() > 500 && run.noted.plain.len() > 1, "too few secrets were noted to search for");
    let findings = run.findings();
    assert!(findings.is_empty(), "{} lines give something away:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn a19_the_search_finds_each_kind_of_secret() {
    let mut noted = Noted::default();
    let (ticket, words) = ("q7Zt".repeat(10) + "abc", "a service key of some length");
    let statement = format!("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.{}", "S1gn".repeat(21) + "at");
    for secret in [ticket.as_str(), words, &statement] {
        noted.add(secret);
    }
    let signature = statement.rsplit('.').next().expect("a signature");
    for line in [
        format!("ticket={ticket}"),
        format!("cut short {}", &ticket[..20]),
        format!("glued to xyz{ticket}xyz"),
        format!("key: {words}!"),
        format!("signature {signature}"),
    ] {
        assert!(noted.find(&line).is_some(), "{line}");
    }
    let other = "x9Kd".repeat(10) + "efg";
    for (line, what) in [
        (format!("T {}", statement.replace("S1gn", "0the")), "a signed statement"),
        ("Cookie: __Host-loopkey_pre=abc".to_owned(), "a cookie"),
        (format!("nonce={other} seen"), "random text of a secret's length"),
        (format!("KeyId(\"{other}\")"), "random text of a secret's length"),
        (format!("key {:?}", [200_u8; 16]), "a list of bytes"),
        (format!("key Ipv6Addr({:?})", [200_u8; 16]), "a list of bytes"),
    ] {
        assert_eq!((noted.find(&line), looks_secret(&line)), (None, Some(what)), "{line}");
    }
    for line in [
        format!("the issuer publishes no key {other}"),
        "Set-Cookie: __Host-loopkey_pre=; Max-Age=0".to_owned(),
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256".to_owned(),
        format!("versions {:?}", [3_u8; 8]),
        format!("No cached session for IpAddress(V6({LOOPBACK}))"),
    ] {
        assert_eq!((noted.find(&line), looks_secret(&line)), (None, None), "{line}");
    }
}
