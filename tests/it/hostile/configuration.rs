//! A05: an entry of the allow-list that is too wide, or that no browser ever sends, stops the start.

use std::process::Command;

use loopkey::config::{ConfigError, agent};
use loopkey::protocol::origin::Origin;
use proptest::prelude::*;

/// Entries that cannot stay, each with a word of the cure.
const BAD: [(&str, &str); 38] = [
    ("", "https://"),
    ("null", "https://"),
    ("*", "https://"),
    ("https://*", "wildcards"),
    ("https://*.example.com", "wildcards"),
    ("https://desk.*.com", "wildcards"),
    ("desk.example.com", "https://"),
    ("file://", "https://"),
    ("chrome-extension://abcdefghijklmnop", "https://"),
    ("wss://desk.example.com", "https://"),
    ("http://desk.example.com", "use https"),
    ("http://localhost.evil.example", "use https"),
    ("http://127.0.0.2:3000", "use https"),
    ("http://[::1]:3000", "use https"),
    ("http://localhost:3000", "development = true"),
    ("http://127.0.0.1:3000", "development = true"),
    ("https://desk.example.com/", "remove the slash"),
    ("https://desk.example.com/app", "remove the slash"),
    ("https://desk.example.com?x", "remove the slash"),
    ("https://desk.example.com#x", "remove the slash"),
    ("https://Desk.example.com", "lower case"),
    ("HTTPS://desk.example.com", "lower case"),
    ("https://user@desk.example.com", "user name"),
    ("https://desk.example.com.", "dot at the end"),
    ("https://desk.example.com:443", "own port"),
    ("https://desk.example.com:0", "1 to 65535"),
    ("https://desk.example.com:08443", "1 to 65535"),
    ("https://desk.example.com:65536", "1 to 65535"),
    ("https://desk.example.com:", "1 to 65535"),
    ("https://b\u{fc}ro.example", "xn--"),
    ("https://desk%2eexample.com", "ASCII host name"),
    ("https://desk..example.com", "ASCII host name"),
    ("https://.example.com", "ASCII host name"),
    ("https://127.1", "ASCII host name"),
    ("https://2130706433", "ASCII host name"),
    ("https://[::ffff:127.0.0.1]", "ASCII host name"),
    ("https://desk.example.com, other.example.com", "ASCII host name"),
    (" https://desk.example.com", "https://"),
];

/// A configuration with these origins; the first stands in line 9, each later one four lines below.
fn file(origins: &[&str]) -> String {
    let head = "ports = [28970]\nstate_dir = \"/nowhere/loopkey\"\ncontrol = \"/nowhere/loopkey/control.sock\"\n\
                allow_root = true\n\n[[issuer]]\nurl = \"https://desk.example.com\"\n";
    let entry = |origin: &&str| format!("[[origin]]\norigin = \"{origin}\"\nissuer = \"https://desk.example.com\"\n\n");
    head.to_owned() + &origins.iter().map(entry).collect::<String>()
}

#[test]
fn a05_each_bad_entry_of_the_list_is_an_error_that_names_it() {
    assert!(agent(&file(&["https://desk.example.com"]), "/".as_ref()).is_ok(), "the file is sound but for its entries");
    for (origin, cure) in BAD {
        let Err(ConfigError::Faults(faults)) = agent(&file(&[origin]), "/".as_ref()) else {
            panic!("{origin:?} passed")
        };
        let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let named = |fault: &String| fault.starts_with("line 9: origin[0].origin") && fault.contains(cure);
        assert!(said.len() == 1 && said.iter().all(named), "{origin:?}: {said:?}");
    }
}

#[test]
fn a05_what_is_listed_twice_or_for_nobody_is_an_error() {
    let twice = file(&["https://desk.example.com", "https://desk.example.com"]);
    let nobodys = file(&["https://desk.example.com"]).replace("url = \"https://desk", "url = \"https://other");
    for (text, entry) in [(twice, "line 13: origin[1].origin"), (nobodys, "line 10: origin[0].issuer")] {
        let Err(ConfigError::Faults(faults)) = agent(&text, "/".as_ref()) else { panic!("{text} passed") };
        assert!(faults.iter().any(|fault| fault.to_string().starts_with(entry)), "{entry} is not in {faults:?}");
    }
}

/// The program itself: nothing is bound or written, and everything that is wrong is said at once.
#[test]
fn a05_the_agent_does_not_start_with_a_bad_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let origins: Vec<_> = BAD.iter().map(|(origin, _)| *origin).collect();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, file(&origins)).expect("written");
    let outcome = Command::new(env!("CARGO_BIN_EXE_loopkey"))
        .args(["agent", "--config"])
        .arg(&path)
        .env("LOOPKEY_LOG", "off")
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(outcome.status.code(), Some(2), "{said}");
    for (at, (origin, _)) in BAD.iter().enumerate() {
        assert!(said.contains(&format!("origin[{at}].origin")), "{origin:?} is not named in {said}");
    }
}

/// Texts that are origins, or nearly.
fn candidates() -> impl Strategy<Value = String> {
    let part = |parts: &'static [&'static str]| prop::sample::select(parts);
    let scheme = part(&["https://", "https://", "https://", "http://", "HTTPS://", "https:/", "wss://"]);
    let label = part(&[
        "desk",
        "Desk",
        "a_b",
        "127",
        "0",
        "1",
        "01",
        "0x7f",
        "0x",
        "-a",
        "a-",
        "",
        "com",
        "localhost",
        "xn--bcher-kva",
        "1e3",
        "00",
        "256",
        "a--b",
    ]);
    let hosts = prop_oneof![
        prop::collection::vec(label, 1..5).prop_map(|labels| labels.join(".")),
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        prop::collection::vec(prop_oneof![Just(0_u16), Just(0xffff), any::<u16>()], 8).prop_map(|words| {
            let words: Vec<_> = words.iter().map(|word| format!("{word:x}")).collect();
            format!("[{}]", words.join(":").replacen("0:0:0:0:0", ":", 1).replacen(":::", "::", 1))
        }),
        part(&["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[1::0:1]", "[0::1]", "[::1.2.3.4]"])
            .prop_map(str::to_owned),
    ];
    let ports = part(&["", "", ":1", ":80", ":443", ":8443", ":0", ":08", ":65535", ":65536", ":"]);
    (scheme, hosts, ports, part(&["", "", "", "", "/", "."])).prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// An entry that could never match is none: whatever is accepted is what the URL standard serializes it to.
    #[test]
    fn a05_whatever_is_accepted_is_as_a_browser_sends_it(text in candidates()) {
        if let Ok(origin) = text.parse::<Origin>() {
            let serialized = reqwest::Url::parse(&text).map(|url| url.origin().ascii_serialization());
            prop_assert_eq!(serialized.ok(), Some(origin.to_string()));
        }
    }
}
