//! Writing the audit log. A line is on the disk before it is noted that it is there, and both are before what the line tells of
//! is given out: a power cut takes away nothing but half a line that nobody was told of.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::entry::{Act, Entry};
use super::verify::Reading;
use crate::clock::Clock;
use crate::keyfile::{self, KeyFileError};
use crate::protocol::origin::Origin;
use crate::protocol::rate::RateLimit;

/// The file that grows.
pub(super) const CURRENT: &str = "audit.log";
/// Which lines there are to be: what was cut off at either end is missed.
pub(super) const BOUNDS: &str = "audit.bounds";
/// The current file makes way for a new one once it is this long, in bytes.
const FILE_MAX_LEN: u64 = if cfg!(test) { 64 * 1024 } else { 1024 * 1024 };
/// Full files that are kept besides the current one.
const MAX_FULL_FILES: usize = 8;
/// Longest line in bytes.
const LINE_MAX_LEN: u64 = 16 * 1024;
/// Lines that the pages of one origin can cause in a minute, tokens and prompts apart: a page must neither fill the disk nor push
/// out what was written before.
const LINES_PER_MINUTE: u32 = 60;

/// Why the audit log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file, or its rights.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The system said no.
    #[error("the audit log {path} cannot be used: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The audit log of one agent.
pub(in crate::agent) struct Audit {
    clock: Arc<dyn Clock>,
    inner: Mutex<Writer>,
}

struct Writer {
    folder: PathBuf,
    file: File,
    bounds_file: File,
    len: u64,
    bounds: Bounds,
    /// What the pages of each origin have caused.
    caused: HashMap<Origin, Caused>,
}

struct Caused {
    lines: RateLimit,
    skipped: u64,
}

/// The first and the last line, and the last one's hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) hash: String,
}

