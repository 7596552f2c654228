//! What the processes of the suite tell each other: one JSON argument in, one JSON line out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The argument that makes this program something else than the orchestrator.
const ROLE: &str = "--role";

/// What a process of the suite is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    Issuer(IssuerSpec),
    Serve(ServeSpec),
    Load(LoadSpec),
    Exec(ExecSpec),
}

impl Role {
    /// What this process was started as; `None` is the orchestrator.
    pub(crate) fn of_this_process() -> anyhow::Result<Option<Self>> {
        let mut arguments = std::env::args().skip(1);
        match (arguments.next().as_deref(), arguments.next()) {
            (Some(ROLE), Some(json)) => Ok(Some(serde_json::from_str(&json)?)),
            _ => Ok(None),
        }
    }

    /// The arguments that start this program as this.
    pub(crate) fn arguments(&self) -> [String; 2] {
        [ROLE.to_owned(), serde_json::to_string(self).expect("plain data")]
    }
}

/// Another program, which takes this process over once it is on its core.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecSpec {
    pub(crate) cores: Vec<usize>,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// The login server, which also makes challenges by the thousand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IssuerSpec {
    pub(crate) cores: Vec<usize>,
}

/// What the issuer says when it serves.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Issuing {
    pub(crate) issuer: String,
    /// Its challenge key: an uncompressed point of P-256.
    pub(crate) key: Vec<u8>,
}

/// What the issuer is asked, a line each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum AskIssuer {
    /// An enrolment ticket for an account of the suite's own.
    Ticket,
    /// So many challenges, one a line, into a file.
    Mint { count: usize, path: PathBuf },
}

/// A server under test.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServeSpec {
    pub(crate) cores: Vec<usize>,
    pub(crate) kind: ServeKind,
}

/// Which server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ServeKind {
    /// The real agent, embedded, with everything on.
    Agent(AgentSpec),
    /// Upgrade, hello, one signature verified, one made, ready: tokio-tungstenite and ring, nothing else.
    FloorTungstenite(FloorSpec),
    /// One thread, raw epoll, one `send` a socket: no library and no cryptography.
    FloorWriteLoop(FloorSpec),
}

/// What the agent needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgentSpec {
    pub(crate) folder: PathBuf,
    pub(crate) issuer: String,
    pub(crate) ticket: String,
    pub(crate) wss: bool,
}

/// What a floor needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FloorSpec {
    /// Where it is told to push.
    pub(crate) control: PathBuf,
    /// The key of the challenges.
    pub(crate) key: Vec<u8>,
    /// How long the agent's messages are, in bytes.
    pub(crate) lengths: Lengths,
    /// The agent's own certificate and key, where it is to speak TLS.
    pub(crate) identity: Option<PathBuf>,
    /// What a page's messages are read into, in bytes: the agent has 1,024 for `open` and 128 for whatever comes then.
    pub(crate) read_buffer: usize,
}

/// How long what the agent says is, in bytes of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    pub(crate) ready: usize,
    pub(crate) state: usize,
}

/// What a server says when it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Serving {
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) wss_port: Option<u16>,
    #[serde(default)]
    pub(crate) trigger: Option<Trigger>,
}

/// How a push is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Trigger {
    /// `presence.set` on a Unix socket, the agent's control socket or what somebody else has in its place.
    Control(PathBuf),
    /// An HTTP POST of the frame's text (nchan's publisher).
    Post { port: u16, path: String },
    /// A `PUB` of the NATS protocol.
    Nats { port: u16, subject: String },
}

/// How a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exchange {
    /// hello, open, ready.
    Loopkey,
    /// Nothing after the upgrade.
    UpgradeOnly,
    /// INFO, then CONNECT, SUB and PING, then PONG.
    Nats,
}

/// Where the load goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    /// The server's processes, whose time and memory are read.
    pub(crate) pids: Vec<u32>,
    pub(crate) port: u16,
    pub(crate) origin: String,
    pub(crate) path: String,
    pub(crate) exchange: Exchange,
    /// The authority to trust, where TLS is spoken.
    pub(crate) authority: Option<PathBuf>,
    pub(crate) trigger: Option<Trigger>,
    /// The text that peers push.
    pub(crate) lengths: Lengths,
}

/// The load driver.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LoadSpec {
    pub(crate) cores: Vec<usize>,
    pub(crate) target: Target,
    /// A file of challenges, one a line.
    pub(crate) challenges: Option<PathBuf>,
    pub(crate) work: Work,
}

/// How handshakes after the first go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Again {
    /// As the first.
    Full,
    /// With the ticket of the last `ready`.
    Ticket,
    /// With the last TLS session; a fresh challenge all the same.
    TlsSession,
}

/// What the load driver does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Handshakes one after the other.
    Sequential { count: usize, warm_up: usize, again: Again },
    /// Handshakes, so many under way, while so many other pages are open and idle.
    Concurrent { count: usize, at_once: usize, held: usize },
    /// Pushes to so many pages; `dead` more never read.
    Push { pages: usize, warm_up: usize, pushes: usize, dead: usize },
    /// Opens so many pages and looks at the server's memory.
    Hold { pages: usize },
    /// Opens so many pages and looks how often the server wakes up meanwhile.
    Rest { pages: usize, seconds: u64 },
}

impl Work {
    /// Challenges that it takes.
    pub(crate) const fn challenges(&self) -> usize {
        match self {
            Self::Sequential { again: Again::Ticket, .. } => 1,
            Self::Sequential { count, warm_up, .. } => *count + *warm_up + 1,
            Self::Concurrent { count, at_once, held } => *count + 2 * *at_once + *held,
            Self::Push { pages, dead, .. } => *pages + *dead,
            Self::Hold { pages } => *pages + WARM_PAGES,
            Self::Rest { pages, .. } => *pages,
        }
    }
}

/// Pages that come and go before memory is looked at.
pub(crate) const WARM_PAGES: usize = 16;

/// A server at rest.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Rest {
    /// Resident memory at the end, in bytes.
    pub(crate) resident: u64,
    /// How often one of its threads woke up.
    pub(crate) wakes: u64,
    /// Those of them that a page's answer to a heartbeat caused.
    pub(crate) read_wakes: u64,
}

/// What was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Handshakes, or pushes to the last page, in nanoseconds.
    pub(crate) times: Vec<u64>,
    /// Of each handshake, from `open` to `ready`.
    pub(crate) opens: Vec<u64>,
    /// Pushes to the first page.
    pub(crate) firsts: Vec<u64>,
    /// All of it.
    pub(crate) wall: u64,
    /// The server's time on a core, nanoseconds.
    pub(crate) server_cpu: u64,
    /// The driver's, nanoseconds.
    pub(crate) own_cpu: u64,
    /// What the cores of both did meanwhile, for whomever, nanoseconds.
    pub(crate) busy: u64,
    /// What was measured of: handshakes, or messages delivered.
    pub(crate) count: u64,
    /// Chunks that the page read from the upgrade to `ready`, of every handshake together.
    pub(crate) reads: u64,
    /// Times that the page had to say something and wait, of every handshake together, `connect` included.
    pub(crate) round_trips: u64,
    /// Handshakes that continued a TLS session.
    pub(crate) tls_resumed: u64,
    pub(crate) lengths: Lengths,
    /// Resident memory of the server in bytes: before, with the pages open, after a push to all of them.
    pub(crate) memory: Vec<u64>,
    /// What the server does when it has nothing to do.
    #[serde(default)]
    pub(crate) rest: Option<Rest>,
    /// A fixed piece of work, timed on each core, nanoseconds.
    pub(crate) spins: Vec<u64>,
}
