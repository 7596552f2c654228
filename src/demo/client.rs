//! The simulated desktop client: what a real one does with an agent, in a hundred lines.
//!
//! It asks its own backend for an enrolment ticket when somebody signs in, tells the agent how the person stands, and shows
//! the agent's prompts. It knows the agent by its control socket only, and says everything anew when the agent returns.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, watch};

use super::agent::AgentSlot;
use super::desk::{self, Command};
use super::people::Person;
use super::view::{AgentState, Event, PromptView, View};
use crate::agent::control::{self, rpc};
use crate::agent::http_client;
use crate::clock::{Clock as _, SystemClock};
use crate::crypto::Secret;
use crate::protocol::issuer::Issuer;
use crate::protocol::state::PresenceState;

/// The simulated client.
pub(super) struct Client {
    agent: AsyncMutex<AgentSlot>,
    backend: Backend,
    view: watch::Sender<View>,
    closing: watch::Sender<bool>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    peer: Option<rpc::Peer>,
    /// The agent's name for each person who has signed in here.
    accounts: HashMap<&'static str, String>,
    /// The open prompt's number in the agent's call.
    prompt: Option<Value>,
}

impl Client {
    pub(super) fn new(agent: AgentSlot, issuer: Issuer, service_key: Secret<String>) -> anyhow::Result<Self> {
        let http = http_client(None)?;
        let backend = Backend { http, issuer, service_key };
        let (view, closing) = (watch::channel(View::new()).0, watch::channel(false).0);
        Ok(Self { agent: AsyncMutex::new(agent), backend, view, closing, inner: Mutex::default() })
    }

