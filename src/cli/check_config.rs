//! `loopkey check-config`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Failure;
use super::control::say;
use crate::config::{self, Kind};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// agent.toml, server.toml or policy.toml; which of them it is shows from its keys.
    file: PathBuf,

    /// Which of them it is, where the keys do not tell.
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<KindArgument>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArgument {
    /// The agent's configuration.
    Agent,
    /// The login server's configuration.
    Server,
    /// An administrator's policy.
    Policy,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = config::read(&arguments.file)?;
    let kind = match arguments.kind {
        Some(KindArgument::Agent) => Kind::Agent,
        Some(KindArgument::Server) => Kind::Server,
        Some(KindArgument::Policy) => Kind::Policy,
        None => Kind::of(&text),
    };
    let folder = config::folder_of(&arguments.file)?;
    let mut lacking = "";
    let (name, checked) = match kind {
        Kind::Agent => {
            let checked = config::agent(&text, &folder).map(|settings| {
                if settings.origins.is_empty() {
                    lacking = ", but no page can speak to this agent: it lists no [[origin]]";
                }
            });
            ("agent", checked)
        }
        #[cfg(feature = "cli")]
        Kind::Server => ("server", config::server(&text, &folder).map(drop)),
        #[cfg(not(feature = "cli"))]
        Kind::Server => {
            return Err(Failure::misused(format!(
                "{} is a login server's configuration, and this command was built without the login server: check it where \
                 that one is installed",
                arguments.file.display()
            )));
        }
        Kind::Policy => ("policy", config::policy(&text).map(drop)),
    };
    let file = arguments.file.display();
    checked
        .map_err(|error| Failure::misused(format!("{file} cannot stay as it is ({name} configuration):\n{error}")))?;
    say(format_args!("{file}: a sound {name} configuration{lacking}"));
    Ok(())
}
