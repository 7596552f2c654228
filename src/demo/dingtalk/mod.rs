//! A DingTalk of our own, by its documents: the old interface, the new one, the pages that people see, and Stream mode, each on
//! a port of its own. It is strict where the real one is, its time is the demo's or a test's, and it can be as busy, slow and
//! wrong as the real one: people try the connector against it, and so do this crate's tests.

mod choose;
mod gate;
mod new;
mod old;
mod pages;
mod push;
mod reply;
mod sns;
mod state;
mod stream;
mod topapi;
mod verify;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::connectors::dingtalk::Hosts;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use gate::{Ban, Mischief};
pub use push::{Push, Subscription};
pub use reply::Asked;
pub use state::{App, Department, Kind, State, User};
pub use stream::StreamSide;

/// Which of the hosts was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    Oapi,
    Api,
    Login,
}

/// The fake, running until it is dropped.
pub struct FakeDingTalk {
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
    /// Listens on four ports that are free.
    pub async fn start(clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listen = || TcpListener::bind("127.0.0.1:0");
        let at = |listener: &TcpListener| Ok::<_, io::Error>(format!("http://{}", listener.local_addr()?));
        let (oapi, api, login, gateway) = (listen().await?, listen().await?, listen().await?, listen().await?);
        let hosts = Hosts { oapi: at(&oapi)?, api: at(&api)?, login: at(&login)? };
        let gateway_address = at(&gateway)?.replacen("http", "ws", 1);
        let state = Arc::new(Mutex::new(State::new(clock, hosts.clone(), gateway_address)));
        let mut tasks: Vec<_> = [(oapi, Host::Oapi), (api, Host::Api), (login, Host::Login)]
            .into_iter()
            .map(|(listener, host)| {
                let router = Router::new().fallback(answer).with_state((Arc::clone(&state), host));
                tokio::spawn(async move {
                    if let Err(error) = axum::serve(listener, router).await {
                        tracing::error!(%error, "the simulated DingTalk ended");
                    }
                })
            })
            .collect();
        let (sides, streams) = tokio::sync::mpsc::unbounded_channel();
        tasks.push(tokio::spawn(stream::serve(gateway, Arc::clone(&state), sides)));
        Ok(Self { state, hosts, streams: tokio::sync::Mutex::new(streams), tasks })
    }

    pub fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// Its state: what is there, what was asked, what it shall do next.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next connection in Stream mode.
    pub async fn stream(&self) -> StreamSide {
        self.streams.lock().await.recv().await.expect("a connection")
    }

    /// How often a path was called.
    pub fn calls(&self, path: &str) -> usize {
        self.state().calls.iter().filter(|called| called.as_str() == path).count()
    }
}

async fn answer(Shared((state, host)): Shared<(Arc<Mutex<State>>, Host)>, request: Request<Body>) -> Response {
    let asked = Asked::read(host, request).await;
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.push(asked.path.clone());
        let reply = gate::pass(&mut state, &asked).unwrap_or_else(|| match host {
            Host::Oapi => old::answer(&mut state, &asked),
            Host::Api => new::answer(&mut state, &asked),
            Host::Login => pages::answer(&mut state, &asked),
        });
        if state.numbers_as_text { reply.with_numbers_as_text() } else { reply }
    };
    reply.into_response().await
}
