//! The agent's end of the control socket: what clients can tell it and ask of it (protocol section 9).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::endpoint::{ControlError, Endpoint, Stream};
use super::rpc::{self, Incoming, Peer, RpcError};
use crate::agent::consent::{Answer, Asker, Prompt};
use crate::agent::handle::{Handle, HandleError};
use crate::agent::hub::HubError;
use crate::agent::issuer::IssuerFault;
use crate::protocol::id::{EnrolmentTicket, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::message::SUBPROTOCOL;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;

/// How long a client may take to read the last answer.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// A bound control socket.
pub(in crate::agent) struct ControlServer {
    endpoint: Endpoint,
    clients: Clients,
}

impl ControlServer {
    pub(in crate::agent) fn bind(path: &Path) -> Result<Self, ControlError> {
        Ok(Self { endpoint: Endpoint::bind(path)?, clients: Clients::default() })
    }

    /// Asks the person through whichever client said hello first and is still there.
    pub(in crate::agent) fn asker(&self) -> Arc<dyn Asker> {
        Arc::new(self.clients.clone())
    }

    /// Serves clients until the agent stops.
    pub(in crate::agent) async fn run(self, agent: Handle) {
        let mut connections = JoinSet::new();
        let mut sockets = agent.open_sockets();
        loop {
            tokio::select! {
                () = agent.stopped() => break,
                accepted = self.endpoint.accept() => match accepted {
                    Ok(stream) => drop(connections.spawn(attend(stream, agent.clone(), self.clients.clone()))),
                    Err(error) => {
                        tracing::error!(%error, "cannot accept a client");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Ok(()) = sockets.changed() => {
                    let open = sockets.borrow_and_update().clone();
                    let origins: Vec<_> = open.iter().map(|(o, n)| json!({"origin": o, "sockets": n})).collect();
                    self.clients.tell("sockets.changed", &json!({ "origins": origins }));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

/// The clients that said hello, first come first.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<Vec<(u64, Peer)>>>);

impl Clients {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Peer)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, peer: &Peer) -> Registered {
        let mut clients = self.lock();
        let id = clients.last().map_or(1, |(last, _)| last + 1);
        clients.push((id, peer.clone()));
        Registered { clients: self.clone(), id }
    }

    fn tell(&self, method: &str, params: &Value) {
        for (_, peer) in self.lock().iter() {
            peer.notify(method, params);
        }
    }
}

struct Registered {
    clients: Clients,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let id = self.id;
        self.clients.lock().retain(|(client, _)| *client != id);
    }
}

#[async_trait]
impl Asker for Clients {
    fn is_available(&self) -> bool {
        !self.lock().is_empty()
    }

    async fn ask(&self, prompt: Prompt) -> Answer {
        #[derive(Deserialize)]
        struct Result {
            allow: bool,
            #[serde(default)]
            remember: bool,
        }
        let clients: Vec<_> = self.lock().iter().map(|(_, peer)| peer.clone()).collect();
        let params = json!({
            "origin": prompt.origin, "account": prompt.subject, "name": prompt.name, "code": prompt.code,
            "peer": { "browser": null },
        });
        // First come, first asked; one that cannot ask the person passes the question on.
        for peer in clients {
            let (number, call) = peer.call_numbered("consent.request", &params);
            let mut withdraw = Withdraw { peer: &peer, number, answered: false };
            let answer = call.await;
            withdraw.answered = true;
            match answer.map(serde_json::from_value::<Result>) {
                Ok(Ok(Result { allow: true, remember })) => return Answer::Allow { remember },
                Ok(Ok(Result { allow: false, .. })) => return Answer::Deny,
                Ok(Err(error)) => tracing::warn!(%error, "a client answered a consent request with something else"),
                Err(error) => tracing::warn!(%error, "a client could not ask the person"),
            }
        }
        Answer::Unavailable
    }
}

/// Tells the client to take its prompt away when nobody waits for the answer any more.
struct Withdraw<'a> {
    peer: &'a Peer,
    number: u64,
    answered: bool,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.peer.notify("consent.withdrawn", &json!({ "id": self.number }));
        }
    }
}

async fn attend(stream: Stream, agent: Handle, clients: Clients) {
    let (peer, incoming, driver) = rpc::open(stream);
    tokio::pin!(driver);
    {
        let session = Session { agent: agent.clone(), clients, peer: peer.clone(), registered: Mutex::new(None) };
        tokio::select! {
            () = rpc::serve(&peer, incoming, |call| session.serve(call)) => {}
            () = &mut driver => return,
            () = agent.stopped() => {}
        }
    }
    // What was answered already still goes out; with the last speaker gone the driver ends.
    drop(peer);
    let _ = tokio::time::timeout(GOODBYE_TIMEOUT, driver).await;
}

/// One connected client.
struct Session {
    agent: Handle,
    clients: Clients,
    peer: Peer,
    registered: Mutex<Option<Registered>>,
}

impl Session {
    async fn serve(&self, call: Incoming) -> Option<(Value, Result<Value, RpcError>)> {
        let Incoming { id, method, params } = call;
        if method == "stop" {
            // Answered first: nobody is left to answer afterwards.
            let result = read(params).map(|Nothing {}| json!({}));
            let agreed = result.is_ok();
            if let Some(id) = id {
                self.peer.answer(&id, result).await;
            }
            if agreed {
                self.agent.stop();
            }
            return None;
        }
        let result = self.dispatch(&method, params).await;
        if let Err(error) = &result {
            tracing::debug!(method, %error, "a client's call failed");
        }
        id.map(|id| (id, result))
    }

    async fn dispatch(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let agent = &self.agent;
        match method {
            "client.hello" => {
                let Hello { name, version } = read(params)?;
                tracing::info!(client = name, version, "a client is connected");
                let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
                registered.get_or_insert_with(|| self.clients.register(&self.peer));
                Ok(json!({ "agent": env!("CARGO_PKG_VERSION"), "protocol": SUBPROTOCOL }))
            }
            "account.enrol" => {
                let Enrol { issuer, ticket } = read(params)?;
                let issuer: Issuer = issuer.parse().map_err(RpcError::invalid_params)?;
                let ticket: EnrolmentTicket = ticket.parse().map_err(RpcError::invalid_params)?;
                let account = agent.enrol(&issuer, ticket).await.map_err(|error| rpc_error(&error))?;
                Ok(json!({ "account": account.account, "name": account.name }))
            }
            "account.list" => {
                let Nothing {} = read(params)?;
                Ok(json!({ "accounts": agent.accounts() }))
            }
            "account.remove" => {
                let Account { account } = read(params)?;
                agent.remove(&self.named(account)?).map_err(|error| rpc_error(&error))?;
                Ok(json!({}))
            }
            "presence.set" => {
                let SetPresence { account, presence, profile } = read(params)?;
                let account = self.named(account)?;
                if let Some(Profile { name, avatar }) = profile {
                    agent
                        .set_profile(&account, name.as_deref(), avatar.as_deref())
                        .map_err(|error| rpc_error(&error))?;
                }
                Ok(json!({ "seq": agent.set_presence(&account, presence).map_err(|error| rpc_error(&error))? }))
            }
            "presence.signOut" => {
                let Account { account } = read(params)?;
                Ok(json!({ "epoch": agent.sign_out(&self.named(account)?).map_err(|error| rpc_error(&error))? }))
            }
            "grants.list" => {
                let Nothing {} = read(params)?;
                let grants: Vec<_> = agent
                    .consents()
                    .iter()
                    .map(|(origin, account)| json!({"origin": origin, "account": account}))
                    .collect();
                Ok(json!({ "grants": grants }))
            }
            "grants.revoke" => {
                let Revoke { origin } = read(params)?;
                let origin: Origin = origin.parse().map_err(RpcError::invalid_params)?;
                Ok(json!({ "revoked": agent.revoke(&origin).map_err(|error| rpc_error(&error))? }))
            }
            "status" => {
                let Nothing {} = read(params)?;
                serde_json::to_value(agent.status()).map_err(|error| RpcError::failed("internal", error.to_string()))
            }
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    fn named(&self, account: Option<String>) -> Result<Subject, RpcError> {
        match account {
            Some(account) => account.parse().map_err(RpcError::invalid_params),
            None => self.agent.the_account().map_err(|error| rpc_error(&error)),
        }
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    let params = if params.is_null() { json!({}) } else { params };
    if !params.is_object() {
        return Err(RpcError::invalid_params("params is an object"));
    }
    serde_json::from_value(params).map_err(RpcError::invalid_params)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrol {
    issuer: String,
    ticket: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    /// Left out: the one that is signed in, or the only one.
    #[serde(default)]
    account: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPresence {
    #[serde(default)]
    account: Option<String>,
    presence: PresenceState,
    #[serde(default)]
    profile: Option<Profile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    avatar: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    origin: String,
}

/// An error as a client's program can tell it apart.
fn rpc_error(error: &HandleError) -> RpcError {
    let code = match error {
        HandleError::UnknownIssuer(_) => "unknown_issuer",
        HandleError::Ambiguous(_) => "ambiguous_account",
        HandleError::Stopped => "stopping",
        HandleError::Hub(HubError::NoSuchAccount) => "no_such_account",
        HandleError::Hub(HubError::NotAPresence) => "not_a_presence",
        HandleError::Hub(HubError::NotAPicture) => "not_a_picture",
        HandleError::Hub(HubError::SignedOut | HubError::Changed) => "signed_out",
        HandleError::Hub(HubError::Record(_)) => "storage",
        HandleError::Hub(HubError::Key(_) | HubError::Sign(_)) | HandleError::Key(_) => "key",
        HandleError::Issuer(IssuerFault::Unreachable { .. }) => "issuer_unreachable",
        HandleError::Issuer(IssuerFault::Misbehaved { .. }) => "issuer_misbehaved",
        HandleError::Issuer(IssuerFault::Refused { .. }) => "issuer_refused",
    };
    RpcError::failed(code, error.to_string())
}
