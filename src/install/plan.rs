//! What is to stand on disk, and what is to be run once it does.

use std::path::{Path, PathBuf};

use super::record::StartsBy;

/// One thing on disk that is Loopkey's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A text file.
    File {
        /// Where.
        path: PathBuf,
        /// What is in it.
        content: String,
        /// Whether it is a program.
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where.
        path: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
}

impl Entry {
    pub(super) fn file(path: PathBuf, content: String) -> Self {
        Self::File { path, content, executable: false }
    }

    /// Where it stands.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } => path,
        }
    }
}

/// A program that is to open addresses of a scheme, in a list that belongs to every program of the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultProgram {
    /// The list.
    pub list: PathBuf,
    /// For what: `x-scheme-handler/…`.
    pub kind: &'static str,
    /// Which program, by the name of its desktop entry.
    pub program: &'static str,
}

/// Everything that is registered on one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What starts the agent.
    pub starts_by: StartsBy,
    /// Files and links.
    pub entries: Vec<Entry>,
    /// A place in a shared list.
    pub default: Option<DefaultProgram>,
    /// What is run when the files stand. Each does the same however often it runs.
    pub commands: Vec<Vec<String>>,
    /// What is run before they are taken away.
    pub undo: Vec<Vec<String>>,
    /// What is run afterwards.
    pub undone: Vec<Vec<String>>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// A command's words.
pub(super) fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}

/// A command as a person would type it, near enough.
pub(super) fn shown<W: AsRef<str>>(words: &[W]) -> String {
    let word = |word: &W| {
        let word = word.as_ref();
        if word.is_empty() || word.contains([' ', '"']) { format!("'{word}'") } else { word.to_owned() }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
