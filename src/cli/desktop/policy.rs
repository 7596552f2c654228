//! `loopkey policy`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::Failure;
use crate::cli::control::say;
use crate::config;
use crate::install;
use crate::policies::{self, Browser, Placed, PolicyError, Wish};
use crate::protocol::grant::ConsentMode;
use crate::protocol::origin::Origin;

#[derive(Debug, Args)]
#[command(after_long_help = "\
For administrators: with these policies the browsers of a computer let the named sites reach the agent without a question and
launch loopkey: without one, trust the authority of the agent's TLS port where one is named, and the agent keeps to its own.

Without --out and --install, everything is printed, and where it goes on Linux, macOS and Windows.

Examples:
  loopkey policy --origin https://app.example.com --out policies
  sudo loopkey policy --origin https://app.example.com --consent always --only-listed --install")]
pub(in crate::cli) struct Arguments {
    /// A site whose pages may reach the agent; can be given several times.
    #[arg(long = "origin", value_name = "ORIGIN", required = true)]
    origins: Vec<Origin>,

    /// Which browsers are told.
    #[arg(long = "browser", value_name = "BROWSER", value_enum, default_value = "all")]
    browsers: Vec<BrowserArgument>,

    /// How people are asked at these sites, whatever the agent's configuration says.
    #[arg(long, value_name = "HOW", value_enum)]
    consent: Option<ConsentArgument>,

    /// The agent refuses every site that is not named.
    #[arg(long)]
    only_listed: bool,

    /// The certificate of the authority that `loopkey certs create` has made on this computer (`STATE/wss/authority.pem`).
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,

    /// Writes the files below a folder, by their places on Linux.
    #[arg(long, value_name = "DIR", conflicts_with = "install")]
    out: Option<PathBuf>,

    /// Writes them to where they count on this computer (Linux, as root). What others wrote there stays.
    #[arg(long)]
    install: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BrowserArgument {
    Chromium,
    Chrome,
    Edge,
    Firefox,
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ConsentArgument {
    /// Outside the page, unless the person agreed for good.
    Prompt,
    /// Outside the page, each time.
    Always,
    /// The click in the page counts.
    Page,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { origins, browsers, consent, only_listed, authority, out, install } = arguments;
    let named = |browser: &Browser| {
        let word = match browser {
            Browser::Chromium => BrowserArgument::Chromium,
            Browser::Chrome => BrowserArgument::Chrome,
            Browser::Edge => BrowserArgument::Edge,
            Browser::Firefox => BrowserArgument::Firefox,
        };
        browsers.contains(&BrowserArgument::All) || browsers.contains(&word)
    };
    let mut sites = Vec::new();
    for origin in origins {
        if !sites.contains(&origin) {
            sites.push(origin);
        }
    }
    let wish = Wish {
        origins: sites,
        consent: consent.map(|consent| match consent {
            ConsentArgument::Prompt => ConsentMode::Prompt,
            ConsentArgument::Always => ConsentMode::Always,
            ConsentArgument::Page => ConsentMode::Page,
        }),
        only_listed,
        authority: authority.map(|file| config::read(&file)).transpose()?,
        browsers: Browser::ALL.into_iter().filter(named).collect(),
    };
    if let Some(folder) = out {
        tell(&policies::write_below(&folder, &wish)?);
    } else if install {
        if !cfg!(target_os = "linux") {
            return Err(PolicyError::NotHere.into());
        }
        if install::require_a_person(false).is_ok() {
            return Err(PolicyError::NotRoot.into());
        }
        tell(&policies::install(&wish)?);
        say("browsers and agents that are running have to be started again");
    } else {
        show(&wish)?;
    }
    Ok(())
}

fn tell(placed: &[Placed]) {
    for Placed { path, changed } in placed {
        say(format_args!("{} {}", if *changed { "file      " } else { "as it was " }, path.display()));
    }
}

fn show(wish: &Wish) -> Result<(), Failure> {
    for file in wish.files()? {
        say(format_args!("# {}", file.path.display()));
        if let Some(browser) = wish.browsers.iter().find(|browser| file.path.as_os_str() == browser.linux()) {
            say(format_args!("# {} on macOS: {}", browser.name(), browser.macos()));
            say(format_args!("# {} on Windows: {}", browser.name(), browser.windows()));
        } else if file.path.ends_with("policy.toml") {
            say("# the agent on macOS: /Library/Application Support/Loopkey/policy.toml");
            say(r"# the agent on Windows: %ProgramData%\Loopkey\policy.toml");
        }
        say(file.content);
    }
    Ok(())
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Authority(_) | PolicyError::NotRoot | PolicyError::NotHere => Self::misused(error),
            other => Self::failed(other),
        }
    }
}
