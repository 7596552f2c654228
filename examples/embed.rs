//! A program of your own with the agent inside: no second process, no control socket to speak to. It signs the person in,
//! follows how they stand, and asks them itself when a page wants to sign them in. The terminal is its window.
//!
//! ```sh
//! cargo run --no-default-features --features agent --example embed -- --issuer http://localhost:28980 --ticket TICKET
//! ```

#![allow(clippy::print_stdout, reason = "the terminal is the window")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use loopkey::agent::{Agent, AgentSettings, Answer, Asker, Handle, IssuerSettings, OriginSettings, Prompt};
use loopkey::protocol::grant::{ConsentMode, Grant, OpenProof};
use loopkey::protocol::id::{EnrolmentTicket, Subject};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::limits::DEFAULT_PORTS;
use loopkey::protocol::state::PresenceState;
use tokio::sync::{mpsc, oneshot};

/// A question takes no answer so soon: somebody may be typing something else.
const DEAD_TIME: Duration = Duration::from_millis(500);

/// Embeds a Loopkey agent. Pages of the login server's own origin can sign in with it.
#[derive(Parser)]
struct Arguments {
    /// The login server, such as http://localhost:28980
    #[arg(long, value_name = "URL")]
    issuer: Issuer,

    /// The enrolment ticket of the person who signed in. Once enrolled, it works without one
    #[arg(long, env = "LOOPKEY_TICKET", hide_env_values = true)]
    ticket: Option<EnrolmentTicket>,

    /// Where the device key and the accounts are kept
    #[arg(long, value_name = "DIR", default_value = "embed-state")]
    folder: PathBuf,

    /// Where pages look for the agent
    #[arg(long = "port", default_values_t = DEFAULT_PORTS)]
    ports: Vec<u16>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let terminal = Arc::new(Terminal::default());
    let asker: Arc<dyn Asker> = terminal.clone();
    let agent = Agent::builder(settings(&arguments)).asker(asker).bind().await?;
    let handle = agent.handle();
    let mut running = tokio::spawn(agent.run(async { drop(tokio::signal::ctrl_c().await) }));

    let account = match arguments.ticket {
        Some(ticket) => handle.enrol(&arguments.issuer, ticket).await?.account,
        None => handle.the_account()?,
    };
    handle.set_presence(&account, PresenceState::SignedIn)?;
    println!("Signed in on port {}. Type in, away, lock or out; Ctrl-C ends.", handle.port());

    let mut typed = lines();
    loop {
        tokio::select! {
            ended = &mut running => break Ok(ended?),
            Some(line) = typed.recv() => {
                if let Some(word) = terminal.hear(line) {
                    obey(&handle, &account, &word)?;
                }
            }
        }
    }
}

/// What `agent.toml` says elsewhere. An administrator's policy counts only where the program applies it, which this one does
/// not: with the feature `cli` it would be `settings.policy = loopkey::config::system_policy()?`.
fn settings(arguments: &Arguments) -> AgentSettings {
    let Arguments { issuer, folder, ports, .. } = arguments;
    let mut settings = AgentSettings::new(folder.clone(), folder.join("control.sock"));
    settings.ports.clone_from(ports);
    // Only to try it out on one computer, or in a container.
    settings.development = issuer.origin().is_insecure();
    settings.allow_root = settings.development;
    settings.issuers = vec![IssuerSettings { url: issuer.clone(), ca_file: None }];
    settings.origins = vec![OriginSettings {
        origin: issuer.origin(),
        issuer: issuer.clone(),
        grants: [Grant::Presence, Grant::Login].into_iter().collect(),
        consent: ConsentMode::Prompt,
        proof: OpenProof::Challenge,
    }];
    settings
}

/// What the person does in the program, the pages see.
fn obey(agent: &Handle, account: &Subject, word: &str) -> Result<(), Box<dyn Error>> {
    let presence = match word {
        "in" => PresenceState::SignedIn,
        "away" => PresenceState::Away,
        "lock" => PresenceState::Locked,
        "out" => {
            agent.sign_out(account)?;
            println!("Signed out.");
            return Ok(());
        }
        _ => {
            println!("Type in, away, lock or out.");
            return Ok(());
        }
    };
    agent.set_presence(account, presence)?;
    println!("Now {presence}.");
    Ok(())
}

/// Asks on the terminal.
#[derive(Default)]
struct Terminal {
    /// Where the answer goes while a question is open.
    question: Mutex<Option<oneshot::Sender<String>>>,
}

impl Terminal {
    /// Gives a line to the open question; where there is none, gives it back.
    fn hear(&self, line: String) -> Option<String> {
        match self.question.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The question may have gone in this moment; then nobody is there to take the line.
            Some(question) => question.send(line).err(),
            None => Some(line),
        }
    }
}

#[async_trait]
impl Asker for Terminal {
    fn is_available(&self) -> bool {
        true
    }

    /// The page left or the minute is over: the agent drops this, and a late answer reaches nobody.
    async fn ask(&self, prompt: Prompt) -> Answer {
        let Prompt { origin, name, code, can_remember, .. } = prompt;
        println!("A page of {origin} asks to sign {name} in. It shows {code}.");
        tokio::time::sleep(DEAD_TIME).await;
        let (question, answer) = oneshot::channel();
        *self.question.lock().unwrap_or_else(PoisonError::into_inner) = Some(question);
        println!("Allow it? {}:", if can_remember { "yes, always, no" } else { "yes, no" });
        match answer.await.as_deref() {
            Ok("yes") => Answer::Allow { remember: false },
            Ok("always") => Answer::Allow { remember: true },
            _ => Answer::Deny,
        }
    }
}

/// What is typed. A thread of its own reads it, since a pending read would keep the program from ending.
fn lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line.trim().to_lowercase()).is_err() {
                break;
            }
        }
    });
    typed
}
