//! A third party's application in several organisations.

use std::sync::Arc;

use loopkey::connectors::dingtalk::{BadSettings, Credentials, Dialect, DingTalk, InMemory, Suite};
use loopkey::connectors::{Connector as _, Fault};
use loopkey::crypto::Secret;

use super::{CORP, OTHER_CORP, Stand, noted, secret};
use loopkey::demo::dingtalk::Kind;

pub(super) const SUITE: &str = "suiteexample0001";

pub(super) fn suite(stand: &Stand, keeper: InMemory) -> Arc<Suite> {
    let opened = [CORP.to_owned(), OTHER_CORP.to_owned()].into();
    stand.fake.state().app(SUITE, &secret(), Kind::Suite { ticket: String::new(), opened });
    stand.fake.state().rotate_suite_ticket(SUITE);
    DingTalk::suite(&of(stand, CORP), Stand::http(), stand.clock.clone(), Box::new(keeper)).expect("a suite")
}

fn of(stand: &Stand, corp: &str) -> loopkey::connectors::dingtalk::Settings {
    stand.settings(|table| {
        table.app_key = SUITE.into();
        table.corp_id = corp.into();
        table.credentials = Credentials::Suite;
    })
}

fn rotate(stand: &Stand) -> Secret<String> {
    noted(stand.fake.state().rotate_suite_ticket(SUITE))
}

#[tokio::test]
async fn c04_a_suite_has_a_token_for_each_organisation_that_opened_it() {
    let stand = Stand::start().await;
    let suite = suite(&stand, InMemory::default());
    let ours = DingTalk::of_suite(of(&stand, CORP), &suite).expect("a connector");
    let theirs = DingTalk::of_suite(of(&stand, OTHER_CORP), &suite).expect("a connector");
    let fault = ours.access_token(Dialect::New).await.expect_err("no ticket yet");
    assert_eq!(fault.fault, Fault::Unavailable);
    suite.take_ticket(&rotate(&stand)).expect("kept");
    for dialect in [Dialect::New, Dialect::Old] {
        let (one, other) = (ours.access_token(dialect).await, theirs.access_token(dialect).await);
        let (one, other) = (one.expect("a token"), other.expect("a token"));
        assert_ne!(one.expose(), other.expose());
        let again = ours.access_token(dialect).await.expect("a token");
        assert_eq!(one.expose(), again.expose(), "each fetch gives another one, so it is fetched once");
    }
    assert_eq!(stand.fake.calls("/v1.0/oauth2/corpAccessToken"), 2);
    assert_eq!(stand.fake.calls("/service/get_corp_token"), 2);
    let code = Secret::new(stand.fake.state().in_app_code(SUITE, OTHER_CORP, "eve"));
    let person = theirs.exchange(&code).await.expect("a person");
    assert_eq!((person.tenant.as_str(), person.id.as_str()), (OTHER_CORP, "eve"));
}

#[tokio::test]
async fn c04_each_new_ticket_ends_the_one_before() {
    let stand = Stand::start().await;
    let suite = suite(&stand, InMemory::default());
    suite.take_ticket(&rotate(&stand)).expect("kept");
    for dialect in [Dialect::New, Dialect::Old] {
        let first = suite.access_token(dialect).await.expect("a token");
        assert_eq!(first.expose(), suite.access_token(dialect).await.expect("the same").expose());
    }
    let newer = rotate(&stand);
    let ours = DingTalk::of_suite(of(&stand, CORP), &suite).expect("a connector");
    for (dialect, said) in [(Dialect::New, "invalidSuiteTicket"), (Dialect::Old, "40085")] {
        let fault = ours.access_token(dialect).await.expect_err("an old ticket");
        assert_eq!(fault.fault, Fault::Misconfigured);
        assert!(fault.to_string().contains(said), "{fault}");
    }
    suite.take_ticket(&newer).expect("kept");
    ours.access_token(Dialect::New).await.expect("a token");
    ours.access_token(Dialect::Old).await.expect("a token");
}

#[tokio::test]
async fn c04_an_organisation_that_did_not_open_it_has_none() {
    let stand = Stand::start().await;
    let suite = suite(&stand, InMemory::default());
    suite.take_ticket(&rotate(&stand)).expect("kept");
    let nobodys = DingTalk::of_suite(of(&stand, "dingnever"), &suite).expect("a connector");
    for (dialect, said) in [(Dialect::New, "invalidAuthInfo"), (Dialect::Old, "40088")] {
        let fault = nobodys.access_token(dialect).await.expect_err("not opened");
        assert!(fault.fault == Fault::Misconfigured && fault.to_string().contains(said), "{fault}");
    }
    let internal = DingTalk::of_suite(stand.settings(|_| {}), &suite);
    assert_eq!(internal.expect_err("not of that suite"), BadSettings::Suite);
    let alone = DingTalk::new(of(&stand, CORP), Stand::http(), stand.clock.clone());
    assert_eq!(alone.expect_err("without its suite"), BadSettings::Suite);
}
