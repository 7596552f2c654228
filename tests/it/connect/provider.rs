//! An OpenID Connect provider of a test's own. It is strict with codes, verifiers and clients, and lies where it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use loopkey::crypto::{self, Algorithm, Signer as _, SoftwareKey};
use loopkey::protocol::base64url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::login::NOW;
use crate::support::trace;

pub(crate) const CLIENT: &str = "loopkey test";
pub(crate) const SECRET: &str = "a secret & of the test:+";

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signing {
    Sound,
    /// `alg` none, without a signature.
    None,
    /// HMAC with what anybody can read: the public key.
    Hs256,
    /// A key that the provider does not publish.
    OtherKey,
}

/// What the provider does otherwise than an honest one.
#[derive(Clone)]
pub(crate) struct Lies {
    /// Claims to be changed; `null` takes one away.
    pub(crate) claims: Vec<(&'static str, Value)>,
    /// Members of the token's header to be changed.
    pub(crate) header: Vec<(&'static str, Value)>,
    pub(crate) signing: Signing,
    /// What the token endpoint answers instead.
    pub(crate) answer: Option<(u16, &'static str)>,
    /// It never answers.
    pub(crate) silent: bool,
    /// Verifiers are not looked at.
    pub(crate) ignores_pkce: bool,
    pub(crate) userinfo: Value,
    /// What it calls the access token.
    pub(crate) token_type: &'static str,
}

impl Default for Lies {
    fn default() -> Self {
        Self {
            claims: Vec::new(),
            header: Vec::new(),
            signing: Signing::Sound,
            answer: None,
            silent: false,
            ignores_pkce: false,
            token_type: "Bearer",
            userinfo: json!({ "sub": "248289761001", "name": "Ada of the userinfo" }),
        }
    }
}

struct Granted {
    asked: BTreeMap<String, String>,
    used: bool,
}

pub(crate) struct Inner {
    pub(crate) issuer: String,
    key: SoftwareKey,
    other: SoftwareKey,
    pub(crate) kid: Mutex<String>,
    lies: Mutex<Lies>,
    pub(crate) configuration: Mutex<Vec<(&'static str, Value)>>,
    codes: Mutex<BTreeMap<String, Granted>>,
    /// The refresh token that counts; each use gives another one.
    refresh: Mutex<Option<String>>,
    pub(crate) refreshes: AtomicUsize,
    pub(crate) exchanges: AtomicUsize,
    pub(crate) key_fetches: AtomicUsize,
}

/// The provider, until it is dropped.
pub(crate) struct Provider {
    pub(crate) inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    pub(crate) async fn start() -> Self {
        trace::note(SECRET);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://127.0.0.1:{}", listener.local_addr().expect("an address").port());
        let key = || SoftwareKey::generate(Algorithm::Es256).expect("a key").0;
        let inner = Arc::new(Inner {
            issuer,
            key: key(),
            other: key(),
            kid: Mutex::new("first".to_owned()),
            lies: Mutex::default(),
            configuration: Mutex::default(),
            codes: Mutex::default(),
            refresh: Mutex::default(),
            refreshes: AtomicUsize::new(0),
            exchanges: AtomicUsize::new(0),
            key_fetches: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { inner, task }
    }

    /// The person may not any more: nothing that was given out counts.
    pub(crate) fn disable(&self) {
        *self.inner.refresh.lock().expect("unpoisoned") = None;
    }

    /// How often a token was refreshed.
    pub(crate) fn refreshes(&self) -> usize {
        self.inner.refreshes.load(Ordering::SeqCst)
    }

    /// From now on.
    pub(crate) fn lie(&self, lies: Lies) {
        *self.inner.lies.lock().expect("unpoisoned") = lies;
    }

    pub(crate) fn lies(&self, claims: &[(&'static str, Value)]) {
        self.lie(Lies { claims: claims.to_vec(), ..Lies::default() });
    }

    /// What the browser does at the authorization endpoint, and the person: the parameters that it comes back with.
    pub(crate) fn authorize(&self, location: &str) -> Vec<(String, String)> {
        let url = url::Url::parse(location).expect("an address");
        assert_eq!(format!("{}/authorize", self.inner.issuer), url.as_str().split('?').next().expect("a path"));
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!((asked["response_type"].as_str(), asked["code_challenge_method"].as_str()), ("code", "S256"));
        let code = base64url::encode(crypto::random::<16>());
        trace::note(&code);
        let state = asked["state"].clone();
        trace::note(&state);
        let granted = Granted { asked, used: false };
        self.inner.codes.lock().expect("unpoisoned").insert(code.clone(), granted);
        vec![("code".into(), code), ("state".into(), state), ("iss".into(), self.inner.issuer.clone())]
    }

    /// A token of the provider with claims and header of the test's own.
    pub(crate) fn sign(&self, header: &[(&str, Value)], claims: &Value) -> String {
        let mut head = json!({ "alg": "ES256", "kid": *self.inner.kid.lock().expect("unpoisoned") });
        for (name, value) in header {
            head[*name] = value.clone();
        }
        self.inner.signed(Signing::Sound, &head, claims)
    }
}

impl Inner {
    fn signed(&self, signing: Signing, header: &Value, claims: &Value) -> String {
        let parts = [header, claims].map(|part| base64url::encode(part.to_string()));
        let message = parts.join(".");
        let signature = match signing {
            Signing::Sound => self.key.sign(message.as_bytes()).expect("signed"),
            Signing::OtherKey => self.other.sign(message.as_bytes()).expect("signed"),
            Signing::None => Vec::new(),
            Signing::Hs256 => {
                let public = serde_json::to_vec(&self.key.public().to_jwk()).expect("JSON");
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &public);
                ring::hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{message}.{}", base64url::encode(signature))
    }

    fn id_token(&self, nonce: Option<&str>, lies: &Lies) -> String {
        let mut claims = json!({
            "iss": self.issuer, "sub": "248289761001", "aud": CLIENT, "nonce": nonce, "iat": NOW, "exp": NOW + 300,
            "sid": "their session", "name": "Ada of the provider", "preferred_username": "ada",
            "email": "ada@example.com", "email_verified": true, "at_hash": at_hash("an access token"),
        });
        for (name, value) in &lies.claims {
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(*name);
            } else {
                claims[*name] = value.clone();
            }
        }
        let alg = match lies.signing {
            Signing::Sound | Signing::OtherKey => "ES256",
            Signing::None => "none",
            Signing::Hs256 => "HS256",
        };
        let mut header = json!({ "alg": alg, "kid": *self.kid.lock().expect("unpoisoned") });
        for (name, value) in &lies.header {
            header[*name] = value.clone();
        }
        self.signed(lies.signing, &header, &claims)
    }
}

fn at_hash(access_token: &str) -> String {
    base64url::encode(&crypto::sha256(&[access_token.as_bytes()])[..16])
}

fn json_answer(status: u16, body: String) -> Response {
    (StatusCode::from_u16(status).expect("a status"), [(header::CONTENT_TYPE, "application/json")], body)
        .into_response()
}

async fn configuration(State(inner): State<Arc<Inner>>) -> Response {
    let at = |path: &str| format!("{}{path}", inner.issuer);
    let mut said = json!({
        "issuer": inner.issuer, "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"), "userinfo_endpoint": at("/userinfo"), "end_session_endpoint": at("/end"),
        "authorization_response_iss_parameter_supported": true,
    });
    for (name, value) in inner.configuration.lock().expect("unpoisoned").iter() {
        said[*name] = value.clone();
    }
    json_answer(200, said.to_string())
}

async fn jwks(State(inner): State<Arc<Inner>>) -> Response {
    inner.key_fetches.fetch_add(1, Ordering::SeqCst);
    let mut key = serde_json::to_value(inner.key.public().to_jwk()).expect("JSON");
    key["kid"] = json!(*inner.kid.lock().expect("unpoisoned"));
    json_answer(200, json!({ "keys": [{ "kty": "oct" }, { "x": 1 }, key] }).to_string())
}

async fn token(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    inner.exchanges.fetch_add(1, Ordering::SeqCst);
    let lies = inner.lies.lock().expect("unpoisoned").clone();
    if lies.silent {
        return std::future::pending().await;
    }
    if let Some((status, body)) = lies.answer {
        return json_answer(status, body.to_owned());
    }
    let refused = |status, error: &str| json_answer(status, json!({ "error": error }).to_string());
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET))));
    if headers.get("authorization").is_none_or(|given| given.as_bytes() != basic.as_bytes()) {
        return refused(401, "invalid_client");
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    if form["grant_type"] == "refresh_token" {
        inner.refreshes.fetch_add(1, Ordering::SeqCst);
        let mut counts = inner.refresh.lock().expect("unpoisoned");
        if counts.as_ref() != form.get("refresh_token") {
            // Somebody has an old one: whoever it is, nothing counts any more.
            *counts = None;
            return refused(400, "invalid_grant");
        }
        // Without an ID token where it shall be so, and without a nonce always.
        let id_token = (lies.token_type != "bearer").then(|| inner.id_token(None, &lies));
        let answer = json!({
            "access_token": "an access token", "token_type": lies.token_type, "expires_in": 300,
            "id_token": id_token, "refresh_token": fresh(&mut counts),
        });
        return json_answer(200, answer.to_string());
    }
    let mut codes = inner.codes.lock().expect("unpoisoned");
    let Some(granted) = codes.get_mut(&form["code"]).filter(|granted| !granted.used) else {
        return refused(400, "invalid_grant");
    };
    let challenge = base64url::encode(crypto::sha256(&[form["code_verifier"].as_bytes()]));
    let sound = form["redirect_uri"] == granted.asked["redirect_uri"]
        && (lies.ignores_pkce || challenge == granted.asked["code_challenge"]);
    if !sound {
        return refused(400, "invalid_grant");
    }
    granted.used = true;
    let id_token = inner.id_token(Some(&granted.asked["nonce"]), &lies);
    trace::note(&id_token);
    let mut answer = json!({ "access_token": "an access token", "token_type": lies.token_type, "expires_in": 300, "id_token": id_token });
    // Only with consent (Core section 11).
    let asked =
        |name: &str, word: &str| granted.asked.get(name).is_some_and(|words| words.split(' ').any(|each| each == word));
    if asked("scope", "offline_access") && asked("prompt", "consent") && !lies.ignores_pkce {
        answer["refresh_token"] = json!(fresh(&mut inner.refresh.lock().expect("unpoisoned")));
    }
    json_answer(200, answer.to_string())
}

fn fresh(counts: &mut Option<String>) -> String {
    let token = base64url::encode(crypto::random::<24>());
    trace::note(&token);
    counts.insert(token).clone()
}

async fn userinfo(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    if headers.get("authorization").is_none_or(|given| given != "Bearer an access token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    json_answer(200, inner.lies.lock().expect("unpoisoned").userinfo.to_string())
}
