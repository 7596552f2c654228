//! `POST /v1/sign-outs`.

use loopkey::crypto::{Algorithm, SoftwareKey};
use loopkey::protocol::id::Epoch;
use serde_json::json;

use super::Server;
use super::device::{Device, issuer};

#[tokio::test]
async fn a_sign_out_ends_the_devices_sessions_and_says_so_at_once() {
    let server = Server::start().await;
    let (device, other) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "ada").await);
    let (mut here, mut there) = (server.browser(), server.browser());
    device.signs_in(&mut here).await;
    other.signs_in(&mut there).await;
    let stream = here.events().await;
    let answer = device.signs_out(&server, 1).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let told = stream.rest().await;
    assert!(told.contains("event: signed_out\ndata: {\"reason\":\"signed_out\"}\n\n"), "{told}");
    assert!(!here.is_signed_in().await);
    assert!(there.is_signed_in().await, "another device's session");
}

#[tokio::test]
async fn epochs_hold_in_any_order_of_arrival() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    // The token was signed, then the person signed out; the sign-out arrives first.
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    assert_eq!(device.signs_out(&server, 2).await.status, 204);
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    // Signed in again in the client.
    device.epoch = Epoch(2);
    device.signs_in(&mut browser).await;
    for late in [0, 1, 2] {
        assert_eq!(device.signs_out(&server, late).await.status, 204, "without effect");
        assert!(browser.is_signed_in().await, "a sign-out of epoch {late}");
    }
    assert_eq!(device.signs_out(&server, 3).await.status, 204);
    assert!(!browser.is_signed_in().await);
    assert_eq!(device.signs_out(&server, 3).await.status, 204, "said twice");
}

#[tokio::test]
async fn only_the_device_itself_signs_out() {
    let server = Server::start().await;
    let (mut device, lin) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "lin").await);
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let statements = [
        {
            let stranger = SoftwareKey::generate(Algorithm::Es256).expect("key").0;
            let key = std::mem::replace(&mut device.key, stranger);
            let statement = device.sign_out(1);
            device.key = key;
            statement
        },
        Device { issuer: device.issuer.clone(), subject: lin.subject.clone(), epoch: Epoch(0), key: lin.key }
            .sign_out(1),
        String::new(),
        device.token(&browser.challenge().await),
    ];
    for statement in statements {
        let answer = server.machine("POST", "/v1/sign-outs", json!({"statement": statement})).await;
        answer.expect_error(401, "invalid_statement");
    }
    let mut foreign = loopkey::protocol::statement::SignOut {
        iss: device.issuer.clone(),
        aud: "https://evil.example.com".parse().expect("issuer"),
        sub: device.subject.clone(),
        epo: Epoch(1),
    };
    for subject in [device.subject.clone(), lin.subject] {
        foreign.sub = subject;
        let signed = loopkey::protocol::statement::sign(&foreign, &device.key).expect("S");
        let answer = server.machine("POST", "/v1/sign-outs", json!({"statement": signed})).await;
        answer.expect_error(401, "invalid_statement");
        foreign.aud = issuer();
    }
    assert!(browser.is_signed_in().await);
}

/// The agent keeps its sign-out until it is answered 204, so a revoked device's must be answered so too.
#[tokio::test]
async fn a_revoked_device_may_still_sign_out() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    assert_eq!(browser.delete(&format!("/v1/devices/{}", device.id())).await.status, 204);
    assert_eq!(device.signs_out(&server, 1).await.status, 204);
}
