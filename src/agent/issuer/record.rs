//! What the agent keeps on disk for one issuer: accounts, epoch, consents, and sign-outs that are still to be delivered.
//!
//! Small, and written whole: at every moment the file holds the old or the new record, never half of one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::crypto::{self, KeyId};
use crate::keyfile::{self, KeyFileError};
use crate::protocol::base64url;
use crate::protocol::grant::Choice;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::time::UnixMillis;

/// Longest record in bytes: some hundred accounts with pictures of 64 KiB.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// Why the record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// Its content.
    #[error("{path}: this is no record of an agent ({reason}); move it away and enrol anew")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// An enrolled account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct Account {
    pub(in crate::agent) subject: Subject,
    pub(in crate::agent) device: DeviceId,
    pub(in crate::agent) key: KeyId,
    pub(in crate::agent) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::agent) avatar: Option<String>,
}

/// A consent that the person asked to be remembered: it goes with the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct Consent {
    pub(in crate::agent) subject: Subject,
    pub(in crate::agent) origin: Origin,
    /// When it was given, by this computer's clock; 0 where an earlier version did not write it down.
    #[serde(default = "some_time")]
    pub(in crate::agent) since: UnixMillis,
}

const fn some_time() -> UnixMillis {
    UnixMillis(0)
}

/// A sign-out that the issuer has not answered yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct PendingSignOut {
    /// The device key that signed it.
    pub(in crate::agent) key: KeyId,
    pub(in crate::agent) statement: String,
}

impl std::fmt::Debug for PendingSignOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingSignOut").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Everything that is kept for one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::agent) struct Record {
    pub(in crate::agent) issuer: Issuer,
    pub(in crate::agent) epoch: Epoch,
    /// Who is signed in to the client, as far as the agent last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::agent) current: Option<Subject>,
    #[serde(default)]
    pub(in crate::agent) accounts: Vec<Account>,
    #[serde(default)]
    pub(in crate::agent) consents: Vec<Consent>,
    /// What the person chose for an origin, whoever is signed in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::agent) choices: BTreeMap<Origin, Choice>,
    #[serde(default)]
    pub(in crate::agent) sign_outs: Vec<PendingSignOut>,
    /// When the issuer revoked a device key here, by this computer's clock, where nobody was enrolled since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::agent) revoked: Option<UnixMillis>,
}

impl Record {
    /// The record of an issuer, empty where there is none yet.
    pub(in crate::agent) fn load(folder: &Path, issuer: &Issuer) -> Result<Self, RecordError> {
        let path = path(folder, issuer);
        let content = match keyfile::read_up_to(&path, MAX_LEN) {
            Ok(content) => content,
            Err(KeyFileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let (accounts, consents, choices, sign_outs) = Default::default();
                return Ok(Self {
                    issuer: issuer.clone(),
                    epoch: Epoch::default(),
                    current: None,
                    accounts,
                    consents,
                    choices,
                    sign_outs,
                    revoked: None,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let fault = |reason: String| RecordError::Content { path: path.clone(), reason };
        let record: Self = serde_json::from_slice(content.expose()).map_err(|error| fault(error.to_string()))?;
        if record.issuer == *issuer { Ok(record) } else { Err(fault("it is another issuer's".to_owned())) }
    }

    /// Writes the record; it is on the disk when this returns.
    pub(in crate::agent) fn save(&self, folder: &Path) -> Result<(), RecordError> {
        let path = path(folder, &self.issuer);
        let fault = |reason: String| RecordError::Content { path: path.clone(), reason };
        let content = serde_json::to_vec_pretty(self).map_err(|error| fault(error.to_string()))?;
        if content.len() as u64 > MAX_LEN {
            // What could not be read again must not be written.
            return Err(fault("it has grown too long".to_owned()));
        }
        Ok(keyfile::replace(&path, &content)?)
    }

    /// Keeps a sign-out for delivery. It says everything that an earlier one of the same key said.
    pub(in crate::agent) fn keep_sign_out(&mut self, sign_out: PendingSignOut) {
        self.sign_outs.retain(|pending| pending.key != sign_out.key);
        self.sign_outs.push(sign_out);
    }

    /// Keeps a consent; an earlier one for the same is replaced.
    pub(in crate::agent) fn keep_consent(&mut self, consent: Consent) {
        self.consents.retain(|old| old.subject != consent.subject || old.origin != consent.origin);
        self.consents.push(consent);
    }

    pub(in crate::agent) fn account(&self, subject: &Subject) -> Option<&Account> {
        self.accounts.iter().find(|account| account.subject == *subject)
    }
}

fn path(folder: &Path, issuer: &Issuer) -> PathBuf {
    let name = crypto::sha256(&[issuer.as_str().as_bytes()]);
    folder.join(format!("issuer-{}.json", base64url::encode(&name[..12])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let folder = tempfile::tempdir().expect("folder");
        let issuer: Issuer = "https://login.example".parse().expect("issuer");
        let mut record = Record::load(folder.path(), &issuer).expect("empty");
        assert!(record.accounts.is_empty());
        record.epoch = Epoch(7);
        let origin = "https://a.example".parse().expect("origin");
        record.consents.push(Consent { subject: "s".parse().expect("subject"), origin, since: UnixMillis(1) });
        let key = crate::crypto::SoftwareKey::generate(crate::crypto::Algorithm::Es256).expect("key").0;
        let key = crate::crypto::Signer::public(&key).id();
        for statement in ["a.b.c", "d.e.f"] {
            record.keep_sign_out(PendingSignOut { key, statement: statement.into() });
        }
        assert_eq!(record.sign_outs.len(), 1, "the later one says it all");
        record.save(folder.path()).expect("saved");
        assert_eq!(Record::load(folder.path(), &issuer).expect("loaded"), record);
        // As an earlier version wrote it.
        let saved = std::fs::read_to_string(path(folder.path(), &issuer)).expect("text");
        let mut earlier: serde_json::Value = serde_json::from_str(&saved).expect("JSON");
        earlier["consents"][0].as_object_mut().expect("a consent").remove("since");
        std::fs::write(path(folder.path(), &issuer), earlier.to_string()).expect("written");
        assert_eq!(Record::load(folder.path(), &issuer).expect("loaded").consents[0].since, UnixMillis(0));
        std::fs::write(path(folder.path(), &issuer), "{").expect("written");
        assert!(matches!(Record::load(folder.path(), &issuer), Err(RecordError::Content { .. })));
    }
}
