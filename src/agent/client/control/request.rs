//! What a client asks: a method that there is, and its parameters (protocol section 9; `docs/control.md` and
//! `docs/control.schema.json` have them all).

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::params::{
    Account, ActionName, Enrol, Hello, Nothing, Object, Open, Publish, Register, Revoke, SetGrant, SetPresence, Tail,
};
use super::rpc::Params;
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

impl Params for Request {
    type Method = Method;

    fn method(name: &str) -> Option<Method> {
        Method::parse(name)
    }

    /// No parameters, or `null`, are the same as an empty object.
    fn read<'de, D: Deserializer<'de>>(method: Method, params: D) -> Result<Self, D::Error> {
        match read(method, params)? {
            Some(request) => Ok(request),
            None => read(method, &mut serde_json::Deserializer::from_str("{}"))
                .map(|request| request.expect("an object"))
                .map_err(D::Error::custom),
        }
    }
}

/// `None` where the parameters are `null`.
fn read<'de, D: Deserializer<'de>>(method: Method, params: D) -> Result<Option<Request>, D::Error> {
    match method {
        Method::Hello => read_object(params, Request::Hello),
        Method::Enrol => read_object(params, Request::Enrol),
        Method::Accounts => read_object(params, |Nothing {}| Request::Accounts),
        Method::Remove => read_object(params, Request::Remove),
        Method::SetPresence => read_object(params, Request::SetPresence),
        Method::SignOut => read_object(params, Request::SignOut),
        Method::Grants => read_object(params, |Nothing {}| Request::Grants),
        Method::Revoke => read_object(params, Request::Revoke),
        Method::SetGrant => read_object(params, Request::SetGrant),
        Method::Register => read_object(params, Request::Register),
        Method::Unregister => read_object(params, Request::Unregister),
        Method::Publish => read_object(params, Request::Publish),
        Method::Open => read_object(params, Request::Open),
        Method::Tail => read_object(params, Request::Tail),
        Method::Status => read_object(params, |Nothing {}| Request::Status),
        Method::Doctor => read_object(params, |Nothing {}| Request::Doctor),
        Method::Stop => read_object(params, |Nothing {}| Request::Stop),
    }
}

fn read_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    params: D,
    request: impl FnOnce(T) -> Request,
) -> Result<Option<Request>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(params)?.map(|Object(params)| request(params)))
}
