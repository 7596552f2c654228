//! `loopkey open-url`: what a page can have the desktop do, which is to start the agent and nothing else.
//!
//! The address comes from a page. It is compared with the one that there is, and never shown, logged or passed on.

use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::agent::control;
use crate::cli::Failure;
use crate::config;
use crate::install::{self, Homes, Record, StartsBy};
use crate::protocol::metadata::WAKE_LINK;

/// How long a started agent may take until it answers.
const WAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two questions whether it does.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long another agent may take until it answers, after ours ended because of it.
const OTHER_AGENT: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_long_help = "\
The only address is loopkey:wake, behind two dashes: loopkey open-url -- loopkey:wake
Every other one is refused with exit code 2, and nothing is done.

If an agent answers, that is all. Otherwise systemd is asked to start it, or it is started with the configuration that
`loopkey install` recorded; the command returns when the agent answers, and gives up after 15 seconds.
The control socket is the one of that configuration; --control and LOOPKEY_CONTROL do not count here.")]
pub(in crate::cli) struct Arguments {
    /// The address, behind two dashes.
    #[arg(last = true, value_name = "ADDRESS")]
    addresses: Vec<OsString>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !matches!(arguments.addresses.as_slice(), [only] if only == WAKE_LINK) {
        return Err(Failure::misused(format!("there is one address to open, {WAKE_LINK}, and this was another")));
    }
    let place = Homes::of_this_user()?.record();
    let not_installed =
        || Failure::failed("no agent is installed for this user; run `loopkey install --config FILE` first");
    let record = Record::read(&place)?.ok_or_else(not_installed)?;
    let settings = config::load(&record.config, config::Kind::Agent, config::agent)?;
    // Whoever holds the lock starts the agent; the others wait for the same one.
    let lock = Record::open(&place)?.ok_or_else(not_installed)?;
    let mut started: Option<Option<Child>> = None;
    let waking = async {
        while !answers(&settings.control).await {
            if let Some(agent) = &mut started {
                if agent.as_mut().is_some_and(has_ended) {
                    // An agent that was started at the same moment, at login for one, may be the reason.
                    tokio::time::sleep(OTHER_AGENT).await;
                    if answers(&settings.control).await {
                        break;
                    }
                    return Err(Failure::failed(format!("the agent ended at once; {}", to_see_why(&record))));
                }
            } else if lock.try_lock().is_ok() {
                started = Some(start(&record)?);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    tokio::time::timeout(WAKE_TIMEOUT, waking).await.unwrap_or_else(|_| {
        let seconds = WAKE_TIMEOUT.as_secs();
        Err(Failure::failed(format!("the agent did not answer within {seconds} s; {}", to_see_why(&record))))
    })
}

/// Whether an agent says how it stands.
pub(super) async fn answers(socket: &std::path::Path) -> bool {
    let Ok((peer, _incoming, driver)) = control::connect(socket).await else { return false };
    let nothing = json!({});
    tokio::select! {
        answer = peer.call("status", &nothing) => answer.is_ok(),
        () = driver => false,
    }
}

/// Starts the agent; gives its process, where systemd is not the one to start it.
fn start(record: &Record) -> Result<Option<Child>, Failure> {
    if record.starts_by == StartsBy::Systemd {
        match install::start_by_systemd() {
            Ok(()) => return Ok(None),
            // From a session that the person's systemd does not belong to, for one.
            Err(error) => tracing::debug!(%error, "systemd does not start the agent"),
        }
    }
    let mut command = Command::new(std::env::current_exe().map_err(Failure::failed)?);
    command.args(["agent".as_ref(), "--config".as_ref(), record.config.as_os_str()]);
    // It outlives the browser that opened the address: no pipe of that one, and no signal for its processes.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env_remove("LOOPKEY_CONTROL");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map(Some).map_err(Failure::failed)
}

fn has_ended(agent: &mut Child) -> bool {
    !matches!(agent.try_wait(), Ok(None))
}

fn to_see_why(record: &Record) -> String {
    let direct = format!("to see why, run: loopkey agent --config {}", record.config.display());
    match record.starts_by {
        StartsBy::Systemd => format!("{direct}, or: journalctl --user --unit {}", install::linux::SERVICE),
        _ => direct,
    }
}
