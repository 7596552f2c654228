//! DingTalk (钉钉): an internal application, or a third party's in one organisation.
//!
//! Two ways lead to the same person, named by organisation and `userid`: a code that a page gets inside DingTalk's own client
//! (免登, no user name and no password), and DingTalk's page in any browser. [`DingTalk`] is also the client for what an
//! application asks besides: people and departments. Sites of third parties have [`QrLogin`].
//!
//! Nothing here believes a browser about who somebody is: a code is all that it brings.

mod admin_console;
mod brake;
mod browser;
mod callback;
mod departments;
mod fault;
mod keeper;
mod page;
mod people;
mod qr;
mod settings;
mod shared;
mod stream;
mod suite;
mod tokens;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    Background, Beginning, Begun, Claim, ConnectFault, Connector, Fault, Fetched, Guarded, Identified, Posted,
    Returned, Shelf, TokenCache,
};
use crate::clock::Clock;
use crate::crypto::{self, Secret};
use crate::protocol::base64url;
use page::Signing;
use tokens::{Tokens, fetched};
use wire::{Call, Wire};

pub use admin_console::{AdminConsole, Administrator};
pub use callback::Callback;
pub use departments::{Department, ROOT};
pub use fault::DingTalkFault;
pub use keeper::{InMemory, OnShelf, SuiteTicket, TicketKeeper};
pub use people::{Person, Visitor};
pub use qr::{QrExchange, QrLogin};
pub use settings::{BadSettings, Credentials, Dialect, Edition, Hosts, PageDigest, Settings, Table};
pub use stream::{Event, EventStream, Heard};
pub use suite::Suite;

/// DingTalk gives the same ticket again and again, each time for two hours, but ends it a day after it was made: which may have
/// been long before this program asked first. Nobody is told when a page's signature failed by that, so it is asked for often.
const TICKET_LIFE: Duration = Duration::from_secs(300);

/// One application in one organisation.
#[derive(Debug)]
pub struct DingTalk {
    settings: Settings,
    wire: Arc<Wire>,
    tokens: Tokens,
    ticket: TokenCache,
    suite: Option<Arc<Suite>>,
    callback: Option<Callback>,
}

impl DingTalk {
    /// An internal application.
    ///
    /// # Errors
    /// [`BadSettings::Suite`] where the settings are a suite's.
    pub fn new(settings: Settings, http: Guarded, clock: Arc<dyn Clock>) -> Result<Self, BadSettings> {
        let wire = Arc::new(Wire::new(http, settings.hosts.clone(), settings.limits, clock));
        Self::over(wire, settings, None)
    }

    /// A suite, for the organisations that opened it.
    ///
    /// # Errors
    /// [`BadSettings::Suite`] where the settings are no suite's.
    pub fn suite(
        settings: &Settings,
        http: Guarded,
        clock: Arc<dyn Clock>,
        keeper: Box<dyn TicketKeeper>,
    ) -> Result<Arc<Suite>, BadSettings> {
        if settings.credentials != Credentials::Suite {
            return Err(BadSettings::Suite);
        }
        let wire = Arc::new(Wire::new(http, settings.hosts.clone(), settings.limits, clock));
        Ok(Arc::new(Suite::new(settings.app_key.clone(), settings.app_secret.clone(), wire, keeper)))
    }

    /// A suite in the organisation of the settings.
    ///
    /// # Errors
    /// [`BadSettings`] where the settings are not that suite's.
    pub fn of_suite(settings: Settings, suite: &Arc<Suite>) -> Result<Self, BadSettings> {
        suite.admit(&settings)?;
        Self::over(Arc::clone(&suite.wire), settings, Some(Arc::clone(suite)))
    }

    /// Takes the suite's events over HTTP here, as its developer console says, and not in Stream mode.
    ///
    /// # Errors
    /// [`BadSettings::Callback`] where this is no suite.
    pub fn with_callback(mut self, callback: Callback) -> Result<Self, BadSettings> {
        self.suite.as_ref().ok_or(BadSettings::Callback)?.expect_posts();
        self.callback = Some(callback);
        Ok(self)
    }

    fn over(wire: Arc<Wire>, settings: Settings, suite: Option<Arc<Suite>>) -> Result<Self, BadSettings> {
        let tokens = Tokens::new(Arc::clone(&wire), &settings, suite.clone()).ok_or(BadSettings::Suite)?;
        let ticket = TokenCache::new(wire.clock(), Duration::MAX);
        Ok(Self { settings, wire, tokens, ticket, suite, callback: None })
    }