impl Audit {
    /// Opens the log in the state folder. Where its end is damaged or cut off, that is written down as a gap.
    pub(in crate::agent) fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        let path = folder.join(CURRENT);
        let mut file = keyfile::open_private(&path)?;
        let noted = read_bounds(folder)?;
        let bounds_file = keyfile::open_private(&folder.join(BOUNDS))?;
        let fault = |source| AuditError::Io { path: path.clone(), source };
        let end = End::of(&mut file).map_err(fault)?;
        let len = file.metadata().map_err(fault)?.len();
        if len == 0 || noted.is_none() {
            // The files may be new. Whoever has written into them before has done this before that.
            keyfile::sync_folder(&path).map_err(fault)?;
        }
        let bounds = noted.clone().unwrap_or_default();
        let folder = folder.to_owned();
        let mut writer = Writer { folder, file, bounds_file, len, bounds, caused: HashMap::new() };
        writer.mend(noted.as_ref(), &end, &*clock)?;
        Ok(Self { clock, inner: Mutex::new(writer) })
    }

    /// Appends a line.
    pub(in crate::agent) fn record(&self, act: Act) -> Result<(), AuditError> {
        self.lock().append(act, &*self.clock)
    }

    /// Appends a line where nothing depends on it: what happened has happened.
    pub(in crate::agent) fn note(&self, act: Act) {
        if let Err(error) = self.record(act) {
            tracing::error!(%error, "the audit log has a line less than it should");
        }
    }

    /// Appends that a page of an allowed origin was refused, at most so often.
    pub(in crate::agent) fn refused(&self, origin: &Origin, code: &str) {
        self.note_caused(origin, Act::Refused { origin: origin.clone(), code: code.to_owned() });
    }

    /// Appends what pages can cause as often as they like, at most so often.
    pub(in crate::agent) fn note_caused(&self, origin: &Origin, act: Act) {
        let skipped = {
            let mut writer = self.lock();
            let new = || Caused { lines: RateLimit::per_minute(LINES_PER_MINUTE), skipped: 0 };
            let caused = writer.caused.entry(origin.clone()).or_insert_with(new);
            if !caused.lines.admit(self.clock.now()) {
                caused.skipped += 1;
                return;
            }
            std::mem::take(&mut caused.skipped)
        };
        if skipped > 0 {
            self.note(Act::Skipped { origin: origin.clone(), lines: skipped });
        }
        self.note(act);
    }

    /// Appends what was skipped and not yet said: the agent stops.
    pub(in crate::agent) fn close(&self) {
        let skipped: Vec<_> = {
            let mut writer = self.lock();
            writer.caused.drain().filter(|(_, caused)| caused.skipped > 0).collect()
        };
        for (origin, caused) in skipped {
            self.note(Act::Skipped { origin, lines: caused.skipped });
        }
    }

    /// Reads and verifies the log, between two lines.
    pub(in crate::agent) fn read(&self) -> Result<Reading, AuditError> {
        let writer = self.lock();
        super::verify::read(&writer.folder)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Goes on after the last line that was written. Where the end is not as it was noted, that becomes a line of its own: what is
    /// found there is not believed, and stays to be seen.
    fn mend(&mut self, noted: Option<&Bounds>, end: &End, clock: &dyn Clock) -> Result<(), AuditError> {
        if end.is_torn && noted.is_some_and(|noted| self.is_last(noted, end)) {
            // A power cut left half a line behind. It was not noted yet, so nothing was given out for it.
            tracing::warn!("the audit log ended with half a line, which is cut off");
            self.len = end.whole_len;
            let fault = |source| AuditError::Io { path: self.folder.join(CURRENT), source };
            self.file.set_len(self.len).and_then(|()| self.file.sync_data()).map_err(fault)?;
            return Ok(());
        }
        let found = end.entry.as_ref().filter(|_| !end.is_torn);
        match (noted, found) {
            // Nothing was ever written.
            (None, None) if self.len == 0 && full_files(&self.folder)?.is_empty() => return self.note_bounds(),
            (Some(noted), None) if self.len == 0 && noted.last == 0 => return Ok(()),
            // Right after a new file was begun.
            (Some(noted), None) if self.len == 0 && self.last_full_file_ends_with(noted) => return Ok(()),
            (Some(noted), Some((entry, hash))) if entry.n == noted.last && *hash == noted.hash => return Ok(()),
            // The note is written after the line, and the agent was stopped in between.
            (Some(noted), Some((entry, hash))) if entry.n == noted.last + 1 && entry.prev == noted.hash => {
                self.bounds = Bounds { first: noted.first.max(1), last: entry.n, hash: hash.clone() };
                return self.note_bounds();
            }
            _ => {}
        }
        if let (None, Some((entry, hash))) = (noted, end.entry.as_ref()) {
            self.bounds = Bounds { first: 0, last: entry.n, hash: hash.clone() };
        }
        if end.is_torn {
            self.write(b"\n")?;
        }
        let last = end.entry.as_ref().map_or(0, |(entry, _)| entry.n);
        let missing = self.bounds.last.saturating_sub(last);
        tracing::error!(missing, "the end of the audit log is not as the agent left it; see `loopkey log`");
        self.append(Act::Gap { missing }, clock)
    }

    fn append(&mut self, act: Act, clock: &dyn Clock) -> Result<(), AuditError> {
        if self.len >= FILE_MAX_LEN {
            self.begin_file()?;
        }
        let entry = Entry { n: self.bounds.last + 1, at: clock.wall(), act, prev: self.bounds.hash.clone() };
        let (line, hash) = entry.encode();
        self.write(line.as_bytes())?;
        let first = if self.bounds.first == 0 { entry.n } else { self.bounds.first };
        self.bounds = Bounds { first, last: entry.n, hash };
        self.note_bounds()
    }

    /// Writes at the end of the current file, all or nothing.
    fn write(&mut self, bytes: &[u8]) -> Result<(), AuditError> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.len))?;
            self.file.write_all(bytes)?;
            self.file.sync_data()
        };
        match write() {
            Ok(()) => self.len += bytes.len() as u64,
            Err(source) => {
                // Half a line would make the next one unreadable too.
                let _ = self.file.set_len(self.len);
                return Err(AuditError::Io { path: self.folder.join(CURRENT), source });
            }
        }
        Ok(())
    }

    fn note_bounds(&mut self) -> Result<(), AuditError> {
        let text = serde_json::to_string(&self.bounds).expect("numbers and a string");
        let mut write = || {
            // Longer than any content before: what was there is overwritten whole.
            self.bounds_file.seek(SeekFrom::Start(0))?;
            self.bounds_file.write_all(format!("{text:<120}\n").as_bytes())?;
            self.bounds_file.sync_data()
        };
        write().map_err(|source| AuditError::Io { path: self.folder.join(BOUNDS), source })
    }

    /// Puts the current file among the full ones, and the oldest of those away.
    fn begin_file(&mut self) -> Result<(), AuditError> {
        let path = self.folder.join(CURRENT);
        let full = self.folder.join(full_name(self.bounds.last));
        match std::fs::rename(&path, &full) {
            // It was put away before, and then the new one could not be made.
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(AuditError::Io { path, source }),
            _ => {}
        }
        self.file = keyfile::open_private(&path)?;
        self.len = 0;
        keyfile::sync_folder(&path).map_err(|source| AuditError::Io { path, source })?;
        let mut files = full_files(&self.folder)?;
        files.truncate(files.len().saturating_sub(MAX_FULL_FILES));
        if let Some((last, _)) = files.last() {
            // Noted first: what is gone before that would be missed.
            self.bounds.first = last + 1;
            self.note_bounds()?;
        }
        for (_, path) in files {
            std::fs::remove_file(&path).map_err(|source| AuditError::Io { path, source })?;
        }
        Ok(())
    }

    /// Whether the last whole line is the one that was noted last, and nothing but one torn line comes after it.
    fn is_last(&self, noted: &Bounds, end: &End) -> bool {
        end.torn_lines == 1
            && match &end.entry {
                Some((entry, hash)) => entry.n == noted.last && *hash == noted.hash,
                None => end.whole_len == 0 && (noted.last == 0 || self.last_full_file_ends_with(noted)),
            }
    }

    fn last_full_file_ends_with(&self, expected: &Bounds) -> bool {
        full_files(&self.folder).is_ok_and(|files| files.last().is_some_and(|(last, _)| *last == expected.last))
    }
}

