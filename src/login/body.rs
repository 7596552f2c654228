//! Request bodies: of bounded size, in bounded time; nearly all are one closed JSON object.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::answer::Refusal;
use super::state::Shared;
use crate::protocol::json;

/// Longest body in bytes.
pub(super) const BODY_MAX_LEN: usize = 8 * 1024;
/// Longest body of a call that may carry a picture.
pub(super) const PICTURE_BODY_MAX_LEN: usize = 96 * 1024;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The object in a request's body. Unknown members are refused where `T` says so, and every `T` here does.
#[derive(Debug)]
pub(super) struct JsonBody<T, const MAX: usize = BODY_MAX_LEN>(pub(super) T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Shared> for JsonBody<T, MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Refusal> {
        let bytes = read(request, "application/json", MAX).await?;
        json::parse_object_of_bytes(&bytes).map(Self).map_err(|_| Refusal::BadRequest)
    }
}

/// A request's body of that type, of `max` bytes at most.
pub(super) async fn read(request: Request, kind: &str, max: usize) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    require_plain(kind, &parts.headers)?;
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > max as u64) {
        return Err(Refusal::TooLarge);
    }
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, max)).await;
    // Besides being too long it can only break off, and then nobody reads the answer.
    read.map_err(|_| Refusal::Timeout)?.map_err(|_| Refusal::TooLarge)
}

fn require_plain(kind: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else { return Err(Refusal::UnsupportedMediaType) };
    let essence = content_type.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case(kind) || headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::UnsupportedMediaType);
    }
    Ok(())
}
