//! `loopkey grants`

use clap::{Args, Subcommand};
use serde_json::json;

use super::control::{call, say};
use super::{Failure, Global};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes back what the person allowed an origin for good, and closes its open pages' connections.
    Revoke {
        /// The origin, as `loopkey grants` lists it.
        origin: String,
    },
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    match arguments.command {
        None => {
            let answer = call(global, "grants.list", &json!({})).await?;
            let grants = answer["grants"].as_array().cloned().unwrap_or_default();
            if grants.is_empty() {
                say("no site has been allowed for good");
            }
            for grant in grants {
                let text = |member: &str| grant[member].as_str().unwrap_or_default().to_owned();
                say(format_args!("{} (account {})", text("origin"), text("account")));
            }
        }
        Some(Command::Revoke { origin }) => {
            let answer = call(global, "grants.revoke", &json!({ "origin": origin })).await?;
            if answer["revoked"] == true {
                say(format_args!("{origin} has to ask again"));
            } else {
                say(format_args!("nothing was allowed for {origin} for good; its open connections are closed"));
            }
        }
    }
    Ok(())
}
