//! Harbor, the example of `clients/node`: a desktop application in Node.js.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use loopkey::protocol::issuer::Issuer;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Far longer than anything takes.
const SOON: Duration = Duration::from_secs(30);

/// The example, as a process of its own.
pub(crate) struct Harbor {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Harbor {
    pub(crate) fn start(control: &Path, issuer: &Issuer, ticket: &str, consent: &str) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node/example/main.js");
        let mut command = Command::new("node");
        command.arg(example).args(["--issuer", issuer.as_str(), "--consent", consent]);
        command.env("LOOPKEY_TICKET", ticket).env("LOOPKEY_CONTROL", control);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!("node does not start ({error}); install it: apt-get install nodejs, or brew install node")
        });
        let output = process.stdout.take().expect("a pipe");
        Self { process, lines: BufReader::new(output).lines() }
    }

    /// The next line with these words in it.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let mut said = Vec::new();
        let search = async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                if line.contains(words) {
                    return Some(line);
                }
                said.push(line);
            }
            None
        };
        let found = tokio::time::timeout(SOON, search).await;
        found.ok().flatten().unwrap_or_else(|| panic!("the example never says {words:?}, but {said:#?}"))
    }

    /// Types a line.
    pub(crate) async fn hears(&mut self, word: &str) {
        let input = self.process.stdin.as_mut().expect("a pipe");
        input.write_all(format!("{word}\n").as_bytes()).await.expect("written");
    }
}
