//! Organisations: accounts that an administrator can sign out together.

use serde::{Deserialize, Serialize};

use super::text::is_invisible;

/// The text is no organisation's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an organisation's name has 1 to 128 bytes, none of them invisible")]
pub struct BadOrganisationId;

/// The backend's name for an organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganisationId(String);

impl OrganisationId {
    /// Longest accepted length in bytes.
    pub const MAX_LEN: usize = 128;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrganisationId {
    type Error = BadOrganisationId;

    fn try_from(text: String) -> Result<Self, BadOrganisationId> {
        let sound = (1..=Self::MAX_LEN).contains(&text.len()) && !text.chars().any(is_invisible);
        sound.then_some(Self(text)).ok_or(BadOrganisationId)
    }
}

impl std::str::FromStr for OrganisationId {
    type Err = BadOrganisationId;

    fn from_str(text: &str) -> Result<Self, BadOrganisationId> {
        Self::try_from(text.to_owned())
    }
}

impl From<OrganisationId> for String {
    fn from(organisation: OrganisationId) -> Self {
        organisation.0
    }
}
