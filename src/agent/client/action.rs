//! Actions of the client that pages may invoke (protocol section 4.4): who performs which, what its parameters must be,
//! and what the client last said of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::agent::audience::{Audience, Ring};
use crate::agent::audit::{Act, Audit};
use crate::agent::client::schema::Schema;
use crate::agent::core::Core;
use crate::protocol::code::RefusalCode;
use crate::protocol::grant::is_action_name;
use crate::protocol::id::Subject;
use crate::protocol::limits::{ACTION_TIMEOUT, ACTION_VALUE_MAX_LEN, MAX_ACTIONS};
use crate::protocol::news::{Board, News};
use crate::protocol::origin::Origin;

/// What a page asks of the client.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The page's origin.
    pub origin: Origin,
    /// Who is signed in: the issuer's name for the account.
    pub account: Subject,
    /// The action's name.
    pub name: String,
    /// Its parameters, which fit the schema.
    pub params: Value,
}

/// Why an action came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionFault {
    /// The person or the client said no.
    Denied,
    /// It was tried, and failed; the words are for the log, the page does not get them.
    Failed(String),
}

/// Something that pages may have the client do. Dropping the future means that nobody waits for the result any more.
#[async_trait]
pub trait Action: Send + Sync {
    /// Does it. The result is a JSON value of a few kilobytes at most.
    async fn invoke(&self, invocation: Invocation) -> Result<Value, ActionFault>;
}

/// Why an action cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name.
    #[error("an action's name is 1 to 64 letters, digits, hyphens, dots or underscores, not {0:?}")]
    Name(String),
    /// The schema.
    #[error("the schema of action {name} cannot be used: {reason}")]
    Schema {
        /// The action.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else performs it.
    #[error("another client performs the action {0}; it must unregister it, or go away, first")]
    Taken(String),
    /// There are too many.
    #[error("there are {MAX_ACTIONS} actions already: unregister one first")]
    TooMany,
    /// Nobody performs it, or somebody else does.
    #[error("this client has registered no action {0}")]
    NotRegistered(String),
}

/// Who registered an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) struct Owner(u64);

/// Registers actions for a connected client or the embedding program, and takes them all back when it is dropped.
pub struct ActionOwner {
    pub(in crate::agent) core: Arc<Core>,
    pub(in crate::agent) owner: Owner,
}

impl ActionOwner {
    /// Registers an action with a JSON Schema for its parameters; again, to replace it.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn register(&self, name: &str, schema: Value, action: Arc<dyn Action>) -> Result<(), RegisterError> {
        self.core.actions.register(self.owner, name.to_owned(), schema, action)
    }

    /// Takes an action back.
    ///
    /// # Errors
    /// [`RegisterError::NotRegistered`].
    pub fn unregister(&self, name: &str) -> Result<(), RegisterError> {
        self.core.actions.unregister(self.owner, name)
    }

    /// Tells every page that may invoke the action how things stand with it; only the newest counts, and it goes with the person.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish(&self, name: &str, value: Value) -> Result<(), PublishError> {
        self.core.actions.publish(self.owner, name, value)
    }
}

impl Drop for ActionOwner {
    fn drop(&mut self) {
        self.core.actions.forget(self.owner);
    }
}

impl std::fmt::Debug for ActionOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ActionOwner").field(&self.owner).finish()
    }
}

struct Registered {
    owner: Owner,
    schema: Arc<Schema>,
    action: Arc<dyn Action>,
}

#[derive(Default)]
struct Inner {
    registered: BTreeMap<String, Registered>,
    owners: u64,
    board: Arc<Board>,
}

/// The actions of one agent.
pub(in crate::agent) struct Actions {
    inner: Mutex<Inner>,
    /// The pages that look at the board when it changes.
    audiences: Vec<Arc<Audience>>,
}

impl Actions {
    pub(in crate::agent) fn new(audiences: Vec<Arc<Audience>>) -> Self {
        Self { inner: Mutex::default(), audiences }
    }

    /// Somebody who may register actions.
    pub(in crate::agent) fn owner(&self) -> Owner {
        let mut inner = self.lock();
        inner.owners += 1;
        Owner(inner.owners)
    }

