//! `/v1/devices` (protocol section 6.6): agents enrol here; people see and revoke what they have enrolled.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::{Refusal, json};
use super::body::JsonBody;
use super::caller::{AgentCall, PageCall, SignedIn};
use super::path::Path;
use super::presence::Person;
use super::state::Shared;
use crate::protocol::id::{DeviceId, Epoch};
use crate::protocol::statement;
use crate::protocol::time::Timestamp;
use crate::store::{Actor, DisplayName, EnrolRefusal, TicketHash};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Posted {
    enrolment: String,
}

#[derive(Serialize)]
struct Enrolled<'a> {
    device: &'a DeviceId,
    #[serde(flatten)]
    person: Person<'a>,
    epoch: Epoch,
}

/// `POST`: enrols a device key for whoever the ticket was issued to.
pub(super) async fn enrol(
    State(server): State<Shared>,
    _: AgentCall,
    JsonBody(posted): JsonBody<Posted>,
) -> Result<Response, Refusal> {
    let refuse = |cause: &dyn std::error::Error| {
        tracing::warn!("refused an enrolment: {cause}");
        Refusal::InvalidEnrolment
    };
    let (enrolment, key) = statement::verify_enrolment(&posted.enrolment).map_err(|fault| refuse(&fault))?;
    if enrolment.aud != server.config.issuer {
        tracing::warn!("refused an enrolment: it is for another issuer");
        return Err(Refusal::InvalidEnrolment);
    }
    let name = DisplayName::clean(&enrolment.name).map_err(|bad| refuse(&bad))?;
    let enrolled = match server.store.enrol(TicketHash::of(&enrolment.nonce), key, name).await? {
        Ok(enrolled) => enrolled,
        Err(duplicate @ EnrolRefusal::DuplicateKey) => {
            refuse(&duplicate);
            return Err(Refusal::DuplicateKey);
        }
        Err(refusal) => return Err(refuse(&refusal)),
    };
    let (device, account) = (&enrolled.device, &enrolled.account);
    tracing::info!(device = device.as_str(), subject = account.subject.as_str(), "enrolled a device");
    Ok(json(StatusCode::CREATED, &Enrolled { device, person: Person::of(account), epoch: enrolled.epoch }))
}

#[derive(Serialize)]
struct Listed<'a> {
    devices: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    device: &'a DeviceId,
    name: &'a str,
    enrolled_at: Timestamp,
    /// Whether this session was opened with it.
    current: bool,
}

/// `GET`: the account's active devices.
pub(super) async fn list(State(server): State<Shared>, SignedIn(session): SignedIn) -> Result<Response, Refusal> {
    let devices = server.store.devices(&session.account.profile.account).await?;
    let entries = devices.iter().map(|device| Entry {
        device: &device.id,
        name: device.name.as_str(),
        enrolled_at: device.enrolled_at,
        current: session.device.as_ref() == Some(&device.id),
    });
    Ok(json(StatusCode::OK, &Listed { devices: entries.collect() }))
}

/// `DELETE`: revokes one of the account's own devices and ends its sessions.
pub(super) async fn revoke(
    State(server): State<Shared>,
    _: PageCall,
    SignedIn(session): SignedIn,
    Path(device): Path<String>,
) -> Result<Response, Refusal> {
    let device: DeviceId = device.parse().map_err(|_| Refusal::NotFound)?;
    if !server.store.revoke_device(&session.account.profile.account, &device, Actor::Person).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!(device = device.as_str(), subject = session.account.subject.as_str(), "revoked a device");
    Ok(StatusCode::NO_CONTENT.into_response())
}
