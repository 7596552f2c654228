//! What every engine must do with sessions that no agent's token opened, and with what may change before they open.

use super::*;
use crate::protocol::id::TokenId;

fn vouched(account: &Account, uv: UserVerification) -> Vouched {
    Vouched {
        subject: account.subject.clone(),
        generation: account.generation,
        by: Voucher::Connector(parsed("oidc")),
        origin: parsed("https://app.example.com"),
        uv,
        id: TokenId::from_bytes(crypto::random()),
    }
}

fn approved(person: &Person, epoch: u64, uv: UserVerification) -> Approved {
    Approved {
        device: person.device.clone(),
        epoch: Epoch(epoch),
        origin: parsed("https://app.example.com"),
        uv,
        id: TokenId::from_bytes(crypto::random()),
    }
}

impl Bench {
    async fn vouch(&self, vouched: Vouched) -> Result<SessionKey, OpenRefusal> {
        let key = fresh_session();
        let session = NewSession::vouched(vouched, key, Lifetimes::default());
        self.store.open_session(session).await.expect("store").map(|_| key)
    }

    async fn approve(&self, approved: Approved) -> Result<SessionKey, OpenRefusal> {
        let key = fresh_session();
        let session = NewSession::approved(approved, key, Lifetimes::default());
        self.store.open_session(session).await.expect("store").map(|_| key)
    }

    async fn account(&self, name: &str) -> Account {
        self.store.account(&parsed(name)).await.expect("store").expect("the account")
    }

    async fn change(&self, name: &str, change: AccountChange) {
        self.store.change_account(&parsed(name), change).await.expect("store").expect("the account");
    }
}

pub(super) async fn sessions_without_a_device(bench: &Bench) {
    const NAME: &str = "ada-vouched";
    let (store, ada) = (&bench.store, bench.enrol(NAME).await);
    let name = &ada.account.profile.account;
    let page = async || vouched(&bench.account(NAME).await, UserVerification::Page);
    let opened = async || bench.vouch(page().await).await.expect("opened");
    let first = opened().await;
    let session = store.use_session(first).await.expect("store").open().expect("open");
    assert_eq!((&session.account, session.key, session.method.as_str()), (&ada.account, first, "connector:oidc"));
    assert_eq!((&session.device, &session.device_name, session.epoch), (&None, &None, Epoch(0)));
    assert_eq!(session.origin.as_str(), "https://app.example.com");
    assert_eq!(session.expires_at, session.signed_in_at.plus(Lifetimes::default().absolute.as_secs()));
    let line = &store.audit_tail(Some(name), 1).await.expect("store")[0];
    assert_eq!((line.what.as_str(), &line.device), ("signed_in", &None));
    assert!(line.detail.starts_with("origin=https://app.example.com method=connector:oidc token="), "{line:?}");
    // It is listed with those of devices, and each takes the other's place.
    let by_device = bench.open(&ada, 0).await.expect("opened");
    assert_eq!(store.sessions(name).await.expect("store").len(), 2);
    let second = fresh_session();
    let session = NewSession::vouched(page().await, second, Lifetimes::default()).replacing(Some(by_device));
    store.open_session(session).await.expect("store").expect("opened");
    let third = fresh_session();
    let session = NewSession::redeemed(&redeemed(&ada.device, 0), third, Lifetimes::default()).replacing(Some(second));
    let before = bench.log_end().await;
    store.open_session(session).await.expect("store").expect("opened");
    let over = |session| Withdrawal { withdrawn: Withdrawn::Session { session }, reason: EndReason::LoggedOut };
    assert_eq!(bench.withdrawn(&before).await, [over(second)]);
    assert_eq!(
        (bench.fate(by_device).await, bench.fate(second).await),
        (Some(EndReason::Ended), Some(EndReason::Ended))
    );
    // No device's end is its own.
    assert!(store.raise_epoch(&ada.device, Epoch(7)).await.expect("store"));
    assert!(store.revoke_device(name, &ada.device, Actor::Person).await.expect("store"));
    assert!(bench.fate(third).await.is_some());
    assert_eq!(bench.fate(first).await, None);
    // Logged out of.
    assert!(!store.end_session(&parsed("ada"), first).await.expect("store"), "not hers");
    let before = bench.log_end().await;
    assert!(store.end_session(name, first).await.expect("store"));
    assert!(!store.end_session(name, first).await.expect("store"), "once");
    assert_eq!(bench.withdrawn(&before).await, [over(first)]);
    assert!(bench.fate(first).await.is_some());
    let line = &store.audit_tail(Some(name), 1).await.expect("store")[0];
    assert_eq!((line.what.as_str(), &line.device), ("logged_out", &None));
    // Signed out everywhere, and whoever was vouched for before that is too late.
    let (late, session) = (page().await, opened().await);
    assert!(store.sign_out_account(name, None).await.expect("store"));
    assert!(bench.fate(session).await.is_some());
    assert_eq!(bench.vouch(late).await.err(), Some(OpenRefusal::Withdrawn));
    // With the organisation.
    let join = AccountChange { organisation: Some(Some(parsed("vouchers"))), ..AccountChange::default() };
    bench.change(NAME, join).await;
    let session = opened().await;
    assert!(store.sign_out_organisation(&parsed("vouchers")).await.expect("store"));
    assert_eq!(bench.fate(session).await, Some(EndReason::LoggedOutEverywhere));
    // By the clock.
    let session = opened().await;
    bench.clock.advance(Lifetimes::default().idle - Duration::from_secs(1));
    assert!(store.use_session(session).await.expect("store").open().is_some());
    bench.clock.advance(Lifetimes::default().idle);
    assert_eq!(bench.fate(session).await, Some(EndReason::Expired));
    // Disabled, and erased; what is made anew under the name is another account.
    let session = opened().await;
    bench.change(NAME, AccountChange { disabled: Some(true), ..AccountChange::default() }).await;
    assert!(bench.fate(session).await.is_some());
    assert_eq!(bench.vouch(page().await).await.err(), Some(OpenRefusal::Withdrawn));
    bench.change(NAME, AccountChange { disabled: Some(false), ..AccountChange::default() }).await;
    let (late, session) = (page().await, opened().await);
    assert!(store.erase_account(name).await.expect("store"));
    assert!(bench.fate(session).await.is_some());
    assert_eq!(bench.vouch(late.clone()).await.err(), Some(OpenRefusal::Withdrawn));
    bench.enrol(NAME).await;
    assert_eq!(bench.vouch(late).await.err(), Some(OpenRefusal::Withdrawn));
}

