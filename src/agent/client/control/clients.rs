//! The clients that said hello: who of them asks the person, performs an action, and is told of what happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::rpc::{Peer, RpcError};
use crate::agent::client::action::{Action, ActionFault, Invocation};
use crate::agent::person::approval::{ApprovalAnswer, ApprovalPrompt};
use crate::agent::person::consent::{Answer, Asker, Prompt};
use crate::protocol::order::Digits;

/// Every client that said hello, first come first.
#[derive(Clone, Default)]
pub(super) struct Clients(Arc<Mutex<Vec<Client>>>);

struct Client {
    id: u64,
    peer: Peer,
    /// Whether it can ask the person.
    asks: bool,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Vec<Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a client in until the result is dropped.
    pub(super) fn register(&self, peer: &Peer, asks: bool) -> Registered {
        let mut clients = self.lock();
        let id = clients.last().map_or(1, |last| last.id + 1);
        clients.push(Client { id, peer: peer.clone(), asks });
        Registered { clients: self.clone(), id }
    }

    /// Tells every client; nothing is made for none.
    pub(super) fn tell(&self, method: &str, params: impl FnOnce() -> Value) {
        let clients = self.lock();
        if clients.is_empty() {
            return;
        }
        let params = params();
        for client in clients.iter() {
            client.peer.notify(method, &params);
        }
    }
}

/// The place of a client; given back when it is dropped.
pub(super) struct Registered {
    clients: Clients,
    id: u64,
}

impl Registered {
    /// The client said hello again.
    pub(super) fn set_asks(&self, asks: bool) {
        if let Some(client) = self.clients.lock().iter_mut().find(|client| client.id == self.id) {
            client.asks = asks;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let id = self.id;
        self.clients.lock().retain(|client| client.id != id);
    }
}

#[async_trait]
impl Asker for Clients {
    fn is_available(&self) -> bool {
        self.lock().iter().any(|client| client.asks)
    }

    async fn ask(&self, prompt: Prompt) -> Answer {
        #[derive(Deserialize)]
        struct Result {
            allow: bool,
            #[serde(default)]
            remember: bool,
        }
        let params = json!({
            "origin": prompt.origin, "account": prompt.subject, "name": prompt.name, "code": prompt.code,
            "peer": { "browser": prompt.browser }, "can_remember": prompt.can_remember,
        });
        let asking: Vec<_> = self.lock().iter().filter(|c| c.asks).map(|client| client.peer.clone()).collect();
        // First come, first asked; one that cannot ask the person, or goes away, passes the question on.
        for peer in asking {
            let answer = call(&peer, "consent.request", &params, "consent.withdrawn").await;
            match answer.map(serde_json::from_value::<Result>) {
                Ok(Ok(Result { allow: true, remember })) => return Answer::Allow { remember },
                Ok(Ok(Result { allow: false, .. })) => return Answer::Deny,
                Ok(Err(error)) => tracing::warn!(%error, "a client answered a consent request with something else"),
                Err(error) => tracing::warn!(%error, "a client could not ask the person"),
            }
        }
        Answer::Unavailable
    }

    async fn approve(&self, prompt: ApprovalPrompt) -> ApprovalAnswer {
        #[derive(Deserialize)]
        struct Result {
            allow: bool,
            #[serde(default)]
            code: Option<Digits>,
        }
        let params = json!({
            "origin": prompt.origin, "account": prompt.subject, "name": prompt.name,
            "peer": { "browser": prompt.browser }, "place": prompt.place, "seconds": prompt.seconds,
        });
        let asking: Vec<_> = self.lock().iter().filter(|c| c.asks).map(|client| client.peer.clone()).collect();
        for peer in asking {
            let answer = call(&peer, "approval.request", &params, "approval.withdrawn").await;
            match answer.map(serde_json::from_value::<Result>) {
                Ok(Ok(Result { allow: true, code: Some(code) })) => return ApprovalAnswer::Approve(code),
                Ok(Ok(Result { allow: false, .. })) => return ApprovalAnswer::Deny,
                Ok(Ok(_) | Err(_)) => tracing::warn!("a client answered an approval request without two digits"),
                Err(error) => tracing::debug!(%error, "a client could not ask the person about another browser"),
            }
        }
        ApprovalAnswer::Unavailable
    }
}

/// An action that a client performs.
pub(super) struct ClientAction(pub(super) Peer);

#[async_trait]
impl Action for ClientAction {
    async fn invoke(&self, invocation: Invocation) -> Result<Value, ActionFault> {
        let Invocation { origin, account, name, params } = invocation;
        let params = json!({ "origin": origin, "account": account, "name": name, "params": params });
        call(&self.0, "action.invoke", &params, "action.withdrawn").await.map_err(|error| {
            match error.data.as_ref().map(|data| data.code.as_str()) {
                Some("denied") => ActionFault::Denied,
                _ => ActionFault::Failed(error.message),
            }
        })
    }
}

/// Calls a client. Where nobody waits for the answer any more, the client is told so by the notification `withdrawn`, with
/// the number of the call.
async fn call(peer: &Peer, method: &str, params: &Value, withdrawn: &'static str) -> Result<Value, RpcError> {
    struct Withdraw<'a> {
        peer: &'a Peer,
        number: u64,
        notification: Option<&'static str>,
    }
    impl Drop for Withdraw<'_> {
        fn drop(&mut self) {
            if let Some(notification) = self.notification {
                self.peer.notify(notification, &json!({ "id": self.number }));
            }
        }
    }
    let (number, answer) = peer.call_numbered(method, params);
    let mut withdraw = Withdraw { peer, number, notification: Some(withdrawn) };
    let answer = answer.await;
    withdraw.notification = None;
    answer
}
