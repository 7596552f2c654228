//! Text → origin, issuer and the list of admitted origins. A URL parser written by others is the second opinion.

use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::{AllowedOrigins, ORIGIN_MAX_LEN, Origin};

const LISTED: [&str; 2] = ["https://app.example.com", "https://xn--bcher-kva.example:8443"];

/// The bytes are the value of an `Origin` header, and at the same time an entry of a configuration.
pub fn run(data: &[u8]) -> bool {
    let list: AllowedOrigins = LISTED.iter().map(|text| text.parse().expect("sound")).collect();
    let listed = LISTED.iter().any(|text| text.as_bytes() == data);
    assert_eq!(list.admit(data).is_some(), listed, "the list admits its own entries, byte for byte");

    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (origin, issuer) = (text.parse::<Origin>(), text.parse::<Issuer>());
    if let Ok(origin) = &origin {
        assert_sound_origin(text, origin);
    }
    if let Ok(issuer) = &issuer {
        assert_sound_issuer(text, issuer);
    }
    assert!(issuer.is_ok() || origin.is_err(), "an origin is an issuer without a path");
    issuer.is_ok()
}

fn assert_sound_origin(text: &str, origin: &Origin) {
    assert_eq!((origin.as_str(), origin.to_string().as_str()), (text, text));
    let json = serde_json::to_string(origin).expect("JSON");
    assert_eq!(serde_json::from_str::<Origin>(&json).expect("reads back"), *origin);

    assert!(text.len() <= ORIGIN_MAX_LEN && text.is_ascii() && text == text.to_ascii_lowercase());
    assert!(!text.contains(['*', '@', '?', '#', '%', '\\', ' ', ',']));
    let (scheme, authority) = text.split_once("://").expect("a scheme");
    assert!(!authority.contains('/') && !origin.host().is_empty() && !origin.host().ends_with('.'));
    let port = authority.strip_prefix(origin.host()).expect("the host comes first");
    assert!(port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|p| p > 0)));
    assert_eq!(origin.is_insecure(), scheme == "http");
    if origin.is_insecure() {
        assert!(matches!(origin.host(), "localhost" | "127.0.0.1"), "http for loopback only");
    }

    let alone = AllowedOrigins::from_iter([origin.clone()]);
    assert!(alone.admit(text.as_bytes()).is_some_and(|admitted| admitted.origin() == origin));
    for other in [format!("{text}/"), format!("{text}."), format!(" {text}"), text.to_uppercase(), text[1..].to_owned()]
    {
        assert!(alone.admit(other.as_bytes()).is_none(), "{other:?} is another origin than {text:?}");
    }
    // Whether punycode decodes is not asked here: a browser never sends what does not.
    if !text.contains("xn--") {
        let url = url::Url::parse(text).unwrap_or_else(|e| panic!("no URL parser reads {text:?}: {e}"));
        assert_eq!(url.origin().ascii_serialization(), text, "another reader serializes it differently");
    }
}

fn assert_sound_issuer(text: &str, issuer: &Issuer) {
    assert_eq!((issuer.as_str(), issuer.to_string().as_str()), (text, text));
    assert_eq!(format!("{}{}", issuer.origin(), issuer.path()), text, "nothing but an origin and a path");
    assert!(!text.ends_with('/') && !text.contains(['?', '#', '%', '\\', '@']));
    assert!(issuer.path().split('/').skip(1).all(|segment| !matches!(segment, "" | "." | "..")));
    assert_eq!(issuer.login_url().to_string(), format!("{text}/v1/login"));
    assert!(issuer.link_url().is_of(issuer) && issuer.link_url().as_str().ends_with("/v1/link"));
}
