//! Everything that DingTalk says or does instead of answering, and the class that it is told under.

use std::time::Duration;

use loopkey::connectors::dingtalk::{Dialect, DingTalk, Hosts};
use loopkey::connectors::{Connector as _, Fault, Method};
use loopkey::crypto::Secret;
use serde_json::json;

use super::browser::{borrowed, there_and_back};
use super::{APP, CORP, OTHER_CORP, Stand, class, noted};
use loopkey::demo::dingtalk::{Ban, Mischief};

const VISITOR: &str = "/topapi/v2/user/getuserinfo";
const TICKETS: &str = "/v1.0/oauth2/jsapiTickets";

#[tokio::test]
async fn d13_the_four_causes_have_four_classes() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let foreign = noted(stand.fake.state().in_app_code(APP, OTHER_CORP, "eve"));
    let old = stand.code("ada");
    stand.pass(301);
    let wrong = loopkey::connectors::dingtalk::Settings::new(stand.table(), Secret::new("w".repeat(64)));
    let wrong = DingTalk::new(wrong.expect("sound"), Stand::http(), stand.clock.clone()).expect("a connector");
    let nowhere = Hosts { oapi: "http://127.0.0.1:9".into(), ..stand.fake.hosts() };
    let nowhere = stand.connector(|table| table.hosts = Some(nowhere));
    let classes = [
        class(wrong.exchange(&stand.code("ada")).await),
        class(connector.exchange(&foreign).await),
        class(connector.exchange(&old).await),
        class(nowhere.exchange(&stand.code("ada")).await),
    ];
    assert_eq!(classes, [Fault::Misconfigured, Fault::Tenant, Fault::Code, Fault::Unavailable]);
    let codes: std::collections::BTreeSet<_> = classes.iter().map(|fault| fault.code()).collect();
    assert_eq!(codes.len(), 4);
}

#[tokio::test]
async fn who_is_busy_once_or_three_times_is_asked_again_and_not_for_ever() {
    for (times, passes) in [(1, true), (3, true), (4, false), (u32::MAX, false)] {
        let stand = Stand::start().await;
        let connector = stand.connector(|_| {});
        stand.fake.state().gate.spoil(VISITOR, Mischief::Busy, times);
        let found = connector.exchange(&stand.code("ada")).await;
        assert_eq!(found.is_ok(), passes, "{times} times");
        if !passes {
            assert_eq!(class(found), Fault::Unavailable);
        }
        assert_eq!(stand.fake.calls(VISITOR), 4.min(times.saturating_add(1) as usize));
        stand.fake.state().gate.spoil(TICKETS, Mischief::Busy, times);
        assert_eq!(connector.page_ticket().await.is_ok(), passes, "500 systemBusy, {times} times");
    }
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_is_no_success_and_uses_nothing_up() {
    let stand = Stand::start().await;
    for (mischief, old, new) in [
        (Mischief::TooMany, None, Fault::Busy),
        (Mischief::QpsOfApp, None, Fault::Busy),
        (Mischief::QpmOfApp, None, Fault::Busy),
        (Mischief::QpsOfAll, Some(Fault::Busy), Fault::Busy),
        (Mischief::CutJson, Some(Fault::Misbehaved), Fault::Misbehaved),
        (Mischief::Html, Some(Fault::Busy), Fault::Busy),
        (Mischief::Empty, Some(Fault::Misbehaved), Fault::Misbehaved),
        (Mischief::Redirect, Some(Fault::Misbehaved), Fault::Misbehaved),
        (Mischief::BadGateway, Some(Fault::Unavailable), Fault::Unavailable),
        (Mischief::Strange, Some(Fault::Misbehaved), Fault::Misbehaved),
        (Mischief::Closed, Some(Fault::Unavailable), Fault::Unavailable),
        (Mischief::Never, Some(Fault::Unavailable), Fault::Unavailable),
        (Mischief::BrokenOff, Some(Fault::Unavailable), Fault::Unavailable),
    ] {
        let settings = stand.settings(|_| {}).patience(Duration::from_millis(300));
        let connector = DingTalk::new(settings, Stand::http(), stand.clock.clone()).expect("a connector");
        connector.access_token(Dialect::Old).await.expect("a token");
        connector.access_token(Dialect::New).await.expect("a token");
        if let Some(class_of_old) = old {
            let code = stand.code("ada");
            stand.fake.state().gate.spoil(VISITOR, mischief, 1);
            assert_eq!(class(connector.exchange(&code).await), class_of_old, "{mischief:?}");
            stand.pass(301);
        }
        stand.fake.state().gate.spoil(TICKETS, mischief, 1);
        assert_eq!(connector.page_ticket().await.expect_err("none").fault, new, "{mischief:?}");
        stand.pass(301);
        connector.page_ticket().await.expect("nothing of it was kept");
    }
}

#[tokio::test]
async fn a_lying_answer_is_nobody_and_has_an_end() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    stand.fake.state().gate.spoil("/topapi/v2/user/get", Mischief::Stranger, 2);
    assert_eq!(class(connector.exchange(&stand.code("ada")).await), Fault::Misbehaved, "somebody else's details");
    assert_eq!(connector.person("ada").await.expect_err("another person").fault, Fault::Misbehaved);
    stand.fake.state().gate.spoil("/topapi/user/listsimple", Mischief::Endless, u32::MAX);
    assert_eq!(connector.members(20).await.expect_err("no end").fault, Fault::Misbehaved);
    assert_eq!(stand.fake.calls("/topapi/user/listsimple"), 1);
    // Departments that are below each other are told once each.
    stand.fake.state().corps.get_mut(super::CORP).expect("the corp").departments.extend([
        loopkey::demo::dingtalk::Department { id: 20, name: "round".into(), parent: 21 },
        loopkey::demo::dingtalk::Department { id: 1, name: "and round".into(), parent: 30 },
    ]);
    let all = connector.all_departments(loopkey::connectors::dingtalk::ROOT).await.expect("an end");
    assert_eq!(all.iter().map(|department| department.id).collect::<Vec<_>>(), [20, 30, 21]);
}

