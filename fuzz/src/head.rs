//! Bytes of a fresh connection → request head → admission.

use loopkey::protocol::gate::{Gate, Purpose, Refused};
use loopkey::protocol::head::RequestHead;
use loopkey::protocol::limits::HEAD_MAX_LEN;
use loopkey::protocol::origin::AllowedOrigins;
use loopkey::protocol::peer::OwnUser;

const HOSTS: [&[u8]; 2] = [b"127.0.0.1:28970", b"[::1]:28970"];
const ORIGIN: &str = "https://app.example.com";
const BRIDGE: &str = "http://127.0.0.1:28970";

/// The bytes are what a connection has sent so far.
pub fn run(data: &[u8]) -> bool {
    let Ok(Some(head)) = RequestHead::parse(data) else { return false };
    assert_strictly_formed(data, &head);
    // Quadratic in the length, so that long heads are cut at some places only.
    for cut in (0..data.len()).step_by(1 + data.len() / 300) {
        assert_eq!(RequestHead::parse(&data[..cut]), Ok(None), "a beginning of a sound head was refused at {cut}");
    }
    assert!(RequestHead::parse(&[data, b"\0"].concat()).is_err(), "a byte after the head");
    is_rightly_admitted(data, &head)
}

/// Reads the head once more, by splitting it.
fn assert_strictly_formed(data: &[u8], head: &RequestHead) {
    assert!(data.len() <= HEAD_MAX_LEN);
    assert!(data.iter().all(|b| !matches!(b, 0..=8 | 11 | 12 | 14..=31 | 127)), "a control byte");
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.strip_suffix("\r\n\r\n").expect("ends with an empty line").split("\r\n").collect();
    assert!(
        lines.iter().all(|line| !line.is_empty() && !line.contains(['\r', '\n'])),
        "a lone CR or LF, or a second end"
    );
    assert_eq!(lines[0], format!("GET {} HTTP/1.1", head.target()));
    assert!(!head.target().is_empty() && !head.target().contains([' ', '\t']));
    for (at, line) in lines.iter().enumerate().skip(1) {
        let (name, value) = line.split_once(':').expect("a header has a colon");
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&b)));
        let name = name.to_ascii_lowercase();
        let before = lines[1..at].iter().filter(|l| name_of(l) == name).count();
        let read = head.all(&name).nth(before).expect("every line is a header");
        let value = value.strip_prefix(' ').unwrap_or(value);
        assert_eq!(String::from_utf8_lossy(read), value, "{name} is kept byte for byte");
        assert!(name != "content-length" && name != "transfer-encoding");
        assert_eq!(head.only(&name).is_some(), lines[1..].iter().filter(|l| name_of(l) == name).count() == 1);
    }
}

fn name_of(line: &str) -> String {
    line.split_once(':').map_or("", |(name, _)| name).to_ascii_lowercase()
}

/// Whether the gate admits the head, which must then be right.
fn is_rightly_admitted(data: &[u8], head: &RequestHead) -> bool {
    let gate = Gate::new(28970, AllowedOrigins::from_iter([ORIGIN.parse().expect("sound")]));
    let admit = |bytes: &[u8]| -> Result<_, Refused> {
        let head = RequestHead::parse(bytes)?.expect("complete");
        gate.admit(&head, OwnUser::taken_on_trust())
    };
    let Ok(admitted) = admit(data) else { return false };
    let one = |name| {
        assert_eq!(head.all(name).count(), 1, "exactly one {name}");
        head.all(name).next().expect("one")
    };
    assert!(HOSTS.contains(&one("host")));
    let bridge = |target| {
        assert_eq!((head.target(), one("host")), (target, HOSTS[0]), "a bridge has one address");
    };
    match admitted.purpose() {
        Purpose::Socket { origin, .. } | Purpose::Probe { origin } => {
            assert_eq!(one("origin"), ORIGIN.as_bytes());
            assert_eq!(origin.origin().as_str(), ORIGIN);
        }
        Purpose::BridgePage => {
            bridge("/bridge");
            assert_eq!(head.all("origin").count(), 0);
        }
        Purpose::BridgeScript => {
            bridge("/bridge.js");
            assert!(head.all("origin").all(|origin| origin == BRIDGE.as_bytes()) && head.all("origin").count() < 2);
        }
        Purpose::BridgeSocket { .. } => {
            bridge("/v1/bridge");
            assert_eq!(one("origin"), BRIDGE.as_bytes());
        }
    }
    let may = |name, values: &[&[u8]]| head.all(name).all(|value| values.contains(&value));
    match admitted.purpose() {
        Purpose::Socket { key, .. } | Purpose::BridgeSocket { key } => {
            assert!(matches!(head.target(), "/v1" | "/v1/bridge"));
            assert_eq!(one("sec-websocket-key"), key.as_bytes());
            assert_eq!(one("sec-websocket-version"), b"13");
            assert!(one("upgrade").eq_ignore_ascii_case(b"websocket"));
            assert!(is_sixteen_bytes(key));
            assert!(may("sec-fetch-mode", &[b"websocket"]) && may("sec-fetch-dest", &[b"websocket", b"empty"]));
        }
        Purpose::Probe { .. } => {
            assert_eq!((head.target(), head.all("upgrade").count()), ("/v1/probe", 0));
            assert!(may("sec-fetch-mode", &[b"cors"]) && may("sec-fetch-dest", &[b"empty"]));
        }
        Purpose::BridgePage => {
            assert_eq!(head.all("upgrade").count(), 0);
            assert!(may("sec-fetch-mode", &[b"navigate"]) && may("sec-fetch-dest", &[b"document"]));
        }
        Purpose::BridgeScript => {
            assert_eq!(head.all("upgrade").count(), 0);
            assert!(may("sec-fetch-mode", &[b"no-cors", b"cors"]) && may("sec-fetch-dest", &[b"script"]));
            assert!(may("sec-fetch-site", &[b"same-origin"]));
        }
    }
    // One more of what must stand once, or of what must not stand at all, and nobody is admitted.
    for more in [
        "Host: 127.0.0.1:28970",
        "host: evil.example",
        "Origin: https://app.example.com",
        "ORIGIN: null",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        "Sec-Fetch-Mode: same-origin",
        "Sec-Fetch-Dest: iframe",
    ] {
        let spoiled = [&data[..data.len() - 2], more.as_bytes(), b"\r\n\r\n"].concat();
        assert!(admit(&spoiled).is_err(), "admitted in spite of {more}");
    }
    true
}

/// Standard base64 of exactly 16 bytes, told by the alphabet alone: 21 letters, one whose low four bits are zero, `==`.
fn is_sixteen_bytes(key: &str) -> bool {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let bytes = key.as_bytes();
    bytes.len() == 24 && bytes[..22].iter().all(letter) && b"AQgw".contains(&bytes[21]) && bytes.ends_with(b"==")
}
