//! Who listens on a port of this computer, for `loopkey doctor`. Nothing is decided by it.

/// A program that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its user, where the system tells.
    pub uid: Option<u32>,
    /// The file name of the program, where the system shows it: mostly of this user's own programs only.
    pub program: Option<String>,
}

/// Who listens on a port, on whichever address. Linux tells by its tables under `/proc`; elsewhere nobody is named.
#[must_use]
pub fn listeners(port: u16) -> Vec<Listener> {
    #[cfg(target_os = "linux")]
    return linux(port);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = port;
        Vec::new()
    }
}

#[cfg(target_os = "linux")]
fn linux(port: u16) -> Vec<Listener> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().filter_map(|row| listening(row, port)));
    let mut found = Vec::new();
    for (uid, inode) in rows {
        let listener = Listener { uid: Some(uid), program: super::linux::holder_of(inode) };
        if !found.contains(&listener) {
            found.push(listener);
        }
    }
    found
}

/// User and inode of a row (man 5 `proc_pid_net`), where it is of a socket that listens on the port.
#[cfg(target_os = "linux")]
fn listening(row: &str, port: u16) -> Option<(u32, u64)> {
    const LISTEN: &str = "0A";
    let columns: Vec<_> = row.split_whitespace().collect();
    let (_, local_port) = columns.get(1)?.split_once(':')?;
    let is_ours = u16::from_str_radix(local_port, 16) == Ok(port) && columns.get(3) == Some(&LISTEN);
    if is_ours { Some((columns.get(7)?.parse().ok()?, columns.get(9)?.parse().ok()?)) } else { None }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_found_on_either_family_and_only_while_it_listens() {
        let own =
            std::env::current_exe().expect("a program").file_name().map(|name| name.to_string_lossy().into_owned());
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = std::net::TcpListener::bind(address).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let expected = Listener { uid: Some(rustix::process::getuid().as_raw()), program: own.clone() };
            assert_eq!(listeners(port), [expected], "{address}");
            let _client = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
            drop(listener);
            assert_eq!(listeners(port), [], "a connection is no listener");
        }
    }
}
