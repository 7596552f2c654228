//! What an administrator puts on people's computers so that the sites of an organisation reach the agent without a question:
//! the managed policies of Chromium, Chrome, Edge and Firefox, and the agent's own policy.
//!
//! What is to stand where is decided here as plain text; `place` writes it, into a folder or into the system's own places.
//! Others' policies stay as they are: nothing that somebody else wrote is ever taken away or overruled.

mod browser;
mod chromium;
mod fault;
mod firefox;
mod own;
mod place;

use std::path::PathBuf;

pub use browser::Browser;
pub use fault::PolicyError;
pub use place::{Placed, install, write_below};

use crate::protocol::grant::ConsentMode;
use crate::protocol::origin::Origin;

/// What an administrator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The sites.
    pub origins: Vec<Origin>,
    /// How people are asked there; nothing leaves that to the agent's configuration.
    pub consent: Option<ConsentMode>,
    /// Whether the agent refuses every other site.
    pub only_listed: bool,
    /// The certificate (PEM) of the authority behind the agent's TLS port.
    pub authority: Option<String>,
    /// Which browsers are told.
    pub browsers: Vec<Browser>,
}

/// A file of a policy, by its place on Linux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it stands.
    pub path: PathBuf,
    /// What is in it.
    pub content: String,
    /// Whose place it is.
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Loopkey's alone.
    Ours,
    /// One of several files of policies in a folder, where each key may stand in one file only.
    OfFolder,
    /// Firefox's one file, which belongs to everybody.
    Firefox,
    /// The agent's own policy.
    Agent,
}

impl Wish {
    /// Everything that is to stand, in the order in which it is written.
    ///
    /// # Errors
    /// [`PolicyError`] where the authority is no certificate.
    pub fn files(&self) -> Result<Vec<File>, PolicyError> {
        let mut files = Vec::new();
        if let Some(authority) = &self.authority {
            files.push(File { path: own::AUTHORITY.into(), content: authority.clone(), kind: Kind::Ours });
        }
        for browser in &self.browsers {
            let (content, kind) = match browser {
                Browser::Firefox => (firefox::policies(self), Kind::Firefox),
                _ => (chromium::policies(self)?, Kind::OfFolder),
            };
            let content = format!("{content:#}\n");
            files.push(File { path: browser.linux().into(), content, kind });
        }
        files.push(File { path: own::POLICY.into(), content: own::policy(self), kind: Kind::Agent });
        Ok(files)
    }

    /// The sites, as policies name them.
    fn sites(&self) -> Vec<&str> {
        self.origins.iter().map(Origin::as_str).collect()
    }
}
