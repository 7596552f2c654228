//! WebKitGTK's MiniBrowser over classic WebDriver: one HTTP call a command, one session a browser.
//!
//! It has no contexts of its own, so that there is one only, and it tells nothing of its console. It is shown on a display
//! that nobody sees. Linux alone: Safari is another program with another driver.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::keys::Stroke;
use super::page::{PAUSE, ScriptError};
use super::process::{BrowserProcess, START_DEADLINE, find_program, new_profile};
use super::wire::{CALL_DEADLINE, Refused, string};
use super::{Cookie, LaunchOptions, Permission};

const DRIVERS: [&str; 1] = ["WebKitWebDriver"];
const INSTALL: &str = "`apt-get install webkit2gtk-driver xvfb`";
/// Where Debian, Fedora and Arch keep the browser that the driver is made for.
const BROWSERS: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
    "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
    "/usr/libexec/webkit2gtk-4.1/MiniBrowser",
    "/usr/lib/webkit2gtk-4.1/MiniBrowser",
    "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.0/MiniBrowser",
];
/// WebKit is told by GnuTLS, which reads one file of the system's; names of hosts it has from another.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const HOSTS: &str = "/etc/hosts";

/// A display, and then the driver.
const START: &str = r#"
mkfifo "$HOME/display"
Xvfb -displayfd 9 -screen 0 1280x1024x24 -nolisten tcp 9>"$HOME/display" &
read -r number <"$HOME/display"
DISPLAY=:$number exec WebKitWebDriver --port="$1"
"#;

/// How the driver says that the document a script ran in is gone.
const GONE: &[&str] = &["no such frame", "Navigation", "navigat", "stale", "unload"];

/// The connection to a running WebKit.
#[derive(Clone)]
pub(super) struct WebKit {
    http: reqwest::Client,
    session: String,
    /// Commands go to the window that was chosen last, so choosing and commanding is one thing.
    chosen: Arc<Mutex<String>>,
}

/// The one context that there is.
const CONTEXT: &str = "the session";

