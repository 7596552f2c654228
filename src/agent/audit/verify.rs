//! Reading the audit log, and finding where somebody changed it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{Act, Entry};
use super::log::{AuditError, CURRENT, full_files, read_bounds};
use crate::keyfile::{self, KeyFileError};

/// Longest file in bytes that is read: far more than the agent lets one grow.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// Something that is not as the agent wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The file's name in the state folder.
    pub file: String,
    /// The line in it, from 1; nothing where the file as a whole is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

/// What the log holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Every line that is whole, the oldest first.
    pub entries: Vec<Entry>,
    /// The hash of the last line. Whoever keeps it elsewhere can tell later whether the log was rewritten.
    pub last_hash: String,
    /// Where it was changed; empty where it was not.
    pub faults: Vec<Fault>,
}

/// Reads and verifies the log in an agent's state folder. One that does not exist yet is empty.
///
/// # Errors
/// [`AuditError`] where a file cannot be read, or others could have written it.
pub fn read(folder: &Path) -> Result<Reading, AuditError> {
    let mut files: Vec<PathBuf> = full_files(folder)?.into_iter().map(|(_, path)| path).collect();
    files.push(folder.join(CURRENT));
    let mut reading = Reading::default();
    let mut expected = None;
    for path in files {
        let content = match keyfile::read_up_to(&path, MAX_LEN) {
            Ok(content) => content,
            Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for (at, line) in String::from_utf8_lossy(content.expose()).lines().enumerate() {
            reading.take(&name, at + 1, line, &mut expected);
        }
    }
    let bounds = read_bounds(folder)?;
    let found = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.n);
    let (first, last) = (found(reading.entries.first()), found(reading.entries.last()));
    let mut missing = |from: u64, to: u64| {
        let problem = format!("lines {from} to {to} are missing");
        reading.faults.push(Fault { file: CURRENT.to_owned(), line: None, problem });
    };
    if bounds.first < first && bounds.first > 0 {
        missing(bounds.first, first - 1);
    }
    if last < bounds.last {
        missing(last + 1, bounds.last);
    } else if last == bounds.last && reading.last_hash != bounds.hash {
        let problem = "the last line is not the one that was written last".to_owned();
        reading.faults.push(Fault { file: CURRENT.to_owned(), line: None, problem });
    }
    Ok(reading)
}

/// The number and the `prev` that the next line is to have.
type Expected = Option<(u64, String)>;

impl Reading {
    fn take(&mut self, file: &str, line_number: usize, line: &str, expected: &mut Expected) {
        let mut fault = |problem: String| {
            self.faults.push(Fault { file: file.to_owned(), line: Some(line_number), problem });
        };
        let Some((entry, hash)) = Entry::decode(line) else {
            return fault("this line was changed, or is not whole".to_owned());
        };
        match expected {
            // The line between was reported already, or is missing.
            Some((n, _)) if entry.n != *n => {
                fault(format!("line number {n} should be here, and {} is: lines are missing or moved", entry.n));
            }
            Some((_, prev)) if entry.prev != *prev => {
                fault("the line before is not the one that was written before this".to_owned());
            }
            _ => {}
        }
        if let Act::Gap { missing } = entry.act {
            fault(format!("the agent found the log damaged when it started: {missing} lines were missing"));
        }
        *expected = Some((entry.n + 1, hash.clone()));
        self.last_hash = hash;
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::log::Audit;
    use super::*;
    use crate::clock::ManualClock;
    use crate::protocol::code::RefusalCode;
    use crate::protocol::origin::Origin;
    use crate::protocol::time::UnixMillis;

    fn origin() -> Origin {
        "https://app.example".parse().expect("an origin")
    }

    fn open(folder: &Path) -> Audit {
        Audit::open(folder, Arc::new(ManualClock::at(UnixMillis(1)))).expect("a log")
    }

    /// A folder with a log of so many lines.
    fn log_of(lines: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = open(folder.path());
        for _ in 0..lines {
            audit.record(Act::Revoked { origin: origin() }).expect("written");
        }
        folder
    }

    /// Changes the lines of the log as an editor would.
    fn edit(folder: &Path, change: impl FnOnce(&mut Vec<String>)) {
        let path = folder.join(CURRENT);
        let mut lines: Vec<_> = std::fs::read_to_string(&path).expect("text").lines().map(str::to_owned).collect();
        change(&mut lines);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text).expect("written");
    }

