//! Administrators who come from DingTalk's admin console.

use loopkey::connectors::Fault;
use loopkey::connectors::dingtalk::AdminConsole;
use loopkey::crypto::Secret;

use super::{CORP, OTHER_CORP, Stand, noted};

const TOKEN: &str = "/v1.0/oauth2/ssoAccessToken";

fn console(stand: &Stand) -> AdminConsole {
    let secret = noted("a-planted-sso-secret".to_owned());
    {
        let mut state = stand.fake.state();
        let corp = state.corps.get_mut(CORP).expect("the corp");
        corp.sso_secret = Some(secret.expose().clone());
        corp.administrators.insert("ada".into());
    }
    stand.connector(|_| {}).admin_console(secret)
}

fn code(stand: &Stand, corp: &str, userid: &str) -> Secret<String> {
    noted(stand.fake.state().console_code(corp, userid))
}

#[tokio::test]
async fn an_administrator_comes_from_the_console_with_a_code_that_counts_once() {
    let stand = Stand::start().await;
    let console = console(&stand);
    let first = code(&stand, CORP, "ada");
    let ada = console.administrator(&first).await.expect("an administrator");
    assert_eq!(
        (ada.userid.as_str(), ada.name.as_deref(), ada.email.as_deref()),
        ("ada", Some("艾达"), Some("p1@corp.example"))
    );
    assert_eq!((ada.raw["corpId"].as_str(), ada.raw["isAdmin"].as_bool()), (Some(CORP), Some(true)));
    assert!(!format!("{ada:?}{console:?}").contains("ada") && !format!("{console:?}").contains("planted"));
    let again = console.administrator(&first).await.expect_err("used");
    assert_eq!((again.fault, again.code.as_str(), again.message.as_str()), (Fault::Code, "41007", "invalid ssocode"));
    // The token is kept for its hour, renewed before its end, and fetched anew where it is not taken.
    console.administrator(&code(&stand, CORP, "ada")).await.expect("an administrator");
    assert_eq!(stand.fake.calls(TOKEN), 1);
    stand.pass(3_100);
    console.administrator(&code(&stand, CORP, "ada")).await.expect("an administrator");
    assert_eq!(stand.fake.calls(TOKEN), 2);
    stand.fake.state().forget_tokens();
    console.administrator(&code(&stand, CORP, "ada")).await.expect("an administrator");
    assert_eq!(stand.fake.calls(TOKEN), 3);
}

#[tokio::test]
async fn who_is_no_administrator_of_the_organisation_does_not_come_from_its_console() {
    let stand = Stand::start().await;
    let console = console(&stand);
    let fault = async |code: Secret<String>| console.administrator(&code).await.expect_err("nobody").fault;
    assert_eq!(fault(code(&stand, CORP, "bei")).await, Fault::Refused);
    assert_eq!(fault(code(&stand, OTHER_CORP, "eve")).await, Fault::Tenant);
    assert_eq!(fault(stand.code("ada")).await, Fault::Code, "of the other way in");
    let old = code(&stand, CORP, "ada");
    stand.pass(301);
    assert_eq!(fault(old).await, Fault::Code);
    for none in [String::new(), "x".repeat(513)] {
        let asked = stand.fake.state().calls.len();
        assert_eq!(fault(Secret::new(none)).await, Fault::Code);
        assert_eq!(stand.fake.state().calls.len(), asked);
    }
    // The application's own secret is none of the console's.
    let wrong = stand.connector(|_| {}).admin_console(Secret::new(super::secret()));
    let fault = wrong.administrator(&code(&stand, CORP, "ada")).await.expect_err("another secret");
    assert!(fault.fault == Fault::Misconfigured && !fault.to_string().contains("s3cret"), "{fault}");
}
