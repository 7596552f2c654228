//! Tickets and devices.

use std::time::Duration;

use loopkey::crypto::{Algorithm, SoftwareKey};
use loopkey::protocol::id::EnrolmentTicket;
use loopkey::protocol::statement::{Enrolment, sign};
use serde_json::{Value, json};

use super::device::{Device, enrolment, ticket};
use super::http::{Answer, Call};
use super::{NOW, SERVICE_KEY, Server};

fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Es256).expect("key").0
}

async fn post(server: &Server, enrolment: &Enrolment, key: &SoftwareKey) -> Answer {
    let signed = sign(enrolment, key).expect("E");
    server.machine("POST", "/v1/devices", json!({"enrolment": signed})).await
}

#[tokio::test]
async fn a_ticket_enrols_one_device_and_the_answer_says_whose_it_is() {
    let server = Server::start().await;
    let body = json!({"account": "ada", "name": "Ada\u{202e}", "avatar": "https://cdn.example.com/a.png"});
    let answer = server.backend("/v1/enrolment-tickets", body).await;
    assert_eq!((answer.status, &answer.json()["expires_at"]), (201, &json!(NOW + 300)));
    let ticket: EnrolmentTicket = answer.json()["ticket"].as_str().expect("text").parse().expect("ticket");
    let key = key();
    let enrolled = post(&server, &enrolment(&key, ticket), &key).await;
    assert_eq!(enrolled.status, 201);
    let mut shown = enrolled.json();
    let device = shown["device"].take();
    assert!(device.as_str().is_some_and(|id| id.len() == 22));
    let subject = &answer.json()["subject"];
    let expected = json!({
        "device": null, "subject": subject, "name": "Ada", "avatar": "https://cdn.example.com/a.png", "epoch": 0,
    });
    assert_eq!(shown, expected);
    let other = self::key();
    post(&server, &enrolment(&other, ticket), &other).await.expect_error(401, "invalid_enrolment");
}

#[tokio::test]
async fn a_bad_enrolment_is_refused() {
    let server = Server::start().await;
    let (own, other) = (key(), key());
    let sound = || async { enrolment(&own, ticket(&server, "ada").await) };
    post(&server, &sound().await, &other).await.expect_error(401, "invalid_enrolment");
    let issuer = "https://evil.example.com".parse().expect("issuer");
    post(&server, &Enrolment { aud: issuer, ..sound().await }, &own).await.expect_error(401, "invalid_enrolment");
    let nameless = Enrolment { name: "\u{200b} ".into(), ..sound().await };
    post(&server, &nameless, &own).await.expect_error(401, "invalid_enrolment");
    let unknown = enrolment(&own, EnrolmentTicket::from_bytes([7; 32]));
    post(&server, &unknown, &own).await.expect_error(401, "invalid_enrolment");
    let late = sound().await;
    server.clock.advance(Duration::from_secs(300));
    post(&server, &late, &own).await.expect_error(401, "invalid_enrolment");
    assert_eq!(post(&server, &sound().await, &own).await.status, 201);
    post(&server, &sound().await, &own).await.expect_error(409, "duplicate_key");
}

#[tokio::test]
async fn only_the_service_key_gets_tickets() {
    let server = Server::start().await;
    let body = json!({"account": "ada", "name": "Ada"});
    let ask = |authorization: Option<String>| {
        let call = Call::new("POST", "/v1/enrolment-tickets").json(&body);
        authorization.map_or(call.clone(), |value| call.header("Authorization", &value))
    };
    for wrong in [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer wrong".to_owned()),
        Some(format!("Bearer {SERVICE_KEY}x")),
        Some(format!("Bearer {}", &SERVICE_KEY[1..])),
        Some(format!("Basic {SERVICE_KEY}")),
        Some(SERVICE_KEY.to_owned()),
    ] {
        let answer = ask(wrong.clone()).send(server.address).await;
        answer.expect_error(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{wrong:?}");
    }
    let twice = ask(Some(format!("Bearer {SERVICE_KEY}"))).header("Authorization", "Bearer wrong");
    twice.send(server.address).await.expect_error(401, "unauthorized");
    assert_eq!(ask(Some(format!("bearer {SERVICE_KEY}"))).send(server.address).await.status, 201);
}

#[tokio::test]
async fn what_a_ticket_says_of_a_person_is_held_to_its_form() {
    let server = Server::start().await;
    for body in [
        json!({"account": "ada"}),
        json!({"account": "", "name": "Ada"}),
        json!({"account": "a\u{0}b", "name": "Ada"}),
        json!({"account": "ada", "name": ""}),
        json!({"account": "ada", "name": "a".repeat(129)}),
        json!({"account": "ada", "name": "Ada", "admin": true}),
        json!({"account": "ada", "name": "Ada", "avatar": Value::Null}),
        json!({"account": "ada", "name": "Ada", "avatar": "javascript:alert(1)"}),
        json!({"account": "ada", "name": "Ada", "avatar": "data:image/svg+xml;base64,PHN2Zy8+"}),
        json!({"account": "ada", "name": "Ada", "avatar": "data:image/png;base64,PHN2Zy8+"}),
    ] {
        server.backend("/v1/enrolment-tickets", body).await.expect_error(400, "bad_request");
    }
    let picture = format!("data:image/jpeg;base64,/9j/wAARCABAAEAA{}", "A".repeat(80 * 1024));
    let large = json!({"account": "ada", "name": "Ada", "avatar": picture});
    assert_eq!(server.backend("/v1/enrolment-tickets", large).await.status, 201, "64 KiB of picture fit");
    let huge = json!({"account": "ada", "name": "a".repeat(96 * 1024)});
    server.backend("/v1/enrolment-tickets", huge).await.expect_error(413, "too_large");
}

#[tokio::test]
async fn people_see_and_revoke_their_own_devices() {
    let server = Server::start().await;
    let (laptop, desktop) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "ada").await);
    let foreign = Device::enrol(&server, "lin").await;
    let (mut here, mut there) = (server.browser(), server.browser());
    here.get("/v1/devices").await.expect_error(401, "no_session");
    laptop.signs_in(&mut here).await;
    desktop.signs_in(&mut there).await;
    let entry = |device: &Device, current: bool| json!({"device": device.id(), "name": "laptop", "enrolled_at": NOW, "current": current});
    let listed = here.get("/v1/devices").await.json();
    assert_eq!(listed, json!({"devices": [entry(&laptop, true), entry(&desktop, false)]}));

    let stream = there.events().await;
    here.delete(&format!("/v1/devices/{}", foreign.id())).await.expect_error(404, "not_found");
    here.delete("/v1/devices/nobody").await.expect_error(404, "not_found");
    assert_eq!(here.delete(&format!("/v1/devices/{}", desktop.id())).await.status, 204);
    assert!(stream.rest().await.contains(r#"{"reason":"revoked"}"#));
    assert!(!there.is_signed_in().await);
    assert_eq!(here.get("/v1/devices").await.json(), json!({"devices": [entry(&laptop, true)]}));
    let challenge = there.challenge().await;
    let answer = there.login(&challenge, &desktop.token(&challenge), desktop.subject.as_str()).await;
    answer.expect_error(401, "invalid_token");
    let mut lin = server.browser();
    foreign.signs_in(&mut lin).await;
}
