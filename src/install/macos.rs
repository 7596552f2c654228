//! macOS: a launch agent that starts the agent at login, and an application bundle that opens `loopkey:`, which a bundle
//! alone can do. Written and compiled, never run.
//!
//! The address comes to a bundle as an Apple event, not as an argument. It is not even read: the bundle's program wakes
//! the agent whatever the address says, and there is nothing else that it could say.

use std::path::Path;

use super::plan::{Entry, Plan, words};
use super::record::StartsBy;
use super::{Homes, Registration};
use crate::protocol::metadata::{WAKE_LINK, WAKE_SCHEME};

const LABEL: &str = "loopkey.agent";
const REGISTER: &str =
    "/System/Library/Frameworks/CoreServices.framework/Frameworks/LaunchServices.framework/Support/lsregister";

/// What is registered on macOS, for the user with this number.
#[must_use]
pub fn plan(registration: &Registration, homes: &Homes, user: u32) -> Plan {
    let Registration { program, config, .. } = registration;
    let launch_agent = homes.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"));
    let bundle = homes.home.join("Applications/Loopkey Wake.app");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (domain, agent, app) = (format!("gui/{user}"), text(&launch_agent), text(&bundle));
    let commands = vec![words(["launchctl", "bootstrap", &domain, &agent]), words([REGISTER, "-f", &app])];
    let undo = vec![words(["launchctl", "bootout", &format!("{domain}/{LABEL}")]), words([REGISTER, "-u", &app])];
    let entries = vec![
        Entry::file(launch_agent, launch_agent_plist(program, config)),
        Entry::file(bundle.join("Contents/Info.plist"), info_plist()),
        Entry::File { path: bundle.join("Contents/MacOS/loopkey-wake"), content: waker(program), executable: true },
    ];
    Plan { starts_by: StartsBy::Launchd, entries, default: None, commands, undo, undone: Vec::new(), notes: Vec::new() }
}

/// launchd.plist(5): started at login, and again after a crash.
fn launch_agent_plist(program: &str, config: &str) -> String {
    let argument = |word: &str| format!("    <string>{}</string>\n", escaped(word));
    let arguments: String = [program, "agent", "--config", config].map(argument).concat();
    plist(&format!(
        "  <key>Label</key>\n  <string>{LABEL}</string>\n\
         \x20 <key>ProgramArguments</key>\n  <array>\n{arguments}  </array>\n\
         \x20 <key>RunAtLoad</key>\n  <true/>\n\
         \x20 <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n\
         \x20 <key>ProcessType</key>\n  <string>Background</string>\n"
    ))
}

/// The bundle: a program without a window that opens one scheme.
fn info_plist() -> String {
    plist(&format!(
        "  <key>CFBundleIdentifier</key>\n  <string>loopkey.wake</string>\n\
         \x20 <key>CFBundleName</key>\n  <string>Loopkey</string>\n\
         \x20 <key>CFBundlePackageType</key>\n  <string>APPL</string>\n\
         \x20 <key>CFBundleExecutable</key>\n  <string>loopkey-wake</string>\n\
         \x20 <key>LSUIElement</key>\n  <true/>\n\
         \x20 <key>CFBundleURLTypes</key>\n  <array>\n    <dict>\n\
         \x20     <key>CFBundleURLName</key>\n      <string>Loopkey</string>\n\
         \x20     <key>CFBundleTypeRole</key>\n      <string>Viewer</string>\n\
         \x20     <key>CFBundleURLSchemes</key>\n      <array>\n        <string>{WAKE_SCHEME}</string>\n      </array>\n\
         \x20   </dict>\n  </array>\n"
    ))
}

/// The bundle's program. Nothing of the address is in it.
fn waker(program: &str) -> String {
    format!("#!/bin/sh\nexec '{}' open-url -- {WAKE_LINK}\n", program.replace('\'', r"'\''"))
}

fn plist(members: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n{members}</dict>\n</plist>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
