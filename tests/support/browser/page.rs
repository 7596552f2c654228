//! One tab: what a test does in it, the same for every engine.
//!
//! What an engine must bring is in [`Tab`]; everything else, such as waiting and finding the point to click, is page
//! script (`page.js`) that runs unchanged in each.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::keys::Stroke;
use super::wire::{CALL_DEADLINE, Refused};
use super::{Context, Remote, chromium, firefox, webkit};

/// How long a click waits for its element to be there, at rest and uncovered.
const CLICK_DEADLINE: Duration = Duration::from_secs(10);
/// How long a document may take to load.
const LOAD_DEADLINE: Duration = Duration::from_secs(30);
/// Grace for the answer of a page script that keeps a deadline itself.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// Between two questions to a browser that can only be polled.
pub(super) const PAUSE: Duration = Duration::from_millis(20);
/// Console lines quoted in an error.
const QUOTED_LINES: usize = 15;

const PAGE_SCRIPT: &str = include_str!("page.js");

/// A tab in the words of its engine.
enum Tab {
    Chromium(chromium::Tab),
    Firefox(firefox::Tab),
    WebKit(webkit::Tab),
}

/// Why a script gave no value.
pub(super) enum ScriptError {
    /// The script threw; the message says what.
    Thrown(String),
    /// The document went away under the script.
    Navigated,
    /// The browser did not run it at all.
    Failed(anyhow::Error),
}

impl ScriptError {
    /// Sorts an error of the evaluating call: `gone` are the engine's messages for a document that was left.
    pub(super) fn sort(error: anyhow::Error, gone: &[&str]) -> Self {
        match error.downcast_ref::<Refused>() {
            Some(refused) if gone.iter().any(|part| refused.message.contains(part)) => Self::Navigated,
            _ => Self::Failed(error),
        }
    }
}

impl From<ScriptError> for anyhow::Error {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Thrown(message) => anyhow!("the page threw: {message}"),
            ScriptError::Navigated => anyhow!("the page was navigated away while the script ran"),
            ScriptError::Failed(error) => error,
        }
    }
}

/// A tab. Dropping it does not close it; dropping the last handle of its [`Context`] does.
pub(crate) struct Page {
    tab: Tab,
    context: Context,
    log: watch::Sender<Vec<String>>,
}

impl Page {
    /// Takes control of the tab `id`.
    pub(super) async fn attach(context: &Context, id: &str) -> anyhow::Result<Self> {
        let log = watch::Sender::new(Vec::new());
        let tab = match &context.0.remote {
            Remote::Chromium(chromium) => Tab::Chromium(chromium.attach(id, log.clone()).await?),
            Remote::Firefox(firefox) => Tab::Firefox(firefox.attach(id, log.clone()).await?),
            Remote::WebKit(webkit) => Tab::WebKit(webkit.attach(id).await?),
        };
        Ok(Self { tab, context: context.clone(), log })
    }

