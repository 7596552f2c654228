//! Reading the audit log, and finding where somebody changed it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{Act, Entry};
use super::log::{AuditError, BOUNDS, Bounds, CURRENT, full_files, read_bounds};
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
    /// The hash of each line, by its number.
    #[serde(skip)]
    hashes: HashMap<u64, String>,
}

/// How often the log is read anew where the agent writes to it meanwhile.
const TRIES: usize = 5;

/// Reads and verifies the log in an agent's state folder, also while the agent writes to it. One that does not exist yet is empty.
///
/// # Errors
/// [`AuditError`] where a file cannot be read, or others could have written it.
pub fn read(folder: &Path) -> Result<Reading, AuditError> {
    let mut tries = 1;
    loop {
        let before = (full_files(folder)?, read_bounds(folder)?);
        let mut reading = read_lines(folder, &before.0)?;
        let after = (full_files(folder)?, read_bounds(folder)?);
        // A file was put away meanwhile, or a note was half written.
        let is_settled = before.0 == after.0 && before.1.is_some() == after.1.is_some();
        if is_settled || tries == TRIES {
            reading.compare(before.1.as_ref(), after.1.as_ref());
            return Ok(reading);
        }
        tries += 1;
    }
}

fn read_lines(folder: &Path, full: &[(u64, PathBuf)]) -> Result<Reading, AuditError> {
    let current = folder.join(CURRENT);
    let mut reading = Reading::default();
    let mut expected = None;
    for path in full.iter().map(|(_, path)| path).chain([&current]) {
        let content = match keyfile::read_up_to(path, MAX_LEN) {
            Ok(content) => content,
            Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = String::from_utf8_lossy(content.expose());
        // What is behind the last line end is a line that is just being written, or one that a crash cut off.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for (at, line) in text[..whole].lines().enumerate() {
            reading.take(&name, at + 1, line, &mut expected);
        }
    }
    Ok(reading)
}

/// The number and the `prev` that the next line is to have.
type Expected = Option<(u64, String)>;

impl Reading {
    /// Holds the lines against what was noted of both ends before and after they were read.
    fn compare(&mut self, before: Option<&Bounds>, after: Option<&Bounds>) {
        let (Some(first), Some(last)) = (self.entries.first().map(|e| e.n), self.entries.last().map(|e| e.n)) else {
            let noted = before.map_or(0, |noted| noted.last);
            if noted > 0 {
                self.of_the_whole(format!("all {noted} lines are missing"));
            }
            return;
        };
        let (Some(before), Some(after)) = (before, after) else {
            return self.of_the_whole(format!("{BOUNDS} is missing or damaged: lines at either end may be missing"));
        };
        if after.first < first && after.first > 0 {
            self.of_the_whole(format!("lines {} to {} are missing", after.first, first - 1));
        }
        if last < before.last {
            self.of_the_whole(format!("lines {} to {} are missing", last + 1, before.last));
        } else if self.hashes.get(&before.last).is_some_and(|hash| *hash != before.hash) {
            self.of_the_whole(format!("line number {} is not the one that was written", before.last));
        } else if last > after.last + 1 {
            self.of_the_whole(format!("lines {} to {last} are not the agent's", after.last + 1));
        }
    }

