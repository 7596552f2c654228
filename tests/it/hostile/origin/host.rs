//! A06 and A08: names that an attacker's page can reach the agent by.

use super::super::head::gatehouse::{Gatehouse, PAGE, answer_head};
use super::super::raw::{Raw, upgrade};

/// Values of `Host`, with `P` for the port; the first two are the agent's own.
const HOSTS: [&str; 34] = [
    "127.0.0.1:P",
    "[::1]:P",
    "evil.example:P",
    "evil.example",
    "127.0.0.1.evil.example:P",
    "127.0.0.1.nip.io:P",
    "localtest.me:P",
    "localhost:P",
    "LOCALHOST:P",
    "localhost.:P",
    "localhost",
    "agent.localhost:P",
    "0.0.0.0:P",
    "0.0.0.0",
    "0:P",
    "[::]:P",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:80",
    "127.0.0.1:0P",
    "127.0.0.1:P0",
    "127.0.0.1.:P",
    "127.0.0.2:P",
    "127.1:P",
    "2130706433:P",
    "0x7f.1:P",
    "0177.0.0.1:P",
    "[::ffff:127.0.0.1]:P",
    "[0:0:0:0:0:0:0:1]:P",
    "[::1]",
    "::1:P",
    "ada@127.0.0.1:P",
    "127.0.0.1:P,evil.example",
    "127.0.0.1:P/",
];
const OWN: usize = 2;

/// Exactly the agent's own hosts are served, whichever address the connection was made to.
async fn only_its_own_hosts(house: &Gatehouse, address: &str) {
    let port = house.port();
    for (at, host) in HOSTS.iter().enumerate() {
        let host = host.replace('P', &port.to_string());
        let socket = upgrade(port, PAGE).replacen(&format!("127.0.0.1:{port}"), &host, 1);
        let probe = house.probe(PAGE).replacen(&format!("127.0.0.1:{port}"), &host, 1);
        for head in [socket, probe] {
            if at >= OWN {
                house.refuses_at(address, head).await;
                continue;
            }
            let mut raw = Raw::connect_to((address, port)).await;
            raw.say(&head).await;
            let answer = answer_head(&mut raw).await;
            assert!(answer.starts_with("HTTP/1.1 101 ") || answer.starts_with("HTTP/1.1 204 "), "{host}: {answer}");
        }
    }
}

#[tokio::test]
async fn a06_dns_rebinding_is_seen_by_the_host() {
    let house = Gatehouse::new().await;
    only_its_own_hosts(&house, "127.0.0.1").await;
    only_its_own_hosts(&house, "::1").await;
    // After rebinding, the attacker's page is of the same origin as what it asks: no header of the browser tells.
    let port = house.port();
    for (host, fetch) in [("evil.example", "Sec-Fetch-Site: same-origin"), ("127.0.0.1", "Sec-Fetch-Site: same-origin")]
    {
        let rebound = format!("http://evil.example:{port}");
        house
            .refuses(
                house.probe(&rebound).replace("127.0.0.1", host).replace("Origin:", &format!("{fetch}\r\nOrigin:")),
            )
            .await;
        house.refuses(upgrade(port, &rebound).replacen("127.0.0.1", host, 1)).await;
    }
    house.serves_and_stops().await;
}

/// Linux takes a connection to `0.0.0.0` for one to `127.0.0.1`: the host alone tells.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a08_the_zero_address_opens_nothing() {
    let house = Gatehouse::new().await;
    only_its_own_hosts(&house, "0.0.0.0").await;
    only_its_own_hosts(&house, "::").await;
    house.serves_and_stops().await;
}

/// The rest of the loopback network, and every other address, is not listened on at all.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a08_nothing_but_two_addresses_is_bound() {
    let house = Gatehouse::new().await;
    let port = house.port();
    for other in ["127.0.0.2", "127.1.1.1", "127.255.255.254"] {
        let refused = tokio::net::TcpStream::connect((other, port)).await.err().map(|error| error.kind());
        assert_eq!(refused, Some(std::io::ErrorKind::ConnectionRefused), "{other}");
    }
    // The kernel's own list: state 0A is LISTEN, addresses are hexadecimal in its byte order.
    let listening = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let ending = format!(":{port:04X}");
    let mut addresses: Vec<_> = listening
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|row| {
            let mut fields = row.split_whitespace().skip(1);
            let (local, state) = (fields.next()?, fields.nth(1)?);
            (state == "0A").then_some(local)?.strip_suffix(&ending)
        })
        .collect();
    addresses.sort_unstable();
    let own = [u32::from_ne_bytes([127, 0, 0, 1]), u32::from_ne_bytes([0, 0, 0, 1])].map(|word| format!("{word:08X}"));
    let own_v6 = format!("{}{}", "0".repeat(24), own[1]);
    assert_eq!(addresses, [own_v6.as_str(), own[0].as_str()]);
    house.serves_and_stops().await;
}
