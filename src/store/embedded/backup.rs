//! Copies of an embedded store, and the way back.
//!
//! A copy is taken from a running store through SQLite's own backup, so that it is of one moment. A restored store begins
//! anew: nobody knows who signed out after the copy was made, so no session of it counts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, backup};

use super::{EmbeddedError, files, keys, schema};
use crate::keyfile;

/// Pages of 4 KiB that are copied at a time; between two of them the running store may write.
const PAGES: i32 = 256;
/// What the copy waits between two steps.
const PAUSE: Duration = Duration::from_millis(5);

/// Why a copy or a restoration did not happen. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What should be written is there already.
    #[error("{0} is there already: name a folder that does not exist yet")]
    Exists(PathBuf),
    /// There is no store, or no copy of one.
    #[error("{0} holds no store: it has no {1}")]
    NoStore(PathBuf, &'static str),
    /// The copy is damaged.
    #[error("{0} is damaged and was not restored: {1}")]
    Damaged(PathBuf, String),
    /// The store itself.
    #[error(transparent)]
    Store(#[from] EmbeddedError),
    /// A file or folder.
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Accounts.
    pub accounts: u64,
    /// Devices, revoked ones too.
    pub devices: u64,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What it holds.
    pub summary: Summary,
    /// Where the store is now that was there before.
    pub former: Option<PathBuf>,
}

/// Copies the store of a folder into another, while it is in use. Says how much is done, in percent. Blocks.
///
/// # Errors
/// [`BackupError`]; a copy that was begun is removed.
pub fn back_up(store: &Path, target: &Path, progress: impl FnMut(u64)) -> Result<Summary, BackupError> {
    let database = store.join(files::DATABASE);
    if !database.is_file() {
        return Err(BackupError::NoStore(store.to_owned(), files::DATABASE));
    }
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let copied = copy(&database, store, target, progress);
    if copied.is_err() {
        let _ = std::fs::remove_dir_all(target);
    }
    copied
}

fn copy(database: &Path, store: &Path, target: &Path, mut progress: impl FnMut(u64)) -> Result<Summary, BackupError> {
    keyfile::private_folder(target).map_err(EmbeddedError::from)?;
    let source = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    source.busy_timeout(Duration::from_secs(5)).map_err(BackupError::from)?;
    let mut copy = Connection::open(files::database(target)?)?;
    let running = backup::Backup::new(&source, &mut copy)?;
    loop {
        let step = running.step(PAGES)?;
        let done = running.progress();
        let total = u64::try_from(done.pagecount).unwrap_or(0).max(1);
        progress(100 - u64::try_from(done.remaining).unwrap_or(0) * 100 / total);
        match step {
            backup::StepResult::Done => break,
            #[expect(
                clippy::disallowed_methods,
                reason = "a thread of its own that copies; the running store writes meanwhile"
            )]
            _ => std::thread::sleep(PAUSE),
        }
    }
    drop(running);
    // One file: the copy needs no log of its own.
    copy.pragma_update(None, "journal_mode", "DELETE").or_else(ignore_row)?;
    verify(target, &copy)?;
    let folder = store.join(keys::FOLDER);
    if folder.is_dir() {
        copy_keys(&folder, &target.join(keys::FOLDER))?;
    }
    summary(&copy)
}

fn ignore_row(error: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(error, rusqlite::Error::ExecuteReturnedResults) { Ok(()) } else { Err(error) }
}

fn copy_keys(from: &Path, to: &Path) -> Result<(), BackupError> {
    let unreadable = |error| BackupError::Io(from.to_owned(), error);
    keyfile::private_folder(to).map_err(EmbeddedError::from)?;
    for entry in std::fs::read_dir(from).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name() else { continue };
        let key = keyfile::read(&path).map_err(EmbeddedError::from)?;
        keyfile::create(&to.join(name), key.expose()).map_err(EmbeddedError::from)?;
    }
    Ok(())
}

/// Puts a copy in a store's place. The store must not be in use; what was there is moved aside. Blocks.
///
/// # Errors
/// [`BackupError`]; the store is then as it was.
pub fn restore(copy: &Path, store: &Path) -> Result<Restored, BackupError> {
    if !copy.join(files::DATABASE).is_file() {
        return Err(BackupError::NoStore(copy.to_owned(), files::DATABASE));
    }
    // Whoever runs on it would go on writing to files that are no longer there.
    drop(if store.exists() { Some(files::lock(store)?) } else { None });
    let beside = |suffix: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (fresh, former) = (beside(".restoring"), beside(".before-restore"));
    for path in [&fresh, &former] {
        if path.exists() {
            return Err(BackupError::Exists(path.clone()));
        }
    }
    let made = make(copy, &fresh);
    let summary = made.inspect_err(|_| drop(std::fs::remove_dir_all(&fresh)))?;
    let had = store.exists();
    let moved = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| BackupError::Io(from.to_owned(), e));
    if had {
        moved(store, &former)?;
    }
    moved(&fresh, store)?;
    Ok(Restored { summary, former: had.then_some(former) })
}

fn make(copy: &Path, fresh: &Path) -> Result<Summary, BackupError> {
    let summary = back_up(copy, fresh, |_| ())?;
    let mut connection = Connection::open(fresh.join(files::DATABASE))?;
    verify(copy, &connection)?;
    schema::migrate(&mut connection)?;
    connection.execute_batch(
        "BEGIN; DELETE FROM sessions; DELETE FROM tickets; DELETE FROM withdrawals;
         UPDATE accounts SET generation = generation + 1;
         UPDATE log SET life = lower(hex(randomblob(16))), trimmed = 0; COMMIT",
    )?;
    Ok(summary)
}

fn verify(folder: &Path, connection: &Connection) -> Result<(), BackupError> {
    let found: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .unwrap_or_else(|error| error.to_string());
    if found == "ok" { Ok(()) } else { Err(BackupError::Damaged(folder.to_owned(), found)) }
}

fn summary(connection: &Connection) -> Result<Summary, BackupError> {
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(|count| u64::try_from(count).unwrap_or(0))
    };
    Ok(Summary { accounts: count("accounts")?, devices: count("devices")? })
}
