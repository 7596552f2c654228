//! The command `loopkey`: one file a sub-command.

mod agent;
mod check_config;
mod control;
#[cfg(feature = "desktop")]
mod desktop;
mod enrol;
mod exit;
mod grants;
mod log;
mod logging;
mod open;
mod presence;
#[cfg(feature = "cli")]
mod server;
mod sign_out;
mod signals;
mod status;
mod stop;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use exit::Failure;

/// A web page signs a person in with the desktop client that is already signed in on the same computer.
///
#[cfg_attr(
    feature = "cli",
    doc = "Start with `loopkey demo`. Developers run `loopkey serve` beside their web application and `loopkey agent` (or the \
           embedded agent) on people's computers; the other commands talk to the running agent."
)]
#[cfg_attr(
    all(feature = "desktop", not(feature = "cli")),
    doc = "`loopkey agent` runs on people's computers, and the other commands talk to it. This one was built for desktops \
           alone: it has no login server and no demo."
)]
#[cfg_attr(
    not(feature = "desktop"),
    doc = "`loopkey agent` runs on people's computers, and the other commands talk to it. This one was built as a service \
           alone: it installs nothing, makes no certificates, and has no doctor."
)]
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 it failed, 2 wrong usage or configuration, 3 no agent is running."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Args)]
struct Global {
    /// The agent's control socket, where it is not the default one.
    #[arg(long, global = true, env = "LOOPKEY_CONTROL", value_name = "PATH", value_parser = any_path())]
    control: Option<PathBuf>,

    /// What is logged, to standard error: a level, or levels by module (warn,loopkey::agent=debug). Otherwise info, for the
    /// demo warn.
    #[arg(long, global = true, env = "LOOPKEY_LOG", value_name = "LEVELS")]
    log: Option<String>,

    /// Logs as JSON, one object a line.
    #[arg(long, global = true, env = "LOOPKEY_LOG_JSON")]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "cli")]
    #[command(flatten)]
    Server(server::Command),
    /// Runs the agent.
    Agent(agent::Arguments),
    /// Enrols an account with a ticket of its login server; the account is signed in from then on.
    Enrol(enrol::Arguments),
    /// Tells the agent how the person stands to the client.
    Presence(presence::Arguments),
    /// Signs the person out: open pages learn it at once, and their web sessions end.
    SignOut(sign_out::Arguments),
    /// Says how the running agent stands. Exits with 0 where one is running, with 3 where none is.
    Status(status::Arguments),
    /// Lists what sites may do and which the person allowed for good, takes that back, or makes it stricter.
    Grants(grants::Arguments),
    /// Opens a page in the default browser, signed in without a further prompt: once, within a minute.
    Open(open::Arguments),
    /// Shows the agent's audit log, and verifies that nobody changed it.
    Log(log::Arguments),
    /// Stops the running agent.
    Stop,
    #[cfg(feature = "desktop")]
    #[command(flatten)]
    Desktop(desktop::Command),
    /// Says everything that is wrong with a configuration file, each entry with its line and the cure.
    CheckConfig(check_config::Arguments),
}

impl Command {
    /// What is logged where nobody says.
    fn usual_log(&self) -> &'static str {
        match self {
            #[cfg(feature = "cli")]
            Self::Server(command) => command.usual_log(),
            _ => "info",
        }
    }
}

/// A path, also an empty one: an environment variable that is empty counts as one that is not set.
fn any_path() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    use clap::builder::TypedValueParser as _;
    clap::builder::OsStringValueParser::new().map(PathBuf::from)
}

/// Runs a command to its end.
///
/// # Errors
/// [`Failure`], with the exit code and the one line that says why.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { command, global } = arguments;
    logging::start(&global, command.usual_log())?;
    // The agent shares people's computers: one thread.
    let mut runtime = match &command {
        #[cfg(feature = "cli")]
        Command::Server(command) => command.runtime(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        match command {
            #[cfg(feature = "cli")]
            Command::Server(command) => server::run(command, global).await,
            Command::Agent(arguments) => agent::run(arguments, global).await,
            Command::Enrol(arguments) => enrol::run(arguments, &global).await,
            Command::Presence(arguments) => presence::run(arguments, &global).await,
            Command::SignOut(arguments) => sign_out::run(arguments, &global).await,
            Command::Status(arguments) => status::run(&arguments, &global).await,
            Command::Grants(arguments) => grants::run(arguments, &global).await,
            Command::Open(arguments) => open::run(arguments, &global).await,
            Command::Log(arguments) => log::run(arguments, &global).await,
            Command::Stop => stop::run(&global).await,
            #[cfg(feature = "desktop")]
            Command::Desktop(command) => desktop::run(command, global).await,
            Command::CheckConfig(arguments) => check_config::run(&arguments),
        }
    })
}
