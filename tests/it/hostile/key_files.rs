//! Key files, folders, sockets and the other things on disk that others must not read, write or swap. Each is made for
//! this user alone, and refused by name where it is not.
#![cfg(unix)]

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use loopkey::agent::{Agent, AgentSettings, FileKeyStore, KeyStore as _};
use loopkey::clock::SystemClock;
use loopkey::crypto::{Algorithm, KeyId};
use loopkey::store::StoreUrl;

use crate::support::world::World;

/// Some other user.
const STRANGER: u32 = 54_321;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Gives a file to a user, as only root can: these tests run as root, or `sudo` asks for no password.
fn give(path: &Path, user: u32) {
    let chown = |program: &str, first: &[&str]| {
        std::process::Command::new(program).args(first).arg(user.to_string()).arg(path).status().expect("it runs")
    };
    let root = rustix::process::geteuid().is_root();
    let given = if root { chown("chown", &[]) } else { chown("sudo", &["-n", "chown"]) };
    assert!(given.success(), "this test needs root, or sudo without a password: run `sudo -v` first");
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whoever is not root may not even look at what is somebody else's.
fn is_foreign(fault: &str) -> bool {
    fault.contains("belongs to user 54321") || (own_user() != 0 && fault.contains("ermission denied"))
}

/// Everything below a folder, and itself.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(everything(&path)) } else { found.push(path) }
    }
    found
}

/// A key store with one key.
struct Keys {
    folder: tempfile::TempDir,
    id: KeyId,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FileKeyStore::new(folder.path().join("keys"), Algorithm::Es256).expect("a store");
        let id = store.create().expect("a key").public().id();
        Self { folder, id }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys").join(format!("{}.key", self.id))
    }

    /// Why the key cannot be used; nothing where it can.
    fn fault(&self) -> Option<String> {
        let store = FileKeyStore::new(self.folder.path().join("keys"), Algorithm::Es256);
        store.and_then(|store| store.load(self.id)).err().map(|fault| fault.to_string())
    }

    #[track_caller]
    fn expect_fault(&self, cure: &str) {
        let fault = self.fault().expect("a fault");
        assert!(fault.contains(cure) && fault.contains(&self.id.to_string()), "{fault}");
    }
}

#[test]
fn i157_a_key_file_that_others_can_read_is_refused() {
    let keys = Keys::new();
    assert_eq!((keys.fault(), mode(&keys.file())), (None, 0o600));
    for wider in [0o644, 0o640, 0o604, 0o660, 0o620, 0o611, 0o777] {
        set_mode(&keys.file(), wider);
        keys.expect_fault("chmod 600");
    }
    set_mode(&keys.file(), 0o400);
    assert_eq!(keys.fault(), None, "narrower is no fault");
}

#[test]
fn i157_a_key_file_that_is_a_link_is_refused() {
    let keys = Keys::new();
    let elsewhere = keys.folder.path().join("elsewhere.key");
    std::fs::rename(keys.file(), &elsewhere).expect("moved");
    symlink(&elsewhere, keys.file()).expect("a link");
    keys.expect_fault("not a plain file");
    std::fs::remove_file(keys.file()).expect("removed");
    symlink(keys.folder.path().join("nowhere"), keys.file()).expect("a link");
    keys.expect_fault("not a plain file");
}

#[test]
fn i157_what_is_no_file_is_refused_and_not_waited_for() {
    let keys = Keys::new();
    std::fs::remove_file(keys.file()).expect("removed");
    std::fs::create_dir(keys.file()).expect("a folder");
    keys.expect_fault("not a plain file");
    std::fs::remove_dir(keys.file()).expect("removed");
    let pipe = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(keys.file()).status().expect("mkfifo runs");
    assert!(pipe.success() && std::fs::metadata(keys.file()).expect("a pipe").file_type().is_fifo());
    keys.expect_fault("not a plain file");
}

#[test]
fn i157_a_key_file_of_another_user_is_refused() {
    let keys = Keys::new();
    give(&keys.file(), STRANGER);
    let fault = keys.fault().expect("a fault");
    give(&keys.file(), own_user());
    assert!(is_foreign(&fault), "{fault}");
    let folder = keys.folder.path().join("keys");
    give(&folder, STRANGER);
    let fault = keys.fault().expect("a fault");
    give(&folder, own_user());
    assert!(is_foreign(&fault), "{fault}");
}

