//! Start and stop.

use std::sync::Arc;
use std::time::Duration;

use loopkey::login::{LoginConfig, LoginServer, StartError};
use loopkey::store::StoreUrl;

use super::device::Device;
use super::http::Call;
use super::{Server, clock};

#[tokio::test]
async fn stopping_ends_event_streams_and_lets_the_rest_finish() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let stream = browser.events().await;
    let mut idle = Call::new("GET", "/healthz").open(server.address).await;
    idle.until("ok\n").await;
    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("within the grace");
    let told = stream.rest().await;
    assert!(!told.contains("signed_out"), "the session goes on: {told}");
}

#[tokio::test]
async fn a_bad_configuration_starts_nothing() {
    let clock = clock();
    let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let mut config = LoginConfig::new("https://app.example.com".parse().expect("issuer"));
    config.origins.push("https://evil.example.org".parse().expect("origin"));
    let error = LoginServer::start(config, store, Arc::clone(&clock) as _).await.expect_err("refused");
    assert!(matches!(&error, StartError::Config(faults) if faults.len() == 1));
    assert!(error.to_string().contains("https://evil.example.org"), "{error}");
}
