//! Keys that nobody should ever verify against, and keys that are not one's own (input 156; A23, A36).

use loopkey::crypto::{Algorithm, PublicKey, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use loopkey::protocol::id::EnrolmentTicket;
use loopkey::protocol::statement::jwk::Jwk;
use loopkey::protocol::statement::{Enrolment, sign};
use serde_json::{Value, json};

use super::forge::{Object, quoted, sign_text, signing_input};
use super::login_http::bare;
use crate::login::Server;
use crate::login::device::{Device, enrolment, issuer, ticket};
use crate::login::http::Answer;

/// The field prime of Ed25519 with another lowest byte, and the sign bit if wanted.
fn near_prime(low: u8, sign: bool) -> [u8; 32] {
    let mut encoded = [0xff; 32];
    encoded[0] = low;
    encoded[31] = if sign { 0xff } else { 0x7f };
    encoded
}

fn small(low: u8, sign: bool) -> [u8; 32] {
    let mut encoded = [0; 32];
    encoded[0] = low;
    encoded[31] = u8::from(sign) << 7;
    encoded
}

/// One of the two `y` of the points of order eight; the other is its negative.
const ORDER_EIGHT: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac,
    0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];
const OTHER_ORDER_EIGHT: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53,
    0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

fn with_sign(mut encoded: [u8; 32]) -> [u8; 32] {
    encoded[31] |= 0x80;
    encoded
}

/// The identity, and its order.
const IDENTITY: u8 = 1;

/// The points of small order but the identity, each in its canonical encoding: order 2, 4, 4, 8, 8, 8, 8.
fn small_order_points() -> [[u8; 32]; 7] {
    let eight = [ORDER_EIGHT, OTHER_ORDER_EIGHT];
    [
        near_prime(0xec, false),
        small(0, false),
        small(0, true),
        eight[0],
        with_sign(eight[0]),
        eight[1],
        with_sign(eight[1]),
    ]
}

/// Second spellings: of small-order points, for which a signature can be made up, and of `y` = 3, for which none can.
fn second_spellings() -> [[u8; 32]; 7] {
    [
        small(IDENTITY, true),
        near_prime(0xec, true),
        near_prime(0xed, false),
        near_prime(0xed, true),
        near_prime(0xee, false),
        near_prime(0xee, true),
        near_prime(0xf0, false),
    ]
}

/// The signature that fits every message under the identity, and one in eight at least under any small-order key: the
/// identity as R, and zero as S.
fn constant_signature() -> [u8; 64] {
    let mut signature = [0; 64];
    signature[0] = 1;
    signature
}

/// What a verifier says that looks at no key before it uses it.
fn a_careless_verifier_accepts(key: &[u8; 32], message: &[u8]) -> bool {
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    key.verify(message, &constant_signature()).is_ok()
}

/// An enrolment of a key whose private half nobody has, with a signature that fits where one can be made up: the name
/// is changed until it does.
fn forged_enrolment(encoded: [u8; 32], ticket: EnrolmentTicket) -> (String, bool) {
    let jwk = Jwk::Ed25519 { x: encoded };
    let kid = base64url::encode(loopkey::crypto::sha256(&[jwk.thumbprint_input().as_bytes()]));
    let header = json!({"alg": "Ed25519", "typ": "loopkey-enrolment+jwt", "kid": kid}).to_string();
    let input = |name: usize| {
        let claims = json!({"aud": issuer(), "nonce": ticket, "jwk": jwk, "name": format!("laptop {name}")});
        signing_input(&header, claims.to_string())
    };
    let fitting = (0..256).map(input).find(|input| a_careless_verifier_accepts(&encoded, input.as_bytes()));
    let fits = fitting.is_some();
    (format!("{}.{}", fitting.unwrap_or_else(|| input(0)), base64url::encode(constant_signature())), fits)
}

async fn post(server: &Server, enrolment: &str) -> Answer {
    server.machine("POST", "/v1/devices", json!({"enrolment": enrolment})).await
}

async fn has_devices(server: &Server, account: &str) -> usize {
    server.store.devices(&account.parse().expect("account")).await.expect("store").len()
}

/// Refuses all of them, and the ticket of each is still good for a sound key.
async fn refuses_keys(keys: &[[u8; 32]]) -> usize {
    let server = Server::start().await;
    let mut fitting = 0;
    for encoded in keys {
        let ticket = ticket(&server, "ada").await;
        let (forged, fits) = forged_enrolment(*encoded, ticket);
        fitting += usize::from(fits);
        post(&server, &forged).await.expect_error(401, "invalid_enrolment");
        assert_eq!(has_devices(&server, "ada").await, 0, "{encoded:02x?}");
    }
    fitting
}

#[tokio::test]
async fn i156_the_identity_as_a_key() {
    assert_eq!(refuses_keys(&[small(IDENTITY, false)]).await, 1, "the forgery would verify");
}

#[tokio::test]
async fn i156_a_key_of_small_order() {
    assert_eq!(refuses_keys(&small_order_points()).await, 7, "each forgery would verify");
}

