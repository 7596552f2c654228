//! What an instance is configured with. Everything wrong is found here, before anything is bound, and named by its entry.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire::Limits;
use crate::crypto::Secret;

/// Where DingTalk is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// The old interface.
    pub oapi: String,
    /// The new interface.
    pub api: String,
    /// The pages that people see.
    pub login: String,
}

/// Which DingTalk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// `dingtalk.com`.
    #[default]
    China,
    /// `dingtalk.io`.
    International,
}

impl Edition {
    /// Its hosts.
    #[must_use]
    pub fn hosts(self) -> Hosts {
        let at = |name: &str| match self {
            Self::China => format!("https://{name}.dingtalk.com"),
            Self::International => format!("https://{name}.dingtalk.io"),
        };
        Hosts { oapi: at("oapi"), api: at("api"), login: at("login") }
    }
}

/// The two interfaces of DingTalk, which share nothing but the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `oapi`: the token in the address, 200 whatever happened, `errcode`.
    Old,
    /// `api`: the token in a header, statuses, camel case.
    #[default]
    New,
}

/// What the application shows to get its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// An internal application's `appKey` and `appSecret`.
    #[default]
    App,
    /// The same at the newer address, which names the organisation.
    AppOfCorp,
    /// `CorpSecret`, from before there were applications. No sign-in in the browser, and the old interface alone.
    CorpSecret,
    /// A third party's `suiteKey` and `suiteSecret`, for one organisation that opened the application. Needs suite tickets.
    Suite,
}

/// The digest under the signature of `dd.config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PageDigest {
    /// What DingTalk's current sample computes.
    #[default]
    Sha256,
    /// What older samples compute, and most programs that are in use.
    Sha1,
}

/// A table of a configuration file. The secret is not in it: it comes from a file or the environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// `appKey` (also called `clientId`), or `suiteKey`; none with `corp_secret`.
    #[serde(default)]
    pub app_key: String,
    /// The organisation.
    #[serde(default)]
    pub corp_id: String,
    /// The application inside the organisation.
    pub agent_id: Option<u64>,
    /// What the secret is.
    #[serde(default)]
    pub credentials: Credentials,
    /// The interface for people, departments and tickets.
    #[serde(default)]
    pub dialect: Dialect,
    /// The digest of `dd.config`.
    #[serde(default)]
    pub page_digest: PageDigest,
    /// Which DingTalk.
    #[serde(default)]
    pub edition: Edition,
    /// Other hosts than the edition's.
    pub hosts: Option<Hosts>,
}

/// Why a table is none. Each names the entry that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// `appKey`.
    #[error(
        "app_key: an application's key has 20 letters and digits (in the developer console: Credentials, Client ID)"
    )]
    AppKey,
    /// `suiteKey`.
    #[error("app_key: a suite's key begins with \"suite\" and has letters and digits, at most 64")]
    SuiteKey,
    /// With `corp_secret` there is none.
    #[error("app_key: with credentials = \"corp_secret\" there is none; remove it")]
    NoAppKey,
    /// `appSecret`.
    #[error("app_secret: a secret has 64 letters, digits, hyphens and underscores (Credentials, Client Secret)")]
    AppSecret,
    /// `agentId`.
    #[error("agent_id: a number from 1000000000 to 9999999999 (in the developer console: Credentials, AgentId)")]
    AgentId,
    /// `corpId`.
    #[error("corp_id: \"ding\" and letters and digits, at most 64 (on the developer console's front page)")]
    CorpId,
    /// A suite's organisation is opened with its suite, and nothing else is.
    #[error("credentials: \"suite\" goes together with a suite, and nothing else does")]
    Suite,
    /// One suite has one secret.
    #[error("app_secret: another connector of this suite has another one; a suite has one secret")]
    SuiteSecret,
    /// One suite is at one DingTalk.
    #[error("hosts: another connector of this suite has others (or another edition); a suite is at one DingTalk")]
    SuiteHosts,
    /// Events over HTTP are a suite's.
    #[error("callback_token: is for credentials = \"suite\" alone; remove it")]
    Callback,
    /// The token beside the address for events.
    #[error("callback_token: 1 to 64 visible letters (in the developer console: Events and callbacks, Token)")]
    CallbackToken,
    /// The key beside it.
    #[error("callback_key: 43 letters, digits, + and / (Events and callbacks, EncodingAESKey)")]
    CallbackKey,
    /// `appId` of a site.
    #[error("app_id: 8 to 64 letters and digits (in the developer console: the application for sign-in, AppId)")]
    AppId,
    /// `appSecret` of a site.
    #[error("app_secret: 16 to 128 letters (the application for sign-in, AppSecret)")]
    SiteSecret,
    /// `CorpSecret` works with the old interface alone.
    #[error("dialect: credentials = \"corp_secret\" needs dialect = \"old\"")]
    Dialect,
    /// Not a host.
    #[error("hosts: each is https:// and a name, without a path")]
    Hosts,
}

