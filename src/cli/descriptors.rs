//! How many files and sockets the process may have open.

/// As many as a full house of connections takes, with room for the store and the log.
const WANTED: u64 = 17 * 1024;

/// Raises the soft limit to the hard one: most systems begin with 1024, which is a limit for programs of long ago.
pub(super) fn raise() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("the limit of open files stays as it is: {error}");
        }
        if let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < WANTED) {
            tracing::warn!(
                "the system allows {allowed} open files, and a full house takes {WANTED}: raise the hard limit \
                 (LimitNOFILE= in a systemd unit, ulimit -Hn in a shell)"
            );
        }
    }
}