#[tokio::test]
async fn i156_a_key_in_a_second_spelling() {
    assert_eq!(refuses_keys(&second_spellings()).await, 6, "all but the last would verify");
}

#[tokio::test]
async fn i156_a_key_off_the_curve() {
    let server = Server::start().await;
    let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
    let Jwk::P256 { x, y } = key.public().to_jwk() else { panic!("P-256") };
    let mut beside = y;
    beside[31] ^= 1;
    // 2 is no y of a point of Ed25519: nothing decodes, whatever is signed.
    let points = [
        Jwk::P256 { x, y: beside },
        Jwk::P256 { x: y, y: x },
        Jwk::P256 { x: [0; 32], y: [0; 32] },
        Jwk::P256 { x: [0xff; 32], y: [0xff; 32] },
        Jwk::Ed25519 { x: small(2, false) },
    ];
    for jwk in points {
        let alg = if matches!(jwk, Jwk::P256 { .. }) { "ES256" } else { "Ed25519" };
        assert!(alg == "Ed25519" || PublicKey::from_jwk(&jwk).is_err(), "{jwk:?} would be loaded");
        let kid = base64url::encode(loopkey::crypto::sha256(&[jwk.thumbprint_input().as_bytes()]));
        let header = json!({"alg": alg, "typ": "loopkey-enrolment+jwt", "kid": kid}).to_string();
        let ticket = ticket(&server, "ada").await;
        let claims = json!({"aud": issuer(), "nonce": ticket, "jwk": jwk, "name": "laptop"}).to_string();
        post(&server, &sign_text(&header, &claims, &key)).await.expect_error(401, "invalid_enrolment");
        let constant = format!("{}.{}", signing_input(&header, &claims), base64url::encode(constant_signature()));
        post(&server, &constant).await.expect_error(401, "invalid_enrolment");
    }
    assert_eq!(has_devices(&server, "ada").await, 0);
}

