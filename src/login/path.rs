//! What stands in a path. A part that is not even text names nothing that is there.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::answer::Refusal;
use super::state::Shared;

/// The named parts of a path, percent-decoded. Unlike axum's own extractor it refuses as every call here does.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        let path = axum::extract::Path::from_request_parts(parts, server).await;
        path.map(|axum::extract::Path(found)| Self(found)).map_err(|_| Refusal::NotFound)
    }
}