impl BadSettings {
    /// The entry that is wrong.
    #[must_use]
    pub const fn entry(self) -> &'static str {
        match self {
            Self::AppKey | Self::SuiteKey | Self::NoAppKey => "app_key",
            Self::AppSecret | Self::SuiteSecret | Self::SiteSecret => "app_secret",
            Self::AppId => "app_id",
            Self::Callback | Self::CallbackToken => "callback_token",
            Self::CallbackKey => "callback_key",
            Self::AgentId => "agent_id",
            Self::CorpId => "corp_id",
            Self::Suite => "credentials",
            Self::Dialect => "dialect",
            Self::Hosts | Self::SuiteHosts => "hosts",
        }
    }
}

/// A sound configuration of one instance.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) app_key: String,
    pub(super) app_secret: Secret<String>,
    pub(super) corp_id: String,
    pub(super) agent_id: u64,
    pub(super) credentials: Credentials,
    pub(super) dialect: Dialect,
    pub(super) page_digest: PageDigest,
    pub(super) hosts: Hosts,
    pub(super) limits: Limits,
}

const APP_KEY_LEN: usize = 20;
const APP_SECRET_LEN: usize = 64;
const NAME_MAX_LEN: usize = 64;
const AGENT_IDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=9_999_999_999;

impl Table {
    /// Everything that cannot be right in it, or in its secret.
    #[must_use]
    pub fn faults(&self, app_secret: &Secret<String>) -> Vec<BadSettings> {
        let (app_key, secret) = (self.app_key.as_str(), app_secret.expose());
        let (is_app_key, is_newer) = (is_word(app_key) && app_key.len() == APP_KEY_LEN, self.dialect == Dialect::New);
        let key = match self.credentials {
            Credentials::App | Credentials::AppOfCorp => (!is_app_key).then_some(BadSettings::AppKey),
            Credentials::Suite => (!is_name(app_key, "suite")).then_some(BadSettings::SuiteKey),
            Credentials::CorpSecret => (!app_key.is_empty()).then_some(BadSettings::NoAppKey),
        };
        let is_oldest = self.credentials == Credentials::CorpSecret;
        let is_secret = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let are_hosts = |hosts: &Hosts| [&hosts.oapi, &hosts.api, &hosts.login].into_iter().all(|host| is_host(host));
        let faults = [
            key,
            (is_oldest && is_newer).then_some(BadSettings::Dialect),
            (secret.len() != APP_SECRET_LEN || !is_secret(secret)).then_some(BadSettings::AppSecret),
            self.agent_id.is_none_or(|id| !AGENT_IDS.contains(&id)).then_some(BadSettings::AgentId),
            (!is_name(&self.corp_id, "ding")).then_some(BadSettings::CorpId),
            (!self.hosts.as_ref().is_none_or(are_hosts)).then_some(BadSettings::Hosts),
        ];
        faults.into_iter().flatten().collect()
    }
}

impl Settings {
    /// Takes a table and its secret.
    ///
    /// # Errors
    /// The first of [`Table::faults`].
    pub fn new(table: Table, app_secret: Secret<String>) -> Result<Self, BadSettings> {
        if let Some(fault) = table.faults(&app_secret).into_iter().next() {
            return Err(fault);
        }
        let Table { app_key, corp_id, agent_id, credentials, dialect, page_digest, edition, hosts } = table;
        let agent_id = agent_id.ok_or(BadSettings::AgentId)?;
        let (hosts, limits) = (hosts.unwrap_or_else(|| edition.hosts()), Limits::default());
        Ok(Self { app_key, app_secret, corp_id, agent_id, credentials, dialect, page_digest, hosts, limits })
    }

    /// The suite's key, where this is a suite in one organisation.
    #[must_use]
    pub fn suite_key(&self) -> Option<String> {
        (self.credentials == Credentials::Suite).then(|| self.app_key.clone())
    }

