//! The methods that a client can call (protocol section 9; `docs/control.md` has them all).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::clients::{ClientAction, Clients, Registered};
use super::params::{
    Account, ActionName, Enrol, Hello, Nothing, Open, Profile, Publish, Register, Revoke, SetGrant, SetPresence, Tail,
    read,
};
use super::rpc::{Incoming, Peer, RpcError};
use crate::agent::action::ActionOwner;
use crate::agent::handle::Handle;
use crate::protocol::id::{EnrolmentTicket, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::message::SUBPROTOCOL;
use crate::protocol::origin::Origin;

/// One connected client.
pub(super) struct Session {
    agent: Handle,
    clients: Clients,
    peer: Peer,
    registered: Mutex<Option<Registered>>,
    /// Its actions go with it.
    actions: ActionOwner,
}

impl Session {
    pub(super) fn new(agent: Handle, clients: Clients, peer: Peer) -> Self {
        let actions = agent.action_owner();
        Self { agent, clients, peer, registered: Mutex::new(None), actions }
    }

    /// Answers one call, where it is to be answered.
    pub(super) async fn serve(&self, call: Incoming) -> Option<(Value, Result<Value, RpcError>)> {
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
        match method {
            "client.hello" => self.hello(read(params)?),
            "account.enrol" => self.enrol(read(params)?).await,
            "presence.set" => self.set_presence(read(params)?),
            _ if method.starts_with("account.") || method.starts_with("presence.") => self.account(method, params),
            _ if method.starts_with("actions.") => self.action(method, params),
            _ if method.starts_with("grants.") => self.grant(method, params),
            "pages.open" => {
                let Open { url } = read(params)?;
                self.agent.open_page(&url)?;
                Ok(json!({}))
            }
            "log.tail" => {
                let Tail { count } = read(params)?;
                let agent = self.agent.clone();
                // Some megabytes, at worst: not for the thread that serves pages.
                let reading = tokio::task::spawn_blocking(move || agent.log(count)).await;
                to_value(&reading.map_err(|error| RpcError::failed("internal", error.to_string()))??)
            }
            "status" => {
                let Nothing {} = read(params)?;
                to_value(&self.agent.status())
            }
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    fn hello(&self, hello: Hello) -> Result<Value, RpcError> {
        let Hello { name, version, consent } = hello;
        tracing::info!(client = name, version, consent, "a client is connected");
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        registered.get_or_insert_with(|| self.clients.register(&self.peer, consent)).set_asks(consent);
        Ok(json!({ "agent": env!("CARGO_PKG_VERSION"), "protocol": SUBPROTOCOL }))
    }

    async fn enrol(&self, enrol: Enrol) -> Result<Value, RpcError> {
        let Enrol { issuer, ticket } = enrol;
        let issuer: Issuer = issuer.parse().map_err(RpcError::invalid_params)?;
        let ticket: EnrolmentTicket = ticket.parse().map_err(RpcError::invalid_params)?;
        let account = self.agent.enrol(&issuer, ticket).await?;
        Ok(json!({ "account": account.account, "name": account.name }))
    }

    fn set_presence(&self, set: SetPresence) -> Result<Value, RpcError> {
        let SetPresence { account, presence, profile } = set;
        let account = self.named(account)?;
        if let Some(Profile { name, avatar }) = profile {
            self.agent.set_profile(&account, name.as_deref(), avatar.as_deref())?;
        }
        Ok(json!({ "seq": self.agent.set_presence(&account, presence)? }))
    }

    fn account(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        match method {
            "account.list" => {
                let Nothing {} = read(params)?;
                Ok(json!({ "accounts": self.agent.accounts() }))
            }
            "account.remove" => {
                let Account { account } = read(params)?;
                self.agent.remove(&self.named(account)?)?;
                Ok(json!({}))
            }
            "presence.signOut" => {
                let Account { account } = read(params)?;
                Ok(json!({ "epoch": self.agent.sign_out(&self.named(account)?)? }))
            }
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    fn grant(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        match method {
            "grants.list" => {
                let Nothing {} = read(params)?;
                Ok(json!({ "grants": self.agent.consents(), "origins": self.agent.status().origins }))
            }
            "grants.revoke" => {
                let Revoke { origin } = read(params)?;
                let origin: Origin = origin.parse().map_err(RpcError::invalid_params)?;
                Ok(json!({ "revoked": self.agent.revoke(&origin)? }))
            }
            "grants.set" => {
                let SetGrant { origin, consent } = read(params)?;
                let origin: Origin = origin.parse().map_err(RpcError::invalid_params)?;
                self.agent.choose(&origin, consent.into())?;
                Ok(json!({}))
            }
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    fn action(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        match method {
            "actions.register" => {
                let Register { name, schema } = read(params)?;
                self.actions.register(&name, schema, Arc::new(ClientAction(self.peer.clone())))?;
            }
            "actions.unregister" => {
                let ActionName { name } = read(params)?;
                self.actions.unregister(&name)?;
            }
            "actions.publish" => {
                let Publish { name, value } = read(params)?;
                self.actions.publish(&name, value)?;
            }
            _ => return Err(RpcError::method_not_found(method)),
        }
        Ok(json!({}))
    }

    fn named(&self, account: Option<String>) -> Result<Subject, RpcError> {
        match account {
            Some(account) => account.parse().map_err(RpcError::invalid_params),
            None => Ok(self.agent.the_account()?),
        }
    }
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(|error| RpcError::failed("internal", error.to_string()))
}
