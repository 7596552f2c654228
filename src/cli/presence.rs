//! `loopkey presence`

use clap::{Args, ValueEnum};
use serde_json::json;

use super::control::call;
use super::{Failure, Global};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How the person stands to the client.
    presence: Presence,

    /// Whose presence, where several accounts are enrolled (`loopkey status` lists them).
    #[arg(long)]
    account: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Presence {
    /// Signed in and there.
    SignedIn,
    /// Signed in, but not at the computer.
    Away,
    /// Signed in behind a lock: no page is signed in.
    Locked,
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    let presence = match arguments.presence {
        Presence::SignedIn => "signed_in",
        Presence::Away => "away",
        Presence::Locked => "locked",
    };
    let mut params = json!({ "presence": presence });
    if let Some(account) = arguments.account {
        params["account"] = account.into();
    }
    call(global, "presence.set", &params).await.map(drop)
}
