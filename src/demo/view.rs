//! What the simulated client's window shows.

use std::collections::VecDeque;

use serde::Serialize;

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
    SignedIn { name: &'static str },
    SignedOut,
    Locked,
    Away,
    Active,
    Asked { origin: String },
    Allowed,
    Denied,
    Withdrawn,
    Opened { title: String },
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