    fn faults(folder: &Path) -> Vec<String> {
        read(folder).expect("readable").faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_log_that_nobody_touched_is_sound_over_restarts() {
        let folder = log_of(3);
        open(folder.path()).record(Act::Revoked { origin: origin() }).expect("written");
        let reading = read(folder.path()).expect("readable");
        assert_eq!(reading.entries.iter().map(|entry| entry.n).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(reading.faults, []);
    }

    #[test]
    fn every_kind_of_tampering_is_found_where_it_is() {
        let changed = "audit.log, line 3: this line was changed, or is not whole";
        type Edit = fn(&mut Vec<String>);
        let cases: [(&str, Edit, &str); 7] = [
            ("changed", |lines| lines[2] = lines[2].replace("app.example", "app.exbmple"), changed),
            ("cut in two", |lines| lines[2].truncate(40), changed),
            ("taken out", |lines| drop(lines.remove(2)), "audit.log, line 3: line number 3 should be here, and 4 is"),
            ("swapped", |lines| lines.swap(2, 3), "audit.log, line 3: line number 3 should be here, and 4 is"),
            ("written twice", |lines| lines.insert(2, lines[1].clone()), "audit.log, line 3: line number 3 should be"),
            ("end cut off", |lines| lines.truncate(3), "audit.log: lines 4 to 5 are missing"),
            ("start cut off", |lines| drop(lines.drain(..2)), "audit.log: lines 1 to 2 are missing"),
        ];
        for (what, change, found) in cases {
            let folder = log_of(5);
            edit(folder.path(), change);
            let faults = faults(folder.path());
            assert!(faults.first().is_some_and(|fault| fault.starts_with(found)), "{what}: {faults:?}");
        }
    }

    /// Somebody who makes the hash fit has to make every later one fit, and then the note of the end does not.
    #[test]
    fn a_line_with_a_fitting_hash_of_its_own_is_found_by_the_next() {
        let folder = log_of(5);
        let forge = |lines: &mut Vec<String>, at: usize| {
            let (mut entry, _) = Entry::decode(&lines[at]).expect("a line");
            entry.at = UnixMillis(99);
            lines[at] = entry.encode().0.trim_end().to_owned();
        };
        edit(folder.path(), |lines| forge(lines, 2));
        let next = "audit.log, line 4: the line before is not the one that was written before this";
        assert_eq!(faults(folder.path()), [next]);
        let folder = log_of(5);
        edit(folder.path(), |lines| forge(lines, 4));
        assert_eq!(faults(folder.path()), ["audit.log: the last line is not the one that was written last"]);
    }

    /// A crash may leave half a line; what was before stays, and the gap is written down.
    #[test]
    fn half_a_line_is_left_behind_and_the_log_goes_on() {
        let folder = log_of(3);
        let path = folder.path().join(CURRENT);
        let text = std::fs::read_to_string(&path).expect("text");
        std::fs::write(&path, &text[..text.len() - 20]).expect("written");
        open(folder.path()).record(Act::Revoked { origin: origin() }).expect("written");
        let reading = read(folder.path()).expect("readable");
        assert_eq!(reading.entries.iter().map(|entry| entry.n).collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert_eq!(reading.entries[2].act, Act::Gap { missing: 1 });
        assert_eq!(faults(folder.path()).len(), 3, "{:?}", faults(folder.path()));
        // The agent that starts next finds nothing new.
        drop(open(folder.path()));
        assert_eq!(read(folder.path()).expect("readable").entries.len(), 4);
    }

    #[test]
    fn full_files_make_way_and_the_chain_goes_on_across_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = open(folder.path());
        let long: Origin = format!("https://{}.example", "a".repeat(60)).parse().expect("an origin");
        // Some 5,000 lines fill a file.
        for _ in 0..50_000 {
            audit.record(Act::Revoked { origin: long.clone() }).expect("written");
        }
        let reading = read(folder.path()).expect("readable");
        assert_eq!(reading.faults, []);
        assert!(reading.entries[0].n > 1, "the oldest file is gone");
        assert_eq!(reading.entries.last().map(|entry| entry.n), Some(50_000));
        drop(audit);
        drop(open(folder.path()));
        let (_, oldest) = full_files(folder.path()).expect("files").remove(0);
        std::fs::remove_file(oldest).expect("removed");
        let faults = faults(folder.path());
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("audit.log: lines ") && faults[0].ends_with(" are missing"), "{faults:?}");
    }

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(UnixMillis(1)));
        let audit = Audit::open(folder.path(), clock.clone()).expect("a log");
        for _ in 0..1000 {
            audit.refused(&origin(), RefusalCode::Busy);
        }
        clock.advance(std::time::Duration::from_secs(60));
        audit.refused(&origin(), RefusalCode::Busy);
        let entries = read(folder.path()).expect("readable").entries;
        assert_eq!(entries.len(), 61);
        assert_eq!(entries[60].act, Act::Refused { origin: origin(), code: RefusalCode::Busy, skipped: 940 });
    }
}
