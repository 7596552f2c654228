//! The browser's name as a person's list of sessions shows it: "Firefox on Windows". Made of the `User-Agent` header, which
//! is anybody's word: it decides nothing, and of what is not known here one short word is kept at most.

use axum::http::{HeaderMap, header};

use crate::store::DisplayName;

/// As much of the header as is looked at, in bytes. Real ones have half of it.
const LOOKED_AT: usize = 512;
/// The longest name that is taken from the header itself, in bytes.
const OWN_NAME_MAX_LEN: usize = 24;

/// Products of the header and their names. The first that is found counts: the others call themselves Chrome or Safari too.
const BROWSERS: [(&str, &str); 22] = [
    ("MicroMessenger", "WeChat"),
    ("DingTalk", "DingTalk"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Vivaldi", "Vivaldi"),
    ("SamsungBrowser", "Samsung Internet"),
    ("HuaweiBrowser", "Huawei Browser"),
    ("MiuiBrowser", "Mi Browser"),
    ("MQQBrowser", "QQ Browser"),
    ("QQBrowser", "QQ Browser"),
    ("UCBrowser", "UC Browser"),
    ("YaBrowser", "Yandex Browser"),
    ("Electron", "Electron"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("HeadlessChrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Version", "Safari"),
    ("Mobile", "Safari"),
];

/// Words of the header and the systems that they name; the first that is found counts.
const SYSTEMS: [(&str, &str); 10] = [
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("OpenHarmony", "HarmonyOS"),
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
];

/// The name of the browser that sent these headers; nothing where they do not say.
pub(super) fn of(headers: &HeaderMap) -> Option<DisplayName> {
    let header = headers.get(header::USER_AGENT)?.to_str().ok()?;
    // Visible ASCII: every byte ends a character.
    let header = &header[..header.len().min(LOOKED_AT)];
    let is_product = |token: &str, name: &str| token.split('/').next() == Some(name);
    let known = BROWSERS.iter().find(|(word, _)| header.split(' ').any(|token| is_product(token, word)));
    let browser = known.map_or_else(|| own_name(header), |(_, name)| name);
    let system = SYSTEMS.iter().find(|(word, _)| header.contains(word));
    let label = match system {
        Some((_, system)) if !browser.is_empty() => format!("{browser} on {system}"),
        Some((_, system)) => (*system).to_owned(),
        None => browser.to_owned(),
    };
    DisplayName::clean(&label).ok()
}

/// The first product of a header that is not known here, where it can be a name. Every browser calls itself Mozilla first.
fn own_name(header: &str) -> &str {
    let name = header.split(['/', ' ']).next().unwrap_or_default();
    let is_name =
        (1..=OWN_NAME_MAX_LEN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_name && name != "Mozilla" { name } else { "" }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn label(user_agent: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_bytes(user_agent.as_bytes()).expect("a header"));
        of(&headers).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn browsers_are_called_by_their_names() {
        for (expected, user_agent) in [
            ("Firefox on Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            ("Firefox on Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
            (
                "Chrome on macOS",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            ),
            (
                "Edge on Windows",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            ),
            (
                "Opera on Windows",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
            ),
            (
                "Safari on macOS",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
            ),
            (
                "Safari on iPhone",
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
            ),
            (
                "Chrome on iPad",
                "Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.0.0 Mobile/15E148 Safari/604.1",
            ),
            (
                "Chrome on Android",
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
            ),
            (
                "Chrome on Linux",
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
            ),
            (
                "WeChat on Windows",
                "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781",
            ),
            ("curl", "curl/8.5.0"),
            ("python-requests", "python-requests/2.32"),
            ("Windows", "Mozilla/5.0 (Windows NT 10.0)"),
        ] {
            assert_eq!(label(user_agent).as_deref(), Some(expected), "{user_agent}");
        }
    }

    #[test]
    fn what_is_not_known_is_never_kept_whole() {
        for user_agent in
            ["", " ", "Mozilla/5.0", "<script>alert(1)</script>", "\u{202E}evil", &"x".repeat(4000), "a(b)"]
        {
            assert_eq!(label(user_agent), None, "{user_agent}");
        }
        assert_eq!(label(&format!("{} Firefox/140.0 Windows", "x".repeat(4000))), None);
        assert_eq!(label(&format!("Firefox/140.0 {}", "Windows ".repeat(4000))).as_deref(), Some("Firefox on Windows"));
        assert_eq!(of(&HeaderMap::new()), None);
    }
}
