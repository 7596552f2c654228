//! A connector from outside the crate, with everything that one may have: a tenant, a front end, codes from inside its own
//! application, and a page's configuration.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use loopkey::connectors::{
    Background, Beginning, Begun, Claim, ConnectFault, Connector, Fault, Identified, Posted, Returned, Shelf,
};
use loopkey::crypto::Secret;
use loopkey::login::{ConfiguredConnector, LoginConfig, NewAccounts, RateLimits};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, StoreUrl};
use serde_json::{Value, json};

use super::{PAGE, query};
use crate::login::browser::{Browser, SESSION};
use crate::login::http::Call;
use crate::login::{Server, clock, config, no_limits};

/// The badge at the door: who shows a number is that person.
#[derive(Debug)]
struct Badges {
    secret: Secret<String>,
    shelf: Mutex<Option<Arc<dyn Shelf>>>,
}

#[async_trait]
impl Connector for Badges {
    fn kind(&self) -> &'static str {
        "badges"
    }

    fn tenant(&self) -> Option<&str> {
        Some("corp-7")
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Name, Claim::Tenant]
    }

    fn is_in_app(&self) -> bool {
        true
    }

    fn front_end(&self) -> Value {
        json!({ "app_key": "public" })
    }

    fn attend(&self, shelf: &Arc<dyn Shelf>) -> Option<Arc<dyn Background>> {
        *self.shelf.lock().expect("a shelf") = Some(Arc::clone(shelf));
        None
    }

    /// The badge office posts who came in last.
    async fn event(&self, posted: &Posted<'_>) -> Result<Value, ConnectFault> {
        let is_the_offices = posted.parameters.get("key").is_some_and(|key| key.expose() == self.secret.expose());
        if !is_the_offices {
            return Err(ConnectFault::new(Fault::Refused, "not the badge office"));
        }
        let shelf = self.shelf.lock().expect("a shelf").clone().expect("attended");
        let former = shelf.read("badges last").await?;
        let text = String::from_utf8_lossy(posted.body.expose()).into_owned();
        let is_kept = shelf.write("badges last", former.as_deref(), text).await?;
        Ok(json!({ "former": former, "kept": is_kept, "at": posted.now.0 }))
    }

    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
        let location = format!("https://badges.example/?state={}", beginning.state);
        Ok(Begun { location, kept: BTreeMap::from([("door".to_owned(), "3".to_owned())]) })
    }

    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
        assert_eq!(returned.kept["door"], "3");
        self.exchange(returned.parameter("badge").ok_or(Fault::Code)?).await
    }

    async fn exchange(&self, code: &Secret<String>) -> Result<Identified, ConnectFault> {
        let (tenant, id) = code.expose().split_once('/').ok_or(Fault::Code)?;
        if tenant != "corp-7" {
            return Err(ConnectFault::new(Fault::Tenant, "a badge of another company"));
        }
        let (tenant, id, name) = (tenant.to_owned(), id.to_owned(), Some("Somebody with a badge".to_owned()));
        Ok(Identified { tenant, id, name, avatar: None, details: BTreeMap::new(), kept: BTreeMap::new() })
    }

    async fn page_configuration(&self, page: &str) -> Result<Value, ConnectFault> {
        Ok(json!({ "signed": page, "length": self.secret.expose().len() }))
    }
}

fn badges() -> Arc<Badges> {
    let secret = Secret::new("a planted secret of badges".to_owned());
    Arc::new(Badges { secret, shelf: Mutex::default() })
}

async fn server(limits: RateLimits) -> Server {
    server_with(badges(), limits).await
}

async fn server_with(badges: Arc<Badges>, limits: RateLimits) -> Server {
    let clock = clock();
    let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let door = ConfiguredConnector {
        name: "door".parse().expect("a name"),
        label: DisplayName::clean("Badge").expect("a label"),
        connector: badges,
        accounts: NewAccounts::Create,
        verifies: UserVerification::Page,
    };
    Server::start_configured(LoginConfig { connectors: vec![door], limits, ..config() }, store, clock).await
}

