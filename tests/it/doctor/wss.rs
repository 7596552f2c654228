//! The certificate of the TLS port: missing, unknown, open to others, near its end, over.

use std::os::unix::fs::PermissionsExt as _;

use loopkey::agent::WssFiles;
use loopkey::certs::issue;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::protocol::time::Timestamp;

use super::{agent_toml, doctor, loopkey};
use crate::support::places::free_places;

#[tokio::test]
async fn what_is_wrong_with_the_certificate_is_found_where_no_agent_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let config =
        agent_toml("a", &free_places().agent, "http://localhost:9").replace("allow_root", "wss = {}\nallow_root");
    std::fs::write(folder.join("agent.toml"), config).expect("written");
    // Nothing answers at that issuer either.
    let wrong = async || {
        let diagnosis = doctor(folder, &["--config", "agent.toml"]).await;
        let of_wss = |code: &&str| code.starts_with("wss");
        (diagnosis.wrong().into_iter().filter(of_wss).map(str::to_owned).collect::<Vec<_>>(), diagnosis)
    };
    let certs = async |arguments: &[&str]| {
        let output = loopkey(folder, &[&["certs", "--config", "agent.toml"], arguments].concat()).output().await;
        let output = output.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (codes, diagnosis) = wrong().await;
    assert_eq!(codes, ["wss_no_certificate"]);
    diagnosis.finding("wss_no_certificate", "error", "loopkey certs create");

    certs(&["create"]).await;
    let (codes, diagnosis) = wrong().await;
    assert_eq!(codes, ["wss_unknown"]);
    diagnosis.finding("wss_unknown", "warning", "loopkey certs install");
    certs(&["install"]).await;
    let (codes, diagnosis) = wrong().await;
    assert_eq!(codes, [""; 0]);
    diagnosis.finding("wss_unknown_to_system", "note", "loopkey certs install --system");

    let files = WssFiles::of(&folder.join("a-state"));
    std::fs::set_permissions(files.identity(), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let (codes, diagnosis) = wrong().await;
    assert_eq!(codes, ["wss_key_open"]);
    diagnosis.finding("wss_key_open", "error", "chmod 600");
    std::fs::set_permissions(files.identity(), std::fs::Permissions::from_mode(0o600)).expect("a mode");

    let now = SystemClock.timestamp();
    for (days, code) in [(300, None), (340, Some("wss_ends_soon")), (366, Some("wss_ended"))] {
        let issued = issue(Timestamp(now.0 - days * 86_400)).expect("issued");
        std::fs::write(files.authority(), issued.authority).expect("written");
        std::fs::write(files.identity(), issued.identity.expose()).expect("written");
        let (codes, diagnosis) = wrong().await;
        assert_eq!(codes, Vec::from_iter(code), "{days} days old");
        code.map(|code| diagnosis.finding(code, "warning", "loopkey certs renew"));
    }
    std::fs::write(files.identity(), "no certificate").expect("written");
    assert_eq!(wrong().await.0, ["wss_unusable"]);
}