pub(super) async fn sessions_of_an_approval(bench: &Bench) {
    let (store, ada) = (&bench.store, bench.enrol("ada-approves").await);
    let page = |epoch| approved(&ada, epoch, UserVerification::Page);
    let session = bench.approve(page(2)).await.expect("opened");
    assert_eq!(bench.epoch(&ada).await, Epoch(2), "it raises the epoch as a token does");
    let found = store.use_session(session).await.expect("store").open().expect("open");
    assert_eq!((found.method.as_str(), found.epoch), ("approval", Epoch(2)));
    assert_eq!((found.device, found.device_name), (Some(ada.device.clone()), DisplayName::clean("laptop").ok()));
    assert_eq!(bench.approve(page(1)).await.err(), Some(OpenRefusal::Withdrawn));
    assert!(store.raise_epoch(&ada.device, Epoch(3)).await.expect("store"));
    assert!(bench.fate(session).await.is_some(), "it ends with its device's epoch");
    let session = bench.approve(page(3)).await.expect("opened");
    store.revoke_device(&ada.account.profile.account, &ada.device, Actor::Person).await.expect("store");
    assert!(bench.fate(session).await.is_some(), "and with the device");
    assert_eq!(bench.approve(page(3)).await.err(), Some(OpenRefusal::Withdrawn));
}

/// It was good enough when the person was verified, and is not any more when the session opens.
pub(super) async fn what_is_asked_of_the_person_is_looked_at_again(bench: &Bench) {
    use UserVerification::{Os, Page, Prompt};
    const NAME: &str = "ada-minimum";
    let ada = bench.enrol(NAME).await;
    for (minimum, good) in [(Page, [true, true, true]), (Prompt, [false, true, true]), (Os, [false, false, true])] {
        bench.change(NAME, AccountChange { minimum_uv: Some(minimum), ..AccountChange::default() }).await;
        for (uv, good) in [Page, Prompt, Os].into_iter().zip(good) {
            let account = bench.account(NAME).await;
            assert_eq!(bench.vouch(vouched(&account, uv)).await.is_ok(), good, "{minimum:?} {uv:?}");
            assert_eq!(bench.approve(approved(&ada, 0, uv)).await.is_ok(), good, "{minimum:?} {uv:?}");
        }
        // A token's own, which is `prompt` here.
        assert_eq!(bench.open(&ada, 0).await.is_ok(), minimum <= Prompt, "{minimum:?}");
    }
    assert_eq!(bench.approve(approved(&ada, 5, Page)).await.err(), Some(OpenRefusal::Withdrawn));
    assert_eq!(bench.epoch(&ada).await, Epoch(0), "who is refused raises no epoch");
}
