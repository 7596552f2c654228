//! How many files and sockets the process may have open.

use crate::login::serve::MAX_CONNECTIONS;

/// For the store, the log and the listener.
const OTHERS: u64 = 512;

/// Raises the soft limit to the hard one: most systems begin with 1024, which is a limit for programs of long ago. Says so
/// where that does not do for a full house of connections and links.
pub(super) fn raise(links: u32) {
    let wanted = MAX_CONNECTIONS as u64 + u64::from(links) + OTHERS;
    #[cfg(not(unix))]
    let _ = wanted;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("the limit of open files stays as it is: {error}");
        }
        if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < wanted) {
            tracing::warn!(
                "the system allows {allowed} open files, and a full house takes {wanted}: raise the hard limit \
                 (LimitNOFILE= in a systemd unit, ulimit -Hn in a shell)"
            );
        }
    }
}
