//! `loopkey uninstall`

use std::path::PathBuf;

use clap::Args;

use super::open_url::answers;
use crate::cli::Failure;
use crate::cli::control::say;
use crate::config;
use crate::install::{self, Homes, Record, Step};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Accounts, device keys and the agent's state stay, and so does an agent that is running, which is said.
What others wrote into shared files stays as it is.")]
pub(in crate::cli) struct Arguments {
    /// Changes nothing; shows what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let homes = Homes::of_this_user()?;
    // As root, only what was installed for root.
    let record = Record::read(&homes.record())?;
    install::require_a_person(record.as_ref().is_some_and(|record| record.allow_root))?;
    let Some(record) = record else {
        say("nothing is installed for this user");
        return Ok(());
    };
    let control = control_of(&record);
    let steps = install::uninstall(&homes, arguments.dry_run)?;
    if arguments.dry_run {
        say("nothing is changed; this would be done (folders go if they are empty then):");
    }
    steps.iter().for_each(say);
    if steps.iter().any(|step| matches!(step, Step::Failed(_))) {
        say("what failed is to be run again by hand; until then, or until you log out, something may still be held");
    }
    if answers(&control).await {
        let command = if control == config::default_control() {
            "loopkey stop".to_owned()
        } else {
            format!("loopkey stop --control '{}'", control.display())
        };
        say(format!("an agent is still running; to end it, run: {command}"));
    }
    Ok(())
}

/// Where the installed agent answers. Its configuration may be gone.
fn control_of(record: &Record) -> PathBuf {
    let settings = config::load(&record.config, config::Kind::Agent, config::agent);
    settings.map_or_else(|_| config::default_control(), |settings| settings.control)
}
