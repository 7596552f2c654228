//! Tokens of a suite in its organisations, shared by replicas. DingTalk gives an application's token again when it is asked again,
//! but a suite another one each time, and nobody says what becomes of those before: so one replica fetches it for all of them.
//! A shelf that does not answer stops nobody, each replica then fetches its own.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Dialect;
use crate::connectors::{Fetched, Shelf};
use crate::crypto::{SealingKey, Secret};
use crate::protocol::base64url;
use crate::protocol::time::UnixMillis;

/// A token is taken from the shelf up to this part of its life, in percent: who renews early (at 85) finds none there.
const FRESH_PERCENT: u64 = 80;

/// The tokens of one suite.
#[derive(Debug)]
pub(super) struct SharedTokens {
    suite: String,
    seal: SealingKey,
    shelf: RwLock<Option<Arc<dyn Shelf>>>,
}

/// What is on the shelf, times in Unix milliseconds.
#[derive(Serialize, Deserialize)]
struct Shelved {
    fetched: u64,
    ends: u64,
    sealed: String,
}

impl SharedTokens {
    pub(super) fn new(suite_key: &str, suite_secret: &Secret<String>) -> Self {
        let seal = SealingKey::derive(suite_secret, "dingtalk suite tokens");
        Self { suite: suite_key.to_owned(), seal, shelf: RwLock::default() }
    }

    pub(super) fn attend(&self, shelf: &Arc<dyn Shelf>) {
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(shelf));
    }

    /// The token of an organisation, where another replica fetched one that counts for a while yet.
    pub(super) async fn find(&self, corp: &str, dialect: Dialect, now: UnixMillis) -> Option<Fetched> {
        let name = self.name(corp, dialect);
        let text = self.read(&name).await?;
        let Shelved { fetched, ends, .. } = serde_json::from_str(&text).ok()?;
        let fresh_until = fetched.saturating_add(ends.saturating_sub(fetched) / 100 * FRESH_PERCENT);
        // A clock that is behind the other replica's makes the token older, and never younger.
        if now.0.max(fetched) >= fresh_until {
            return None;
        }
        Some(Fetched { value: self.open(&name, &text)?, life: Duration::from_millis(ends - now.0.max(fetched)) })
    }

    /// Keeps a token for the other replicas.
    pub(super) async fn keep(&self, corp: &str, dialect: Dialect, token: &Fetched, now: UnixMillis) {
        let life = u64::try_from(token.life.as_millis()).unwrap_or(u64::MAX);
        let (name, fetched, ends) = (self.name(corp, dialect), now.0, now.0.saturating_add(life));
        let sealed = self.seal.seal(token.value.expose().as_bytes(), &about(&name, fetched, ends));
        let shelved = Shelved { fetched, ends, sealed: base64url::encode(sealed) };
        self.write(&name, serde_json::to_string(&shelved).expect("numbers and a text are JSON")).await;
    }

    /// DingTalk did not take this one: no replica shall find it, unless there is another one by now.
    pub(super) async fn forget(&self, corp: &str, dialect: Dialect, refused: &Secret<String>) {
        let name = self.name(corp, dialect);
        let Some(text) = self.read(&name).await else { return };
        if self.open(&name, &text).is_some_and(|kept| kept.expose() == refused.expose()) {
            self.write(&name, "{}".to_owned()).await;
        }
    }

    fn open(&self, name: &str, text: &str) -> Option<Secret<String>> {
        let Shelved { fetched, ends, sealed } = serde_json::from_str(text).ok()?;
        let opened = self.seal.open(&base64url::decode(&sealed).ok()?, &about(name, fetched, ends)).ok()?;
        Some(Secret::new(std::str::from_utf8(opened.expose()).ok()?.to_owned()))
    }

    async fn read(&self, name: &str) -> Option<String> {
        let read = self.shelf()?.read(name).await;
        read.unwrap_or_else(|fault| {
            tracing::warn!(%fault, "a suite's token is not shared with the other replicas");
            None
        })
    }

    async fn write(&self, name: &str, text: String) {
        let Some(shelf) = self.shelf() else { return };
        let former = self.read(name).await;
        // Where another replica was quicker, the next look finds its token.
        if let Err(fault) = shelf.write(name, former.as_deref(), text).await {
            tracing::warn!(%fault, "a suite's token is not shared with the other replicas");
        }
    }

    fn shelf(&self) -> Option<Arc<dyn Shelf>> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn name(&self, corp: &str, dialect: Dialect) -> String {
        format!("dingtalk suite-token {} {corp} {dialect:?}", self.suite)
    }
}

fn about(name: &str, fetched: u64, ends: u64) -> Vec<u8> {
    format!("{name} {fetched} {ends}").into_bytes()
}
