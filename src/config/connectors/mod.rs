//! `[[connector]]` in `server.toml`: the providers that people can sign in with. What every kind has is read here, and what
//! one alone has in its own file. Secrets come from files or the environment, and never from the file itself.

mod dingtalk;
mod dingtalk_qr;
mod oidc;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::reader::{Notes, Section};
use super::server::read_secret;
use crate::clock::{Clock, SystemClock};
use crate::connectors::Guarded;
use crate::crypto::Secret;
use crate::login::{ConfiguredConnector, NewAccounts};
use crate::protocol::statement::UserVerification;
use crate::store::{ConnectorName, DisplayName};

/// What every kind has.
const COMMON: [&str; 5] = ["name", "kind", "label", "accounts", "verifies"];

/// What the connectors of one file share.
struct Means<'a> {
    notes: &'a Notes<'a>,
    development: bool,
    http: Guarded,
    clock: Arc<dyn Clock>,
    /// Suites that were read already: their organisations share them.
    suites: dingtalk::Suites,
}

#[derive(Clone, Copy)]
enum Kind {
    Oidc,
    DingTalk,
    DingTalkQr,
}

/// Reads all of them.
pub(super) fn read(notes: &Notes<'_>, root: &mut Section<'_>, development: bool) -> Vec<ConfiguredConnector> {
    let http = match crate::connectors::http(development) {
        Ok(http) => http,
        Err(error) => {
            notes.fault_of("connector", error);
            return Vec::new();
        }
    };
    let means = Means { notes, development, http, clock: Arc::new(SystemClock), suites: dingtalk::Suites::default() };
    root.sections("connector", |section| means.read(section))
}

impl Means<'_> {
    fn read(&self, mut section: Section<'_>) -> Option<ConfiguredConnector> {
        let name = section.required::<ConnectorName>("name", "\"corp\"");
        let label = section.required::<Label>("label", "\"Corp account\"");
        let accounts = [("linked", NewAccounts::Linked), ("create", NewAccounts::Create)];
        let accounts = section.one_of("accounts", &accounts).unwrap_or_default();
        let verifies =
            [("page", UserVerification::Page), ("prompt", UserVerification::Prompt), ("os", UserVerification::Os)];
        let verifies = section.one_of("verifies", &verifies).unwrap_or(UserVerification::Page);
        section.require("kind", "\"oidc\", \"dingtalk\" or \"dingtalk_qr\"");
        let kinds = [("oidc", Kind::Oidc), ("dingtalk", Kind::DingTalk), ("dingtalk_qr", Kind::DingTalkQr)];
        let connector = match section.one_of("kind", &kinds)? {
            Kind::Oidc => self.oidc(section),
            Kind::DingTalk => self.dingtalk(section),
            Kind::DingTalkQr => self.dingtalk_qr(section),
        };
        let Label(label) = label?;
        Some(ConfiguredConnector { name: name?, label, connector: connector?, accounts, verifies })
    }

    /// Names the entry of an address that would never be called.
    fn require_callable(&self, entry: &str, address: &str) {
        if !self.development && address.starts_with("http://") {
            self.notes.fault_of(entry, "http:// needs development = true; use https://");
        } else if let Err(fault) = self.http.request(crate::connectors::Method::GET, address) {
            self.notes.fault_of(entry, fault.reason());
        }
    }

    /// A secret, from a file or the environment; none where neither is named. An error where it was named and is not there.
    fn secret(&self, section: &mut Section<'_>, key: &str) -> Result<Option<Secret<String>>, ()> {
        let (in_file, in_environment) = (format!("{key}_file"), format!("{key}_env"));
        let (file_entry, variable_entry) = (section.entry(&in_file), section.entry(&in_environment));
        let (named, path) = (section.has(&in_file), section.path(&in_file));
        let (named_variable, variable) = (section.has(&in_environment), section.parsed::<Text>(&in_environment));
        let secret = match (named, named_variable) {
            (false, false) => return Ok(None),
            (true, true) => {
                self.notes.fault_of(&variable_entry, format!("is beside {in_file}: keep one of the two"));
                return Err(());
            }
            (true, false) => read_secret(self.notes, &file_entry, path.as_deref().unwrap_or(Path::new(""))).ok_or(())?,
            (false, true) => {
                let Text(variable) = variable.ok_or(())?;
                let value = std::env::var(&variable).map_err(|_| {
                    let problem =
                        format!("there is no variable {variable} in the environment: set it before the start");
                    self.notes.fault_of(&variable_entry, problem);
                })?;
                Secret::new(value)
            }
        };
        if secret.expose().is_empty() {
            let entry = if named { &file_entry } else { &variable_entry };
            self.notes.fault_of(entry, "holds nothing: put the provider's secret there");
            return Err(());
        }
        Ok(Some(secret))
    }
}

/// The entry of a secret, for what is wrong with it: the one that is there, or the file's.
fn secret_entry(section: &Section<'_>, key: &str) -> String {
    let variable = format!("{key}_env");
    section.entry(&if section.has(&variable) { variable } else { format!("{key}_file") })
}

/// What a button says.
struct Label(DisplayName);

impl FromStr for Label {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DisplayName::clean(text).map(Self).map_err(|_| "must be some words, such as \"Corp account\"")
    }
}

/// Visible ASCII.
struct Text(String);

impl FromStr for Text {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
        sound.then(|| Self(text.to_owned())).ok_or("must be 1 to 256 visible letters, without spaces")
    }
}

#[cfg(test)]
mod tests;
