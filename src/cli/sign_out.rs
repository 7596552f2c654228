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
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    let mut params = json!({});
    if let Some(account) = arguments.account {
        params["account"] = account.into();
    }
    call(global, "presence.signOut", &params).await.map(drop)
}
