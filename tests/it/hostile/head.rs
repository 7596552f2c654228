//! Hostile request heads: every one gets the one refusal, and the honest page beside them is served.

pub(super) mod gatehouse;
mod uniform;

use std::time::Duration;

use proptest::prelude::{Strategy as _, any, prop};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::io::AsyncWriteExt as _;

use super::raw::{Raw, masked, text, upgrade};
use gatehouse::{Gatehouse, PAGE, refused};

/// One test an input; an input may have several spellings, and each gets the refusal.
macro_rules! refusals {
    ($($name:ident: $spellings:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let house = Gatehouse::new().await;
            let spellings: fn(&Gatehouse) -> Vec<String> = $spellings;
            for head in spellings(&house) {
                house.refuses(head).await;
            }
            house.serves_and_stops().await;
        }
    )*};
}
pub(super) use refusals;

/// One test an input; what it adds to a sound upgrade changes nothing, to the byte.
macro_rules! ignored {
    ($($name:ident: [$($lines:expr),* $(,)?];)*) => {$(
        #[tokio::test]
        async fn $name() {
            let house = Gatehouse::new().await;
            let without = house.answer_to(upgrade(house.port(), PAGE)).await;
            assert!(without.starts_with("HTTP/1.1 101 "), "{without}");
            for lines in [$($lines),*] {
                assert_eq!(house.answer_to(house.with(lines)).await, without, "{lines}");
            }
            house.serves_and_stops().await;
        }
    )*};
}

