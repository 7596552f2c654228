//! The older QR code for sites of third parties.

use loopkey::connectors::dingtalk::{Dialect, QrExchange, QrLogin};
use loopkey::connectors::{Claim, Connector as _, Fault};
use loopkey::crypto::Secret;
use serde_json::json;
use url::Url;

use super::browser::{begin, pairs, visit};
use super::{BACK, CORP, Stand, class, noted, secret};
use loopkey::demo::dingtalk::{Kind, Mischief};

const SITE: &str = "dingoaexample01234";

fn site(stand: &Stand, exchange: QrExchange) -> QrLogin {
    stand.fake.state().app(SITE, &secret(), Kind::Site).redirects.insert(BACK.into());
    stand.fake.state().person = Some((CORP.into(), "ada".into()));
    connector(stand, exchange, &secret())
}

fn connector(stand: &Stand, exchange: QrExchange, secret: &str) -> QrLogin {
    let keys = (SITE.to_owned(), Secret::new(secret.to_owned()));
    QrLogin::new(keys, exchange, stand.fake.hosts(), Stand::http(), stand.clock.clone()).expect("a connector")
}

/// A code, by way of DingTalk's own page.
async fn code(stand: &Stand, connector: &QrLogin) -> String {
    let (status, back, answer) = visit(&begin(connector, "s1", false).await).await;
    let back = back.unwrap_or_else(|| panic!("{status} {answer}"));
    let parameters = pairs(&back);
    assert!(back.as_str().starts_with(BACK) && parameters.contains(&("state".into(), "s1".into())));
    stand.fake.state().calls.clear();
    noted(parameters.into_iter().find(|(name, _)| name == "code").expect("a code").1).expose().clone()
}

#[tokio::test]
async fn e01_it_says_who_somebody_is_and_nothing_of_an_organisation() {
    let stand = Stand::start().await;
    let connector = site(&stand, QrExchange::Signed);
    assert_eq!((connector.claims(), connector.tenant()), (&[Claim::Name][..], None));
    let code = code(&stand, &connector).await;
    let person = stand.finish(&connector, &[("code", &code)]).await.expect("a person");
    assert_eq!((person.tenant.as_str(), person.id.as_str(), person.name.as_deref()), ("", "union1", Some("艾达")));
    assert_eq!(person.details.keys().collect::<Vec<_>>(), ["open_id"]);
    // It is no way into the micro-application.
    assert_eq!(connector.exchange(&Secret::new(code)).await.expect_err("no such thing").fault, Fault::Unsupported);
}

#[tokio::test]
async fn e03_the_frames_address_is_encoded_exactly_twice() {
    let stand = Stand::start().await;
    let connector = site(&stand, QrExchange::Signed);
    let location = begin(&connector, "a b%2B&c", true).await;
    let url: Url = location.parse().expect("an address");
    assert_eq!(url.path(), "/login/qrcode.htm");
    assert_eq!(url.origin().ascii_serialization(), stand.fake.hosts().login);
    let outer = pairs(&url);
    assert_eq!(outer.len(), 1, "nothing of the inner address leaked out: {outer:?}");
    let goto: Url = outer[0].1.parse().expect("an address");
    assert_eq!(goto.path(), "/connect/oauth2/sns_authorize");
    assert_eq!(
        pairs(&goto),
        [
            ("appid".into(), SITE.into()),
            ("response_type".into(), "code".into()),
            ("scope".into(), "snsapi_login".into()),
            ("state".into(), "a b%2B&c".into()),
            ("redirect_uri".into(), BACK.to_owned()),
        ]
    );
}

#[tokio::test]
async fn e02_e05_the_frame_gives_a_word_and_the_page_goes_on_with_it() {
    let stand = Stand::start().await;
    let connector = site(&stand, QrExchange::Signed);
    let location = begin(&connector, "s2", true).await;
    let (status, _, page) = visit(&location).await;
    assert_eq!(status, 200);
    let word = page.split("postMessage(\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a bare word");
    let goto = pairs(&location.parse().expect("an address")).remove(0).1;
    let (status, back, _) = visit(&format!("{goto}&loginTmpCode={word}")).await;
    let back = back.expect("back at the site");
    assert_eq!((status, &back[..url::Position::AfterPath]), (302, BACK));
    let parameters = pairs(&back);
    assert!(parameters.contains(&("state".into(), "s2".into())));
    let code = &parameters.iter().find(|(name, _)| name == "code").expect("a code").1;
    assert_eq!(stand.finish(&connector, &[("code", code)]).await.expect("a person").id, "union1");
    let (again, none, _) = visit(&format!("{goto}&loginTmpCode={word}")).await;
    assert_eq!((again, none), (400, None), "the word counts once");
}

