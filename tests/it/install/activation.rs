//! Sockets that systemd opens, handed over by systemd's own program for trying that out.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use crate::commands::until;
use crate::support::home::Home;
use crate::support::places::free_places;

/// An agent behind sockets at these addresses. It starts with the first connection.
fn behind(home: &Home, config: &str, addresses: &[String]) -> Child {
    let mut command = home.command("systemd-socket-activate", &[]);
    for address in addresses {
        command.args(["--listen", address]);
    }
    command.args([env!("CARGO_BIN_EXE_loopkey"), "agent", "--config", config]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("systemd-socket-activate: {error}; run: apt-get install systemd"))
}

/// Both loopback addresses on a port.
fn pair(port: u16) -> Vec<String> {
    vec![format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
}

#[tokio::test]
async fn an_agent_answers_on_the_sockets_that_systemd_opened() {
    let home = Home::new();
    let port = free_places().agent[0];
    let config = home.agent_toml(port, "");
    let mut agent = behind(&home, &config.to_string_lossy(), &pair(port));
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (Ipv6Addr::LOCALHOST, port).into()] {
        let connected = std::cell::RefCell::new(None);
        until("a listener", async || {
            *connected.borrow_mut() = TcpStream::connect(address).ok();
            connected.borrow().is_some()
        })
        .await;
        // The agent refuses a stranger on both, with the same bytes.
        let mut page = connected.take().expect("a connection");
        page.write_all(format!("GET /nothing HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).expect("written");
        let mut answer = String::new();
        page.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 4"), "{address}: {answer}");
    }
    let status = home.expect(&["status"], 0);
    assert!(status.contains(&format!("listens on port {port}")), "{status}");
    home.expect(&["stop"], 0);
    assert!(agent.wait().expect("it ends").success());
}

#[tokio::test]
async fn sockets_of_any_other_kind_are_refused_with_the_cure() {
    let ports = free_places().agent;
    let [port, other] = [ports[0], ports[1]];
    let v4 = format!("127.0.0.1:{port}");
    for (addresses, reason) in [
        (vec![v4.clone()], "nothing else"),
        (vec![format!("0.0.0.0:{port}"), format!("[::1]:{port}")], "nothing else"),
        (vec![v4.clone(), format!("[::1]:{other}")], "nothing else"),
        ([pair(port), vec![format!("127.0.0.1:{other}")]].concat(), "nothing else"),
        (pair(other), "none of the configured"),
        (vec![v4, "/tmp/loopkey-test-unix.sock".to_owned()], "something else than TCP"),
    ] {
        let home = Home::new();
        let unix = home.beside("unix.sock").to_string_lossy().into_owned();
        let addresses: Vec<_> = addresses
            .into_iter()
            .map(|address| if address.starts_with('/') { unix.clone() } else { address })
            .collect();
        let config = home.agent_toml(port, "");
        let mut agent = behind(&home, &config.to_string_lossy(), &addresses);
        let first = addresses[0].replace("0.0.0.0", "127.0.0.1");
        until("a listener", async || TcpStream::connect(&first).is_ok()).await;
        let mut told = String::new();
        agent.stderr.take().expect("a pipe").read_to_string(&mut told).expect("readable");
        assert_eq!(agent.wait().expect("it ends").code(), Some(1), "{addresses:?}: {told}");
        assert!(told.contains(reason), "{addresses:?}: {told}");
        assert!(!home.control().exists());
    }
}
