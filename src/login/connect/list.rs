//! `GET /v1/connectors`: the ways to sign in that a page can offer. For anybody: no secret is in it.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::connectors::Claim;
use crate::login::admin::query;
use crate::login::answer::{Refusal, json};
use crate::login::settings::Current;
use crate::login::state::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Listed<'a> {
    connectors: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    kind: &'static str,
    label: &'a str,
    tenant: Option<&'a str>,
    claims: &'static [Claim],
    front_end: serde_json::Value,
    in_app: bool,
    /// A browser can be sent to it.
    page: bool,
    /// Its page may be shown in a frame (`POST …/frame`).
    framed: bool,
}

/// All of them, in the order of the configuration; or those of one external organisation, of which there must be one.
pub(in crate::login) async fn list(State(_): State<Shared>, settings: Current, uri: Uri) -> Result<Response, Refusal> {
    let asked: Asked = query(&uri)?;
    let wanted = |tenant: Option<&str>| asked.tenant.as_deref().is_none_or(|asked| tenant == Some(asked));
    let ways = settings.connectors.iter().filter(|way| wanted(way.connector.tenant()));
    let connectors: Vec<_> = ways
        .map(|way| Entry {
            name: way.name.as_str(),
            kind: way.connector.kind(),
            label: way.label.as_str(),
            tenant: way.connector.tenant(),
            claims: way.connector.claims(),
            front_end: way.connector.front_end(),
            in_app: way.connector.is_in_app(),
            page: way.connector.has_page(),
            framed: way.connector.frame_origin().is_some(),
        })
        .collect();
    if connectors.is_empty() && asked.tenant.is_some() {
        return Err(Refusal::NotFound);
    }
    Ok(json(StatusCode::OK, &Listed { connectors }))
}
