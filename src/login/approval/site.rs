//! `GET /q`: the page that a scanned QR code opens, and its files. It is static and knows nobody: the order is in the fragment of
//! its address, which no server sees, and what it shows it asks for with the visitor's own session.

use axum::http::HeaderMap;
use axum::response::Response;

use super::super::answer::Refusal;
use super::super::path::Path;
use super::super::sdk;

/// The page's own modules and nothing else: no script from text, no other host, no picture but the
/// site's icon, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Puts the named files of `web/approve/` into the program.
macro_rules! files {
    ($($name:literal)*) => {
        const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/approve/", $name))),)*
        ];
    };
}

files! {
    "api.js" "approve.css" "index.html" "main.js" "view.js" "words.js"
}

/// The page.
pub(in crate::login) async fn page(headers: HeaderMap) -> Result<Response, Refusal> {
    answer("index.html", &headers)
}

/// One of its files.
pub(in crate::login) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    // Its relative addresses are right at the one place.
    if name == "index.html" { Err(Refusal::NotFound) } else { answer(&name, &headers) }
}

fn answer(name: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    sdk::page(FILES, name, headers, POLICY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_there() {
        assert_eq!(
            FILES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(),
            sdk::listed("approve", |_| true)
        );
    }
}
