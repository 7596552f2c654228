//! What the simulated client's window shows.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use super::desk::Player;
use super::people::PEOPLE;
use crate::protocol::state::PresenceState;
use crate::protocol::time::UnixMillis;

/// Events that the window lists.
const LOG_LEN: usize = 30;

/// Everything that the window shows, sent whole on each change.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) agent: AgentState,
    people: Vec<PersonView>,
    pub(super) person: Option<&'static str>,
    pub(super) presence: PresenceState,
    pub(super) prompt: Option<PromptView>,
    pub(super) sockets: u64,
    pub(super) player: Player,
    /// The document that a page had the client open.
    pub(super) document: Option<String>,
    log: VecDeque<LogLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AgentState {
    Running,
    Stopped,
}

#[derive(Debug, Clone, Serialize)]
struct PersonView {
    id: &'static str,
    name: &'static str,
    avatar: String,
}

/// An open prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PromptView {
    pub(super) id: u64,
    pub(super) origin: String,
    pub(super) account: String,
    pub(super) code: String,
    pub(super) browser: Option<String>,
    /// Whether the window offers to remember the answer.
    can_remember: bool,
    /// Whether another browser asks, whose digits are to be typed.
    pub(super) asks_digits: bool,
}

impl PromptView {
    /// What the agent's `consent.request` says, or its `approval.request`, which has no digits.
    pub(super) fn of(id: u64, params: &Value) -> Self {
        let text = |member: &str| params[member].as_str().unwrap_or_default().to_owned();
        Self {
            id,
            origin: text("origin"),
            account: text("name"),
            code: text("code"),
            browser: params["peer"]["browser"].as_str().map(str::to_owned),
            can_remember: params["can_remember"].as_bool().unwrap_or_default(),
            asks_digits: params["code"].is_null(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct LogLine {
    at: UnixMillis,
    #[serde(flatten)]
    event: Event,
}

/// What happened. The window has the words for it, in each of its languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    AgentRunning,
    AgentStopped,
    SignedIn {
        name: &'static str,
    },
    SignedOut,
    /// By the login server.
    SignedOutThere,
    Locked,
    Away,
    Active,
    Asked {
        origin: String,
    },
    Allowed,
    AllowedForGood,
    Denied,
    Withdrawn,
    Opened {
        title: String,
    },
    Played,
    Paused,
    WebOpened,
}

impl View {
    pub(super) fn new() -> Self {
        let people = PEOPLE.iter().map(|person| PersonView {
            id: person.id,
            name: person.name,
            avatar: format!("/avatars/{}.png", person.id),
        });
        Self {
            agent: AgentState::Stopped,
            people: people.collect(),
            person: None,
            presence: PresenceState::SignedOut,
            prompt: None,
            sockets: 0,
            player: Player::new(),
            document: None,
            log: VecDeque::new(),
        }
    }

    pub(super) fn note(&mut self, at: UnixMillis, event: Event) {
        if self.log.len() == LOG_LEN {
            self.log.pop_front();
        }
        self.log.push_back(LogLine { at, event });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_window_offers_to_remember_only_what_the_agent_remembers() {
        let request = |can_remember: Value| {
            json!({
                "origin": "https://app.example.com", "account": "u7", "name": "Ada", "code": "47",
                "peer": { "browser": "Firefox" }, "can_remember": can_remember,
            })
        };
        let shown = |can_remember| serde_json::to_value(PromptView::of(7, &request(can_remember))).expect("JSON");
        let expected = json!({
            "id": 7, "origin": "https://app.example.com", "account": "Ada", "code": "47", "browser": "Firefox",
            "can_remember": true, "asks_digits": false,
        });
        assert_eq!(shown(json!(true)), expected);
        for no in [json!(false), json!(null)] {
            assert_eq!(shown(no)["can_remember"], false);
        }
    }
}
