//! The application's own tokens and what it asks with them.

use futures::future::join_all;
use loopkey::connectors::dingtalk::{Credentials, Department, Dialect, ROOT, Settings};
use loopkey::connectors::{Connector as _, Fault};
use loopkey::crypto::Secret;

use super::{APP, CORP, Stand, class};
use loopkey::demo::dingtalk::User;

#[tokio::test]
async fn c02_many_at_once_fetch_one_token_and_it_is_renewed_early() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let asking = (0..20).map(|_| connector.access_token(Dialect::New));
    let tokens: Vec<_> = join_all(asking).await.into_iter().map(|token| token.expect("a token")).collect();
    assert!(tokens.iter().all(|token| token.expose() == tokens[0].expose()));
    let fetches = || stand.fake.calls("/v1.0/oauth2/accessToken");
    assert_eq!(fetches(), 1);
    stand.pass(6_000);
    connector.access_token(Dialect::New).await.expect("a token");
    assert_eq!(fetches(), 1, "it counts for two hours");
    stand.pass(200);
    let renewed = connector.access_token(Dialect::New).await.expect("a token");
    assert_eq!((fetches(), renewed.expose()), (2, tokens[0].expose()), "the same one, renewed before its end");
    // The old interface has another one.
    let old = connector.access_token(Dialect::Old).await.expect("a token");
    assert!(old.expose() != renewed.expose() && stand.fake.calls("/gettoken") == 1);
}

#[tokio::test]
async fn c02_a_token_that_is_not_taken_any_more_is_fetched_anew_once() {
    for dialect in [Dialect::New, Dialect::Old] {
        let stand = Stand::start().await;
        let connector = stand.connector(|table| table.dialect = dialect);
        connector.person("ada").await.expect("a person");
        connector.page_ticket().await.expect("a ticket");
        stand.fake.state().forget_tokens();
        // Wrapped where it is `topapi`, plain where it is not, `InvalidAuthentication` in the new interface.
        connector.person("ada").await.expect("with another token");
        stand.pass(7_000);
        stand.fake.state().forget_tokens();
        connector.page_ticket().await.expect("with another token");
        connector.person("ada").await.expect("with another token");
        // A provider that takes no token at all is not asked without end.
        let asked = stand.fake.state().calls.len();
        stand.fake.state().apps.get_mut(APP).expect("the app").secret = "another".into();
        stand.fake.state().forget_tokens();
        assert_eq!(connector.person("ada").await.expect_err("no token").fault, Fault::Misconfigured);
        assert_eq!(stand.fake.state().calls.len(), asked + 2, "the call, and one try for a token");
    }
}

#[tokio::test]
async fn c02_a_token_at_the_newer_address() {
    let stand = Stand::start().await;
    let connector = stand.connector(|table| table.credentials = Credentials::AppOfCorp);
    connector.access_token(Dialect::New).await.expect("a token");
    connector.page_ticket().await.expect("a ticket");
    assert_eq!(stand.fake.calls(&format!("/v1.0/oauth2/{CORP}/token")), 1);
    let elsewhere = stand.connector(|table| {
        table.credentials = Credentials::AppOfCorp;
        table.corp_id = super::OTHER_CORP.into();
    });
    assert_eq!(elsewhere.access_token(Dialect::New).await.expect_err("not its corp").fault, Fault::Misconfigured);
}

#[tokio::test]
async fn f02_the_oldest_secret_is_the_organisations() {
    let stand = Stand::start().await;
    let connector = stand.connector(|table| {
        table.app_key.clear();
        table.credentials = Credentials::CorpSecret;
        table.dialect = Dialect::Old;
    });
    connector.access_token(Dialect::Old).await.expect("a token");
    let person = connector.exchange(&stand.code("ada")).await.expect("a person");
    assert_eq!(person.id, "ada");
    let fault = connector.access_token(Dialect::New).await.expect_err("none");
    assert_eq!(fault.fault, Fault::Unsupported);
}

#[tokio::test]
async fn c03_a_wrong_key_or_secret_says_so_in_every_dialect() {
    let stand = Stand::start().await;
    let wrong = |credentials, dialect| {
        let mut table = stand.table();
        table.credentials = credentials;
        table.dialect = dialect;
        if credentials == Credentials::CorpSecret {
            table.app_key.clear();
        }
        let settings = Settings::new(table, Secret::new("w".repeat(64))).expect("sound to look at");
        loopkey::connectors::dingtalk::DingTalk::new(settings, Stand::http(), stand.clock.clone()).expect("a connector")
    };
    for (credentials, dialect, code) in [
        (Credentials::App, Dialect::Old, "40096"),
        (Credentials::CorpSecret, Dialect::Old, "40089"),
        (Credentials::App, Dialect::New, "invalidClientIdOrSecret"),
        (Credentials::AppOfCorp, Dialect::New, "invalid.client"),
    ] {
        let fault = wrong(credentials, dialect).access_token(dialect).await.expect_err("refused");
        assert_eq!(fault.fault, Fault::Misconfigured);
        assert!(fault.to_string().contains(code), "{fault}");
        assert!(!fault.to_string().contains("wwww"), "{fault}");
    }
    let code = stand.code("ada");
    assert_eq!(class(wrong(Credentials::App, Dialect::New).exchange(&code).await), Fault::Misconfigured);
}

#[tokio::test]
async fn d06_departments_level_by_level_and_members_page_by_page() {
    let stand = Stand::start().await;
    {
        let mut state = stand.fake.state();
        let users = &mut state.corps.get_mut(CORP).expect("the corp").users;
        for number in 0..250 {
            let (unionid, name) = (format!("many{number}"), format!("n{number}"));
            let user = User { unionid, name, avatar: None, mobile: None, email: None, departments: vec![30] };
            users.insert(format!("many{number:03}"), user);
        }
    }
    for dialect in [Dialect::New, Dialect::Old] {
        let connector = stand.connector(|table| table.dialect = dialect);
        let top = connector.departments(ROOT).await.expect("departments");
        assert_eq!(top.iter().map(|d| d.id).collect::<Vec<_>>(), [20, 30]);
        assert_eq!(top[0], Department { id: 20, name: "研发部".into(), parent: Some(1) });
        let all = connector.all_departments(ROOT).await.expect("departments");
        assert_eq!(all.iter().map(|d| d.id).collect::<Vec<_>>(), [20, 30, 21]);
        let fault = connector.departments(99).await.expect_err("none");
        assert_eq!((fault.code.as_str(), fault.fault), ("60003", Fault::Refused));
        assert_eq!(connector.members(30).await.expect("members").len(), 250);
        assert_eq!(connector.members(20).await.expect("members"), ["ada", "bei"]);
    }
    // The old sample's number below zero: no number, and so the root's.
    let old = stand.connector(|table| table.dialect = Dialect::Old);
    assert_eq!(old.departments(-1).await.expect("departments").len(), 2);
}
