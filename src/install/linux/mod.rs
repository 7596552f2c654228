//! Linux: a desktop entry that opens `loopkey:`, a place in the person's list of default programs, and a start at login
//! by the person's systemd, or by the desktop's session where systemd does not run for this user.

mod desktop_entry;
pub(super) mod mime_apps;
mod systemd;

use std::path::{Path, PathBuf};

use super::plan::{DefaultProgram, Entry, Plan, words};
use super::record::StartsBy;
use super::{Homes, Registration};

/// The unit that runs the agent.
pub const SERVICE: &str = "loopkey-agent.service";
/// The unit that holds its port.
pub const SOCKET: &str = "loopkey-agent.socket";
const WAKE_ENTRY: &str = "loopkey-wake.desktop";
const SESSION_ENTRY: &str = "loopkey-agent.desktop";

/// What is registered on Linux.
#[must_use]
pub fn plan(registration: &Registration, homes: &Homes, starts_by: StartsBy) -> Plan {
    let mut entries = Vec::new();
    let mut notes = Vec::new();
    let program = runnable(&registration.program, homes, &mut entries, &mut notes);
    entries.push(Entry::file(homes.data.join("applications").join(WAKE_ENTRY), desktop_entry::wake(&program)));
    let (mut commands, mut undo) = (Vec::new(), Vec::new());
    if starts_by == StartsBy::Systemd {
        let folder = homes.config.join("systemd").join("user");
        let unit = |name: &str, content| Entry::file(folder.join(name), content);
        // What `systemctl enable` would make.
        let wanted = |by: &str, name: &str| Entry::Link { path: folder.join(by).join(name), target: folder.join(name) };
        entries.extend([
            unit(SERVICE, systemd::service(&program, &registration.config)),
            unit(SOCKET, systemd::socket(registration.port)),
            wanted("graphical-session.target.wants", SERVICE),
            wanted("sockets.target.wants", SOCKET),
        ]);
        commands.push(words(["systemctl", "--user", "daemon-reload"]));
        undo.push(words(["systemctl", "--user", "stop", SOCKET]));
    } else {
        let path = homes.config.join("autostart").join(SESSION_ENTRY);
        entries.push(Entry::file(path, desktop_entry::autostart(&program, &registration.config)));
    }
    let list = homes.config.join("mimeapps.list");
    let default = Some(DefaultProgram { list, kind: desktop_entry::KIND, program: WAKE_ENTRY });
    let undone = commands.clone();
    Plan { starts_by, entries, default, commands, undo, undone, notes }
}

/// A name of the program that everybody can run. `xdg-open` by itself (where no desktop that it knows brings its own
/// opener) takes the quotes of a quoted program for letters of its name; `gio` splits an unquoted one at its blanks, and
/// looks for one with `%%` in its name. So a path that needs quotes gets a link at one that needs none.
fn runnable(program: &str, homes: &Homes, entries: &mut Vec<Entry>, notes: &mut Vec<String>) -> String {
    if desktop_entry::is_plain(program) {
        return program.to_owned();
    }
    let link: PathBuf = homes.data.join("loopkey").join("bin").join("loopkey");
    match link.to_str() {
        Some(name) if desktop_entry::is_plain(name) => {
            let name = name.to_owned();
            entries.push(Entry::Link { path: link, target: Path::new(program).to_owned() });
            name
        }
        _ => {
            notes.push(format!(
                "the path {program:?} needs quotes, and so does every place in this home: most desktops can run it from an \
                 address, xdg-open alone cannot; move the program to a path of letters, digits and / . _ - only"
            ));
            program.to_owned()
        }
    }
}
