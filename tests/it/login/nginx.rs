//! Forward authentication by nginx's `auth_request`, with the very configuration that `docs/integrate.md` shows.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use loopkey::protocol::id::Epoch;
use loopkey::protocol::link::ToAgent;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Server;
use super::browser::{Browser, SESSION};
use super::device::Device;
use super::http::{Answer, Call};
use super::link::TestLink;
use crate::support::nginx::Nginx;

/// A call's path and the headers in it that name a person.
type Heard = (String, Vec<String>);

/// A backend that believes the headers, and keeps what it was called with.
struct Backend {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&calls);
        let router = Router::new().fallback(async move |request: Request| {
            let loopkey =
                request.headers().iter().filter(|(name, _)| name.as_str().replace('_', "-").starts_with("x-loopkey"));
            let mut headers: Vec<_> =
                loopkey.map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect();
            headers.sort();
            kept.lock().expect("unpoisoned").push((request.uri().path().to_owned(), headers));
            "the backend"
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { address, calls, task }
    }

    fn take_calls(&self) -> Vec<Heard> {
        std::mem::take(&mut self.calls.lock().expect("unpoisoned"))
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The fenced block of the document that contains a text.
fn documented(text: &str) -> String {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/integrate.md")).expect("the document");
    let mut blocks = document.split("```nginx\n").skip(1).map(|rest| rest.split("```").next().expect("an end"));
    blocks.find(|block| block.contains(text)).unwrap_or_else(|| panic!("no block with {text:?}")).to_owned()
}

/// Replaces what must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in {text}");
    text.replace(from, to)
}

/// The documented server with the documented locations; nothing but addresses is changed.
fn configuration(listen: &str, login: SocketAddr, backend: SocketAddr) -> String {
    let server = documented("listen 443 ssl;");
    let open = "    location / {\n        proxy_pass http://127.0.0.1:8080;\n    }\n";
    let server = replaced(&server, open, &documented("auth_request /_session;"));
    let server = replaced(&server, "listen 443 ssl;", listen);
    let server = replaced(&server, "127.0.0.1:28980", &login.to_string());
    replaced(&server, "127.0.0.1:8080", &backend.to_string())
}

struct Site {
    server: Server,
    backend: Backend,
    nginx: Nginx,
}

impl Site {
    async fn start() -> Self {
        let (server, backend) = (Server::start().await, Backend::start().await);
        let nginx = Nginx::start(|listen| configuration(listen, server.address, backend.address));
        Self { server, backend, nginx }
    }

    /// A browser that knows the site by its one address.
    fn browser(&self) -> Browser {
        Browser::new(self.nginx.address, super::ORIGIN)
    }

    async fn get(&self, target: &str, browser: &Browser, headers: &[(&str, &str)]) -> Answer {
        let mut call = Call::at("GET", target);
        if let Some(session) = browser.cookies.get(SESSION) {
            call = call.header("Cookie", &format!("{SESSION}={session}"));
        }
        call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        let answer = call.send(self.nginx.address).await;
        assert!(answer.status < 500, "{answer:?}\n{}", self.nginx.complaints());
        answer
    }
}

fn headers(name: &str) -> Vec<String> {
    vec![format!("x-loopkey-account: {name}"), format!("x-loopkey-name: {name}")]
}

#[tokio::test]
async fn a_backend_behind_nginx_sees_who_is_signed_in_and_nobody_else() {
    let site = Site::start().await;
    let device = Device::enrol(&site.server, "小雨@example.com").await;
    let mut browser = site.browser();
    assert_eq!(site.get("/app/", &browser, &[]).await.status, 401);
    assert_eq!(site.backend.take_calls(), [], "the backend heard nothing");

    // The whole sign-in goes through nginx too.
    device.signs_in(&mut browser).await;
    assert_eq!(site.get("/app/letters", &browser, &[]).await.body, "the backend");
    let encoded = "%E5%B0%8F%E9%9B%A8@example.com";
    assert_eq!(site.backend.take_calls(), [("/app/letters".to_owned(), headers(encoded))]);

    assert_eq!(device.signs_out(&site.server, 2).await.status, 204);
    assert_eq!(site.get("/app/letters", &browser, &[]).await.status, 401);
    assert_eq!(site.backend.take_calls(), []);
}

#[tokio::test]
async fn headers_that_a_browser_forges_do_not_get_through_nginx() {
    let site = Site::start().await;
    let device = Device::enrol(&site.server, "ada").await;
    let mut browser = site.browser();
    let forged = [
        ("X-Loopkey-Account", "root"),
        ("x-loopkey-name", "root"),
        ("X_Loopkey_Account", "root"),
        ("X-Loopkey-Account", "root too"),
    ];
    assert_eq!(site.get("/app/", &browser, &forged).await.status, 401);
    assert_eq!(site.get("/public", &browser, &forged).await.status, 200);
    assert_eq!(site.backend.take_calls(), [("/public".to_owned(), vec![])], "not where nobody is asked for either");
    device.signs_in(&mut browser).await;
    assert_eq!(site.get("/app/", &browser, &forged).await.status, 200);
    assert_eq!(site.backend.take_calls(), [("/app/".to_owned(), headers("ada"))]);
    // Nobody but nginx can ask its question, and the backend's own calls are not for the world.
    for target in ["/_session", "/loopkey/v1/enrolment-tickets", "/loopkey/v1/token"] {
        assert_eq!(site.get(target, &browser, &[]).await.status, 404, "{target}");
    }
    assert_eq!(site.backend.take_calls(), []);
}

#[tokio::test]
async fn what_is_for_administrators_is_not_for_the_world() {
    let site = Site::start().await;
    let key = format!("Bearer {}", super::SERVICE_KEY);
    let browser = site.browser();
    for target in
        ["accounts", "accounts/ada", "organisations", "challenge-keys", "audit"].map(|call| format!("v1/{call}"))
    {
        let target = format!("/loopkey/{target}");
        let direct = Call::at("GET", &target).header("Authorization", &key).send(site.server.address).await;
        assert_ne!(direct.body, "", "{target} is there");
        let through = site.get(&target, &browser, &[("Authorization", &key)]).await;
        assert!(through.status == 404 && through.body.contains("nginx"), "{target}: {through:?}");
    }
    for target in ["/loopkey/metrics", "/loopkey/readyz"] {
        assert_eq!(Call::at("GET", target).send(site.server.address).await.status, 200, "{target} is there");
        assert_eq!(site.get(target, &browser, &[]).await.status, 404, "{target}");
    }
    // What the world is to see goes through.
    assert_eq!(site.get("/loopkey/.well-known/loopkey.json", &browser, &[]).await.status, 200);
    assert_eq!(site.get("/loopkey/healthz", &browser, &[]).await.status, 200);
}

/// An agent's standing connection, with the documented location.
#[tokio::test]
async fn a_link_goes_through_nginx() {
    let site = Site::start().await;
    let device = Device::enrol(&site.server, "ada").await;
    let (mut link, epoch, _) = TestLink::open_at(site.nginx.address, &device).await;
    assert_eq!(epoch, Epoch(0));
    link.is_alive(&device).await;
    let ada = "ada".parse().expect("an account");
    assert!(site.server.store.sign_out_account(&ada, None).await.expect("store"));
    assert_eq!(link.hear().await, ToAgent::SignOutRequest {});
}

#[tokio::test]
async fn a_request_through_nginx_prolongs_the_session() {
    let site = Site::start().await;
    let device = Device::enrol(&site.server, "ada").await;
    let mut browser = site.browser();
    device.signs_in(&mut browser).await;
    // Without use it would end after two hours.
    for _ in 0..4 {
        site.server.clock.advance(Duration::from_secs(90 * 60));
        assert_eq!(site.get("/app/", &browser, &[]).await.status, 200);
    }
    site.server.clock.advance(Duration::from_secs(121 * 60));
    assert_eq!(site.get("/app/", &browser, &[]).await.status, 401);
}
