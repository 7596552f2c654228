//! `loopkey enrol`

use std::io::Read as _;

use clap::Args;
use serde_json::json;

use super::control::{call, say};
use super::{Failure, Global};
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
    ticket: String,
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    let issuer: Issuer = arguments
        .issuer
        .parse()
        .map_err(|error| Failure::misused(format!("--issuer {:?}: {error}", arguments.issuer)))?;
    let ticket = if arguments.ticket == "-" {
        let mut text = String::new();
        std::io::stdin().take(TICKET_MAX_LEN).read_to_string(&mut text).map_err(Failure::failed)?;
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(Failure::misused("no ticket on standard input: pipe in the one that the login server gave"));
        }
        text
    } else {
        arguments.ticket
    };
    let ticket: EnrolmentTicket = ticket.parse().map_err(|_| {
        Failure::misused(
            "that is no enrolment ticket: it has 43 letters, digits, - and _, as the login server gave them",
        )
    })?;
    let enrolled = call(global, "account.enrol", &json!({ "issuer": issuer, "ticket": ticket })).await?;
    let text = |member: &str| enrolled[member].as_str().unwrap_or_default().to_owned();
    say(format_args!("enrolled {} (account {})", text("name"), text("account")));
    Ok(())
}
