//! 免登: a code that a page gets inside DingTalk's own client.

use loopkey::connectors::dingtalk::Dialect;
use loopkey::connectors::{Connector as _, Fault};
use loopkey::crypto::Secret;

use super::{APP, CORP, OTHER_CORP, Stand, class};

#[tokio::test]
async fn c01_a_code_of_the_embedding_client_says_who_it_is() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let person = connector.exchange(&stand.code("ada")).await.expect("a person");
    assert_eq!((person.tenant.as_str(), person.id.as_str(), person.name.as_deref()), (CORP, "ada", Some("艾达")));
    assert_eq!(person.avatar.as_deref(), Some("https://static.example.com/a.png"));
    assert_eq!(person.details["union_id"], "union1");
    assert_eq!(person.details["departments"], "1,20");
    assert!(!format!("{person:?}").contains("ada"), "nobody's data show in a log");
}

#[tokio::test]
async fn c05_the_old_call_behind_a_flag() {
    let stand = Stand::start().await;
    let connector = stand.connector(|table| table.dialect = Dialect::Old);
    let person = connector.exchange(&stand.code("ada")).await.expect("a person");
    assert_eq!((person.id.as_str(), person.details["email"].as_str()), ("ada", "p1@corp.example"));
    assert_eq!((stand.fake.calls("/user/getuserinfo"), stand.fake.calls("/user/get")), (1, 1));
    // Errors are told, and make nobody of somebody.
    let fault = connector.exchange(&Secret::new("never-given-out".into())).await.expect_err("no code");
    assert_eq!(fault.fault, Fault::Code);
    assert!(fault.to_string().contains("40078"), "{fault}");
}

#[tokio::test]
async fn c06_everything_that_dingtalk_told_is_kept() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let visitor = connector.visitor(&stand.code("ada")).await.expect("a visitor");
    assert_eq!((visitor.userid.as_str(), visitor.unionid.as_deref(), visitor.level), ("ada", Some("union1"), Some(0)));
    assert_eq!(visitor.raw["associated_unionid"], "a1");
    assert_eq!(visitor.raw["device_id"], "d1");
    let person = connector.person("ada").await.expect("a person");
    assert_eq!((person.raw["senior"].as_bool(), person.hired), (Some(false), Some(1_597_573_616_828)));
    // What the application may not see is missing, and that is no fault.
    let shy = connector.person("bei").await.expect("a person");
    assert_eq!((shy.avatar, shy.mobile, shy.email), (None, None, None));
}

#[tokio::test]
async fn c08_a_sign_in_is_one_exchange_and_one_look() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    for _ in 0..3 {
        connector.exchange(&stand.code("ada")).await.expect("a person");
    }
    let calls = stand.fake.state().calls.clone();
    let of = |path: &str| calls.iter().filter(|call| *call == path).count();
    assert_eq!((of("/topapi/v2/user/getuserinfo"), of("/topapi/v2/user/get"), of("/gettoken")), (3, 3, 1));
    assert_eq!(calls.len(), 7, "{calls:?}");
}

#[tokio::test]
async fn i148_a_code_of_dingtalk_counts_once_for_five_minutes_and_for_one_application() {
    for wraps in [false, true] {
        let stand = Stand::start().await;
        stand.fake.state().wraps_everything = wraps;
        let connector = stand.connector(|_| {});
        let code = stand.code("ada");
        connector.exchange(&code).await.expect("a person");
        assert_eq!(class(connector.exchange(&code).await), Fault::Code, "again");
        let (young, old) = (stand.code("ada"), stand.code("ada"));
        stand.pass(299);
        connector.exchange(&young).await.expect("after 299 seconds");
        stand.pass(2);
        assert_eq!(class(connector.exchange(&old).await), Fault::Code, "after 301");
        let foreign = Secret::new(stand.fake.state().in_app_code(APP, OTHER_CORP, "eve"));
        assert_eq!(class(connector.exchange(&foreign).await), Fault::Tenant, "of another organisation");
        let other = Secret::new(stand.fake.state().in_app_code("dingotherapp", CORP, "ada"));
        assert_eq!(class(connector.exchange(&other).await), Fault::Code, "of another application");
        for none in [String::new(), "x".repeat(513)] {
            let asked = stand.fake.state().calls.len();
            assert_eq!(class(connector.exchange(&Secret::new(none)).await), Fault::Code);
            assert_eq!(stand.fake.state().calls.len(), asked, "what can be no code is not asked for");
        }
    }
}

#[tokio::test]
async fn a_person_whom_the_application_does_not_see_does_not_get_in() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let code = stand.code("bei");
    stand.fake.state().apps.get_mut(APP).expect("the app").blind_to.insert("bei".into());
    assert_eq!(class(connector.exchange(&code).await), Fault::Tenant);
    assert_eq!(connector.person("bei").await.expect_err("outside").fault, Fault::Refused);
    assert_eq!(connector.person("nobody").await.expect_err("unknown").fault, Fault::Tenant);
    assert_eq!(connector.person("").await.expect_err("none").code, "33012");
    // Somebody who left between the code and the look.
    let code = stand.code("ada");
    stand.fake.state().corps.get_mut(CORP).expect("the corp").users.remove("ada");
    assert_eq!(class(connector.exchange(&code).await), Fault::Tenant);
}
