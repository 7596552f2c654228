//! What the simulated client does for pages: it opens a document and plays music. Pages learn of the music as it changes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is playing when nobody has chosen.
const TRACKS: [&str; 3] = ["Low Water", "The Lamp Room", "Morning Ferry"];

/// The actions that the client registers: name and JSON Schema of the parameters.
pub(super) fn actions() -> [(&'static str, Value); 2] {
    let title = json!({ "type": "string", "minLength": 1, "maxLength": 100 });
    let command = json!({ "enum": ["play", "pause", "next"] });
    [("open", only("title", &title)), ("player", only("command", &command))]
}

fn only(member: &str, schema: &Value) -> Value {
    json!({ "type": "object", "properties": { member: schema }, "required": [member], "additionalProperties": false })
}

/// The music player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Player {
    playing: bool,
    title: &'static str,
    #[serde(skip)]
    track: usize,
}

/// What the player can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Command {
    Play,
    Pause,
    Next,
}

impl Player {
    pub(super) const fn new() -> Self {
        Self { playing: false, title: TRACKS[0], track: 0 }
    }

    pub(super) const fn obey(&mut self, command: Command) {
        match command {
            Command::Play => self.playing = true,
            Command::Pause => self.playing = false,
            Command::Next => {
                self.track = (self.track + 1) % TRACKS.len();
                self.title = TRACKS[self.track];
                self.playing = true;
            }
        }
    }
}
