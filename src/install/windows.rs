//! Windows: keys of the person's own registry, by `reg.exe`, which every Windows has. Written and compiled, never run.

use super::Registration;
use super::plan::{Plan, words};
use super::record::StartsBy;

const SCHEME: &str = r"HKCU\Software\Classes\loopkey";
const COMMAND: &str = r"HKCU\Software\Classes\loopkey\shell\open\command";
const RUN: &str = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run";
const NAME: &str = "Loopkey";

/// What is registered on Windows: no file, four values.
#[must_use]
pub fn plan(registration: &Registration) -> Plan {
    // A path of Windows has no quote in it.
    let program = format!("\"{}\"", registration.program);
    let text = |key: &str, name: &str, data: &str| {
        words(["reg.exe", "add", key, "/v", name, "/t", "REG_SZ", "/d", data, "/f"])
    };
    let default = |key: &str, data: &str| words(["reg.exe", "add", key, "/ve", "/t", "REG_SZ", "/d", data, "/f"]);
    let commands = vec![
        default(SCHEME, "URL:Loopkey"),
        text(SCHEME, "URL Protocol", ""),
        // Behind `--` the address can be no option, whatever quotes a browser let through.
        default(COMMAND, &format!("{program} open-url -- \"%1\"")),
        text(RUN, NAME, &format!("{program} agent --config \"{}\"", registration.config)),
    ];
    let undo = vec![words(["reg.exe", "delete", SCHEME, "/f"]), words(["reg.exe", "delete", RUN, "/v", NAME, "/f"])];
    let notes = vec!["the agent opens a console window of its own at login".to_owned()];
    Plan { starts_by: StartsBy::RunKey, entries: Vec::new(), default: None, commands, undo, undone: Vec::new(), notes }
}
