//! Passes for pages that the person opens from the client: that page is signed in without a further prompt, once, within a
//! minute.
//!
//! The page's address carries a random mark, and the agent shows the mark's SHA-256 on the page's socket. So the page knows that
//! whoever answers at the agent's port is who opened it, and the agent knows the page by the mark: other pages of the origin see
//! the hash, and cannot tell the mark from it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::{Epoch, PageMark};
use crate::protocol::origin::Origin;
use crate::protocol::time::Moment;

/// How long a page that was opened may take to ask.
const PASS_LIFE: Duration = Duration::from_secs(60);

/// What the person agreed to by opening a page.
struct Pass {
    origin: Origin,
    epoch: Epoch,
    mark: PageMark,
    until: Moment,
}

/// The passes that no page has used yet. A new one for an origin replaces the one before.
#[derive(Default)]
pub(in crate::agent) struct Passes(Mutex<Vec<Pass>>);

impl Passes {
    /// Makes a pass for whoever is signed in at that epoch; the result is the mark for the page's address.
    pub(in crate::agent) fn make(&self, origin: &Origin, epoch: Epoch, now: Moment) -> PageMark {
        let mark = PageMark::from_bytes(crypto::random());
        let mut passes = self.lock();
        passes.retain(|pass| pass.until > now && pass.origin != *origin);
        passes.push(Pass { origin: origin.clone(), epoch, mark, until: now + PASS_LIFE });
        mark
    }

    /// What a page of the origin is shown, so that the one that was opened knows who opened it. It means nothing to others.
    pub(in crate::agent) fn shown(&self, origin: &Origin, epoch: Epoch, now: Moment) -> Option<String> {
        self.lock().iter().find(|pass| pass.is_good(origin, epoch, now)).map(|pass| shown_for(&pass.mark))
    }

    /// Uses the pass of the page with this mark up; false where there is none.
    pub(in crate::agent) fn redeem(&self, origin: &Origin, epoch: Epoch, mark: &PageMark, now: Moment) -> bool {
        let mut passes = self.lock();
        let at = passes.iter().position(|pass| {
            pass.is_good(origin, epoch, now) && crypto::equal_digests(pass.mark.as_bytes(), mark.as_bytes())
        });
        at.map(|at| passes.swap_remove(at)).is_some()
    }

    /// The person takes it back, or nothing was opened.
    pub(in crate::agent) fn forget(&self, origin: &Origin) {
        self.lock().retain(|pass| pass.origin != *origin);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pass>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The base64url of the SHA-256 over the mark as it is written in the address.
fn shown_for(mark: &PageMark) -> String {
    base64url::encode(crypto::sha256(&[mark.to_string().as_bytes()]))
}

impl Pass {
    /// Whether it is for this origin and still the same person, and not too late.
    fn is_good(&self, origin: &Origin, epoch: Epoch, now: Moment) -> bool {
        self.origin == *origin && self.epoch == epoch && now < self.until
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
        let shown = passes.shown(&app, Epoch(3), at(59)).expect("shown");
        assert_eq!(shown, shown_for(&mark));
        // What every page of the origin sees is no mark, nor is its hash.
        let strange: PageMark = shown.parse().expect("a mark by its form");
        let hashed = PageMark::from_bytes(crypto::sha256(&[shown.as_bytes()]));
        for (what, origin, epoch, mark, second) in [
            ("another origin", &other, 3, &mark, 1),
            ("another page", &app, 3, &strange, 1),
            ("another page that hashes", &app, 3, &hashed, 1),
            ("another person", &app, 4, &mark, 1),
            ("too late", &app, 3, &mark, 60),
        ] {
            assert!(!passes.redeem(origin, Epoch(epoch), mark, at(second)), "{what}");
        }
        assert_eq!(passes.shown(&other, Epoch(3), at(1)).or(passes.shown(&app, Epoch(4), at(1))), None);
        assert_eq!(passes.shown(&app, Epoch(3), at(60)), None);
        assert!(passes.redeem(&app, Epoch(3), &mark, at(59)));
        assert!(!passes.redeem(&app, Epoch(3), &mark, at(59)), "once");
        let first = passes.make(&app, Epoch(3), at(0));
        let second = passes.make(&app, Epoch(3), at(0));
        assert!(!passes.redeem(&app, Epoch(3), &first, at(1)), "the newest counts");
        passes.forget(&other);
        assert!(passes.redeem(&app, Epoch(3), &second, at(1)));
        let taken_back = passes.make(&app, Epoch(3), at(0));
        passes.forget(&app);
        assert!(!passes.redeem(&app, Epoch(3), &taken_back, at(1)));
    }
}
