//! Signing in at a provider: the login server, a provider, and a browser as far as both see one.

mod dingtalk;
mod example;
mod flow;
mod framed;
mod hostile;
mod identities;
mod logging_out;
mod own;
pub(crate) mod provider;
mod rechecked;
mod suite;

use std::sync::Arc;

use loopkey::connectors::oidc::{Oidc, OidcSettings};
use loopkey::crypto::Secret;
use loopkey::login::{ConfiguredConnector, LoginConfig, NewAccounts};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{SharedStore, StoreUrl};
use serde_json::{Value, json};

use crate::login::browser::Browser;
use crate::login::http::{Answer, Call};
use crate::login::{ISSUER, SERVICE_KEY, Server, clock, config};
use provider::{CLIENT, Provider, SECRET};

/// Where sign-ins begin and end.
pub(crate) const PAGE: &str = "https://app.example.com/documents?page=2";

/// A login server whose people sign in at a provider, as `corp`, and as `open` whoever they are.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) provider: Provider,
}

pub(crate) fn connectors(server: &Arc<loopkey::clock::ManualClock>, issuer: &str) -> Vec<ConfiguredConnector> {
    let make = |name: &str, accounts, userinfo| {
        let settings = OidcSettings {
            issuer: issuer.to_owned(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(Secret::new(SECRET.to_owned())),
            scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            userinfo,
            recheck: None,
        };
        let http = loopkey::connectors::http(true).expect("a client");
        ConfiguredConnector {
            name: name.parse().expect("a name"),
            label: loopkey::store::DisplayName::clean(&format!("The {name} account")).expect("a label"),
            connector: Arc::new(Oidc::new(settings, http, server.clone())),
            accounts,
            verifies: UserVerification::Prompt,
        }
    };
    vec![
        make("corp", NewAccounts::Linked, false),
        make("open", NewAccounts::Create, false),
        make("asked", NewAccounts::Create, true),
    ]
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::start_configured(config(), |store| store).await
    }

    /// Over the store that is made of the usual one.
    async fn start_configured(config: LoginConfig, over: impl FnOnce(SharedStore) -> SharedStore) -> Self {
        let (provider, clock) = (Provider::start().await, clock());
        let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
        let connectors = connectors(&clock, &provider.inner.issuer);
        let server = Server::start_configured(LoginConfig { connectors, ..config }, over(store), clock).await;
        Self { server, provider }
    }

    /// Ada has an account, to which her identity at the provider is linked.
    pub(crate) async fn with_ada() -> Self {
        Self::start().await.and_ada().await
    }

    async fn and_ada(self) -> Self {
        let stage = self;
        stage.server.backend("/v1/enrolment-tickets", json!({ "account": "ada", "name": "Ada" })).await;
        let identity =
            json!({ "connector": "corp", "tenant": stage.provider.inner.issuer, "external_id": "248289761001" });
        assert_eq!(stage.service("PUT", "/v1/accounts/ada/identities", Some(identity)).await.status, 204);
        stage
    }

    pub(crate) async fn service(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let call = Call::new(method, path).header("Authorization", &format!("Bearer {SERVICE_KEY}"));
        let call = body.iter().fold(call, |call, body| call.json(body));
        call.send(self.server.address).await
    }

    /// A navigation of a browser, from a page of that relation.
    pub(crate) async fn navigate(&self, browser: &mut Browser, path: &str, site: &str) -> Answer {
        let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let call = Call::new("GET", path).header("Sec-Fetch-Site", site).header("Sec-Fetch-Mode", "navigate");
        let call = if cookies.is_empty() { call } else { call.header("Cookie", &cookies.join("; ")) };
        let answer = call.send(self.server.address).await;
        browser.keep(&answer);
        answer
    }

    /// Leaves for the provider; where to.
    pub(crate) async fn leave(&self, browser: &mut Browser, connector: &str) -> String {
        let path = format!("/v1/connect/{connector}?{}", query(&[("return_to", PAGE)]));
        let answer = self.navigate(browser, &path, "same-origin").await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("location").expect("a location").to_owned()
    }

    /// Comes back from the provider.
    pub(crate) async fn come_back<K: AsRef<str>, V: AsRef<str>>(
        &self,
        browser: &mut Browser,
        connector: &str,
        with: &[(K, V)],
    ) -> Answer {
        let path = format!("/v1/connect/{connector}/callback?{}", query(with));
        self.navigate(browser, &path, "cross-site").await
    }

    /// A whole sign-in.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, connector: &str) -> Answer {
        let location = self.leave(browser, connector).await;
        let with = self.provider.authorize(&location);
        self.come_back(browser, connector, &with).await
    }
}

pub(crate) fn query<K: AsRef<str>, V: AsRef<str>>(pairs: &[(K, V)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Asserts that a browser was sent back to where it began.
#[track_caller]
pub(crate) fn assert_signed_in(answer: &Answer) {
    assert_eq!((answer.status, answer.header("location")), (303, Some(PAGE)), "{answer:?}");
}

/// Asserts that it was sent back with an error, and with no cookie.
#[track_caller]
pub(crate) fn assert_failed(answer: &Answer, code: &str) {
    let expected = format!("{PAGE}#loopkey_error={code}");
    assert_eq!((answer.status, answer.header("location")), (303, Some(expected.as_str())), "{answer:?}");
    assert_eq!(answer.all("set-cookie").count(), 0, "{answer:?}");
}

/// Asserts that it got the page that knows no way back.
#[track_caller]
pub(crate) fn assert_lost(answer: &Answer, code: &str) {
    assert!(answer.body.contains(&format!("data-error=\"{code}\"")), "{answer:?}");
    assert!(answer.body.contains("重新开始") && answer.body.contains("Start again"), "{answer:?}");
    assert!(answer.body.contains("href=\"https://app.example.com/\""), "{answer:?}");
    assert_eq!((answer.header("location"), answer.all("set-cookie").count()), (None, 0));
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
}

#[test]
fn the_stages_page_is_of_the_issuers_origin() {
    assert!(PAGE.starts_with(ISSUER.trim_end_matches("/loopkey")));
}
