//! What a client asks: a method that there is, and its parameters (protocol section 9; `docs/control.md` and
//! `docs/control.schema.json` have them all).

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};

use super::params::{
    Account, ActionName, Enrol, Hello, Nothing, Object, Open, Publish, Register, Revoke, SetGrant, SetPresence, Tail,
};
use super::rpc::{self, Call, RpcError};
use super::words::words;

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

/// A method with its parameters.
pub(super) enum Request {
    Hello(Hello),
    Enrol(Enrol),
    Accounts,
    Remove(Account),
    SetPresence(SetPresence),
    SignOut(Account),
    Grants,
    Revoke(Revoke),
    SetGrant(SetGrant),
    Register(Register),
    Unregister(ActionName),
    Publish(Publish),
    Open(Open),
    Tail(Tail),
    Status,
    Doctor,
    Stop,
}

impl Request {
    /// Reads a call; no parameters, or `null`, are the same as an empty object.
    pub(super) fn read(call: &Call<'_>) -> Result<Self, RpcError> {
        let method = Method::parse(&call.method).ok_or_else(|| RpcError::method_not_found(&call.method))?;
        match call.params(Of(method))?.flatten() {
            Some(request) => Ok(request),
            None => rpc::read_text("{}", Of(method)).map(|request| request.expect("an object")),
        }
    }
}

/// The request of this method; `None` where its parameters are `null`.
struct Of(Method);

impl<'de> DeserializeSeed<'de> for Of {
    type Value = Option<Request>;

    fn deserialize<D: Deserializer<'de>>(self, params: D) -> Result<Option<Request>, D::Error> {
        let Self(method) = self;
        match method {
            Method::Hello => read(params, Request::Hello),
            Method::Enrol => read(params, Request::Enrol),
            Method::Accounts => read(params, |Nothing {}| Request::Accounts),
            Method::Remove => read(params, Request::Remove),
            Method::SetPresence => read(params, Request::SetPresence),
            Method::SignOut => read(params, Request::SignOut),
            Method::Grants => read(params, |Nothing {}| Request::Grants),
            Method::Revoke => read(params, Request::Revoke),
            Method::SetGrant => read(params, Request::SetGrant),
            Method::Register => read(params, Request::Register),
            Method::Unregister => read(params, Request::Unregister),
            Method::Publish => read(params, Request::Publish),
            Method::Open => read(params, Request::Open),
            Method::Tail => read(params, Request::Tail),
            Method::Status => read(params, |Nothing {}| Request::Status),
            Method::Doctor => read(params, |Nothing {}| Request::Doctor),
            Method::Stop => read(params, |Nothing {}| Request::Stop),
        }
    }
}

fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    params: D,
    request: impl FnOnce(T) -> Request,
) -> Result<Option<Request>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(params)?.map(|Object(params)| request(params)))
}
