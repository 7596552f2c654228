//! What an application's backend and an administrator do with the service key (protocol section 6.10). Every act is in the
//! audit record.

pub(super) mod accounts;
pub(super) mod audit;
pub(super) mod devices;
pub(super) mod keys;
pub(super) mod organisations;

use axum::extract::Query;
use axum::http::Uri;
use serde::de::DeserializeOwned;

use super::answer::Refusal;
use crate::store::AccountId;

/// Entries of a page, where the call does not say.
const PAGE_LEN: u32 = 100;
/// Entries of a page at most.
const PAGE_MAX_LEN: u32 = 1000;

/// The account that a path names. One that cannot be an account is one that is not there.
pub(super) fn account(text: &str) -> Result<AccountId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

/// The query, closed: an unknown or repeated parameter is refused.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|_| Refusal::BadRequest)
}

/// How many entries are asked for.
fn limit(asked: Option<u32>) -> Result<u32, Refusal> {
    let limit = asked.unwrap_or(PAGE_LEN);
    (1..=PAGE_MAX_LEN).contains(&limit).then_some(limit).ok_or(Refusal::BadRequest)
}
