//! Sessions of people for whom no device signed, as pages see them.

use loopkey::crypto::Secret;
use loopkey::protocol::base64url;
use loopkey::protocol::id::TokenId;
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{Account, Lifetimes, NewSession, SessionKey, Vouched, Voucher};
use serde_json::{Value, json};

use super::browser::{Browser, SESSION};
use super::device::Device;
use super::{NOW, ORIGIN, Server};
use crate::support::trace;

/// A browser in which a connector signed the account in.
async fn vouched(server: &Server, account: &Account, secret: [u8; 32]) -> Browser {
    let vouched = Vouched {
        subject: account.subject.clone(),
        generation: account.generation,
        by: Voucher::Connector("oidc".parse().expect("a name")),
        origin: ORIGIN.parse().expect("an origin"),
        uv: UserVerification::Page,
        id: TokenId::from_bytes([7; 16]),
    };
    let key = SessionKey::of(&Secret::new(secret));
    let session = NewSession::vouched(vouched, key, Lifetimes::default());
    server.store.open_session(session).await.expect("store").expect("opened");
    let mut browser = server.browser();
    let value = base64url::encode(secret);
    trace::note(&value);
    browser.cookies.insert(SESSION.into(), value);
    browser
}

#[tokio::test]
async fn a_session_without_a_device_is_shown_and_ends_with_the_account() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let account = server.store.account_of(&device.subject).await.expect("store").expect("ada");
    let mut browser = vouched(&server, &account, [1; 32]).await;
    let answer = browser.get("/v1/session").await;
    let expected = json!({
        "account": "ada", "subject": device.subject.as_str(), "name": "ada", "avatar": null,
        "device": null, "device_name": null, "method": "connector:oidc",
        "signed_in_at": NOW, "expires_at": NOW + 12 * 3600,
    });
    assert_eq!((answer.status, answer.json()), (200, expected));
    let listed = browser.get("/v1/sessions").await.json();
    let entry = &listed["sessions"][0];
    assert_eq!((&entry["device"], &entry["device_name"]), (&Value::Null, &Value::Null));
    assert_eq!((&entry["method"], &entry["current"]), (&json!("connector:oidc"), &json!(true)));
    assert_eq!(browser.get("/v1/devices").await.json()["devices"][0]["current"], false);
    // Its page is told of the account's end, and of no device's.
    let mut other = vouched(&server, &account, [2; 32]).await;
    let mut events = browser.events().await;
    let revoked = other.delete(&format!("/v1/devices/{}", device.id())).await;
    assert_eq!(revoked.status, 204, "{revoked:?}");
    assert!(browser.is_signed_in().await);
    assert_eq!(other.post("/v1/logout", json!({"everywhere": true})).await.status, 204);
    events.until("data: {\"reason\":\"logged_out_everywhere\"}\n\n").await;
    assert!(!browser.is_signed_in().await && !other.is_signed_in().await);
}
