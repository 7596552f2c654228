//! Reads a TOML file entry by entry and collects everything that is wrong with it, each fault with its line and the cure,
//! so that a person mends the file in one go.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line in the file, from 1.
    pub line: usize,
    /// The entry, as a path: `origin[1].issuer`; empty for the file as a whole.
    pub entry: String,
    /// What is wrong, and the cure.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.entry.is_empty() { "" } else { ": " };
        write!(f, "line {}: {}{separator}{}", self.line, self.entry, self.problem)
    }
}

/// What a file's reading brings up: faults, and where each entry stands.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    text: &'a str,
    /// Where the file is: its paths begin there.
    folder: &'a Path,
    faults: RefCell<Vec<Fault>>,
    lines: RefCell<HashMap<String, usize>>,
    /// Where the readable items of each list stand in it: the others are left out of what the list became.
    places: RefCell<HashMap<String, Vec<usize>>>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(text: &'a str, folder: &'a Path) -> Self {
        Self { text, folder, faults: RefCell::default(), lines: RefCell::default(), places: RefCell::default() }
    }

    /// The root of the file; `None` where it is not TOML at all.
    pub(super) fn parse(&'a self) -> Option<Section<'a>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = self.line_at(error.span().map_or(0, |span| span.start));
            self.fault(line, "", error.message());
        }
        let here = root.span().start;
        errors.is_empty().then(|| Section::new(self, String::new(), self.line_at(here), root.into_inner()))
    }

    pub(super) fn fault(&self, line: usize, entry: &str, problem: impl fmt::Display) {
        self.faults.borrow_mut().push(Fault { line, entry: entry.to_owned(), problem: problem.to_string() });
    }

    /// A fault that was found in what the file said rather than in the file.
    pub(super) fn fault_of(&self, entry: &str, problem: impl fmt::Display) {
        // An entry that was left to its default has no line of its own: its section has.
        let entry = &self.in_file(entry);
        let lines = self.lines.borrow();
        let mut known = entry.as_str();
        let line = loop {
            match (lines.get(known), known.rfind(['.', '['])) {
                (Some(line), _) => break *line,
                (None, Some(at)) => known = &known[..at],
                (None, None) => break 1,
            }
        };
        drop(lines);
        self.fault(line, entry, problem);
    }

    /// An entry by its place in the file, where it was counted without the items that could not be read.
    fn in_file(&self, entry: &str) -> String {
        let counted = || {
            let (list, rest) = entry.split_once('[')?;
            let (at, rest) = rest.split_once(']')?;
            let place = *self.places.borrow().get(list)?.get(at.parse::<usize>().ok()?)?;
            Some(format!("{list}[{place}]{rest}"))
        };
        counted().unwrap_or_else(|| entry.to_owned())
    }

    /// Gathers the items of a list that could be read.
    fn gather<T>(&self, list: &str, items: impl Iterator<Item = Option<T>>) -> Vec<T> {
        let (places, readable) = items.enumerate().filter_map(|(at, item)| Some((at, item?))).unzip();
        self.places.borrow_mut().insert(list.to_owned(), places);
        readable
    }

    /// Everything that is wrong, in the order of the file.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.line);
        faults
    }

    /// A path as the file writes it, whole; `~/` at its start is this user's home.
    pub(super) fn whole_path(&self, text: &str) -> Result<PathBuf, &'static str> {
        if text.is_empty() {
            return Err("must not be empty");
        }
        let path = match text.strip_prefix("~/") {
            Some(rest) => directories::BaseDirs::new()
                .ok_or("there is no home folder: write the whole path")?
                .home_dir()
                .join(rest),
            None => self.folder.join(text),
        };
        std::path::absolute(path).map_err(|_| "is not a usable path")
    }

    fn line_at(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|b| **b == b'\n').count()
    }
}

/// One table of the file. What is not taken out of it by its end is an unknown key.
#[derive(Debug)]
pub(super) struct Section<'a> {
    notes: &'a Notes<'a>,
    path: String,
    line: usize,
    table: DeTable<'a>,
}

impl<'a> Section<'a> {
    fn new(notes: &'a Notes<'a>, path: String, line: usize, table: DeTable<'a>) -> Self {
        notes.lines.borrow_mut().insert(path.clone(), line);
        Self { notes, path, line, table }
    }

