//! DingTalk behind the login server's calls: a code of its own client, and its page, end in a session of the same account.

use std::sync::Arc;

use loopkey::connectors::dingtalk::{Dialect, QrExchange, QrLogin};
use loopkey::crypto::Secret;
use loopkey::demo::dingtalk::Kind;
use loopkey::login::{ConfiguredConnector, LoginConfig, NewAccounts};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, StoreUrl};
use serde_json::json;

use super::provider::Provider;
use super::{PAGE, Stage, assert_failed, assert_signed_in};
use crate::connectors::dingtalk::browser::{pairs, visit};
use crate::connectors::dingtalk::{APP, CORP, Stand};
use crate::login::browser::SESSION;
use crate::login::{ISSUER, Server, config};

/// A login server whose people sign in with DingTalk, as `ding`.
async fn stage(stand: &Stand) -> Stage {
    let back = format!("{ISSUER}/v1/connect/ding/callback");
    stand.fake.state().apps.get_mut(APP).expect("the application").redirects.insert(back);
    let connectors = vec![ConfiguredConnector {
        name: "ding".parse().expect("a name"),
        label: DisplayName::clean("钉钉").expect("a label"),
        connector: Arc::new(stand.connector(|table| table.dialect = Dialect::New)),
        accounts: NewAccounts::Create,
        verifies: UserVerification::Page,
    }];
    let store = loopkey::store::open(&StoreUrl::Memory, stand.clock.clone()).await.expect("a store");
    let server = Server::start_configured(LoginConfig { connectors, ..config() }, store, stand.clock.clone()).await;
    // The other provider is asked for nothing.
    Stage { server, provider: Provider::start().await }
}

