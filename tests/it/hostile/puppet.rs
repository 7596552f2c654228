//! This very test program, started again as another user of the computer to do one thing and say how it went.
//!
//! It takes root: tests that run as root change user themselves, others go through `sudo`.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::raw::{PATIENCE, upgrade};

/// A user who is neither root nor anybody that runs an agent.
pub(crate) const NOBODY: u32 = 65_534;
/// The superuser.
pub(crate) const ROOT: u32 = 0;
/// Runs the agents of these tests where the tests themselves run as root, as which an agent would not.
const ORDINARY: u32 = 61_001;

const TASK: &str = "LOOPKEY_PUPPET";

pub(crate) fn own_user() -> u32 {
    rustix::process::getuid().as_raw()
}

/// The user whose agent is attacked.
pub(crate) fn agent_user() -> u32 {
    if own_user() == ROOT { ORDINARY } else { own_user() }
}

/// The command that runs a program as a user.
pub(crate) fn run_as(user: u32, program: &Path) -> Command {
    if own_user() == ROOT {
        let mut command = Command::new(program);
        command.uid(user).gid(user);
        command
    } else if own_user() == user {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "-u", &format!("#{user}"), "--"]).arg(program);
        command
    }
}

/// A copy of a program where every user can start it.
fn shared(program: &Path) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        folder
    });
    let copy = folder.path().join(program.file_name().expect("a name"));
    if !copy.exists() {
        // Under another name first: several tests want it at once.
        let fresh = tempfile::NamedTempFile::new_in(folder.path()).expect("a file").into_temp_path();
        std::fs::copy(program, &fresh).expect("copied");
        std::fs::set_permissions(&fresh, PermissionsExt::from_mode(0o755)).expect("a mode");
        std::fs::rename(&fresh, &copy).expect("renamed");
    }
    copy
}

/// The command `loopkey`, where every user can start it.
pub(crate) fn loopkey() -> PathBuf {
    shared(Path::new(env!("CARGO_BIN_EXE_loopkey")))
}

/// The command that has a user do one task.
pub(crate) fn puppet(user: u32, task: &str) -> Command {
    let mut command = run_as(user, Path::new("/usr/bin/env"));
    command.arg(format!("{TASK}={task}")).arg(shared(&std::env::current_exe().expect("this program")));
    command.args(["hostile::puppet::act", "--exact", "--ignored", "--nocapture"]).current_dir("/");
    command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Has a user do one task and returns what came of it.
pub(crate) async fn has(user: u32, task: &str) -> String {
    let mut command = puppet(user, task);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    said(&output.expect("the puppet starts (these tests need root, or sudo without a password: run `sudo -v` first)"))
}

/// The last thing that a puppet said.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().rev().find_map(|line| line.split_once("puppet: ")).map(|(_, answer)| answer.to_owned());
    let complaint = String::from_utf8_lossy(&output.stderr);
    answer.unwrap_or_else(|| panic!("the puppet said nothing (do these tests have root or sudo?): {text}{complaint}"))
}

#[expect(clippy::print_stdout, reason = "the tests read it there")]
fn say(answer: &str) {
    println!("\npuppet: {answer}");
}

/// What a puppet does; without a task, nothing.
#[tokio::test]
#[ignore = "only the other tests start this"]
async fn act() {
    let Ok(task) = std::env::var(TASK) else { return };
    let words: Vec<_> = task.split(' ').collect();
    match words[..] {
        ["upgrade", port, origin] => say(&upgraded(connected(number(port), 0).await, number(port), origin).await),
        ["upgrade", port, origin, from] => {
            say(&upgraded(connected(number(port), number(from)).await, number(port), origin).await);
        }
        ["listen", port] => {
            let mut answer = String::new();
            let mut stream = connected(number(port), 0).await;
            timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").expect("text");
            say(answer.lines().next().unwrap_or("nothing"));
        }
        ["reach", port] => say(&match TcpStream::connect(("127.0.0.1", number(port))).await {
            Ok(_) => "connected".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }),
        ["bequeath", port, origin, heir] => {
            let stream = connected(number(port), 0).await.into_std().expect("a plain socket");
            stream.set_nonblocking(false).expect("blocking");
            let mut command = puppet(heir.parse().expect("a user"), &format!("inherit {port} {origin}"));
            let output = command.stdin(std::os::fd::OwnedFd::from(stream)).output().expect("the heir starts");
            say(&said(&output));
        }
        ["inherit", port, origin] => {
            use std::os::fd::AsFd as _;
            let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("an inherited socket");
            let stream = std::net::TcpStream::from(socket);
            stream.set_nonblocking(true).expect("not blocking");
            let stream = TcpStream::from_std(stream).expect("a socket");
            say(&upgraded(stream, number(port), origin).await);
        }
        ["vanish", port, origin, from] => {
            let mut stream = connected(number(port), number(from)).await;
            let answer = greeted(&mut stream, number(port), origin).await;
            // What it said last lies unread at the agent when the connection is reset.
            stream.write_all(&super::raw::text(r#"{"type":"pong"}"#)).await.expect("written");
            stream.set_zero_linger().expect("a reset");
            drop(stream);
            say(&answer);
        }
        ["relay", port] => {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            say(&listener.local_addr().expect("an address").port().to_string());
            let (mut near, _) = listener.accept().await.expect("a connection");
            let mut far = connected(number(port), 0).await;
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
        ["ask-without-descriptors"] => say(&asked_without_descriptors()),
        _ => panic!("no such task: {task}"),
    }
}

fn number(text: &str) -> u16 {
    text.parse().expect("a number")
}

async fn connected(port: u16, from: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(([127, 0, 0, 1], from).into()).expect("the source port");
    socket.connect(([127, 0, 0, 1], port).into()).await.expect("connected")
}

/// Sends an upgrade; the first line of the answer, and whether a greeting came with it.
async fn greeted(stream: &mut TcpStream, port: u16, origin: &str) -> String {
    let _ = stream.write_all(upgrade(port, origin).as_bytes()).await;
    let mut answer = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&answer).contains("\"nonce\"") && stream.read_buf(&mut answer).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(PATIENCE, reading).await.expect("the agent greets or closes");
    let text = String::from_utf8_lossy(&answer);
    let greeting = if text.contains("\"nonce\"") { ", greeted" } else { "" };
    format!("{}{greeting}", text.lines().next().unwrap_or("nothing"))
}

async fn upgraded(mut stream: TcpStream, port: u16, origin: &str) -> String {
    greeted(&mut stream, port, origin).await
}

/// Looks a connection up in a process that may not open another descriptor, so that the kernel cannot be asked.
fn asked_without_descriptors() -> String {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let agent = listener.local_addr().expect("an address");
    let page = std::net::TcpStream::connect(agent).expect("connected");
    let page = page.local_addr().map(|address| (page, address)).expect("an address");
    let check = loopkey::agent::system_peer_check().expect("a check");
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Nofile, none).expect("a limit");
    match check.look_up(page.1, agent) {
        Ok(_) => "passed".to_owned(),
        Err(loopkey::agent::PeerFault::Unknowable(_)) => "unknowable".to_owned(),
        Err(loopkey::agent::PeerFault::Strange(strange)) => strange.to_string(),
    }
}
