//! Web sites of a test's own on loopback: pages of the demo with another login server behind them, strangers' pages, and
//! hosts that nobody should call.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::world::http;

/// A web server on both loopback addresses, until it is dropped.
pub(crate) struct Site {
    scheme: &'static str,
    port: u16,
    tasks: Vec<JoinHandle<()>>,
}

/// A port on both loopback addresses, not served yet: who serves it may have to know it first.
pub(crate) struct Place {
    port: u16,
    listeners: Vec<TcpListener>,
}

impl Place {
    pub(crate) async fn take() -> Self {
        loop {
            let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let port = v4.local_addr().expect("an address").port();
            // Somebody else may have the other half.
            if let Ok(v6) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
                return Self { port, listeners: vec![v4, v6] };
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub(crate) fn serve(self, router: &Router) -> Site {
        let serve = |listener| {
            let router = router.clone();
            tokio::spawn(async move { axum::serve(listener, router).await.expect("served") })
        };
        Site { scheme: "http", port: self.port, tasks: self.listeners.into_iter().map(serve).collect() }
    }

    /// Serves it over TLS; its address is then the same with `https://`.
    pub(crate) fn serve_secure(self, router: &Router, tls: &Arc<rustls::ServerConfig>) -> Site {
        let serve = |listener| {
            let (router, tls) = (router.clone(), Some(Arc::clone(tls)));
            let serving = loopkey::login::serve::serve(router, vec![listener], tls, 64, std::future::pending());
            tokio::spawn(async move { serving.await.expect("served") })
        };
        Site { scheme: "https", port: self.port, tasks: self.listeners.into_iter().map(serve).collect() }
    }
}

impl Site {
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// `calls`, and for everything else the answer of the demo's page at `base`, headers and all.
pub(crate) fn in_front_of(base: String, calls: Router) -> Router {
    let pass_on = async |State(base): State<String>, request: Request| -> Response {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let answer = http().get(format!("{base}{path}")).send().await.expect("the demo answers");
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if ![header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(name) {
                response = response.header(name, value);
            }
        }
        response.body(Body::from(answer.bytes().await.expect("a body"))).expect("a response")
    };
    calls.fallback_service(axum::handler::HandlerWithoutStateExt::into_service(async move |request: Request| {
        pass_on(State(base.clone()), request).await
    }))
}

/// A login server that believes everything and passes on whatever it was told, as it is.
#[derive(Clone, Default)]
pub(crate) struct Credulous(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    account: Value,
    session: Option<Value>,
    elsewhere: String,
}

impl Credulous {
    /// The person that the next proof is of.
    pub(crate) fn tell(&self, subject: &str, name: &Value, avatar: &Value) {
        let account = json!({ "subject": subject, "name": name, "avatar": avatar });
        self.0.lock().expect("unpoisoned").account = account;
    }

    /// Where `/away.png` of the site's own origin leads.
    pub(crate) fn redirect_to(&self, url: &str) {
        self.0.lock().expect("unpoisoned").elsewhere = url.to_owned();
    }

    pub(crate) fn router(&self, ports: &[u16]) -> Router {
        let challenge = json!({ "challenge": "a challenge", "ports": ports });
        let json = |value: &Value| ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response();
        let [known, login, session, logout, away] = [(); 5].map(|()| self.clone());
        Router::new()
            .route("/v1/challenge", post(async move || json(&challenge)))
            .route(
                "/v1/presence",
                post(async move || {
                    json(&json!({ "presence": "signed_in", "account": known.0.lock().expect("unpoisoned").account }))
                }),
            )
            .route(
                "/v1/login",
                post(async move || {
                    let mut told = login.0.lock().expect("unpoisoned");
                    let mut session = told.account.clone();
                    for (member, value) in [
                        ("account", json!("account")),
                        ("device", json!("device")),
                        ("device_name", told.account["name"].clone()),
                        ("method", told.account["name"].clone()),
                        ("signed_in_at", json!(1_795_000_000)),
                        ("expires_at", json!(1_795_040_000)),
                    ] {
                        session[member] = value;
                    }
                    told.session = Some(session);
                    StatusCode::NO_CONTENT
                }),
            )
            .route(
                "/v1/session",
                get(async move || match &session.0.lock().expect("unpoisoned").session {
                    Some(session) => json(session),
                    None => StatusCode::UNAUTHORIZED.into_response(),
                }),
            )
            .route("/v1/session/events", get(async || StatusCode::NO_CONTENT))
            .route("/away.png", get(async move || Redirect::temporary(&away.0.lock().expect("unpoisoned").elsewhere)))
            .route(
                "/v1/logout",
                post(async move || {
                    logout.0.lock().expect("unpoisoned").session = None;
                    StatusCode::NO_CONTENT
                }),
            )
    }
}

/// A host that nobody should call. It counts connections, whatever they would have spoken.
pub(crate) struct Stranger {
    port: u16,
    calls: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Stranger {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, calls, task }
    }

    /// `127.0.0.1:PORT`, to be written behind any scheme.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How often it was called until now. It calls itself last, so that whoever called before has been counted.
    pub(crate) async fn calls(&self) -> usize {
        let before = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens");
        while self.calls.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(before);
        self.calls.load(Ordering::SeqCst) - 1
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.task.abort();
    }
}
