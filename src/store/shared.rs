//! Stores that several replicas share: where they are, and what is promised of them.

use std::fmt;
use std::path::PathBuf;

use crate::crypto::Secret;

/// Shortest accepted sealing secret in bytes.
pub const SEALING_SECRET_MIN_LEN: usize = 32;

/// A shared store: Redis or PostgreSQL.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Its address.
    pub address: Address,
    /// What is promised of it, and what is needed to use it.
    pub options: SharedOptions,
}

/// What the address alone does not say.
#[derive(Debug, Clone, Default)]
pub struct SharedOptions {
    /// Seals the challenge keys in the store: the same on every replica, and not in the store.
    pub sealing_secret: Option<Secret<String>>,
    /// The password, where it does not stand in the address.
    pub password: Option<Secret<String>>,
    /// An extra root certificate for TLS to the store, in PEM.
    pub ca_file: Option<PathBuf>,
    /// How many replicas of the store must have a write before it is acknowledged. A store that cannot is refused at the
    /// start.
    pub replicas: u8,
}

/// The address of a shared store, as a URL. It may hold a password, so it shows its scheme and host alone.
#[derive(Clone)]
pub struct Address(Secret<String>);

impl Address {
    pub(super) fn new(url: String) -> Self {
        Self(Secret::new(url))
    }

    /// The whole address.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.expose().split_once("://").unwrap_or_default();
        if hides_its_host(rest) {
            return write!(f, "{scheme}://…");
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}")
    }
}

/// Whether a `/`, `?` or `#` stands before an `@`: some readers take it for a part of the password, others for the end of
/// the host, and nobody must be shown what it may be.
pub(super) fn hides_its_host(rest: &str) -> bool {
    rest.split_once(['/', '?', '#']).is_some_and(|(_, after)| after.contains('@'))
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl PartialEq for Shared {
    /// Addresses are compared for tests and reloads; secrets are not.
    fn eq(&self, other: &Self) -> bool {
        self.address.expose() == other.address.expose()
            && self.options.ca_file == other.options.ca_file
            && self.options.replicas == other.options.replicas
    }
}

impl Eq for Shared {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        for (url, shown) in [
            ("postgres://loopkey:hunter2@db.internal:5432/loopkey?sslmode=require", "postgres://db.internal:5432"),
            ("redis://:hunter2@[::1]:6379/0", "redis://[::1]:6379"),
            ("rediss://cache", "rediss://cache"),
            ("postgres://a@hunter2:hunter2@db/x", "postgres://db"),
            ("redis://:hunter2/hunter2@host/0", "redis://…"),
            ("postgres://u:hunter2?x@host/0", "postgres://…"),
            ("postgres://host/db?password=a@hunter2", "postgres://…"),
        ] {
            let address = Address::new(url.to_owned());
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("hunter2"));
            assert_eq!(address.expose(), url);
        }
    }
}
