//! `GET /v1/link` (protocol sections 6.8 and 7): the standing connection of an agent.
//!
//! A link tells its agent of what happens here, and takes in what happens there. It is worth no more than the L that it
//! was opened with: what it carries of weight is signed by itself.

mod opening;
mod talk;
#[cfg(test)]
mod tests;
mod upgrade;

use axum::extract::{Request, State};
use axum::response::Response;
use tracing::Instrument as _;

use super::answer::Refusal;
use super::caller::AgentCall;
use super::state::Shared;
use talk::talk;

/// Upgrades, and has the link spoken on.
pub(super) async fn link(State(server): State<Shared>, _: AgentCall, request: Request) -> Result<Response, Refusal> {
    let (upgrade, response) = upgrade::accept(request)?;
    let Some(room) = server.links.room() else {
        tracing::warn!("refused a link: there are as many as limits.links allows");
        return Err(Refusal::Unavailable);
    };
    let span = tracing::info_span!(parent: None, "link", device = tracing::field::Empty);
    tokio::spawn(
        async move {
            if let Some(socket) = upgrade::complete(upgrade).await {
                // Boxed, so that a task is no larger than what goes on in it.
                Box::pin(talk(socket, server)).await;
            }
            drop(room);
        }
        .instrument(span),
    );
    Ok(response)
}
