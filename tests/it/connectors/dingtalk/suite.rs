//! A third party's application in several organisations.

use std::sync::Arc;

use loopkey::clock::Clock as _;
use loopkey::connectors::dingtalk::{
    BadSettings, Credentials, Dialect, DingTalk, InMemory, OnShelf, Settings, Suite, SuiteTicket,
};
use loopkey::connectors::{Connector as _, Fault};
use loopkey::crypto::Secret;

use super::{CORP, OTHER_CORP, Stand, noted, secret};
use loopkey::demo::dingtalk::Kind;

pub(crate) const SUITE: &str = "suiteexample0001";

/// A suite that both organisations opened.
pub(crate) fn open(stand: &Stand) {
    let opened = [CORP.to_owned(), OTHER_CORP.to_owned()].into();
    stand.fake.state().app(SUITE, &secret(), Kind::Suite { ticket: String::new(), opened });
    stand.fake.state().rotate_suite_ticket(SUITE);
}

pub(super) fn suite(stand: &Stand, keeper: InMemory) -> Arc<Suite> {
    open(stand);
    DingTalk::suite(&of(stand, CORP), Stand::http(), stand.clock.clone(), Box::new(keeper)).expect("a suite")
}

pub(crate) fn of(stand: &Stand, corp: &str) -> Settings {
    stand.settings(|table| {
        table.app_key = SUITE.into();
        table.corp_id = corp.into();
        table.credentials = Credentials::Suite;
    })
}

/// Another ticket, which ends the one before.
pub(crate) fn rotate(stand: &Stand) -> SuiteTicket {
    SuiteTicket { value: noted(stand.fake.state().rotate_suite_ticket(SUITE)), made: stand.clock.wall() }
}

#[tokio::test]
async fn c04_a_suite_has_a_token_for_each_organisation_that_opened_it() {
    let stand = Stand::start().await;
    let suite = suite(&stand, InMemory::default());
    let ours = DingTalk::of_suite(of(&stand, CORP), &suite).expect("a connector");
    let theirs = DingTalk::of_suite(of(&stand, OTHER_CORP), &suite).expect("a connector");
    let fault = ours.access_token(Dialect::New).await.expect_err("no ticket yet");
    assert_eq!(fault.fault, Fault::Unavailable);
    assert!(suite.take_ticket(&rotate(&stand)).await.expect("kept"));
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
    assert!(suite.take_ticket(&rotate(&stand)).await.expect("kept"));
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
    assert!(suite.take_ticket(&newer).await.expect("kept"));
    ours.access_token(Dialect::New).await.expect("a token");
    ours.access_token(Dialect::Old).await.expect("a token");
}

#[tokio::test]
async fn c04_an_organisation_that_did_not_open_it_has_none() {
    let stand = Stand::start().await;
    let suite = suite(&stand, InMemory::default());
    assert!(suite.take_ticket(&rotate(&stand)).await.expect("kept"));
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

#[tokio::test]
async fn c04_one_suite_has_one_secret_and_one_dingtalk() {
    let stand = Stand::start().await;
    let suite = suite(&stand, InMemory::default());
    let mut table = stand.table();
    (table.app_key, table.credentials) = (SUITE.into(), Credentials::Suite);
    let other = Settings::new(table.clone(), Secret::new("w".repeat(64))).expect("sound");
    assert_eq!(DingTalk::of_suite(other, &suite).expect_err("another secret"), BadSettings::SuiteSecret);
    table.hosts = None;
    let elsewhere = Settings::new(table, Secret::new(secret())).expect("sound");
    assert_eq!(DingTalk::of_suite(elsewhere, &suite).expect_err("another DingTalk"), BadSettings::SuiteHosts);
    // Without a login server the keeper keeps what was heard here.
    let keeper = Box::new(OnShelf::of(&of(&stand, CORP)));
    let suite = DingTalk::suite(&of(&stand, CORP), Stand::http(), stand.clock.clone(), keeper).expect("a suite");
    assert!(suite.take_ticket(&rotate(&stand)).await.expect("kept"));
    suite.access_token(Dialect::New).await.expect("a token");
}
