//! `loopkey uninstall`

use clap::Args;

use super::Failure;
use super::control::say;
use crate::install::{self, Homes, Record};

#[derive(Debug, Args)]
#[command(after_long_help = "\
Accounts, device keys and the agent's state stay, and so does an agent that is running: `loopkey stop` ends it.
What others wrote into shared files stays as it is.")]
pub(super) struct Arguments {
    /// Changes nothing; shows what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let homes = Homes::of_this_user()?;
    // As root, only what was installed for root.
    let record = Record::read(&homes.record())?;
    install::require_a_person(record.as_ref().is_some_and(|record| record.allow_root))?;
    if record.is_none() {
        say("nothing is installed for this user");
        return Ok(());
    }
    let steps = install::uninstall(&homes, arguments.dry_run)?;
    if arguments.dry_run {
        say("nothing is changed; this would be done (folders go if they are empty then):");
    }
    steps.iter().for_each(say);
    Ok(())
}