/// The right key, written as no one else would read it.
#[tokio::test]
async fn i156_a_key_in_another_form() {
    let server = Server::start().await;
    let (key, _) = SoftwareKey::generate(Algorithm::Ed25519).expect("key");
    let ticket = ticket(&server, "ada").await;
    let signed = sign(&enrolment(&key, ticket), &key).expect("E");
    let (header, claims) = (Object::of_part(&signed, 0).text(), Object::of_part(&signed, 1));
    let Jwk::Ed25519 { x } = key.public().to_jwk() else { panic!("Ed25519") };
    let x = base64url::encode(x);
    let forms = [
        format!(r#"["OKP","Ed25519","{x}"]"#),
        format!(r#"[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","x":"{x}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","y":null}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","y":"{x}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"1"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}="}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}AA"}}"#),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, &x[1..]),
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":["{x}"]}}"#),
        format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#),
        format!(r#"{{"kty":"okp","crv":"ed25519","x":"{x}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#),
        format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{x}","y":"{x}"}}"#),
        format!(r#"{{"kty":"oct","k":"{x}"}}"#),
        format!(r#"{{"kty":"RSA","n":"{x}","e":"AQAB"}}"#),
        quoted(&x),
        "{}".to_owned(),
    ];
    for form in forms {
        let spoiled = sign_text(&header, claims.clone().with("jwk", &form).text(), &key);
        let answer = post(&server, &spoiled).await;
        answer.expect_error(401, "invalid_enrolment");
    }
    assert_eq!(post(&server, &signed).await.status, 201, "none of them used the ticket up");
}

#[tokio::test]
async fn i156_a_key_that_is_enrolled_already() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let again = async || {
        let signed = sign(&enrolment(&device.key, ticket(&server, "ada").await), &device.key).expect("E");
        post(&server, &signed).await
    };
    again().await.expect_error(409, "duplicate_key");
    assert_eq!(has_devices(&server, "ada").await, 1);
    // A revoked key is not made good again by enrolling it.
    let ada = "ada".parse().expect("account");
    assert!(
        server.store.revoke_device(&ada, &device.issuer.0, loopkey::store::Actor::Administrator).await.expect("store")
    );
    again().await.expect_error(409, "duplicate_key");
    assert_eq!(has_devices(&server, "ada").await, 0);
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let answer = browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
    answer.expect_error(401, "invalid_token");
}

#[tokio::test]
async fn i156_another_users_key() {
    let server = Server::start().await;
    let (ada, mallory) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "mallory").await);
    // Mallory has a ticket of her own, Ada's public key, and not Ada's private one.
    let posing = enrolment(&ada.key, ticket(&server, "mallory").await);
    let signed = sign(&posing, &mallory.key).expect("E");
    post(&server, &signed).await.expect_error(401, "invalid_enrolment");
    let named = sign_text(
        &Object::of_part(&sign(&posing, &ada.key).expect("E"), 0).text(),
        json!(posing).to_string(),
        &mallory.key,
    );
    post(&server, &named).await.expect_error(401, "invalid_enrolment");
    // Even with it, the key stays whose it is.
    post(&server, &sign(&posing, &ada.key).expect("E")).await.expect_error(409, "duplicate_key");
    let stored = server.store.device(ada.key.public().id()).await.expect("store").expect("the device");
    assert_eq!((stored.account.profile.account.as_str(), &stored.id), ("ada", &ada.issuer.0));
    assert_eq!((has_devices(&server, "ada").await, has_devices(&server, "mallory").await), (1, 1));
    ada.signs_in(&mut server.browser()).await;
}

/// With a verifier that does not look at the key, one signature fits message after message. No such key is ever loaded.
#[test]
fn a23_one_signature_for_many_messages_fits_no_key_of_ours() {
    let accepted =
        |encoded: &[u8; 32]| (0..64_u8).filter(|message| a_careless_verifier_accepts(encoded, &[*message])).count();
    assert_eq!(accepted(&small(IDENTITY, false)), 64, "the identity takes them all");
    for encoded in small_order_points().into_iter().chain(second_spellings()).chain([small(IDENTITY, false)]) {
        assert!(PublicKey::from_jwk(&Jwk::Ed25519 { x: encoded }).is_err(), "{encoded:02x?}");
    }
    for encoded in small_order_points() {
        assert!(accepted(&encoded) > 0, "{encoded:02x?}");
    }
    // And a sound key takes none of them.
    let (key, _) = SoftwareKey::generate(Algorithm::Ed25519).expect("key");
    assert!((0..64_u8).all(|message| key.public().verify(&[message], &constant_signature()).is_err()));
}

/// A phished enrolment: what the client sent, relayed, changed, repeated, or overtaken.
#[tokio::test]
async fn a36_a_relayed_enrolment_binds_no_other_key() {
    let server = Server::start().await;
    let (client, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
    let (attacker, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
    let ticket = ticket(&server, "ada").await;
    let sound = enrolment(&client, ticket);
    let signed = sign(&sound, &client).expect("E");
    // Nobody but the backend gets tickets, and no page enrols.
    let body = json!({"account": "ada", "name": "Ada"});
    server.machine("POST", "/v1/enrolment-tickets", body).await.expect_error(401, "unauthorized");
    let page = bare("POST", "/v1/devices").header("Origin", crate::login::ORIGIN).json(&json!({"enrolment": signed}));
    page.send(server.address).await.expect_error(403, "forbidden");
    // The attacker's key in the client's enrolment; the client's signature; another recipient.
    let swapped = Enrolment { jwk: attacker.public().to_jwk(), ..sound.clone() };
    post(&server, &sign(&swapped, &client).expect("E")).await.expect_error(401, "invalid_enrolment");
    let mixed = format!(
        "{}.{}",
        sign(&swapped, &attacker).expect("E").rsplit_once('.').expect("parts").0,
        signed.rsplit_once('.').expect("parts").1
    );
    post(&server, &mixed).await.expect_error(401, "invalid_enrolment");
    let elsewhere = Enrolment { aud: "https://evil.example.com".parse().expect("issuer"), ..sound.clone() };
    post(&server, &sign(&elsewhere, &client).expect("E")).await.expect_error(401, "invalid_enrolment");
    // Relayed as it is, it enrols the client's key, for which the attacker cannot sign; and only once.
    assert_eq!(post(&server, &signed).await.status, 201);
    post(&server, &signed).await.expect_error(401, "invalid_enrolment");
    let late = Enrolment { jwk: attacker.public().to_jwk(), ..sound };
    post(&server, &sign(&late, &attacker).expect("E")).await.expect_error(401, "invalid_enrolment");
    let devices = server.store.devices(&"ada".parse().expect("account")).await.expect("store");
    assert_eq!(devices.iter().map(|device| device.key.id()).collect::<Vec<_>>(), [client.public().id()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a36_one_of_many_who_hold_a_ticket_enrols_and_the_person_sees_it() {
    let server = Server::start().await;
    let own = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    own.signs_in(&mut browser).await;
    let ticket = ticket(&server, "ada").await;
    let address = server.address;
    let posts: Vec<_> = (0..32)
        .map(|_| {
            let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
            let body = json!({"enrolment": sign(&enrolment(&key, ticket), &key).expect("E")});
            tokio::spawn(async move { bare("POST", "/v1/devices").json(&body).send(address).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(post.await.expect("no panic").status);
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[401; 31][..]));
    // Whoever it was: the person sees one more device, and can take it away.
    let listed = browser.get("/v1/devices").await.json();
    let stranger = listed["devices"].as_array().expect("a list").iter().find(|device| device["current"] == false);
    let id = stranger.and_then(|device| device["device"].as_str()).expect("the new device");
    assert_eq!(listed["devices"].as_array().map(Vec::len), Some(2));
    assert_eq!(browser.delete(&format!("/v1/devices/{id}")).await.status, 204);
    let left: Value = browser.get("/v1/devices").await.json();
    assert_eq!(left["devices"].as_array().map(Vec::len), Some(1));
}
