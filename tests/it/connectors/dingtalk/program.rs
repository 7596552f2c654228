//! `examples/dingtalk.rs`, as the program that it is.

use std::process::Output;

use tokio::process::Command;

use super::{APP, CORP, Stand, secret};

const PAGE: &str = "https://app.example.com/dd/login.html?next=%2Fhome";

async fn run(stand: &Stand, code: &str, oldest: bool) -> Output {
    let test = std::env::current_exe().expect("this program");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/it");
    let program = profile.join("examples").join(format!("dingtalk{}", std::env::consts::EXE_SUFFIX));
    let build = "cargo build --all-features --example dingtalk";
    assert!(program.is_file(), "{} is not built; run: {build}", program.display());
    let hosts = stand.fake.hosts();
    let mut command = Command::new(program);
    command.args(["--corp-id", CORP, "--agent-id", "1234567890", "--page", PAGE, "--code", code]);
    command.args(["--oapi", &hosts.oapi, "--api", &hosts.api, "--login", &hosts.login]);
    if !oldest {
        command.args(["--app-key", APP]);
    }
    command.env("DINGTALK_SECRET", secret()).output().await.expect("it runs")
}

#[tokio::test]
async fn f01_the_five_steps_as_a_program() {
    for oldest in [false, true] {
        let stand = Stand::start().await;
        let code = stand.code("ada");
        let output = run(&stand, code.expose(), oldest).await;
        let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}\n{failed}");
        for line in ["1. Token", "2. Ticket", "3. Signature", "4. ada", "5. 艾达", "   20 研发部", "   21 前端组"]
        {
            assert!(said.contains(line), "no {line:?} in\n{said}");
        }
        assert!(!said.contains(&secret()) && !failed.contains(&secret()), "no secret is shown");
        let again = run(&stand, code.expose(), oldest).await;
        let failed = String::from_utf8_lossy(&again.stderr);
        assert!(!again.status.success() && failed.contains("40078"), "{failed}");
    }
}
