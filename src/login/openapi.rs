//! `GET /openapi.json`: every call of the login server, for programs (OpenAPI 3.1).

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::state::Shared;

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json"));
/// The issuer of the document as it is written.
const EXAMPLE: &str = r#"{"url": "https://app.example.com/loopkey"}"#;

/// The document, with this issuer's address as its server.
pub(super) async fn show(State(server): State<Shared>) -> Response {
    // An issuer has no character that JSON escapes.
    let here = format!(r#"{{"url": "{}"}}"#, server.config.issuer);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.replacen(EXAMPLE, &here, 1)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_its_server_once() {
        assert_eq!(DOCUMENT.matches(EXAMPLE).count(), 1);
    }
}
