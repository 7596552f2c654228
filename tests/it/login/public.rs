//! What anybody may fetch: metadata, keys, health, the SDK.

use loopkey::protocol::metadata::Metadata;
use loopkey::store::StoreUrl;

use super::device::issuer;
use super::failing::FailingStore;
use super::http::Call;
use super::{Server, clock};

#[tokio::test]
async fn metadata_name_every_call() {
    let server = Server::start().await;
    let answer = Call::new("GET", "/.well-known/loopkey.json").send(server.address).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let metadata: Metadata = serde_json::from_str(&answer.body).expect("metadata");
    assert_eq!(metadata.issuer, issuer());
    assert_eq!(metadata.login_endpoint, "https://app.example.com/loopkey/v1/login");
    assert_eq!((metadata.ports.as_slice(), metadata.origins.len()), (&[28970, 28971][..], 2));
}

/// Whatever a proxy or an attacker says of the host, the address that redeems is the configured one.
#[tokio::test]
async fn forwarded_headers_change_nothing() {
    let server = Server::start().await;
    let browser = server.browser();
    let call = browser.call("POST", "/v1/challenge").header("X-Forwarded-Host", "evil.example.com");
    let call = call.header("Forwarded", "host=evil.example.com;proto=http").header("X-HTTP-Method-Override", "DELETE");
    let answer = call.json(&serde_json::json!({})).send(server.address).await;
    let challenge = answer.json()["challenge"].as_str().expect("a challenge").to_owned();
    assert_eq!(super::device::read(&challenge).rdm, issuer().login_url());
}

/// Agents measure the age of a challenge by it, so it must be the clock that wrote the challenge's times.
#[tokio::test]
async fn the_date_is_the_clocks_that_decides() {
    let server = Server::start().await;
    let date = async || Call::new("GET", "/healthz").send(server.address).await.header("date").map(str::to_owned);
    assert_eq!(date().await.as_deref(), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
    server.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(date().await.as_deref(), Some("Fri, 15 Jan 2027 08:01:01 GMT"));
}

#[tokio::test]
async fn health_is_the_process_and_readiness_the_store() {
    let clock = clock();
    let store = FailingStore::over(loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store"));
    let server = Server::start_with(store.clone(), clock).await;
    let get = async |path: &str| Call::new("GET", path).send(server.address).await;
    assert_eq!((get("/healthz").await.status, get("/readyz").await.status), (200, 200));
    store.fail("ping");
    assert_eq!(get("/healthz").await.status, 200);
    get("/readyz").await.expect_error(503, "unavailable");
}

#[tokio::test]
async fn the_sdk_is_served_with_its_type_and_asked_for_again() {
    let server = Server::start().await;
    for (name, content) in loopkey::login::sdk::FILES {
        let call = Call::new("GET", &format!("/sdk/{name}"));
        let answer = call.send(server.address).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, *content), "{name}");
        let kind = if name.ends_with(".js") { "text/javascript" } else { "text/plain" };
        assert!(answer.header("content-type").is_some_and(|value| value.starts_with(kind)));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
        let tag = answer.header("etag").expect("a tag");
        let again = call.header("If-None-Match", tag).send(server.address).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
}

#[tokio::test]
async fn what_is_no_text_in_a_path_is_refused_like_everything_else() {
    let server = Server::start().await;
    Call::new("GET", "/sdk/%FF").send(server.address).await.expect_error(404, "not_found");
    Call::new("GET", "/sdk/account/%C3").send(server.address).await.expect_error(404, "not_found");
    let key = format!("Bearer {}", super::SERVICE_KEY);
    let call = Call::new("GET", "/v1/accounts/%FF").header("Authorization", &key);
    call.send(server.address).await.expect_error(404, "not_found");
}

#[tokio::test]
async fn http_2_is_not_spoken_in_clear() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = super::Server::start().await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.expect("connected");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()).await.expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    server.stop().await;
}