    /// The application's own token, for calls that are not here.
    ///
    /// # Errors
    /// [`ConnectFault`].
    pub async fn access_token(&self, dialect: Dialect) -> Result<Arc<Secret<String>>, ConnectFault> {
        self.tokens.get(dialect).await
    }

    /// The ticket under signatures of `dd.config`.
    ///
    /// # Errors
    /// [`ConnectFault`].
    pub async fn page_ticket(&self) -> Result<Arc<Secret<String>>, ConnectFault> {
        let fetch = async {
            let (call, ticket, life) = match self.settings.dialect {
                Dialect::New => (Call::bare_post(Dialect::New, "/v1.0/oauth2/jsapiTickets"), "jsapiTicket", "expireIn"),
                Dialect::Old => (Call::get(Dialect::Old, "/get_jsapi_ticket"), "ticket", "expires_in"),
            };
            let fetched = fetched(&self.tokens.call(&call).await?, ticket, life)?;
            Ok(Fetched { life: fetched.life.min(TICKET_LIFE), ..fetched })
        };
        self.ticket.get(fetch).await
    }

    /// Events of the application over a WebSocket that goes out from here (Stream mode).
    #[must_use]
    pub fn events(&self) -> EventStream {
        let (key, secret) = (self.settings.app_key.clone(), self.settings.app_secret.clone());
        EventStream::new(key, secret, Arc::clone(&self.wire))
    }
}

#[async_trait]
impl Connector for DingTalk {
    fn kind(&self) -> &'static str {
        "dingtalk"
    }

    fn tenant(&self) -> Option<&str> {
        Some(&self.settings.corp_id)
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Name, Claim::Avatar, Claim::Email, Claim::Phone, Claim::Tenant, Claim::Departments]
    }

    fn is_in_app(&self) -> bool {
        true
    }

    fn describe(&self) -> Value {
        let Settings { app_key, corp_id, agent_id, credentials, dialect, page_digest, hosts, .. } = &self.settings;
        json!({
            "kind": self.kind(), "tenant": corp_id, "claims": self.claims(),
            "app_key": app_key, "app_secret": "********", "agent_id": agent_id, "corp_id": corp_id,
            "credentials": credentials, "dialect": dialect, "page_digest": page_digest,
            "hosts": [hosts.oapi, hosts.api, hosts.login],
            "events": self.suite.as_ref().map(|suite| if suite.is_streamed() { "stream" } else { "callback" }),
        })
    }

    fn has_page(&self) -> bool {
        self.settings.credentials != Credentials::CorpSecret
    }

    fn frame_origin(&self) -> Option<&str> {
        self.has_page().then_some(self.settings.hosts.login.as_str())
    }

    /// What `dd.requestAuthCode` and the frame want to know.
    fn front_end(&self) -> Value {
        let Settings { app_key, corp_id, .. } = &self.settings;
        json!({ "app_key": app_key, "corp_id": corp_id, "frame_origin": self.frame_origin() })
    }

    fn attend(&self, shelf: &Arc<dyn Shelf>) -> Option<Arc<dyn Background>> {
        self.suite.as_ref()?.attend(shelf)
    }

    async fn event(&self, posted: &Posted<'_>) -> Result<Value, ConnectFault> {
        let (Some(suite), Some(callback)) = (&self.suite, &self.callback) else {
            return Err(Fault::Unsupported.into());
        };
        let opened = callback.open(posted)?;
        let answer = suite.hear_posted(opened.message.expose(), &opened.owner).await?;
        Ok(callback.seal(&answer, &opened.owner, self.wire.clock().wall()))
    }

    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
        Ok(Begun { location: self.authorize(beginning)?, kept: BTreeMap::new() })
    }

    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
        let userid = self.member_with(browser::code(returned)?).await?;
        Ok(self.identified(self.person(&userid).await?))
    }

    async fn exchange(&self, code: &Secret<String>) -> Result<Identified, ConnectFault> {
        let visitor = self.visitor(code).await?;
        Ok(self.identified(self.person(&visitor.userid).await?))
    }

    async fn page_configuration(&self, page: &str) -> Result<Value, ConnectFault> {
        let ticket = self.page_ticket().await?;
        let nonce = base64url::encode(crypto::random::<12>());
        let timestamp = self.wire.clock().timestamp().0;
        let signing = Signing { ticket: ticket.expose(), nonce: &nonce, timestamp, digest: self.settings.page_digest };
        Ok(signing.configuration(page, &self.settings.corp_id, self.settings.agent_id)?)
    }
}
