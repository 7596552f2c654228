//! A crash leaves no picture of the memory behind: device keys are in it.

use super::program::Program;

#[tokio::test]
async fn the_agent_leaves_no_core_file() {
    let agent = Program::with("", "", &[]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", agent.process.0.id())).expect("the limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}
