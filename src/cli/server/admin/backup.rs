//! `loopkey admin backup` and `restore`: copies of an embedded store.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Failure;
use crate::cli::control::{count, say};
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::store::StoreUrl;
use crate::store::embedded::backup;

#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// A folder that does not exist yet. It will hold challenge keys: keep it as safe as the store.
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The folder that `loopkey admin backup` made.
    folder: PathBuf,
}

pub(super) async fn back_up(arguments: &BackupArguments, config: Option<&Path>) -> Result<(), Failure> {
    let store = store_of(config)?;
    let target = arguments.folder.clone();
    let copy = move || {
        let mut told = 0;
        backup::back_up(&store, &target, |done| {
            if done >= told + 10 {
                told = done - done % 10;
                tracing::info!("{told} % copied");
            }
        })
    };
    let summary = tokio::task::spawn_blocking(copy).await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    say(format_args!(
        "{}, {} copied to {}",
        count(summary.accounts, "account"),
        count(summary.devices, "device"),
        arguments.folder.display()
    ));
    Ok(())
}

pub(super) fn restore(arguments: &RestoreArguments, config: Option<&Path>) -> Result<(), Failure> {
    let store = store_of(config)?;
    let restored = backup::restore(&arguments.folder, &store, SystemClock.timestamp()).map_err(Failure::failed)?;
    if let Some(former) = &restored.former {
        say(format_args!("the store that was there before is now {}", former.display()));
    }
    let accounts = count(restored.summary.accounts, "account");
    let devices = count(restored.summary.devices, "device");
    say(format_args!("{accounts}, {devices} restored; everybody signs in anew"));
    say(
        "devices that were revoked and accounts that were disabled since the copy was made are not so any more: look at them",
    );
    Ok(())
}

fn store_of(config: Option<&Path>) -> Result<PathBuf, Failure> {
    let file = config.ok_or_else(|| Failure::misused("say which store: --config server.toml"))?;
    match config::load(file, config::Kind::Server, config::server)?.store {
        StoreUrl::Embedded(folder) => Ok(folder),
        StoreUrl::Memory => Err(Failure::misused("a store in memory cannot be copied")),
        StoreUrl::Redis(_) | StoreUrl::Postgres(_) => {
            Err(Failure::misused("this store has its own tools for that: pg_dump, pg_basebackup, or Redis's RDB files"))
        }
    }
}
