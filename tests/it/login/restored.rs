//! A copy of a store in the place of one that went on: nobody knows who signed out meanwhile.

use std::process::{Command, Stdio};

use loopkey::crypto::{Algorithm, SoftwareKey};
use loopkey::protocol::statement::sign;
use serde_json::json;

use super::browser::Browser;
use super::device::{Device, enrolment, ticket_at};
use super::http::Call;
use super::program::Program;
use super::{ORIGIN, SERVICE_KEY, machine};

fn admin(program: &Program, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopkey"));
    // From another folder: what the configuration names is beside it.
    command.args(["admin", "--config"]).arg(program.path("server.toml")).args(arguments).current_dir("/");
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[tokio::test]
async fn everybody_signs_in_anew_and_no_ticket_counts() {
    let mut program = Program::start("store = \"embedded:data\"").await;
    let device = Device::enrol_at(program.address, "ada", Algorithm::Es256).await;
    let browser = || Browser::new(program.address, ORIGIN);
    let (mut leaves, mut stays) = (browser(), browser());
    for browser in [&mut leaves, &mut stays] {
        device.signs_in(browser).await;
    }
    let ticket = ticket_at(program.address, "lin").await;
    let copy = program.path("copy").to_string_lossy().into_owned();
    let (done, said) = admin(&program, &["backup", &copy]);
    assert!(done && said.contains("2 accounts, 1 device "), "{said}");
    let left = leaves.clone();
    assert_eq!(leaves.post("/v1/logout", json!({"everywhere": false})).await.status, 204);
    assert!(stays.is_signed_in().await);

    program.kill();
    let (done, said) = admin(&program, &["restore", &copy]);
    assert!(done && said.contains("everybody signs in anew"), "{said}");
    // What it moved aside is nobody's to lose.
    let (done, said) = admin(&program, &["restore", &copy]);
    assert!(!done && said.contains("data.before-restore is there already") && said.contains("move it away"), "{said}");
    program.start_again().await;
    for mut browser in [left, stays] {
        assert!(!browser.is_signed_in().await);
    }
    let (key, document) = SoftwareKey::generate(Algorithm::Es256).expect("a key");
    crate::support::trace::note_bytes(document.expose());
    let enrolment = sign(&enrolment(&key, ticket), &key).expect("E");
    let refused = machine(program.address, "POST", "/v1/devices", json!({"enrolment": enrolment})).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    // With one click, and the record says what happened.
    device.signs_in(&mut Browser::new(program.address, ORIGIN)).await;
    let record = Call::new("GET", "/v1/audit").header("Authorization", &format!("Bearer {SERVICE_KEY}"));
    let record = record.send(program.address).await;
    assert!(record.body.contains("store_restored"), "{record:?}");
}

/// Whoever acts as another user than the store's is told so, and nothing is left behind.
#[cfg(unix)]
#[tokio::test]
async fn another_user_than_the_stores_is_told_to_be_that_one() {
    use crate::hostile::puppet::{NOBODY, ROOT, run_as};
    let mut program = Program::start("store = \"embedded:data\"").await;
    let copy = program.path("copy").to_string_lossy().into_owned();
    assert!(admin(&program, &["backup", &copy]).0);
    program.kill();
    let give = |user: u32| {
        let mut chown = run_as(ROOT, "chown".as_ref());
        chown.args(["-R", &user.to_string()]).args([&copy, "data"].map(|folder| program.path(folder)));
        let given = chown.status().expect("chown runs").success();
        assert!(given, "this test needs root, or sudo without a password: run `sudo -v` first");
    };
    give(NOBODY);
    for arguments in [["backup", &program.path("second").to_string_lossy()], ["restore", &copy]] {
        let (done, said) = admin(&program, &arguments);
        let told = [&format!("belongs to user {NOBODY}"), "run this as that user"];
        assert!(!done && told.iter().all(|words| said.contains(*words)), "{said}");
    }
    assert!(!program.path("second").exists() && !program.path("data.restoring").exists());
    give(rustix::process::getuid().as_raw());
}