refusals! {
    i001_no_host: |house| vec![house.changed(&format!("Host: 127.0.0.1:{}\r\n", house.port()), "")];
    i002_two_hosts: |house| {
        let own = format!("127.0.0.1:{}", house.port());
        let twice = |first: &str, second: &str| house.host(&format!("{first}\r\nHost: {second}"));
        vec![twice(&own, &own), twice(&own, "evil.example"), twice("evil.example", &own), twice(&own, "")]
    };
    i003_the_host_of_somebody_else: |house| {
        vec![house.host("evil.example"), house.host(&format!("evil.example:{}", house.port())), house.host("")]
    };
    i004_the_host_0_0_0_0: |house| vec![house.host(&format!("0.0.0.0:{}", house.port()))];
    i005_the_right_host_with_a_wrong_port: |house| {
        let other = house.port() ^ 1;
        ["127.0.0.1:80".to_owned(), format!("127.0.0.1:{other}"), format!("[::1]:{other}")]
            .map(|host| house.host(&host))
            .into()
    };
    i006_a_host_without_a_port: |house| vec![house.host("127.0.0.1"), house.host("[::1]"), house.host("127.0.0.1:")];
    i007_localhost_with_a_dot: |house| {
        // Nor without the dot: `localhost` can resolve to somewhere else.
        ["localhost.", "localhost", "LOCALHOST"].map(|name| house.host(&format!("{name}:{}", house.port()))).into()
    };
    i008_the_host_127_1: |house| {
        ["127.1", "127.0.1", "127.0.0.01"].map(|name| house.host(&format!("{name}:{}", house.port()))).into()
    };
    i009_the_host_as_one_number: |house| {
        ["2130706433", "0x7f000001", "017700000001"].map(|name| house.host(&format!("{name}:{}", house.port()))).into()
    };
    i010_the_host_in_ipv6_clothes: |house| {
        ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "::1", "[::1%lo]", "[::]"]
            .map(|name| house.host(&format!("{name}:{}", house.port())))
            .into()
    };
    i011_a_host_with_user_information: |house| {
        ["user@", "user:secret@", "@"].map(|user| house.host(&format!("{user}127.0.0.1:{}", house.port()))).into()
    };
    i012_an_absolute_target: |house| {
        let port = house.port();
        let own = format!("127.0.0.1:{port}");
        [format!("http://{own}/v1"), format!("ws://{own}/v1"), own, "http://evil.example/v1".into(), "*".into()]
            .map(|target| house.target(&target))
            .into()
    };
    i013_any_other_target: |house| {
        [
            "/", "//v1", "/v1/", "/v1?", "/v1?x=1", "/v1#x", "/V1", "/./v1", "/x/../v1", "/v1/../v1", "/%761", "/v%31",
            "/v1%2f", "/v1%00", "/v1;x", "/v2", "/v1/probe", "/v1/probe/", "/v1/probe?x", "/bridge", "/bridge.js",
            "/v1/bridge", "/favicon.ico", "/control", "v1",
        ]
        .map(|target| house.target(target))
        .into()
    };
    i014_any_other_method: |house| {
        ["POST", "OPTIONS", "CONNECT", "HEAD", "PUT", "DELETE", "TRACE", "PRI", "get", "Get", "GETT"]
            .map(|method| house.changed("GET", method))
            .into()
    };
    i015_any_other_version_of_http: |house| {
        ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1.01", "http/1.1", "HTTP/1", "HTTP/1.1 "]
            .map(|version| house.changed("HTTP/1.1", version))
            .into_iter()
            .chain(["GET /v1\r\n".into(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()])
            .collect()
    };
    i016_lines_that_end_in_a_line_feed_alone: |house| {
        let sound = upgrade(house.port(), PAGE);
        let last = sound.strip_suffix("\r\n").map(|rest| format!("{rest}\n")).expect("an empty line");
        vec![sound.replace("\r\n", "\n"), sound.replacen("\r\n", "\n", 1), sound.replace("\r\n", "\r"), last]
    };
    i017_a_folded_line: |house| {
        [" ", "\t", "  "].map(|blank| house.with(&format!("X-Folded: a\r\n{blank}b"))).into_iter().chain([
            // Folded, the allowed origin stands behind another one.
            house.origin(&format!("https://evil.example\r\n {PAGE}")),
            house.changed("GET /v1 HTTP/1.1\r\n", "GET /v1 HTTP/1.1\r\n X: y\r\n"),
        ]).collect()
    };
    i018_a_blank_before_the_colon: |house| {
        ["Host", "Origin", "Upgrade"]
            .into_iter()
            .flat_map(|name| [" ", "\t"].map(|blank| house.changed(&format!("{name}:"), &format!("{name}{blank}:"))))
            .collect()
    };
    i019_control_bytes: |house| {
        ["\0", "\u{1}", "\u{8}", "\u{b}", "\u{c}", "\u{1b}", "\u{1f}", "\u{7f}", "\r"]
            .into_iter()
            .flat_map(|byte| {
                [
                    house.with(&format!("X: a{byte}b")),
                    house.origin(&format!("{PAGE}{byte}")),
                    house.target(&format!("/v1{byte}")),
                ]
            })
            .collect()
    };
    i020_a_body: |house| {
        vec![
            house.with("Transfer-Encoding: chunked"),
            house.with("Transfer-Encoding: identity"),
            house.with("Content-Length: 0"),
            house.with("content-length: 5") + "hello",
            house.with("Content-Length: 5\r\nTransfer-Encoding: chunked") + "0\r\n\r\n",
            upgrade(house.port(), PAGE) + "hello",
        ]
    };
    i021_a_hundred_and_thirty_headers: |house| vec![house.with(["X: y"; 130].join("\r\n").as_str())];
    i022_a_head_of_nine_kib: |house| vec![house.with(&format!("X: {}", "y".repeat(9 * 1024)))];
    i023_a_head_of_seventy_kib: |house| {
        let long = "y".repeat(70 * 1024);
        vec![house.with(&format!("X: {long}")), house.target(&format!("/{long}")), long]
    };
    i026_the_first_bytes_of_tls: |_| {
        let hello = "\u{16}\u{3}\u{1}\0\u{2e}\u{1}\0\0\u{2a}\u{3}\u{3}\
                     0123456789abcdef0123456789abcdef\0\0\u{2}\u{13}\u{1}\u{1}\0";
        vec![hello.to_owned(), format!("{hello}\r\n\r\n")]
    };
    i029_any_other_version_of_the_web_socket: |house| {
        let line = "Sec-WebSocket-Version: 13";
        ["8", "12", "14", "013", "13.0", "", "13, 8", "13\r\nSec-WebSocket-Version: 13"]
            .map(|version| house.changed(line, &format!("Sec-WebSocket-Version: {version}")))
            .into_iter()
            .chain([house.changed(&format!("{line}\r\n"), "")])
            .collect()
    };
    i030_a_key_that_is_missing_short_or_doubled: |house| {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        [
            "", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZSE=", "dGhlIHNhbXBsZSBub25jZS8vLw==", "--hlIHNhbXBsZSBub25jZQ==",
            "!!hlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        .map(|bad| house.changed(key, bad))
        .into_iter()
        .chain([house.changed(&format!("Sec-WebSocket-Key: {key}\r\n"), "")])
        .collect()
    };
    i031_no_or_another_subprotocol: |house| {
        [
            "", "chat", "loopkey.2", "loopkey.10", "LOOPKEY.1", "xloopkey.1", "loopkey.1x", "loopkey .1",
            "\"loopkey.1\"", "loopkey",
        ]
            .map(|subprotocol| house.changed("loopkey.1", subprotocol))
            .into_iter()
            .chain([house.changed("Sec-WebSocket-Protocol: loopkey.1\r\n", "")])
            .collect()
    };
}

ignored! {
    i032_an_offer_of_compression: [
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover, x-webkit-deflate-frame",
        "Accept-Encoding: gzip, deflate, br, zstd",
    ];
    i033_cookies: [
        "Cookie: __Host-loopkey_session=0123456789; loopkey=1",
        "Cookie: a=b\r\nCookie: a=c",
        "Cookie: ;;;=\r\nAuthorization: Bearer 0123456789",
    ];
    i034_forwarded_headers: [
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443",
        "Forwarded: for=203.0.113.9;host=evil.example;proto=https",
        "X-Real-IP: 203.0.113.9\r\nX-Original-URL: /bridge\r\nX-Rewrite-URL: /bridge\r\nX-HTTP-Method-Override: POST",
    ];
}

#[tokio::test]
async fn i027_random_bytes() {
    let house = Gatehouse::new().await;
    let mut runner = TestRunner::deterministic();
    let bytes = prop::collection::vec(any::<u8>(), 1..400);
    for _ in 0..100 {
        let noise = bytes.new_tree(&mut runner).expect("bytes").current();
        for head in [noise.clone(), [b"GET /v1 HTTP/1.1\r\n", &noise[..]].concat()] {
            house.clock.advance(Duration::from_millis(100));
            let mut raw = Raw::connect(house.port()).await;
            raw.say(&head).await;
            // Bytes that could still become a head would be waited for.
            let _ = raw.0.shutdown().await;
            refused(raw, &head).await;
        }
    }
    house.serves_and_stops().await;
}

#[tokio::test]
async fn i028_frames_behind_the_head() {
    let house = Gatehouse::new().await;
    let sound = upgrade(house.port(), PAGE).into_bytes();
    // However long the head is, whatever room the agent has for it.
    let lengths = [sound.len(), 512, 1023, 1024, 1025, 2048, 4096, 8191, 8192];
    for len in lengths {
        let padded = upgrade(house.port(), PAGE).replacen(
            "Origin:",
            &format!("X: {}\r\nOrigin:", "a".repeat(len.saturating_sub(sound.len() + 5))),
            1,
        );
        let head = if len == sound.len() { sound.clone() } else { padded.into_bytes() };
        assert_eq!(head.len(), len);
        for behind in [text("{}"), masked(0x89, b""), sound.clone(), b"\r\n".to_vec(), b"\0".to_vec()] {
            house.refuses([head.clone(), behind].concat()).await;
        }
    }
    house.serves_and_stops().await;
}

/// A07: nothing that a browser attaches by itself opens a door or changes an answer.
#[tokio::test]
async fn a07_ambient_credentials_change_nothing() {
    let house = Gatehouse::new().await;
    let without = house.answer_to(upgrade(house.port(), PAGE)).await;
    let probe = house.answer_to(house.probe(PAGE)).await;
    assert!(without.starts_with("HTTP/1.1 101 ") && probe.starts_with("HTTP/1.1 204 "), "{without}{probe}");
    for answer in [&without, &probe] {
        assert!(!answer.to_ascii_lowercase().contains("set-cookie"), "the agent gives no cookie: {answer}");
    }
    // The page of a sibling domain brings the site's own cookies along.
    let foreign = "https://other.example.com";
    for lines in [
        "Cookie: __Host-loopkey_session=0123456789abcdef",
        "Cookie: session=1; session=2\r\nCookie: third=3",
        "Authorization: Basic YWRhOmFkYQ==",
        "Proxy-Authorization: Basic YWRhOmFkYQ==\r\nReferer: https://desk.example.com/",
    ] {
        assert_eq!(house.answer_to(house.with(lines)).await, without, "{lines}");
        let with = |head: String| head.replacen("Origin:", &format!("{lines}\r\nOrigin:"), 1);
        assert_eq!(house.answer_to(with(house.probe(PAGE))).await, probe, "{lines}");
        house.refuses(with(house.origin(foreign))).await;
        house.refuses(with(house.probe(foreign))).await;
    }
    house.serves_and_stops().await;
}
