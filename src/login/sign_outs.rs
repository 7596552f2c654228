//! `POST /v1/sign-outs` (protocol section 6.7): the person signed out of the client, or another did sign in.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::answer::Refusal;
use super::body::JsonBody;
use super::caller::AgentCall;
use super::state::Shared;
use crate::protocol::id::Epoch;
use crate::protocol::issuer::Issuer;
use crate::protocol::statement::{BadStatement, SignOut, Unverified};
use crate::store::DeviceRecord;
use crate::verify;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Posted {
    statement: String,
}

/// Why a sign-out was refused; for the log.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Statement(#[from] BadStatement),
    #[error("{0}")]
    Signature(#[from] verify::Fault),
    #[error("the statement is for another issuer")]
    Audience,
    #[error("the statement names another device")]
    Issuer,
    #[error("the statement is for another person than the device's")]
    Subject,
}

/// Takes a sign-out in by itself; the link brings them too.
pub(super) async fn sign_out(
    State(server): State<Shared>,
    _: AgentCall,
    JsonBody(posted): JsonBody<Posted>,
) -> Result<Response, Refusal> {
    take(&posted.statement, &server).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Raises the device's epoch, which it gives, and ends its sessions below it. Also for a revoked device or a disabled
/// account: signing out is always allowed, and the agent goes on asking until it is answered.
pub(super) async fn take(statement: &str, server: &Shared) -> Result<Epoch, Refusal> {
    let refuse = |fault: Fault| {
        tracing::warn!("refused a sign-out: {fault}");
        Refusal::InvalidStatement
    };
    let unverified = Unverified::<SignOut>::parse(statement).map_err(|fault| refuse(fault.into()))?;
    let device = server.store.device(unverified.key_id()).await?;
    let (statement, device) = verify(&unverified, device.as_ref(), &server.config.issuer).map_err(refuse)?;
    server.limiter.sound_sign_out(unverified.key_id(), server.clock.now())?;
    server.store.raise_epoch(&device.id, statement.epo).await?;
    tracing::info!(device = device.id.as_str(), epoch = statement.epo.0, "signed out");
    Ok(statement.epo)
}

fn verify<'d>(
    unverified: &Unverified<'_, SignOut>,
    device: Option<&'d DeviceRecord>,
    issuer: &Issuer,
) -> Result<(SignOut, &'d DeviceRecord), Fault> {
    let statement = verify::verify_signature(unverified, device.map(|device| &device.key))?;
    let device = device.ok_or(verify::Fault::UnknownKey)?;
    if statement.aud != *issuer {
        return Err(Fault::Audience);
    }
    if statement.iss.0 != device.id {
        return Err(Fault::Issuer);
    }
    if statement.sub == device.account.subject { Ok((statement, device)) } else { Err(Fault::Subject) }
}
