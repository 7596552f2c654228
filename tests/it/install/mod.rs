//! `loopkey install`, `uninstall` and `open-url`, in homes of the tests' own.

#[cfg(target_os = "linux")]
mod activation;
mod files;
#[cfg(target_os = "linux")]
mod registered;
#[cfg(target_os = "linux")]
mod systemd;
#[cfg(target_os = "linux")]
mod wake;

use std::process::{Command, Output};

/// Runs a program that the tests need; says how to get it where it is missing.
#[track_caller]
fn tool(command: &mut Command, package: &str) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; run: apt-get install {package}"))
}

#[track_caller]
fn succeeds(command: &mut Command, package: &str) -> String {
    let output = tool(command, package);
    let [said, fault] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{command:?}: {said}{fault}");
    said
}
