//! What `loopkey certs` makes, whom it tells, and that nothing is left of it.

mod command;
mod misuse;
mod sslyze;

use std::path::Path;
use std::process::Command;

/// What openssl, which had no part in it, reads in a certificate.
fn openssl(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("openssl").args(arguments).arg("-in").arg(file).output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
