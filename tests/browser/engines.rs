//! The main flow and the refusals in each of the three engines, and the table of them in the README, which these tests make:
//! each writes down what it saw, and the last one holds the README against it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::desk::{Desk, SOON, Site};
use crate::support::browser::{Engine, Permission};

const ENGINES: [Engine; 3] = [Engine::Chromium, Engine::Firefox, Engine::WebKit];

/// The rows of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    SignsIn,
    SaysNo,
    Follows,
    SignsOut,
    FindsLate,
    Granted,
    Denied,
    SmallWindow,
    Tls,
}

const ROWS: [(Row, &str, &str); 9] = [
    (Row::SignsIn, "signs-in", "One click and one answer: signed in"),
    (Row::SaysNo, "says-no", "A no in the desktop program is a no, and can be thought over"),
    (Row::Follows, "follows", "Lock, switch and sign-out of the desktop program show at once"),
    (Row::SignsOut, "signs-out", "A sign-out there ends the web session"),
    (Row::FindsLate, "finds-late", "An agent that is not there is said so, and found when it comes"),
    (Row::Granted, "granted", "A page on the internet that may: found without a click"),
    (Row::Denied, "denied", "One that may not: said so, with what to do about it"),
    (Row::SmallWindow, "small-window", "Where the browser gives no socket: signed in by the small window"),
    (Row::Tls, "tls", "By TLS, where an authority of this computer's own is installed"),
];

/// Where there is nothing to see: these browsers have no such permission.
const NOT_APPLICABLE: [(Row, Engine); 2] = [(Row::Granted, Engine::WebKit), (Row::Denied, Engine::WebKit)];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/engines")
}

fn mark(row: Row, engine: Engine) -> PathBuf {
    let (_, name, _) = ROWS.iter().find(|(other, ..)| *other == row).expect("a row");
    folder().join(format!("{name}-{engine:?}").to_lowercase())
}

/// Writes down that something was seen in an engine.
pub(crate) fn seen(row: Row, engine: Engine) {
    std::fs::create_dir_all(folder()).expect("a folder");
    std::fs::write(mark(row, engine), "").expect("written");
}

async fn signs_in_and_out(engine: Engine) {
    let desk = Desk::with_person(engine).await;
    desk.sign_in().await;
    seen(Row::SignsIn, engine);
    desk.click_client("#sign-out").await;
    desk.session(&desk.site, "out").await;
    seen(Row::SignsOut, engine);
    desk.leave().await;
}

async fn says_no(engine: Engine) {
    let desk = Desk::with_person(engine).await;
    desk.click_continue(&desk.site).await;
    desk.card(&desk.site, "consent").await;
    desk.answer("#consent-deny").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "refused").await;
    desk.session(&desk.site, "out").await;
    desk.sign_in().await;
    seen(Row::SaysNo, engine);
    desk.leave().await;
}

async fn follows(engine: Engine) {
    let desk = Desk::with_person(engine).await;
    desk.click_client("#lock").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "locked").await;
    desk.click_client("#lock").await;
    desk.card(&desk.site, "person").await;
    desk.click_client("#sign-in-lin").await;
    let named = "$('loopkey-card >>> #title').textContent.includes('林小雨')";
    desk.site.wait_for(named, SOON).await.expect("the card names the other person");
    desk.click_client("#sign-out").await;
    desk.card(&desk.site, "signed-out").await;
    seen(Row::Follows, engine);
    desk.leave().await;
}

async fn finds_late(engine: Engine) {
    let desk = Desk::new(engine, Site::Local).await;
    desk.click_client("#agent").await;
    desk.client_is("agent", "stopped").await;
    desk.open(Site::Local).await;
    desk.card(&desk.site, "absent").await;
    desk.click_client("#agent").await;
    desk.client_is("agent", "running").await;
    desk.site.bring_to_front().await.expect("the site in front");
    desk.card(&desk.site, "person").await;
    seen(Row::FindsLate, engine);
    desk.leave().await;
}

async fn granted_and_denied(engine: Engine) {
    for (permission, view, row) in
        [(Permission::Granted, "person", Row::Granted), (Permission::Denied, "blocked", Row::Denied)]
    {
        let site = Site::Public(permission);
        let desk = Desk::new(engine, site).await;
        desk.open(site).await;
        desk.card(&desk.site, view).await;
        if permission == Permission::Denied {
            assert!(desk.site.eval::<bool>("Boolean($('loopkey-card >>> #steps'))").await.expect("the steps"));
        }
        seen(row, engine);
        desk.leave().await;
    }
}

