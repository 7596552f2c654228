//! A provider's keys, as it publishes them: kept for an hour, fetched anew when a token names another one, but at most once a
//! minute, so that nobody makes the login server ask by making names up.

use std::time::Duration;

use serde::Deserialize;

use crate::connectors::fault::{ConnectFault, Fault};
use crate::crypto::{ForeignAlgorithm, ForeignKey};
use crate::protocol::time::Moment;

/// How long keys are believed: one that was taken back is gone after that.
const LIFE: Duration = Duration::from_secs(3600);
/// Between two fetches because of a name that is not known.
const PAUSE: Duration = Duration::from_secs(60);
/// More keys than any provider has at once.
const MAX_KEYS: usize = 64;

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// Keys that were fetched.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Vec<ForeignKey>,
    fetched_at: Moment,
    /// When they were last fetched because of a name: keys that have just been fetched for their age may be others already.
    named_at: Option<Moment>,
}

impl Keys {
    /// Reads a JWK set; `named_at`: when one was last fetched because of a name. What is no key for signatures as they are
    /// known here is left out, as RFC 7517 section 5 says.
    pub(super) fn parse(
        set: serde_json::Value,
        fetched_at: Moment,
        named_at: Option<Moment>,
    ) -> Result<Self, ConnectFault> {
        let set: Set = serde_json::from_value(set).map_err(|error| ConnectFault::new(Fault::Misbehaved, error))?;
        let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok()).collect();
        Ok(Self { keys, fetched_at, named_at })
    }

    /// The key of a name; where a token names none, the only one there is for its algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: ForeignAlgorithm) -> Option<&ForeignKey> {
        let named = |key: &&ForeignKey| kid.is_none() || key.kid.as_deref() == kid;
        let mut found = self.keys.iter().filter(|key| key.is_for(algorithm)).filter(named);
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }

    /// Whether they are believed still.
    pub(super) fn are_fresh(&self, now: Moment) -> bool {
        now < self.fetched_at + LIFE
    }

    /// When they were last fetched because of a name.
    pub(super) const fn named_at(&self) -> Option<Moment> {
        self.named_at
    }

    /// Whether they may be fetched anew because of a name; if so, then not again for a while, whatever comes of it.
    pub(super) fn may_be_asked_again(&mut self, now: Moment) -> bool {
        let may = self.named_at.is_none_or(|named_at| now >= named_at + PAUSE);
        if may {
            self.named_at = Some(now);
        }
        may
    }
}
