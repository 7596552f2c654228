//! The catalogue in `docs/threat-model.md` and the tests, held together: a row that loses its test fails here, and so does
//! a test that no row names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Attacks `a01`–`a41`, inputs `i001`–`i168`.
fn ids() -> impl Iterator<Item = String> {
    (1..=41).map(|n| format!("a{n:02}")).chain((1..=168).map(|n| format!("i{n:03}")))
}

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix('a').map(|d| (d, 2)).or_else(|| text.strip_prefix('i').map(|d| (d, 3)));
    digits.is_some_and(|(digits, len)| digits.len() == len && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The ids that a test's name begins with.
fn ids_of(test: &str) -> impl Iterator<Item = &str> {
    test.split('_').take_while(|part| is_id(part))
}

/// Whether a test's name begins with the id of a row.
pub(crate) fn is_of_a_row(test: &str) -> bool {
    ids_of(test).next().is_some()
}

/// A row of the catalogue: what stands in its last cell.
struct Row {
    tests: Vec<String>,
    is_pending: bool,
}

fn rows() -> Vec<(String, Row)> {
    let document = root("docs/threat-model.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter_map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        let id = cells.first()?.split(' ').next().filter(|id| is_id(id))?;
        let last = cells.last().expect("a row has a cell");
        let tests = last.split('`').skip(1).step_by(2).filter(|name| is_of_a_row(name));
        let is_pending = last.starts_with("pending");
        Some((id.to_owned(), Row { tests: tests.map(str::to_owned).collect(), is_pending }))
    })
    .collect()
}

fn root(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a file of this repository")
}

/// Every test there is that begins with an id: those of this program by its own list, the others by their source.
fn tests() -> BTreeSet<String> {
    let list = Command::new(std::env::current_exe().expect("this program")).arg("--list").output().expect("a list");
    let list = String::from_utf8(list.stdout).expect("text");
    let here = list.lines().filter_map(|line| line.strip_suffix(": test")?.rsplit("::").next().map(str::to_owned));
    let elsewhere = ["src", "tests/browser"].map(|folder| {
        let sources = crate::house::sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
        sources.iter().map(|file| std::fs::read_to_string(file).expect("a readable file")).collect::<String>()
    });
    let elsewhere = elsewhere.concat();
    let functions = elsewhere.split("\n\n").filter(|text| text.contains("#[test]") || text.contains("#[tokio::test"));
    let functions = functions.flat_map(|text| text.split("fn ").skip(1));
    let functions = functions.filter_map(|rest| rest.split('(').next().map(str::to_owned));
    here.chain(functions).filter(|name| is_of_a_row(name)).collect()
}

#[test]
fn every_row_stands_once() {
    let rows: Vec<_> = rows().into_iter().map(|(id, _)| id).collect();
    let missing: Vec<_> = ids().filter(|id| !rows.contains(id)).collect();
    let twice: Vec<_> = ids().filter(|id| rows.iter().filter(|row| *row == id).count() > 1).collect();
    let strange: Vec<_> = rows.iter().filter(|row| ids().all(|id| id != **row)).collect();
    assert!(missing.is_empty() && twice.is_empty() && strange.is_empty(), "{missing:?} {twice:?} {strange:?}");
}

#[test]
fn every_row_has_a_test_of_its_own_or_waits_for_its_part() {
    let tests = tests();
    let mut wrong = Vec::new();
    for (id, row) in rows() {
        if row.tests.is_empty() != row.is_pending {
            wrong.push(format!("{id}: either a test or `pending: …`"));
        }
        for name in row.tests {
            if !tests.contains(&name) {
                wrong.push(format!("{id}: there is no test {name}"));
            } else if !ids_of(&name).any(|of| of == id) {
                wrong.push(format!("{id}: {name} is not of this row"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/threat-model.md and the tests disagree:\n{}", wrong.join("\n"));
}

#[test]
fn every_test_of_the_catalogue_is_named_in_its_rows() {
    let rows: BTreeMap<_, _> = rows().into_iter().collect();
    let named = |id: &str, test: &String| rows.get(id).is_some_and(|row| row.tests.contains(test));
    let tests = tests();
    let nameless: Vec<_> =
        tests.iter().flat_map(|test| ids_of(test).filter(|id| !named(id, test)).map(move |id| (id, test))).collect();
    assert!(nameless.is_empty(), "docs/threat-model.md does not name these in their rows: {nameless:#?}");
}
