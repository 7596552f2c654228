//! Databases of NSS: one a Firefox profile, one for all of Chromium and its kin. They are written with the program that NSS
//! brings for it, certutil, also while a browser has them open.

use std::path::Path;

use super::fault::CertsError;
use crate::install::{self, InstallError, Step};

/// The file by which a folder is a database.
pub(super) const FILE: &str = "cert9.db";
/// Everything that a new database consists of.
pub(super) const FILES: [&str; 3] = [FILE, "key4.db", "pkcs11.txt"];

fn words(action: &[&str], folder: &Path) -> Vec<String> {
    let database = format!("sql:{}", folder.display());
    let words = ["certutil", "-d", &database].into_iter().chain(action.iter().copied());
    words.map(str::to_owned).collect()
}

fn run(action: &[&str], folder: &Path) -> Step {
    Step::Run { words: words(action, folder), must_succeed: true }
}

/// Makes an empty database in a folder that is there.
pub(super) fn create(folder: &Path) -> Step {
    run(&["-N", "--empty-password"], folder)
}

/// Trusts the authority for servers, and for nothing else.
pub(super) fn add(folder: &Path, name: &str, authority: &Path) -> Step {
    run(&["-A", "-n", name, "-t", "C,,", "-i", &authority.to_string_lossy()], folder)
}

pub(super) fn delete(folder: &Path, name: &str) -> Step {
    run(&["-D", "-n", name], folder)
}

/// What a database knows, by name.
///
/// # Errors
/// [`CertsError::NoCertutil`], or what certutil said.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, CertsError> {
    if !folder.join(FILE).is_file() {
        return Ok(Vec::new());
    }
    let listed = install::output(&words(&["-L"], folder)).map_err(|error| match error {
        InstallError::Missing { .. } => CertsError::NoCertutil,
        error => error.into(),
    })?;
    Ok(String::from_utf8_lossy(&listed).lines().filter_map(name_of).map(str::to_owned).collect())
}

/// Whether a database holds neither a certificate nor a key.
pub(super) fn is_empty(folder: &Path) -> Result<bool, CertsError> {
    // Without a key in it certutil says so, and fails.
    Ok(names(folder)?.is_empty() && install::output(&words(&["-K"], folder)).is_err())
}

/// A line of the list: a name, and how far it is trusted (`C,,`). The heading has the same form.
fn name_of(line: &str) -> Option<&str> {
    let (name, trust) = line.trim_end().rsplit_once(' ')?;
    let is_trust = trust.matches(',').count() == 2 && trust != "SSL,S/MIME,JAR/XPI";
    is_trust.then(|| name.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_stands_before_the_trust() {
        let list = "\nCertificate Nickname                                         Trust Attributes\n\
             \x20                                                            SSL,S/MIME,JAR/XPI\n\n\
             Loopkey local authority 0a1b2c3d                             C,,  \n\
             My own key                                                   u,u,u\n\
             not trusted                                                  ,,   \n";
        let names: Vec<_> = list.lines().filter_map(name_of).collect();
        assert_eq!(names, ["Loopkey local authority 0a1b2c3d", "My own key", "not trusted"]);
    }
}
