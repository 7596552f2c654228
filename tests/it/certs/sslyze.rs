//! What sslyze, which knows what is wrong with servers of TLS, says of the agent's: nothing. `./test` installs it into `target/`
//! and runs this.

use std::path::Path;

use serde_json::Value;

use crate::support::certs::make;
use crate::support::world::World;

const SCANS: [&str; 16] = [
    "--certinfo",
    "--sslv2",
    "--sslv3",
    "--tlsv1",
    "--tlsv1_1",
    "--tlsv1_2",
    "--tlsv1_3",
    "--compression",
    "--ems",
    "--fallback",
    "--heartbleed",
    "--openssl_ccs",
    "--reneg",
    "--resum",
    "--robot",
    "--elliptic_curves",
];

/// The scans, and for each what would be wrong with its result.
fn complaints(scans: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut note = |wrong: bool, what: &str| {
        if wrong {
            complaints.push(what.to_owned());
        }
    };
    let result = |scan: &str| {
        let scan = &scans[scan];
        assert_eq!(scan["status"], "COMPLETED", "{scan}");
        scan["result"].clone()
    };
    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        let accepted = result(&format!("{old}_cipher_suites"))["accepted_cipher_suites"].clone();
        note(accepted.as_array().is_none_or(|suites| !suites.is_empty()), old);
    }
    for spoken in ["tls_1_2", "tls_1_3"] {
        let suites = result(&format!("{spoken}_cipher_suites"))["accepted_cipher_suites"].clone();
        let suites = suites.as_array().expect("a list").clone();
        note(suites.is_empty(), spoken);
        for suite in suites {
            let name = suite["cipher_suite"]["name"].as_str().expect("a name").to_owned();
            let strong = name.contains("GCM") || name.contains("CHACHA20");
            let forward = spoken == "tls_1_3" || name.contains("ECDHE");
            note(!strong || !forward || suite["cipher_suite"]["is_anonymous"] != false, &name);
        }
    }
    note(result("tls_compression")["supports_compression"] != false, "compression");
    note(result("heartbleed")["is_vulnerable_to_heartbleed"] != false, "heartbleed");
    note(result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"] != false, "CCS injection");
    note(result("robot")["robot_result"].as_str().is_none_or(|robot| robot.starts_with("VULNERABLE")), "ROBOT");
    note(result("tls_fallback_scsv")["supports_fallback_scsv"] != true, "downgrades");
    let renegotiation = result("session_renegotiation");
    note(renegotiation["is_vulnerable_to_client_renegotiation_dos"] != false, "renegotiation");
    note(renegotiation["supports_secure_renegotiation"] != true, "insecure renegotiation");
    note(result("tls_extended_master_secret")["supports_ems_extension"] != true, "extended master secret");
    let deployments = result("certificate_info")["certificate_deployments"].clone();
    for deployment in deployments.as_array().expect("a list") {
        note(deployment["leaf_certificate_subject_matches_hostname"] == false, "the name");
        note(deployment["received_chain_has_valid_order"] != true, "the chain's order");
        note(deployment["received_chain_contains_anchor_certificate"] == true, "the anchor is sent along");
        note(deployment["verified_chain_has_sha1_signature"] == true, "SHA-1");
        let verified = deployment["path_validation_results"].as_array().expect("a list").iter();
        note(!verified.clone().any(|path| path["was_validation_successful"] == true), "nobody verifies it");
    }
    complaints
}

async fn scan(folder: &Path, authority: &Path, port: u16, rules: &str, scans: &[&str]) -> (Value, String) {
    let report = folder.join("sslyze.json");
    let mut command =
        tokio::process::Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sslyze/bin/sslyze"));
    command.args(["--slow_connection", "--mozilla_config", rules]).args(scans).arg("--json_out").arg(&report);
    command.arg("--certinfo_ca_file").arg(authority).arg(format!("127.0.0.1:{port}"));
    let output = command.output().await.expect("sslyze runs: ./test installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&std::fs::read(&report).expect(&said)).expect("JSON");
    let results = report["server_scan_results"].as_array().expect("a list");
    assert!(results.len() == 1 && results[0]["scan_status"] == "COMPLETED", "{said}");
    (results[0]["scan_result"].clone(), said)
}

#[tokio::test]
#[ignore = "needs sslyze: ./test runs it"]
async fn sslyze_finds_nothing() {
    let mut certs = None;
    let world = World::with(|settings| certs = Some(make(settings))).await;
    let certs = certs.expect("made");
    let port = world.agent.handle.wss_port().expect("a TLS port");
    let authority = certs.files.authority();
    // First, since it wants an answer, if only a refusal: the agent gives ten of those a second, and every handshake that the
    // other scans break off is one.
    let early = scan(world.folder.path(), &authority, port, "disable", &["--early_data"]).await;
    assert_eq!(early.0["tls_1_3_early_data"]["result"]["supports_early_data"], false, "{}", early.1);
    let (scans, said) = scan(world.folder.path(), &authority, port, "intermediate", &SCANS).await;
    assert_eq!(complaints(&scans), [""; 0], "{said}");
    assert!(said.contains("127.0.0.1") && said.contains("OK - Compliant"), "by Mozilla's rules: {said}");
    world.agent.stop().await;
}
