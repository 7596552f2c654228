//! `kind = "dingtalk"`: an internal application, or a suite in one of its organisations.

use std::cell::RefCell;
use std::sync::Arc;

use super::{COMMON, Means, Text, secret_entry};
use crate::config::reader::Section;
use crate::connectors::Connector;
use crate::connectors::dingtalk::{
    BadSettings, Callback, Credentials, Dialect, DingTalk, Edition, Hosts, OnShelf, PageDigest, Settings, Suite, Table,
};
use crate::crypto::Secret;

/// What it has besides what every kind has.
const OWN: [&str; 14] = [
    "app_key",
    "app_secret_file",
    "app_secret_env",
    "corp_id",
    "agent_id",
    "credentials",
    "callback_token_file",
    "callback_token_env",
    "callback_key_file",
    "callback_key_env",
    "dialect",
    "page_digest",
    "edition",
    "hosts",
];

/// Suites by their keys.
#[derive(Default)]
pub(super) struct Suites(RefCell<Vec<(String, Arc<Suite>)>>);

const EDITIONS: [(&str, Edition); 2] = [("china", Edition::China), ("international", Edition::International)];

/// Which DingTalk.
pub(super) fn edition(section: &mut Section<'_>) -> Edition {
    section.one_of("edition", &EDITIONS).unwrap_or_default()
}

/// Other hosts than an edition's; an error where they are there and wrong.
pub(super) fn hosts(means: &Means<'_>, section: &mut Section<'_>) -> Result<Option<Hosts>, ()> {
    let Some(mut hosts) = section.section("hosts") else { return Ok(None) };
    let [oapi, api, login] = ["oapi", "api", "login"].map(|name| {
        let host = hosts.required::<Text>(name, "\"https://dingtalk.example.com\"");
        if let Some(Text(host)) = &host {
            means.require_callable(&hosts.entry(name), host);
        }
        host
    });
    hosts.end(&["oapi", "api", "login"]);
    match (oapi, api, login) {
        (Some(Text(oapi)), Some(Text(api)), Some(Text(login))) => Ok(Some(Hosts { oapi, api, login })),
        _ => Err(()),
    }
}

/// Where each of an instance's secrets stands in the file.
struct Entries {
    table: String,
    secret: String,
    callback_token: String,
    callback_key: String,
}

impl Means<'_> {
    pub(super) fn dingtalk(&self, mut section: Section<'_>) -> Option<Arc<dyn Connector>> {
        let app_key = section.parsed::<Text>("app_key").map(|Text(key)| key).unwrap_or_default();
        let corp_id = section.required::<Text>("corp_id", "\"dingexample0001\"");
        section.require("agent_id", "1234567890");
        let agent_id = section.number("agent_id", 1_000_000_000, 9_999_999_999);
        let credentials = [
            ("app", Credentials::App),
            ("app_of_corp", Credentials::AppOfCorp),
            ("corp_secret", Credentials::CorpSecret),
            ("suite", Credentials::Suite),
        ];
        let credentials = section.one_of("credentials", &credentials).unwrap_or_default();
        let dialect = section.one_of("dialect", &[("new", Dialect::New), ("old", Dialect::Old)]).unwrap_or_default();
        let digests = [("sha256", PageDigest::Sha256), ("sha1", PageDigest::Sha1)];
        let page_digest = section.one_of("page_digest", &digests).unwrap_or_default();
        let edition = edition(&mut section);
        let entries = Entries {
            table: section.entry(""),
            secret: secret_entry(&section, "app_secret"),
            callback_token: secret_entry(&section, "callback_token"),
            callback_key: secret_entry(&section, "callback_key"),
        };
        let secret = self.secret(&mut section, "app_secret");
        if matches!(secret, Ok(None)) {
            self.notes.fault_of(&entries.secret, "is missing: name the file with the application's secret");
        }
        let (token, key) = (self.secret(&mut section, "callback_token"), self.secret(&mut section, "callback_key"));
        let hosts = hosts(self, &mut section);
        section.end(&[&COMMON[..], &OWN[..]].concat());
        let callback = self.callback(&entries, token.ok()?, key.ok()?).ok()?;
        let (Text(corp_id), hosts) = (corp_id?, hosts.ok()?);
        let agent_id = Some(u64::try_from(agent_id?).ok()?);
        let table = Table { app_key, corp_id, agent_id, credentials, dialect, page_digest, edition, hosts };
        let secret = secret.ok()??;
        let faults = table.faults(&secret);
        let made = if faults.is_empty() {
            let made = Settings::new(table, secret).and_then(|settings| self.instance(settings, callback));
            made.map_err(|fault| vec![fault])
        } else {
            Err(faults)
        };
        let made = made.map_err(|faults| faults.into_iter().for_each(|fault| self.name(&entries, fault)));
        Some(Arc::new(made.ok()?))
    }

    /// What events over HTTP are signed and encrypted with, where both are there or neither is.
    fn callback(
        &self,
        entries: &Entries,
        token: Option<Secret<String>>,
        key: Option<Secret<String>>,
    ) -> Result<Option<Callback>, ()> {
        let missing = |entry: &str, beside: &str| {
            self.notes.fault_of(entry, format!("is missing beside {beside}: events over HTTP need both"));
            Err(())
        };
        match (token, key) {
            (None, None) => Ok(None),
            (Some(_), None) => missing(&entries.callback_key, "callback_token"),
            (None, Some(_)) => missing(&entries.callback_token, "callback_key"),
            (Some(token), Some(key)) => Callback::new(token, &key).map(Some).map_err(|fault| self.name(entries, fault)),
        }
    }

    fn instance(&self, settings: Settings, callback: Option<Callback>) -> Result<DingTalk, BadSettings> {
        let (http, clock) = (self.http.clone(), Arc::clone(&self.clock));
        let instance = match settings.suite_key() {
            None => DingTalk::new(settings, http, clock)?,
            Some(key) => {
                let mut suites = self.suites.0.borrow_mut();
                let known = suites.iter().find(|(known, _)| *known == key).map(|(_, suite)| Arc::clone(suite));
                let suite = match known {
                    Some(suite) => suite,
                    None => {
                        let keeper = Box::new(OnShelf::of(&settings));
                        let suite = DingTalk::suite(&settings, http, clock, keeper)?;
                        suites.push((key, Arc::clone(&suite)));
                        suite
                    }
                };
                DingTalk::of_suite(settings, &suite)?
            }
        };
        match callback {
            Some(callback) => instance.with_callback(callback),
            None => Ok(instance),
        }
    }

    /// Names the entry that is wrong.
    fn name(&self, entries: &Entries, fault: BadSettings) {
        let entry = match fault.entry() {
            "app_secret" => entries.secret.clone(),
            "callback_token" => entries.callback_token.clone(),
            "callback_key" => entries.callback_key.clone(),
            other => format!("{}{other}", entries.table),
        };
        self.bad_setting(&entry, fault);
    }

    /// Says what is wrong: the message begins with the entry, as the file's own faults do.
    pub(super) fn bad_setting(&self, entry: &str, fault: BadSettings) {
        let said = fault.to_string();
        self.notes.fault_of(entry, said.split_once(": ").map_or(said.as_str(), |(_, problem)| problem));
    }
}

#[cfg(test)]
mod tests;
