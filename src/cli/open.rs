//! `loopkey open`

use clap::Args;
use serde_json::json;

use super::control::{call, say};
use super::{Failure, Global};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The page, with its https://, at an origin of the agent's configuration.
    url: String,
}

pub(super) async fn run(arguments: Arguments, global: &Global) -> Result<(), Failure> {
    call(global, "pages.open", &json!({ "url": arguments.url })).await?;
    say("the browser is asked to open the page; if it does so within a minute, nobody is asked a second time");
    Ok(())
}
