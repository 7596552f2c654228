//! A browser's operating-system processes: found, started, and gone when the test is gone.
//!
//! A small `sh` stands between the test and the browser and waits for the end of its standard input. That end comes
//! when [`BrowserProcess`] is dropped, and also when the test process is killed or a browser sits in a `static`, which
//! is never dropped: so no way of ending a test leaves a browser behind. The shell leads a process group of its own and
//! kills all of it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a browser may take to open its debugging port: a cold start on a loaded machine, not a measurement.
pub(super) const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long dropping waits for every process of the group to be gone.
const END_DEADLINE: Duration = Duration::from_secs(10);
/// Lines of browser output kept for an error message.
const TAIL_LINES: usize = 30;

/// Kills the browser, then removes the profile, again while one of its helpers still writes to it, then kills the rest.
const SUPERVISOR: &str = r#"
profile=$1; shift
"$@" 2>&1 </dev/null &
browser=$!
exec >/dev/null 2>&1
read -r _
kill -KILL "$browser"; wait "$browser"
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$profile" && break; sleep 0.1; done
kill -KILL 0
"#;

/// In a mount namespace of the browser's own, so that nobody else sees it.
const MOUNTING: &str = r#"
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 1; shift 2; done
shift
exec "$@"
"#;

/// A running browser with its profile; dropping it kills the whole process group and removes the profile.
pub(super) struct BrowserProcess {
    supervisor: Child,
    lines: mpsc::UnboundedReceiver<String>,
    tail: Arc<Mutex<VecDeque<String>>>,
    /// In a mutex only because a receiver is not `Sync`, and a browser may sit in a `static`.
    ended: Mutex<blocking::Receiver<()>>,
    profile: TempDir,
}

impl BrowserProcess {
    /// Starts `program` in its own process group, with the profile as home directory so that it neither reads nor
    /// writes anything of the person running the tests.
    pub(super) fn spawn(
        program: &Path,
        args: &[OsString],
        environment: &[(String, OsString)],
        mounts: &[(PathBuf, PathBuf)],
        profile: TempDir,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISOR, "browser-supervisor"]).arg(profile.path());
        if !mounts.is_empty() {
            command.args(["unshare", "--mount"]);
            if !is_root(&profile)? {
                command.arg("--map-root-user");
            }
            command.args(["sh", "-c", MOUNTING, "mounting"]);
            command.args(mounts.iter().flat_map(|(what, place)| [what, place])).arg("--");
        }
        command.arg(program).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Firefox heeds the preference for another settings server, such as none, only with the second of these.
        command.env("MOZ_CRASHREPORTER_DISABLE", "1").env("MOZ_REMOTE_SETTINGS_DEVTOOLS", "1").env("NO_AT_BRIDGE", "1");
        if cfg!(target_os = "linux") {
            // Not on macOS, where the path of a socket in there would be too long.
            command.env("HOME", profile.path()).env("TMPDIR", profile.path());
        }
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut supervisor = command.spawn().context("cannot start `sh` to supervise the browser")?;
        let output = supervisor.stdout.take().context("the supervisor has no output pipe")?;
        let (line_sender, lines) = mpsc::unbounded_channel();
        let (end_sender, ended) = blocking::channel();
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let tail_writer = Arc::clone(&tail);
        std::thread::Builder::new().name("browser-output".into()).spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                let mut kept = tail_writer.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(line.clone());
                if kept.len() > TAIL_LINES {
                    kept.pop_front();
                }
                // Nobody listens once the start line was seen; the pipe must be emptied all the same.
                let _ = line_sender.send(line);
            }
            // Every process of the group inherited the pipe, so its end is the end of them all.
            let _ = end_sender.send(());
        })?;
        Ok(Self { supervisor, lines, tail, ended: Mutex::new(ended), profile })
    }

    /// Waits for the output line that contains `announcement` and returns what follows it.
    pub(super) async fn announced(&mut self, announcement: &str) -> anyhow::Result<String> {
        let search = async {
            while let Some(line) = self.lines.recv().await {
                if let Some((_, address)) = line.split_once(announcement) {
                    return Some(address.trim().to_owned());
                }
            }
            None
        };
        match timeout(START_DEADLINE, search).await {
            Ok(Some(address)) => {
                self.lines.close();
                Ok(address)
            }
            Ok(None) => bail!("the browser ended before it said {announcement:?}; its last output:\n{}", self.tail()),
            Err(_) => bail!(
                "the browser did not say {announcement:?} within {START_DEADLINE:?}; its last output:\n{}",
                self.tail()
            ),
        }
    }

    /// The last lines the browser printed, for an error message.
    pub(super) fn tail(&self) -> String {
        let kept = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_empty() { "(nothing)".to_owned() } else { Vec::from(kept.clone()).join("\n") }
    }

    /// The folder that is its home, with its profile in it.
    pub(super) fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// The process group of the browser and everything it started.
    pub(super) fn group(&self) -> u32 {
        self.supervisor.id()
    }
}

impl Drop for BrowserProcess {
    fn drop(&mut self) {
        // The end of this pipe is the order to kill. `Child::wait` would close it too; here it is said aloud.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
        // What the supervisor could not remove is removed after this, when nobody is left to write.
        let _ = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(END_DEADLINE);
    }
}

/// Finds the first of `names` on `PATH`, or one of the `bundles` (absolute paths, for macOS).
pub(super) fn find_program(names: &[&str], bundles: &[&str], install: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .chain(bundles.iter().map(PathBuf::from))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("no browser found (looked for {}); install one with {install}", names.join(", ")))
}

/// A new empty profile directory.
pub(super) fn new_profile() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix("loopkey-browser-").tempdir().context("cannot make a profile directory")
}

/// Whether the tests run as root: a directory just made belongs to who made it.
#[cfg(unix)]
pub(super) fn is_root(fresh: &TempDir) -> anyhow::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::uid(&fresh.path().metadata()?) == 0)
}

/// Whether the tests run as root, which there is none of here.
#[cfg(not(unix))]
pub(super) fn is_root(_fresh: &TempDir) -> anyhow::Result<bool> {
    Ok(false)
}
