//! What the shim wrote down.

use std::path::Path;

/// One thing that happened to the folder, or that the process said. Files are inodes, names are relative to the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Opened { file: u64, name: String },
    Created { file: u64, name: String },
    Wrote { file: u64, offset: usize, data: Vec<u8> },
    Truncated { file: u64, length: usize },
    Synced { file: u64 },
    Renamed { from: String, to: String },
    Unlinked { name: String },
    MadeFolder { name: String },
    Said(String),
}

/// Length of a record's fixed part: `struct record` in the shim.
const HEAD: usize = 24;

/// Reads the shim's log.
pub(super) fn read(path: &Path) -> Vec<Record> {
    let bytes = std::fs::read(path).expect("the shim made a log: is the program linked dynamically?");
    let (mut rest, mut records) = (bytes.as_slice(), Vec::new());
    while let Some((head, tail)) = rest.split_first_chunk::<HEAD>() {
        let length = usize::try_from(number(head, 4, 4)).expect("a length");
        // The process may have been killed while it wrote its last record.
        let Some((data, next)) = tail.split_at_checked(length) else { break };
        records.push(record(head, data));
        rest = next;
    }
    records
}

fn number(head: &[u8; HEAD], at: usize, length: usize) -> u64 {
    head[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn record(head: &[u8; HEAD], data: &[u8]) -> Record {
    let file = number(head, 8, 8);
    let offset = usize::try_from(number(head, 16, 8)).expect("an offset");
    let text = || String::from_utf8(data.to_vec()).expect("text");
    match number(head, 0, 4) {
        1 => Record::Opened { file, name: text() },
        2 => Record::Created { file, name: text() },
        3 => Record::Wrote { file, offset, data: data.to_vec() },
        4 => Record::Truncated { file, length: offset },
        5 => Record::Synced { file },
        6 => {
            let names = text();
            let (from, to) = names.split_once('\0').expect("two names");
            Record::Renamed { from: from.to_owned(), to: to.to_owned() }
        }
        7 => Record::Unlinked { name: text() },
        8 => Record::MadeFolder { name: text() },
        9 => Record::Said(text()),
        other => panic!("the shim wrote a record of kind {other}"),
    }
}
