//! Passes for pages that the person opens from the client: the next page of that origin is signed in without a further
//! prompt, once, within a minute.
//!
//! The page's address carries the SHA-256 of the pass as a mark, and the agent shows the pass itself on the page's socket.
//! So the page knows that whoever answers at the agent's port is who opened it: an impostor there could make it sign in as
//! somebody else without a click. The pass gives nothing to anybody but the agent that made it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::Epoch;
use crate::protocol::origin::Origin;
use crate::protocol::time::Moment;

/// How long a page that was opened may take to ask.
const PASS_LIFE: Duration = Duration::from_secs(60);

/// What the person agreed to by opening a page.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pass {
    origin: Origin,
    epoch: Epoch,
    /// Shown to the page: what the mark is the hash of.
    pub(super) shown: String,
    until: Moment,
}

/// The passes that no page has been given yet. A new one for an origin replaces the one before.
#[derive(Default)]
pub(super) struct Passes(Mutex<Vec<Pass>>);

impl Passes {
    /// Makes a pass for whoever is signed in at that epoch; the result is the mark for the page's address.
    pub(super) fn make(&self, origin: &Origin, epoch: Epoch, now: Moment) -> String {
        let shown = base64url::encode(crypto::random::<32>());
        let mark = base64url::encode(crypto::sha256(&[shown.as_bytes()]));
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.retain(|pass| pass.until > now && pass.origin != *origin);
        passes.push(Pass { origin: origin.clone(), epoch, shown, until: now + PASS_LIFE });
        mark
    }

    /// The pass for a page that opens its socket now; it is that socket's from here on.
    pub(super) fn take(&self, origin: &Origin, epoch: Epoch, now: Moment) -> Option<Pass> {
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = passes.iter().position(|pass| pass.origin == *origin)?;
        Some(passes.swap_remove(at)).filter(|pass| pass.is_good(epoch, now))
    }
}

impl Pass {
    /// Whether it is still the same person, and not too late.
    pub(super) fn is_good(&self, epoch: Epoch, now: Moment) -> bool {
        self.epoch == epoch && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_for_one_page_one_person_and_one_minute() {
        let [app, other]: [Origin; 2] =
            ["https://app.example", "https://other.example"].map(|origin| origin.parse().expect("an origin"));
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let passes = Passes::default();
        let mark = passes.make(&app, Epoch(3), at(0));
        assert!(passes.take(&other, Epoch(3), at(1)).is_none(), "another origin");
        let pass = passes.take(&app, Epoch(3), at(59)).expect("a pass");
        assert_eq!(mark, base64url::encode(crypto::sha256(&[pass.shown.as_bytes()])));
        assert!(pass.is_good(Epoch(3), at(59)) && !pass.is_good(Epoch(3), at(60)) && !pass.is_good(Epoch(4), at(59)));
        assert!(passes.take(&app, Epoch(3), at(59)).is_none(), "a second page");
        for (epoch, second) in [(4, 1), (3, 60)] {
            passes.make(&app, Epoch(3), at(0));
            assert!(passes.take(&app, Epoch(epoch), at(second)).is_none(), "epoch {epoch}, second {second}");
        }
        let first = passes.make(&app, Epoch(3), at(0));
        let second = passes.make(&app, Epoch(3), at(0));
        let pass = passes.take(&app, Epoch(3), at(1)).expect("a pass");
        assert_ne!(first, second);
        assert_eq!(second, base64url::encode(crypto::sha256(&[pass.shown.as_bytes()])), "the newest counts");
    }
}
