//! Two real login servers on one store. One of them is killed in the middle of sign-ins: whoever was there begins again at
//! the other, and no token counts twice.

#![expect(clippy::print_stdout, reason = "figures, for whoever runs it with --nocapture")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::load::{Load, people};
use super::{SEALING_SECRET, clock, open};
use crate::commands::until;
use crate::login::http::Call;
use crate::login::{ISSUER, SERVICE_KEY, Server};
use crate::support::places::free_places;
use crate::support::redis::RedisServer;
use crate::support::trace;

/// Sign-ins between two kills.
const LOGINS: usize = 10;

/// A login server as it is delivered.
struct Program {
    folder: tempfile::TempDir,
    address: SocketAddr,
    process: Child,
}

impl Program {
    async fn start(store: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from(([127, 0, 0, 1], free_places().site));
        let config = format!(
            "issuer = \"{ISSUER}\"\nlisten = \"{address}\"\nstore = \"{store}\"\nservice_key_file = \"service.key\"\n\
             [shared_store]\nsecret_file = \"secret\"\n[limits]\naddress_per_minute = 1000000\n"
        );
        for (name, text) in [("server.toml", config.as_str()), ("service.key", SERVICE_KEY), ("secret", SEALING_SECRET)]
        {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let process = launch(&folder);
        let program = Self { folder, address, process };
        program.is_ready().await;
        program
    }

    async fn is_ready(&self) {
        let ready = || async { Call::new("GET", "/readyz").try_send(self.address).await };
        until("a login server", || async { ready().await.is_some_and(|answer| answer.status == 200) }).await;
    }

    fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }

    async fn start_again(&mut self) {
        self.process = launch(&self.folder);
        self.is_ready().await;
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(folder: &tempfile::TempDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
    command.args(["serve", "--config", "server.toml"]).current_dir(folder.path()).stdin(Stdio::null());
    trace::of_child(command.env("LOOPKEY_LOG", "off")).spawn().expect("the program starts")
}

/// Kills one login server after the other, so many times.
async fn is_killed(times: usize) {
    trace::note(SEALING_SECRET);
    let database = RedisServer::database();
    let clock = clock();
    let store = open(&database, 0, clock.clone()).await;
    let enrolling = Server::start_with(store.clone(), clock).await;
    // Real limits: each device signs in a few times only.
    let people = people(&enrolling, 20 + 8 * times).await;
    enrolling.stop().await;
    let mut programs = [Program::start(&database).await, Program::start(&database).await];
    let mut load = Load::start(programs.each_ref().map(|program| program.address), people);
    for turn in 0..times {
        load.go_on(LOGINS).await;
        programs[turn % 2].kill();
        load.replay().await;
        load.go_on(LOGINS).await;
        programs[turn % 2].start_again().await;
    }
    load.go_on(LOGINS).await;
    let mut outcome = load.end().await;
    outcome.is_kept_by(&store).await;
    println!("a login server was killed {times} times: {}", outcome.tally);
    assert!(outcome.tally.broken > 0, "nobody noticed: {}", outcome.tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_accepted_twice_where_a_login_server_is_killed() {
    is_killed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "thirty kills: ./test --long runs it"]
async fn long_no_token_is_accepted_twice_where_login_servers_are_killed_thirty_times() {
    is_killed(30).await;
}
