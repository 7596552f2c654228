//! `POST /v1/organisations/{organisation}/sign-out`: one entry of the log signs everybody in it out.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::login::answer::Refusal;
use crate::login::caller::ServiceCall;
use crate::login::path::Path;
use crate::login::state::Shared;
use crate::store::OrganisationId;

/// Ends the sessions of everybody in the organisation.
pub(in crate::login) async fn sign_out(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(organisation): Path<String>,
) -> Result<Response, Refusal> {
    let organisation: OrganisationId = organisation.parse().map_err(|_| Refusal::NotFound)?;
    if !server.store.sign_out_organisation(&organisation).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!(organisation = organisation.as_str(), "an administrator signed an organisation out");
    Ok(StatusCode::NO_CONTENT.into_response())
}
