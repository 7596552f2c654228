//! What the demo can have beside the agent: identity providers, a simulated DingTalk among them.

use std::sync::Arc;

use super::dingtalk::{FakeDingTalk, Kind, User};
use super::people::PEOPLE;
use crate::agent::Browser;
use crate::clock::{Clock, SystemClock};
use crate::connectors;
use crate::connectors::dingtalk::{Credentials, Dialect, DingTalk, Edition, PageDigest, Settings, Table};
use crate::crypto::{self, Secret};
use crate::login::{ConfiguredConnector, NewAccounts};
use crate::protocol::base64url;
use crate::protocol::issuer::Issuer;
use crate::protocol::statement::UserVerification;
use crate::store::DisplayName;

/// What else a demo has. Nothing, unless it is said.
#[derive(Default)]
pub struct Beside {
    /// Opens pages, in the place of the default browser.
    pub browser: Option<Arc<dyn Browser>>,
    /// Providers that people can sign in with.
    pub connectors: Vec<ConfiguredConnector>,
    /// A simulated DingTalk is started, and people can sign in with it.
    pub dingtalk: bool,
}

const CORP: &str = "dingdemocorp0001";
const APP: &str = "dingdemoapp012345678";

/// A DingTalk whose pages ask who it is; everybody of the demo is a member of its one organisation.
pub(super) async fn dingtalk(issuer: &Issuer) -> anyhow::Result<(FakeDingTalk, ConfiguredConnector)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let fake = FakeDingTalk::start(Arc::clone(&clock)).await?;
    let secret = base64url::encode(crypto::random::<48>());
    let name = "dingtalk";
    {
        let mut state = fake.state();
        state.asks_who = true;
        let users = &mut state.corps.entry(CORP.to_owned()).or_default().users;
        for person in &PEOPLE {
            let user = User {
                unionid: format!("union-{}", person.id),
                name: person.name.to_owned(),
                avatar: None,
                mobile: None,
                email: Some(format!("{}@tidemark.example", person.id)),
                departments: vec![1],
            };
            users.insert(person.id.to_owned(), user);
        }
        let app = state.app(APP, &secret, Kind::Internal { corp: CORP.to_owned() });
        app.redirects.insert(issuer.endpoint(&format!("/v1/connect/{name}/callback")));
    }
    let table = Table {
        app_key: APP.to_owned(),
        corp_id: CORP.to_owned(),
        agent_id: Some(1_234_567_890),
        credentials: Credentials::App,
        dialect: Dialect::New,
        page_digest: PageDigest::Sha256,
        edition: Edition::China,
        hosts: Some(fake.hosts()),
    };
    let settings = Settings::new(table, Secret::new(secret))?;
    let connector = ConfiguredConnector {
        name: name.parse()?,
        label: DisplayName::clean("DingTalk · 钉钉")?,
        connector: Arc::new(DingTalk::new(settings, connectors::http(true)?, clock)?),
        accounts: NewAccounts::Create,
        verifies: UserVerification::Page,
    };
    Ok((fake, connector))
}
