//! `loopkey demo`

use clap::{Args, ValueEnum};

use crate::cli::control::say;
use crate::cli::{Failure, Global, signals};
use crate::demo::{Beside, Demo, Places};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The port of the demo site and its login server.
    #[arg(long, value_name = "PORT", default_value_t = Places::default().site)]
    site_port: u16,

    /// The port of the simulated desktop client's window.
    #[arg(long, value_name = "PORT", default_value_t = Places::default().client)]
    client_port: u16,

    /// One of the agent's candidate ports; give it again for the next one (10240 to 32767, at most three).
    #[arg(long, value_name = "PORT", default_values_t = Places::default().agent)]
    agent_port: Vec<u16>,

    /// Offers another way to sign in besides the desktop client: a simulated DingTalk, whose page asks who it is.
    #[arg(long, value_name = "PROVIDER")]
    with: Vec<With>,

    /// Does not open the site in the browser.
    #[arg(long)]
    no_open: bool,
}

/// A provider that is simulated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum With {
    #[value(name = "dingtalk")]
    DingTalk,
}

pub(super) async fn run(arguments: Arguments, global: Global) -> Result<(), Failure> {
    let Arguments { site_port, client_port, agent_port, with, no_open } = arguments;
    let places = Places { site: site_port, client: client_port, agent: agent_port, control: global.control };
    let beside = Beside { dingtalk: with.contains(&With::DingTalk), ..Beside::default() };
    let demo = Demo::start_with(places, beside).await.map_err(|error| Failure::failed(format!("{error:#}")))?;
    say("");
    say(format_args!("  The site:            {}   (sign in here)", demo.site_url()));
    say(format_args!(
        "  The desktop client:  {}   (Harbor: answer, lock, leave, switch, sign out here)",
        demo.client_url()
    ));
    if let Some(dingtalk) = demo.dingtalk() {
        say(format_args!("  DingTalk, simulated: {}   (on the site: Use another way)", dingtalk.hosts().login));
    }
    say("");
    say(format_args!("  The control socket:  {}   (loopkey status --control …)", demo.control().display()));
    say("");
    say("  Ctrl-C ends the demo; nothing is kept. --log info shows what happens meanwhile.");
    if !no_open && has_display() {
        // Where it does not work the addresses above do.
        let _ = open::that_detached(demo.site_url());
    }
    let has_terminal = tokio::select! {
        () = signals::shutdown() => true,
        () = hung_up() => false,
    };
    demo.stop().await;
    if has_terminal {
        say("");
        say("  The demo has ended.");
    }
    Ok(())
}

/// Whether a browser could show anything.
fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(not(target_os = "linux")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Completes when the terminal is closed.
async fn hung_up() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).expect("a handler for SIGHUP can be installed").recv().await;
    }
    #[cfg(not(unix))]
    std::future::pending().await
}