impl WebKit {
    pub(super) async fn launch(options: &LaunchOptions) -> anyhow::Result<(BrowserProcess, Self)> {
        find_program(&DRIVERS, &[], INSTALL)?;
        let browser = BROWSERS.iter().map(PathBuf::from).find(|browser| browser.is_file());
        let browser = browser.with_context(|| format!("no MiniBrowser of WebKitGTK; install it with {INSTALL}"))?;
        let profile = new_profile()?;
        let mounts = mounts(options, profile.path())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();

        let port = port.to_string();
        let words = ["-c", START, "webkit", &port].map(OsString::from);
        let process = BrowserProcess::spawn(Path::new("sh"), &words, &options.environment, &mounts, profile)?;

        let http = loopkey::agent::http_client(None)?;
        let base = format!("http://127.0.0.1:{port}");
        let deadline = Instant::now() + START_DEADLINE;
        while http.get(format!("{base}/status")).send().await.is_err() {
            if Instant::now() >= deadline {
                bail!("WebKitWebDriver does not answer; its last output:\n{}", process.tail());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let arguments: Vec<_> = std::iter::once("--automation".into())
            .chain(options.arguments.iter().map(|argument| argument.to_string_lossy().into_owned()))
            .collect();
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "webkitgtk:browserOptions": { "binary": browser, "args": arguments },
        } } });
        let answer =
            call(&http, "new session", &format!("{base}/session"), Some(&capabilities), START_DEADLINE).await?;
        let session = format!("{base}/session/{}", string(&answer["sessionId"])?);
        let webkit = Self { http, session, chosen: Arc::new(Mutex::new(String::new())) };
        Ok((process, webkit))
    }

    pub(super) async fn new_context(&self) -> anyhow::Result<String> {
        Ok(CONTEXT.to_owned())
    }

    pub(super) fn dispose_context(&self, _context: &str) {
        // The session ends with its browser.
    }

    pub(super) async fn set_permission(&self, _: &str, _: &str, name: &str, _: Permission) -> anyhow::Result<()> {
        bail!("WebKitGTK knows no permission {name:?}")
    }

    pub(super) async fn cookies(&self, _context: &str) -> anyhow::Result<Vec<Cookie>> {
        let reply = self.get("cookie").await?;
        let cookies = reply.as_array().context("no list of cookies")?;
        cookies.iter().map(|cookie| Cookie::parse(cookie, &cookie["value"])).collect()
    }

    pub(super) async fn new_tab(&self, _context: &str) -> anyhow::Result<String> {
        // The window that it starts with is the first tab.
        let mut chosen = self.chosen.lock().await;
        if chosen.is_empty() {
            *chosen = string(&self.get("window").await?)?;
            return Ok(chosen.clone());
        }
        string(&self.post("window/new", &json!({ "type": "window" })).await?["handle"])
    }

    pub(super) async fn tabs(&self, _context: &str) -> anyhow::Result<Vec<(String, String)>> {
        let handles = self.get("window/handles").await?;
        let mut tabs = Vec::new();
        for handle in handles.as_array().context("no list of windows")? {
            let handle = string(handle)?;
            let mut chosen = self.chosen.lock().await;
            self.choose(&mut chosen, &handle).await?;
            tabs.push((handle, string(&self.get("url").await?)?));
        }
        Ok(tabs)
    }

    pub(super) async fn kill_shared_workers(&self, _context: &str) -> anyhow::Result<usize> {
        bail!("WebKit's driver does not know of workers")
    }

    pub(super) async fn attach(&self, tab: &str) -> anyhow::Result<Tab> {
        Ok(Tab { webkit: self.clone(), handle: tab.to_owned() })
    }

    async fn choose(&self, chosen: &mut String, handle: &str) -> anyhow::Result<()> {
        if chosen != handle {
            self.post("window", &json!({ "handle": handle })).await?;
            handle.clone_into(chosen);
        }
        Ok(())
    }

    async fn get(&self, command: &'static str) -> anyhow::Result<Value> {
        call(&self.http, command, &format!("{}/{command}", self.session), None, CALL_DEADLINE).await
    }

    async fn post(&self, command: &'static str, params: &Value) -> anyhow::Result<Value> {
        call(&self.http, command, &format!("{}/{command}", self.session), Some(params), CALL_DEADLINE).await
    }
}

/// What the browser is to see in place of files of the system.
fn mounts(options: &LaunchOptions, folder: &Path) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let mut mounts = options.mounts.clone();
    let mut add = |name: &str, place: &str, more: String| {
        let file = folder.join(name);
        std::fs::write(&file, std::fs::read_to_string(place)? + "\n" + &more)?;
        mounts.push((file, place.into()));
        anyhow::Ok(())
    };
    if !options.authorities.is_empty() {
        add("bundle.pem", BUNDLE, options.authorities.join("\n"))?;
    }
    if !options.hosts.is_empty() {
        add("hosts", HOSTS, options.hosts.iter().map(|host| format!("127.0.0.1 {host}\n")).collect())?;
    }
    Ok(mounts)
}

/// One command (W3C WebDriver, section 6).
async fn call(
    http: &reqwest::Client,
    method: &'static str,
    url: &str,
    params: Option<&Value>,
    deadline: Duration,
) -> anyhow::Result<Value> {
    let request = params.map_or_else(|| http.get(url), |params| http.post(url).json(params));
    let answer = request.timeout(deadline).send().await.with_context(|| format!("no answer to {method}"))?;
    let failed = !answer.status().is_success();
    let mut body: Value = answer.json().await.with_context(|| format!("an answer to {method} that is no JSON"))?;
    if failed {
        let [error, message] = ["error", "message"].map(|key| body["value"][key].as_str().unwrap_or_default());
        return Err(Refused::new(method, format!("{error}: {message}")).into());
    }
    Ok(body["value"].take())
}

/// One window.
pub(super) struct Tab {
    webkit: WebKit,
    handle: String,
}

impl Tab {
    pub(super) async fn navigate(&self, url: &str) -> anyhow::Result<()> {
        self.post("url", &json!({ "url": url })).await.map(drop)
    }

