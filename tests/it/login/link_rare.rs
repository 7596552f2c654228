//! `GET /v1/link` where the store, the agent or a limit is not as usual.

use loopkey::login::RateLimits;
use loopkey::protocol::id::Epoch;
use loopkey::protocol::link::{Profile, ToAgent, ToServer};
use loopkey::protocol::state::PresenceState;
use loopkey::store::{AccountChange, AccountId, DisplayName, SharedStore, StoreUrl};

use super::device::Device;
use super::failing::FailingStore;
use super::link::TestLink;
use super::{Server, clock, no_limits};

async fn empty_store() -> SharedStore {
    loopkey::store::open(&StoreUrl::Memory, clock()).await.expect("store")
}

fn ada() -> AccountId {
    "ada".parse().expect("an account")
}

/// How the server closes a link that this device's L opens, and nothing before it.
async fn refused(server: &Server, device: &Device) -> u16 {
    let mut link = TestLink::connect(server).await;
    let proof = link.proof(device);
    link.say(&ToServer::Open { proof }).await;
    link.closed().await
}

#[tokio::test]
async fn a_store_that_comes_back_empty_revokes_nobody() {
    let store = FailingStore::over(empty_store().await);
    let server = Server::start_with(store.clone(), clock()).await;
    let device = Device::enrol(&server, "ada").await;
    let (link, ..) = TestLink::open(&server, &device).await;
    store.comes_back_as(empty_store().await);
    assert_eq!(link.closed().await, 4401, "without a word before");
    assert_eq!(refused(&server, &device).await, 4401);
}

#[tokio::test]
async fn an_agent_that_ran_ahead_of_what_it_is_asked_signs_out_all_the_same() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    server.store.raise_epoch(&device.issuer.0, Epoch(5)).await.expect("store");
    // The person signs out and in again while nobody hears of it, and is signed out everywhere.
    device.epoch = Epoch(6);
    assert!(server.store.sign_out_account(&ada(), None).await.expect("store"));
    assert_eq!(TestLink::open(&server, &device).await.1, Epoch(7));
    // An answer that got lost is given again, and one that was not is not another sign-out.
    assert_eq!(TestLink::open(&server, &device).await.1, Epoch(7));
    device.epoch = Epoch(7);
    let (mut link, epoch, _) = TestLink::open(&server, &device).await;
    assert_eq!(epoch, Epoch(7));
    // The same while it is linked.
    link.say(&ToServer::Presence { presence: PresenceState::SignedIn, epoch: Epoch(8) }).await;
    link.is_alive(&device).await;
    assert!(server.store.sign_out_account(&ada(), None).await.expect("store"));
    assert_eq!(link.hear().await, ToAgent::SignOutRequest {});
    link.is_alive(&device).await;
}

#[tokio::test]
async fn whoever_was_away_when_the_account_was_disabled_is_signed_out() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    device.epoch = Epoch(3);
    let disabled = AccountChange { disabled: Some(true), ..AccountChange::default() };
    server.store.change_account(&ada(), disabled).await.expect("store");
    let mut link = TestLink::connect(&server).await;
    let proof = link.proof(&device);
    link.say(&ToServer::Open { proof }).await;
    let ToAgent::Ready { epoch: Epoch(4), .. } = link.hear().await else { panic!("it is to sign out") };
    assert_eq!(link.closed().await, 4401);
    device.epoch = Epoch(4);
    assert_eq!(refused(&server, &device).await, 4401, "and once only");
}

#[tokio::test]
async fn a_link_outlives_a_look_that_the_store_does_not_answer() {
    let store = FailingStore::over(empty_store().await);
    let server = Server::start_with(store.clone(), clock()).await;
    let device = Device::enrol(&server, "ada").await;
    let (mut link, ..) = TestLink::open(&server, &device).await;
    store.fail("device");
    let name = Some(DisplayName::clean("Ada").expect("a name"));
    server.store.change_account(&ada(), AccountChange { name, ..AccountChange::default() }).await.expect("store");
    while store.failures() == 0 {
        tokio::task::yield_now().await;
    }
    store.recover();
    assert_eq!(link.hear().await, ToAgent::Profile { name: "Ada".into(), avatar: None });
    link.is_alive(&device).await;
}

#[tokio::test]
async fn what_a_device_signs_counts_over_a_link_too() {
    let server = Server::start_limited(RateLimits { device_per_minute: 2, ..no_limits() }).await;
    let mut device = Device::enrol(&server, "ada").await;
    for epoch in [1, 2] {
        device.epoch = Epoch(epoch);
        assert_eq!(TestLink::open(&server, &device).await.1, Epoch(epoch));
    }
    device.epoch = Epoch(3);
    assert_eq!(refused(&server, &device).await, 4429);
    device.epoch = Epoch(2);
    let (mut link, _, profile) = TestLink::open(&server, &device).await;
    assert_eq!(profile, Profile { name: "ada".into(), avatar: None }, "what raises nothing is not counted");
    // Twice as many as an agent says, and less than frames in all.
    for _ in 0..40 {
        link.say(&ToServer::Presence { presence: PresenceState::Away, epoch: Epoch(2) }).await;
    }
    assert_eq!(link.closed().await, 4429);
}
