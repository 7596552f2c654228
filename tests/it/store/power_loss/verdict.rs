//! Whether everything that was answered before the power went is there after it came back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loopkey::crypto::Secret;
use loopkey::protocol::base64url;
use loopkey::store::{AuditEntry, SessionKey, SessionLookup, StoreUrl};

use super::log::Record;
use super::victim::{EPOCH, SAYS, account, line};
use crate::login::{Server, clock};

/// A person as the answers tell of them.
#[derive(Debug, Default, Clone)]
struct Person {
    device: String,
    cookie: String,
    recorded: bool,
    /// The session's end was asked for; whether it was answered.
    ending: bool,
    revoked: bool,
    raised: bool,
}

/// What was answered.
#[derive(Debug, Default, Clone)]
pub(super) struct Answers(BTreeMap<usize, Person>);

impl Answers {
    /// The answers among those records.
    pub(super) fn among(records: &[Record]) -> Self {
        let mut answers = Self::default();
        answers.add(records);
        answers
    }

    pub(super) fn add(&mut self, records: &[Record]) {
        for said in records.iter().filter_map(|record| if let Record::Said(said) = record { Some(said) } else { None })
        {
            let Some(line) = said.strip_prefix(SAYS) else { continue };
            let words: Vec<_> = line.split_whitespace().collect();
            let person = self.0.entry(words[1].parse().expect("a number")).or_default();
            match words[0] {
                "opened" => (person.device, person.cookie) = (words[2].to_owned(), words[3].to_owned()),
                "recorded" => person.recorded = true,
                "ending" => person.ending = true,
                "revoked" => person.revoked = true,
                "raised" => person.raised = true,
                other => panic!("{other:?} was said"),
            }
        }
    }

    pub(super) fn people(&self) -> usize {
        self.0.len()
    }

    /// Opens the store of a folder as a login server does after the power came back, and compares.
    pub(super) async fn verdict(&self, folder: &Path) -> Result<(), String> {
        let clock = clock();
        let store = loopkey::store::open(&StoreUrl::Embedded(folder.to_owned()), clock.clone()).await;
        let server = Server::start_with(store.map_err(|error| error.to_string())?, clock).await;
        let audit = server.store.audit_tail(None, u32::MAX).await.map_err(|error| error.to_string())?;
        let mut lost = Vec::new();
        for (number, person) in &self.0 {
            lost.extend(person.lost(*number, &server, &audit).await.into_iter().map(|what| format!("{what} {number}")));
        }
        server.store.ping().await.map_err(|error| error.to_string())?;
        server.stop().await;
        let database = rusqlite::Connection::open(folder.join("loopkey.sqlite3")).map_err(|error| error.to_string())?;
        let sound: String =
            database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(|error| error.to_string())?;
        if sound != "ok" {
            return Err(format!("the database is damaged: {sound}"));
        }
        if lost.is_empty() { Ok(()) } else { Err(format!("{LOST}{}", lost.join(", "))) }
    }
}

/// What a verdict begins with where answers were broken.
pub(super) const LOST: &str = "lost: ";

impl Person {
    async fn lost(&self, number: usize, server: &Server, audit: &[AuditEntry]) -> Vec<&'static str> {
        let mut lost = BTreeSet::new();
        if self.device.is_empty() {
            return Vec::new();
        }
        let has = |what: &str| audit.iter().any(|e| e.what == what && e.device.as_deref() == Some(&self.device));
        let cookie = base64url::decode_array(&self.cookie).expect("a cookie");
        let session = server.store.look_at_session(SessionKey::of(&Secret::new(cookie))).await.expect("the store");
        let is_open = matches!(session, SessionLookup::Open(_));
        if !has("signed_in") || (!self.ending && !is_open) {
            lost.insert("session");
        }
        if self.recorded && !audit.iter().any(|entry| entry.detail == line(number)) {
            lost.insert("audit line");
        }
        let account = account(number).parse().expect("a name");
        let devices = server.store.devices(&account).await.expect("the store");
        let device = devices.iter().find(|device| device.id.as_str() == self.device);
        if !self.ending && device.is_none() {
            lost.insert("device");
        }
        if self.revoked && (device.is_some() || is_open || !has("device_revoked")) {
            lost.insert("revocation");
        }
        if self.raised && (device.is_none_or(|device| device.epoch.0 < EPOCH) || is_open || !has("epoch_raised")) {
            lost.insert("sign-out");
        }
        lost.into_iter().collect()
    }
}
