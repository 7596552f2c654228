//! Firefox over WebDriver BiDi.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::console::firefox_line;
use super::keys::Stroke;
use super::page::ScriptError;
use super::process::{BrowserProcess, START_DEADLINE, find_program, new_profile};
use super::wire::{CALL_DEADLINE, Wire, string};
use super::{Cookie, LaunchOptions, Permission};

const NAMES: [&str; 2] = ["firefox-esr", "firefox"];
const BUNDLES: [&str; 1] = ["/Applications/Firefox.app/Contents/MacOS/firefox"];
const INSTALL: &str = "`apt-get install firefox-esr` or `brew install --cask firefox`";

/// Beside what Firefox sets by itself under remote control: what else would talk to a server, and the pop-up blocker,
/// which remote control would turn off; written in `user.js`, a preference is left alone.
const PREFERENCES: &[(&str, &str)] = &[
    ("app.normandy.enabled", "false"),
    ("app.update.disabledForTesting", "true"),
    ("browser.aboutwelcome.enabled", "false"),
    ("browser.newtabpage.enabled", "false"),
    ("browser.search.geoSpecificDefaults", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("browser.startup.page", "0"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("dom.disable_open_during_load", "true"),
    ("dom.push.connection.enabled", "false"),
    ("extensions.update.enabled", "false"),
    ("media.gmp-manager.updateEnabled", "false"),
    ("messaging-system.rsexperimentloader.enabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("network.trr.mode", "5"),
    ("nimbus.rollouts.enabled", "false"),
    ("services.settings.server", r#""data:,#remote-settings-dummy/v1""#),
    ("toolkit.telemetry.enabled", "false"),
];

/// How Firefox says that the document a script ran in is gone.
const GONE: &[&str] = &["AbortError", "no such frame", "destroyed", "DiscardedBrowsingContextError"];

/// The event that a tab shows another document. A script that awaits something in the old one is then never answered.
const NAVIGATED: &str = "browsingContext.navigationCommitted";

/// The connection to a running Firefox.
#[derive(Clone)]
pub(super) struct Firefox(Wire);

impl Firefox {
    pub(super) async fn launch(options: &LaunchOptions) -> anyhow::Result<(BrowserProcess, Self)> {
        let program = find_program(&NAMES, &BUNDLES, INSTALL)?;
        let profile = new_profile()?;
        let directory = profile.path().join("firefox");
        std::fs::create_dir(&directory)?;
        for entry in options.profile.iter().map(std::fs::read_dir).collect::<Result<Vec<_>, _>>()?.into_iter().flatten()
        {
            let entry = entry?;
            std::fs::copy(entry.path(), directory.join(entry.file_name()))?;
        }
        let own = PREFERENCES.iter().map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
        let asked = options.preferences.iter().map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
        let hosts = format!("user_pref(\"network.dns.localDomains\", \"{}\");\n", options.hosts.join(","));
        let external = options.schemes.iter().map(|(_, scheme)| format!("network.protocol-handler.external.{scheme}"));
        let external = external.map(|name| format!("user_pref(\"{name}\", true);\n"));
        std::fs::write(directory.join("user.js"), own.chain(asked).chain([hosts]).chain(external).collect::<String>())?;
        know_schemes(&directory, &options.schemes)?;

        let mut arguments: Vec<OsString> =
            ["--remote-debugging-port=0", "--no-remote", "--profile"].map(Into::into).into();
        arguments.push(directory.into());
        if !options.headed {
            arguments.push("--headless".into());
        }
        arguments.extend(options.arguments.iter().cloned());
        arguments.push("about:blank".into());

        let mut process = BrowserProcess::spawn(&program, &arguments, &options.environment, &options.mounts, profile)?;
        let address = process.announced("WebDriver BiDi listening on ").await?;
        let firefox = Self(Wire::connect(&format!("{address}/session")).await?);
        // Answered once Firefox is up, which on a loaded machine is long after its port is open.
        let session = json!({ "method": "session.new", "params": { "capabilities": {} } });
        firefox.0.request("session.new", session, START_DEADLINE).await?;
        firefox.0.call("session.subscribe", json!({ "events": ["log.entryAdded", NAVIGATED] })).await?;
        Ok((process, firefox))
    }

    pub(super) async fn new_context(&self) -> anyhow::Result<String> {
        string(&self.0.call("browser.createUserContext", json!({})).await?["userContext"])
    }

    pub(super) fn dispose_context(&self, context: &str) {
        self.0.tell("browser.removeUserContext", &json!({ "userContext": context }));
    }

    pub(super) async fn set_permission(
        &self,
        context: &str,
        origin: &str,
        name: &str,
        to: Permission,
    ) -> anyhow::Result<()> {
        let setting = json!({
            "descriptor": { "name": name }, "state": to.as_str(), "origin": origin, "userContext": context,
        });
        self.0.call("permissions.setPermission", setting).await.map(drop)
    }

    pub(super) async fn cookies(&self, context: &str) -> anyhow::Result<Vec<Cookie>> {
        let jar = json!({ "partition": { "type": "storageKey", "userContext": context } });
        let reply = self.0.call("storage.getCookies", jar).await?;
        let cookies = reply["cookies"].as_array().context("no list of cookies")?;
        cookies.iter().map(|cookie| Cookie::parse(cookie, &cookie["value"]["value"])).collect()
    }

    pub(super) async fn new_tab(&self, context: &str) -> anyhow::Result<String> {
        // A window for each context, as in Chromium: in one window, the tab of one test would hide that of another.
        let tab = match self.tabs(context).await?.first() {
            None => json!({ "type": "window", "userContext": context }),
            Some((beside, _)) => json!({ "type": "tab", "userContext": context, "referenceContext": beside }),
        };
        string(&self.0.call("browsingContext.create", tab).await?["context"])
    }

    pub(super) async fn tabs(&self, context: &str) -> anyhow::Result<Vec<(String, String)>> {
        let reply = self.0.call("browsingContext.getTree", json!({ "maxDepth": 0 })).await?;
        let tabs = reply["contexts"].as_array().context("no list of tabs")?;
        let ours = tabs.iter().filter(|tab| tab["userContext"] == context);
        ours.map(|tab| Ok((string(&tab["context"])?, string(&tab["url"])?))).collect()
    }

    pub(super) async fn kill_shared_workers(&self, _context: &str) -> anyhow::Result<usize> {
        bail!("Firefox's driver does not know of workers")
    }

    pub(super) async fn attach(&self, tab: &str, log: watch::Sender<Vec<String>>) -> anyhow::Result<Tab> {
        let (documents, document) = watch::channel(0_u64);
        self.0.listen(tab, move |event| {
            if event["method"] == NAVIGATED {
                documents.send_modify(|count| *count += 1);
            }
            if let Some(line) = firefox_line(event) {
                log.send_modify(|lines| lines.push(line));
            }
        });
        Ok(Tab { wire: self.0.clone(), context: tab.to_owned(), document })
    }
}

/// Has Firefox hand addresses of these schemes to the desktop, without asking with which program.
fn know_schemes(profile: &Path, schemes: &[(String, String)]) -> anyhow::Result<()> {
    /// `nsIHandlerInfo.useSystemDefault`
    const USE_SYSTEM_DEFAULT: u8 = 4;
    let known = schemes.iter().map(|(_, scheme)| (scheme.clone(), json!({ "action": USE_SYSTEM_DEFAULT })));
    let known: serde_json::Map<_, _> = known.collect();
    let handlers = json!({ "defaultHandlersVersion": {}, "mimeTypes": {}, "schemes": known });
    Ok(std::fs::write(profile.join("handlers.json"), handlers.to_string())?)
}

/// One tab, a top-level browsing context.
pub(super) struct Tab {
    wire: Wire,
    context: String,
    /// Changes with every document the tab shows.
    document: watch::Receiver<u64>,
}

impl Tab {
    pub(super) async fn navigate(&self, url: &str) -> anyhow::Result<()> {
        self.call("browsingContext.navigate", json!({ "url": url, "wait": "complete" })).await.map(drop)
    }

    pub(super) async fn evaluate(&self, script: &str, deadline: Duration) -> Result<String, ScriptError> {
        let params = json!({ "expression": script, "awaitPromise": true, "target": { "context": self.context } });
        let message = json!({ "method": "script.evaluate", "params": params });
        let mut document = self.document.clone();
        document.mark_unchanged();
        let reply = tokio::select! {
            biased;
            reply = self.wire.request("script.evaluate", message, deadline) => reply,
            Ok(()) = document.changed() => return Err(ScriptError::Navigated),
        };
        let reply = reply.map_err(|error| ScriptError::sort(error, GONE))?;
        match reply["exceptionDetails"]["text"].as_str() {
            Some(text) => Err(ScriptError::Thrown(text.to_owned())),
            None => string(&reply["result"]["value"]).map_err(ScriptError::Failed),
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
        self.call("input.performActions", json!({ "actions": [mouse] })).await.map(drop)
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
        self.call("input.performActions", json!({ "actions": [keyboard] })).await.map(drop)
    }

    pub(super) async fn screenshot(&self) -> anyhow::Result<String> {
        string(&self.call("browsingContext.captureScreenshot", json!({})).await?["data"])
    }

    pub(super) async fn emulate_dark(&self, _dark: bool) -> anyhow::Result<()> {
        bail!(
            "Firefox sets the colour scheme at launch only: preference layout.css.prefers-color-scheme.content-override"
        )
    }

    pub(super) async fn set_viewport(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let viewport = json!({ "viewport": { "width": width, "height": height } });
        self.call("browsingContext.setViewport", viewport).await.map(drop)
    }

    pub(super) async fn set_language(&self, language: &str) -> anyhow::Result<()> {
        let locale = json!({ "locale": language, "contexts": [self.context] });
        self.wire.call("emulation.setLocaleOverride", locale).await.map(drop)
    }

    #[expect(clippy::unused_async, reason = "as in Chromium")]
    pub(super) async fn crash(&self) {
        panic!("Firefox's driver crashes no tabs");
    }

    pub(super) async fn set_frozen(&self, _frozen: bool) -> anyhow::Result<()> {
        bail!("Firefox freezes no tabs")
    }

    pub(super) async fn bring_to_front(&self) -> anyhow::Result<()> {
        self.call("browsingContext.activate", json!({})).await.map(drop)
    }

    pub(super) async fn close(&self) -> anyhow::Result<()> {
        self.call("browsingContext.close", json!({})).await.map(drop)
    }

    /// Calls a command about this tab.
    async fn call(&self, method: &'static str, mut params: Value) -> anyhow::Result<Value> {
        params["context"] = self.context.as_str().into();
        let message = json!({ "method": method, "params": params });
        self.wire.request(method, message, CALL_DEADLINE).await
    }
}
