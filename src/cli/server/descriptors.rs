//! How many files and sockets the process may have open.

use crate::login::RateLimits;

/// For the store, the log and the listener.
const OTHERS: u64 = 512;

/// Raises the soft limit to the hard one: most systems begin with 1024, which is a limit for programs of long ago. Says so
/// where that does not do for a full house of connections and links.
pub(super) fn raise(limits: &RateLimits, development: bool) {
    let wanted = u64::from(limits.connections) + u64::from(limits.links) + OTHERS;
    #[cfg(not(unix))]
    let _ = (wanted, development);
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("the limit of open files stays as it is: {error}");
        }
        if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
            let said = format!(
                "the system allows {allowed} open files, and a full house takes {wanted}: raise the hard limit \
                 (LimitNOFILE= in a systemd unit, ulimit -Hn in a shell)"
            );
            // On a developer's own computer nobody fills the house.
            if development { tracing::debug!("{said}") } else { tracing::warn!("{said}") }
        }
    }
}
