//! What the agent does when a client calls (protocol section 9).

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};

use super::clients::{ClientAction, Clients, Registered};
use super::fault::FaultCode;
use super::params::{
    Account, ActionName, Enrol, Hello, Object, Open, Profile, Publish, Register, Revoke, SetGrant, SetPresence, Tail,
};
use super::request::Request;
use super::rpc::{Answered, Call, Json, Peer, RpcError, Served};
use crate::agent::client::action::ActionOwner;
use crate::agent::core::ConnectedClient;
use crate::agent::handle::{Handle, HandleError};
use crate::agent::issuer::hub::HubError;
use crate::protocol::id::{EnrolmentTicket, Seq, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::message::SUBPROTOCOL;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;

/// Faults of the audit log that are told, from the first.
const MAX_LOG_FAULTS: usize = 100;

/// What comes of a request.
enum Reply<'s> {
    Now(Json),
    Later(BoxFuture<'s, Result<Json, RpcError>>),
}

/// What `presence.set` gives. It is called most, and no map is made for its answer.
#[derive(Serialize)]
struct PresenceSet {
    seq: Seq,
}

/// One connected client.
pub(super) struct Session {
    agent: Handle,
    clients: Clients,
    peer: Peer,
    registered: Mutex<Option<(Registered, ConnectedClient)>>,
    /// Its actions go with it.
    actions: ActionOwner,
}

impl Session {
    pub(super) fn new(agent: Handle, clients: Clients, peer: Peer) -> Self {
        let actions = agent.action_owner();
        Self { agent, clients, peer, registered: Mutex::new(None), actions }
    }

    /// Answers a call, or goes about it.
    pub(super) fn serve(&self, call: Call<'_, Request>) -> Served<'_> {
        let Call { id, method, params } = call;
        match params.and_then(|request| self.reply(request)) {
            Ok(Reply::Now(json)) => Served::Now(done(id, &method, Ok(json))),
            Err(error) => Served::Now(done(id, &method, Err(error))),
            Ok(Reply::Later(reply)) => {
                let method = method.into_owned();
                Served::Later(Box::pin(async move { done(id, &method, reply.await) }))
            }
        }
    }

    fn reply(&self, request: Request) -> Result<Reply<'_>, RpcError> {
        let json = match request {
            Request::Hello(hello) => Json::of(&self.hello(hello))?,
            Request::Enrol(enrol) => return Ok(Reply::Later(Box::pin(self.enrol(enrol)))),
            Request::Accounts => Json::of(&json!({ "accounts": self.agent.accounts() }))?,
            Request::Remove(Account { account }) => {
                self.agent.remove(&self.named(account)?)?;
                Json::nothing()
            }
            Request::SetPresence(set) => Json::of(&PresenceSet { seq: self.set_presence(set)? })?,
            Request::SignOut(Account { account }) => {
                Json::of(&json!({ "epoch": self.agent.sign_out(&self.named(account)?)? }))?
            }
            Request::Grants => {
                Json::of(&json!({ "grants": self.agent.consents(), "origins": self.agent.status().origins }))?
            }
            Request::Revoke(Revoke { origin }) => {
                Json::of(&json!({ "revoked": self.agent.revoke(&parse_origin(&origin)?)? }))?
            }
            Request::SetGrant(SetGrant { origin, consent }) => {
                self.agent.choose(&parse_origin(&origin)?, consent.into())?;
                Json::nothing()
            }
            Request::Register(Register { name, schema }) => {
                self.actions.register(&name, schema, Arc::new(ClientAction(self.peer.clone())))?;
                Json::nothing()
            }
            Request::Unregister(ActionName { name }) => {
                self.actions.unregister(&name)?;
                Json::nothing()
            }
            Request::Publish(Publish { name, value }) => {
                self.actions.publish(&name, value)?;
                Json::nothing()
            }
            Request::Open(Open { url }) => {
                self.agent.open_page(&url)?;
                Json::nothing()
            }
            Request::Tail(tail) => return Ok(Reply::Later(Box::pin(self.tail(tail)))),
            Request::Status => Json::of(&self.agent.status())?,
            Request::Doctor => return Ok(Reply::Later(Box::pin(async { Json::of(&self.agent.doctor().await) }))),
            Request::Stop => {
                // What is answered by then still goes out.
                self.agent.stop();
                Json::nothing()
            }
        };
        Ok(Reply::Now(json))
    }

    fn hello(&self, hello: Hello) -> Value {
        let Hello { name, version, consent } = hello;
        tracing::info!(client = name, version, consent, "a client is connected");
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        let register = || (self.clients.register(&self.peer, consent), self.agent.core.connected_client());
        registered.get_or_insert_with(register).0.set_asks(consent);
        json!({ "agent": env!("CARGO_PKG_VERSION"), "protocol": SUBPROTOCOL })
    }

    async fn enrol(&self, enrol: Enrol) -> Result<Json, RpcError> {
        let Enrol { issuer, ticket } = enrol;
        let issuer: Issuer = issuer.parse().map_err(RpcError::invalid_params)?;
        let ticket: EnrolmentTicket = ticket.parse().map_err(|_| {
            RpcError::invalid_params("ticket: it has 43 letters, digits, - and _, as the login server gave them")
        })?;
        let account = self.agent.enrol(&issuer, ticket).await?;
        Json::of(&json!({ "account": account.account, "name": account.name }))
    }

    async fn tail(&self, tail: Tail) -> Result<Json, RpcError> {
        let agent = self.agent.clone();
        // Some megabytes, at worst: not for the thread that serves pages.
        let reading = tokio::task::spawn_blocking(move || agent.log(tail.count.into())).await;
        let mut reading = reading.map_err(|error| FaultCode::Internal.because(error))??;
        // A log that was spoiled all over must still go into one line.
        reading.faults.truncate(MAX_LOG_FAULTS);
        Json::of(&reading)
    }

    fn set_presence(&self, set: SetPresence) -> Result<Seq, RpcError> {
        let SetPresence { account, presence, profile } = set;
        let is_named = account.is_some();
        let account = self.named(account)?;
        // Before the profile is saved: a call that is refused has changed nothing.
        if presence == PresenceState::SignedOut {
            return Err(HandleError::from(HubError::NotAPresence).into());
        }
        // Who is not there neither leaves nor locks: said of nobody in particular, it does not take a sign-out back.
        if presence != PresenceState::SignedIn && !is_named && !self.agent.is_signed_in(&account) {
            return Err(HandleError::from(HubError::SignedOut).into());
        }
        if let Some(Object(Profile { name, avatar })) = profile {
            self.agent.set_profile(&account, name.as_deref(), avatar.as_deref())?;
        }
        Ok(self.agent.set_presence(&account, presence)?)
    }

    fn named(&self, account: Option<Subject>) -> Result<Subject, RpcError> {
        Ok(account.map_or_else(|| self.agent.the_account(), Ok)?)
    }
}

fn parse_origin(origin: &str) -> Result<Origin, RpcError> {
    origin.parse().map_err(RpcError::invalid_params)
}

/// What was called is done, well or not.
fn done(id: Option<Value>, method: &str, result: Result<Json, RpcError>) -> Answered {
    if let Err(error) = &result {
        tracing::debug!(method, %error, "a client's call failed");
    }
    id.map(|id| (id, result))
}
