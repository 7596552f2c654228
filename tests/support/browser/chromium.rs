//! Chromium over the Chrome DevTools Protocol.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::console::{chromium_line, exception};
use super::keys::Stroke;
use super::page::ScriptError;
use super::process::{BrowserProcess, find_program, is_root, new_profile};
use super::wire::{CALL_DEADLINE, Wire, string};
use super::{Cookie, LaunchOptions, Permission};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const BUNDLES: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const INSTALL: &str = "`apt-get install chromium` or `brew install --cask chromium`";

/// An empty profile that asks nothing, keeps nothing, and talks to nobody but the pages under test. Background
/// throttling stays on: a hidden tab behaves as it does for a person.
const ARGUMENTS: [&str; 16] = [
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-service-autorun",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-extensions-with-background-pages",
    "--disable-component-update", // but never --disable-crashpad-for-testing: every navigation is then aborted
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--password-store=basic",
    "--use-mock-keychain",
];
/// Arguments of which Chromium heeds only the last one, so a test's own value is joined to ours. The rules catch what
/// the flags above still let out at every start: look-ups of the vendor's hosts, which never are what a test is about.
const LISTS: [(&str, &str); 2] = [
    ("--disable-features=", "MediaRouter,OptimizationHints,Translate"),
    (
        "--host-resolver-rules=",
        "MAP *.google.com ~NOTFOUND,MAP *.googleapis.com ~NOTFOUND,\
         MAP *.gstatic.com ~NOTFOUND,MAP *.gvt1.com ~NOTFOUND",
    ),
];

/// How the protocol says that the document a script ran in is gone.
const GONE: [&str; 5] = [
    "Execution context was destroyed",
    "Cannot find context with specified id",
    "Cannot find default execution context",
    "Inspected target navigated or closed",
    "Promise was collected",
];

/// The connection to a running Chromium.
#[derive(Clone)]
pub(super) struct Chromium(Wire);

impl Chromium {
    pub(super) async fn launch(options: &LaunchOptions) -> anyhow::Result<(BrowserProcess, Self)> {
        let program = find_program(&NAMES, &BUNDLES, INSTALL)?;
        let profile = new_profile()?;
        let mut arguments: Vec<OsString> = ARGUMENTS.iter().map(Into::into).collect();
        let mut data = OsString::from("--user-data-dir=");
        data.push(profile.path().join("chromium"));
        allow_schemes(&profile.path().join("chromium").join("Default"), &options.schemes)?;
        arguments.push(data);
        if !options.headed {
            arguments.push("--headless".into());
        }
        if is_root(&profile)? {
            // Chromium refuses to run its sandbox as root, which is what a container has.
            arguments.push("--no-sandbox".into());
        }
        let hosts = options.hosts.iter().map(|host| format!("--host-resolver-rules=MAP {host} 127.0.0.1").into());
        let asked: Vec<OsString> = options.arguments.iter().cloned().chain(hosts).collect();
        for (flag, ours) in LISTS {
            let added = asked.iter().filter_map(|argument| argument.to_str()?.strip_prefix(flag));
            let values: Vec<_> = std::iter::once(ours).chain(added).collect();
            arguments.push(format!("{flag}{}", values.join(",")).into());
        }
        let is_list = |argument: &OsString| LISTS.iter().any(|(flag, _)| argument.to_string_lossy().starts_with(flag));
        arguments.extend(asked.iter().filter(|argument| !is_list(argument)).cloned());
        arguments.push(options.start_page.clone().unwrap_or_else(|| "about:blank".into()));

        let mut process = BrowserProcess::spawn(&program, &arguments, &options.environment, &options.mounts, profile)?;
        let address = process.announced("DevTools listening on ").await?;
        Ok((process, Self(Wire::connect(&address).await?)))
    }

    pub(super) async fn new_context(&self) -> anyhow::Result<String> {
        let reply = self.0.call("Target.createBrowserContext", json!({})).await?;
        string(&reply["browserContextId"])
    }

    pub(super) fn dispose_context(&self, context: &str) {
        self.0.tell("Target.disposeBrowserContext", &json!({ "browserContextId": context }));
    }

    pub(super) async fn set_permission(
        &self,
        context: &str,
        origin: &str,
        name: &str,
        to: Permission,
    ) -> anyhow::Result<()> {
        let setting = json!({
            "permission": { "name": name }, "setting": to.as_str(), "origin": origin, "browserContextId": context,
        });
        self.0.call("Browser.setPermission", setting).await.map(drop)
    }

    pub(super) async fn cookies(&self, context: &str) -> anyhow::Result<Vec<Cookie>> {
        let reply = self.0.call("Storage.getCookies", json!({ "browserContextId": context })).await?;
        let cookies = reply["cookies"].as_array().context("no list of cookies")?;
        cookies.iter().map(|cookie| Cookie::parse(cookie, &cookie["value"])).collect()
    }

    pub(super) async fn new_tab(&self, context: &str) -> anyhow::Result<String> {
        let tab = json!({ "url": "about:blank", "browserContextId": context });
        string(&self.0.call("Target.createTarget", tab).await?["targetId"])
    }

    pub(super) async fn tabs(&self, context: &str) -> anyhow::Result<Vec<(String, String)>> {
        let reply = self.0.call("Target.getTargets", json!({})).await?;
        let targets = reply["targetInfos"].as_array().context("no list of targets")?;
        let ours = targets.iter().filter(|target| target["type"] == "page" && target["browserContextId"] == context);
        ours.map(|target| Ok((string(&target["targetId"])?, string(&target["url"])?))).collect()
    }

