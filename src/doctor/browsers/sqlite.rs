//! The rows of a table in an SQLite database (<https://sqlite.org/fileformat2.html>), as they are on the disk. Firefox keeps its
//! permissions in one. Reading a whole table takes a page of code; SQLite itself would be a quarter of the desktop's program.
//!
//! PURE: bytes in, values out. The bytes are anybody's: whatever is wrong with them ends in `None`, soon.

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_LEN: usize = 100;
/// The page with the table of all tables.
const SCHEMA_PAGE: u32 = 1;
const UTF_8: u32 = 1;

/// What a row has in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    /// What nobody here asks for: no value, a float, bytes.
    Other,
}

/// A database file.
pub(super) struct Database<'a> {
    file: &'a [u8],
    page_len: usize,
    /// Bytes of each page that are used.
    usable: usize,
}

impl<'a> Database<'a> {
    /// A file of UTF-8 text, by its header.
    pub(super) fn of(file: &'a [u8]) -> Option<Self> {
        let header = file.get(..HEADER_LEN).filter(|header| header.starts_with(MAGIC))?;
        let page_len = match number(header.get(16..18)?) {
            1 => 65536,
            len => usize::try_from(len).ok().filter(|len| len.is_power_of_two() && *len >= 512)?,
        };
        let usable = page_len - usize::from(*header.get(20)?);
        let is_utf_8 = number(header.get(56..60)?) == i64::from(UTF_8);
        (is_utf_8 && usable >= 480).then_some(Self { file, page_len, usable })
    }

    /// The named columns of every row of a table, in no order.
    pub(super) fn select<const N: usize>(&self, table: &str, columns: [&str; N]) -> Option<Vec<[Value; N]>> {
        // kind, name, the table's name, its first page, and how it was made
        let schema = self.rows(SCHEMA_PAGE)?;
        let (page, made) = schema.iter().find_map(|row| match row.as_slice() {
            [Value::Text(kind), Value::Text(name), _, Value::Integer(page), Value::Text(made)]
                if kind == "table" && name == table =>
            {
                Some((*page, made))
            }
            _ => None,
        })?;
        let listed = made.get(made.find('(')? + 1..made.rfind(')')?)?;
        let at = |column: &str| listed.split(',').position(|listed| listed.split_whitespace().next() == Some(column));
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(columns) {
            *place = at(column)?;
        }
        let rows = self.rows(u32::try_from(page).ok()?)?;
        let cut = |row: Vec<Value>| places.map(|at| row.get(at).cloned().unwrap_or(Value::Other));
        Some(rows.into_iter().map(cut).collect())
    }

    /// The rows of the tree that begins at a page.
    fn rows(&self, root: u32) -> Option<Vec<Vec<Value>>> {
        let mut left = Left { pages: self.file.len() / self.page_len, bytes: self.file.len() };
        let (mut rows, mut pages) = (Vec::new(), vec![root]);
        while let Some(number_of_page) = pages.pop() {
            let page = self.page(number_of_page, &mut left)?;
            let header = page.get(if number_of_page == SCHEMA_PAGE { HEADER_LEN } else { 0 }..)?;
            let cells = usize::try_from(number(header.get(3..5)?)).ok()?;
            let (is_leaf, pointers) = match header.first()? {
                0x0d => (true, header.get(8..)?),
                0x05 => (false, header.get(12..)?),
                _ => return None,
            };
            for pointer in pointers.get(..cells * 2)?.chunks_exact(2) {
                let cell = page.get(usize::try_from(number(pointer)).ok()?..self.usable)?;
                if is_leaf {
                    rows.push(record(&self.payload(cell, &mut left)?)?);
                } else {
                    pages.push(page_number(cell)?);
                }
            }
            if !is_leaf {
                pages.push(page_number(header.get(8..)?)?);
            }
        }
        Some(rows)
    }

    /// What a leaf's cell holds, with what did not fit into its page.
    fn payload(&self, mut cell: &[u8], left: &mut Left) -> Option<Vec<u8>> {
        let len = usize::try_from(varint(&mut cell)?).ok()?;
        left.bytes = left.bytes.checked_sub(len)?;
        let _row = varint(&mut cell)?;
        let most = self.usable - 35;
        if len <= most {
            return cell.get(..len).map(<[u8]>::to_vec);
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let wanted = least + (len - least) % (self.usable - 4);
        let here = if wanted <= most { wanted } else { least };
        let mut payload = cell.get(..here)?.to_vec();
        let mut next = page_number(cell.get(here..)?)?;
        while payload.len() < len {
            let page = self.page(next, left)?.get(..self.usable)?;
            next = page_number(page)?;
            let rest = page.get(4..)?;
            payload.extend_from_slice(rest.get(..rest.len().min(len - payload.len()))?);
        }
        Some(payload)
    }

    fn page(&self, number: u32, left: &mut Left) -> Option<&'a [u8]> {
        left.pages = left.pages.checked_sub(1)?;
        let start = usize::try_from(number).ok()?.checked_sub(1)?.checked_mul(self.page_len)?;
        self.file.get(start..start.checked_add(self.page_len)?)
    }
}

