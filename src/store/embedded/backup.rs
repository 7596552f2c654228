//! Copies of an embedded store, and the way back.
//!
//! A copy is taken from a running store through SQLite's own backup, so that it is of one moment. A restored store begins
//! anew: nobody knows who signed out after the copy was made, so no session of it counts; nor which notes
//! were taken since, so it has none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, backup};

use super::{EmbeddedError, files, keys, schema};
use crate::keyfile;
use crate::protocol::time::Timestamp;
use crate::store::Audited;

/// Pages of 4 KiB that are copied at a time; between two of them the running store may write.
const PAGES: i32 = 256;
/// What the copy waits between two steps.
const PAUSE: Duration = Duration::from_millis(5);
/// How often a step may be held up by another program that has the database.
const HELD_UP_MAX: u32 = 2_000;

/// Why a copy or a restoration did not happen. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What should be written is there already.
    #[error("{0} is there already: name a folder that does not exist yet")]
    Exists(PathBuf),
    /// What an earlier restoration moved aside, or left unfinished.
    #[error("{0} is there already, from an earlier restoration: move it away or remove it, and restore again")]
    Aside(PathBuf),
    /// There is no store, or no copy of one.
    #[error("{0} holds no store: it has no {1}")]
    NoStore(PathBuf, &'static str),
    /// The copy is damaged.
    #[error("{0} is damaged and was not restored: {1}")]
    Damaged(PathBuf, String),
    /// Another program holds the database.
    #[error("{0}: another program holds the database; end it and try again")]
    HeldUp(PathBuf),
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
    // One moment of it: without this each write of the running store would begin the copy anew.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
    let mut copy = Connection::open(files::database(target)?)?;
    let running = backup::Backup::new(&source, &mut copy)?;
    let mut held_up = 0;
    loop {
        let step = running.step(PAGES)?;
        let done = running.progress();
        let total = u64::try_from(done.pagecount).unwrap_or(0).max(1);
        progress(100 - u64::try_from(done.remaining).unwrap_or(0) * 100 / total);
        match step {
            backup::StepResult::Done => break,
            backup::StepResult::Busy | backup::StepResult::Locked if held_up == HELD_UP_MAX => {
                return Err(BackupError::HeldUp(store.to_owned()));
            }
            backup::StepResult::Busy | backup::StepResult::Locked => {
                held_up += 1;
                pause();
            }
            _ => pause(),
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

#[expect(clippy::disallowed_methods, reason = "a thread of its own that copies; the running store writes meanwhile")]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn ignore_row(error: rusqlite::Error) -> rusqlite::Result<()> {
    if matches!(error, rusqlite::Error::ExecuteReturnedResults) { Ok(()) } else { Err(error) }
}

fn copy_keys(from: &Path, to: &Path) -> Result<(), BackupError> {
    let unreadable = |error| BackupError::Io(from.to_owned(), error);
    keyfile::private_folder(to).map_err(EmbeddedError::from)?;
    for entry in std::fs::read_dir(from).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().filter(|_| keys::is_key_file(&path)) else { continue };
        let (key, copied) = (keyfile::read(&path).map_err(EmbeddedError::from)?, to.join(name));
        keyfile::create(&copied, key.expose()).map_err(EmbeddedError::from)?;
        // A key's age decides when it signs and for how long it counts: that of the copy is the same.
        let made_at = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).map_err(unreadable)?;
        let dated = std::fs::File::options().append(true).open(&copied).and_then(|file| file.set_modified(made_at));
        dated.map_err(|error| BackupError::Io(copied, error))?;
    }
    Ok(())
}

/// Puts a copy in a store's place, and writes that into its audit record. The store must not be in use; what was there is moved
/// aside. Blocks.
///
/// # Errors
/// [`BackupError`]; the store is then as it was.
pub fn restore(copy: &Path, store: &Path, now: Timestamp) -> Result<Restored, BackupError> {
    if !copy.join(files::DATABASE).is_file() {
        return Err(BackupError::NoStore(copy.to_owned(), files::DATABASE));
    }
    // Whoever runs on it would go on writing to files that are no longer there. Kept until the store is in its place.
    let lock = if store.exists() { Some(files::lock(store)?) } else { None };
    let beside = |suffix: &str| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (fresh, former) = (beside(".restoring"), beside(".before-restore"));
    for path in [&fresh, &former] {
        if path.exists() {
            return Err(BackupError::Aside(path.clone()));
        }
    }
    let made = make(copy, &fresh, now);
    let summary = made.inspect_err(|_| drop(std::fs::remove_dir_all(&fresh)))?;
    let had = store.exists();
    let moved = |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|e| BackupError::Io(from.to_owned(), e));
    if had {
        moved(store, &former)?;
    }
    moved(&fresh, store)?;
    keyfile::sync_folder(store).map_err(|error| BackupError::Io(store.to_owned(), error))?;
    drop(lock);
    Ok(Restored { summary, former: had.then_some(former) })
}

