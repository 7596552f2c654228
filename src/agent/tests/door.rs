//! Deadlines before the upgrade: how long a head may take, and how long a connection may say nothing.

use super::*;

/// Long enough to be sure, short enough to be before.
const MOMENT: Duration = Duration::from_millis(1);

/// A head in one piece, or byte by byte.
async fn say(page: &mut DuplexStream, bytes: &[u8]) {
    page.write_all(bytes).await.expect("written");
}

/// The refusal and nothing else, and how long after `since` it came.
async fn refused_after(page: &mut DuplexStream, since: Instant) -> Duration {
    let mut answer = [0; REFUSAL.len()];
    page.read_exact(&mut answer).await.expect("an answer");
    let after = since.elapsed();
    assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(REFUSAL));
    assert_eq!(until_closed(page).await.0, b"", "nothing follows the refusal");
    after
}

#[tokio::test(start_paused = true)]
async fn i024_a_head_of_one_byte_a_second() {
    let house = house();
    let mut page = house.knock();
    tokio::time::sleep(Duration::from_secs(100)).await;
    let first_byte = Instant::now();
    for byte in &HEAD.as_bytes()[..3] {
        say(&mut page, &[*byte]).await;
        tokio::time::sleep(Duration::from_secs(1) - MOMENT).await;
    }
    // Each byte is in time for itself; the head is not.
    assert_eq!(refused_after(&mut page, first_byte).await, HEAD_TIMEOUT);
    // The honest page beside it is served.
    read_until(&mut house.open().await, "ready").await;
}

#[tokio::test(start_paused = true)]
async fn i025_a_head_that_is_begun_and_then_nothing_for_three_seconds() {
    let house = house();
    for begun in ["G", "GET /v1 HTTP/1.1\r\n", HEAD.trim_end()] {
        let mut page = house.knock();
        let first_byte = Instant::now();
        say(&mut page, begun.as_bytes()).await;
        assert_eq!(refused_after(&mut page, first_byte).await, HEAD_TIMEOUT, "{begun:?}");
    }
    read_until(&mut house.open().await, "ready").await;
}

/// The boundary itself: three seconds less a moment pass.
#[tokio::test(start_paused = true)]
async fn a_slow_head_is_refused_after_three_seconds_from_its_first_byte() {
    let house = house();
    let (begun, rest) = HEAD.split_at(40);
    let mut in_time = house.knock();
    say(&mut in_time, begun.as_bytes()).await;
    tokio::time::sleep(HEAD_TIMEOUT - MOMENT).await;
    say(&mut in_time, rest.as_bytes()).await;
    read_until(&mut in_time, "hello").await;

    let mut late = house.knock();
    let first_byte = Instant::now();
    say(&mut late, begun.as_bytes()).await;
    assert_eq!(refused_after(&mut late, first_byte).await, HEAD_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_kept_for_a_browsers_prompt_and_goes_on() {
    let house = house();
    let mut page = house.knock();
    tokio::time::sleep(SILENT_TIMEOUT - MOMENT).await;
    say(&mut page, HEAD.as_bytes()).await;
    read_until(&mut page, "hello").await;

    let started = Instant::now();
    let (bytes, closed) = until_closed(&mut house.knock()).await;
    assert_eq!((bytes.len(), closed - started), (0, SILENT_TIMEOUT));
}

/// What `loopkey certs` would have made, as far as a handshake goes; and a client that takes it.
fn certificate(house: &House) -> (Certificate, tokio_rustls::TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let files = WssFiles::of(house.folder.path());
    crate::keyfile::private_folder(files.folder()).expect("a folder");
    crate::keyfile::create(&files.authority(), made.cert.pem().as_bytes()).expect("written");
    let identity = made.cert.pem() + &made.signing_key.serialize_pem();
    crate::keyfile::create(&files.identity(), identity.as_bytes()).expect("written");
    let certificate = Certificate::load(&files, UnixMillis(1_800_000_000_000)).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    (certificate, Arc::new(config).into())
}

impl House {
    /// A connection that is at the door where TLS is spoken.
    fn knock_secure(&self, certificate: Certificate) -> DuplexStream {
        let (page, agent) = tokio::io::duplex(STREAM_LEN);
        let doorman = Arc::clone(&self.doorman);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let line = Line { peers: Arc::new(peer::Off), page: nowhere, agent: nowhere };
        tokio::spawn(async move {
            see_through(doorman.let_in_secured(agent, &certificate, OwnUser::taken_on_trust(), line)).await;
        });
        page
    }
}

/// Chromium holds a connection silent for its prompt when TLS stands already; whoever waits for its first byte holds it so
/// before.
#[tokio::test(start_paused = true)]
async fn a_connection_may_be_silent_before_tls_and_behind_it() {
    let house = house();
    let (shown, connector) = certificate(&house);
    let page = house.knock_secure(shown);
    tokio::time::sleep(SILENT_TIMEOUT - MOMENT).await;
    let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
    let mut page = connector.connect(name, page).await.expect("TLS");
    tokio::time::sleep(SILENT_TIMEOUT - MOMENT).await;
    page.write_all(HEAD.as_bytes()).await.expect("written");
    page.flush().await.expect("sent");
    let mut answer = [0; 12];
    page.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 101");

    let (other, started) = (certificate_again(&house), Instant::now());
    let (bytes, closed) = until_closed(&mut house.knock_secure(other)).await;
    assert_eq!((bytes.len(), closed - started), (0, SILENT_TIMEOUT));
}

fn certificate_again(house: &House) -> Certificate {
    Certificate::load(&WssFiles::of(house.folder.path()), UnixMillis(1_800_000_000_000)).expect("a certificate")
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_over_three_seconds_after_its_first_byte_and_has_a_place_like_a_head() {
    let house = house();
    let (shown, _) = certificate(&house);
    let mut page = house.knock_secure(shown);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let first_byte = Instant::now();
    say(&mut page, b"\x16\x03\x01").await;
    let (bytes, closed) = until_closed(&mut page).await;
    assert_eq!((bytes.len(), closed - first_byte), (0, HANDSHAKE_TIMEOUT), "nothing is said in the clear");

    let places: Vec<_> = std::iter::from_fn(|| house.doorman.core.census.opening().ok()).collect();
    assert_eq!(places.len(), SocketLimits::default().not_yet_open);
    let mut page = house.knock_secure(certificate_again(&house));
    let first_byte = Instant::now();
    say(&mut page, b"\x16\x03\x01").await;
    let (bytes, closed) = until_closed(&mut page).await;
    assert_eq!((bytes.len(), closed - first_byte), (0, Duration::ZERO), "there is no place for it");
}
