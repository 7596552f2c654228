//! The simulated client's window: a page and the few calls that its buttons make.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::assets::{CLIENT, guarded};
use super::client::Client;
use super::desk::Command;
use crate::protocol::json;
use crate::protocol::state::PresenceState;

/// Longest request body in bytes.
const BODY_MAX_LEN: usize = 1024;

type Shared = State<Arc<Client>>;

pub(super) fn router(client: Arc<Client>, port: u16) -> Router {
    let api = Router::new()
        .route("/api/events", get(events))
        .route("/api/presence", post(presence))
        .route("/api/sign-out", post(sign_out))
        .route("/api/sign-in", post(sign_in))
        .route("/api/consent", post(consent))
        .route("/api/agent", post(agent))
        .route("/api/player", post(player))
        .route("/api/open-site", post(open_site))
        .with_state(client);
    let pages = CLIENT.iter().fold(api, |router, asset| {
        let asset = asset.clone();
        router.route(asset.path, get(async move || asset.answer()))
    });
    guarded(pages, "", &[])
        .layer(DefaultBodyLimit::max(BODY_MAX_LEN))
        .layer(middleware::from_fn_with_state(port, own_page_only))
}

/// This page acts for the person: no other site, by whatever name it reaches the port, may push its buttons.
async fn own_page_only(State(port): State<u16>, request: Request, next: Next) -> Response {
    if is_own(request.method(), request.headers(), port) {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

fn is_own(method: &Method, headers: &HeaderMap, port: u16) -> bool {
    let hosts = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}"));
    let only = |name| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let own_host = only(header::HOST).is_some_and(|host| hosts.iter().any(|own| own == host));
    let own_origin = only(header::ORIGIN)
        .is_some_and(|origin| hosts.iter().any(|own| origin.strip_prefix("http://") == Some(own.as_str())));
    let json = only(header::CONTENT_TYPE) == Some("application/json");
    own_host && (method == Method::GET || own_origin && json)
}

async fn events(State(client): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let views = futures::stream::unfold((client.view(), true), |(mut views, first)| async move {
        if !first {
            views.changed().await.ok()?;
        }
        let view = serde_json::to_string(&*views.borrow_and_update()).ok()?;
        Some((Ok(Event::default().event("state").data(view)), (views, false)))
    });
    Sse::new(views.take_until(client.closed())).keep_alive(KeepAlive::default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPresence {
    presence: PresenceState,
}

async fn presence(State(client): Shared, body: Bytes) -> Response {
    match read::<SetPresence>(&body) {
        Ok(SetPresence { presence }) => done(client.set_presence(presence).await),
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn sign_out(State(client): Shared, body: Bytes) -> Response {
    match read::<Nothing>(&body) {
        Ok(Nothing {}) => done(client.sign_out().await),
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    person: String,
}

async fn sign_in(State(client): Shared, body: Bytes) -> Response {
    match read::<SignIn>(&body) {
        Ok(SignIn { person }) => done(client.sign_in(&person).await),
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    id: u64,
    allow: bool,
    remember: bool,
    /// The digits that were typed, where another browser asked.
    #[serde(default, deserialize_with = "json::present")]
    code: Option<String>,
}

async fn consent(State(client): Shared, body: Bytes) -> Response {
    match read::<Consent>(&body) {
        Ok(Consent { id, allow, remember, code }) => done(client.answer(id, allow, remember, code.as_deref()).await),
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    running: bool,
}

async fn agent(State(client): Shared, body: Bytes) -> Response {
    match read::<Agent>(&body) {
        Ok(Agent { running: true }) => done(client.start_agent().await),
        Ok(Agent { running: false }) => {
            client.stop_agent().await;
            done(Ok(()))
        }
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Play {
    command: Command,
}

async fn player(State(client): Shared, body: Bytes) -> Response {
    match read::<Play>(&body) {
        Ok(Play { command }) => done(client.play(command).await),
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn open_site(State(client): Shared, body: Bytes) -> Response {
    match read::<Nothing>(&body) {
        Ok(Nothing {}) => done(client.open_site().await),
        Err(error) => fault(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, json::BadJson> {
    json::parse_object_of_bytes(body)
}

fn done(result: anyhow::Result<()>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => fault(StatusCode::CONFLICT, &error.to_string()),
    }
}

fn fault(status: StatusCode, reason: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    (status, headers, json!({ "error": reason }).to_string()).into_response()
}
