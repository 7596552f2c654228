//! A port taken by somebody else, two agents at once, and a start as root. (What key files must be is `key_files`' subject.)

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use loopkey::agent::{Agent, StartError};
use loopkey::protocol::issuer::Issuer;

use super::raw::expect_refusal;
use crate::support::places::free_places;
use crate::support::world::settings;

fn issuer() -> Issuer {
    "http://localhost:9".parse().expect("an issuer")
}

#[tokio::test]
async fn i158_of_two_agents_started_at_once_one_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || Agent::builder(settings(folder.path(), &issuer())).any_port().bind();
    let (first, second) = tokio::join!(start(), start());
    let (running, late) = match (first, second) {
        (Ok(running), Err(late)) | (Err(late), Ok(running)) => (running, late),
        (Ok(_), Ok(_)) => panic!("two agents share one state folder"),
        (Err(first), Err(second)) => panic!("neither started: {first}; {second}"),
    };
    let told = late.to_string();
    assert!(matches!(late, StartError::InUse(_) | StartError::Control(_)) && told.contains("another agent"), "{told}");
    drop(running);
    assert!(start().await.is_ok(), "the place is free again");
}

#[tokio::test]
async fn i158_two_agents_with_folders_of_their_own_take_two_ports() {
    let ports = free_places().agent;
    let mut taken = Vec::new();
    let mut agents = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(folder.path(), &issuer());
        settings.ports = ports.clone();
        let agent = Agent::builder(settings).bind().await.expect("an agent");
        taken.push(agent.handle().port());
        agents.push((agent, folder));
    }
    assert_eq!(taken, ports);
}

#[tokio::test]
async fn i159_a_port_that_an_impostor_holds_is_passed_over_even_half_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = free_places().agent;
    // Whoever holds one family only would answer the pages that try it first.
    for address in [(Ipv4Addr::LOCALHOST, ports[0]).into(), std::net::SocketAddr::from((Ipv6Addr::LOCALHOST, ports[0]))]
    {
        let _impostor = TcpListener::bind(address).expect("the impostor is first");
        let mut settings = settings(folder.path(), &issuer());
        settings.ports = ports.clone();
        let agent = Agent::builder(settings.clone()).bind().await.expect("the next port is free");
        assert_eq!(agent.handle().port(), ports[1], "{address}");
        drop(agent);
        settings.ports = vec![ports[0]];
        let told = Agent::builder(settings).bind().await.err().expect("no other port is allowed").to_string();
        assert!(told.contains(&ports[0].to_string()) && told.contains("name other ports"), "{told}");
    }
}

#[tokio::test]
async fn i159_while_the_agent_runs_nobody_else_gets_its_port() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = Agent::builder(settings(folder.path(), &issuer())).any_port().bind().await.expect("an agent");
    let handle = agent.handle();
    let running = tokio::spawn(agent.run(std::future::pending()));
    let port = handle.port();
    for address in [
        std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        (Ipv6Addr::LOCALHOST, port).into(),
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ] {
        let socket = if address.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() };
        let socket = socket.expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        #[cfg(target_os = "linux")]
        socket.set_reuseport(true).expect("an option");
        let taken = socket.bind(address).and_then(|()| socket.listen(1));
        assert!(taken.is_err(), "{address} could be taken");
    }
    expect_refusal(port, "GET / HTTP/1.1\r\n\r\n").await;
    handle.stop();
    running.await.expect("the agent ends");
}

#[cfg(target_os = "linux")]
#[test]
fn i160_a_start_as_root_is_refused_with_the_cure() {
    use super::puppet::{ROOT, loopkey, run_as};
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("agent.toml");
    let text = "state_dir = \"state\"\ncontrol = \"control.sock\"\ndevelopment = true\n\
        [[issuer]]\nurl = \"http://localhost:9\"\n[[origin]]\norigin = \"http://localhost:9\"\nissuer = \"http://localhost:9\"\n";
    std::fs::write(&config, text).expect("written");
    let mut start = run_as(ROOT, &loopkey());
    let output = start.arg("agent").arg("--config").arg(&config).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("root") && told.contains("allow_root"), "{told}");
    assert!(!folder.path().join("state").exists(), "nothing was made before the refusal");
}

#[tokio::test]
async fn i159_an_agent_that_could_not_start_leaves_no_listener_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = free_places().agent;
    let _impostor = TcpListener::bind((Ipv6Addr::LOCALHOST, ports[0])).expect("the impostor is first");
    let mut settings = settings(folder.path(), &issuer());
    settings.ports = vec![ports[0]];
    assert!(Agent::builder(settings).bind().await.is_err());
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).is_ok(), "the other half was given back");
}
