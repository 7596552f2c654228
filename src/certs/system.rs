//! The system's own store, for every program and every user: WebKit's browsers on Linux look nowhere else. It is only
//! touched where the person asks for exactly that, and every command is shown.

use std::path::{Path, PathBuf};

use super::issue::NAME;
use crate::install::Step;

/// A folder, and what is run when something has come into it, or has gone.
type Kind = (&'static str, &'static [&'static str], &'static [&'static str]);

/// Where administrators put authorities, and what takes them over: Debian and its kin, then Fedora and its kin.
const KINDS: [Kind; 2] = [
    ("/usr/local/share/ca-certificates", &["update-ca-certificates"], &["update-ca-certificates", "--fresh"]),
    ("/etc/pki/ca-trust/source/anchors", &["update-ca-trust", "extract"], &["update-ca-trust", "extract"]),
];

/// What keeps Java's store in step on Debian.
const JAVA: &str = "/etc/ca-certificates/update.d/jks-keystore";

/// The folder of this system, where it is one that is known.
pub(super) fn folder() -> Option<PathBuf> {
    KINDS.iter().map(|(folder, ..)| PathBuf::from(folder)).find(|folder| folder.is_dir())
}

/// An authority's file there.
pub(super) fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("loopkey-{}.crt", name.trim_start_matches(NAME).trim()))
}

pub(super) fn add(folder: &Path, name: &str, authority: &Path) -> Vec<Step> {
    let [from, to] = [authority.to_owned(), file(folder, name)].map(|path| path.to_string_lossy().into_owned());
    vec![as_root(&["install", "-m", "0644", &from, &to]), as_root(update(folder, |kind| kind.1))]
}

pub(super) fn delete(folder: &Path, name: &str) -> Vec<Step> {
    let file = file(folder, name);
    let mut steps = vec![as_root(&["rm", "-f", &file.to_string_lossy()]), as_root(update(folder, |kind| kind.2))];
    // Debian's program copies authorities into Java's store, and leaves there what is gone. Told so, its own script forgets it.
    if folder == Path::new(KINDS[0].0) && Path::new(JAVA).exists() {
        let known_as = Path::new("/etc/ssl/certs").join(file.with_extension("pem").file_name().unwrap_or_default());
        steps.push(as_root(&["sh", "-c", &format!("echo -{} | {JAVA}", known_as.display())]));
    }
    steps
}

fn update(folder: &Path, words: impl Fn(&Kind) -> &'static [&'static str]) -> &'static [&'static str] {
    KINDS.iter().find(|(known, ..)| Path::new(known) == folder).map_or(&[], words)
}

/// sudo asks in the terminal, where it has to.
fn as_root(words: &[&str]) -> Step {
    let sudo = crate::install::require_a_person(false).is_ok().then_some("sudo");
    Step::Run { words: sudo.into_iter().chain(words.iter().copied()).map(str::to_owned).collect(), must_succeed: true }
}
