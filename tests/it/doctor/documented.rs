//! `docs/doctor.md` lists every code that the program knows, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use crate::house::sources;

/// The codes in the sources: the first argument of what makes a finding, or of the tuples that become one.
fn known() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ["agent/doctor", "doctor"].into_iter().flat_map(|room| sources(&root.join(room)));
    let mut codes = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).expect("a readable file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for made in ["Finding::error(", "Finding::warning(", "Finding::note(", "=> ("] {
            for rest in text.split(made).skip(1) {
                let code = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                codes.extend(code.filter(|code| !code.contains(' ')).map(str::to_owned));
            }
        }
    }
    codes
}

#[test]
fn every_code_is_documented() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")).expect("a page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: BTreeSet<_> = rows.filter(|code| !code.contains(' ')).map(str::to_owned).collect();
    let known = known();
    assert!(known.len() > 30, "{known:?}");
    assert_eq!(known, listed, "left: the sources; right: docs/doctor.md");
}
