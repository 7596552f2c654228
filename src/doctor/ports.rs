//! Who has the ports that pages look for the agent on.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::user;
use crate::agent::{Finding, Listener, listeners};
use crate::protocol::gate::REFUSAL;

/// An agent refuses another user's connection at once, before a byte is said.
const UNASKED: Duration = Duration::from_millis(500);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Who listens on a candidate port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Nobody,
    /// The agent that answered on the control socket.
    ThisAgent,
    /// An agent that takes this user for its own.
    OwnAgent,
    /// An agent that refuses this user.
    OthersAgent,
    Stranger,
}

/// Looks at the candidate ports; `own` is the one that the running agent listens on.
pub(super) async fn examine(ports: &[u16], own: Option<u16>) -> Vec<Finding> {
    let mut holders = Vec::new();
    for &port in ports {
        holders.push((port, if own == Some(port) { Holder::ThisAgent } else { holder(port).await }));
    }
    let all_are_taken = holders.iter().all(|(_, holder)| *holder != Holder::Nobody);
    let is_agent = |holder| matches!(holder, Holder::ThisAgent | Holder::OwnAgent);
    let agents: Vec<_> = holders.iter().filter(|(_, holder)| is_agent(*holder)).map(|(port, _)| *port).collect();
    let mut findings: Vec<_> =
        holders.iter().filter_map(|(port, holder)| finding(*port, *holder, own, all_are_taken)).collect();
    if agents.len() > 1 {
        findings.push(
            Finding::warning(
                "two_agents",
                "two agents of yours are running: pages may reach the one where nobody is signed in",
                "stop one of them (`loopkey stop`, or end the client that embeds it)",
            )
            .with("ports", agents),
        );
    } else if own.is_none()
        && let [port] = agents[..]
    {
        let who = describe(&listeners(port));
        findings.push(
            Finding::warning(
                "agent_elsewhere",
                format!("an agent of yours listens on port {port} ({who}), but does not answer on this control socket"),
                "name its control socket with --control or LOOPKEY_CONTROL (`loopkey demo` prints it), or stop that program",
            )
            .with("port", port),
        );
    }
    findings
}

fn finding(port: u16, holder: Holder, own: Option<u16>, all_are_taken: bool) -> Option<Finding> {
    let found = listeners(port);
    let who = describe(&found);
    let grave = own.is_none() && all_are_taken;
    let (code, what, cure) = match holder {
        Holder::Nobody | Holder::ThisAgent | Holder::OwnAgent => return None,
        Holder::OthersAgent => (
            "port_of_other_user",
            format!("the agent of another user of this computer listens on port {port} ({who})"),
            "this is as it should be where several people use this computer: your agent takes the next port",
        ),
        Holder::Stranger => (
            "port_taken",
            format!("port {port} is taken by another program: {who}"),
            "stop that program, or name other `ports` in agent.toml and in the login server's server.toml",
        ),
    };
    let finding = match (holder, own) {
        _ if grave => Finding::error(code, what, cure),
        // Pages pass it over, and a port behind the agent's own is not even tried.
        (Holder::Stranger, None) => Finding::warning(code, what, cure),
        _ => Finding::note(code, what, cure),
    };
    let mut finding = finding.with("port", port);
    if let Some(program) = found.iter().find_map(|listener| listener.program.as_deref()) {
        finding = finding.with("program", program);
    }
    if let Some(uid) = found.iter().find_map(|listener| listener.uid) {
        finding = finding.with("uid", uid);
    }
    Some(finding)
}

/// `nginx, run by user www-data (33)`
fn describe(listeners: &[Listener]) -> String {
    let one = |listener: &Listener| {
        let program = listener.program.as_deref().unwrap_or("a program that the system does not name");
        listener.uid.map_or_else(|| program.to_owned(), |uid| format!("{program}, run by {}", user::name_of(uid)))
    };
    let mut all: Vec<_> = listeners.iter().map(one).collect();
    all.dedup();
    if all.is_empty() { "the system does not say which".to_owned() } else { all.join("; ") }
}

/// Knocks. An agent gives its one refusal to whoever names no origin, and to another user before he has said anything.
async fn holder(port: u16) -> Holder {
    let mut stream = None;
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()] {
        if let Ok(Ok(open)) = timeout(ANSWER, TcpStream::connect(address)).await {
            stream = Some(open);
            break;
        }
    }
    // One that does not even accept has the port all the same.
    let Some(mut stream) = stream else {
        return if listeners(port).is_empty() { Holder::Nobody } else { Holder::Stranger };
    };
    if let Ok(unasked) = timeout(UNASKED, said(&mut stream)).await {
        return if unasked == REFUSAL { Holder::OthersAgent } else { Holder::Stranger };
    }
    let probe = format!("GET /v1/probe HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    if stream.write_all(probe.as_bytes()).await.is_err() {
        return Holder::Stranger;
    }
    match timeout(ANSWER, said(&mut stream)).await {
        // Without its peer check, another user's agent takes everybody for its own.
        Ok(answer) if answer == REFUSAL && listeners(port).iter().any(is_others) => Holder::OthersAgent,
        Ok(answer) if answer == REFUSAL => Holder::OwnAgent,
        _ => Holder::Stranger,
    }
}

fn is_others(listener: &Listener) -> bool {
    listener.uid.is_some_and(|uid| user::own().is_some_and(|own| own != uid))
}

/// What the other end says until it closes, and no more of it than could be a refusal.
async fn said(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let most = REFUSAL.len() as u64 + 1;
    let _ = stream.take(most).read_to_end(&mut answer).await;
    answer
}
