//! The process whose computer loses power: a login server on an embedded store, people who sign in and are signed out,
//! and a line of standard output after each answer.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use loopkey::store::{AuditRecord, Audited, StoreUrl};

use super::disk::{Image, take};
use super::log::{self, Record};
use crate::login::browser::SESSION;
use crate::login::device::Device;
use crate::login::{Server, clock};

/// People that do things at the same time, so that their writes share flushes.
const LANES: usize = 4;

/// What happened to a folder and what was said meanwhile.
pub(super) struct History {
    pub(super) before: Image,
    pub(super) records: Vec<Record>,
    /// What was in the folder when the process had ended by itself.
    pub(super) after: Image,
}

/// Lets people come and go on the store of a folder, and writes down everything that happens to it.
pub(super) fn record(shim: &Path, folder: &Path, people: std::ops::Range<usize>) -> History {
    let before = take(folder);
    let log = tempfile::NamedTempFile::new().expect("a file");
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--ignored", "--exact", "--nocapture", "store::power_loss::victim::a_login_server_is_busy"]);
    child.env("LD_PRELOAD", shim).env("LOOPKEY_SHIM_FOLDER", folder).env("LOOPKEY_SHIM_LOG", log.path());
    child.env("LOOPKEY_VICTIM_PEOPLE", format!("{} {}", people.start, people.end));
    let output = child.output().expect("this program starts again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    History { before, records: log::read(log.path()), after: take(folder) }
}

/// Started by [`record`]. By itself it makes sure that the people can do what they do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the tests of power loss start it"]
async fn a_login_server_is_busy() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = std::env::var_os("LOOPKEY_SHIM_FOLDER").map_or_else(|| own.path().to_owned(), PathBuf::from);
    let people = std::env::var("LOOPKEY_VICTIM_PEOPLE").unwrap_or_else(|_| "0 4".to_owned());
    let (from, to) = people.split_once(' ').expect("two numbers");
    let (from, to): (usize, usize) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let clock = clock();
    let store = loopkey::store::open(&StoreUrl::Embedded(folder), clock.clone()).await.expect("the store opens");
    let server = Arc::new(Server::start_with(store, clock).await);
    let lanes = (0..LANES).map(|lane| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for number in (from + lane..to).step_by(LANES) {
                come_and_go(&server, number).await;
            }
        })
    });
    futures::future::join_all(lanes).await.into_iter().for_each(|lane| lane.expect("no panic"));
    let Ok(server) = Arc::try_unwrap(server) else { panic!("the lanes are done") };
    server.stop().await;
}

/// One person: every answer is said aloud, and what ends a session also before it is asked for.
async fn come_and_go(server: &Server, number: usize) {
    let device = Device::enrol(server, &account(number)).await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    say(&format!("opened {number} {} {}", device.id(), browser.cookies[SESSION]));
    let what = Audited::AccountChanged;
    let line = AuditRecord { what, account: None, device: None, detail: line(number) };
    server.store.record(line).await.expect("recorded");
    say(&format!("recorded {number}"));
    match number % 3 {
        0 => {
            say(&format!("ending {number}"));
            let (account, id) = (account(number).parse().expect("a name"), device.id().parse().expect("an id"));
            assert!(
                server
                    .store
                    .revoke_device(&account, &id, loopkey::store::Actor::Administrator)
                    .await
                    .expect("the store")
            );
            say(&format!("revoked {number}"));
        }
        1 => {
            say(&format!("ending {number}"));
            assert_eq!(device.signs_out(server, EPOCH).await.status, 204);
            say(&format!("raised {number}"));
        }
        _ => {}
    }
}

/// The epoch that a sign-out raises a device to.
pub(super) const EPOCH: u64 = 7;

/// A person's account.
pub(super) fn account(number: usize) -> String {
    format!("person-{number}")
}

/// A person's line in the audit record.
pub(super) fn line(number: usize) -> String {
    format!("line {number}")
}

/// One write a line, so that it has one place in the log.
fn say(line: &str) {
    std::io::stdout().write_all(format!("{SAYS}{line}\n").as_bytes()).expect("said");
}

/// What each line begins with, to be told from what the test's harness prints.
pub(super) const SAYS: &str = "said: ";