    /// Registers an action; the same owner may do so again, with another schema.
    pub(in crate::agent) fn register(
        &self,
        owner: Owner,
        name: String,
        schema: Value,
        action: Arc<dyn Action>,
    ) -> Result<(), RegisterError> {
        if !is_action_name(&name) {
            return Err(RegisterError::Name(name));
        }
        let schema = Schema::compile(schema).map_err(|reason| RegisterError::Schema { name: name.clone(), reason })?;
        let mut inner = self.lock();
        match inner.registered.get(&name) {
            Some(registered) if registered.owner != owner => return Err(RegisterError::Taken(name)),
            None if inner.registered.len() >= MAX_ACTIONS => return Err(RegisterError::TooMany),
            _ => {}
        }
        tracing::info!(action = name, "an action was registered");
        inner.registered.insert(name, Registered { owner, schema: Arc::new(schema), action });
        Ok(())
    }

    /// Takes an action of this owner back, and what was said of it.
    pub(in crate::agent) fn unregister(&self, owner: Owner, name: &str) -> Result<(), RegisterError> {
        let mut inner = self.lock();
        if inner.registered.get(name).is_none_or(|registered| registered.owner != owner) {
            return Err(RegisterError::NotRegistered(name.to_owned()));
        }
        inner.registered.remove(name);
        self.change_board(inner, |board| board.forget(name));
        Ok(())
    }

    /// The owner is gone, and its actions with it.
    pub(in crate::agent) fn forget(&self, owner: Owner) {
        let mut inner = self.lock();
        let gone: Vec<_> = inner.registered.iter().filter(|(_, r)| r.owner == owner).map(|(n, _)| n.clone()).collect();
        for name in &gone {
            inner.registered.remove(name);
        }
        self.change_board(inner, |board| gone.iter().filter(|name| board.forget(name)).count() > 0);
    }

    /// Has every page with the grant know how things stand with an action; only the newest counts.
    pub(in crate::agent) fn publish(&self, owner: Owner, name: &str, value: Value) -> Result<(), PublishError> {
        let news = News::new(name, value).ok_or(PublishError::TooLong)?;
        let inner = self.lock();
        if inner.registered.get(name).is_none_or(|registered| registered.owner != owner) {
            return Err(RegisterError::NotRegistered(name.to_owned()).into());
        }
        self.change_board(inner, |board| {
            board.put(name, news);
            true
        });
        Ok(())
    }

    /// Another person is signed in, or nobody: what was said was about the one before.
    pub(in crate::agent) fn person_changed(&self) {
        self.change_board(self.lock(), Board::clear);
    }

    /// What the client last said.
    pub(in crate::agent) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.lock().board)
    }

    /// Changes the board, and has every page look at it where that made a difference.
    fn change_board(&self, mut inner: MutexGuard<'_, Inner>, change: impl FnOnce(&mut Board) -> bool) {
        if change(Arc::make_mut(&mut inner.board)) {
            drop(inner);
            for audience in &self.audiences {
                audience.ring(None, Ring::Newer);
            }
        }
    }

    /// Has an action performed.
    pub(in crate::agent) async fn invoke(&self, invocation: Invocation, audit: &Audit) -> Result<Value, RefusalCode> {
        let (name, origin) = (invocation.name.clone(), invocation.origin.clone());
        let (schema, action) = {
            let inner = self.lock();
            let registered = inner.registered.get(&name).ok_or(RefusalCode::UnknownAction)?;
            (Arc::clone(&registered.schema), Arc::clone(&registered.action))
        };
        if let Err(at) = schema.check(&invocation.params) {
            tracing::warn!(action = name, %origin, at, "the page's parameters do not fit");
            return Err(RefusalCode::Failed);
        }
        let account = invocation.account.clone();
        audit.note_caused(&origin, Act::Action { origin: origin.clone(), account, name: name.clone() });
        match tokio::time::timeout(ACTION_TIMEOUT, action.invoke(invocation)).await {
            Err(_) => Err(RefusalCode::Timeout),
            Ok(Err(ActionFault::Denied)) => Err(RefusalCode::Denied),
            Ok(Err(ActionFault::Failed(reason))) => {
                let reason: String = reason.chars().take(200).collect();
                tracing::warn!(action = name, %origin, reason, "an action failed");
                Err(RefusalCode::Failed)
            }
            Ok(Ok(value)) if value.to_string().len() > ACTION_VALUE_MAX_LEN => {
                tracing::warn!(action = name, %origin, "the result of an action is too long for a page");
                Err(RefusalCode::Failed)
            }
            Ok(Ok(value)) => Ok(value),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing could be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The action.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The value.
    #[error("what is published of an action is at most {ACTION_VALUE_MAX_LEN} bytes of JSON")]
    TooLong,
}