/// What a sound file still can have: it comes by no page twice, and holds no more than it is long.
struct Left {
    pages: usize,
    bytes: usize,
}

/// The values of a record.
fn record(payload: &[u8]) -> Option<Vec<Value>> {
    let mut kinds = payload;
    let header_len = usize::try_from(varint(&mut kinds)?).ok()?;
    let mut kinds = payload.get(payload.len() - kinds.len()..header_len)?;
    let mut body = payload.get(header_len..)?;
    let mut values = Vec::new();
    while !kinds.is_empty() {
        let kind = varint(&mut kinds)?;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            long => usize::try_from((long - 12) / 2).ok()?,
        };
        let (value, rest) = body.split_at_checked(len)?;
        body = rest;
        values.push(match kind {
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(signed(value)),
            text if text >= 13 && text % 2 == 1 => Value::Text(String::from_utf8(value.to_vec()).ok()?),
            _ => Value::Other,
        });
    }
    Some(values)
}

/// A number of up to eight bytes, the greatest first.
fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// As [`number`], and the first bit is the sign.
fn signed(bytes: &[u8]) -> i64 {
    let free = 8 * (8 - bytes.len().clamp(1, 8));
    number(bytes) << free >> free
}

fn page_number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_be_bytes)
}

/// A number of one to nine bytes, of which all but the ninth give seven bits.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if at == 8 {
            return Some(number << 8 | u64::from(*byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    /// A table that takes several levels of pages, with rows that do not fit into one.
    fn made(page_len: u32) -> (Vec<u8>, Vec<(i64, String)>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made.sqlite");
        let database = Connection::open(&path).expect("a database");
        let schema = format!(
            "PRAGMA page_size = {page_len}; CREATE TABLE other (one TEXT);
             CREATE TABLE made (id INTEGER PRIMARY KEY, word TEXT, number INTEGER, part REAL); BEGIN"
        );
        database.execute_batch(&schema).expect("tables");
        let numbers = [0, 1, -1, 127, -128, 32_767, -8_388_608, 1 << 31, -(1 << 47), i64::MIN, i64::MAX];
        let mut rows = Vec::new();
        for (at, number) in (0..1500).zip(numbers.into_iter().cycle()) {
            let word = "é".repeat(if at % 100 == 0 { 20_000 + at } else { at % 60 });
            database
                .execute("INSERT INTO made (word, number, part) VALUES (?1, ?2, 0.5)", (&word, number))
                .expect("a row");
            rows.push((number, word));
        }
        database.execute_batch("COMMIT").expect("written");
        rows.sort();
        (std::fs::read(path).expect("a file"), rows)
    }

    #[test]
    fn every_row_is_found_at_every_length_of_a_page() {
        for page_len in [512, 4096, 65536] {
            let (file, expected) = made(page_len);
            let found = Database::of(&file).and_then(|database| database.select("made", ["number", "word"]));
            let mut rows: Vec<_> = found
                .expect("a table")
                .into_iter()
                .map(|row| match row {
                    [Value::Integer(number), Value::Text(word)] => (number, word),
                    other => panic!("{other:?}"),
                })
                .collect();
            rows.sort();
            assert!(rows == expected, "pages of {page_len} bytes");
        }
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        let (file, _) = made(512);
        let database = Database::of(&file).expect("a database");
        assert_eq!(database.select("made", ["missing"]), None);
        assert_eq!(database.select("missing", ["word"]), None);
        assert_eq!(database.select("other", ["one"]), Some(Vec::new()));
        assert!(Database::of(b"").is_none());
        assert!(Database::of(&file[1..]).is_none());
    }

    proptest! {
        #[test]
        fn a_damaged_file_ends_in_an_answer(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60), cut in any::<prop::sample::Index>()) {
            static FILE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| made(512).0);
            let mut file = FILE[..4096 + cut.index(FILE.len() - 4096)].to_vec();
            for (at, byte) in damage {
                // The first pages lead to all others.
                let at = at.index(file.len().min(2048));
                file[at] = byte;
            }
            let _ = Database::of(&file).and_then(|database| database.select("made", ["number", "word"]));
        }
    }
}
