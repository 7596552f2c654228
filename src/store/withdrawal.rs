//! What lost its rights: the log that is the truth about sign-outs.
//!
//! An entry is written in the transaction of the change that it speaks of, and says "nothing of this below that": it can
//! be read twice, and a later one stands for all before it. One entry signs out a whole organisation. Sessions are judged
//! by the same numbers on each use, so that whoever reads the log late, or never, still lets nobody in.

use serde::{Deserialize, Serialize};

use super::{EndReason, OrganisationId, Session, SessionKey};
use crate::protocol::id::{DeviceId, Epoch, Subject};

/// Counts how often an account or an organisation was signed out everywhere. A session is valid only while neither is
/// above what it was opened under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// What lost its rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Withdrawn {
    /// One session.
    Session {
        /// Which one.
        session: SessionKey,
    },
    /// A device's sessions below an epoch.
    Epoch {
        /// The device.
        device: DeviceId,
        /// The first epoch that is still good.
        below: Epoch,
    },
    /// A device, for good.
    Device {
        /// The device.
        device: DeviceId,
    },
    /// An account's sessions below a generation.
    Account {
        /// The account's subject.
        subject: Subject,
        /// The first generation that is still good.
        below: Generation,
    },
    /// The sessions of everybody in an organisation below a generation.
    Organisation {
        /// The organisation.
        organisation: OrganisationId,
        /// The first generation that is still good.
        below: Generation,
    },
}

impl Withdrawn {
    /// Whether a session is over by this.
    #[must_use]
    pub fn ends(&self, session: &Standing) -> bool {
        match self {
            Self::Session { session: key } => *key == session.key,
            Self::Epoch { device, below } => session.device.as_ref() == Some(device) && session.epoch < *below,
            Self::Device { device } => session.device.as_ref() == Some(device),
            Self::Account { subject, below } => *subject == session.subject && session.generation < *below,
            Self::Organisation { organisation, below } => {
                session.organisation.as_ref() == Some(organisation) && session.organisation_generation < *below
            }
        }
    }
}

/// What a session stands on: all that can be withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The session.
    pub key: SessionKey,
    /// The device that signed in, where one did.
    pub device: Option<DeviceId>,
    /// Its epoch then.
    pub epoch: Epoch,
    /// The account.
    pub subject: Subject,
    /// Its generation then.
    pub generation: Generation,
    /// The account's organisation.
    pub organisation: Option<OrganisationId>,
    /// Its generation then.
    pub organisation_generation: Generation,
}

impl From<&Session> for Standing {
    fn from(session: &Session) -> Self {
        Self {
            key: session.key,
            device: session.device.clone(),
            epoch: session.epoch,
            subject: session.account.subject.clone(),
            generation: session.generation,
            organisation: session.account.organisation.clone(),
            organisation_generation: session.organisation_generation,
        }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// What lost its rights.
    #[serde(flatten)]
    pub withdrawn: Withdrawn,
    /// Why.
    pub reason: EndReason,
}

/// A place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The log's life. Another one means that entries may have been lost.
    pub life: String,
    /// The number of the last entry before this place.
    pub seq: u64,
}

/// What the log holds after a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// The entries in the order of their commits, possibly none, and the place after them.
    Entries(Vec<Withdrawal>, Cursor),
    /// Nobody knows what was in between: whoever holds something open looks at it anew, and reads on from here.
    Lost(Cursor),
}

/// How many entries are read at a time.
pub const TAIL_MAX_LEN: u32 = 1024;

/// How long entries are kept at least, in seconds. Whoever was away for longer looks at everything anew.
pub const WITHDRAWALS_KEPT_SECONDS: u64 = 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;
    use crate::verify::testing::parsed;

    fn key(n: u8) -> SessionKey {
        SessionKey::of(&Secret::new([n; 32]))
    }

    #[test]
    fn each_entry_ends_what_it_names_and_nothing_else() {
        let standing = Standing {
            key: key(1),
            device: Some(parsed("laptop")),
            epoch: Epoch(3),
            subject: parsed("ada"),
            generation: Generation(5),
            organisation: Some(parsed("acme")),
            organisation_generation: Generation(7),
        };
        let account = |subject: &str, below| Withdrawn::Account { subject: parsed(subject), below: Generation(below) };
        let organisation =
            |name: &str, below| Withdrawn::Organisation { organisation: parsed(name), below: Generation(below) };
        for (withdrawn, ends) in [
            (Withdrawn::Session { session: key(1) }, true),
            (Withdrawn::Session { session: key(2) }, false),
            (Withdrawn::Epoch { device: parsed("laptop"), below: Epoch(4) }, true),
            (Withdrawn::Epoch { device: parsed("laptop"), below: Epoch(3) }, false),
            (Withdrawn::Epoch { device: parsed("phone"), below: Epoch(4) }, false),
            (Withdrawn::Device { device: parsed("laptop") }, true),
            (Withdrawn::Device { device: parsed("phone") }, false),
            (account("ada", 6), true),
            (account("ada", 5), false),
            (account("lin", 6), false),
            (organisation("acme", 8), true),
            (organisation("acme", 7), false),
            (organisation("other", 8), false),
        ] {
            assert_eq!(withdrawn.ends(&standing), ends, "{withdrawn:?}");
            let alone = Standing { organisation: None, ..standing.clone() };
            assert_eq!(withdrawn.ends(&alone), ends && !matches!(withdrawn, Withdrawn::Organisation { .. }));
            let without = Standing { device: None, epoch: Epoch(0), ..standing.clone() };
            let of_a_device = matches!(withdrawn, Withdrawn::Epoch { .. } | Withdrawn::Device { .. });
            assert_eq!(withdrawn.ends(&without), ends && !of_a_device, "{withdrawn:?}");
        }
    }

    #[test]
    fn entries_are_kept_as_they_were() {
        let entry = Withdrawal {
            withdrawn: Withdrawn::Epoch { device: parsed("laptop"), below: Epoch(4) },
            reason: EndReason::SignedOut,
        };
        let text = serde_json::to_string(&entry).expect("JSON");
        assert_eq!(text, r#"{"what":"epoch","device":"laptop","below":4,"reason":"signed_out"}"#);
        assert_eq!(serde_json::from_str::<Withdrawal>(&text).expect("read"), entry);
    }
}
