//! How long a page looks for the agent in real browsers: until it is found, until it is said to be absent, and until one that
//! was started meanwhile is found without a click.
//!
//! The times are the page's own, of the library's events; what the browser adds is in them. Floor: an image of one pixel from
//! the same computer, fetched turn by turn.

#[path = "../tests/support/mod.rs"]
mod tests;

use std::time::Duration;

use loopkey::clock::{Clock as _, SystemClock};
use loopkey::demo::Demo;
use serde_json::Value;
use tests::browser::{Browser, Context, Engine, LaunchOptions, Page, Permission};
use tests::places::free_places;

/// Far longer than anything takes.
const SOON: Duration = Duration::from_secs(30);
const FOUND: usize = 60;
/// A page looks once. What the instance before it still has to do is not what this measures.
const SETTLES: Duration = Duration::from_millis(150);
const ABSENT: usize = 4;
const RETURNS: usize = 4;

/// In the page: looks with an instance of its own, and keeps when each state was reached (ms since the epoch).
const LOOK: &str = "(async () => {
  const { createLoopkey } = await import('/sdk/loopkey.js');
  globalThis.looking?.close();
  const loopkey = (globalThis.looking = createLoopkey({ issuer: location.origin, local: LOCAL, ports: PORTS }));
  const began = performance.timeOrigin + performance.now();
  globalThis.reached = { began };
  loopkey.addEventListener('state', ({ detail: { name } }) => {
    globalThis.reached[name] ??= performance.timeOrigin + performance.now();
  });
  loopkey.start().catch(() => {});
})()";

/// In the page: what one plain request of the same origin takes (ms).
const FETCH: &str = "(async () => {
  const began = performance.now();
  await fetch('/healthz', { cache: 'no-store' });
  return performance.now() - began;
})()";

/// A scenario's times in milliseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn middle(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn worst(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

struct Seat {
    demo: Demo,
    page: Page,
    local: bool,
    ports: Vec<u16>,
    _context: Context,
    _browser: Browser,
}

impl Seat {
    /// A site that the browser takes for a local one, or for one on the internet with the permission granted.
    async fn take(engine: Engine, local: bool) -> Self {
        let places = free_places();
        let (port, ports) = (places.site, places.agent.clone());
        let mut options = LaunchOptions::default().preference("network.lna.websocket.enabled", true);
        if !local && engine == Engine::Chromium {
            let spaces = format!("--ip-address-space-overrides=127.0.0.1:{port}=public,[::1]:{port}=public");
            options = options.argument(spaces);
        }
        let demo = Demo::start(places).await.expect("the demo");
        let browser = Browser::launch(engine, options).await.expect("a browser");
        let context = browser.new_context().await.expect("a context");
        if !local {
            let set = context.set_permission(&demo.site_url(), "loopback-network", Permission::Granted).await;
            set.expect("the permission is set");
        }
        let page = context.new_page().await.expect("a tab");
        // A page without a card: nobody but the measured instance looks for the agent.
        page.goto(&format!("{}/healthz", demo.site_url())).await.expect("the page");
        Self { demo, page, local, ports, _context: context, _browser: browser }
    }

    async fn look(&self) {
        let local = if self.local { "true" } else { "false" };
        let look = LOOK.replace("LOCAL", local).replace("PORTS", &format!("{:?}", self.ports));
        self.page.eval::<Value>(&format!("{look}.then(() => true)")).await.expect("the library looks");
    }

    /// When the page reached a state, in milliseconds after it began to look.
    async fn reaches(&self, state: &str) -> f64 {
        self.page.wait_for(&format!("reached.{state} !== undefined"), SOON).await.expect("the state is reached");
        self.page.eval(&format!("reached.{state} - reached.began")).await.expect("a time")
    }

    async fn measure(self, name: &str) {
        let [mut floor, mut found, mut absent, mut back] = [(); 4].map(|()| Times::default());
        for _ in 0..FOUND {
            floor.0.push(self.page.eval(FETCH).await.expect("a time"));
            self.look().await;
            found.0.push(self.reaches("found").await);
            tokio::time::sleep(SETTLES).await;
        }
        for _ in 0..ABSENT {
            self.demo.stop_agent().await;
            self.look().await;
            absent.0.push(self.reaches("absent").await);
            self.demo.start_agent().await.expect("the agent starts");
            self.reaches("found").await;
        }
        for _ in 0..RETURNS {
            self.demo.stop_agent().await;
            self.look().await;
            self.reaches("absent").await;
            self.demo.start_agent().await.expect("the agent starts");
            let started = SystemClock.wall().0 as f64;
            self.reaches("found").await;
            let at: f64 = self.page.eval("reached.found").await.expect("a time");
            // It may be found while it still says that it is ready.
            back.0.push((at - started).max(0.0));
        }
        row(name, "a plain request to the site (floor)", &floor, "");
        row(name, "the agent is found", &found, "15 ms");
        row(name, "it is said to be absent", &absent, "1 s");
        row(name, "one that was started is found", &back, "2 s");
        self.demo.stop().await;
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's answer goes to standard output")]
fn row(name: &str, what: &str, times: &Times, aim: &str) {
    println!("  {name:<28} {what:<38} {:>9.1} ms {:>9.1} ms   {aim}", times.middle(), times.worst());
}

#[expect(clippy::print_stdout, reason = "a benchmark's answer goes to standard output")]
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        println!("  {:<28} {:<38} {:>12} {:>12}   aim", "", "", "median", "worst");
        for (engine, local, name) in [
            (Engine::Chromium, true, "Chromium, local page"),
            (Engine::Chromium, false, "Chromium, public, granted"),
            (Engine::Firefox, true, "Firefox, local page"),
            (Engine::Firefox, false, "Firefox, granted"),
        ] {
            Seat::take(engine, local).await.measure(name).await;
        }
    });
}