    /// The context this tab belongs to: for a second tab, or its cookies.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Navigates and waits until the new document and its resources are loaded.
    pub(crate) async fn goto(&self, url: &str) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.navigate(url).await).with_context(|| format!("cannot go to {url}"))?;
        self.wait_for("document.readyState === 'complete'", LOAD_DEADLINE).await
    }

    /// Evaluates a JavaScript expression, awaits it if it is a promise, and parses its JSON. An exception becomes an
    /// error. The expression may use `await` and `$('host >>> inner')`, which reaches into open shadow roots.
    pub(crate) async fn eval<T: DeserializeOwned>(&self, expression: &str) -> anyhow::Result<T> {
        let value = self.run(expression, CALL_DEADLINE).await.map_err(anyhow::Error::from);
        let value = value.with_context(|| format!("cannot evaluate {expression}"))?;
        serde_json::from_value(value.clone()).with_context(|| format!("{expression} gave {value}"))
    }

    /// Waits until a JavaScript expression (see [`Page::eval`]) is truthy, across navigations. While it throws it is
    /// not met. The error after `within` shows the page: address, title, text and console.
    pub(crate) async fn wait_for(&self, condition: &str, within: Duration) -> anyhow::Result<()> {
        self.until(&format!("Boolean(await ({condition}\n))"), within)
            .await
            .map(drop)
            .with_context(|| format!("waited for {condition}"))
    }

    /// Clicks as a person does: brings the tab to the front, waits until the element is there, enabled, at rest and
    /// uncovered, and presses the mouse at its centre. The page sees a trusted event and has user activation.
    pub(crate) async fn click(&self, selector: &str) -> anyhow::Result<()> {
        if self.until("({ hidden: document.hidden })", CLICK_DEADLINE).await?["hidden"] == true {
            self.bring_to_front().await?;
        }
        let clickable = format!("clickable({})", quoted(selector));
        let point =
            self.until(&clickable, CLICK_DEADLINE).await.with_context(|| format!("cannot click {selector:?}"))?;
        let (Some(x), Some(y)) = (point["x"].as_f64(), point["y"].as_f64()) else {
            bail!("the place of {selector:?} is {point}");
        };
        whichever!(Tab, &self.tab, tab => tab.click_at(x, y).await)
    }

    /// Presses and releases one key: `Enter`, `a`, `Shift+Tab`.
    pub(crate) async fn press(&self, stroke: &str) -> anyhow::Result<()> {
        self.strike(&[Stroke::parse(stroke)?]).await
    }

    /// Types text, key by key, into what has the focus.
    pub(crate) async fn type_text(&self, text: &str) -> anyhow::Result<()> {
        let strokes: Vec<_> = text.chars().map(Stroke::character).collect();
        self.strike(&strokes).await
    }

    /// The text of an element, which must be there.
    pub(crate) async fn text(&self, selector: &str) -> anyhow::Result<String> {
        self.eval(&format!("$({}).textContent.trim()", quoted(selector))).await
    }

    /// Writes a PNG of what the tab shows.
    pub(crate) async fn screenshot(&self, path: &Path) -> anyhow::Result<()> {
        let encoded = whichever!(Tab, &self.tab, tab => tab.screenshot().await)?;
        let picture = BASE64_STANDARD.decode(encoded).context("the screenshot is not base64")?;
        std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))
    }

    /// What the page sees as `prefers-color-scheme`. Firefox has no such command, only the preference
    /// `layout.css.prefers-color-scheme.content-override` (0 dark, 1 light) at launch.
    pub(crate) async fn emulate_dark(&self, dark: bool) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.emulate_dark(dark).await)
    }

    /// The size of the page in CSS pixels.
    pub(crate) async fn set_viewport(&self, width: u32, height: u32) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.set_viewport(width, height).await)
    }

    /// The language in `navigator.language` and `Accept-Language`, from the next document on.
    pub(crate) async fn set_language(&self, language: &str) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.set_language(language).await)
    }

    /// Ends the tab's process in the middle of whatever it does (Chromium): no event, no last message.
    pub(crate) async fn crash(self) {
        whichever!(Tab, &self.tab, tab => tab.crash().await);
    }

    /// Stops the page's script and timers, as Chromium does with tabs in the background, or lets them go on.
    pub(crate) async fn set_frozen(&self, frozen: bool) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.set_frozen(frozen).await)
    }

    /// Makes this the visible tab of its window.
    pub(crate) async fn bring_to_front(&self) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.bring_to_front().await)
    }

    /// Closes the tab.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.close().await)
    }

    /// What the console has shown so far, exceptions and breaches of the Content Security Policy included.
    pub(crate) fn console(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Waits for a console line that contains `part`: the browser reports what it blocked a little after the fact.
    pub(crate) async fn wait_for_console(&self, part: &str, within: Duration) -> anyhow::Result<String> {
        let mut lines = self.log.subscribe();
        let found = timeout(within, lines.wait_for(|lines| lines.iter().any(|line| line.contains(part)))).await;
        match found {
            Ok(Ok(lines)) => lines.iter().find(|line| line.contains(part)).cloned().context("the line was just there"),
            _ => bail!("no console line with {part:?} within {within:?}\n{}", self.portrait().await),
        }
    }

    async fn run(&self, expression: &str, deadline: Duration) -> Result<Value, ScriptError> {
        // The new line ends a comment at the end of the expression.
        let script = format!(
            "(async () => {{\n{PAGE_SCRIPT}\nreturn JSON.stringify({{ value: await ({expression}\n) }});\n}})()"
        );
        let reply = whichever!(Tab, &self.tab, tab => tab.evaluate(&script, deadline).await)?;
        let mut reply: Value = serde_json::from_str(&reply).map_err(|error| ScriptError::Failed(error.into()))?;
        Ok(reply["value"].take())
    }

    async fn until(&self, condition: &str, within: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let script = format!("until({}, async () => ({condition}\n))", left.as_millis());
            let fault = match self.run(&script, left + ANSWER_GRACE).await {
                Ok(mut answer) => match answer["fault"].as_str() {
                    None => return Ok(answer["met"].take()),
                    Some(fault) => fault.to_owned(),
                },
                Err(ScriptError::Navigated) if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => anyhow::Error::from(error).to_string(),
            };
            bail!("not met within {within:?}: {fault}\n{}", self.portrait().await);
        }
    }

    async fn strike(&self, strokes: &[Stroke]) -> anyhow::Result<()> {
        whichever!(Tab, &self.tab, tab => tab.strike(strokes).await)
    }

    /// The page in words, for an error message.
    async fn portrait(&self) -> String {
        const LOOK: &str =
            "`${location.href} ${JSON.stringify(document.title)}\n${document.body?.innerText.slice(0, 600)}`";
        let look = match self.run(LOOK, ANSWER_GRACE).await {
            Ok(text) => text.as_str().unwrap_or_default().to_owned(),
            Err(error) => anyhow::Error::from(error).to_string(),
        };
        let lines = self.console();
        let recent = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        format!("page: {look}\nconsole:\n{}", recent.join("\n"))
    }
}

/// A JavaScript string literal.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
