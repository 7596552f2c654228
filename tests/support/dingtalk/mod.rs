//! A DingTalk of our own, by its documents: the old interface, the new one, the pages that people see, and Stream mode, each on
//! a port of its own. It is strict where the real one is, its time is the test's, and it can be as busy, slow and wrong as the
//! real one.

mod gate;
mod new;
mod old;
mod pages;
mod reply;
mod sns;
mod state;
mod stream;
mod topapi;
mod verify;

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use loopkey::clock::ManualClock;
use loopkey::connectors::dingtalk::Hosts;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use gate::{Ban, Mischief};
pub(crate) use reply::Asked;
#[allow(unused_imports, reason = "each test binary uses its part")]
pub(crate) use state::{App, Department, Kind, State, User};
pub(crate) use stream::StreamSide;

/// Which of the hosts was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Oapi,
    Api,
    Login,
}

/// The fake, running until it is dropped.
pub(crate) struct FakeDingTalk {
    state: Arc<Mutex<State>>,
    hosts: Hosts,
    streams: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<StreamSide>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for FakeDingTalk {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl FakeDingTalk {
    pub(crate) async fn start(clock: Arc<ManualClock>) -> Self {
        let listen = || TcpListener::bind("127.0.0.1:0");
        let at = |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
        let (oapi, api, login) = (listen().await, listen().await, listen().await);
        let (oapi, api, login) = (oapi.expect("a port"), api.expect("a port"), login.expect("a port"));
        let gateway = listen().await.expect("a port");
        let hosts = Hosts { oapi: at(&oapi), api: at(&api), login: at(&login) };
        let state = Arc::new(Mutex::new(State::new(clock, hosts.clone(), at(&gateway).replacen("http", "ws", 1))));
        let mut tasks: Vec<_> = [(oapi, Host::Oapi), (api, Host::Api), (login, Host::Login)]
            .into_iter()
            .map(|(listener, host)| {
                let router = Router::new().fallback(answer).with_state((Arc::clone(&state), host));
                tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") })
            })
            .collect();
        let (sides, streams) = tokio::sync::mpsc::unbounded_channel();
        tasks.push(tokio::spawn(stream::serve(gateway, Arc::clone(&state), sides)));
        Self { state, hosts, streams: tokio::sync::Mutex::new(streams), tasks }
    }

    pub(crate) fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// Its state: what is there, what was asked, what it shall do next.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test failed in here")
    }

    /// The next connection in Stream mode.
    pub(crate) async fn stream(&self) -> StreamSide {
        self.streams.lock().await.recv().await.expect("a connection")
    }

    /// How often a path was called.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.state().calls.iter().filter(|called| called.as_str() == path).count()
    }
}

async fn answer(Shared((state, host)): Shared<(Arc<Mutex<State>>, Host)>, request: Request<Body>) -> Response {
    let asked = Asked::read(host, request).await;
    let reply = {
        let mut state = state.lock().expect("no test failed in here");
        state.calls.push(asked.path.clone());
        gate::pass(&mut state, &asked).unwrap_or_else(|| match host {
            Host::Oapi => old::answer(&mut state, &asked),
            Host::Api => new::answer(&mut state, &asked),
            Host::Login => pages::answer(&mut state, &asked),
        })
    };
    reply.into_response().await
}