/// The full files, the oldest first, each with the number of its last line.
pub(super) fn full_files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, AuditError> {
    let fault = |source| AuditError::Io { path: folder.to_owned(), source };
    let mut files = Vec::new();
    let folder = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        found => found.map_err(fault)?,
    };
    for file in folder {
        let path = file.map_err(fault)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("audit-").and_then(|name| name.strip_suffix(".log"));
        if let Some(last) = number.and_then(|number| number.parse().ok()) {
            files.push((last, path));
        }
    }
    files.sort();
    Ok(files)
}

fn full_name(last: u64) -> String {
    format!("audit-{last:012}.log")
}

/// What the log is known to begin and end with. `None` where that was never noted, or is damaged: no reason to lose the log.
pub(super) fn read_bounds(folder: &Path) -> Result<Option<Bounds>, AuditError> {
    match keyfile::read_up_to(&folder.join(BOUNDS), LINE_MAX_LEN) {
        Ok(text) => Ok(serde_json::from_slice(text.expose()).ok()),
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How the current file ends.
struct End {
    /// The last whole line that can be read.
    entry: Option<(Entry, String)>,
    /// Whether something comes after it.
    is_torn: bool,
    /// How many lines that is, and how long the file is without them.
    torn_lines: usize,
    whole_len: u64,
}

impl End {
    fn of(file: &mut File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let start = len.saturating_sub(4 * LINE_MAX_LEN);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.take(4 * LINE_MAX_LEN).read_to_end(&mut tail)?;
        let (mut entry, mut torn_lines, mut whole_len) = (None, 0, len);
        for line in tail.split_inclusive(|byte| *byte == b'\n').rev() {
            let whole = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
            entry = whole.and_then(Entry::decode);
            if entry.is_some() {
                break;
            }
            torn_lines += 1;
            whole_len -= line.len() as u64;
        }
        Ok(Self { entry, is_torn: torn_lines > 0, torn_lines, whole_len })
    }
}
