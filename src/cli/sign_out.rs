//! `loopkey sign-out`

use clap::Args;
use serde_json::json;

use super::control::call;
use super::{Failure, Global};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Who signs out, where several accounts are enrolled (`loopkey status` lists them).
    #[arg(long)]
    account: Option<String>,

    /// Also forgets the account: its device key, and what the person allowed for good. It can be enrolled again.
    #[arg(long)]
    forget: bool,
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    let mut params = json!({});
    if let Some(account) = arguments.account {
        params["account"] = account.into();
    }
    let method = if arguments.forget { "account.remove" } else { "presence.signOut" };
    call(global, method, &params).await.map(drop)
}