    fn of_the_whole(&mut self, problem: String) {
        self.faults.push(Fault { file: CURRENT.to_owned(), line: None, problem });
    }

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
        self.hashes.insert(entry.n, hash.clone());
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
        assert_eq!(faults(folder.path()), ["audit.log: line number 5 is not the one that was written"]);
    }

    #[test]
    fn without_the_note_of_both_ends_a_log_is_not_called_sound() {
        let not_known = "audit.log: audit.bounds is missing or damaged: lines at either end may be missing";
        for damage in [None, Some("garbage")] {
            let folder = log_of(5);
            edit(folder.path(), |lines| lines.truncate(3));
            match damage {
                None => std::fs::remove_file(folder.path().join(super::super::log::BOUNDS)).expect("removed"),
                Some(text) => std::fs::write(folder.path().join(super::super::log::BOUNDS), text).expect("written"),
            }
            assert_eq!(faults(folder.path()), [not_known]);
            // The agent goes on, and says that something was wrong.
            drop(open(folder.path()));
            let reading = read(folder.path()).expect("readable");
            assert_eq!(reading.entries.last().map(|entry| &entry.act), Some(&Act::Gap { missing: 0 }));
        }
    }

    /// What a restart finds at the end is not believed: neither a line that was forged nor lines that were added.
    #[test]
    fn a_restart_washes_nothing_clean() {
        let forged = |n: u64, prev: String| {
            let act = Act::Revoked { origin: "https://forged.example".parse().expect("an origin") };
            Entry { n, at: UnixMillis(9), act, prev }.encode()
        };
        type Edit = fn(&mut Vec<String>, &dyn Fn(u64, String) -> (String, String));
        let cases: [(&str, Edit); 2] = [
            ("the last line replaced", |lines, forged| {
                let (last, _) = Entry::decode(&lines[4]).expect("a line");
                lines[4] = forged(5, last.prev).0.trim_end().to_owned();
            }),
            ("two lines added", |lines, forged| {
                let (_, hash) = Entry::decode(&lines[4]).expect("a line");
                let (line, hash) = forged(6, hash);
                lines.push(line.trim_end().to_owned());
                lines.push(forged(7, hash).0.trim_end().to_owned());
            }),
        ];
        for (what, change) in cases {
            let folder = log_of(5);
            edit(folder.path(), |lines| change(lines, &forged));
            assert_ne!(faults(folder.path()), Vec::<String>::new(), "{what}");
            open(folder.path()).record(Act::Revoked { origin: origin() }).expect("written");
            assert_ne!(faults(folder.path()), Vec::<String>::new(), "{what}, after a restart");
        }
    }

    /// Nobody is accused while the agent writes, and puts full files away.
    #[test]
    fn a_log_that_grows_while_it_is_read_is_sound() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = open(folder.path());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..1_000 {
                    audit.record(Act::Revoked { origin: origin() }).expect("written");
                }
                done.store(true, std::sync::atomic::Ordering::Release);
            });
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                assert_eq!(faults(folder.path()), Vec::<String>::new());
                assert_eq!(audit.read().expect("readable").faults, []);
            }
        });
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

    /// The next line's bytes are on the disk up to somewhere, or all of them with others in between, and not noted.
    #[test]
    fn what_a_power_cut_leaves_of_a_line_is_cut_off_and_accuses_nobody() {
        let next = |folder: &Path| {
            let last = read(folder).expect("readable").entries.pop();
            let (n, prev) = last.map_or((1, String::new()), |last| (last.n + 1, last.encode().1));
            Entry { n, at: UnixMillis(1), act: Act::Revoked { origin: origin() }, prev }.encode().0
        };
        let zeros = |line: &str| format!("{}{}\n", "\0".repeat(100), &line[100..line.len() - 1]);
        for lines in [0, 3] {
            let len = next(log_of(lines).path()).len();
            for cut in (1..len).step_by(23).map(Some).chain([None, Some(len)]) {
                let folder = log_of(lines);
                let path = folder.path().join(CURRENT);
                let text = std::fs::read_to_string(&path).expect("text");
                let line = next(folder.path());
                let left = cut.map_or_else(|| zeros(&line), |cut| line[..cut].to_owned());
                let is_whole = left == line;
                std::fs::write(&path, text + &left).expect("written");
                open(folder.path()).record(Act::Revoked { origin: origin() }).expect("written");
                let reading = read(folder.path()).expect("readable");
                assert_eq!(reading.faults, [], "{lines} lines and {left:?}");
                assert_eq!(reading.entries.len(), lines + 1 + usize::from(is_whole));
            }
        }
        // More than one line is more than a power cut leaves.
        let folder = log_of(3);
        edit(folder.path(), |lines| lines.extend(["torn".to_owned(), "and torn".to_owned()]));
        open(folder.path()).record(Act::Revoked { origin: origin() }).expect("written");
        assert_ne!(faults(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn full_files_make_way_and_the_chain_goes_on_across_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = open(folder.path());
        let long: Origin = format!("https://{}.example", "a".repeat(60)).parse().expect("an origin");
        // Some 300 lines fill a file of a test's.
        for _ in 0..3_500 {
            audit.record(Act::Revoked { origin: long.clone() }).expect("written");
        }
        let reading = read(folder.path()).expect("readable");
        assert_eq!(reading.faults, []);
        assert!(reading.entries[0].n > 1, "the oldest file is gone");
        assert_eq!(reading.entries.last().map(|entry| entry.n), Some(3_500));
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
            audit.refused(&origin(), "busy");
        }
        clock.advance(std::time::Duration::from_secs(60));
        audit.refused(&origin(), "busy");
        let entries = read(folder.path()).expect("readable").entries;
        assert_eq!(entries.len(), 62);
        assert_eq!(entries[60].act, Act::Skipped { origin: origin(), lines: 940 });
        assert_eq!(entries[61].act, Act::Refused { origin: origin(), code: "busy".into() });
        let other: Origin = "https://other.example".parse().expect("an origin");
        for _ in 0..70 {
            audit.refused(&other, "busy");
        }
        audit.close();
        let entries = read(folder.path()).expect("readable").entries;
        assert_eq!(entries.len(), 62 + 60 + 1, "another origin has its own lines");
        assert_eq!(entries[122].act, Act::Skipped { origin: other, lines: 10 });
    }
}
