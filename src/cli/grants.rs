//! `loopkey grants`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::control::{call, say};
use super::{Failure, Global};
use crate::agent::{ConsentInfo, OriginStatus};
use crate::protocol::origin::Origin;

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
        origin: Origin,
    },
    /// Chooses how an origin is treated from now on. A choice can be stricter than the configuration and an administrator's
    /// policy, never looser.
    Set {
        /// The origin, as `loopkey grants` lists it.
        origin: Origin,
        /// What is chosen.
        consent: Choice,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Choice {
    /// As the configuration says.
    Default,
    /// Asked in a prompt the first time.
    Prompt,
    /// Asked in a prompt each time.
    Always,
    /// Its pages do not reach the agent.
    Blocked,
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    match arguments.command {
        None => list(global).await,
        Some(Command::Revoke { origin }) => {
            let answer = call(global, "grants.revoke", &json!({ "origin": origin })).await?;
            if answer["revoked"] == true {
                say(format_args!("{origin} has to ask again"));
                Ok(())
            } else {
                Err(Failure::failed(format!(
                    "nothing was allowed for {origin} for good (`loopkey grants` lists what was); connections that it had \
                     open are closed"
                )))
            }
        }
        Some(Command::Set { origin, consent }) => {
            let word = consent.to_possible_value().map(|value| value.get_name().to_owned());
            call(global, "grants.set", &json!({ "origin": origin, "consent": word })).await?;
            say(match consent {
                Choice::Default => format!("{origin} is treated as configured"),
                Choice::Prompt => format!("{origin} has to ask the first time"),
                Choice::Always => format!("{origin} has to ask each time"),
                Choice::Blocked => format!("{origin} is blocked; its open connections are closed"),
            });
            Ok(())
        }
    }
}

async fn list(global: &Global) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Listed {
        grants: Vec<ConsentInfo>,
        origins: Vec<OriginStatus>,
    }
    let answer = call(global, "grants.list", &json!({})).await?;
    let Listed { grants, origins } = serde_json::from_value(answer)
        .map_err(|error| Failure::failed(format!("the agent is of another version: {error}")))?;
    for origin in &origins {
        let how = serde_json::to_value(origin.consent).ok().and_then(|word| word.as_str().map(str::to_owned));
        let chosen = origin.choice.map(|choice| format!(", chosen: {choice}")).unwrap_or_default();
        let policy = if origin.by_policy { ", set by an administrator" } else { "" };
        say(format_args!("{} (consent: {}{chosen}{policy})", origin.origin, how.unwrap_or_default()));
    }
    if grants.is_empty() {
        say("no site has been allowed for good");
    }
    for grant in grants {
        let since = httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_millis(grant.since.0));
        say(format_args!("{} may sign in account {} without asking, since {since}", grant.origin, grant.account));
    }
    Ok(())
}
