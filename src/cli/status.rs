//! `loopkey status`

use clap::Args;
use serde_json::json;

use super::control::{call, count, say};
use super::{Failure, Global};
use crate::agent::Status;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Prints one JSON object instead of words.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<(), Failure> {
    let answer = call(global, "status", &json!({})).await?;
    if arguments.json {
        say(answer);
        return Ok(());
    }
    let status: Status = serde_json::from_value(answer)
        .map_err(|error| Failure::failed(format!("the agent is of another version: {error}")))?;
    say(format_args!("agent {} listens on port {}", status.agent, status.port));
    if let Some(port) = status.wss_port {
        say(format_args!("and speaks TLS on port {port}"));
    }
    if !status.peer_check {
        say("warning: peer_check is off; other users of this computer can reach the agent");
    }
    for issuer in &status.issuers {
        let who = issuer.account.as_ref().map_or("nobody", |account| account.name.as_str());
        say(format_args!("{}: {who} ({}, epoch {})", issuer.issuer, issuer.presence, issuer.epoch.0));
        if issuer.pending_sign_outs > 0 {
            let waiting = count(issuer.pending_sign_outs, "sign-out");
            say(format_args!("  the login server has not answered yet for {waiting}"));
        }
    }
    for account in status.accounts.iter().filter(|account| !account.current) {
        say(format_args!("{}: {} is enrolled too (account {})", account.issuer, account.name, account.account));
    }
    for origin in &status.origins {
        say(format_args!("{}: {}", origin.origin, count(origin.sockets, "open page")));
    }
    Ok(())
}
