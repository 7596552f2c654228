//! Replays what is committed in `fuzz/seeds/` through the fuzz targets, so that what a fuzzer once found stays found without
//! a nightly compiler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

#[test]
fn every_committed_input_keeps_its_targets_invariants() {
    for (name, run) in targets::TARGETS {
        let mut accepted = Vec::new();
        for file in entries(&seeds().join(name)) {
            // Shown with the failure: the input that did it.
            println!("{}", file.display());
            accepted.push(run(&std::fs::read(&file).expect("a readable file")));
        }
        // A target that accepts nothing keeps every invariant.
        assert!(accepted.contains(&true) && accepted.contains(&false), "the seeds of {name} are all of a kind");
    }
}

#[test]
fn each_target_has_seeds_and_a_fuzzer_and_no_seeds_are_left_over() {
    let targets: BTreeSet<_> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let folders: BTreeSet<_> = entries(&seeds()).into_iter().map(stem).collect();
    assert_eq!(folders, targets);
    let fuzzers: BTreeSet<_> = entries(&seeds().join("../fuzz_targets")).into_iter().map(stem).collect();
    assert_eq!(fuzzers, targets);
    for name in targets {
        assert!(entries(&seeds().join(&name)).len() >= 10, "{name} has hardly any seeds");
    }
}
