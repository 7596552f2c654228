//! The real agent, embedded: whole gate, peer look-up, a login server that it really asks. Only the numbers of sockets are
//! raised, in code, as an embedding program may.

use anyhow::Context as _;
use loopkey::agent::{Agent, AgentSettings, IssuerSettings, OriginSettings, WssFiles, WssSettings};
use loopkey::certs::Certs;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::install::Homes;
use loopkey::protocol::grant::{ConsentMode, Grant, OpenProof};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::limits::SocketLimits;

use crate::issuer::ALGORITHM;
use crate::process;
use crate::spec::{AgentSpec, Serving, Trigger};

/// More than any section opens.
const LIMITS: SocketLimits = SocketLimits { per_origin: 20_000, total: 20_000, not_yet_open: 1024 };

pub(crate) fn run(spec: AgentSpec) -> anyhow::Result<()> {
    // One thread, as `loopkey agent` has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(spec))
}

async fn serve(spec: AgentSpec) -> anyhow::Result<()> {
    let issuer: Issuer = spec.issuer.parse().context("an issuer")?;
    let mut settings = settings(&spec, &issuer);
    if spec.wss {
        settings.wss = Some(WssSettings::default());
        let home = spec.folder.join("nobody");
        let homes = Homes { config: home.join(".config"), data: home.join(".local/share"), home };
        Certs { files: WssFiles::of(&settings.state_dir), homes }.create(SystemClock.timestamp())?;
    }
    let control = settings.control.clone();
    let agent = Agent::builder(settings).any_port().bind().await?;
    let handle = agent.handle();
    let running = tokio::spawn(agent.run(std::future::pending()));
    handle.enrol(&issuer, spec.ticket.parse().context("a ticket")?).await?;
    process::say(&Serving {
        port: handle.port(),
        wss_port: handle.wss_port(),
        trigger: Some(Trigger::Control(control)),
    });
    Ok(running.await?)
}

fn settings(spec: &AgentSpec, issuer: &Issuer) -> AgentSettings {
    let mut settings = AgentSettings::new(spec.folder.join("state"), spec.folder.join("run").join("control.sock"));
    settings.development = true;
    settings.allow_root = true;
    settings.peer_check = true;
    settings.algorithm = ALGORITHM;
    settings.limits = LIMITS;
    settings.issuers = vec![IssuerSettings { url: issuer.clone(), ca_file: None }];
    settings.origins = vec![OriginSettings {
        origin: issuer.origin(),
        issuer: issuer.clone(),
        grants: [Grant::Presence, Grant::Login].into_iter().collect(),
        consent: ConsentMode::Prompt,
        proof: OpenProof::Challenge,
    }];
    settings
}
