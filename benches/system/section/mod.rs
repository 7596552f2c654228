//! The orchestrator: starts servers, sends load to them turn by turn, and collects the rows of the table.

mod footprint;
mod growth;
mod handshake;
mod memory;
mod push;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};

use crate::args::{Args, Section};
use crate::machine::{self, Machine};
use crate::noise::Noise;
use crate::peers::{self, Peer};
use crate::process::Process;
use crate::report::{Plot, Report, Row};
use crate::spec::{
    AgentSpec, AskIssuer, Exchange, FloorSpec, IssuerSpec, Issuing, Lengths, LoadSpec, Outcome, Role, ServeKind,
    ServeSpec, Serving, Target, Work,
};

/// What the agent has for the first message of a page, and for all that come then.
pub(crate) const OPENING_BUFFER: usize = 1024;
pub(crate) const WAITING_BUFFER: usize = 128;

/// The core of whatever is measured, and that of everything else.
const SERVER_CORE: usize = 0;
const DRIVER_CORE: usize = 1;

/// A run of the suite.
pub(crate) struct Bench {
    pub(crate) args: Args,
    issuer: Process,
    issuing: Issuing,
    folder: tempfile::TempDir,
    servers: u32,
    pub(crate) lengths: Lengths,
    pub(crate) noise: Noise,
    pub(crate) rows: Vec<Row>,
    pub(crate) plots: Vec<Plot>,
}

/// A server under test.
pub(crate) struct Server {
    pub(crate) name: String,
    process: Process,
    pub(crate) serving: Serving,
    exchange: Exchange,
    path: String,
    authority: Option<PathBuf>,
    identity: Option<PathBuf>,
}

/// Measures and reports. A section that breaks costs no other one its figures.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let mut bench = Bench::new(args)?;
    let mut broken = Vec::new();
    for section in bench.args.sections.clone() {
        let (name, measured) = match section {
            Section::Handshake => (handshake::SECTION, handshake::run(&mut bench)),
            Section::Push => (push::SECTION, push::run(&mut bench)),
            Section::Memory => (memory::SECTION, memory::run(&mut bench)),
            Section::Growth => (growth::SECTION, growth::run(&mut bench)),
            Section::Footprint => (footprint::SECTION, footprint::run(&mut bench)),
        };
        if let Err(reason) = measured {
            progress(&format!("{name}: {reason:#}"));
            bench.miss(name, "the section", &reason);
            broken.push(name);
        }
    }
    bench.finish()?;
    ensure!(broken.is_empty(), "not measured to the end: {}", broken.join(", "));
    Ok(())
}

/// Tells whoever waits how far it is.
#[expect(clippy::print_stderr, reason = "progress, beside the answer on standard output")]
pub(crate) fn progress(words: &str) {
    eprintln!("{words}");
}

impl Bench {
    fn new(args: Args) -> anyhow::Result<Self> {
        // Before an hour has passed, and for the servers too, which have the same limit.
        machine::raise_descriptors(args.descriptors())?;
        if machine::cores() < 2 {
            progress("there is one core only: server and driver take turns on it, and no figure is worth much");
        }
        let mut issuer = Process::of(&Role::Issuer(IssuerSpec { cores: vec![DRIVER_CORE] }))?;
        let issuing = issuer.hear()?;
        let (folder, noise) = (tempfile::tempdir()?, Noise::watch());
        let lengths = Lengths::default();
        let (rows, plots) = (Vec::new(), Vec::new());
        let mut bench = Self { args, issuer, issuing, folder, servers: 0, lengths, noise, rows, plots };
        // Floors and peers say as much as the agent does.
        let agent = bench.agent(false)?;
        let work = Work::Push { pages: 1, warm_up: 1, pushes: 2, dead: 0 };
        let pushed = bench.load(&agent, false, work)?.lengths.state;
        let opened = bench.load(&agent, false, sequential(2))?.lengths.ready;
        bench.lengths = Lengths { ready: opened, state: pushed };
        Ok(bench)
    }

    fn finish(self) -> anyhow::Result<()> {
        let noise = self.noise.verdict();
        let (rounds, quick) = (self.args.rounds(), self.args.quick);
        let (rows, plots) = (self.rows, self.plots);
        let peers = if self.args.peers { peers::versions(&self.args.peers_folder) } else { Vec::new() };
        Report { machine: Machine::this(), peers, noise, rounds, quick, rows, plots }
            .give(&self.args.out, self.args.publish.as_deref())
    }

    /// An agent of its own, with somebody signed in.
    pub(crate) fn agent(&mut self, wss: bool) -> anyhow::Result<Server> {
        self.agent_on(wss, &[SERVER_CORE])
    }

    /// The same on other cores.
    pub(crate) fn agent_on(&mut self, wss: bool, cores: &[usize]) -> anyhow::Result<Server> {
        self.servers += 1;
        let folder = self.folder.path().join(format!("agent-{}", self.servers));
        let ticket = self.issuer.ask(&AskIssuer::Ticket)?;
        let issuer = self.issuing.issuer.clone();
        let files = loopkey::agent::WssFiles::of(&folder.join("state"));
        let mut server = Self::serve("agent", cores, ServeKind::Agent(AgentSpec { folder, issuer, ticket, wss }))?;
        if wss {
            (server.authority, server.identity) = (Some(files.authority()), Some(files.identity()));
        }
        Ok(server)
    }