    /// A string, parsed.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<T> {
        let (entry, line, value) = self.take(key)?;
        let DeValue::String(text) = value else { return self.wrong_type(&entry, line, "a string in quotes") };
        text.parse().map_err(|error| self.notes.fault(line, &entry, error)).ok()
    }

    /// A string, parsed, that must be there.
    pub(super) fn required<T: FromStr<Err: fmt::Display>>(&mut self, key: &str, example: &str) -> Option<T> {
        self.require(key, example);
        self.parsed(key)
    }

    /// A path, whole.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let (entry, line, value) = self.take(key)?;
        let DeValue::String(text) = value else { return self.wrong_type(&entry, line, "a string in quotes") };
        self.notes.whole_path(&text).map_err(|problem| self.notes.fault(line, &entry, problem)).ok()
    }

    /// A path that must be there.
    pub(super) fn required_path(&mut self, key: &str, example: &str) -> Option<PathBuf> {
        self.require(key, example);
        self.path(key)
    }

    /// Says so where an entry is missing that must be there.
    pub(super) fn require(&self, key: &str, example: &str) {
        if !self.has(key) {
            let problem = format!("is missing: add {key} = {example}");
            self.notes.fault(self.line, &self.entry(key), problem);
        }
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let (entry, line, value) = self.take(key)?;
        match value {
            DeValue::Boolean(value) => Some(value),
            _ => self.wrong_type(&entry, line, "true or false"),
        }
    }

    /// A number from 1 to `most`, which is also the default.
    pub(super) fn at_most(&mut self, key: &str, most: usize) -> usize {
        self.number(key, 1, most).unwrap_or(most)
    }

    /// A number from `least` to `most`.
    pub(super) fn number(&mut self, key: &str, least: usize, most: usize) -> Option<usize> {
        let (entry, line, value) = self.take(key)?;
        let number = match &value {
            DeValue::Integer(integer) => integer.as_str().replace('_', "").parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.notes.fault(line, &entry, format!("must be a number from {least} to {most}"));
        }
        number
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let (entry, line, value) = self.take(key)?;
        let text = if let DeValue::String(text) = &value { text.as_ref() } else { "" };
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let choices: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.notes.fault(line, &entry, format!("must be one of {}", choices.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A list of ports.
    pub(super) fn ports(&mut self, key: &str) -> Option<Vec<u16>> {
        self.list(key, "a list of ports, such as [28970, 28971]", |value| match value {
            DeValue::Integer(integer) => {
                integer.as_str().replace('_', "").parse().map_err(|_| "must be a port number".to_owned())
            }
            _ => Err("must be a port number".to_owned()),
        })
    }

    /// A list of strings, parsed.
    pub(super) fn list_of<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<Vec<T>> {
        self.list(key, "a list of strings, such as [\"…\", \"…\"]", |value| match value {
            DeValue::String(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            _ => Err("must be a string in quotes".to_owned()),
        })
    }

    fn list<T>(&mut self, key: &str, form: &str, read: impl Fn(&DeValue<'a>) -> Result<T, String>) -> Option<Vec<T>> {
        let (entry, line, value) = self.take(key)?;
        let DeValue::Array(array) = value else { return self.wrong_type(&entry, line, form) };
        let items = array.iter().enumerate().map(|(at, item)| {
            let (entry, line) = (format!("{entry}[{at}]"), self.notes.line_at(item.span().start));
            self.notes.lines.borrow_mut().insert(entry.clone(), line);
            read(item.get_ref()).map_err(|problem| self.notes.fault(line, &entry, problem)).ok()
        });
        Some(self.notes.gather(&entry, items))
    }

    /// A `[table]`.
    pub(super) fn section(&mut self, key: &str) -> Option<Section<'a>> {
        let (entry, line, value) = self.take(key)?;
        match value {
            DeValue::Table(table) => Some(Section::new(self.notes, entry, line, table)),
            _ => self.wrong_type(&entry, line, &format!("a table: [{key}]")),
        }
    }

    /// `[[tables]]`.
    pub(super) fn sections<T>(&mut self, key: &str, read: impl Fn(Section<'a>) -> Option<T>) -> Vec<T> {
        let Some((entry, line, value)) = self.take(key) else { return Vec::new() };
        let DeValue::Array(array) = value else {
            let _: Option<()> = self.wrong_type(&entry, line, &format!("a list of tables: [[{key}]]"));
            return Vec::new();
        };
        let items = array.into_iter().enumerate().map(|(at, item)| {
            let (entry, line) = (format!("{entry}[{at}]"), self.notes.line_at(item.span().start));
            match item.into_inner() {
                DeValue::Table(table) => read(Section::new(self.notes, entry, line, table)),
                _ => self.wrong_type(&entry, line, &format!("a table: [[{key}]]")),
            }
        });
        self.notes.gather(&entry, items)
    }

    /// Ends the reading of this table: whatever is left in it is unknown.
    pub(super) fn end(self, known: &[&str]) {
        for (key, _) in &self.table {
            let line = self.notes.line_at(key.span().start);
            let name = key.get_ref().as_ref();
            let nearest = known.iter().find(|known| looks_like(known, name));
            let in_file = format!("{name}_file");
            let hint = if known.contains(&in_file.as_str()) {
                format!("put it into a file of its own, and name that by {in_file}")
            } else {
                nearest.map_or_else(|| format!("known here: {}", known.join(", ")), |n| format!("did you mean {n}?"))
            };
            self.notes.fault(line, &self.entry(name), format!("is not a known key ({hint})"));
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.keys().any(|known| known.get_ref().as_ref() == key)
    }

    fn take(&mut self, key: &str) -> Option<(String, usize, DeValue<'a>)> {
        let (found, value): (Spanned<_>, Spanned<_>) = {
            let found = self.table.keys().find(|known| known.get_ref().as_ref() == key)?.clone();
            self.table.remove_entry(&found)?
        };
        let (entry, line) = (self.entry(key), self.notes.line_at(found.span().start));
        self.notes.lines.borrow_mut().insert(entry.clone(), line);
        Some((entry, line, value.into_inner()))
    }

    /// An entry of this table, as a path from the file's root.
    pub(super) fn entry(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn wrong_type<T>(&self, entry: &str, line: usize, form: &str) -> Option<T> {
        self.notes.fault(line, entry, format!("must be {form}"));
        None
    }
}

/// Whether two keys differ by little: case, hyphens for underscores, an `s` too many; a letter that is another, missing or too
/// many; two that changed places.
fn looks_like(known: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_").trim_end_matches('s').to_owned();
    let (known, name) = (plain(known).into_bytes(), plain(name).into_bytes());
    let same_start = known.iter().zip(&name).take_while(|(a, b)| a == b).count();
    let (known, name) = (&known[same_start..], &name[same_start..]);
    let same_end = known.iter().rev().zip(name.iter().rev()).take_while(|(a, b)| a == b).count();
    match (&known[..known.len() - same_end], &name[..name.len() - same_end]) {
        ([] | [_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}