#[tokio::test]
async fn e06_e07_e08_e09_by_way_of_a_persistent_code_which_is_not_kept() {
    let stand = Stand::start().await;
    let connector = site(&stand, QrExchange::Persistent);
    let first = code(&stand, &connector).await;
    let person = stand.finish(&connector, &[("code", &first)]).await.expect("a person");
    assert_eq!((person.id.as_str(), person.name.as_deref()), ("union1", Some("艾达")));
    assert!(person.kept.is_empty() && person.details.keys().eq(["open_id"]), "no persistent code is kept");
    let steps = ["/sns/gettoken", "/sns/get_persistent_code", "/sns/get_sns_token", "/sns/getuserinfo"];
    assert_eq!(stand.fake.state().calls, steps);
    // The token is kept, and thrown away when it is not taken any more.
    let second = code(&stand, &connector).await;
    stand.finish(&connector, &[("code", &second)]).await.expect("a person");
    assert_eq!(stand.fake.state().calls, steps[1..]);
    let third = code(&stand, &connector).await;
    stand.fake.state().forget_tokens();
    stand.finish(&connector, &[("code", &third)]).await.expect("a person");
    assert_eq!(stand.fake.calls("/sns/gettoken"), 1);
    assert_eq!(class(stand.finish(&connector, &[("code", &third)]).await), Fault::Code, "again");
}

#[tokio::test]
async fn e07_what_is_wrong_with_a_signed_call_is_told_apart() {
    let stand = Stand::start().await;
    let right = site(&stand, QrExchange::Signed);
    let code = code(&stand, &right).await;
    let wrong = connector(&stand, QrExchange::Signed, &"w".repeat(64));
    let fault = stand.finish(&wrong, &[("code", &code)]).await.expect_err("signed with another secret");
    assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains("853004"), "{fault}");
    let slow = loopkey::clock::ManualClock::at(loopkey::protocol::time::UnixMillis(super::NOW - 60_001));
    let keys = (SITE.to_owned(), Secret::new(secret()));
    let slow = QrLogin::new(keys, QrExchange::Signed, stand.fake.hosts(), Stand::http(), std::sync::Arc::new(slow));
    let fault = stand.finish(&slow.expect("a connector"), &[("code", &code)]).await.expect_err("another time");
    assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains("853002"), "{fault}");
    stand.finish(&right, &[("code", &code)]).await.expect("none of this used the code up");
    assert_eq!(class(stand.finish(&right, &[("code", &code)]).await), Fault::Code);
}

#[tokio::test]
async fn a_code_of_the_site_is_none_of_the_micro_application_and_the_other_way_round() {
    let stand = Stand::start().await;
    let connector = site(&stand, QrExchange::Signed);
    let micro = stand.connector(|table| table.dialect = Dialect::New);
    let code = code(&stand, &connector).await;
    assert_eq!(class(micro.exchange(&Secret::new(code.clone())).await), Fault::Code);
    assert_eq!(class(stand.finish(&micro, &[("code", &code)]).await), Fault::Code);
    let in_app = stand.code("ada");
    assert_eq!(class(stand.finish(&connector, &[("code", in_app.expose())]).await), Fault::Code);
    assert_eq!(connector.front_end(), json!({ "app_id": SITE, "frame_origin": stand.fake.hosts().login }));
}

#[tokio::test]
async fn e08_e09_a_step_that_fails_is_told_with_its_code_and_makes_nobody() {
    for path in ["/sns/gettoken", "/sns/get_persistent_code", "/sns/get_sns_token", "/sns/getuserinfo"] {
        for (mischief, code) in [(Mischief::Strange, "77777"), (Mischief::Empty, "the answer has no")] {
            let stand = Stand::start().await;
            let connector = site(&stand, QrExchange::Persistent);
            let code_of_page = self::code(&stand, &connector).await;
            stand.fake.state().gate.spoil(path, mischief, 1);
            let fault = stand.finish(&connector, &[("code", &code_of_page)]).await.expect_err(path);
            assert!(fault.fault == Fault::Misbehaved && fault.to_string().contains(code), "{path}: {fault}");
            assert_eq!(stand.fake.state().calls.last().map(String::as_str), Some(path), "nothing is asked after it");
        }
    }
}

#[test]
fn e09_the_page_says_that_the_older_way_is_legacy() {
    let page = include_str!("../../../../docs/dingtalk.md");
    let section = page.split("## The older QR code for sites").nth(1).and_then(|rest| rest.split("\n## ").next());
    assert!(section.is_some_and(|section| section.contains("Legacy")), "not marked");
}
