//! What goes around every call: a span for the log, CORS for the listed origins, and the headers of every answer.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument as _;

use super::answer::{self, Refusal};
use super::caller::listed_origin;
use super::state::Shared;
use crate::protocol::origin::Origin;

/// Wraps one request. Neither query nor body nor any header but the origin is logged.
pub(super) async fn wrap(State(server): State<Shared>, mut request: Request, next: Next) -> Response {
    let settings = server.settings.get();
    let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let span = tracing::info_span!("request", method = %request.method(), path, origin = tracing::field::Empty);
    let origin = listed_origin(request.headers(), &settings.origins);
    if let Some(origin) = &origin {
        span.record("origin", origin.origin().as_str());
    }
    let (method, call) =
        (method_name(request.method()), path.strip_prefix(server.config.issuer.path()).unwrap_or(path));
    let (call, started, version) = (call.to_owned(), server.clock.now(), request.version());
    request.extensions_mut().insert(settings);
    async move {
        let mut response = match is_preflight(&request) {
            true if origin.is_some() => preflight(),
            true => Refusal::Forbidden.into_response(),
            false => next.run(request).await,
        };
        let status = response.status();
        let headers = response.headers_mut();
        answer::seal(headers, server.clock.timestamp());
        if let Some(origin) = origin {
            allow(headers, origin.origin());
        }
        // Whoever keeps a connection would go on sending into one that is about to be closed. HTTP/2 has its own farewell.
        if server.is_leaving() && version <= Version::HTTP_11 && status != StatusCode::SWITCHING_PROTOCOLS {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        tracing::debug!(status = status.as_u16(), "answered");
        server.metrics.answered(method, &call, status.as_u16(), server.clock.now().since(started));
        response
    }
    .instrument(span)
    .await
}

/// The method as it is counted: whatever callers make up is one.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Exact CORS: this origin, with its cookies.
fn allow(headers: &mut HeaderMap, origin: &Origin) {
    let origin = HeaderValue::from_str(origin.as_str()).expect("an origin is printable ASCII");
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    // Script of another origin would not see how long to wait.
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
}
