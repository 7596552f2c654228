//! The rows of the five steps (F) that are calls of their own: who has a code, what is known of somebody, the departments, how
//! often DingTalk is asked, and what is made of an error.

use std::collections::BTreeSet;

use loopkey::connectors::dingtalk::{Dialect, DingTalk, ROOT};
use loopkey::connectors::{Connector as _, Fault};
use loopkey::crypto::Secret;
use serde_json::json;

use super::{Stand, class};
use loopkey::demo::dingtalk::Mischief;

#[tokio::test]
async fn f08_the_older_call_says_who_has_a_code_or_why_nobody_does() {
    let stand = Stand::start().await;
    let connector = stand.connector(|table| table.dialect = Dialect::Old);
    let visitor = connector.visitor(&stand.code("ada")).await.expect("a visitor");
    assert_eq!((visitor.userid.as_str(), visitor.name.as_deref(), visitor.level), ("ada", Some("艾达"), Some(0)));
    assert_eq!(visitor.raw["deviceId"], "d1");
    let fault = connector.visitor(&Secret::new("never-given-out".into())).await.expect_err("nobody");
    let said = (fault.fault, fault.code.as_str(), fault.message.as_str());
    assert_eq!(said, (Fault::Code, "40078", "不存在的临时授权码"));
    assert_eq!(stand.fake.calls("/user/getuserinfo"), 2);
}

#[tokio::test]
async fn f09_what_is_known_of_somebody_comes_typed_and_as_dingtalk_wrote_it() {
    let stand = Stand::start().await;
    let old = stand.connector(|table| table.dialect = Dialect::Old).person("ada").await.expect("a person");
    let new = stand.connector(|_| {}).person("ada").await.expect("a person");
    assert_eq!((stand.fake.calls("/user/get"), stand.fake.calls("/topapi/v2/user/get")), (1, 1));
    for person in [&old, &new] {
        assert_eq!((person.userid.as_str(), person.name.as_deref()), ("ada", Some("艾达")));
        assert_eq!((person.mobile.as_deref(), person.email.as_deref()), (Some("13300001111"), Some("p1@corp.example")));
        assert_eq!((person.title.as_deref(), person.departments.as_slice()), (Some("工程师"), &[1, 20][..]));
    }
    // Each in its own letters, members that nobody documented among them.
    assert_eq!((&old.raw["isAdmin"], &old.raw["orgEmail"]), (&json!(false), &json!("p1@corp.example")));
    assert_eq!((&new.raw["admin"], &new.raw["org_email"]), (&json!(false), &json!("p1@corp.example")));
    assert!(old.raw.contains_key("x_undocumented"));
}

#[tokio::test]
async fn f10_the_departments_are_listed_below_one_or_below_the_root() {
    let stand = Stand::start().await;
    let (old, new) = (stand.connector(|table| table.dialect = Dialect::Old), stand.connector(|_| {}));
    for below in [ROOT, 20, 21] {
        let (one, other) = (old.departments(below).await, new.departments(below).await);
        assert_eq!(one.expect("departments"), other.expect("departments"), "below {below}");
    }
    let root = old.departments(ROOT).await.expect("departments");
    assert_eq!(root.iter().map(|department| department.id).collect::<Vec<_>>(), [20, 30]);
    // Below zero means: no number is sent. The fake knows no department of such a number.
    assert_eq!(old.departments(-1).await.expect("the root's"), root);
    assert_eq!(new.departments(-1).await.expect_err("a number").code, "60003");
    assert_eq!(stand.fake.calls("/department/list"), 5);
}

#[tokio::test]
async fn f12_calls_are_counted_here_before_dingtalk_counts_them() {
    let stand = Stand::start().await;
    let settings = stand.settings(|_| {}).burst(4);
    let connector = DingTalk::new(settings, Stand::http(), stand.clock.clone()).expect("a connector");
    // A token, who has the code, and what is known of them; then one more.
    connector.exchange(&stand.code("ada")).await.expect("a person");
    connector.person("ada").await.expect("a person");
    let code = stand.code("ada");
    for _ in 0..3 {
        assert_eq!(class(connector.exchange(&code).await), Fault::Busy);
    }
    assert_eq!(stand.fake.state().calls.len(), 4, "nobody is asked");
    stand.pass(19);
    assert_eq!(class(connector.exchange(&code).await), Fault::Busy);
    stand.pass(1);
    connector.exchange(&code).await.expect("twenty seconds later, with the same code");
}

#[tokio::test]
async fn f13_no_call_takes_an_error_for_an_answer() {
    for dialect in [Dialect::New, Dialect::Old] {
        let stand = Stand::start().await;
        let connector = stand.connector(|table| table.dialect = dialect);
        connector.page_ticket().await.expect("a ticket, and its tokens");
        connector.person("ada").await.expect("a person");
        let paths = ["/topapi/v2/user/getuserinfo", "/user/getuserinfo", "/topapi/v2/user/get", "/user/get"]
            .into_iter()
            .chain(["/topapi/v2/department/listsub", "/department/list", "/topapi/user/listsimple"])
            .chain(["/topapi/user/getbyunionid"]);
        for path in paths {
            for (mischief, code) in [(Mischief::Strange, "77777"), (Mischief::Empty, ""), (Mischief::CutJson, "")] {
                stand.fake.state().gate.spoil(path, mischief, u32::MAX);
                let faults = [
                    connector.visitor(&stand.code("ada")).await.err(),
                    connector.person("ada").await.err(),
                    connector.departments(ROOT).await.err(),
                    connector.members(20).await.err(),
                    connector.userid_of("union1").await.err(),
                ];
                stand.fake.state().gate.spoil(path, mischief, 0);
                let faults: Vec<_> = faults.into_iter().flatten().collect();
                let is_asked = stand.fake.calls(path) > 0;
                assert_eq!(faults.len(), usize::from(is_asked), "{path} {mischief:?}: {faults:?}");
                for fault in faults {
                    assert_eq!((fault.fault, fault.code.as_str()), (Fault::Misbehaved, code), "{path} {mischief:?}");
                    assert!(!fault.message.is_empty());
                }
            }
        }
        let called: BTreeSet<_> = stand.fake.state().calls.iter().cloned().collect();
        assert!(called.len() >= 7, "{called:?}");
    }
}
