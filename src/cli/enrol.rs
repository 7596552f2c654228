//! `loopkey enrol`

use std::io::Read as _;

use clap::Args;
use serde_json::json;

use super::control::{call, say};
use super::{Failure, Global};
use crate::crypto::Secret;
use crate::protocol::id::EnrolmentTicket;
use crate::protocol::issuer::Issuer;

/// Longest ticket that is read from standard input, with room for a line end.
const TICKET_MAX_LEN: u64 = 256;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The login server, as the agent's configuration names it.
    #[arg(long, value_name = "URL")]
    issuer: String,

    /// The enrolment ticket, or - to read it from standard input, so that it does not stand in the process list.
    #[arg(long, value_name = "TICKET|-", allow_hyphen_values = true)]
    ticket: TicketText,
}

/// A ticket as it was given. Kept from every `Debug` of the arguments.
#[derive(Debug, Clone)]
struct TicketText(Secret<String>);

impl From<String> for TicketText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    let issuer: Issuer = arguments
        .issuer
        .parse()
        .map_err(|error| Failure::misused(format!("--issuer {:?}: {error}", arguments.issuer)))?;
    let TicketText(mut text) = arguments.ticket;
    if text.expose() == "-" {
        let mut piped = String::new();
        std::io::stdin().take(TICKET_MAX_LEN).read_to_string(&mut piped).map_err(Failure::failed)?;
        text = Secret::new(piped);
        if text.expose().trim().is_empty() {
            return Err(Failure::misused("no ticket on standard input: pipe in the one that the login server gave"));
        }
    }
    let ticket: EnrolmentTicket = text.expose().trim().parse().map_err(|_| {
        Failure::misused(
            "that is no enrolment ticket: it has 43 letters, digits, - and _, as the login server gave them",
        )
    })?;
    let enrolled = call(global, "account.enrol", &json!({ "issuer": issuer, "ticket": ticket })).await?;
    let text = |member: &str| enrolled[member].as_str().unwrap_or_default().to_owned();
    say(format_args!("enrolled {} (account {})", text("name"), text("account")));
    Ok(())
}