fn make(copy: &Path, fresh: &Path, now: Timestamp) -> Result<Summary, BackupError> {
    let summary = back_up(copy, fresh, |_| ())?;
    let mut connection = Connection::open(fresh.join(files::DATABASE))?;
    verify(copy, &connection)?;
    schema::migrate(&mut connection)?;
    connection.execute_batch(
        "BEGIN; DELETE FROM sessions; DELETE FROM tickets; DELETE FROM notes; DELETE FROM withdrawals;
         UPDATE accounts SET generation = generation + 1;
         UPDATE log SET life = lower(hex(randomblob(16))), trimmed = 0; COMMIT",
    )?;
    super::columns::record(&connection, now, Audited::StoreRestored, None, None, "")?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::Embedded;
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::store::{Details, DisplayName, Identity, NoteKey, NoteKind, NoteValue, Profile, Store as _};
    use crate::verify::testing::parsed;

    #[tokio::test]
    async fn a_restored_store_has_the_identities_and_no_notes() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, copy) = (folder.path().join("store"), folder.path().join("copy"));
        let running = Embedded::open(&store, Arc::new(SystemClock)).expect("store");
        let profile = Profile { account: parsed("ada"), name: DisplayName::clean("Ada").expect("name"), avatar: None };
        let identity = Identity::new(parsed("oidc"), "", "47").expect("sound");
        running.adopt_identity(profile, identity.clone(), Details::default()).await.expect("store").expect("adopted");
        let (key, until) = (NoteKey::of(NoteKind::new("test"), b"secret"), SystemClock.timestamp().plus(600));
        let value = NoteValue::try_from("flow".to_owned()).expect("short");
        assert!(running.keep_note(&key, value, until).await.expect("store"));
        drop(running);
        back_up(&store, &copy, |_| ()).expect("copied");
        restore(&copy, &store, SystemClock.timestamp()).expect("restored");
        let restored = Embedded::open(&store, Arc::new(SystemClock)).expect("store");
        assert_eq!(restored.take_note(&key).await.expect("store"), None);
        assert!(restored.identity(&identity).await.expect("store").is_some());
    }

    /// Without a moment of its own the copy would begin anew with each write, and never end.
    #[tokio::test]
    async fn a_store_that_is_written_all_the_time_is_copied_as_of_one_moment() {
        let folder = tempfile::tempdir().expect("folder");
        let (store, target) = (folder.path().join("store"), folder.path().join("copy"));
        let running = Embedded::open(&store, Arc::new(SystemClock)).expect("store");
        let entries = |database: &Path| -> u64 {
            let connection = Connection::open(database).expect("opened");
            let count = connection.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0));
            count.expect("counted").unsigned_abs()
        };
        let write = |c: &Connection, n: u32| {
            let line = "x".repeat(3_000);
            for _ in 0..n {
                c.execute("INSERT INTO audit (at, what, detail) VALUES (0, 'test', ?1)", [&line])?;
            }
            Ok(())
        };
        running.write(move |c, _| write(c, 4_000)).await.expect("written");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, database) = (Arc::clone(&stop), store.join(files::DATABASE));
        let writing = std::thread::spawn(move || {
            let connection = Connection::open(database).expect("opened");
            connection.busy_timeout(Duration::from_secs(5)).expect("set");
            let mut writes = 0;
            while !stopped.load(Ordering::Relaxed) {
                write(&connection, 1).expect("written");
                writes += 1;
            }
            writes
        });
        let mut seen = vec![0];
        let copied = back_up(&store, &target, |done| seen.push(done));
        stop.store(true, Ordering::Relaxed);
        let writes: u64 = writing.join().expect("the writer");
        copied.expect("copied");
        assert!(seen.is_sorted() && seen.len() > 10, "it never began anew: {seen:?}");
        assert!(writes > 10, "it was written meanwhile");
        let held = entries(&target.join(files::DATABASE));
        assert!((4_000..4_000 + writes).contains(&held), "{held}");
        assert_eq!(entries(&store.join(files::DATABASE)), 4_000 + writes);
    }
}
