//! `loopkey install`

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::cli::control::say;
use crate::config;
use crate::install::{self, Entry, Homes, Registration, StartsBy, Step};

#[derive(Debug, Args)]
#[command(after_long_help = "\
On Linux it writes into this person's own folders, and nowhere else:
  - a desktop entry that opens loopkey: (browsers ask before they run it), and a place in mimeapps.list;
  - units of the person's systemd: the agent with the desktop's session, and a socket that holds its first port
    from login on, and starts the agent when a page looks for it;
  - where systemd does not run for this user, an entry in ~/.config/autostart instead;
  - a record of all that in ~/.config/loopkey/install.json.
A second run changes only what is different. `loopkey uninstall` takes everything away.
The installed agent's control socket is the configuration's; --control and LOOPKEY_CONTROL do not count here.

Example:
  loopkey install --config ~/.config/harbor/agent.toml
  loopkey open-url -- loopkey:wake     # starts it now; at the next login it starts by itself")]
pub(in crate::cli) struct Arguments {
    /// The agent's configuration. It stays where it is: paths in it begin in its folder.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Changes nothing; shows what would be done, and what would be in each file.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = std::path::absolute(&arguments.config).map_err(Failure::misused)?;
    let settings = config::load(&file, config::Kind::Agent, config::agent)?;
    install::require_a_person(settings.allow_root)?;
    let program = std::env::current_exe().map_err(Failure::failed)?;
    let port = settings.ports.first().copied().unwrap_or_default();
    let registration = Registration::new(&program, &file, port)?;
    let homes = Homes::of_this_user()?;
    let plan = homes.plan(&registration);
    let steps = install::install(&plan, &registration, &homes, settings.allow_root, arguments.dry_run)?;
    if arguments.dry_run {
        say("nothing is changed; this would be done:");
    }
    for step in &steps {
        say(step);
        if let (true, Step::Write(Entry::File { content, .. })) = (arguments.dry_run, step) {
            content.lines().for_each(|line| say(format_args!("             | {line}")));
        }
    }
    for note in &plan.notes {
        say(format_args!("note: {note}"));
    }
    if !arguments.dry_run {
        let by = match plan.starts_by {
            StartsBy::Systemd => "systemd starts the agent with the desktop, and holds its port from login on",
            StartsBy::Session => "systemd does not run for this user: the desktop's session starts the agent",
            StartsBy::Launchd => "launchd starts the agent at login",
            StartsBy::RunKey => "Windows starts the agent at login",
        };
        say(format_args!("{by}; to start it now: loopkey open-url -- loopkey:wake"));
    }
    Ok(())
}