    pub(super) async fn evaluate(&self, script: &str, deadline: Duration) -> Result<String, ScriptError> {
        // A promise's fault comes back as a value: what the driver makes of one differs by version.
        let script = format!(
            "const done = arguments[arguments.length - 1];\n\
             ({script}).then((value) => done({{ value }}), (fault) => done({{ fault: String(fault) }}));"
        );
        let mut chosen = self.webkit.chosen.lock().await;
        let reply = async {
            self.webkit.choose(&mut chosen, &self.handle).await?;
            let timeouts = json!({ "script": u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX) });
            self.webkit.post("timeouts", &timeouts).await?;
            let url = format!("{}/execute/async", self.webkit.session);
            let params = json!({ "script": script, "args": [] });
            call(&self.webkit.http, "execute/async", &url, Some(&params), deadline + CALL_DEADLINE).await
        };
        let reply = reply.await.map_err(|error| ScriptError::sort(error, GONE))?;
        match reply["fault"].as_str() {
            Some(fault) => Err(ScriptError::Thrown(fault.to_owned())),
            None => string(&reply["value"]).map_err(ScriptError::Failed),
        }
    }

    pub(super) async fn click_at(&self, x: f64, y: f64) -> anyhow::Result<()> {
        let actions = json!([
            { "type": "pointerMove", "x": x.round(), "y": y.round() },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        let mouse =
            json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions });
        self.post("actions", &json!({ "actions": [mouse] })).await.map(drop)
    }

    pub(super) async fn strike(&self, strokes: &[Stroke]) -> anyhow::Result<()> {
        let key = |kind: &str, value: char| json!({ "type": kind, "value": value.to_string() });
        let mut actions = Vec::new();
        for stroke in strokes {
            actions.extend(stroke.modifiers.iter().map(|modifier| key("keyDown", modifier.webdriver)));
            actions.extend([key("keyDown", stroke.webdriver), key("keyUp", stroke.webdriver)]);
            actions.extend(stroke.modifiers.iter().rev().map(|modifier| key("keyUp", modifier.webdriver)));
        }
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("actions", &json!({ "actions": [keyboard] })).await.map(drop)
    }

    pub(super) async fn screenshot(&self) -> anyhow::Result<String> {
        let mut chosen = self.webkit.chosen.lock().await;
        self.webkit.choose(&mut chosen, &self.handle).await?;
        string(&self.webkit.get("screenshot").await?)
    }

    pub(super) async fn emulate_dark(&self, _dark: bool) -> anyhow::Result<()> {
        bail!("WebKitGTK takes the colour scheme from the desktop's theme")
    }

    pub(super) async fn set_viewport(&self, width: u32, height: u32) -> anyhow::Result<()> {
        self.post("window/rect", &json!({ "width": width, "height": height })).await.map(drop)
    }

    pub(super) async fn set_language(&self, _language: &str) -> anyhow::Result<()> {
        bail!("WebKitGTK takes its language from the environment: LaunchOptions::environment(\"LANGUAGE\", …)")
    }

    pub(super) async fn crash(&self) {
        panic!("WebKit's driver crashes no tabs");
    }

    pub(super) async fn set_frozen(&self, _frozen: bool) -> anyhow::Result<()> {
        bail!("WebKit's driver freezes no tabs")
    }

    pub(super) async fn bring_to_front(&self) -> anyhow::Result<()> {
        let mut chosen = self.webkit.chosen.lock().await;
        self.webkit.choose(&mut chosen, &self.handle).await
    }

    pub(super) async fn close(&self) -> anyhow::Result<()> {
        let mut chosen = self.webkit.chosen.lock().await;
        self.webkit.choose(&mut chosen, &self.handle).await?;
        let url = format!("{}/window", self.webkit.session);
        self.webkit.http.delete(url).timeout(CALL_DEADLINE).send().await?;
        // Whichever is left is to be chosen anew.
        "closed".clone_into(&mut chosen);
        Ok(())
    }

    async fn post(&self, command: &'static str, params: &Value) -> anyhow::Result<Value> {
        let mut chosen = self.webkit.chosen.lock().await;
        self.webkit.choose(&mut chosen, &self.handle).await?;
        self.webkit.post(command, params).await
    }
}
