//! Heads that ask for the bridge and are not quite those of a browser that a person sent there.

use super::super::head::gatehouse::{Gatehouse, PAGE};
use super::window::{fetch, page_head, script_head, socket_head};

/// Each head differs from a sound one in one thing, and gets the refusal.
async fn refuses(house: &Gatehouse, sound: &str, changes: &[(&str, &str)]) {
    for (from, to) in changes {
        let head = sound.replacen(from, to, 1);
        assert_ne!(head, sound, "{from:?} is not in it");
        house.refuses(&head).await;
    }
}

#[tokio::test]
async fn i161_a_bridges_page_in_any_other_form() {
    let house = Gatehouse::new().await;
    let port = house.port();
    let sound = page_head(port);
    let own_origin = format!("Origin: http://127.0.0.1:{port}\r\nHost:");
    let listed = format!("Origin: {PAGE}\r\nHost:");
    refuses(
        &house,
        &sound,
        &[
            // In a frame or some other element, fetched, or by a script.
            ("Dest: document", "Dest: iframe"),
            ("Dest: document", "Dest: frame"),
            ("Dest: document", "Dest: embed"),
            ("Dest: document", "Dest: object"),
            ("Dest: document", "Dest: empty"),
            ("Dest: document", "Dest: document\r\nSec-Fetch-Dest: iframe"),
            ("Mode: navigate", "Mode: cors"),
            ("Mode: navigate", "Mode: no-cors"),
            ("Mode: navigate", "Mode: same-origin"),
            ("Mode: navigate", "Mode: websocket"),
            // With an origin, which no navigation has.
            ("Host:", &own_origin),
            ("Host:", &listed),
            ("Host:", "Origin: null\r\nHost:"),
            ("Host:", "Origin:\r\nHost:"),
            // By another name.
            ("127.0.0.1", "[::1]"),
            ("127.0.0.1", "localhost"),
            ("127.0.0.1", "rebound.example"),
            ("127.0.0.1", "0.0.0.0"),
            ("Host:", "Host: rebound.example\r\nHost:"),
            ("Host: 127.0.0.1:", "Host: 127.0.0.1:0"),
            // Another target.
            ("/bridge ", "/bridge/ "),
            ("/bridge ", "/bridge?origin=https://desk.example.com "),
            ("/bridge ", "/bridge# "),
            ("/bridge ", "/Bridge "),
            ("/bridge ", "//bridge "),
            ("/bridge ", "/%62ridge "),
            ("/bridge ", "/bridge.html "),
            ("/bridge ", "/bridge.css "),
            ("/bridge ", "/v1/bridge "),
            ("GET", "POST"),
            ("GET", "HEAD"),
            ("GET", "OPTIONS"),
            ("Host:", "Upgrade: websocket\r\nHost:"),
            ("Host:", "Content-Length: 0\r\nHost:"),
        ],
    )
    .await;
    house.serves_and_stops().await;
}

#[tokio::test]
async fn i162_a_bridges_script_for_anybody_else() {
    let house = Gatehouse::new().await;
    let port = house.port();
    let sound = script_head(port);
    let listed = format!("Origin: {PAGE}\r\nHost:");
    let other_port = format!("Origin: http://127.0.0.1:{}\r\nHost:", port ^ 1);
    let twice = format!("Origin: http://127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nHost:");
    refuses(
        &house,
        &sound,
        &[
            ("Site: same-origin", "Site: cross-site"),
            ("Site: same-origin", "Site: same-site"),
            ("Site: same-origin", "Site: none"),
            ("Site: same-origin", "Site: same-origin\r\nSec-Fetch-Site: cross-site"),
            ("Mode: cors", "Mode: navigate"),
            ("Dest: script", "Dest: document"),
            ("Dest: script", "Dest: empty"),
            ("Dest: script", "Dest: worker"),
            ("Dest: script", "Dest: serviceworker"),
            ("Host:", &listed),
            ("Host:", &other_port),
            ("Host:", &twice),
            ("Host:", "Origin: null\r\nHost:"),
            ("127.0.0.1", "[::1]"),
            ("127.0.0.1", "rebound.example"),
            ("Host:", "Upgrade: websocket\r\nHost:"),
        ],
    )
    .await;
    house.serves_and_stops().await;
}

