//! What the methods of the control socket take. Unknown members are errors: a client that misspells one learns it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::grant::Choice;
use crate::protocol::id::Subject;
use crate::protocol::json;
use crate::protocol::state::PresenceState;

/// An object, and not the array of its members that a derived reader would also take.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
pub(super) struct Object<T>(#[serde(deserialize_with = "json::object")] pub(super) T);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub(super) name: String,
    pub(super) version: String,
    /// Whether this client can ask the person.
    #[serde(default = "yes")]
    pub(super) consent: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrol {
    pub(super) issuer: String,
    pub(super) ticket: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    /// Left out: the one that is signed in, or the only one.
    #[serde(default)]
    pub(super) account: Option<Subject>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetPresence {
    #[serde(default)]
    pub(super) account: Option<Subject>,
    pub(super) presence: PresenceState,
    #[serde(default)]
    pub(super) profile: Option<Object<Profile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) avatar: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    pub(super) origin: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetGrant {
    pub(super) origin: String,
    pub(super) consent: ChoiceWord,
}

/// What a person can choose for an origin.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", remote = "Self")]
pub(super) enum ChoiceWord {
    /// As configured.
    Default,
    Prompt,
    Always,
    Blocked,
}

json::words_only!(ChoiceWord);

impl From<ChoiceWord> for Option<Choice> {
    fn from(word: ChoiceWord) -> Self {
        match word {
            ChoiceWord::Default => None,
            ChoiceWord::Prompt => Some(Choice::Prompt),
            ChoiceWord::Always => Some(Choice::Always),
            ChoiceWord::Blocked => Some(Choice::Blocked),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    pub(super) name: String,
    #[serde(deserialize_with = "json::without_duplicates")]
    pub(super) schema: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionName {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    pub(super) name: String,
    #[serde(deserialize_with = "json::without_duplicates")]
    pub(super) value: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    pub(super) url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tail {
    /// How many of the newest lines.
    #[serde(default)]
    pub(super) count: Count,
}

/// A number of lines of the audit log: as many as go into one line of the control socket.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
pub(super) struct Count(u16);

impl Count {
    const MAX: u16 = 300;
}

impl Default for Count {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u16> for Count {
    type Error = String;

    fn try_from(count: u16) -> Result<Self, String> {
        let too_many =
            || format!("{} lines at most; `loopkey log --config FILE` reads the files themselves", Self::MAX);
        (count <= Self::MAX).then_some(Self(count)).ok_or_else(too_many)
    }
}

impl From<Count> for usize {
    fn from(count: Count) -> Self {
        count.0.into()
    }
}
