//! `loopkey certs`

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};

use crate::agent::WssFiles;
use crate::certs::{Certs, CertsError, Outlook, Store};
use crate::cli::Failure;
use crate::cli::control::say;
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::install::{self, Homes, Step};
use crate::protocol::time::Timestamp;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Most browsers let pages open plain sockets to this computer, and nothing of this is needed. WebKit's (Safari, GNOME Web) do
not, from an https page: for them the agent can speak TLS on a port of its own, with a certificate of an authority that
exists on this computer alone. It may sign for localhost, 127.0.0.1 and ::1 only, and its key is destroyed once it has signed
that one certificate.

  1. loopkey certs create        makes the two in the state folder, and tells nobody
  2. [wss] in agent.toml         turns the port on
  3. loopkey certs install       tells this person's browsers: the database of Chromium and its kin, and each Firefox profile;
                                 with --system also this system's own store (WebKit looks nowhere else), by sudo

`remove` takes everything away. Once a year `renew` makes another authority and certificate in the place of the former ones;
the agent shows the new one to the next connection, and open pages stay connected. Browsers that are running may have to be
started again before they know a new authority.")]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    action: Action,

    /// The agent's configuration: its state folder is where the certificate is kept.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes the authority and the agent's certificate.
    Create,
    /// Makes the authority known to this person's browsers.
    Install {
        /// Also to this system's own store, for every user of this computer (asks for the administrator's password).
        #[arg(long)]
        system: bool,
        /// Changes nothing; shows what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Says until when the certificate is good, and who knows the authority.
    Status {
        /// Prints one JSON object instead of words.
        #[arg(long)]
        json: bool,
    },
    /// Makes another authority and certificate, and puts them in the place of the former ones wherever those are known.
    Renew {
        /// Does nothing while the certificate is good for more than thirty days: for a timer.
        #[arg(long)]
        due: bool,
    },
    /// Takes the authority out of every store, and the certificate away.
    Remove {
        /// Changes nothing; shows what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { action, config } = arguments;
    let settings = config.map(|file| config::load(&file, config::Kind::Agent, config::agent)).transpose()?;
    install::require_a_person(settings.as_ref().is_some_and(|settings| settings.allow_root))?;
    let is_on = settings.as_ref().is_some_and(|settings| settings.wss.is_some());
    let state_dir = settings.map_or_else(config::default_state_dir, |settings| settings.state_dir);
    let certs = Certs { files: WssFiles::of(&state_dir), homes: Homes::of_this_user()? };
    let now = SystemClock.timestamp();
    match action {
        Action::Create => {
            certs.create(now)?;
            describe(&certs.status(SystemClock.wall())?);
            if !is_on {
                say("to have the agent use it, write [wss] into agent.toml, and start the agent again");
            }
            say("no browser knows it yet: loopkey certs install");
        }
        Action::Install { system, dry_run } => {
            if !cfg!(target_os = "linux") {
                by_hand(&certs.files.authority(), "add");
                return Ok(());
            }
            tell(&certs.install(system, dry_run)?, dry_run, "every store knows the authority already");
            if !dry_run {
                say("browsers that are running may have to be started again to know it");
            }
        }
        Action::Status { json } => {
            let outlook = certs.status(SystemClock.wall())?;
            if json {
                say(serde_json::to_string(&outlook).map_err(Failure::failed)?);
            } else {
                describe(&outlook);
            }
        }
        Action::Renew { due } => {
            if due && !certs.status(SystemClock.wall())?.due {
                say("the certificate is good for more than thirty days: nothing is done");
                return Ok(());
            }
            tell(&certs.renew(now)?, false, "no store knew the former authority");
            describe(&certs.status(SystemClock.wall())?);
            if !cfg!(target_os = "linux") {
                by_hand(&certs.files.authority(), "add");
            }
        }
        Action::Remove { dry_run } => {
            if !cfg!(target_os = "linux") {
                by_hand(&certs.files.authority(), "delete");
            }
            let steps = match certs.remove(dry_run) {
                Err(CertsError::Missing(_)) => Vec::new(),
                steps => steps?,
            };
            tell(&steps, dry_run, "nothing was there");
            if is_on {
                say("agent.toml still has [wss]: take it out, or the agent does not start");
            }
        }
    }
    Ok(())
}

fn tell(steps: &[Step], dry_run: bool, nothing: &str) {
    if dry_run {
        say("nothing is changed; this would be done:");
    } else if steps.is_empty() {
        say(nothing);
    }
    steps.iter().for_each(say);
}

fn describe(outlook: &Outlook) {
    let Outlook { name, ends, sound, due, stores } = outlook;
    let state = match (sound, due) {
        (false, _) => "no browser takes it: loopkey certs renew",
        (true, true) => "it ends within thirty days: loopkey certs renew",
        (true, false) => "sound",
    };
    say(format_args!("{name}: until {}, {state}", date(*ends)));
    for known in stores {
        let knows = match known.knows {
            Some(true) => "knows it  ",
            Some(false) => "does not  ",
            None => "not asked ",
        };
        say(format_args!("  {knows} {}", known.store));
    }
    if stores.iter().any(|known| known.knows.is_none()) {
        say("  (what could not be asked needs the program certutil: libnss3-tools, or nss-tools)");
    }
    if !stores.iter().any(|known| matches!(known.store, Store::System(_)) && known.knows == Some(true)) {
        say("  WebKit's browsers look into this system's own store alone: loopkey certs install --system");
    }
}

fn date(at: Timestamp) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at.0))
}

/// Where this program does not do it itself, it says what does. These commands were never run by its tests.
fn by_hand(authority: &Path, action: &str) {
    let file = authority.display();
    say("on this system it is done by hand:");
    match (std::env::consts::OS, action) {
        ("macos", "add") => say(format_args!(
            "  security add-trusted-cert -r trustRoot -p ssl -k ~/Library/Keychains/login.keychain-db '{file}'"
        )),
        ("macos", _) => say(format_args!("  security remove-trusted-cert '{file}'")),
        ("windows", "add") => say(format_args!("  certutil -user -addstore Root \"{file}\"")),
        ("windows", _) => say("  certutil -user -delstore Root \"Loopkey local authority\""),
        _ => say(format_args!("  give {file} to the system's store of certificates, or take it out again")),
    }
    say("  in Firefox: Settings, Privacy & Security, Certificates, View Certificates, Authorities");
}

impl From<CertsError> for Failure {
    fn from(error: CertsError) -> Self {
        match error {
            CertsError::Step(error) => error.into(),
            CertsError::Missing(_) | CertsError::Exists(_) => Self::misused(error),
            other => Self::failed(other),
        }
    }
}
