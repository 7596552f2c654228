//! Identities: who a person is in the systems that connectors sign in with.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::AccountId;
use super::text::is_invisible;
use crate::protocol::time::Timestamp;

/// The text is no part of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// Not a connector's name.
    #[error("a connector's name has 1 to 32 characters: a-z, 0-9 and hyphens, first a letter")]
    Connector,
    /// Not a tenant.
    #[error("a tenant has at most 256 bytes, none of them invisible")]
    Tenant,
    /// Not an id.
    #[error("a person's id has 1 to 256 bytes, none of them invisible")]
    Id,
    /// Too many details, or one that is too long.
    #[error("the details of an identity are too many or too long")]
    Details,
}

/// The name of a connector, as its configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectorName(String);

impl ConnectorName {
    /// Longest accepted length in bytes.
    pub const MAX_LEN: usize = 32;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectorName {
    type Error = BadIdentity;

    fn try_from(text: String) -> Result<Self, BadIdentity> {
        let sound = text.len() <= Self::MAX_LEN
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        sound.then_some(Self(text)).ok_or(BadIdentity::Connector)
    }
}

impl std::str::FromStr for ConnectorName {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        Self::try_from(text.to_owned())
    }
}

impl From<ConnectorName> for String {
    fn from(name: ConnectorName) -> Self {
        name.0
    }
}

impl fmt::Display for ConnectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a person is elsewhere: the connector, the tenant there (an issuer, a company; empty where there is only one), and
/// the person's id in it. One account of the store has it at most. The id is compared as bytes, and shown nowhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    connector: ConnectorName,
    tenant: String,
    id: String,
}

impl Identity {
    /// Longest accepted tenant and id in bytes.
    pub const MAX_LEN: usize = 256;

    /// An identity of those parts.
    ///
    /// # Errors
    /// [`BadIdentity`] where the tenant or the id cannot be one.
    pub fn new(connector: ConnectorName, tenant: &str, id: &str) -> Result<Self, BadIdentity> {
        let sound = |text: &str| text.len() <= Self::MAX_LEN && !text.chars().any(is_invisible);
        if !sound(tenant) {
            return Err(BadIdentity::Tenant);
        }
        if id.is_empty() || !sound(id) {
            return Err(BadIdentity::Id);
        }
        Ok(Self { connector, tenant: tenant.to_owned(), id: id.to_owned() })
    }

    /// The connector.
    #[must_use]
    pub const fn connector(&self) -> &ConnectorName {
        &self.connector
    }

    /// The tenant; empty where the connector has only one.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The person's id there.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is written to the audit record: where, and never who.
    pub(super) fn detail(&self) -> String {
        let Self { connector, tenant, .. } = self;
        if tenant.is_empty() {
            format!("connector={connector}")
        } else {
            format!("connector={connector} tenant={tenant}")
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.detail())
    }
}

/// What the other system says of a person, as short texts by name: `name`, `email`, `job_number`. Shown nowhere by itself.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Details(BTreeMap<String, String>);

impl Details {
    /// How many there are at most.
    pub const MAX: usize = 16;
    /// Longest name in bytes.
    pub const NAME_MAX_LEN: usize = 32;
    /// Longest value in bytes.
    pub const VALUE_MAX_LEN: usize = 1024;

    /// Adds one, cleaned of what does not show, in the place of one of that name. What is empty, too long or one too many
    /// is left out: nobody is kept from signing in by it. Whether it is in.
    pub fn add(&mut self, name: &str, value: &str) -> bool {
        let visible: String = value.chars().filter(|c| !is_invisible(*c)).collect();
        let value = visible.trim();
        let room = self.0.len() < Self::MAX || self.0.contains_key(name);
        let fits = room && Self::is_sound(name, value);
        if fits {
            self.0.insert(name.to_owned(), value.to_owned());
        }
        fits
    }

    /// One by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn is_sound(name: &str, value: &str) -> bool {
        (1..=Self::NAME_MAX_LEN).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && (1..=Self::VALUE_MAX_LEN).contains(&value.len())
            && !value.chars().any(is_invisible)
    }

    /// As the engines keep it.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("texts by name are JSON")
    }
}

impl TryFrom<BTreeMap<String, String>> for Details {
    type Error = BadIdentity;

    fn try_from(details: BTreeMap<String, String>) -> Result<Self, BadIdentity> {
        let sound = details.len() <= Self::MAX && details.iter().all(|(name, value)| Self::is_sound(name, value));
        sound.then_some(Self(details)).ok_or(BadIdentity::Details)
    }
}

impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// An identity that is linked to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedIdentity {
    /// Who the person is elsewhere.
    pub identity: Identity,
    /// Whose it is here.
    pub account: AccountId,
    /// What was said there of the person last.
    pub details: Details,
    /// When it was linked first.
    pub linked_at: Timestamp,
}

/// Why an identity was not linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefusal {
    /// The identity is linked to another account; or, where an account should be made for it, that one is there already.
    #[error("the identity or the account is another person's")]
    Taken,
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::testing::parsed;

    #[test]
    fn a_connectors_name_is_short_and_plain() {
        for good in ["o", "oidc", "dingtalk-2", &"a".repeat(32)] {
            assert!(good.parse::<ConnectorName>().is_ok(), "{good}");
        }
        for bad in ["", "Oidc", "1a", "-a", "a b", "a:b", "a_b", "é", &"a".repeat(33)] {
            assert_eq!(bad.parse::<ConnectorName>(), Err(BadIdentity::Connector), "{bad}");
        }
    }

    #[test]
    fn an_identity_is_bounded_and_does_not_show_whose_it_is() {
        let new = |tenant: &str, id: &str| Identity::new(parsed("oidc"), tenant, id);
        assert_eq!(new("", "").err(), Some(BadIdentity::Id));
        assert_eq!(new("", &"a".repeat(257)).err(), Some(BadIdentity::Id));
        assert_eq!(new("", "a\u{200B}").err(), Some(BadIdentity::Id));
        assert_eq!(new(&"a".repeat(257), "a").err(), Some(BadIdentity::Tenant));
        assert_eq!(new("a\n", "a").err(), Some(BadIdentity::Tenant));
        assert!(new(&"a".repeat(256), &"a".repeat(256)).is_ok());
        let identity = new("https://login.example.com", "ada-47").expect("sound");
        assert_eq!(format!("{identity:?}"), "Identity(connector=oidc tenant=https://login.example.com)");
    }

    #[test]
    fn details_are_cleaned_and_bounded_and_do_not_show() {
        let mut details = Details::default();
        assert!(details.add("name", " Ada\u{202E} L.\n"));
        assert_eq!(details.get("name"), Some("Ada L."));
        for (name, value) in
            [("email", " "), ("Email", "x"), ("", "x"), (&"a".repeat(33), "x"), ("email", &"x".repeat(1025))]
        {
            assert!(!details.add(name, value), "{name}");
        }
        for n in 1..Details::MAX {
            assert!(details.add(&format!("n{n}"), &"x".repeat(1024)));
        }
        assert!(!details.add("one_more", "x"));
        assert!(details.add("name", "Lin"), "in the place of the one that is there");
        assert!(!format!("{details:?}").contains("Lin"));
        assert_eq!(serde_json::from_str::<Details>(&details.to_json()).expect("read back"), details);
        let longer = format!(r#"{{"a":"{}"}}"#, "x".repeat(1025));
        assert!(serde_json::from_str::<Details>(&longer).is_err(), "a damaged store");
    }
}
