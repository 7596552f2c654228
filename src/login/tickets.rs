//! `POST /v1/enrolment-tickets` (protocol section 6.6): the application's own backend says who is signed in to its client.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Refusal, json};
use super::body::{JsonBody, PICTURE_BODY_MAX_LEN};
use super::caller::ServiceCall;
use super::state::Shared;
use crate::crypto;
use crate::protocol::id::{EnrolmentTicket, Subject};
use crate::protocol::json;
use crate::protocol::time::Timestamp;
use crate::store::{AccountId, Avatar, DisplayName, Hint, Profile, TicketHash};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Posted {
    account: AccountId,
    name: String,
    #[serde(default, deserialize_with = "json::present")]
    avatar: Option<String>,
}

impl Posted {
    fn profile(self) -> Option<Profile> {
        let name = DisplayName::clean(&self.name).ok()?;
        let avatar = self.avatar.map(Avatar::try_from).transpose().ok()?;
        Some(Profile { account: self.account, name, avatar })
    }
}

#[derive(Serialize)]
struct Issued<'a> {
    ticket: &'a EnrolmentTicket,
    expires_at: Timestamp,
    subject: &'a Subject,
}

/// Issues a ticket. The store keeps its digest alone.
pub(super) async fn issue(
    State(server): State<Shared>,
    _: ServiceCall,
    JsonBody(posted): JsonBody<Posted, PICTURE_BODY_MAX_LEN>,
) -> Result<Response, Refusal> {
    let profile = posted.profile().ok_or(Refusal::BadRequest)?;
    let ticket = EnrolmentTicket::from_bytes(crypto::random());
    let ticketed = server.store.issue_ticket(TicketHash::of(&ticket), profile).await?;
    let ticketed = ticketed.ok_or(Refusal::AccountDisabled)?;
    // With the ticket came the person's name and picture as they are now.
    server.store.hint(Hint::ProfileChanged { subject: ticketed.subject.clone() }).await;
    let issued = Issued { ticket: &ticket, expires_at: ticketed.expires_at, subject: &ticketed.subject };
    Ok(json(StatusCode::CREATED, &issued))
}
