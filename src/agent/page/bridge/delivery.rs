//! The bridge's page and its script, as answers. Nothing in them depends on who is signed in: the page differs from one
//! delivery to the next in its key alone.

use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::BridgeKey;

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/bridge/", $name))
    };
}

const PAGE: &str = file!("index.html");
const STYLE: &str = file!("bridge.css");
/// One module for the browser, made of files that each have one subject.
const SCRIPT: &str =
    concat!(file!("words.js"), file!("relay.js"), file!("prompt.js"), file!("view.js"), file!("main.js"));

/// What stands in the page for the style and the key.
const STYLE_PLACE: &str = "/* bridge.css */";
const KEY_PLACE: &str = "{key}";

/// The answer to `/bridge`.
pub(in crate::agent) fn page(key: &BridgeKey, host: &str) -> String {
    // A policy names a style by its SHA-256 in base64 of the other alphabet, padded (CSP Level 3, section 2.3.1).
    let style = base64url::encode(crypto::sha256(&[STYLE.as_bytes()])).replace('-', "+").replace('_', "/") + "=";
    let policy = format!(
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'sha256-{style}'; \
         connect-src ws://{host}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'\r\nX-Frame-Options: DENY\r\n"
    );
    let body = PAGE.replacen(STYLE_PLACE, STYLE, 1).replacen(KEY_PLACE, &key.to_string(), 1);
    answer("text/html", &policy, &body)
}

/// The answer to `/bridge.js`.
pub(in crate::agent) fn script() -> String {
    answer("text/javascript", "", SCRIPT)
}

/// There is no opener policy among the headers: one would cut the window off from the page that opened it.
fn answer(kind: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         {headers}X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
