//! `GET /v1/audit`: the newest entries of the audit record.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{limit, query};
use crate::login::answer::{Refusal, json};
use crate::login::caller::ServiceCall;
use crate::login::state::Shared;
use crate::protocol::time::Timestamp;
use crate::store::{AccountId, AuditEntry};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    account: Option<AccountId>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Listed<'a> {
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    at: Timestamp,
    what: &'a str,
    account: Option<&'a str>,
    subject: Option<&'a str>,
    device: Option<&'a str>,
    detail: &'a str,
}

impl<'a> Entry<'a> {
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            at: entry.at,
            what: &entry.what,
            account: entry.account.as_deref(),
            subject: entry.subject.as_deref(),
            device: entry.device.as_deref(),
            detail: &entry.detail,
        }
    }
}

/// Newest first, of one account or of all.
pub(in crate::login) async fn list(
    State(server): State<Shared>,
    _: ServiceCall,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked: Asked = query(&uri)?;
    let entries = server.store.audit_tail(asked.account.as_ref(), limit(asked.limit)?).await?;
    Ok(json(StatusCode::OK, &Listed { entries: entries.iter().map(Entry::of).collect() }))
}
