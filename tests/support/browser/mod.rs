//! Real browsers for integration tests: Chromium over the DevTools protocol, Firefox over WebDriver BiDi, WebKitGTK over classic
//! WebDriver, one API.
//!
//! ```ignore
//! let browser = Browser::launch(Engine::Firefox, LaunchOptions::default()).await?;
//! let page = browser.new_context().await?.new_page().await?;
//! page.goto("http://127.0.0.1:8080/").await?;
//! page.click("loopkey-card >>> #continue").await?;
//! page.wait_for("$('loopkey-card >>> #account').textContent === 'ana'", SOON).await?;
//! ```
//!
//! A test function takes an [`Engine`] and so runs in each. A browser may sit in a `static` and serve many tests, each
//! with a context of its own; its processes end with the test process all the same (see [`process`]).
//!
//! It never sleeps to let something happen: every wait is for an event or a condition and has a deadline. Not covered:
//! frames of other documents, the console of workers, browser dialogs.
#![allow(dead_code, reason = "each test binary uses its own part of the support code")]

/// Calls the same method on whichever engine it is.
macro_rules! whichever {
    ($kind:ident, $on:expr, $engine:ident => $call:expr) => {
        match $on {
            $kind::Chromium($engine) => $call,
            $kind::Firefox($engine) => $call,
            $kind::WebKit($engine) => $call,
        }
    };
}

mod chromium;
mod console;
mod firefox;
mod keys;
mod page;
mod process;
mod webkit;
mod wire;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::time::Instant;

pub(crate) use page::Page;
use process::BrowserProcess;
use wire::string;

/// Which browser to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Chromium,
    Firefox,
    /// One context, no permissions, no console, Linux alone: for what WebKit's browsers do otherwise than the others.
    WebKit,
}

impl Engine {
    /// The engines that a driver can do everything with, to run one test in all.
    pub(crate) const ALL: [Self; 2] = [Self::Chromium, Self::Firefox];
}

/// How to start a browser; the default is headless, silent on the network and with an empty profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaunchOptions {
    headed: bool,
    arguments: Vec<OsString>,
    preferences: Vec<(String, Value)>,
    environment: Vec<(String, OsString)>,
    schemes: Vec<(String, String)>,
    start_page: Option<OsString>,
    profile: Option<std::path::PathBuf>,
    authorities: Vec<String>,
    hosts: Vec<String>,
    /// What the browser sees in place of files and folders of the system: what, and where.
    mounts: Vec<(std::path::PathBuf, std::path::PathBuf)>,
}

impl LaunchOptions {
    /// Shows a window, which needs a display (`xvfb-run`): a permission prompt exists only in a headed browser.
    pub(crate) fn headed(mut self) -> Self {
        self.headed = true;
        self
    }

    /// Adds a command-line argument, such as `--ip-address-space-overrides=127.0.0.1:8080=public` for Chromium.
    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Opens Chromium on a page, outside of every context: what it decides there it keeps in its profile.
    pub(crate) fn start_page(mut self, url: &str) -> Self {
        self.start_page = Some(url.into());
        self
    }

    /// Sets a Firefox preference, such as `network.lna.websocket.enabled`; Chromium has none and ignores it.
    pub(crate) fn preference(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.preferences.push((name.to_owned(), value.into()));
        self
    }

    /// Sets an environment variable, also in place of the ones that the driver sets (`HOME`, `TMPDIR`).
    pub(crate) fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Has Firefox begin with the files of a profile.
    pub(crate) fn profile(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.profile = Some(folder.into());
        self
    }

    /// Has WebKit take authorities (PEM) for the system's own, which it alone looks at.
    pub(crate) fn system_authority(mut self, pem: impl Into<String>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Has the browser see a folder for the system's `/etc`: where administrators put policies.
    pub(crate) fn etc(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.mounts.push((folder.into(), "/etc".into()));
        self
    }

    /// Has a name lead to 127.0.0.1.
    pub(crate) fn host(mut self, name: &str) -> Self {
        self.hosts.push(name.to_owned());
        self
    }

    /// Lets pages of an origin open addresses of a scheme without a question, as if the person had said "always".
    pub(crate) fn opens(mut self, origin: &str, scheme: &str) -> Self {
        self.schemes.push((origin.to_owned(), scheme.to_owned()));
        self
    }
}

/// The connection to a running browser, in the words of its engine.
#[derive(Clone)]
enum Remote {
    Chromium(chromium::Chromium),
    Firefox(firefox::Firefox),
    WebKit(webkit::WebKit),
}

/// A running browser, killed with all its processes when dropped.
pub(crate) struct Browser {
    process: BrowserProcess,
    remote: Remote,
}

impl Browser {
    /// Starts a browser and connects to it; when it is not installed, the error says how to install it.
    pub(crate) async fn launch(engine: Engine, options: LaunchOptions) -> anyhow::Result<Self> {
        let (process, remote) = match engine {
            Engine::Chromium => {
                let (process, chromium) = chromium::Chromium::launch(&options).await?;
                (process, Remote::Chromium(chromium))
            }
            Engine::Firefox => {
                let (process, firefox) = firefox::Firefox::launch(&options).await?;
                (process, Remote::Firefox(firefox))
            }
            Engine::WebKit => {
                let (process, webkit) = webkit::WebKit::launch(&options).await?;
                (process, Remote::WebKit(webkit))
            }
        };
        Ok(Self { process, remote })
    }

