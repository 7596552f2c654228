//! Accounts: people as the application's own backend names them, and as this issuer does.

use serde::{Deserialize, Serialize};

use super::text::is_invisible;
use super::{Avatar, DisplayName, Generation, OrganisationId};
use crate::protocol::id::Subject;
use crate::protocol::statement::UserVerification;

/// The text is no account identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account identifier has 1 to 256 bytes, none of them invisible")]
pub struct BadAccountId;

/// The identifier that the application's own backend uses for a person. Never in a signed statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// Longest accepted length in bytes.
    pub const MAX_LEN: usize = 256;

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountId {
    type Error = BadAccountId;

    fn try_from(text: String) -> Result<Self, BadAccountId> {
        let sound = (1..=Self::MAX_LEN).contains(&text.len()) && !text.chars().any(is_invisible);
        sound.then_some(Self(text)).ok_or(BadAccountId)
    }
}

impl std::str::FromStr for AccountId {
    type Err = BadAccountId;

    fn from_str(text: &str) -> Result<Self, BadAccountId> {
        Self::try_from(text.to_owned())
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl std::fmt::Display for AccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the application's backend says of an account when it asks for a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The backend's name for the account.
    pub account: AccountId,
    /// Shown to the person.
    pub name: DisplayName,
    /// Shown to the person.
    pub avatar: Option<Avatar>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the backend said last.
    pub profile: Profile,
    /// What signed statements call it: 128 random bits, drawn when the account was made.
    pub subject: Subject,
    /// Whether it may not sign in at present.
    pub disabled: bool,
    /// The weakest verification of the person that is accepted.
    pub minimum_uv: UserVerification,
    /// The organisation that it was put in.
    pub organisation: Option<OrganisationId>,
    /// How often it was signed out everywhere.
    pub generation: Generation,
}

/// What an administrator changes about an account; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Shown to the person.
    pub name: Option<DisplayName>,
    /// Shown to the person; `Some(None)` takes the picture away.
    pub avatar: Option<Option<Avatar>>,
    /// The organisation to put it in; `Some(None)` takes it out of the one that it is in.
    pub organisation: Option<Option<OrganisationId>>,
    /// Whether it may not sign in.
    pub disabled: Option<bool>,
    /// The weakest verification of the person that is accepted.
    pub minimum_uv: Option<UserVerification>,
}

impl AccountChange {
    /// What is written to the audit record: what was changed, without anybody's name or picture.
    pub(super) fn detail(&self) -> String {
        let mut detail = Vec::new();
        detail.extend(self.name.as_ref().map(|_| "name".to_owned()));
        detail.extend(self.avatar.as_ref().map(|_| "avatar".to_owned()));
        detail.extend(self.organisation.as_ref().map(|organisation| match organisation {
            Some(organisation) => format!("organisation={}", organisation.as_str()),
            None => "organisation=none".to_owned(),
        }));
        detail.extend(self.disabled.map(|disabled| format!("disabled={disabled}")));
        detail.extend(self.minimum_uv.map(|uv| format!("minimum_uv={uv:?}")));
        detail.join(" ")
    }
}
