//! The agent's own policy, `policy.toml`.

use std::fmt::Write as _;

use super::Wish;
use crate::agent::Policy;
use crate::protocol::grant::ConsentMode;
use crate::protocol::origin::Origin;

/// Where it stands on Linux.
pub(super) const POLICY: &str = "/etc/loopkey/policy.toml";
/// The authority's certificate, in a place that every browser can read.
pub(super) const AUTHORITY: &str = "/etc/loopkey/authority.pem";

pub(super) fn policy(wish: &Wish) -> String {
    let mut text = String::new();
    if wish.only_listed {
        text.push_str(ONLY_LISTED);
    }
    wish.origins.iter().for_each(|origin| text.push_str(&entry(origin, wish.consent)));
    text
}

const ONLY_LISTED: &str = "only_listed = true\n";

fn entry(origin: &Origin, consent: Option<ConsentMode>) -> String {
    let mut text = format!("\n[[origin]]\norigin = \"{origin}\"\n");
    if let Some(consent) = consent {
        let word = match consent {
            ConsentMode::Prompt => "prompt",
            ConsentMode::Always => "always",
            ConsentMode::Page => "page",
        };
        let _ = writeln!(text, "consent = \"{word}\"");
    }
    text
}

/// The text that is there, and what is wanted besides.
///
/// # Errors
/// What the two contradict each other about.
pub(super) fn merge(text: &str, there: &Policy, wish: &Wish) -> Result<String, String> {
    let mut merged = String::new();
    if wish.only_listed && !there.only_listed {
        if text.contains("only_listed") {
            return Err("only_listed".to_owned());
        }
        // Before any table, where it belongs to the whole file.
        merged.push_str(ONLY_LISTED);
    }
    merged.push_str(text);
    if !merged.is_empty() && !merged.ends_with('\n') {
        merged.push('\n');
    }
    for origin in &wish.origins {
        match there.origins.iter().find(|entry| entry.origin == *origin) {
            None => merged.push_str(&entry(origin, wish.consent)),
            Some(entry) if entry.blocked || wish.consent.is_some() && entry.consent != wish.consent => {
                return Err(origin.to_string());
            }
            Some(_) => {}
        }
    }
    Ok(merged)
}
