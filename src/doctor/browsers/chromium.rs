//! Chromium and its kin: content settings in each profile's `Preferences`, and managed policies.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{folders, json, name_of, pattern};
use crate::agent::Finding;
use crate::protocol::origin::Origin;

/// The settings that keep pages from loopback: today's name, and the one before Chromium 145.
const SETTINGS: [&str; 2] = ["loopback_network", "local_network_access"];
/// The value that a person or an ignored question leaves behind (1 is allowed, 3 ask).
const BLOCKED: i64 = 2;
/// The policies that keep pages from loopback.
const BLOCKING_POLICIES: [&str; 2] = ["LoopbackNetworkBlockedForUrls", "LocalNetworkAccessBlockedForUrls"];
/// Where administrators put policies.
pub(super) const POLICIES: [&str; 4] = [
    "/etc/chromium/policies/managed",
    "/etc/opt/chrome/policies/managed",
    "/etc/brave/policies/managed",
    "/etc/opt/edge/policies/managed",
];

/// Each browser's name, and its folder below the platform's folder for settings on Linux, macOS and Windows.
const FOLDERS: [(&str, &str, &str, &str); 5] = [
    ("Chromium", "chromium", "Chromium", r"Chromium\User Data"),
    ("Google Chrome", "google-chrome", "Google/Chrome", r"Google\Chrome\User Data"),
    ("Brave", "BraveSoftware/Brave-Browser", "BraveSoftware/Brave-Browser", r"BraveSoftware\Brave-Browser\User Data"),
    ("Microsoft Edge", "microsoft-edge", "Microsoft Edge", r"Microsoft\Edge\User Data"),
    ("Vivaldi", "vivaldi", "Vivaldi", r"Vivaldi\User Data"),
];

pub(super) fn profiles_of(home: &Path, config: &Path, local: &Path) -> Vec<(&'static str, PathBuf)> {
    let usual = FOLDERS.iter().map(|(name, linux, macos, windows)| {
        let folder = match std::env::consts::OS {
            "windows" => local.join(windows),
            "macos" => config.join(macos),
            _ => config.join(linux),
        };
        (*name, folder)
    });
    // As the two common packagings keep it.
    let packaged = ["snap/chromium/common/chromium", ".var/app/org.chromium.Chromium/config/chromium"];
    usual.chain(packaged.iter().map(|folder| ("Chromium", home.join(folder)))).collect()
}

/// One profile of a browser.
pub(super) struct Profile {
    pub(super) name: String,
    preferences: Value,
}

/// The profiles in a browser's folder.
pub(super) fn profiles(folder: &Path) -> Vec<Profile> {
    let read =
        |folder: &PathBuf| Some(Profile { name: name_of(folder), preferences: json(&folder.join("Preferences"))? });
    folders(folder).iter().filter_map(read).collect()
}

/// The origins whose pages are kept away in a profile.
pub(super) fn denied<'o>(profile: &Profile, origins: &'o [Origin]) -> Vec<&'o Origin> {
    let settings = &profile.preferences["profile"];
    let setting = |name: &str, origin: &Origin| {
        let exceptions = settings["content_settings"]["exceptions"][name].as_object();
        let fitting = exceptions.into_iter().flatten().filter_map(|(patterns, value)| {
            let close = pattern::closeness(patterns.split(',').next().unwrap_or_default(), origin)?;
            Some((close, value["setting"].as_i64()?))
        });
        let closest = fitting.max_by_key(|(close, _)| *close).map(|(_, setting)| setting);
        closest.or_else(|| settings["default_content_setting_values"][name].as_i64())
    };
    // Today's name decides where it is there.
    let decision = |origin: &Origin| SETTINGS.iter().find_map(|name| setting(name, origin));
    origins.iter().filter(|origin| decision(origin) == Some(BLOCKED)).collect()
}

/// What an administrator's policies in a folder keep away.
pub(super) fn blocked_by_policy(folder: &Path, origins: &[Origin]) -> Vec<Finding> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    let mut findings = Vec::new();
    for file in files {
        let Some(policies) = json(&file) else { continue };
        for (policy, origin) in
            BLOCKING_POLICIES.iter().flat_map(|policy| origins.iter().map(move |origin| (*policy, origin)))
        {
            let patterns = policies[policy].as_array().into_iter().flatten().filter_map(Value::as_str);
            if patterns.into_iter().any(|pattern| pattern::closeness(pattern, origin).is_some()) {
                let shown = file.display();
                findings.push(
                    Finding::error(
                        "browser_policy",
                        format!(
                            "the policy {policy} in {shown} keeps pages of {origin} from the programs on this computer"
                        ),
                        "whoever administers this computer has to take it off that list, or add it to \
                         LoopbackNetworkAllowedForUrls",
                    )
                    .with("policy", policy)
                    .with("path", shown.to_string())
                    .with("origin", origin.as_str()),
                );
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origins() -> Vec<Origin> {
        ["https://app.example.com", "https://other.example.com"].map(|o| o.parse().expect("an origin")).into()
    }

    fn names(exceptions: &Value, default: &Value) -> Vec<String> {
        let preferences = json!({ "profile": { "content_settings": { "exceptions": exceptions }, "default_content_setting_values": default } });
        let profile = Profile { name: "Default".into(), preferences };
        denied(&profile, &origins()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_closest_setting_decides() {
        let set = |setting: i64| json!({ "setting": setting });
        let app = "https://app.example.com:443,*";
        assert_eq!(names(&json!({}), &json!({})), [""; 0]);
        assert_eq!(names(&json!({ "loopback_network": { app: set(2) } }), &json!({})), ["https://app.example.com"]);
        let both = json!({ "loopback_network": { app: set(1), "[*.]example.com,*": set(2) } });
        assert_eq!(names(&both, &json!({})), ["https://other.example.com"]);
        assert_eq!(names(&json!({ "local_network_access": { app: set(2) } }), &json!({})), ["https://app.example.com"]);
        let newer = json!({ "local_network_access": { app: set(2) }, "loopback_network": { app: set(1) } });
        assert_eq!(names(&newer, &json!({})), [""; 0]);
        assert_eq!(names(&json!({ "loopback_network": { app: set(1) } }), &json!({ "loopback_network": 2 })).len(), 1);
        assert_eq!(names(&json!([7]), &json!("odd")), [""; 0], "whatever the file holds");
    }

    #[test]
    fn a_policy_that_blocks_is_named_with_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = json!({ "LoopbackNetworkBlockedForUrls": ["https://[*.]app.example.com"], "HomepageLocation": "about:blank" });
        std::fs::write(folder.path().join("site.json"), policy.to_string()).expect("written");
        std::fs::write(folder.path().join("broken.json"), "{").expect("written");
        let findings = blocked_by_policy(folder.path(), &origins());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].what.contains("site.json") && findings[0].what.contains("https://app.example.com"),
            "{findings:?}"
        );
    }
}
