//! Whatever is logged, no secret is in it; and each refused token is in it once, with its cause.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use loopkey::protocol::state::PresenceState;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::device::Device;
use super::http::Call;
use super::{SERVICE_KEY, Server};

/// Keeps everything, of every level and every crate.
#[derive(Clone, Default)]
pub(crate) struct Everything(Arc<Mutex<String>>);

impl Everything {
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }

    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) {
        let mut line = Line(format!("\n{} {}", metadata.level(), metadata.target()));
        record(&mut line);
        self.0.lock().expect("not poisoned").push_str(&line.0);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes what is written");
    }
}

impl Subscriber for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.0.lock().expect("not poisoned").push_str(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

// On one thread, so that the server's tasks log to this test's subscriber.
#[tokio::test]
async fn no_secret_is_ever_logged() {
    let log = Everything::default();
    // While it knows of one subscriber only, tracing asks the thread that comes first to a call site, which may be
    // another test's and have none, and then never asks again.
    let _second = tracing::Dispatch::new(Everything::default());
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = Server::start().await;
    let mut secrets = vec![SERVICE_KEY.to_owned()];
    let ticket = super::device::ticket(&server, "ada").await;
    secrets.push(ticket.to_string());
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    secrets.extend(browser.cookies.values().cloned());
    let (token, proof) = (device.token(&challenge), device.proof(&challenge, PresenceState::SignedIn));
    browser.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await;
    let mut thief = server.browser();
    thief.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    assert_eq!(browser.login(&challenge, &token, device.subject.as_str()).await.status, 204);
    secrets.extend(browser.cookies.values().cloned());
    let query = format!("/v1/session?token={token}");
    browser.call("GET", &query).send(server.address).await;
    Call::new("GET", &query).header("Authorization", "Bearer planted").send(server.address).await;
    let sign_out = device.sign_out(1);
    device.signs_out(&server, 1).await;
    secrets.extend([challenge, token, proof, sign_out, "planted".to_owned()]);
    server.stop().await;

    let text = log.text();
    for secret in secrets {
        // Signed statements: neither the whole nor its signature.
        let end = secret.rsplit('.').next().expect("a last part");
        assert!(!text.contains(&secret) && !text.contains(end), "{secret} is in the log:\n{text}");
    }
    let refusals: Vec<_> = text.lines().filter(|line| line.contains("refused a login token")).collect();
    assert_eq!(refusals.len(), 1, "{text}");
    assert!(refusals[0].starts_with("WARN loopkey::login") && refusals[0].contains(device.id()), "{}", refusals[0]);
    assert!(refusals[0].contains("no pre-login cookie"), "{}", refusals[0]);
    assert!(text.contains("INFO loopkey::login::redeem message=signed in"), "{text}");
}