    /// What the window shows, as it changes.
    pub(super) fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Ends the window's event streams, which would otherwise keep a stopping server from draining.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Completes when [`Client::close`] was called.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closing = self.closing.subscribe();
        async move { drop(closing.wait_for(|closing| *closing).await) }
    }

    /// Starts the agent and signs the first person in.
    pub(super) async fn start(self: &std::sync::Arc<Self>) -> anyhow::Result<()> {
        self.start_agent().await?;
        self.sign_in("ada").await
    }

    /// Starts the agent, connects to it, and tells it how things stand.
    pub(super) async fn start_agent(self: &std::sync::Arc<Self>) -> anyhow::Result<()> {
        let control = {
            let mut agent = self.agent.lock().await;
            agent.start().await?;
            agent.control()
        };
        let (peer, mut incoming, driver) = control::connect(&control).await?;
        let client = std::sync::Arc::clone(self);
        let speaker = peer.clone();
        tokio::spawn(async move {
            let listening = async {
                while let Some(call) = incoming.recv().await {
                    // An action calls the agent back: the next call must not wait for that.
                    if call.method == "action.invoke" {
                        let (client, speaker) = (std::sync::Arc::clone(&client), speaker.clone());
                        tokio::spawn(async move { client.invoked(call, &speaker).await });
                    } else {
                        client.heard(call, &speaker).await;
                    }
                }
            };
            tokio::select! { () = listening => {}, () = driver => {} }
            client.lost();
        });
        peer.call("client.hello", &json!({ "name": "Harbor (demo client)", "version": env!("CARGO_PKG_VERSION") }))
            .await?;
        for (name, schema) in desk::actions() {
            peer.call("actions.register", &json!({ "name": name, "schema": schema })).await?;
        }
        self.lock().peer = Some(peer);
        self.change(|view| view.agent = AgentState::Running, Event::AgentRunning);
        let (person, presence) = {
            let view = self.view.borrow();
            (view.person, view.presence)
        };
        if let Some(person) = person {
            self.tell(person, presence).await?;
        }
        self.publish_player().await
    }

    /// Stops the agent.
    pub(super) async fn stop_agent(&self) {
        self.agent.lock().await.stop().await;
    }

    /// Signs somebody in, in place of whoever is signed in.
    pub(super) async fn sign_in(&self, id: &str) -> anyhow::Result<()> {
        let person = Person::by_id(id).with_context(|| format!("there is nobody called {id:?}"))?;
        let known = self.lock().accounts.contains_key(person.id);
        if known {
            self.tell(person.id, PresenceState::SignedIn).await?;
        } else {
            let ticket = self.backend.ticket(person).await?;
            let enrolled =
                self.call("account.enrol", json!({ "issuer": self.backend.issuer, "ticket": ticket })).await?;
            let account = enrolled["account"].as_str().context("the agent names no account")?.to_owned();
            self.lock().accounts.insert(person.id, account);
        }
        self.change(
            |view| (view.person, view.presence, view.document) = (Some(person.id), PresenceState::SignedIn, None),
            Event::SignedIn { name: person.name },
        );
        // With the person before went what pages knew of the player.
        self.publish_player().await
    }

    /// Opens the site in the default browser, signed in.
    pub(super) async fn open_site(&self) -> anyhow::Result<()> {
        self.call("pages.open", json!({ "url": self.backend.issuer.origin() })).await?;
        self.change(|_| (), Event::WebOpened);
        Ok(())
    }

    /// Plays, pauses, or goes on to the next piece; every page that may know is told.
    pub(super) async fn play(&self, command: Command) -> anyhow::Result<()> {
        let event = if command == Command::Pause { Event::Paused } else { Event::Played };
        self.change(|view| view.player.obey(command), event);
        self.publish_player().await
    }

    async fn publish_player(&self) -> anyhow::Result<()> {
        let player = self.view.borrow().player.clone();
        self.call("actions.publish", json!({ "name": "player", "value": player })).await.map(drop)
    }

    /// What a page has the client do. The agent has seen to it that the parameters fit the schema.
    async fn act(&self, params: &Value) -> anyhow::Result<Value> {
        match params["name"].as_str() {
            Some("open") => {
                let title = params["params"]["title"].as_str().context("no title")?.to_owned();
                let opened = Event::Opened { title: title.clone() };
                self.change(|view| view.document = Some(title), opened);
                Ok(json!({}))
            }
            Some("player") => {
                self.play(serde_json::from_value(params["params"]["command"].clone())?).await?;
                Ok(serde_json::to_value(&self.view.borrow().player)?)
            }
            _ => bail!("no such action"),
        }
    }

    /// Signs out whoever is signed in.
    pub(super) async fn sign_out(&self) -> anyhow::Result<()> {
        let person = self.view.borrow().person.context("nobody is signed in")?;
        let account = self.account(person)?;
        self.call("presence.signOut", json!({ "account": account })).await?;
        let gone = |view: &mut View| {
            (view.person, view.presence, view.document) = (None, PresenceState::SignedOut, None);
        };
        self.change(gone, Event::SignedOut);
        Ok(())
    }

    /// The agent has signed somebody out because the login server said so: whoever is signed in here is, too.
    fn signed_out(&self, account: &Value) {
        let known = account.as_str().and_then(|account| {
            let inner = self.lock();
            inner.accounts.iter().find(|(_, known)| *known == account).map(|(person, _)| *person)
        });
        if known.is_some() && self.view.borrow().person == known {
            let gone = |view: &mut View| {
                (view.person, view.presence, view.document) = (None, PresenceState::SignedOut, None);
            };
            self.change(gone, Event::SignedOutThere);
        }
    }

    /// Locks, leaves, or comes back.
    pub(super) async fn set_presence(&self, presence: PresenceState) -> anyhow::Result<()> {
        let person = self.view.borrow().person.context("nobody is signed in")?;
        self.tell(person, presence).await?;
        let event = match presence {
            PresenceState::Locked => Event::Locked,
            PresenceState::Away => Event::Away,
            _ => Event::Active,
        };
        self.change(|view| view.presence = presence, event);
        Ok(())
    }

    /// Answers the open prompt.
    pub(super) async fn answer(&self, id: u64, allow: bool, remember: bool, code: Option<&str>) -> anyhow::Result<()> {
        let (peer, call) = {
            let mut inner = self.lock();
            let open = inner.prompt.as_ref().and_then(Value::as_u64) == Some(id);
            (inner.peer.clone(), if open { inner.prompt.take() } else { None })
        };
        let (Some(peer), Some(call)) = (peer, call) else { bail!("this prompt is no longer open") };
        let answer = match code {
            Some(code) => json!({ "allow": allow, "code": code }),
            None => json!({ "allow": allow, "remember": remember }),
        };
        peer.answer(&call, Ok(answer)).await;
        let event = match (allow, remember) {
            (true, true) => Event::AllowedForGood,
            (true, false) => Event::Allowed,
            (false, _) => Event::Denied,
        };
        self.change(|view| view.prompt = None, event);
        Ok(())
    }

    async fn tell(&self, person: &'static str, presence: PresenceState) -> anyhow::Result<()> {
        let account = self.account(person)?;
        self.call("presence.set", json!({ "account": account, "presence": presence })).await.map(drop)
    }

    async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let peer = self.lock().peer.clone().context("the agent is stopped: start it first")?;
        Ok(peer.call(method, &params).await?)
    }

    async fn invoked(&self, call: rpc::Incoming, peer: &rpc::Peer) {
        let Some(id) = call.id else { return };
        let result = self.act(&call.params).await;
        peer.answer(&id, result.map_err(|error| rpc::RpcError::failed("failed", error.to_string()))).await;
    }

    /// What the agent says or asks by itself.
    async fn heard(&self, call: rpc::Incoming, peer: &rpc::Peer) {
        match (call.method.as_str(), call.id) {
            ("consent.request" | "approval.request", Some(id)) => {
                let prompt = PromptView::of(id.as_u64().unwrap_or_default(), &call.params);
                self.lock().prompt = Some(id);
                let asked = Event::Asked { origin: prompt.origin.clone() };
                self.change(|view| view.prompt = Some(prompt), asked);
            }
            ("consent.withdrawn" | "approval.withdrawn", None) => {
                let withdrawn = {
                    let mut inner = self.lock();
                    let open = inner.prompt.as_ref() == Some(&call.params["id"]);
                    if open { inner.prompt.take() } else { None }
                };
                if withdrawn.is_some() {
                    self.change(|view| view.prompt = None, Event::Withdrawn);
                }
            }
            ("sockets.changed", None) => {
                let origins = call.params["origins"].as_array().cloned().unwrap_or_default();
                let sockets = origins.iter().filter_map(|origin| origin["sockets"].as_u64()).sum();
                self.view.send_modify(|view| view.sockets = sockets);
            }
            ("account.signed_out", None) => self.signed_out(&call.params["account"]),
            (method, Some(id)) => {
                let error = rpc::RpcError::failed("unknown_method", format!("this client knows no {method:?}"));
                peer.answer(&id, Err(error)).await;
            }
            _ => {}
        }
    }

    fn lost(&self) {
        {
            let mut inner = self.lock();
            inner.peer = None;
            inner.prompt = None;
        }
        let stopped = |view: &mut View| (view.agent, view.prompt, view.sockets) = (AgentState::Stopped, None, 0);
        self.change(stopped, Event::AgentStopped);
    }

    fn account(&self, person: &'static str) -> anyhow::Result<String> {
        self.lock().accounts.get(person).cloned().context("this person is not enrolled")
    }

    fn change(&self, change: impl FnOnce(&mut View), event: Event) {
        self.view.send_modify(|view| {
            change(view);
            view.note(SystemClock.wall(), event);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The application's own backend, reduced to the one call that a real one makes.
struct Backend {
    http: reqwest::Client,
    issuer: Issuer,
    service_key: Secret<String>,
}

impl Backend {
    /// Tells the login server who has signed in to the client, and gets the ticket that the client gives the agent.
    async fn ticket(&self, person: &Person) -> anyhow::Result<String> {
        let answer = self
            .http
            .post(self.issuer.endpoint("/v1/enrolment-tickets"))
            .bearer_auth(self.service_key.expose())
            .json(&json!({ "account": person.id, "name": person.name, "avatar": person.picture_url() }))
            .send()
            .await?
            .error_for_status()?;
        let answer: Value = answer.json().await?;
        Ok(answer["ticket"].as_str().context("the login server gave no ticket")?.to_owned())
    }
}
