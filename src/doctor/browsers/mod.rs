//! What keeps a browser's pages from this computer's programs, as far as the browser's own files tell.
//!
//! They are read as they lie there, never written. A browser that keeps them elsewhere, or holds them locked, is passed over.

mod chromium;
mod firefox;
mod pattern;

use std::path::{Path, PathBuf};

use crate::agent::Finding;
use crate::certs;
use crate::protocol::origin::Origin;

/// Longest file in bytes that is read.
const MAX_LEN: u64 = 64 * 1024 * 1024;

/// Where browsers keep their people's decisions and their administrators' policies.
#[derive(Debug, Clone, Default)]
pub struct Places {
    chromium: Vec<(&'static str, PathBuf)>,
    chromium_policies: Vec<PathBuf>,
    firefox: Vec<PathBuf>,
}

impl Places {
    /// This user's browsers, and this computer's policies.
    #[must_use]
    pub fn of_this_user() -> Self {
        let Some(dirs) = directories::BaseDirs::new() else { return Self::default() };
        let home = dirs.home_dir();
        Self {
            chromium: chromium::profiles_of(home, dirs.config_dir(), dirs.data_local_dir()),
            chromium_policies: chromium::POLICIES.iter().map(PathBuf::from).collect(),
            firefox: certs::firefox_folders(home, dirs.config_dir()),
        }
    }

    /// Looks whether pages of these origins are kept away; the browsers that were found, and what was found there.
    pub(super) fn examine(&self, origins: &[Origin]) -> (Vec<String>, Vec<Finding>) {
        let (mut looked_at, mut findings) = (Vec::new(), Vec::new());
        for (name, folder) in &self.chromium {
            for profile in chromium::profiles(folder) {
                looked_at.push(format!("{name} ({})", profile.name));
                findings.extend(
                    chromium::denied(&profile, origins).into_iter().map(|origin| denied(name, &profile.name, origin)),
                );
            }
        }
        for folder in &self.firefox {
            for profile in folders(folder) {
                let (name, Some(denials)) = (name_of(&profile), firefox::denied(&profile, origins)) else { continue };
                looked_at.push(format!("Firefox ({name})"));
                findings.extend(denials.into_iter().map(|origin| denied("Firefox", &name, origin)));
            }
        }
        for folder in &self.chromium_policies {
            findings.extend(chromium::blocked_by_policy(folder, origins));
        }
        (looked_at, findings)
    }
}

fn denied(browser: &str, profile: &str, origin: &Origin) -> Finding {
    Finding::error(
        "browser_denied",
        format!("{browser} (profile {profile}) keeps pages of {origin} from the programs on this computer"),
        format!(
            "in {browser} open {origin}, click the sign in front of the address, allow access to other apps and services on \
             this device there, and load the page again"
        ),
    )
    .with("browser", browser)
    .with("profile", profile)
    .with("origin", origin.as_str())
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A JSON file, where it is there and one.
fn json(path: &Path) -> Option<serde_json::Value> {
    let small = std::fs::metadata(path).ok()?.len() <= MAX_LEN;
    small.then(|| serde_json::from_slice(&std::fs::read(path).ok()?).ok()).flatten()
}
