//! A connector of your own: a provider that speaks OAuth 2.0 and no OpenID Connect, as GitHub does. And a login server that
//! offers it.
//!
//! Register an OAuth application there, with `http://localhost:8000/v1/connect/github/callback` as its callback address, then:
//!
//! ```sh
//! export GITHUB_SECRET=…
//! cargo run --features connectors --example connector -- --client-id Iv1.abc…
//! ```
//!
//! and open `http://localhost:8000/v1/connect/github?return_to=http://localhost:8000/account`.

#![allow(clippy::print_stdout, reason = "it says where it is")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use loopkey::clock::SystemClock;
use loopkey::connectors::{
    Answer, Beginning, Begun, Claim, ConnectFault, Connector, Fault, Guarded, Identified, Method, Returned, http,
};
use loopkey::crypto::Secret;
use loopkey::login::{ConfiguredConnector, LoginConfig, LoginServer, NewAccounts};
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{DisplayName, StoreUrl, open};
use tokio::net::TcpListener;

/// A login server whose people sign in with GitHub.
#[derive(Parser)]
struct Arguments {
    /// What GitHub calls the application
    #[arg(long)]
    client_id: String,

    /// Its secret
    #[arg(long, env = "GITHUB_SECRET", hide_env_values = true)]
    client_secret: String,

    /// Where this login server listens
    #[arg(long, default_value_t = 8000)]
    port: u16,

    /// Another GitHub than the public one: its pages, and its API
    #[arg(long, default_value = "https://github.com", requires = "api")]
    site: String,
    #[arg(long, default_value = "https://api.github.com")]
    api: String,
}

/// One OAuth application at one GitHub.
#[derive(Debug)]
struct GitHub {
    client_id: String,
    client_secret: Secret<String>,
    site: String,
    api: String,
    http: Guarded,
}

/// A user as GitHub tells it. Numbers stay, names change hands.
#[derive(serde::Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
}

#[derive(serde::Deserialize)]
struct Token {
    access_token: Option<String>,
    error: Option<String>,
}

#[async_trait]
impl Connector for GitHub {
    fn kind(&self) -> &'static str {
        "github"
    }

    fn claims(&self) -> &'static [Claim] {
        &[Claim::Name, Claim::Avatar]
    }

    async fn begin(&self, beginning: &Beginning<'_>) -> Result<Begun, ConnectFault> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", beginning.redirect_uri)
            .append_pair("state", beginning.state)
            .append_pair("scope", "read:user")
            .finish();
        Ok(Begun { location: format!("{}/login/oauth/authorize?{query}", self.site), kept: BTreeMap::new() })
    }

    async fn finish(&self, returned: &Returned<'_>) -> Result<Identified, ConnectFault> {
        if returned.parameter("error").is_some() {
            return Err(Fault::Refused.into());
        }
        let code = returned.parameter("code").ok_or(Fault::Misbehaved)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose())
            .append_pair("code", code.expose())
            .append_pair("redirect_uri", returned.redirect_uri)
            .finish();
        let request = self.http.request(Method::POST, &format!("{}/login/oauth/access_token", self.site))?;
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        // It answers 200 to everything, with an error inside.
        let token: Token = sound(&self.http.send(request.header("accept", "application/json").body(form)).await?)?;
        let token = match (token.access_token, token.error.as_deref()) {
            (Some(token), None) => Secret::new(token),
            (_, Some("bad_verification_code")) => return Err(Fault::Code.into()),
            (_, Some("incorrect_client_credentials" | "redirect_uri_mismatch")) => {
                return Err(Fault::Misconfigured.into());
            }
            _ => return Err(Fault::Misbehaved.into()),
        };
        let request = self.http.request(Method::GET, &format!("{}/user", self.api))?;
        let bearer = Secret::new(format!("Bearer {}", token.expose()));
        let user: User = sound(&self.http.send(request.header("authorization", bearer.expose())).await?)?;
        Ok(Identified {
            tenant: String::new(),
            id: user.id.to_string(),
            name: user.name.or_else(|| Some(user.login.clone())),
            avatar: user.avatar_url,
            details: BTreeMap::from([("username".to_owned(), user.login)]),
            kept: BTreeMap::new(),
        })
    }
}

/// An answer's body, or what its status means.
fn sound<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, ConnectFault> {
    match answer.status {
        200 => answer.json(),
        429 => Err(Fault::Busy.into()),
        500.. => Err(Fault::Unavailable.into()),
        status => Err(ConnectFault::new(Fault::Misbehaved, format_args!("GitHub answers {status}"))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { client_id, client_secret, port, site, api } = Arguments::parse();
    let connector =
        Arc::new(GitHub { client_id, client_secret: Secret::new(client_secret), site, api, http: http(true)? });
    let issuer = format!("http://localhost:{port}");
    let mut config = LoginConfig::new(issuer.parse()?);
    config.development = true;
    config.connectors.push(ConfiguredConnector {
        name: "github".parse()?,
        label: DisplayName::clean("GitHub")?,
        connector,
        accounts: NewAccounts::Create,
        verifies: UserVerification::Page,
    });
    let clock = Arc::new(SystemClock);
    let server = LoginServer::start(config, open(&StoreUrl::Memory, clock.clone()).await?, clock).await?;
    let taken = |error| format!("port {port} cannot be used ({error}); choose another with --port");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(taken)?;
    println!("Sign in at {issuer}/v1/connect/github?return_to={issuer}/account");
    server.run(vec![listener], None, std::future::pending()).await?;
    Ok(())
}
