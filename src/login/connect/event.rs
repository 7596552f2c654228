//! `POST /v1/connect/{name}/events`: a provider posts an event to the connector (DingTalk's older push). What is in it alone
//! proves that it is the provider's; whoever posts anything else hears one refusal.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::callback::parse;
use super::{call, find};
use crate::connectors::Posted;
use crate::crypto::Secret;
use crate::login::answer::{Refusal, json};
use crate::login::body;
use crate::login::caller::AgentCall;
use crate::login::path::Path;
use crate::login::settings::Current;
use crate::login::state::Shared;

/// Longest event in bytes.
const MAX_LEN: usize = 64 * 1024;

/// Gives the event to the connector, and the provider its answer.
pub(in crate::login) async fn event(
    State(server): State<Shared>,
    settings: Current,
    _: AgentCall,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let way = find(&settings, &name)?;
    let parameters = parse(request.uri()).ok_or(Refusal::BadRequest)?;
    let body = Secret::new(body::read(request, "application/json", MAX_LEN).await?.to_vec());
    let posted = Posted { parameters: &parameters, body: &body, now: server.clock.timestamp() };
    let answer = call(&server, way, "event", way.connector.event(&posted)).await.map_err(|refusal| match refusal {
        Refusal::ProviderUnavailable | Refusal::Unsupported => refusal,
        _ => Refusal::BadRequest,
    })?;
    Ok(json(StatusCode::OK, &answer))
}
