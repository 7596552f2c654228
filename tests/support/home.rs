//! A person's home for a test: empty at first, without the tester's own desktop, systemd or message bus in reach.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A home, and beside it what belongs to a session: the control socket and programs of the test's own.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::named("home")
    }

    /// A home whose path has something particular in it.
    pub(crate) fn named(name: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("loopkey-").tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(name)).expect("a home");
        std::fs::create_dir(folder.path().join("bin")).expect("a folder");
        Self { folder, name }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// A place outside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.beside("control.sock")
    }

    /// What a desktop's session sets. The display is only named: nothing is shown, but xdg-open wants one.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.beside("bin")].into_iter().chain(std::env::split_paths(&path)));
        vec![
            ("HOME", self.path()),
            ("XDG_CONFIG_HOME", self.path().join(".config")),
            ("XDG_DATA_HOME", self.path().join(".local/share")),
            ("XDG_RUNTIME_DIR", self.folder.path().to_owned()),
            ("DBUS_SESSION_BUS_ADDRESS", "disabled:".into()),
            ("DISPLAY", ":77".into()),
            ("PATH", path.expect("folders").into()),
        ]
    }

    /// A program in this home's session.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment()).env("LOOPKEY_LOG", "warn").env_remove("LOOPKEY_CONTROL");
        command.current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        command
    }

    pub(crate) fn loopkey(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_loopkey"), arguments);
        command.env("LOOPKEY_CONTROL", self.control()).output().expect("the program runs")
    }

    /// Runs a command that ends with a code; gives what it said to the person.
    #[track_caller]
    pub(crate) fn expect(&self, arguments: &[&str], code: i32) -> String {
        let output = self.loopkey(arguments);
        let [said, fault] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}{fault}");
        if code == 0 { said } else { fault }
    }

    /// Writes an `agent.toml` with these entries besides the usual ones; gives its path.
    pub(crate) fn agent_toml(&self, port: u16, more: &str) -> PathBuf {
        let (config, control) = (self.beside("agent.toml"), self.control());
        let state = self.beside("state");
        let text = format!("ports = [{port}]\ncontrol = {control:?}\ndevelopment = true\nallow_root = true\n");
        let state = if more.contains("state_dir") { String::new() } else { format!("state_dir = {state:?}\n") };
        std::fs::write(&config, text + &state + more).expect("written");
        config
    }

    /// Installs an agent with that configuration.
    #[track_caller]
    pub(crate) fn install(&self, config: &Path) -> String {
        self.expect(&["install", "--config", &config.to_string_lossy()], 0)
    }

    /// Puts a shell script into the session's way to its programs.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.beside("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}")).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        path
    }

    /// Everything in the home: files with their bytes, links with where they lead, folders.
    pub(crate) fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a readable folder") {
                let path = entry.expect("an entry").path();
                let what = if path.is_symlink() {
                    std::fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                } else if path.is_dir() {
                    folders.push(path.clone());
                    b"a folder".to_vec()
                } else {
                    std::fs::read(&path).expect("a readable file")
                };
                found.insert(path, what);
            }
        }
        found
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A woken agent is nobody's child; it must not outlive the test.
        self.loopkey(&["stop"]);
    }
}
