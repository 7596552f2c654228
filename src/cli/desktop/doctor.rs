//! `loopkey doctor`

use std::path::PathBuf;

use clap::Args;

use crate::cli::control::say;
use crate::cli::{Failure, Global};
use crate::doctor::{Examiner, Places};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Each line is one thing that was found, with its code in brackets and, below it, what to do.

  ✗  somebody cannot sign in
  !  it works, but not as it should
  ·  good to know; nothing is wrong

Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, or the configuration that was named is wrong, 3 no agent is
running. Nothing is changed, and nothing secret is shown: the report can be passed on.

Examples:
  loopkey doctor                        the agent that is running
  loopkey doctor --config agent.toml    also where it does not start
  loopkey doctor --json                 for a support desk; docs/doctor.md lists the codes")]
pub(in crate::cli) struct Arguments {
    /// Prints one JSON object instead of words.
    #[arg(long)]
    json: bool,

    /// The agent's configuration: looks at it, and, where no agent runs, at what it names.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, global: Global) -> Result<(), Failure> {
    let Arguments { json, config } = arguments;
    let examiner = Examiner { config, control: global.control, places: Places::of_this_user() };
    let report = Box::pin(examiner.examine()).await;
    if json {
        say(serde_json::to_string(&report).map_err(Failure::failed)?);
    } else {
        say(report.words());
    }
    if report.config_is_wrong {
        return Err(Failure::misused("the configuration is wrong"));
    }
    if report.agent_is_absent {
        return Err(Failure::no_agent("no agent is running"));
    }
    match report.wrong() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is wrong")),
        many => Err(Failure::failed(format!("{many} things are wrong"))),
    }
}
