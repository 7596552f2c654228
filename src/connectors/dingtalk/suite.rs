//! A third party's application: its ticket, which DingTalk pushes about every five hours, and the suite's own token. Each new
//! ticket ends the one before, and none ends by itself: it has to outlive a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::callback::{UNNAMED_SUITE, millis};
use super::fault::DingTalkFault;
use super::keeper::{SuiteTicket, TicketKeeper};
use super::settings::{BadSettings, Dialect, Settings};
use super::shared::SharedTokens;
use super::stream::{Event, EventStream, Heard};
use super::tokens::fetched;
use super::wire::{Call, Wire, optional};
use crate::connectors::{Background, ConnectFault, Fault, Shelf, TokenCache};
use crate::crypto::{self, Secret};
use crate::protocol::base64url;
use crate::protocol::time::UnixMillis;

/// A suite. Its organisations share it.
#[derive(Debug)]
pub struct Suite {
    pub(super) key: String,
    pub(super) secret: Secret<String>,
    pub(super) wire: Arc<Wire>,
    keeper: Box<dyn TicketKeeper>,
    /// Its organisations' tokens.
    pub(super) shared: SharedTokens,
    old: TokenCache,
    new: TokenCache,
    /// Its events are posted to us, and not streamed.
    is_posted: AtomicBool,
}

impl Suite {
    pub(super) fn new(key: String, secret: Secret<String>, wire: Arc<Wire>, keeper: Box<dyn TicketKeeper>) -> Self {
        let cache = || TokenCache::new(wire.clock(), Duration::MAX);
        let shared = SharedTokens::new(&key, &secret);
        Self { old: cache(), new: cache(), key, secret, wire, keeper, shared, is_posted: AtomicBool::new(false) }
    }

    /// Whether settings are of this suite, in one of its organisations.
    pub(super) fn admit(&self, settings: &Settings) -> Result<(), BadSettings> {
        if self.key != settings.app_key {
            return Err(BadSettings::Suite);
        }
        if self.secret.expose() != settings.app_secret.expose() {
            return Err(BadSettings::SuiteSecret);
        }
        if *self.wire.hosts() != settings.hosts {
            return Err(BadSettings::SuiteHosts);
        }
        Ok(())
    }

    pub(super) async fn ticket(&self) -> Result<Secret<String>, DingTalkFault> {
        let none = || DingTalkFault::new(Fault::Unavailable, "DingTalk has pushed no suite ticket yet");
        Ok(self.keeper.kept().await?.ok_or_else(none)?.value)
    }

    /// Takes a ticket that DingTalk pushed. Whether it counts now: not where a later one is kept.
    ///
    /// # Errors
    /// Where it cannot be kept.
    pub async fn take_ticket(&self, ticket: &SuiteTicket) -> Result<bool, ConnectFault> {
        self.keeper.keep(ticket).await
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
        let (ticket, secret) = (self.ticket().await?, self.secret.expose());
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

    /// The suite's events.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::new(self.key.clone(), self.secret.clone(), Arc::clone(&self.wire))
    }

    /// Takes the suite's ticket out of an event. One that cannot be kept is asked for again.
    pub async fn hear(&self, event: &Event) -> Heard {
        if event.kind != "suite_ticket" {
            return Heard::Success;
        }
        match self.hear_ticket(&event.data).await {
            Ok(true) => tracing::info!(suite = self.key, "DingTalk pushed the suite's ticket"),
            Ok(false) => {
                tracing::warn!(suite = self.key, "a push of a suite's ticket that is none of this suite, or old");
            }
            Err(error) => {
                tracing::error!(suite = self.key, %error, "the suite's ticket cannot be kept");
                return Heard::Later;
            }
        }
        Heard::Success
    }

    /// Takes a ticket out of what an event says. Whether there was one of this suite that counts now.
    async fn hear_ticket(&self, data: &Value) -> Result<bool, ConnectFault> {
        let either = |upper: &str, lower: &str| optional(data, upper).or_else(|| optional(data, lower));
        let own = either("SuiteKey", "suiteKey").is_none_or(|key| key == self.key);
        let Some(value) = either("SuiteTicket", "suiteTicket").filter(|_| own) else { return Ok(false) };
        let now = self.wire.clock().wall();
        let made = ["TimeStamp", "timeStamp"].into_iter().find_map(|member| match &data[member] {
            Value::Number(number) => millis(&number.to_string()),
            Value::String(text) => millis(text),
            _ => None,
        });
        // A time that is still to come would keep every later ticket out.
        let made = made.map_or(now, |made| UnixMillis(made.0.min(now.0)));
        self.take_ticket(&SuiteTicket { value: Secret::new(value), made }).await
    }

    /// Takes an event out of an envelope that was posted, and says what it is answered: a word, and for whom.
    pub(super) async fn hear_posted(&self, message: &str, owner: &str) -> Result<String, DingTalkFault> {
        let refused = |why: &str| DingTalkFault::new(Fault::Refused, format_args!("a push that is none: {why}"));
        let event: Value = serde_json::from_str(message).map_err(|_| refused("no event"))?;
        let kind = event["EventType"].as_str().ok_or_else(|| refused("no event"))?;
        let tries_out = matches!(kind, "check_create_suite_url" | "check_update_suite_url");
        if owner != self.key && !(tries_out && owner == UNNAMED_SUITE) {
            return Err(refused("for another application"));
        }
        if kind == "suite_ticket" {
            // One that came before and was not heard to have come is the same ticket: it counts. An older one is a replay.
            if !self.hear_ticket(&event).await? {
                return Err(refused("no ticket of this suite, or an old one"));
            }
            tracing::info!(suite = self.key, "DingTalk pushed the suite's ticket");
        }
        // Older consoles want the random word back that they send when an address is tried out; newer ones send none.
        Ok(optional(&event, "Random").filter(|_| tries_out).unwrap_or_else(|| "success".to_owned()))
    }

    /// Its events come over HTTP: the console knows one way or the other.
    pub(super) fn expect_posts(&self) {
        self.is_posted.store(true, Ordering::Relaxed);
    }

    /// A login server takes it on.
    pub(super) fn attend(self: &Arc<Self>, shelf: &Arc<dyn Shelf>) -> Option<Arc<dyn Background>> {
        self.keeper.attend(shelf);
        self.shared.attend(shelf);
        self.is_streamed().then(|| Arc::clone(self) as Arc<dyn Background>)
    }

    pub(super) fn is_streamed(&self) -> bool {
        !self.is_posted.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Background for Suite {
    fn id(&self) -> String {
        let hosts = self.wire.hosts();
        let parts = [&self.key, self.secret.expose(), &hosts.api].map(|part| crypto::sha256(&[part.as_bytes()]));
        format!("dingtalk suite {}", base64url::encode(crypto::sha256(&[&parts[0], &parts[1], &parts[2]])))
    }

    /// Hears the suite's events: DingTalk's pushes of its ticket.
    async fn run(&self) {
        self.events().run(|event| async move { self.hear(&event).await }).await;
    }
}
