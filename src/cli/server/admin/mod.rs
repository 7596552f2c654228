//! `loopkey admin`: accounts, devices, the audit record and the keys of a login server, over its calls for administrators.

mod backup;
mod server;
mod table;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::control::say;
use server::Server;

#[derive(Debug, Args)]
#[command(
    after_help = "The login server is found by --config server.toml on its own computer, where it listens, or by --issuer and --service-key-file."
)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    server: ServerArguments,

    /// The login server's own answer, as JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct ServerArguments {
    /// The login server's configuration, which says where it listens and names its service key.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The login server's address, as it is reached from here.
    #[arg(long, global = true, value_name = "URL", env = "LOOPKEY_ISSUER", conflicts_with = "config")]
    issuer: Option<String>,
    /// The file with its service key.
    #[arg(long, global = true, value_name = "FILE", env = "LOOPKEY_SERVICE_KEY_FILE", conflicts_with = "config")]
    service_key_file: Option<PathBuf>,
    /// An extra root certificate, where the login server's own is of a private authority.
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the accounts.
    Accounts {
        /// Begins after this one.
        #[arg(long)]
        after: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Shows one account.
    Account {
        /// The backend's name for it.
        account: String,
    },
    /// Changes an account; what is not named stays as it is.
    Set(Set),
    /// Keeps an account from signing in, and ends its sessions.
    Disable {
        /// The backend's name for it.
        account: String,
    },
    /// Lets an account sign in again.
    Enable {
        /// The backend's name for it.
        account: String,
    },
    /// Ends an account's sessions everywhere and asks its devices to sign out; or those of a whole organisation.
    SignOut {
        /// The backend's name for it.
        #[arg(required_unless_present = "organisation", conflicts_with = "organisation")]
        account: Option<String>,
        /// Everybody in this organisation.
        #[arg(long)]
        organisation: Option<String>,
    },
    /// Erases an account with its devices and sessions. Its lines of the audit record stay, without its name.
    Erase {
        /// The backend's name for it.
        account: String,
        /// It cannot be undone, and that is meant.
        #[arg(long)]
        yes: bool,
    },
    /// Lists an account's devices.
    Devices {
        /// The backend's name for it.
        account: String,
    },
    /// Revokes a device and ends its sessions.
    Revoke {
        /// The backend's name for the account.
        account: String,
        /// The device, as `loopkey admin devices` lists it.
        #[arg(allow_hyphen_values = true)]
        device: String,
    },
    /// Shows the newest entries of the audit record.
    Audit {
        /// Of one account alone.
        #[arg(long)]
        account: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Makes a new key for challenges. It is published at once and signs two minutes later; nobody notices.
    RotateKeys,
    /// Copies an embedded store while the server runs.
    Backup(backup::BackupArguments),
    /// Puts a copy in an embedded store's place. The server must be stopped.
    Restore(backup::RestoreArguments),
}

#[derive(Debug, Args)]
struct Set {
    /// The backend's name for it.
    account: String,
    /// The person's name.
    #[arg(long)]
    name: Option<String>,
    /// The person's picture: an https address or a data: picture; an empty one takes it away.
    #[arg(long)]
    avatar: Option<String>,
    /// The organisation; an empty one takes the account out of its own. Moving ends the sessions.
    #[arg(long)]
    organisation: Option<String>,
    /// The weakest way in which the person may have agreed.
    #[arg(long)]
    minimum_uv: Option<MinimumUv>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MinimumUv {
    /// A click in the page.
    Page,
    /// The agent's own prompt.
    Prompt,
    /// The operating system's.
    Os,
}

impl Set {
    fn patch(&self) -> Value {
        let mut patch = serde_json::Map::new();
        let emptied = |text: &String| if text.is_empty() { Value::Null } else { text.as_str().into() };
        patch.extend(self.name.as_ref().map(|name| ("name".to_owned(), name.as_str().into())));
        patch.extend(self.avatar.as_ref().map(|avatar| ("avatar".to_owned(), emptied(avatar))));
        patch.extend(self.organisation.as_ref().map(|name| ("organisation".to_owned(), emptied(name))));
        let uv = self.minimum_uv.and_then(|uv| uv.to_possible_value());
        patch.extend(uv.map(|uv| ("minimum_uv".to_owned(), uv.get_name().into())));
        Value::Object(patch)
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { server, json: raw, command } = arguments;
    match command {
        Command::Backup(arguments) => return backup::back_up(&arguments, server.config.as_deref()).await,
        Command::Restore(arguments) => return backup::restore(&arguments, server.config.as_deref()),
        command => {
            let server = Server::find(&server)?;
            let answer = ask(&server, &command).await?;
            if raw {
                say(answer);
            } else {
                tell(&command, &answer);
            }
        }
    }
    Ok(())
}

async fn ask(server: &Server, command: &Command) -> Result<Value, Failure> {
    let of = |account: &str, rest: &[&str]| {
        [&["accounts", account], rest].concat().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    match command {
        Command::Accounts { after, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(after.clone().map(|after| ("after", after)));
            server.get(&["accounts".to_owned()], &query).await
        }
        Command::Account { account } => server.get(&of(account, &[]), &[]).await,
        Command::Set(set) => server.call(Method::PATCH, &of(&set.account, &[]), Some(set.patch())).await,
        Command::Disable { account } => {
            server.call(Method::PATCH, &of(account, &[]), Some(json!({ "disabled": true }))).await
        }
        Command::Enable { account } => {
            server.call(Method::PATCH, &of(account, &[]), Some(json!({ "disabled": false }))).await
        }
        Command::SignOut { account: Some(account), .. } => {
            server.call(Method::POST, &of(account, &["sign-out"]), None).await
        }
        Command::SignOut { account: None, organisation } => {
            let path = ["organisations".to_owned(), organisation.clone().unwrap_or_default(), "sign-out".to_owned()];
            server.call(Method::POST, &path, None).await
        }
        Command::Erase { yes: false, .. } => {
            Err(Failure::misused("erasing cannot be undone: if that is meant, add --yes"))
        }
        Command::Erase { account, yes: true } => server.call(Method::DELETE, &of(account, &[]), None).await,
        Command::Devices { account } => server.get(&of(account, &["devices"]), &[]).await,
        Command::Revoke { account, device } => {
            server.call(Method::DELETE, &of(account, &["devices", device]), None).await
        }
        Command::Audit { account, limit } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(account.clone().map(|account| ("account", account)));
            server.get(&["audit".to_owned()], &query).await
        }
        Command::RotateKeys => server.call(Method::POST, &["challenge-keys".to_owned()], None).await,
        Command::Backup(_) | Command::Restore(_) => Ok(Value::Null),
    }
}

/// Says in words what was done, or shows what was asked for.
fn tell(command: &Command, answer: &Value) {
    match command {
        Command::Accounts { .. } => {
            say(table::of(&answer["accounts"], &["account", "name", "organisation", "disabled", "subject"]));
            if let Some(next) = answer["next"].as_str() {
                say(format_args!("more: loopkey admin accounts --after {next:?}"));
            }
        }
        Command::Account { .. } | Command::Set(_) => say(table::one(answer)),
        Command::Devices { .. } => say(table::of(&answer["devices"], &["device", "name", "enrolled_at", "epoch"])),
        Command::Audit { .. } => {
            say(table::of(&answer["entries"], &["at", "what", "account", "subject", "device", "detail"]));
        }
        Command::Disable { account } => say(format_args!("{account} cannot sign in, and is signed out everywhere")),
        Command::Enable { account } => say(format_args!("{account} can sign in")),
        Command::SignOut { account: Some(account), .. } => say(format_args!("{account} is signed out everywhere")),
        Command::SignOut { organisation, .. } => {
            say(format_args!("everybody in {} is signed out", organisation.as_deref().unwrap_or_default()));
        }
        Command::Erase { account, .. } => say(format_args!("{account} is erased")),
        Command::Revoke { device, .. } => say(format_args!("{device} is revoked, and its sessions are over")),
        Command::RotateKeys => {
            let from = table::time(&answer["signs_from"]);
            say(format_args!("a new key is published; it signs from {from} on"));
        }
        Command::Backup(_) | Command::Restore(_) => {}
    }
}
