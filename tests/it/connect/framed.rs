//! What a page needs to show a provider's page in a frame: given to pages of listed origins, for providers that can be framed.

use std::sync::Arc;

use async_trait::async_trait;
use loopkey::connectors::{Beginning, Begun, Claim, ConnectFault, Connector, Identified, Returned};
use loopkey::login::{ConfiguredConnector, LoginConfig, NewAccounts};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, StoreUrl};
use serde_json::json;

use super::provider::Provider;
use super::{PAGE, Stage, assert_signed_in, connectors};
use crate::login::http::Call;
use crate::login::{ISSUER, Server, clock, config};

/// Says who came by what is in the address, and whether that was a frame.
#[derive(Debug)]
struct Framed;

#[async_trait]
impl Connector for Framed {
    fn kind(&self) -> &'static str {
        "framed"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Name]
    }

    fn frame_origin(&self) -> Option<&str> {
        Some("https://frame.example.com")
    }

    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
        let location = format!("https://frame.example.com/?state={}&frame={}", beginning.state, beginning.embedded);
        Ok(Begun { location, kept: [("frame".to_owned(), beginning.embedded.to_string())].into() })
    }

    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
        let id = format!("{}-{}", returned.parameter("who").expect("somebody").expose(), returned.kept["frame"]);
        let (name, details, kept) = (Some(id.clone()), Default::default(), Default::default());
        Ok(Identified { tenant: String::new(), id, name, avatar: None, details, kept })
    }
}

async fn stage() -> Stage {
    let (provider, clock) = (Provider::start().await, clock());
    let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let mut connectors = connectors(&clock, &provider.inner.issuer);
    connectors.push(ConfiguredConnector {
        name: "framed".parse().expect("a name"),
        label: DisplayName::clean("Framed").expect("a label"),
        connector: Arc::new(Framed),
        accounts: NewAccounts::Create,
        verifies: UserVerification::Page,
    });
    let server = Server::start_configured(LoginConfig { connectors, ..config() }, store, clock).await;
    Stage { server, provider }
}

#[tokio::test]
async fn d12_a_page_is_told_what_to_show_and_whom_to_hear() {
    let stage = stage().await;
    let mut browser = stage.server.browser();
    let listed = browser.get("/v1/connectors").await.json();
    let framed = |at: usize| listed["connectors"][at]["framed"].clone();
    assert_eq!((framed(0), framed(3)), (json!(false), json!(true)), "{listed}");

    let told = browser.post("/v1/connect/framed/frame", json!({ "return_to": PAGE })).await.json();
    assert_eq!(told["frame_origin"], "https://frame.example.com");
    assert_eq!(told["redirect_uri"], format!("{ISSUER}/v1/connect/framed/callback"));
    let location: url::Url = told["location"].as_str().expect("a location").parse().expect("an address");
    assert!(location.as_str().ends_with("&frame=true"), "{location}");
    let state = location.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let with = [("state", state.as_str()), ("who", "ada")];
    assert_signed_in(&stage.come_back(&mut browser, "framed", &with).await);
    assert_eq!(browser.get("/v1/session").await.json()["name"], "ada-true");
    // As everywhere: it counts once, and in the browser that began.
    let again = stage.come_back(&mut browser, "framed", &with).await;
    assert_eq!(again.header("location"), None, "{again:?}");
    let told = browser.post("/v1/connect/framed/frame", json!({ "return_to": PAGE })).await.json();
    let location = told["location"].as_str().expect("a location").to_owned();
    let state = location.split(['=', '&']).nth(1).expect("a state");
    let stolen = stage.come_back(&mut stage.server.browser(), "framed", &[("state", state), ("who", "eve")]).await;
    assert_eq!(stolen.header("location"), None, "{stolen:?}");
}

#[tokio::test]
async fn a_frame_is_for_pages_of_listed_origins_and_providers_that_have_one() {
    let stage = stage().await;
    let mut browser = stage.server.browser();
    let ask = json!({ "return_to": PAGE });
    browser.post("/v1/connect/corp/frame", ask.clone()).await.expect_error(404, "unsupported");
    browser.post("/v1/connect/nobody/frame", ask.clone()).await.expect_error(404, "not_found");
    let elsewhere = json!({ "return_to": "https://evil.example/" });
    browser.post("/v1/connect/framed/frame", elsewhere).await.expect_error(400, "bad_request");
    let foreign = Call::new("POST", "/v1/connect/framed/frame").header("Origin", "https://evil.example").json(&ask);
    foreign.send(stage.server.address).await.expect_error(403, "forbidden");
    let nobody = Call::new("POST", "/v1/connect/framed/frame").json(&ask);
    nobody.send(stage.server.address).await.expect_error(403, "forbidden");
    assert!(browser.cookies.is_empty(), "nothing was begun");
}