    /// Ends the shared workers of a context, as a crash would; returns how many there were.
    pub(super) async fn kill_shared_workers(&self, context: &str) -> anyhow::Result<usize> {
        let reply = self.0.call("Target.getTargets", json!({})).await?;
        let targets = reply["targetInfos"].as_array().context("no list of targets")?;
        let is_ours = |target: &&Value| target["type"] == "shared_worker" && target["browserContextId"] == context;
        let workers: Vec<_> = targets.iter().filter(is_ours).collect();
        for worker in &workers {
            self.0.call("Target.closeTarget", json!({ "targetId": worker["targetId"] })).await?;
        }
        Ok(workers.len())
    }

    pub(super) async fn attach(&self, tab: &str, log: watch::Sender<Vec<String>>) -> anyhow::Result<Tab> {
        let reply = self.0.call("Target.attachToTarget", json!({ "targetId": tab, "flatten": true })).await?;
        let tab = Tab { wire: self.0.clone(), target: tab.to_owned(), session: string(&reply["sessionId"])? };
        self.0.listen(&tab.session, move |event| {
            if let Some(line) = chromium_line(event) {
                log.send_modify(|lines| lines.push(line));
            }
        });
        tab.call("Runtime.enable", json!({})).await?;
        tab.call("Log.enable", json!({})).await?;
        Ok(tab)
    }
}

/// Writes what Chromium remembers of "Always allow" in its question about another program.
fn allow_schemes(profile: &Path, schemes: &[(String, String)]) -> anyhow::Result<()> {
    if schemes.is_empty() {
        return Ok(());
    }
    let mut allowed = json!({});
    for (origin, scheme) in schemes {
        allowed[origin][scheme] = true.into();
    }
    std::fs::create_dir_all(profile)?;
    let preferences = json!({ "protocol_handler": { "allowed_origin_protocol_pairs": allowed } });
    Ok(std::fs::write(profile.join("Preferences"), preferences.to_string())?)
}

/// One tab, through a session of its own. The `Page` domain stays disabled: Chromium then closes dialogs by itself.
pub(super) struct Tab {
    wire: Wire,
    target: String,
    session: String,
}

impl Tab {
    pub(super) async fn navigate(&self, url: &str) -> anyhow::Result<()> {
        let reply = self.call("Page.navigate", json!({ "url": url })).await?;
        match reply["errorText"].as_str() {
            Some(error) => bail!("{error}"),
            None => Ok(()),
        }
    }

    pub(super) async fn evaluate(&self, script: &str, deadline: Duration) -> Result<String, ScriptError> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let reply = self.request("Runtime.evaluate", params, deadline).await;
        let reply = reply.map_err(|error| ScriptError::sort(error, &GONE))?;
        match reply.get("exceptionDetails") {
            Some(details) => Err(ScriptError::Thrown(exception(details))),
            None => string(&reply["result"]["value"]).map_err(ScriptError::Failed),
        }
    }

    pub(super) async fn click_at(&self, x: f64, y: f64) -> anyhow::Result<()> {
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    pub(super) async fn strike(&self, strokes: &[Stroke]) -> anyhow::Result<()> {
        for stroke in strokes {
            let modifiers = stroke.modifiers.iter().fold(0, |bits, modifier| bits | modifier.bit);
            let mut event = json!({
                "type": "keyDown", "key": stroke.key, "code": stroke.code, "modifiers": modifiers,
                "windowsVirtualKeyCode": stroke.virtual_key,
            });
            if let Some(text) = &stroke.text {
                event["text"] = text.as_str().into();
            }
            self.call("Input.dispatchKeyEvent", event.clone()).await?;
            event["type"] = "keyUp".into();
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    pub(super) async fn screenshot(&self) -> anyhow::Result<String> {
        string(&self.call("Page.captureScreenshot", json!({ "format": "png" })).await?["data"])
    }

    pub(super) async fn emulate_dark(&self, dark: bool) -> anyhow::Result<()> {
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await.map(drop)
    }

    pub(super) async fn set_viewport(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size).await.map(drop)
    }

    pub(super) async fn set_language(&self, language: &str) -> anyhow::Result<()> {
        // An empty user agent leaves the real one.
        let agent = json!({ "userAgent": "", "acceptLanguage": language });
        self.call("Emulation.setUserAgentOverride", agent).await.map(drop)
    }

    pub(super) async fn crash(&self) {
        // A tab that has crashed may not answer any more.
        let _ = self.request("Page.crash", json!({}), Duration::from_secs(2)).await;
    }

    pub(super) async fn set_frozen(&self, frozen: bool) -> anyhow::Result<()> {
        let state = if frozen { "frozen" } else { "active" };
        self.call("Page.setWebLifecycleState", json!({ "state": state })).await.map(drop)
    }

    pub(super) async fn bring_to_front(&self) -> anyhow::Result<()> {
        self.call("Page.bringToFront", json!({})).await.map(drop)
    }

    pub(super) async fn close(&self) -> anyhow::Result<()> {
        self.wire.call("Target.closeTarget", json!({ "targetId": self.target })).await.map(drop)
    }

    async fn call(&self, method: &'static str, params: Value) -> anyhow::Result<Value> {
        self.request(method, params, CALL_DEADLINE).await
    }

    async fn request(&self, method: &'static str, params: Value, deadline: Duration) -> anyhow::Result<Value> {
        let message = json!({ "method": method, "params": params, "sessionId": self.session });
        self.wire.request(method, message, deadline).await
    }
}
