//! Whether any browser of this person knows the authority of the TLS port.

use std::path::Path;

use crate::agent::{Finding, WssFiles, examine_wss};
use crate::certs::{Certs, Store};
use crate::clock::{Clock as _, SystemClock};
use crate::install::Homes;

/// The certificate itself, where no agent looks at it.
pub(super) fn certificate(state_dir: &Path) -> Option<Finding> {
    examine_wss(&WssFiles::of(state_dir), SystemClock.wall())
}

/// Who knows the authority. Nothing where there is none, or the stores cannot be asked.
pub(super) fn known(state_dir: &Path) -> Option<Finding> {
    let certs = Certs { files: WssFiles::of(state_dir), homes: Homes::of_this_user().ok()? };
    let outlook = certs.status(SystemClock.wall()).ok()?;
    let is_known = |store: fn(&Store) -> bool| {
        outlook.stores.iter().any(|known| known.knows != Some(false) && store(&known.store))
    };
    if !is_known(|_| true) {
        let what = "no browser of this person knows the authority of the TLS port, so none can reach the agent there";
        return Some(Finding::warning(
            "wss_unknown",
            what,
            "run `loopkey certs install`; `loopkey certs` says for whom",
        ));
    }
    let is_unknown_to_system = !is_known(|store| matches!(store, Store::System(_)));
    is_unknown_to_system.then(|| {
        Finding::note(
            "wss_unknown_to_system",
            "this system's own store does not know the authority of the TLS port: WebKit's browsers look nowhere else",
            "where such browsers are used, run `loopkey certs install --system`; if not, nothing is to be done",
        )
    })
}
