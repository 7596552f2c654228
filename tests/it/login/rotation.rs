//! A new challenge key: published first, signing later, and nobody who signs in meanwhile notices.

use std::time::Duration;

use loopkey::store::{ROTATION_LEAD_SECONDS, StoreUrl};
use serde_json::json;

use super::device::Device;
use super::http::Call;
use super::{NOW, SERVICE_KEY, Server, clock};

pub(super) fn key_of(challenge: &str) -> String {
    let header = challenge.split('.').next().expect("a header");
    let header = loopkey::protocol::base64url::decode(header).expect("base64url");
    let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

async fn published(server: &Server) -> usize {
    let answer = Call::new("GET", "/.well-known/jwks.json").send(server.address).await;
    answer.json()["keys"].as_array().expect("keys").len()
}

#[tokio::test]
async fn a_rotation_overlaps_and_needs_no_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    rotates(StoreUrl::Embedded(folder.path().join("store"))).await;
}

#[tokio::test]
async fn a_rotation_overlaps_in_memory_too() {
    rotates(StoreUrl::Memory).await;
}

async fn rotates(url: StoreUrl) {
    let clock = clock();
    let store = loopkey::store::open(&url, clock.clone()).await.expect("store");
    let server = Server::start_with(store, clock.clone()).await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let before = browser.challenge().await;
    clock.advance(Duration::from_secs(1000));
    let rotate = Call::new("POST", "/v1/challenge-keys").header("Authorization", &format!("Bearer {SERVICE_KEY}"));
    let answer = rotate.send(server.address).await;
    assert_eq!((answer.status, answer.json()), (201, json!({"signs_from": NOW + 1000 + ROTATION_LEAD_SECONDS})));
    assert_eq!(published(&server).await, 2);
    let during = browser.challenge().await;
    assert_eq!(key_of(&during), key_of(&before), "published, and not signing yet");
    clock.advance(Duration::from_secs(ROTATION_LEAD_SECONDS));
    let after = browser.challenge().await;
    assert_ne!(key_of(&after), key_of(&before));
    // What was signed before is still good.
    let token = device.token(&during);
    assert_eq!(browser.login(&during, &token, device.subject.as_str()).await.status, 204);
}
