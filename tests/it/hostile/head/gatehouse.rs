//! What the tests before the upgrade stand on: an agent, its clock, and a sound head to spoil.

use std::sync::Arc;
use std::time::Duration;

use loopkey::agent::{AgentSettings, Builder, OriginSettings};
use loopkey::clock::ManualClock;
use loopkey::protocol::gate::REFUSAL;
use loopkey::protocol::time::UnixMillis;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::super::raw::{PATIENCE, Raw, upgrade};
use crate::support::world::World;

/// The origin whose pages are allowed. It has the letters that have look-alikes: `d e s k`.
pub(in super::super) const PAGE: &str = "https://desk.example.com";

/// An agent whose clock moves only between refusals, so that its budget of them is never used up.
pub(in super::super) struct Gatehouse {
    pub(in super::super) world: World,
    pub(in super::super) clock: Arc<ManualClock>,
}

impl Gatehouse {
    pub(in super::super) async fn new() -> Self {
        Self::built(|_| {}, |builder| builder).await
    }

    /// A gatehouse whose agent is told something else, or put together otherwise.
    pub(in super::super) async fn built(
        change: impl FnOnce(&mut AgentSettings),
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let with_page = |settings: &mut AgentSettings| {
            let page = OriginSettings { origin: PAGE.parse().expect("an origin"), ..settings.origins[0].clone() };
            settings.origins.push(page);
            change(settings);
        };
        let agents = Arc::clone(&clock);
        let world = World::built(with_page, |builder| build(builder.clock(agents))).await;
        Self { world, clock }
    }

    pub(in super::super) fn port(&self) -> u16 {
        self.world.agent.handle.port()
    }

    /// A sound upgrade with one text in it replaced.
    pub(in super::super) fn changed(&self, from: &str, to: &str) -> String {
        let sound = upgrade(self.port(), PAGE);
        assert!(sound.contains(from), "{from:?} is not in {sound:?}");
        sound.replacen(from, to, 1)
    }

    /// A sound upgrade but for its `Host`.
    pub(in super::super) fn host(&self, value: &str) -> String {
        self.changed(&format!("Host: 127.0.0.1:{}", self.port()), &format!("Host: {value}"))
    }

    /// A sound upgrade but for its `Origin`.
    pub(in super::super) fn origin(&self, value: &str) -> String {
        self.changed(&format!("Origin: {PAGE}"), &format!("Origin: {value}"))
    }

    /// A sound upgrade of another target.
    pub(in super::super) fn target(&self, target: &str) -> String {
        self.changed("GET /v1 ", &format!("GET {target} "))
    }

    /// A sound upgrade with more header lines.
    pub(in super::super) fn with(&self, lines: &str) -> String {
        self.changed("Origin:", &format!("{lines}\r\nOrigin:"))
    }

    /// The sound request of a page that asks whether an agent is here.
    pub(in super::super) fn probe(&self, origin: &str) -> String {
        format!("GET /v1/probe HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {origin}\r\n\r\n", self.port())
    }

    /// Lets a tenth of a second pass, which buys one refusal, and demands it.
    pub(in super::super) async fn refuses(&self, head: impl AsRef<[u8]>) {
        self.refuses_at("127.0.0.1", head).await;
    }

    /// As [`Gatehouse::refuses`], of a connection to another address.
    pub(in super::super) async fn refuses_at(&self, address: &str, head: impl AsRef<[u8]>) {
        self.clock.advance(Duration::from_millis(100));
        let mut raw = Raw::connect_to((address, self.port())).await;
        raw.say(&head).await;
        refused(raw, head.as_ref()).await;
    }

    /// The head of the answer, up to its empty line.
    pub(in super::super) async fn answer_to(&self, head: impl AsRef<[u8]>) -> String {
        self.clock.advance(Duration::from_millis(100));
        let mut raw = Raw::connect(self.port()).await;
        raw.say(head).await;
        answer_head(&mut raw).await
    }

    /// The honest page is served, whatever came before it.
    pub(in super::super) async fn serves_and_stops(self) {
        let _ = self.world.open_page().await;
        self.world.agent.stop().await;
    }
}

/// Reads the head of an answer, and nothing behind it.
pub(in super::super) async fn answer_head(raw: &mut Raw) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, raw.0.read_u8()).await.expect("an answer").expect("a whole head"));
    }
    String::from_utf8(head).expect("text")
}

/// Demands the refusal and nothing behind it. Any other answer is seen at once, and not only when the agent closes.
pub(in super::super) async fn refused(mut raw: Raw, what: &[u8]) {
    let mut answer = Vec::new();
    let mut beginning = (&mut raw.0).take(REFUSAL.len() as u64);
    let _ = timeout(PATIENCE, beginning.read_to_end(&mut answer)).await.expect("an answer");
    let what = String::from_utf8_lossy(&what[..what.len().min(300)]);
    assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(REFUSAL), "{what:?}");
    assert_eq!(raw.rest().await, b"", "nothing follows the refusal: {what:?}");
}
