//! A page inside the provider's own application: its script's configuration, and the code that it gets there.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Deserialize;

use super::arrival::Arrival;
use super::return_to::ReturnTo;
use super::{call, find};
use crate::crypto::Secret;
use crate::login::answer::{Refusal, json};
use crate::login::body::JsonBody;
use crate::login::caller::CountedPageCall;
use crate::login::path::Path;
use crate::login::settings::Current;
use crate::login::state::Shared;

/// Longest code in bytes.
const CODE_MAX_LEN: usize = 2048;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Code {
    code: String,
}

/// `POST /v1/connect/{name}/code`: a code becomes a session.
pub(in crate::login) async fn code(
    State(server): State<Shared>,
    settings: Current,
    page: CountedPageCall,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonBody(posted): JsonBody<Code>,
) -> Result<Response, Refusal> {
    let way = find(&settings, &name)?;
    let code = Secret::new(posted.code);
    if code.expose().is_empty() || code.expose().len() > CODE_MAX_LEN {
        return Err(Refusal::BadRequest);
    }
    let identified = call(&server, way, "exchange", way.connector.exchange(&code)).await?;
    let origin = page.origin().clone();
    let arrival = Arrival { server: &server, settings: &settings, way, origin, headers: &headers };
    let cookies = arrival.sign_in(&identified).await?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders(cookies)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Page {
    url: String,
}

/// `POST /v1/connect/{name}/page`: what the provider's script needs on a page of a listed origin.
pub(in crate::login) async fn page_configuration(
    State(server): State<Shared>,
    settings: Current,
    _: CountedPageCall,
    Path(name): Path<String>,
    JsonBody(asked): JsonBody<Page>,
) -> Result<Response, Refusal> {
    let way = find(&settings, &name)?;
    // A page's own address may have a fragment, which is signed by nobody.
    let url = asked.url.split('#').next().unwrap_or_default();
    if ReturnTo::admit(url, &settings).is_none() {
        tracing::warn!(connector = way.name.as_str(), "refused: no page of a listed origin");
        return Err(Refusal::BadRequest);
    }
    let configuration = call(&server, way, "page", way.connector.page_configuration(url)).await?;
    Ok(json(StatusCode::OK, &configuration))
}