#[tokio::test]
async fn a_ban_is_waited_out_and_not_made_longer() {
    for ban in [Ban::Json, Ban::Html] {
        let stand = Stand::start().await;
        let connector = stand.connector(|_| {});
        connector.access_token(Dialect::Old).await.expect("a token");
        stand.fake.state().gate.ban = ban;
        stand.fake.state().gate.burst = Some(1);
        assert_eq!(class(connector.exchange(&stand.code("ada")).await), Fault::Busy);
        let asked = stand.fake.state().calls.len();
        for _ in 0..10 {
            assert_eq!(class(connector.exchange(&stand.code("ada")).await), Fault::Busy);
            assert_eq!(connector.page_ticket().await.expect_err("none").fault, Fault::Busy);
        }
        assert_eq!(stand.fake.state().calls.len(), asked, "nobody is asked meanwhile");
        stand.fake.state().gate.burst = None;
        stand.pass(301);
        connector.exchange(&stand.code("ada")).await.expect("five minutes later");
    }
}

#[tokio::test]
async fn f12_too_many_in_a_second_is_told_as_that() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    stand.fake.state().gate.per_second = Some(1);
    connector.exchange(&stand.code("ada")).await.expect("the first");
    assert_eq!(class(connector.exchange(&stand.code("ada")).await), Fault::Busy);
    stand.pass(1);
    connector.exchange(&stand.code("ada")).await.expect("a second later");
}

#[tokio::test]
async fn what_an_administrator_has_to_mend_is_told_as_that() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    stand.fake.state().apps.get_mut(APP).expect("the app").is_listed = false;
    let fault = connector.exchange(&stand.code("ada")).await.expect_err("not on the list");
    assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains("60020"), "{fault}");
    let fault = connector.page_ticket().await.expect_err("not on the list");
    assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains("IpNotInWhiteList"), "{fault}");
    let app = |change: fn(&mut loopkey::demo::dingtalk::App)| {
        change(stand.fake.state().apps.get_mut(APP).expect("the app"));
    };
    app(|app| app.is_listed = true);
    app(|app| app.sees_contacts = false);
    let fault = connector.exchange(&stand.code("ada")).await.expect_err("no permission");
    assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains("60011"), "{fault}");
    let back = there_and_back(&stand, &connector, Some((CORP, "ada"))).await;
    let fault = stand.finish(&connector, &borrowed(&back)).await.expect_err("no permission");
    let says = "AccessTokenPermissionDenied";
    assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains(says), "{fault}");
}

