//! A browser as far as a login server sees one: an origin and a cookie jar.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::http::{Answer, Call, Stream};

#[derive(Clone)]
pub(crate) struct Browser {
    address: SocketAddr,
    pub(crate) origin: String,
    /// What it says of itself; nothing where empty.
    pub(crate) user_agent: &'static str,
    pub(crate) cookies: BTreeMap<String, String>,
}

pub(crate) const PRE_LOGIN: &str = "__Host-loopkey_pre";
pub(crate) const SESSION: &str = "__Host-loopkey_session";

impl Browser {
    pub(crate) fn new(address: SocketAddr, origin: &str) -> Self {
        Self { address, origin: origin.into(), user_agent: "", cookies: BTreeMap::new() }
    }

    /// A page's call, to be changed before it is sent.
    pub(crate) fn call(&self, method: &str, path: &str) -> Call {
        let call = Call::new(method, path).header("Origin", &self.origin).header("Sec-Fetch-Site", "same-origin");
        let call = if self.user_agent.is_empty() { call } else { call.header("User-Agent", self.user_agent) };
        if self.cookies.is_empty() {
            return call;
        }
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        call.header("Cookie", &cookies.join("; "))
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        let answer = self.call("POST", path).json(&body).send(self.address).await;
        self.keep(&answer);
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let answer = self.call("GET", path).send(self.address).await;
        self.keep(&answer);
        answer
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        self.call("DELETE", path).send(self.address).await
    }

    pub(crate) async fn events(&self) -> Stream {
        let mut stream = self.call("GET", "/v1/session/events").open(self.address).await;
        stream.until(":\n\n").await;
        stream
    }

    /// Keeps the cookies of an answer.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        for cookie in answer.all("set-cookie") {
            let (pair, attributes) = cookie.split_once("; ").expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            let deletes = attributes.ends_with("; Max-Age=0");
            assert_eq!(attributes.trim_end_matches("; Max-Age=0"), "HttpOnly; Secure; SameSite=Lax; Path=/");
            if deletes {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
    }

    /// Fetches a challenge.
    pub(crate) async fn challenge(&mut self) -> String {
        let answer = self.post("/v1/challenge", json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["challenge"].as_str().expect("a challenge").to_owned()
    }

    /// Posts a token.
    pub(crate) async fn login(&mut self, challenge: &str, token: &str, subject: &str) -> Answer {
        self.post("/v1/login", json!({"challenge": challenge, "token": token, "subject": subject})).await
    }

    /// Whether it is signed in.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn is_signed_in(&mut self) -> bool {
        self.get("/v1/session").await.status == 200
    }
}