    /// tokio-tungstenite and bare ring; with the certificate of an agent over TLS.
    pub(crate) fn floor_tungstenite(
        &mut self,
        secure_as: Option<&Server>,
        read_buffer: usize,
    ) -> anyhow::Result<Server> {
        let identity = secure_as.and_then(|agent| agent.identity.clone());
        let name = if identity.is_some() { "bare rustls" } else { "tungstenite + ring" };
        let kind = ServeKind::FloorTungstenite(FloorSpec { identity, read_buffer, ..self.floor() });
        let mut server = Self::serve(name, &[SERVER_CORE], kind)?;
        server.authority = secure_as.and_then(|agent| agent.authority.clone());
        Ok(server)
    }

    /// One thread and raw epoll.
    pub(crate) fn floor_write_loop(&mut self) -> anyhow::Result<Server> {
        let kind = ServeKind::FloorWriteLoop(self.floor());
        Self::serve("write loop", &[SERVER_CORE], kind)
    }

    fn floor(&mut self) -> FloorSpec {
        self.servers += 1;
        let control = self.folder.path().join(format!("control-{}.sock", self.servers));
        FloorSpec { control, key: self.issuing.key.clone(), lengths: self.lengths, identity: None, read_buffer: 0 }
    }

    fn serve(name: &str, cores: &[usize], kind: ServeKind) -> anyhow::Result<Server> {
        let mut process = Process::of(&Role::Serve(ServeSpec { cores: cores.to_vec(), kind }))?;
        let serving = process.hear().with_context(|| name.to_owned())?;
        Ok(Server {
            name: name.to_owned(),
            process,
            serving,
            exchange: Exchange::Loopkey,
            path: "/v1".to_owned(),
            authority: None,
            identity: None,
        })
    }

    /// The peers that are to be measured and can be; a row says of the others why they are missing.
    pub(crate) fn peers(&mut self, section: &'static str, wanted: &[Peer]) -> anyhow::Result<Vec<Server>> {
        let mut servers = Vec::new();
        if !self.args.peers {
            return Ok(servers);
        }
        for peer in wanted {
            match self.peer(*peer) {
                Ok(server) => servers.push(server),
                Err(reason) => self.miss(section, peer.name(), &reason),
            }
        }
        Ok(servers)
    }

    /// Notes that a peer could not be measured, and why.
    pub(crate) fn miss(&mut self, section: &'static str, name: &str, reason: &anyhow::Error) {
        let row = Row::new(section, "MISSING", name, f64::NAN, "");
        self.rows.push(row.note(&format!("{name} was not measured: {reason:#}")));
    }

    /// One peer, started anew.
    pub(crate) fn peer(&mut self, peer: Peer) -> anyhow::Result<Server> {
        self.servers += 1;
        let folder = self.folder.path().join(format!("peer-{}", self.servers));
        let installed = std::path::absolute(&self.args.peers_folder)?;
        let started = peer.start(&installed, &folder, &self.floor(), SERVER_CORE)?;
        Ok(Server {
            name: peer.name().to_owned(),
            process: started.process,
            serving: started.serving,
            exchange: started.exchange,
            path: started.path.to_owned(),
            authority: None,
            identity: None,
        })
    }

    /// Has the driver do some work with a server, and watches the noise.
    pub(crate) fn load(&mut self, server: &Server, secure: bool, work: Work) -> anyhow::Result<Outcome> {
        let challenges = self.folder.path().join("challenges");
        let count = work.challenges();
        let _: usize = self.issuer.ask(&AskIssuer::Mint { count, path: challenges.clone() })?;
        let pids = [vec![server.process.pid()], machine::descendants(server.process.pid())].concat();
        let port = if secure { server.serving.wss_port.context("a TLS port")? } else { server.serving.port };
        let target = Target {
            pids,
            port,
            origin: self.issuing.issuer.clone(),
            path: server.path.clone(),
            exchange: server.exchange,
            authority: server.authority.clone().filter(|_| secure),
            trigger: server.serving.trigger.clone(),
            lengths: self.lengths,
        };
        let spec = LoadSpec { cores: vec![DRIVER_CORE], target, challenges: Some(challenges), work };
        let mut driver = Process::of(&Role::Load(spec))?;
        let outcome: Result<Outcome, String> = driver.hear()?;
        let outcome =
            outcome.map_err(|reason| anyhow!(reason).context(format!("with the server {:?}", server.name)))?;
        driver.finish()?;
        self.noise.add(&outcome);
        Ok(outcome)
    }
}

/// Handshakes one after the other, without a warm-up.
pub(crate) const fn sequential(count: usize) -> Work {
    Work::Sequential { count, warm_up: 2, again: crate::spec::Again::Full }
}

/// The order of this round: each server is first in its turn.
pub(crate) fn turns(round: usize, servers: usize) -> impl Iterator<Item = usize> {
    (0..servers).map(move |at| (at + round) % servers)
}