macro_rules! in_both {
    ($($what:ident),*) => {
        mod chromium {
            $(#[tokio::test] async fn $what() { super::$what(super::Engine::Chromium).await; })*
        }
        mod firefox {
            $(#[tokio::test] async fn $what() { super::$what(super::Engine::Firefox).await; })*
        }
        };
}

in_both!(signs_in_and_out, says_no, follows, finds_late);

/// The same in WebKit, over the one way that it has: an https page and TLS.
#[cfg(target_os = "linux")]
mod webkit {
    use loopkey::agent::Answer;
    use loopkey::protocol::state::PresenceState;

    use super::{Row, seen};
    use crate::secure::SecureSite;
    use crate::support::browser::Engine::WebKit;

    async fn with_person() -> SecureSite {
        let site = SecureSite::new().await;
        site.open().await;
        site.card("person").await;
        site
    }

    #[tokio::test]
    async fn signs_in_and_out() {
        let site = with_person().await;
        site.click_continue().await;
        site.is("loopkey.session?.account === 'ada'").await;
        assert_eq!(site.session().await, "ada");
        seen(Row::SignsIn, WebKit);
        site.sign_out();
        site.is("loopkey.session === null").await;
        assert!(site.session().await.is_null(), "the server has ended it too");
        seen(Row::SignsOut, WebKit);
        site.leave().await;
    }

    #[tokio::test]
    async fn says_no() {
        let site = with_person().await;
        *site.asker.answer.lock().expect("unpoisoned") = Some(Answer::Deny);
        site.click_continue().await;
        site.card("refused").await;
        assert!(site.session().await.is_null());
        *site.asker.answer.lock().expect("unpoisoned") = Some(Answer::Allow { remember: false });
        site.click_continue().await;
        site.is("loopkey.session?.account === 'ada'").await;
        seen(Row::SaysNo, WebKit);
        site.leave().await;
    }

    #[tokio::test]
    async fn follows() {
        let site = with_person().await;
        site.set_presence(PresenceState::Locked);
        site.card("locked").await;
        site.set_presence(PresenceState::SignedIn);
        site.card("person").await;
        site.sign_out();
        site.card("signed-out").await;
        site.enrol("lin", "林小雨").await;
        site.is(
            "document.querySelector('loopkey-card').shadowRoot.querySelector('#title').textContent.includes('林小雨')",
        )
        .await;
        seen(Row::Follows, WebKit);
        site.leave().await;
    }

    #[tokio::test]
    async fn finds_late() {
        let mut site = SecureSite::new().await;
        site.stop_agent().await;
        site.open().await;
        site.card("absent").await;
        site.start_agent().await;
        site.set_presence(PresenceState::SignedIn);
        site.card("person").await;
        seen(Row::FindsLate, WebKit);
        site.leave().await;
    }
}

#[tokio::test]
async fn chromium_has_the_permission_or_not() {
    granted_and_denied(Engine::Chromium).await;
}

#[tokio::test]
async fn firefox_has_the_permission_or_not() {
    granted_and_denied(Engine::Firefox).await;
}

/// The table as the tests made it.
fn table() -> String {
    let mut table = String::from("| | Chromium | Firefox | WebKitGTK |\n| --- | --- | --- | --- |\n");
    for (row, _, words) in ROWS {
        let cells = ENGINES.map(|engine| {
            if NOT_APPLICABLE.iter().any(|(other, where_)| *other == row && *where_ == engine) {
                return "–";
            }
            if mark(row, engine).exists() { "yes" } else { "**no**" }
        });
        table.push_str(&format!("| {words} | {} |\n", cells.join(" | ")));
    }
    table
}

#[test]
#[ignore = "after all the others: ./test runs it at its end"]
fn the_readme_has_the_table_that_the_tests_made() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&readme).expect("the README");
    let lines: BTreeSet<_> = text.lines().collect();
    let table = table();
    assert!(!table.contains("**no**"), "something was not seen; run all tests of the browsers first:\n{table}");
    let missing: Vec<_> = table.lines().filter(|line| !lines.contains(line)).collect();
    assert!(missing.is_empty(), "README.md lacks what the tests saw:\n{}", missing.join("\n"));
}
