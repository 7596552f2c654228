//! Where programs of this computer learn which authorities to trust.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fault::CertsError;
use super::{nss, system};
use crate::install::{Homes, Step};

/// A place where an authority can be made known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// The database of this user's Chromium and its kin.
    Chromium(PathBuf),
    /// The database of a Firefox profile.
    Firefox(PathBuf),
    /// The system's own.
    System(PathBuf),
}

/// Whether a store knows the authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The store.
    pub store: Store,
    /// Whether it does; nothing where it could not be asked.
    pub knows: Option<bool>,
}

impl Store {
    /// This user's stores: databases that are there, and the one of Chromium, which it does not make by itself.
    pub(super) fn of_user(homes: &Homes) -> Vec<Self> {
        let chromium = chromium_folders(&homes.home).into_iter().map(Self::Chromium);
        let firefox = firefox_folders(&homes.home, &homes.config).into_iter();
        let firefox = firefox.flat_map(|folder| profiles(&folder)).map(Self::Firefox);
        chromium.chain(firefox).collect()
    }

    /// The system's, where it is one that is known.
    pub(super) fn of_system() -> Option<Self> {
        system::folder().map(Self::System)
    }

    pub(super) fn knows(&self, name: &str) -> Result<bool, CertsError> {
        match self {
            Self::Chromium(folder) | Self::Firefox(folder) => Ok(nss::names(folder)?.iter().any(|known| known == name)),
            Self::System(folder) => Ok(system::file(folder, name).is_file()),
        }
    }

    /// What is to be done so that the store knows the authority.
    pub(super) fn add(&self, name: &str, authority: &Path) -> Vec<Step> {
        match self {
            Self::Chromium(folder) | Self::Firefox(folder) => {
                let is_new = !folder.join(nss::FILE).is_file();
                is_new.then(|| nss::create(folder)).into_iter().chain([nss::add(folder, name, authority)]).collect()
            }
            Self::System(folder) => system::add(folder, name, authority),
        }
    }

    pub(super) fn delete(&self, name: &str) -> Vec<Step> {
        match self {
            Self::Chromium(folder) | Self::Firefox(folder) => vec![nss::delete(folder, name)],
            Self::System(folder) => system::delete(folder, name),
        }
    }
}

/// The usual place, which is made where it is missing, and those of the two common packagings.
fn chromium_folders(home: &Path) -> Vec<PathBuf> {
    let packaged = ["snap/chromium/current/.pki/nssdb", ".var/app/org.chromium.Chromium/data/pki/nssdb"];
    let packaged =
        packaged.map(|folder| home.join(folder)).into_iter().filter(|folder| folder.join(nss::FILE).is_file());
    [home.join(".pki/nssdb")].into_iter().chain(packaged).collect()
}

/// The folders that Firefox keeps profiles in.
#[must_use]
pub fn firefox_folders(home: &Path, config: &Path) -> Vec<PathBuf> {
    match std::env::consts::OS {
        // There the folder for settings is the roaming one, as for Firefox.
        "windows" => vec![config.join(r"Mozilla\Firefox\Profiles")],
        "macos" => vec![config.join("Firefox/Profiles")],
        _ => vec![
            home.join(".mozilla/firefox"),
            config.join("mozilla/firefox"),
            home.join("snap/firefox/common/.mozilla/firefox"),
            home.join(".var/app/org.mozilla.firefox/.mozilla/firefox"),
        ],
    }
}

fn profiles(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut profiles: Vec<_> = entries.filter(|profile| profile.join(nss::FILE).is_file()).collect();
    profiles.sort();
    profiles
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chromium(folder) => write!(f, "Chromium, Chrome, Edge, Brave ({})", folder.display()),
            Self::Firefox(folder) => write!(f, "Firefox ({})", folder.display()),
            Self::System(folder) => write!(f, "this system ({})", folder.display()),
        }
    }
}
