//! Hostile origins, and hosts: every one gets the one refusal.

mod host;
mod mutation;

use loopkey::protocol::gate::{Gate, Refused};
use loopkey::protocol::head::RequestHead;
use loopkey::protocol::origin::{AllowedOrigins, Origin};
use loopkey::protocol::peer::OwnUser;
use serde_json::{Value, json};

use super::head::gatehouse::{Gatehouse, PAGE};
use super::head::refusals;
use super::raw::{Raw, text, upgrade};
use crate::support::world::Server;

refusals! {
    i035_a_missing_origin: |house| vec![house.changed(&format!("Origin: {PAGE}\r\n"), "")];
    i036_an_empty_origin: |house| {
        vec![house.origin(""), house.changed(&format!("Origin: {PAGE}"), "Origin:"), house.changed(PAGE, "\t")]
    };
    i037_a_null_origin: |house| ["null", "Null", "NULL", "\"null\""].map(|origin| house.origin(origin)).into();
    i038_two_origins_the_good_one_first: |house| {
        ["Origin: https://evil.example", "Origin: null", &format!("ORIGIN: {PAGE}")]
            .map(|second| house.origin(&format!("{PAGE}\r\n{second}")))
            .into()
    };
    i039_two_origins_the_evil_one_first: |house| {
        ["https://evil.example", "null", ""].map(|evil| house.origin(&format!("{evil}\r\norigin: {PAGE}"))).into()
    };
    i040_a_list_of_origins: |house| {
        [", ", ",", " ", "; ", "\t", "|"]
            .into_iter()
            .flat_map(|between| {
                let evil = "https://evil.example";
                [format!("{PAGE}{between}{evil}"), format!("{evil}{between}{PAGE}"), format!("{PAGE}{between}{PAGE}")]
            })
            .map(|list| house.origin(&list))
            .collect()
    };
    i041_the_origin_with_a_suffix: |house| {
        [".evil.example", ".com", "m", "-evil.example", "%00.evil.example", "_", "~"]
            .map(|suffix| house.origin(&format!("{PAGE}{suffix}")))
            .into()
    };
    i042_the_origin_with_a_glued_prefix: |house| {
        [
            "https://evildesk.example.com", "https://xdesk.example.com", "xhttps://desk.example.com",
            "evil https://desk.example.com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i043_a_hyphen_for_a_dot: |house| {
        [
            "https://evil-desk.example.com", "https://desk-example.com", "https://desk-example-com",
            "https://desk.example-com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i044_a_sibling_domain: |house| {
        [
            "https://other.example.com", "https://example.com", "https://a.desk.example.com",
            "https://www.example.com", "https://com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i045_the_origin_without_tls: |house| {
        ["http://desk.example.com", "ws://desk.example.com", "wss://desk.example.com", "http://desk.example.com:443"]
            .map(|origin| house.origin(origin))
            .into()
    };
    i046_the_origin_with_another_port: |house| {
        [":8443", ":80", ":4430", ":444", ":0", ":65979", ":"].map(|port| house.origin(&format!("{PAGE}{port}"))).into()
    };
    i047_the_port_of_https_written_out: |house| {
        [":443", ":0443", ":443 "].map(|port| house.origin(&format!("{PAGE}{port}"))).into()
    };
    i048_a_slash_behind_the_origin: |house| {
        ["/", "//", "\\", "/."].map(|slash| house.origin(&format!("{PAGE}{slash}"))).into()
    };
    i049_a_dot_behind_the_host: |house| [".", "..", ".:443"].map(|dot| house.origin(&format!("{PAGE}{dot}"))).into();
    i050_upper_case: |house| {
        ["HTTPS://DESK.EXAMPLE.COM", "https://Desk.example.com", "https://desk.example.coM", "Https://desk.example.com"]
            .map(|origin| house.origin(origin))
            .into()
    };
    i051_look_alike_letters: |house| {
        // Cyrillic and Greek letters, raw and in the form that browsers send.
        [
            "https://d\u{435}sk.example.com", "https://xn--dsk-8cd.example.com", "https://des\u{3ba}.example.com",
            "https://desk.ex\u{430}mple.com", "https://desk.xn--exmple-4nf.com", "https://desk\u{ad}.example.com",
            "https://d\u{200b}esk.example.com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i052_user_information: |house| {
        [
            "https://user@desk.example.com", "https://user:secret@desk.example.com", "https://@desk.example.com",
            "https://desk.example.com@evil.example", "https://desk.example.com:443@evil.example",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i053_a_path_a_query_a_fragment: |house| {
        ["/", "/x", "?", "?x=y", "#", "#x", ";x", "/../"].map(|rest| house.origin(&format!("{PAGE}{rest}"))).into()
    };
    i054_a_dot_that_is_percent_encoded: |house| {
        [
            "https://desk%2eexample.com", "https://desk%2Eexample%2Ecom", "https://%64esk.example.com",
            "https%3a//desk.example.com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i055_wide_dots_and_the_kelvin_sign: |house| {
        [
            "https://desk\u{ff0e}example.com", "https://desk\u{3002}example.com",
            "https://desk\u{ff61}example.com", "https://des\u{212a}.example.com",
            "https://de\u{17f}k.example.com", "https://\u{24d3}esk.example.com",
            "https:\u{ff0f}\u{ff0f}desk.example.com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i056_tabs_and_quotes: |house| {
        [
            "\"https://desk.example.com\"", "\"\thttps://desk.example.com\"", "\"https://desk.example.com\t\"",
            "'https://desk.example.com'", "\thttps://desk.example.com", " https://desk.example.com",
            "https://desk.example.com\t", "https://desk.example.com ", "https://desk\t.example.com",
            "<https://desk.example.com>", "\u{a0}https://desk.example.com",
        ]
        .map(|origin| house.origin(origin))
        .into()
    };
    i057_extensions_shells_files_and_loopback_pages: |house| {
        let own = house.port();
        [
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://0b5b5b5b-0000-4000-8000-000000000000",
            "safari-web-extension://0B5B5B5B-0000-4000-8000-000000000000", "tauri://localhost",
            "https://tauri.localhost", "http://tauri.localhost", "app://.", "app://desk.example.com", "file://",
            "file:///", "data:text/html,x", "about:blank", "capacitor://localhost",
            "vscode-webview://desk.example.com", "blob:https://desk.example.com", "javascript:0",
            "http://localhost", "http://localhost:3000", "https://localhost", "https://127.0.0.1",
            "http://[::1]:3000",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("http://127.0.0.1:{own}"), format!("http://[::1]:{own}"), format!("127.0.0.1:{own}")])
        .map(|origin| house.origin(&origin))
        .collect()
    };
}

/// The origin of another configuration is nobody here; that of another issuer gets nowhere with this one's challenge.
#[tokio::test]
async fn i058_the_origin_of_another_issuer() {
    let other = Server::start().await;
    let alone = Gatehouse::new().await;
    alone.refuses(alone.origin(other.issuer.origin().as_str())).await;
    alone.refuses(alone.probe(other.issuer.origin().as_str())).await;
    alone.serves_and_stops().await;

    let both = Gatehouse::built(
        |settings| {
            let (mut origin, mut issuer) = (settings.origins[0].clone(), settings.issuers[0].clone());
            (origin.origin, origin.issuer) = (other.issuer.origin(), other.issuer.clone());
            issuer.url = other.issuer.clone();
            settings.origins.push(origin);
            settings.issuers.push(issuer);
        },
        |builder| builder,
    )
    .await;
    let challenge = both.world.browser().challenge().await;
    let mut raw = Raw::upgraded(both.port(), other.issuer.origin().as_str()).await;
    let (_, hello) = raw.frame().await.expect("hello");
    let hello: Value = serde_json::from_slice(&hello).expect("JSON");
    raw.say(text(&json!({ "type": "open", "nonce": hello["nonce"], "challenge": challenge }).to_string())).await;
    assert_eq!(raw.closed().await, Some(4401));
    both.serves_and_stops().await;
}

/// Origins that resemble the allowed ones, most of them as an attacker could register or send them.
const LOOK_ALIKES: [&str; 44] = [
    "",
    "null",
    "*",
    "https://*.example.com",
    "desk.example.com",
    "//desk.example.com",
    "https:desk.example.com",
    "https:/desk.example.com",
    "https:///desk.example.com",
    "https:\\\\desk.example.com",
    "http://desk.example.com",
    "http://desk.example.com:8443",
    "wss://desk.example.com",
    "https://desk.example.com:443",
    "https://desk.example.com:8442",
    "https://desk.example.com:84430",
    "https://desk.example.com:08443",
    "https://desk.example.com:8443/",
    "https://desk.example.com/",
    "https://desk.example.com.",
    "https://desk.example.com.:8443",
    "https://desk.example.com.evil.example",
    "https://desk.example.com-evil.example",
    "https://desk.example.comevil.example",
    "https://evil.example/desk.example.com",
    "https://evil.example?https://desk.example.com",
    "https://evil.example#https://desk.example.com",
    "https://evil.example\\@desk.example.com",
    "https://desk.example.com@evil.example",
    "https://evil@desk.example.com",
    "https://evildesk.example.com",
    "https://evil-desk.example.com",
    "https://evil.desk.example.com",
    "https://www.example.com",
    "https://example.com",
    "https://deskaexample.com",
    "https://desk.example.co",
    "https://desk.example.com.cn",
    "https://DESK.example.com",
    "https://d\u{435}sk.example.com",
    "https://xn--dsk-8cd.example.com",
    "https://desk%2eexample.com",
    "https://desk.example.com https://desk.example.com:8443",
    "https://desk.example.com,https://desk.example.com:8443",
];

/// A house with two allowed origins that differ in the port alone.
async fn house_of_two() -> (Gatehouse, [String; 3]) {
    let second = format!("{PAGE}:8443");
    let house = Gatehouse::built(
        |settings| {
            let origin = second.parse().expect("an origin");
            settings.origins.push(loopkey::agent::OriginSettings { origin, ..settings.origins[0].clone() });
        },
        |builder| builder,
    )
    .await;
    let own = house.world.server.issuer.origin().to_string();
    (house, [own, PAGE.to_owned(), second])
}

#[tokio::test]
async fn a01_only_the_exact_origins_open_a_socket() {
    let (house, allowed) = house_of_two().await;
    for origin in LOOK_ALIKES {
        house.refuses(house.origin(origin)).await;
    }
    for origin in &allowed {
        let answer = house.answer_to(upgrade(house.port(), origin)).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{origin}: {answer}");
    }
    house.serves_and_stops().await;
}

/// The same for the page that only asks whether an agent is here: not even that is told to a look-alike.
#[tokio::test]
async fn a10_a_downgrade_a_sibling_or_another_port_learns_nothing() {
    let (house, allowed) = house_of_two().await;
    for origin in LOOK_ALIKES {
        house.refuses(house.probe(origin)).await;
    }
    for origin in &allowed {
        let answer = house.answer_to(house.probe(origin)).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{origin}: {answer}");
        assert!(answer.contains(&format!("\r\nAccess-Control-Allow-Origin: {origin}\r\n")), "{answer}");
    }
    house.serves_and_stops().await;
}

/// A native program may leave the origin out; that makes it nobody's friend.
#[tokio::test]
async fn a04_a_client_without_an_origin_is_refused_everywhere() {
    let house = Gatehouse::new().await;
    for target in TARGETS {
        let head = house.target(target).replace(&format!("Origin: {PAGE}\r\n"), "");
        house.refuses(&head).await;
        house.refuses(head.replace("Host:", "User-Agent: loopkey/1\r\nX-Loopkey-Client: 1\r\nHost:")).await;
        if WITHOUT_ORIGIN.contains(&target) {
            continue;
        }
        let probing = head.lines().filter(|line| line.starts_with("GET ") || line.starts_with("Host: "));
        house.refuses(probing.map(|line| format!("{line}\r\n")).collect::<String>() + "\r\n").await;
    }
    house.serves_and_stops().await;
}

#[tokio::test]
async fn a09_null_matches_nothing_and_cannot_be_allowed() {
    let house = Gatehouse::new().await;
    for origin in ["null", "Null", "file://", "file:///home/ada/page.html", "data:", "about:srcdoc"] {
        house.refuses(house.origin(origin)).await;
        house.refuses(house.probe(origin)).await;
        // What cannot be written into the list cannot be on it.
        assert!(origin.parse::<Origin>().is_err(), "{origin}");
    }
    house.serves_and_stops().await;
}

/// Everything that is served, was once thought of, or might be taken for a back door.
const TARGETS: [&str; 8] = ["/v1", "/v1/probe", "/v1/bridge", "/bridge", "/bridge.js", "/", "/control", "/healthz"];

/// Headers that have opened doors in other programs, besides `Origin`.
const OPTIONAL: [&str; 9] = [
    "Cookie: __Host-loopkey_session=0123456789abcdef",
    "Authorization: Bearer 0123456789abcdef",
    "Sec-Fetch-Mode: websocket\r\nSec-Fetch-Dest: websocket",
    "Sec-Fetch-Site: same-origin",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: loopkey.1",
    "X-Requested-With: XMLHttpRequest",
    "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1",
    "Referer: https://desk.example.com/",
    "Access-Control-Request-Private-Network: true",
];

/// A head with the optional headers that the bits of `chosen` name.
fn combined(port: u16, target: &str, origin: Option<&str>, chosen: usize) -> String {
    let mut head = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    head.extend(origin.map(|origin| format!("Origin: {origin}\r\n")));
    for (_, lines) in OPTIONAL.iter().enumerate().filter(|(bit, _)| chosen >> bit & 1 == 1) {
        head += &format!("{lines}\r\n");
    }
    head + "\r\n"
}

const BAD: [Option<&str>; 4] = [None, Some("null"), Some("https://evil.example"), Some("https://desk.example.com.")];

/// The bridge's page and script, which no page's origin opens: a person navigates there, and whose bridge it is its socket
/// says, which is refused here like the rest.
const WITHOUT_ORIGIN: [&str; 2] = ["/bridge", "/bridge.js"];

/// The gate itself, with every target, every combination of the other headers, and every kind of wrong origin.
#[test]
fn a03_no_path_and_no_header_skips_the_origin() {
    let gate = Gate::new(28970, AllowedOrigins::from_iter([PAGE.parse().expect("an origin")]));
    let admit = |target: &str, origin, chosen| {
        let head = RequestHead::parse(combined(28970, target, origin, chosen).as_bytes()).expect("sound");
        gate.admit(&head.expect("complete"), OwnUser::taken_on_trust())
    };
    let mut admitted = std::collections::BTreeSet::new();
    for target in TARGETS {
        for chosen in 0..1 << OPTIONAL.len() {
            for origin in BAD {
                if origin.is_none() && WITHOUT_ORIGIN.contains(&target) {
                    continue;
                }
                assert_eq!(
                    admit(target, origin, chosen).err(),
                    Some(Refused::Origin),
                    "{target} {origin:?} {chosen:b}"
                );
            }
            if admit(target, Some(PAGE), chosen).is_ok() {
                admitted.insert(target);
            }
        }
    }
    // The combinations are not refused for something else: with the allowed origin, both targets are reached.
    assert_eq!(Vec::from_iter(admitted), ["/v1", "/v1/probe"]);
}

/// The same over the wire, with none, each, and all of the other headers.
#[tokio::test]
async fn a03_over_the_wire_too() {
    let house = Gatehouse::new().await;
    let all = (1 << OPTIONAL.len()) - 1;
    for target in TARGETS {
        for chosen in (0..OPTIONAL.len()).map(|bit| 1 << bit).chain([0, all]) {
            for origin in BAD {
                if origin.is_none() && WITHOUT_ORIGIN.contains(&target) {
                    continue;
                }
                house.refuses(combined(house.port(), target, origin, chosen)).await;
            }
        }
    }
    house.serves_and_stops().await;
}