#[test]
fn i157_a_truncated_or_foreign_key_file_is_refused() {
    let keys = Keys::new();
    let whole = std::fs::read(keys.file()).expect("readable");
    for length in 0..whole.len() {
        std::fs::write(keys.file(), &whole[..length]).expect("written");
        keys.expect_fault("enrol anew");
    }
    std::fs::write(keys.file(), vec![b'x'; 1024 * 1024]).expect("written");
    keys.expect_fault("sensible length");
    let other = Keys::new();
    std::fs::write(keys.file(), std::fs::read(other.file()).expect("readable")).expect("written");
    keys.expect_fault("does not hold that key");
    std::fs::write(keys.file(), whole).expect("written");
    assert_eq!(keys.fault(), None);
}

/// What stops an agent from starting.
async fn refusal(settings: &AgentSettings) -> String {
    match Agent::builder(settings.clone()).any_port().bind().await {
        Ok(_) => panic!("the agent started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn i157_an_agents_files_are_its_users_alone_or_it_does_not_start() {
    let world = World::new().await;
    let (settings, folder) = (world.settings.clone(), world.folder.path().to_owned());
    let control = settings.control.clone();
    assert!(std::fs::symlink_metadata(&control).expect("a socket").file_type().is_socket());
    assert_eq!((mode(&control), mode(control.parent().expect("a folder"))), (0o600, 0o700));
    let files = everything(&settings.state_dir);
    for path in &files {
        assert_eq!(mode(path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    world.agent.stop().await;
    // The state folder, the keys' folder, the lock, a key, the record of an issuer, and the audit log with its bounds.
    assert_eq!(files.len(), 7, "{files:?}");
    for path in files {
        let (usual, wider) = if path.is_dir() { (0o700, 0o770) } else { (0o600, 0o644) };
        set_mode(&path, wider);
        let fault = refusal(&settings).await;
        assert!(fault.contains(&*path.to_string_lossy()) && fault.contains("chmod"), "{fault}");
        set_mode(&path, usual);
    }
    let run = folder.join("run");
    set_mode(&run, 0o777);
    let fault = refusal(&settings).await;
    assert!(fault.contains("chmod 700"), "{fault}");
    set_mode(&run, 0o700);
    give(&run, STRANGER);
    let fault = refusal(&settings).await;
    give(&run, own_user());
    assert!(is_foreign(&fault), "{fault}");
    std::fs::remove_file(settings.state_dir.join("lock")).expect("removed");
    symlink(folder.join("target"), settings.state_dir.join("lock")).expect("a link");
    assert!(refusal(&settings).await.contains("not a plain file"));
    assert!(!folder.join("target").exists(), "nothing was made through the link");
    std::fs::remove_file(settings.state_dir.join("lock")).expect("removed");
    assert!(Agent::builder(settings).any_port().bind().await.is_ok());
}

#[tokio::test]
async fn i157_a_login_servers_files_are_its_users_alone_or_it_does_not_start() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("login");
    let open = async || -> anyhow::Result<_> {
        let url = StoreUrl::Embedded(folder.clone());
        let store = loopkey::store::open(&url, std::sync::Arc::new(SystemClock)).await?;
        Ok(store.challenge_signers(Algorithm::Es256).await?)
    };
    drop(open().await.expect("a store"));
    let files = everything(&folder);
    assert!(files.iter().any(|path| path.extension().is_some_and(|e| e == "pk8")), "{files:?}");
    for path in files {
        let (usual, wider) = if path.is_dir() { (0o700, 0o770) } else { (0o600, 0o644) };
        assert_eq!(mode(&path), usual, "{}", path.display());
        set_mode(&path, wider);
        let fault = open().await.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(fault.contains(&*path.to_string_lossy()) && fault.contains("chmod"), "{}: {fault:?}", path.display());
        set_mode(&path, usual);
    }
    drop(open().await.expect("a store again"));
}
