//! `/v1/accounts/{account}/devices`: lists and revokes an account's devices.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::account;
use crate::login::answer::{Refusal, json};
use crate::login::caller::ServiceCall;
use crate::login::path::Path;
use crate::login::state::Shared;
use crate::protocol::id::{DeviceId, Epoch};
use crate::protocol::time::Timestamp;
use crate::store::Actor;

#[derive(Serialize)]
struct Listed<'a> {
    devices: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    device: &'a DeviceId,
    name: &'a str,
    enrolled_at: Timestamp,
    epoch: Epoch,
}

/// `GET`: the account's active devices, oldest first.
pub(in crate::login) async fn list(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let name = account(&name)?;
    if server.store.account(&name).await?.is_none() {
        return Err(Refusal::NotFound);
    }
    let devices = server.store.devices(&name).await?;
    let entries = devices.iter().map(|device| Entry {
        device: &device.id,
        name: device.name.as_str(),
        enrolled_at: device.enrolled_at,
        epoch: device.epoch,
    });
    Ok(json(StatusCode::OK, &Listed { devices: entries.collect() }))
}

/// `DELETE …/{device}`: revokes it and ends its sessions.
pub(in crate::login) async fn revoke(
    State(server): State<Shared>,
    _: ServiceCall,
    Path((name, device)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let device: DeviceId = device.parse().map_err(|_| Refusal::NotFound)?;
    if !server.store.revoke_device(&account(&name)?, &device, Actor::Administrator).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!(device = device.as_str(), "an administrator revoked a device");
    Ok(StatusCode::NO_CONTENT.into_response())
}
