//! A third party's application: its ticket, which DingTalk pushes about every five hours, and the suite's own token. Each new
//! ticket ends the one before, and none ends by itself: it has to outlive a restart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::fault::DingTalkFault;
use super::settings::Dialect;
use super::tokens::fetched;
use super::wire::{Call, Wire};
use crate::connectors::{ConnectFault, Fault, TokenCache};
use crate::crypto::Secret;

/// Where the newest ticket is kept while the program does not run.
pub trait TicketKeeper: Send + Sync + std::fmt::Debug {
    /// The ticket that was kept last.
    fn kept(&self) -> Option<Secret<String>>;

    /// Keeps a ticket; the one before is of no use any more.
    ///
    /// # Errors
    /// Why it could not be kept: DingTalk is then asked to push it again.
    fn keep(&self, ticket: &Secret<String>) -> std::io::Result<()>;
}

/// Keeps the ticket as long as the program runs: for tests, and for custom applications, which may send any.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Option<Secret<String>>>);

impl InMemory {
    /// One that begins with a ticket.
    #[must_use]
    pub const fn with(ticket: Secret<String>) -> Self {
        Self(Mutex::new(Some(ticket)))
    }
}

impl TicketKeeper for InMemory {
    fn kept(&self) -> Option<Secret<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, ticket: &Secret<String>) -> std::io::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ticket.clone());
        Ok(())
    }
}

/// A suite. Its organisations share it.
#[derive(Debug)]
pub struct Suite {
    pub(super) key: String,
    pub(super) secret: Secret<String>,
    pub(super) wire: Arc<Wire>,
    keeper: Box<dyn TicketKeeper>,
    old: TokenCache,
    new: TokenCache,
}

impl Suite {
    pub(super) fn new(key: String, secret: Secret<String>, wire: Arc<Wire>, keeper: Box<dyn TicketKeeper>) -> Self {
        let cache = || TokenCache::new(wire.clock(), Duration::MAX);
        Self { old: cache(), new: cache(), key, secret, wire, keeper }
    }

    pub(super) fn ticket(&self) -> Result<Secret<String>, DingTalkFault> {
        let none = || DingTalkFault::new(Fault::Unavailable, "DingTalk has pushed no suite ticket yet");
        self.keeper.kept().ok_or_else(none)
    }

    /// Takes a ticket that DingTalk pushed.
    ///
    /// # Errors
    /// Where it cannot be kept.
    pub fn take_ticket(&self, ticket: &Secret<String>) -> std::io::Result<()> {
        self.keeper.keep(ticket)
    }

    /// The suite's own token: for calls about the application rather than about one organisation.
    ///
    /// # Errors
    /// [`ConnectFault`].
    pub async fn access_token(&self, dialect: Dialect) -> Result<Arc<Secret<String>>, ConnectFault> {
        let cache = if dialect == Dialect::Old { &self.old } else { &self.new };
        cache.get(async { Ok(self.fetch(dialect).await?) }).await
    }

    async fn fetch(&self, dialect: Dialect) -> Result<crate::connectors::Fetched, DingTalkFault> {
        let (ticket, secret) = (self.ticket()?, self.secret.expose());
        let call = |path: &str, body: Value| Call::post(dialect, path, body);
        let (call, token, life) = match dialect {
            Dialect::New => {
                let body = json!({ "suiteKey": self.key, "suiteSecret": secret, "suiteTicket": ticket.expose() });
                (call("/v1.0/oauth2/suiteAccessToken", body), "accessToken", "expireIn")
            }
            Dialect::Old => {
                let body = json!({ "suite_key": self.key, "suite_secret": secret, "suite_ticket": ticket.expose() });
                (call("/service/get_suite_token", body), "suite_access_token", "expires_in")
            }
        };
        fetched(&self.wire.call(&call, None).await?, token, life)
    }
}
