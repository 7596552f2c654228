//! `dd.config`: the ticket and the signature, taken by the client that computes it anew.

use loopkey::connectors::dingtalk::{Dialect, PageDigest};
use loopkey::connectors::{Connector as _, Fault};
use serde_json::{Value, json};

use super::{APP, CORP, Stand};

const PAGE: &str = "https://app.example.com:8443/dd/login.html?next=%2Fhome%3Fa%3D1&name=%E5%BC%A0+%E4%B8%89#/route";

fn complete(mut configuration: Value) -> Value {
    configuration["type"] = json!(0);
    configuration["jsApiList"] = json!(["runtime.permission.requestAuthCode"]);
    configuration
}

#[tokio::test]
async fn f03_f04_f05_the_client_takes_the_configuration_in_both_dialects_and_digests() {
    for dialect in [Dialect::New, Dialect::Old] {
        for (page_digest, len) in [(PageDigest::Sha256, 64), (PageDigest::Sha1, 40)] {
            let stand = Stand::start().await;
            let connector = stand.connector(|table| {
                table.dialect = dialect;
                table.page_digest = page_digest;
            });
            let configuration = complete(connector.page_configuration(PAGE).await.expect("a configuration"));
            assert_eq!(configuration["signature"].as_str().map(str::len), Some(len));
            let takes = |href: &str, value: &Value| stand.fake.state().dd_config(APP, href, CORP, value);
            assert_eq!(takes(PAGE, &configuration), Ok(()));
            assert_eq!(takes("https://app.example.com/dd/login.html", &configuration), Err(52013), "another page");
        }
    }
}

#[tokio::test]
async fn f05_the_client_says_what_is_wrong() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let sound = complete(connector.page_configuration(PAGE).await.expect("a configuration"));
    for (member, value, error) in [
        ("corpId", json!("dingcorp0002"), 52010),
        ("agentId", json!("1"), 52019),
        ("nonceStr", json!(""), 52015),
        ("timeStamp", json!("soon"), 52018),
        ("jsApiList", json!([]), 52017),
        ("signature", json!("short"), 52016),
        ("signature", json!("0".repeat(64)), 52013),
        ("nonceStr", json!("another"), 52013),
    ] {
        let mut wrong = sound.clone();
        wrong[member] = value;
        assert_eq!(stand.fake.state().dd_config(APP, PAGE, CORP, &wrong), Err(error), "{member}");
    }
    let state = |href: &str| stand.fake.state().dd_config(APP, href, CORP, &sound);
    assert_eq!(state("file:///page"), Err(52014));
    stand.fake.state().cannot_sign = true;
    assert_eq!(state(PAGE), Err(52012));
    stand.fake.state().cannot_sign = false;
    stand.fake.state().apps.get_mut(APP).expect("the app").sees_contacts = false;
    assert_eq!(state(PAGE), Err(52021));
    stand.pass(7_201);
    assert_eq!(state(PAGE), Err(52011), "the ticket is too old");
}

#[tokio::test]
async fn f06_f07_whole_seconds_and_a_nonce_that_never_comes_again() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    let one = connector.page_configuration(PAGE).await.expect("a configuration");
    let two = connector.page_configuration(PAGE).await.expect("a configuration");
    assert_eq!(one["timeStamp"], "1800000000");
    assert_ne!(one["nonceStr"], two["nonceStr"]);
    assert_eq!(stand.fake.calls("/v1.0/oauth2/jsapiTickets"), 1, "the ticket is kept");
}

#[tokio::test]
async fn f03_a_ticket_that_was_renewed_all_day_is_given_up_at_its_end() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    // DingTalk says two hours at each renewal, and keeps to it but for the last of the day.
    for _ in 0..60 {
        let configuration = complete(connector.page_configuration(PAGE).await.expect("a configuration"));
        assert_eq!(stand.fake.state().dd_config(APP, PAGE, CORP, &configuration), Ok(()));
        stand.pass(1_700);
    }
}

/// A replica that comes late gets the ticket that another one had made: its day is not over a day from now.
#[tokio::test]
async fn f03_a_ticket_that_was_there_before_is_given_up_at_its_end_too() {
    let stand = Stand::start().await;
    stand.connector(|_| {}).page_ticket().await.expect("a ticket");
    for _ in 0..23 {
        stand.pass(3_600);
        // Somebody else keeps it alive.
        stand.connector(|_| {}).page_ticket().await.expect("a ticket");
    }
    let late = stand.connector(|_| {});
    for minute in 0..120 {
        let configuration = complete(late.page_configuration(PAGE).await.expect("a configuration"));
        let taken = stand.fake.state().dd_config(APP, PAGE, CORP, &configuration);
        // It is asked for every few minutes, and no page is wrong for longer.
        assert!(taken.is_ok() || (60..65).contains(&minute), "{taken:?} in minute {minute}");
        stand.pass(60);
    }
}

#[tokio::test]
async fn f04_what_is_no_page_is_not_signed() {
    let stand = Stand::start().await;
    let connector = stand.connector(|_| {});
    for page in ["", "javascript:1", "https://app.example.com/?%zz", "https://app.example.com/\u{202e}"] {
        assert_eq!(connector.page_configuration(page).await.expect_err(page).fault, Fault::Refused);
    }
}