    /// Opens an isolated context: cookies, storage and permissions of its own, as if on another computer.
    pub(crate) async fn new_context(&self) -> anyhow::Result<Context> {
        let id = self.remote.new_context().await?;
        Ok(Context(Arc::new(ContextHandle { remote: self.remote.clone(), id })))
    }

    /// The folder that is the browser's home: `chromium` or `firefox` in it is the profile, which goes with the browser.
    pub(crate) fn home(&self) -> &std::path::Path {
        self.process.profile()
    }

    /// The process group that holds the browser and everything it started.
    pub(crate) fn process_group(&self) -> u32 {
        self.process.group()
    }
}

/// What a permission is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    Granted,
    Denied,
    /// Ask the person; a headless Chromium answers such a prompt with "Block" at once.
    Prompt,
}

impl Permission {
    /// The name both protocols and `navigator.permissions.query` use.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Prompt => "prompt",
        }
    }
}

/// A cookie as the browser stores it, including those no script can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) domain: String,
    pub(crate) path: String,
    pub(crate) http_only: bool,
    pub(crate) secure: bool,
    /// `strict`, `lax`, `none`, or whatever the engine calls "not given".
    pub(crate) same_site: String,
}

impl Cookie {
    /// Reads what both protocols write alike; only the value is in different places.
    fn parse(cookie: &Value, value: &Value) -> anyhow::Result<Self> {
        Ok(Self {
            name: string(&cookie["name"])?,
            value: string(value)?,
            domain: string(&cookie["domain"])?,
            path: string(&cookie["path"])?,
            http_only: cookie["httpOnly"] == true,
            secure: cookie["secure"] == true,
            same_site: cookie["sameSite"].as_str().unwrap_or("default").to_lowercase(),
        })
    }
}

/// An isolated browser context; its tabs are closed when it and every [`Page`] in it are dropped.
#[derive(Clone)]
pub(crate) struct Context(Arc<ContextHandle>);

struct ContextHandle {
    remote: Remote,
    id: String,
}

impl Context {
    /// Another context of the same browser, which shares nothing with this one.
    pub(crate) async fn another(&self) -> anyhow::Result<Self> {
        let (remote, id) = (self.0.remote.clone(), self.0.remote.new_context().await?);
        Ok(Self(Arc::new(ContextHandle { remote, id })))
    }

    /// Sets a permission of an origin (`http://127.0.0.1:8080`), such as `loopback-network`, in this context only.
    pub(crate) async fn set_permission(&self, origin: &str, name: &str, state: Permission) -> anyhow::Result<()> {
        self.0.remote.set_permission(&self.0.id, origin, name, state).await
    }

    /// Every cookie of this context.
    pub(crate) async fn cookies(&self) -> anyhow::Result<Vec<Cookie>> {
        self.0.remote.cookies(&self.0.id).await
    }

    /// Opens a tab, in front.
    pub(crate) async fn new_page(&self) -> anyhow::Result<Page> {
        let tab = self.0.remote.new_tab(&self.0.id).await?;
        Page::attach(self, &tab).await
    }

    /// Ends the shared workers of this context (Chromium), as a crash would; returns how many there were.
    pub(crate) async fn kill_shared_workers(&self) -> anyhow::Result<usize> {
        self.0.remote.kill_shared_workers(&self.0.id).await
    }

    /// Waits for a tab whose address contains `part`: a popup, which the page opened and not this driver.
    pub(crate) async fn wait_for_popup(&self, part: &str, within: Duration) -> anyhow::Result<Page> {
        let deadline = Instant::now() + within;
        loop {
            let tabs = self.0.remote.tabs(&self.0.id).await?;
            if let Some((tab, _)) = tabs.iter().find(|(_, address)| address.contains(part)) {
                return Page::attach(self, tab).await;
            }
            if Instant::now() >= deadline {
                let open: Vec<_> = tabs.into_iter().map(|(_, address)| address).collect();
                bail!("no tab with {part:?} in its address within {within:?}; open: {open:?}");
            }
            tokio::time::sleep(page::PAUSE).await;
        }
    }
}

impl Drop for ContextHandle {
    fn drop(&mut self) {
        self.remote.dispose_context(&self.id);
    }
}

impl Remote {
    async fn new_context(&self) -> anyhow::Result<String> {
        whichever!(Remote, self, engine => engine.new_context().await)
    }

    fn dispose_context(&self, context: &str) {
        whichever!(Remote, self, engine => engine.dispose_context(context));
    }

    async fn set_permission(&self, context: &str, origin: &str, name: &str, to: Permission) -> anyhow::Result<()> {
        whichever!(Remote, self, engine => engine.set_permission(context, origin, name, to).await)
    }

    async fn cookies(&self, context: &str) -> anyhow::Result<Vec<Cookie>> {
        whichever!(Remote, self, engine => engine.cookies(context).await)
    }

    async fn kill_shared_workers(&self, context: &str) -> anyhow::Result<usize> {
        whichever!(Remote, self, engine => engine.kill_shared_workers(context).await)
    }

    async fn new_tab(&self, context: &str) -> anyhow::Result<String> {
        whichever!(Remote, self, engine => engine.new_tab(context).await)
    }

    /// The tabs of a context: identifier and address.
    async fn tabs(&self, context: &str) -> anyhow::Result<Vec<(String, String)>> {
        whichever!(Remote, self, engine => engine.tabs(context).await)
    }
}