    /// Waits no longer than this for an answer of DingTalk.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.limits.patience = patience;
        self
    }

    /// Asks DingTalk no more often than this in twenty seconds; 5000 by default. A suite's organisations count together.
    #[must_use]
    pub const fn burst(mut self, calls: u32) -> Self {
        self.limits.burst = calls;
        self
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_name(text: &str, prefix: &str) -> bool {
    text.len() > prefix.len() && text.len() <= NAME_MAX_LEN && text.starts_with(prefix) && is_word(text)
}

/// An origin; `http://` is for development, and refused later where that is off.
pub(super) fn is_host(text: &str) -> bool {
    let parsed = reqwest::Url::parse(text);
    parsed.is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http") && url.origin().ascii_serialization() == text && url.host().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let text = r#"{ "app_key": "dingabcdefghij012345", "corp_id": "dingcorp0001", "agent_id": 1234567890 }"#;
        serde_json::from_str(text).expect("a table")
    }

    fn secret() -> Secret<String> {
        Secret::new("s".repeat(64))
    }

    #[test]
    fn d02_everything_that_is_wrong_is_named_at_once() {
        let mut wrong = table();
        wrong.app_key.clear();
        wrong.corp_id = "corp".into();
        wrong.agent_id = None;
        let faults = wrong.faults(&Secret::new("short".to_owned()));
        use BadSettings::{AgentId, AppKey, AppSecret, CorpId};
        assert_eq!(faults, [AppKey, AppSecret, AgentId, CorpId]);
        assert_eq!(table().faults(&secret()), []);
    }

    #[test]
    fn d02_each_wrong_entry_is_named() {
        type Spoil = fn(&mut Table);
        let wrong: [(&str, BadSettings, Spoil); 12] = [
            ("app_key", BadSettings::AppKey, |t| t.app_key.clear()),
            ("app_key", BadSettings::AppKey, |t| t.app_key.push('6')),
            ("app_key", BadSettings::AppKey, |t| t.app_key = "dingabcdefghij01234/".into()),
            ("app_key", BadSettings::SuiteKey, |t| t.credentials = Credentials::Suite),
            ("app_key", BadSettings::NoAppKey, |t| t.credentials = Credentials::CorpSecret),
            ("agent_id", BadSettings::AgentId, |t| t.agent_id = None),
            // The example of the article that the range is from.
            ("agent_id", BadSettings::AgentId, |t| t.agent_id = Some(123_456_789)),
            ("agent_id", BadSettings::AgentId, |t| t.agent_id = Some(10_000_000_000)),
            ("corp_id", BadSettings::CorpId, |t| t.corp_id.clear()),
            ("corp_id", BadSettings::CorpId, |t| t.corp_id = "ding 1".into()),
            ("dialect", BadSettings::Dialect, |t| {
                t.credentials = Credentials::CorpSecret;
                t.app_key.clear();
            }),
            ("hosts", BadSettings::Hosts, |t| {
                t.hosts = Some(Hosts { api: "https://api.dingtalk.com/v1.0".into(), ..Edition::China.hosts() });
            }),
        ];
        for (entry, fault, spoil) in wrong {
            let mut table = table();
            spoil(&mut table);
            let found = Settings::new(table, secret()).expect_err(entry);
            assert_eq!((found, found.entry()), (fault, entry));
            assert!(found.to_string().starts_with(entry), "{found}");
        }
        for bad in [String::new(), "s".repeat(63), "s".repeat(65), format!("{}\n", "s".repeat(63))] {
            assert_eq!(Settings::new(table(), Secret::new(bad)).expect_err("a secret"), BadSettings::AppSecret);
        }
        let settings = Settings::new(table(), secret()).expect("sound");
        assert!(!format!("{settings:?}").contains("ssss"), "secrets do not show");
    }

    #[test]
    fn d02_an_unknown_entry_is_named_and_a_secret_in_the_table_is_one() {
        let text = r#"{ "app_key": "a", "app_secret": "hunter2hunter2" }"#;
        let fault = serde_json::from_str::<Table>(text).expect_err("unknown").to_string();
        assert!(fault.contains("app_secret") && !fault.contains("hunter2"), "{fault}");
    }

    #[test]
    fn the_international_edition_has_hosts_of_its_own() {
        assert_eq!(Edition::International.hosts().oapi, "https://oapi.dingtalk.io");
        assert_eq!(Edition::default().hosts().login, "https://login.dingtalk.com");
    }
}