#[tokio::test]
async fn i163_a_bridges_socket_of_any_other_origin() {
    let house = Gatehouse::new().await;
    let port = house.port();
    let sound = socket_head(port);
    let own = format!("Origin: http://127.0.0.1:{port}");
    let other_port = format!("Origin: http://127.0.0.1:{}", port ^ 1);
    let listed = format!("Origin: {PAGE}");
    let (secure, named, v6) = (
        format!("Origin: https://127.0.0.1:{port}"),
        format!("Origin: http://localhost:{port}"),
        format!("Origin: http://[::1]:{port}"),
    );
    let (slash, twice, list, bare) =
        (format!("{own}/"), format!("{own}\r\n{own}"), format!("{own}, {PAGE}"), format!("Origin: 127.0.0.1:{port}"));
    let without = format!("{own}\r\n");
    refuses(
        &house,
        &sound,
        &[
            (&without, ""),
            (&own, &listed),
            (&own, &other_port),
            (&own, &secure),
            (&own, &named),
            (&own, &v6),
            (&own, &slash),
            (&own, &twice),
            (&own, &list),
            (&own, &bare),
            (&own, "Origin: null"),
            (&own, "Origin: http://rebound.example"),
            ("Host: 127.0.0.1", "Host: [::1]"),
            ("Host: 127.0.0.1", "Host: localhost"),
            ("Host: 127.0.0.1", "Host: rebound.example"),
            ("Host:", "Sec-Fetch-Mode: navigate\r\nHost:"),
            ("Host:", "Sec-Fetch-Dest: document\r\nHost:"),
            ("Version: 13", "Version: 8"),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("loopkey.1", "loopkey.2"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR=="),
            ("/v1/bridge ", "/v1/bridge/ "),
            ("/v1/bridge ", "/v1 "),
            ("/v1/bridge ", "/v1/probe "),
        ],
    )
    .await;
    house.serves_and_stops().await;
}

/// What goes out with the page and its script, and that neither depends on anything but the key.
#[tokio::test]
async fn i161_the_bridges_page_names_nobody_and_may_do_nothing_else() {
    let house = Gatehouse::new().await;
    let port = house.port();
    let (head, page) = fetch(port, &page_head(port)).await;
    let (_, again) = fetch(port, &page_head(port)).await;
    let key = |page: &str| {
        page.split("content=\"")
            .find_map(|rest| rest.split('"').next().filter(|key| key.len() == 43).map(str::to_owned))
    };
    let (first, second) = (key(&page).expect("a key"), key(&again).expect("a key"));
    assert_ne!(first, second, "each delivery has its own");
    assert_eq!(page.replace(&first, ""), again.replace(&second, ""), "and nothing else of its own");
    for name in ["ada", PAGE, "localhost", "of the test"] {
        assert!(!page.contains(name) && !page.contains(house.world.account.as_str()), "{name}");
    }
    let (script_head, script) = fetch(port, &script_head(port)).await;
    for head in [&head, &script_head] {
        for line in [
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cross-Origin-Resource-Policy: same-origin",
        ] {
            assert!(head.lines().any(|l| l == line), "{line} is missing: {head}");
        }
        assert!(!head.to_lowercase().contains("access-control"), "nobody else reads it: {head}");
        assert!(!head.to_lowercase().contains("opener-policy"), "it would cut the window off: {head}");
    }
    assert!(head.lines().any(|line| line == "X-Frame-Options: DENY"), "{head}");
    let policy = head.lines().find_map(|line| line.strip_prefix("Content-Security-Policy: ")).expect("a policy");
    let (style, rest): (Vec<_>, Vec<_>) = policy.split("; ").partition(|directive| directive.starts_with("style-src "));
    assert!(matches!(style[..], [one] if one.starts_with("style-src 'sha256-") && one.ends_with("='")), "{style:?}");
    assert_eq!(
        rest,
        [
            "default-src 'none'",
            "script-src 'self'",
            &format!("connect-src ws://127.0.0.1:{port}"),
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    );
    // No script stands in the page, and nothing in the script makes markup of a text.
    let scripts: Vec<_> = page.match_indices("<script").map(|(at, _)| &page[at..]).collect();
    assert!(
        matches!(scripts[..], [one] if one.starts_with("<script type=\"module\" src=\"/bridge.js\"></script>")),
        "{scripts:?}"
    );
    assert!(!page.contains(" on") || !page.contains("=\"javascript"), "no handlers");
    for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "import("] {
        assert!(!script.contains(sink), "{sink}");
    }
    house.serves_and_stops().await;
}
