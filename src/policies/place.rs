//! Writing policies: into a folder, as they are; or into the system's places, beside and into what others wrote. Everything
//! is looked at before anything is written.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fault::PolicyError;
use super::{File, Kind, Wish, firefox, own};
use crate::config;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where it stands.
    pub path: PathBuf,
    /// Whether something is different now.
    pub changed: bool,
}

/// Writes everything below a folder, by its places on Linux.
///
/// # Errors
/// [`PolicyError`].
pub fn write_below(folder: &Path, wish: &Wish) -> Result<Vec<Placed>, PolicyError> {
    wish.files()?
        .into_iter()
        .map(|file| {
            let path = folder.join(file.path.strip_prefix("/").unwrap_or(&file.path));
            write(&path, &file.content)
        })
        .collect()
}

/// Writes everything to where it counts on this computer.
///
/// # Errors
/// [`PolicyError`]. Where what is there stands in the way, nothing is written.
pub fn install(wish: &Wish) -> Result<Vec<Placed>, PolicyError> {
    let files = wish.files()?.into_iter().map(|file| settled(file, wish)).collect::<Result<Vec<_>, _>>()?;
    files.into_iter().map(|(path, content)| write(&path, &content)).collect()
}

/// What is to stand, given what is there.
fn settled(file: File, wish: &Wish) -> Result<(PathBuf, String), PolicyError> {
    let File { path, content, kind } = file;
    let contradicts = |key| PolicyError::Contradicts { path: path.clone(), key };
    let content = match kind {
        Kind::Ours => content,
        Kind::OfFolder => {
            require_undivided(&path, &content)?;
            content
        }
        Kind::Firefox => match json(&path)? {
            Some(mut there) => {
                let wanted = serde_json::from_str(&content).expect("it was JSON a moment ago");
                firefox::merge(&mut there, &wanted, "policies").map_err(contradicts)?;
                format!("{there:#}\n")
            }
            None => content,
        },
        Kind::Agent => match read(&path)? {
            Some(text) => own::merge(&text, &config::policy_at(&path)?, wish).map_err(contradicts)?,
            None => content,
        },
    };
    Ok((path, content))
}

/// A browser takes one file's word for each key; which one's, is a matter of their names.
fn require_undivided(path: &Path, content: &str) -> Result<(), PolicyError> {
    let ours: Value = serde_json::from_str(content).expect("it was JSON a moment ago");
    let folder = path.parent().unwrap_or(path);
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut others: Vec<_> =
        entries.filter(|other| other != path && other.extension().is_some_and(|e| e == "json")).collect();
    others.sort();
    for other in others {
        let Some(theirs) = json(&other)? else { continue };
        if let Some(key) =
            ours.as_object().into_iter().flat_map(|ours| ours.keys()).find(|key| !theirs[key.as_str()].is_null())
        {
            return Err(PolicyError::Overruled { other, key: key.clone() });
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<String>, PolicyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PolicyError::io(path)(error)),
    }
}

fn json(path: &Path) -> Result<Option<Value>, PolicyError> {
    let parse = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| PolicyError::NotJson { path: path.to_owned(), reason: error.to_string() })
    };
    read(path)?.map(parse).transpose()
}

/// Whoever reads it meanwhile sees the old one or the new one. Everybody may read it, its owner alone may write.
fn write(path: &Path, content: &str) -> Result<Placed, PolicyError> {
    if read(path)?.as_deref() == Some(content) {
        return Ok(Placed { path: path.to_owned(), changed: false });
    }
    let write = || {
        let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
        std::fs::create_dir_all(folder)?;
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        fresh.write_all(content.as_bytes())?;
        #[cfg(unix)]
        fresh.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        fresh.as_file().sync_all()?;
        fresh.persist(path).map_err(|error| error.error)
    };
    write().map_err(PolicyError::io(path))?;
    Ok(Placed { path: path.to_owned(), changed: true })
}
