//! What an origin may ask for.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json;

/// One thing that an origin may ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// To know the state, and have it proved.
    Presence,
    /// To get login tokens.
    Login,
    /// To invoke the client's action of that name.
    Action(String),
}

/// The text names no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grant is \"presence\", \"login\" or \"action:NAME\" (NAME: up to 64 letters, digits, - . _)")]
pub struct BadGrant;

impl std::str::FromStr for Grant {
    type Err = BadGrant;

    fn from_str(text: &str) -> Result<Self, BadGrant> {
        match text {
            "presence" => Ok(Self::Presence),
            "login" => Ok(Self::Login),
            other => match other.strip_prefix("action:") {
                Some(name) if is_action_name(name) => Ok(Self::Action(name.to_owned())),
                _ => Err(BadGrant),
            },
        }
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Presence => f.write_str("presence"),
            Self::Login => f.write_str("login"),
            Self::Action(name) => write!(f, "action:{name}"),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::from_text(deserializer)
    }
}

/// Whether the text can name an action: 1 to 64 letters, digits, hyphens, dots or underscores.
#[must_use]
pub fn is_action_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// What one origin may ask for. Cheap to clone: every socket of the origin has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants(Arc<BTreeSet<Grant>>);

impl Grants {
    /// Whether the grant is among them.
    #[must_use]
    pub fn has(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }

    /// Whether the action of that name is among them.
    #[must_use]
    pub fn has_action(&self, name: &str) -> bool {
        self.0.iter().any(|grant| matches!(grant, Grant::Action(granted) if granted == name))
    }

    /// What both name.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        self.0.intersection(&others.0).cloned().collect()
    }

    /// What is left of them for a page that gave no challenge: the state, unproved, at most.
    #[must_use]
    pub fn without_challenge(&self) -> Self {
        self.0.iter().filter(|grant| **grant == Grant::Presence).cloned().collect()
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeSet::deserialize(deserializer).map(|grants| Self(Arc::new(grants)))
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(Arc::new(grants.into_iter().collect()))
    }
}

/// How the person is asked before a login token is signed for an origin (protocol section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsentMode {
    /// By the click in the page: for origins that the administrator or the embedding application trusts.
    Page,
    /// In a prompt the first time, and not again where the person says so.
    #[default]
    Prompt,
    /// In a prompt each time.
    Always,
}

/// What the person chose for an origin. It narrows what is configured, and never widens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// To be asked in a prompt the first time.
    Prompt,
    /// To be asked in a prompt each time.
    Always,
    /// That its pages do not reach the agent.
    Blocked,
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prompt => "prompt",
            Self::Always => "always",
            Self::Blocked => "blocked",
        })
    }
}

impl ConsentMode {
    /// The stricter of what is configured and what the person chose.
    #[must_use]
    pub fn narrowed(self, choice: Option<Choice>) -> Self {
        match choice {
            None => self,
            Some(Choice::Prompt) => self.max(Self::Prompt),
            Some(Choice::Always | Choice::Blocked) => Self::Always,
        }
    }
}

/// What a page must show to open a socket (protocol section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenProof {
    /// A challenge of its issuer.
    #[default]
    Challenge,
    /// Its origin will do, for the unproved state only.
    Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_one_of_three_kinds() {
        let longest = format!("action:{}", "a".repeat(64));
        for text in ["presence", "login", "action:open", "action:a-b.C_9", &longest] {
            assert_eq!(text.parse::<Grant>().map(|grant| grant.to_string()).as_deref(), Ok(text));
        }
        let too_long = format!("{longest}a");
        for text in ["", "Presence", "login ", "action", "action:", "action:a b", "action:a/b", "action:ä", &too_long]
        {
            assert_eq!(text.parse::<Grant>(), Err(BadGrant), "{text:?}");
        }
    }

    #[test]
    fn a_choice_narrows_and_never_widens() {
        use ConsentMode::{Always, Page, Prompt};
        assert_eq!([Page, Prompt, Always].map(|mode| mode.narrowed(None)), [Page, Prompt, Always]);
        assert_eq!([Page, Prompt, Always].map(|mode| mode.narrowed(Some(Choice::Prompt))), [Prompt, Prompt, Always]);
        for choice in [Choice::Always, Choice::Blocked] {
            assert_eq!([Page, Prompt, Always].map(|mode| mode.narrowed(Some(choice))), [Always; 3]);
        }
        for choice in [Choice::Prompt, Choice::Always, Choice::Blocked] {
            assert_eq!(serde_json::to_value(choice).expect("JSON"), choice.to_string());
        }
    }

    #[test]
    fn what_both_name_is_what_is_left() {
        let some = Grants::from_iter([Grant::Presence, Grant::Login, Grant::Action("open".into())]);
        let others = Grants::from_iter([Grant::Login, Grant::Action("close".into())]);
        assert_eq!(some.and(&others), Grants::from_iter([Grant::Login]));
        assert_eq!(some.and(&Grants::default()), Grants::default());
    }

    #[test]
    fn an_origin_has_what_was_granted_and_less_without_a_challenge() {
        let grants = Grants::from_iter([Grant::Presence, Grant::Login, Grant::Action("open".into())]);
        assert!(grants.has(&Grant::Login) && grants.has_action("open"));
        assert!(!grants.has(&Grant::Action("close".into())) && !grants.has_action("close"));
        assert!(!grants.has_action("login"), "a grant is no action");
        assert_eq!(grants.without_challenge(), Grants::from_iter([Grant::Presence]));
    }
}