#[tokio::test]
async fn numbers_may_be_text() {
    for dialect in [Dialect::New, Dialect::Old] {
        let stand = Stand::start().await;
        stand.fake.state().numbers_as_text = true;
        let connector = stand.connector(|table| table.dialect = dialect);
        let visitor = connector.visitor(&stand.code("ada")).await.expect("a visitor");
        assert_eq!(visitor.level, Some(0));
        assert_eq!(connector.person("ada").await.expect("a person").departments, [1, 20]);
        connector.page_ticket().await.expect("a ticket");
        let all = connector.all_departments(loopkey::connectors::dingtalk::ROOT).await.expect("departments");
        assert_eq!(all.iter().map(|department| department.parent).collect::<Vec<_>>(), [Some(1), Some(1), Some(20)]);
        connector.members(20).await.expect("members");
        assert_eq!(class(connector.exchange(&Secret::new("never-given-out".into())).await), Fault::Code);
        connector.access_token(dialect).await.expect("kept for its life");
        let fetched = stand.fake.calls("/gettoken") + stand.fake.calls("/v1.0/oauth2/accessToken");
        assert_eq!(fetched, if dialect == Dialect::New { 2 } else { 1 });
    }
}

/// The fake is as strict as the real one about where a token stands.
#[tokio::test]
async fn the_dialects_are_not_mixed() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let (old, new) = (connector.access_token(Dialect::Old).await, connector.access_token(Dialect::New).await);
    let (old, new) = (old.expect("a token"), new.expect("a token"));
    let hosts = stand.fake.hosts();
    let http = Stand::http();
    let post = async |url: String, header: Option<(&str, String)>| {
        let mut request = http.request(Method::POST, &url).expect("an address").json(&json!({}));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = http.send(request).await.expect("an answer");
        (answer.status, answer.json::<serde_json::Value>().expect("JSON"))
    };
    let tickets = format!("{}{TICKETS}", hosts.api);
    let bearer = Some(("Authorization", format!("Bearer {}", new.expose())));
    let (status, said) = post(tickets.clone(), bearer).await;
    assert_eq!((status, said["code"].as_str()), (400, Some("AuthenticationFailed.MissingParameter")));
    let (status, _) = post(format!("{tickets}?access_token={}", new.expose()), None).await;
    assert_eq!(status, 400);
    let (status, said) = post(tickets, Some(("x-acs-dingtalk-access-token", old.expose().clone()))).await;
    assert_eq!((status, said["code"].as_str()), (400, Some("InvalidAuthentication")));
    let (status, said) = post(format!("{}{VISITOR}?access_token={}", hosts.oapi, new.expose()), None).await;
    assert_eq!((status, said["errcode"].as_i64(), said["sub_code"].as_str()), (200, Some(88), Some("40014")));
    let header = Some(("x-acs-dingtalk-access-token", old.expose().clone()));
    let (_, said) = post(format!("{}{VISITOR}", hosts.oapi), header).await;
    assert_eq!(said["sub_code"].as_str(), Some("40000"));
    let (_, said) = post(format!("{}/gettoken", hosts.oapi), None).await;
    assert_eq!(said["errcode"].as_i64(), Some(40035));
    let (status, said) = post(format!("{}/v1.0/oauth2/nothing", hosts.api), None).await;
    assert_eq!((status, said["errcode"].as_i64()), (200, Some(404)));
    let (_, said) = post(format!("{}/topapi/nothing", hosts.oapi), None).await;
    assert_eq!(said["errcode"].as_i64(), Some(22));
}
