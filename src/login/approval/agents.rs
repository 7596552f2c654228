//! The agents that approve: what one is asked over its link, and A, which comes back over it or by `POST /v1/approvals`.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::super::answer::Refusal;
use super::super::body::JsonBody;
use super::super::caller::AgentCall;
use super::super::state::{Shared, State};
use super::approver::{outcome_of, verdict};
use super::asked;
use super::order::{self, Approver, Order, Way};
use crate::protocol::id::{OrderId, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::link::Asking;
use crate::protocol::order::{OrderEvent, OrderState};
use crate::protocol::statement::{Approval, BadStatement, Unverified};
use crate::store::{AuditRecord, DeviceRecord, NoteKey};
use crate::verify;

/// What an agent of the account is to be told of an order: the question while it is open, the number alone when it is not.
pub(in crate::login) async fn question(
    server: &State,
    key: &NoteKey,
    subject: &Subject,
) -> Result<Option<Result<Asking, OrderId>>, Refusal> {
    let order = order::read(server, key).await?;
    let Some(order) = order.filter(|order| is_for(order, subject)) else { return Ok(None) };
    if order.state != OrderState::Pending {
        return Ok(Some(Err(order.id)));
    }
    let seconds = order.deadline().seconds_since(server.clock.timestamp());
    let Order { id, nonce, origin, browser, place, .. } = order;
    Ok(Some(Ok(Asking { order: id, nonce, origin, browser, place, seconds })))
}

/// The order that agents of the account were asked about last, for one that links up now.
pub(in crate::login) async fn newest(server: &State, subject: &Subject) -> Option<NoteKey> {
    // What the store does not answer is not asked.
    asked::newest(server, subject).await.unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Posted {
    statement: String,
}

/// Takes an A in by itself; the link brings them too.
pub(in crate::login) async fn post(
    Extract(server): Extract<Shared>,
    _: AgentCall,
    JsonBody(posted): JsonBody<Posted>,
) -> Result<Response, Refusal> {
    take(&posted.statement, &server).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Why an A was refused; for the log.
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
    #[error("the statement is of another person than the device's")]
    Subject,
    #[error("the device is revoked")]
    Revoked,
    #[error("the account is disabled")]
    Disabled,
    #[error("the statement is of before a sign-out")]
    Epoch,
}

/// Takes the decision of a device in. All that may have changed since is looked at once more when the session is opened.
pub(in crate::login) async fn take(statement: &str, server: &Shared) -> Result<(), Refusal> {
    let fault = |fault: Fault| {
        tracing::warn!("refused an approval: {fault}");
        Refusal::InvalidStatement
    };
    let unverified = Unverified::<Approval>::parse(statement).map_err(|bad| fault(bad.into()))?;
    let device = server.store.device(unverified.key_id()).await?;
    let (said, device) = verify(&unverified, device.as_ref(), &server.config.issuer).map_err(fault)?;
    server.limiter.sound_sign_out(unverified.key_id(), server.clock.now())?;
    let key = order::find(server, &said.order).await?.ok_or_else(|| invalid("nobody has such an order"))?;
    let approver = Approver::Device { device: device.id.clone(), subject: said.sub.clone(), epoch: said.epo };
    let changed = order::change(server, &key, |order, now| {
        if !is_for(order, &said.sub) || order.nonce != said.nonce {
            return Err(invalid("the order is another's"));
        }
        // An agent takes an order on with its answer: the first of the person's agents decides.
        order.go(OrderEvent::Scan, now)?;
        order.go(verdict(order, said.decision, &said.code), now)?;
        order.approver = Some(approver.clone());
        Ok(())
    })
    .await;
    let (order, ()) = changed.map_err(|refusal| match refusal {
        Refusal::InvalidOrder => Refusal::InvalidStatement,
        other => other,
    })?;
    tracing::info!(device = device.id.as_str(), state = order.state.as_str(), "an order was decided");
    let (what, detail) = (outcome_of(order.state), format!("by=device origin={} order={}", order.origin, order.id));
    let account = Some(device.account.profile.account.clone());
    Ok(server.store.record(AuditRecord { what, account, device: Some(device.id.clone()), detail }).await?)
}

fn invalid(why: &str) -> Refusal {
    tracing::warn!("refused an approval: {why}");
    Refusal::InvalidStatement
}

fn is_for(order: &Order, subject: &Subject) -> bool {
    order.way == Way::Agents && order.subject.as_ref() == Some(subject)
}

fn verify<'d>(
    unverified: &Unverified<'_, Approval>,
    device: Option<&'d DeviceRecord>,
    issuer: &Issuer,
) -> Result<(Approval, &'d DeviceRecord), Fault> {
    let said = verify::verify_signature(unverified, device.map(|device| &device.key))?;
    let device = device.ok_or(verify::Fault::UnknownKey)?;
    let fault = if said.aud != *issuer {
        Fault::Audience
    } else if said.iss.0 != device.id {
        Fault::Issuer
    } else if said.sub != device.account.subject {
        Fault::Subject
    } else if device.revoked_at.is_some() {
        Fault::Revoked
    } else if device.account.disabled {
        Fault::Disabled
    } else if said.epo < device.epoch {
        Fault::Epoch
    } else {
        return Ok((said, device));
    };
    Err(fault)
}