#[tokio::test]
async fn d07_d14_a_connector_of_somebody_elses_signs_in_with_a_code_of_its_application() {
    let server = server(no_limits()).await;
    let mut browser = server.browser();
    let code = |code: &str| json!({ "code": code });
    assert_eq!(browser.post("/v1/connect/door/code", code("corp-7/ada")).await.status, 204);
    assert!(browser.cookies.contains_key(SESSION));
    let session = browser.get("/v1/session").await.json();
    assert_eq!((&session["method"], &session["name"]), (&json!("connector:door"), &json!("Somebody with a badge")));
    let account = session["account"].clone();
    for (wrong, status, error) in [("nonsense", 401, "code_expired"), ("corp-8/ada", 403, "other_organisation")] {
        let mut other = server.browser();
        other.post("/v1/connect/door/code", code(wrong)).await.expect_error(status, error);
        assert!(other.cookies.is_empty());
    }
    // The same person by the way of the browser.
    let mut other = server.browser();
    let navigate = |browser: &Browser, path: &str| {
        let pre = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        Call::new("GET", path).header("Cookie", &pre).header("Sec-Fetch-Site", "none")
    };
    let begun = navigate(&other, &format!("/v1/connect/door?{}", query(&[("return_to", PAGE)])));
    let begun = begun.send(server.address).await;
    other.keep(&begun);
    let state = begun.header("location").and_then(|to| to.split_once("state=")).expect("a state").1.to_owned();
    let back = format!("/v1/connect/door/callback?{}", query(&[("state", state.as_str()), ("badge", "corp-7/ada")]));
    let back = navigate(&other, &back).send(server.address).await;
    assert_eq!(back.header("location"), Some(PAGE));
    other.keep(&back);
    assert_eq!(other.get("/v1/session").await.json()["account"], account);
}

#[tokio::test]
async fn d05_f05_a_page_gets_what_its_script_needs_and_no_secret() {
    let server = server(no_limits()).await;
    let mut browser = server.browser();
    let answer = browser.post("/v1/connect/door/page", json!({ "url": format!("{PAGE}#here") })).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "signed": PAGE, "length": 26 })));
    browser
        .post("/v1/connect/door/page", json!({ "url": "https://evil.example/" }))
        .await
        .expect_error(400, "bad_request");
    let listed = browser.get("/v1/connectors?tenant=corp-7").await;
    let expected = json!([{
        "name": "door", "kind": "badges", "label": "Badge", "tenant": "corp-7", "claims": ["name", "tenant"],
        "front_end": { "app_key": "public" }, "in_app": true, "page": true, "framed": false,
    }]);
    assert_eq!(listed.json()["connectors"], expected);
    assert!(!listed.body.contains("planted"));
    browser.get("/v1/connectors?tenant=corp-8").await.expect_error(404, "not_found");
}

#[tokio::test]
async fn an_address_begins_as_many_sign_ins_as_it_may_call_and_no_foreign_page_uses_them_up() {
    let server = server(RateLimits { address_per_minute: 2, ..no_limits() }).await;
    let path = format!("/v1/connect/door?{}", query(&[("return_to", PAGE)]));
    let begin =
        async |site: &str| Call::new("GET", &path).header("Sec-Fetch-Site", site).send(server.address).await.status;
    let mut statuses = Vec::new();
    for site in ["cross-site", "cross-site", "cross-site", "none", "same-origin", "none"] {
        statuses.push(begin(site).await);
    }
    assert_eq!(statuses, [403, 403, 403, 303, 303, 429]);
}

#[tokio::test]
async fn d14_a_connector_of_somebody_elses_hears_events_and_keeps_something() {
    let badges = badges();
    let server = server_with(Arc::clone(&badges), no_limits()).await;
    let post = async |key: &str, body: &Value| {
        let path = format!("/v1/connect/door/events?{}", query(&[("key", key)]));
        Call::new("POST", &path).json(body).send(server.address).await
    };
    let key = "a planted secret of badges";
    for former in [Value::Null, json!("{\"last\":\"ada\"}")] {
        let answer = post(key, &json!({ "last": "ada" })).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({ "former": former, "kept": true, "at": crate::login::NOW }))
        );
    }
    post("guessed", &json!({ "last": "eve" })).await.expect_error(400, "bad_request");
    // More than a shelf holds: the connector's fault passes, and it may be posted again.
    let long = json!({ "last": "x".repeat(5000) });
    post(key, &long).await.expect_error(503, "provider_unavailable");
    // Of two writers who read the same, one writes.
    let shelf = badges.shelf.lock().expect("a shelf").clone().expect("attended");
    let kept = shelf.read("badges last").await.expect("a store");
    assert!(shelf.write("badges last", kept.as_deref(), "one".into()).await.expect("a store"));
    assert!(!shelf.write("badges last", kept.as_deref(), "two".into()).await.expect("a store"));
    assert!(!shelf.write("badges last", None, "three".into()).await.expect("a store"));
    assert_eq!(shelf.read("badges last").await.expect("a store").as_deref(), Some("one"));
    assert!(shelf.write("badges other", None, "another".into()).await.expect("a store"));
    // It lasts longer than any flow.
    server.clock.advance(std::time::Duration::from_secs(30 * 24 * 3600));
    assert_eq!(shelf.read("badges last").await.expect("a store").as_deref(), Some("one"));
    // A connector that outlives its server holds no store.
    let login = server.login.clone();
    server.stop().await;
    drop(login);
    assert_eq!(shelf.read("badges last").await.expect_err("gone").fault, Fault::Unavailable);
}
