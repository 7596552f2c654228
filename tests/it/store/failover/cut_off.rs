//! A store that is cut off between a mark and its answer, and one that answers late: nobody knows whether the mark was
//! taken, so the token counts as used.

use std::time::Duration;

use super::proxy::Proxy;
use super::{clock, open};
use crate::login::Server;
use crate::login::browser::Browser;
use crate::login::device::{Device, read};
use crate::login::http::Answer;
use crate::support::{postgres, redis};

/// Later than a mark's answer may come.
const LATE: Duration = Duration::from_millis(400);

/// A login server whose way to its store is the test's.
struct Site {
    proxy: Proxy,
    server: Server,
    device: Device,
}

impl Site {
    async fn start(port: u16, address: impl FnOnce(u16) -> String) -> Self {
        let proxy = Proxy::to(port).await;
        let clock = clock();
        let store = open(&address(proxy.port()), 0, clock.clone()).await;
        let server = Server::start_with(store, clock).await;
        let device = Device::enrol(&server, "ada").await;
        let site = Self { proxy, server, device };
        // Whatever is prepared for the first mark of a connection is, on each in its turn.
        for _ in 0..8 {
            site.device.signs_in(&mut site.server.browser()).await;
        }
        site
    }

    async fn on_redis() -> (redis::RedisServer, Self) {
        let redis = redis::RedisServer::start(&[]);
        let site = Self::start(redis.port(), |port| format!("redis://127.0.0.1:{port}")).await;
        (redis, site)
    }

    async fn on_postgres() -> Self {
        let server = postgres::shared();
        let database = server.database();
        Self::start(server.port(), |port| format!("postgres://postgres@127.0.0.1:{port}/{database}")).await
    }

    /// Posts a token of which nobody knows whether it was used. Then nothing is in the store's way any more: the token is
    /// not accepted, and another one is.
    async fn is_in_doubt(&self, mut browser: Browser, challenge: &str) {
        let token = self.device.token(challenge);
        let doubtful = browser.login(challenge, &token, self.device.subject.as_str()).await;
        doubtful.expect_error(503, "unavailable");
        assert_eq!(doubtful.header("retry-after"), Some("1"));
        assert_eq!(doubtful.all("set-cookie").count(), 0, "never a login");
        self.proxy.delay(Duration::ZERO);
        if !self.proxy.has_seen_it() {
            // A connection was still being made, so the mark was never asked for: the token is unused.
            let first = self.connected(&mut browser.clone(), challenge, &token).await;
            assert_eq!(first.status, 204, "{first:?}");
        }
        for _ in 0..3 {
            let again = self.connected(&mut browser, challenge, &token).await;
            again.expect_error(401, "invalid_token");
        }
        let challenge = browser.challenge().await;
        let fresh = self.connected(&mut browser, &challenge, &self.device.token(&challenge)).await;
        assert_eq!(fresh.status, 204, "{fresh:?}");
    }

    /// Posts a token until the store is reached again. As long as it is not, nothing is asked of it.
    async fn connected(&self, browser: &mut Browser, challenge: &str, token: &str) -> Answer {
        let mut answer = browser.login(challenge, token, self.device.subject.as_str()).await;
        for _ in 0..100 {
            if answer.status != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = browser.login(challenge, token, self.device.subject.as_str()).await;
        }
        answer
    }

    async fn is_cut_off(&self) {
        let mut browser = self.server.browser();
        let challenge = browser.challenge().await;
        self.proxy.cut_the_answer_to(mark_of(&challenge).as_slice());
        self.is_in_doubt(browser, &challenge).await;
        assert!(self.proxy.has_seen_it(), "the mark was asked for");
    }

    async fn answers_late(&self) {
        let mut browser = self.server.browser();
        let challenge = browser.challenge().await;
        self.proxy.look_out_for(mark_of(&challenge).as_slice());
        self.proxy.delay(LATE);
        self.is_in_doubt(browser, &challenge).await;
    }
}

/// Bytes that are in the request for a challenge's mark, and in no other.
fn mark_of(challenge: &str) -> [u8; 16] {
    *read(challenge).jti.as_bytes().first_chunk().expect("a jti is longer")
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_cut_off_between_a_mark_and_its_answer() {
    let (_redis, site) = Site::on_redis().await;
    site.is_cut_off().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_answers_late() {
    let (_redis, site) = Site::on_redis().await;
    site.answers_late().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_cut_off_between_a_mark_and_its_answer() {
    Site::on_postgres().await.is_cut_off().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_answers_late() {
    Site::on_postgres().await.answers_late().await;
}
