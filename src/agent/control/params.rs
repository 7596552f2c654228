//! What the methods of the control socket take. Unknown members are errors: a client that misspells one learns it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::rpc::RpcError;
use crate::protocol::grant::Choice;
use crate::protocol::state::PresenceState;

/// Reads a method's parameters; none are the same as an empty object.
pub(super) fn read<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    let params = if params.is_null() { json!({}) } else { params };
    if !params.is_object() {
        return Err(RpcError::invalid_params("params is an object"));
    }
    serde_json::from_value(params).map_err(RpcError::invalid_params)
}

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
    pub(super) account: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetPresence {
    #[serde(default)]
    pub(super) account: Option<String>,
    pub(super) presence: PresenceState,
    #[serde(default)]
    pub(super) profile: Option<Profile>,
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
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChoiceWord {
    /// As configured.
    Default,
    Prompt,
    Always,
    Blocked,
}

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
    #[serde(default = "some_lines")]
    pub(super) count: usize,
}

const fn some_lines() -> usize {
    100
}
