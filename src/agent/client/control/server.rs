//! The agent's end of the control socket: connections come, are served, and go (protocol section 9).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::clients::Clients;
use super::endpoint::{ControlError, Endpoint};
use super::methods::Session;
use super::rpc;
use crate::agent::handle::Handle;
use crate::agent::person::consent::Asker;
use crate::agent::status::AccountInfo;

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

    /// Asks the person through the first client that can ask and is still there.
    pub(in crate::agent) fn asker(&self) -> Arc<dyn Asker> {
        Arc::new(self.clients.clone())
    }

    /// Serves clients until the agent stops.
    pub(in crate::agent) async fn run(self, agent: Handle) {
        let mut connections = JoinSet::new();
        let mut sockets = agent.open_sockets();
        let (mut revoked, mut signed_out) = (agent.revoked_accounts(), agent.signed_out_accounts());
        let stopped = agent.stopped();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => break,
                accepted = self.endpoint.accept() => match accepted {
                    Ok(stream) => drop(connections.spawn(attend(stream, agent.clone(), self.clients.clone()))),
                    Err(error) => {
                        tracing::error!(%error, "cannot accept a client");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                // Without a client nothing is woken for each page that comes and goes.
                Ok(()) = sockets.changed(), if !connections.is_empty() => {
                    let open = sockets.borrow_and_update();
                    self.clients.tell("sockets.changed", || {
                        let origins: Vec<_> = open.iter().map(|(o, n)| json!({"origin": o, "sockets": n})).collect();
                        json!({ "origins": origins })
                    });
                }
                Ok(account) = revoked.recv() => self.clients.tell("account.revoked", || named(&account)),
                Ok(account) = signed_out.recv() => self.clients.tell("account.signed_out", || named(&account)),
                Some(_) = connections.join_next() => {}
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

fn named(account: &AccountInfo) -> Value {
    json!({ "account": account.account, "issuer": account.issuer })
}

/// Serves one client until it hangs up, or the agent stops.
pub(super) async fn attend(stream: impl AsyncRead + AsyncWrite, agent: Handle, clients: Clients) {
    let (peer, mut connection) = rpc::open(stream);
    {
        let session = Session::new(agent.clone(), clients, peer);
        tokio::select! {
            // First, or whoever says something without end keeps the agent.
            biased;
            () = agent.stopped() => {}
            _given_up = connection.serve(|call| session.serve(call)) => {}
        }
    }
    // What was answered already still goes out.
    let _ = tokio::time::timeout(GOODBYE_TIMEOUT, connection.finish()).await;
}
