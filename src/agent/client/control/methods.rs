//! The methods that a client can call (protocol section 9; `docs/control.md` and `docs/control.schema.json` have them all).

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::clients::{ClientAction, Clients, Registered};
use super::fault::FaultCode;
use super::params::{
    Account, ActionName, Enrol, Hello, Nothing, Open, Profile, ProfileObject, Publish, Register, Revoke, SetGrant,
    SetPresence, Tail, read,
};
use super::rpc::{Incoming, Peer, RpcError};
use super::words::words;
use crate::agent::client::action::ActionOwner;
use crate::agent::core::ConnectedClient;
use crate::agent::handle::{Handle, HandleError};
use crate::agent::issuer::hub::HubError;
use crate::protocol::id::{EnrolmentTicket, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::message::SUBPROTOCOL;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;

/// Faults of the audit log that are told, from the first.
const MAX_LOG_FAULTS: usize = 100;

words! {
    /// Every method that a client can call.
    Method {
        /// Says who the client is, and whether it can ask the person.
        Hello = "client.hello",
        /// Enrols an account with a ticket.
        Enrol = "account.enrol",
        /// Lists the enrolled accounts.
        Accounts = "account.list",
        /// Signs an account out and forgets it.
        Remove = "account.remove",
        /// Says how the person stands.
        SetPresence = "presence.set",
        /// Signs the person out.
        SignOut = "presence.signOut",
        /// Lists what was allowed for good, and how origins stand.
        Grants = "grants.list",
        /// Takes back what was allowed.
        Revoke = "grants.revoke",
        /// Chooses how an origin is treated.
        SetGrant = "grants.set",
        /// Offers an action to pages.
        Register = "actions.register",
        /// Offers it no more.
        Unregister = "actions.unregister",
        /// Tells pages how things stand with an action.
        Publish = "actions.publish",
        /// Opens a page in the browser, to be signed in.
        Open = "pages.open",
        /// Reads the end of the audit log.
        Tail = "log.tail",
        /// Says how the agent stands.
        Status = "status",
        /// Looks for what is wrong.
        Doctor = "doctor",
        /// Ends the agent.
        Stop = "stop",
    }
}

impl Method {
    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.word() == word)
    }
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

    /// Answers one call, where it is to be answered.
    pub(super) async fn serve(&self, call: Incoming) -> Option<(Value, Result<Value, RpcError>)> {
        let Incoming { id, method: word, params } = call;
        let method = Method::parse(&word);
        let result = match method {
            Some(method) => self.dispatch(method, params).await,
            None => Err(RpcError::method_not_found(&word)),
        };
        if let Err(error) = &result {
            tracing::debug!(method = word, %error, "a client's call failed");
        }
        if method == Some(Method::Stop) && result.is_ok() {
            // Answered first: nobody is left to answer afterwards.
            if let Some(id) = id {
                self.peer.answer(&id, result).await;
            }
            self.agent.stop();
            return None;
        }
        id.map(|id| (id, result))
    }

    async fn dispatch(&self, method: Method, params: Value) -> Result<Value, RpcError> {
        Ok(match method {
            Method::Hello => self.hello(read(params)?),
            Method::Enrol => self.enrol(read(params)?).await?,
            Method::Accounts => {
                let Nothing {} = read(params)?;
                json!({ "accounts": self.agent.accounts() })
            }
            Method::Remove => {
                let Account { account } = read(params)?;
                self.agent.remove(&self.named(account)?)?;
                json!({})
            }
            Method::SetPresence => self.set_presence(read(params)?)?,
            Method::SignOut => {
                let Account { account } = read(params)?;
                json!({ "epoch": self.agent.sign_out(&self.named(account)?)? })
            }
            Method::Grants => {
                let Nothing {} = read(params)?;
                json!({ "grants": self.agent.consents(), "origins": self.agent.status().origins })
            }
            Method::Revoke => {
                let Revoke { origin } = read(params)?;
                json!({ "revoked": self.agent.revoke(&parse_origin(&origin)?)? })
            }
            Method::SetGrant => {
                let SetGrant { origin, consent } = read(params)?;
                self.agent.choose(&parse_origin(&origin)?, consent.into())?;
                json!({})
            }
            Method::Register => {
                let Register { name, schema } = read(params)?;
                self.actions.register(&name, schema, Arc::new(ClientAction(self.peer.clone())))?;
                json!({})
            }
            Method::Unregister => {
                let ActionName { name } = read(params)?;
                self.actions.unregister(&name)?;
                json!({})
            }
            Method::Publish => {
                let Publish { name, value } = read(params)?;
                self.actions.publish(&name, value)?;
                json!({})
            }
            Method::Open => {
                let Open { url } = read(params)?;
                self.agent.open_page(&url)?;
                json!({})
            }
            Method::Tail => {
                let Tail { count } = read(params)?;
                let agent = self.agent.clone();
                // Some megabytes, at worst: not for the thread that serves pages.
                let reading = tokio::task::spawn_blocking(move || agent.log(count.into())).await;
                let mut reading = reading.map_err(|error| FaultCode::Internal.because(error))??;
                // A log that was spoiled all over must still go into one line.
                reading.faults.truncate(MAX_LOG_FAULTS);
                to_value(&reading)?
            }
            Method::Doctor => {
                let Nothing {} = read(params)?;
                to_value(&self.agent.doctor().await)?
            }
            Method::Status => {
                let Nothing {} = read(params)?;
                to_value(&self.agent.status())?
            }
            Method::Stop => {
                let Nothing {} = read(params)?;
                json!({})
            }
        })
    }

    fn hello(&self, hello: Hello) -> Value {
        let Hello { name, version, consent } = hello;
        tracing::info!(client = name, version, consent, "a client is connected");
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        let register = || (self.clients.register(&self.peer, consent), self.agent.core.connected_client());
        registered.get_or_insert_with(register).0.set_asks(consent);
        json!({ "agent": env!("CARGO_PKG_VERSION"), "protocol": SUBPROTOCOL })
    }

    async fn enrol(&self, enrol: Enrol) -> Result<Value, RpcError> {
        let Enrol { issuer, ticket } = enrol;
        let issuer: Issuer = issuer.parse().map_err(RpcError::invalid_params)?;
        let ticket: EnrolmentTicket = ticket.parse().map_err(|_| {
            RpcError::invalid_params("ticket: it has 43 letters, digits, - and _, as the login server gave them")
        })?;
        let account = self.agent.enrol(&issuer, ticket).await?;
        Ok(json!({ "account": account.account, "name": account.name }))
    }

    fn set_presence(&self, set: SetPresence) -> Result<Value, RpcError> {
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
        if let Some(ProfileObject(Profile { name, avatar })) = profile {
            self.agent.set_profile(&account, name.as_deref(), avatar.as_deref())?;
        }
        Ok(json!({ "seq": self.agent.set_presence(&account, presence)? }))
    }

    fn named(&self, account: Option<String>) -> Result<Subject, RpcError> {
        match account {
            Some(account) => account.parse().map_err(RpcError::invalid_params),
            None => Ok(self.agent.the_account()?),
        }
    }
}

fn parse_origin(origin: &str) -> Result<Origin, RpcError> {
    origin.parse().map_err(RpcError::invalid_params)
}

fn to_value(value: &impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(|error| FaultCode::Internal.because(error))
}
