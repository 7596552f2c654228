//! The real login server, in a process outside of what is measured. Besides answering the agent it makes challenges by the
//! thousand with its own key, exactly as its endpoint does: each counts once.

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::sync::Arc;

use anyhow::Context as _;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::crypto::{self, Algorithm};
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::base64url;
use loopkey::protocol::id::{ChallengeId, EnrolmentTicket};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::statement::{self, Audience, CHALLENGE_LIFE_SECONDS, Challenge};
use loopkey::store::{DisplayName, Profile, SharedStore, StoreUrl, TicketHash};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::spec::{AskIssuer, IssuerSpec, Issuing};
use crate::{machine, process};

/// What the product uses unless it is told otherwise.
pub(crate) const ALGORITHM: Algorithm = Algorithm::Es256;

pub(crate) fn run(spec: &IssuerSpec) -> anyhow::Result<()> {
    machine::pin(&spec.cores)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let issuer: Issuer = format!("http://{}", listener.local_addr()?).parse().context("an issuer")?;
    let mut config = LoginConfig::new(issuer.clone());
    config.development = true;
    config.algorithm = ALGORITHM;
    config.limits.device_per_minute = u32::MAX;
    config.limits.address_per_minute = u32::MAX;
    let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await?;
    let server = LoginServer::start(config, Arc::clone(&store), Arc::new(SystemClock)).await?;
    tokio::spawn(async move { server.run(vec![listener], None, std::future::pending()).await });
    process::say(&Issuing { issuer: issuer.as_str().to_owned(), key: public_point(&store).await? });
    let (asked, mut questions) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = asked.send(line);
        }
    });
    while let Some(line) = questions.recv().await {
        match serde_json::from_str(&line)? {
            AskIssuer::Ticket => process::say(&ticket(&store).await?),
            AskIssuer::Mint { count, path } => {
                std::fs::write(path, mint(&store, &issuer, count).await?)?;
                process::say(&count);
            }
        }
    }
    Ok(())
}

/// The challenge key as ring takes it.
async fn public_point(store: &SharedStore) -> anyhow::Result<Vec<u8>> {
    let signers = store.challenge_signers(ALGORITHM).await?;
    let jwk: Value = serde_json::to_value(signers.current(SystemClock.timestamp()).public().to_jwk())?;
    let coordinate = |name: &str| {
        let text = jwk[name].as_str().context("a coordinate")?;
        base64url::decode(text).ok().context("base64url")
    };
    Ok([vec![4], coordinate("x")?, coordinate("y")?].concat())
}

async fn ticket(store: &SharedStore) -> anyhow::Result<String> {
    let ticket = EnrolmentTicket::from_bytes(crypto::random());
    let name = DisplayName::clean("Ada of the benchmark").context("a name")?;
    let profile = Profile { account: "ada".parse().ok().context("an account")?, name, avatar: None };
    store.issue_ticket(TicketHash::of(&ticket), profile).await?.context("a ticket")?;
    Ok(serde_json::to_value(ticket)?.as_str().context("text")?.to_owned())
}

async fn mint(store: &SharedStore, issuer: &Issuer, count: usize) -> anyhow::Result<String> {
    let signers = store.challenge_signers(ALGORITHM).await?;
    let (inc, now) = (store.incarnation().await?, SystemClock.timestamp());
    let signer = signers.current(now);
    let sid = statement::sid(&crypto::random());
    let mut lines = String::new();
    for _ in 0..count {
        let challenge = Challenge {
            iss: issuer.clone(),
            aud: Audience::Agent,
            org: issuer.origin(),
            jti: ChallengeId::from_bytes(crypto::random()),
            sid,
            iat: now,
            exp: now.plus(CHALLENGE_LIFE_SECONDS),
            rdm: issuer.login_url(),
            inc: inc.clone(),
        };
        writeln!(lines, "{}", statement::sign(&challenge, signer)?)?;
    }
    Ok(lines)
}