#[tokio::test]
async fn c07_d10_f05_a_code_of_dingtalks_client_and_its_page_are_the_same_account() {
    let stand = Stand::start().await;
    let stage = stage(&stand).await;
    let listed = stage.server.browser().get(&format!("/v1/connectors?tenant={CORP}")).await.json();
    let way = &listed["connectors"][0];
    assert_eq!((&way["kind"], &way["in_app"], &way["tenant"]), (&json!("dingtalk"), &json!(true), &json!(CORP)));
    assert_eq!(way["front_end"]["app_key"], APP);

    let mut inside = stage.server.browser();
    let signed = inside.post("/v1/connect/ding/page", json!({ "url": PAGE })).await.json();
    assert_eq!(signed["corpId"], CORP);
    assert_eq!(signed["signature"].as_str().map(str::len), Some(64));
    let code = json!({ "code": stand.code("ada").expose() });
    assert_eq!(inside.post("/v1/connect/ding/code", code.clone()).await.status, 204);
    let session = inside.get("/v1/session").await.json();
    assert_eq!((&session["method"], &session["name"]), (&json!("connector:ding"), &json!("艾达")));
    let mut again = stage.server.browser();
    again.post("/v1/connect/ding/code", code).await.expect_error(401, "code_expired");

    stand.fake.state().person = Some((CORP.into(), "ada".into()));
    let mut outside = stage.server.browser();
    let location = stage.leave(&mut outside, "ding").await;
    let (status, back, answer) = visit(&location).await;
    assert_eq!(status, 302, "{answer}");
    let with = pairs(&back.expect("back"));
    assert_signed_in(&stage.come_back(&mut outside, "ding", &with).await);
    assert_eq!(outside.get("/v1/session").await.json()["account"], session["account"]);
    assert_eq!(inside.get("/v1/identities").await.json()["identities"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn d13_whoever_is_not_of_the_organisation_hears_one_sentence_and_gets_no_session() {
    let stand = Stand::start().await;
    let stage = stage(&stand).await;
    let mut browser = stage.server.browser();
    let location = stage.leave(&mut browser, "ding").await;
    stand.fake.state().person = Some((CORP.into(), "ada".into()));
    let (_, back, answer) = visit(&location).await;
    let with = pairs(&back.unwrap_or_else(|| panic!("{answer}")));
    // She left the organisation while DingTalk's page was open.
    stand.fake.state().corps.get_mut(CORP).expect("the organisation").users.remove("ada");
    assert_failed(&stage.come_back(&mut browser, "ding", &with).await, "access_refused");
    assert!(!browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn f11_the_sign_in_leads_back_to_the_page_that_wanted_it_and_to_no_foreign_one() {
    let stand = Stand::start().await;
    let stage = stage(&stand).await;
    stand.fake.state().person = Some((CORP.into(), "ada".into()));
    let mut browser = stage.server.browser();
    let asked = stand.fake.state().calls.len();
    for foreign in ["https://evil.example/", "https://app.example.com.evil.example/", "//evil.example/"] {
        let path = format!("/v1/connect/ding?{}", super::query(&[("return_to", foreign)]));
        super::assert_lost(&stage.navigate(&mut browser, &path, "none").await, "bad_request");
    }
    assert_eq!(stand.fake.state().calls.len(), asked, "nobody was sent to DingTalk");
    let location = stage.leave(&mut browser, "ding").await;
    let (_, back, answer) = visit(&location).await;
    let with = pairs(&back.unwrap_or_else(|| panic!("{answer}")));
    let answer = stage.come_back(&mut browser, "ding", &with).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(PAGE)));
    // What came back is a session, and stands in no address.
    assert!(browser.is_signed_in().await);
    assert!(!format!("{:?}", answer.header("location")).contains("ada"));
}

#[tokio::test]
async fn e05_the_older_qr_code_signs_in_and_its_state_counts_once_in_the_browser_that_began() {
    const SITE: &str = "dingoaexample01234";
    let stand = Stand::start().await;
    let secret = crate::connectors::dingtalk::secret();
    {
        let mut state = stand.fake.state();
        let back = format!("{ISSUER}/v1/connect/site/callback");
        state.app(SITE, &secret, Kind::Site).redirects.insert(back);
        state.person = Some((CORP.into(), "ada".into()));
    }
    for exchange in [QrExchange::Signed, QrExchange::Persistent] {
        let keys = (SITE.to_owned(), Secret::new(secret.clone()));
        let connector = QrLogin::new(keys, exchange, stand.fake.hosts(), Stand::http(), stand.clock.clone());
        let connectors = vec![ConfiguredConnector {
            name: "site".parse().expect("a name"),
            label: DisplayName::clean("钉钉扫码").expect("a label"),
            connector: Arc::new(connector.expect("a connector")),
            accounts: NewAccounts::Create,
            verifies: UserVerification::Page,
        }];
        let store = loopkey::store::open(&StoreUrl::Memory, stand.clock.clone()).await.expect("a store");
        let server = Server::start_configured(LoginConfig { connectors, ..config() }, store, stand.clock.clone()).await;
        let stage = Stage { server, provider: Provider::start().await };
        let listed = stage.server.browser().get("/v1/connectors").await;
        assert!(listed.body.contains("dingtalk_qr") && !listed.body.contains(&secret), "{listed:?}");
        let (mut browser, mut other) = (stage.server.browser(), stage.server.browser());
        stage.leave(&mut other, "site").await;
        let location = stage.leave(&mut browser, "site").await;
        let (_, back, answer) = visit(&location).await;
        let with = pairs(&back.unwrap_or_else(|| panic!("{answer}")));
        assert_signed_in(&stage.come_back(&mut browser, "site", &with).await);
        assert_eq!(browser.get("/v1/session").await.json()["method"], "connector:site");
        super::assert_lost(&stage.come_back(&mut browser, "site", &with).await, "sign_in_expired");
        // In another browser it would sign somebody else in.
        let location = stage.leave(&mut browser, "site").await;
        let (_, back, answer) = visit(&location).await;
        let with = pairs(&back.unwrap_or_else(|| panic!("{answer}")));
        super::assert_lost(&stage.come_back(&mut other, "site", &with).await, "sign_in_expired");
        assert!(!other.is_signed_in().await);
        stage.server.stop().await;
    }
}
