//! Browsers under the policies that `loopkey policy --install` writes: they reach the agent and wake it without a question, on
//! pages that they hold to be public.

use std::path::PathBuf;
use std::process::Command;

use axum::response::Html;
use axum::routing::get;
use loopkey::protocol::origin::Origin;

use crate::desk::SOON;
use crate::site::{Place, Site};
use crate::support::browser::{Browser, Engine, LaunchOptions, Page};
use crate::support::home::Home;
use crate::support::places::free_places;
use crate::support::world::{RunningAgent, TestAsker, settings};

/// A copy of this system's settings, into which the program has written policies as if they were the system's own.
struct Etc(PathBuf);

impl Etc {
    fn copy(home: &Home) -> Self {
        let folder = home.beside("etc");
        let mut copying = Command::new("cp");
        copying.arg("-a").args(["/etc", &folder.to_string_lossy()]).stderr(std::process::Stdio::null());
        // What only root may read stays away where somebody else copies.
        let _ = copying.status().expect("cp runs");
        for policies in ["chromium/policies", "firefox", "loopkey"] {
            let _ = std::fs::remove_dir_all(folder.join(policies));
        }
        Self(folder)
    }

    /// Runs the program where this is `/etc`, as root of a namespace of its own.
    fn loopkey(&self, home: &Home, arguments: &[&str]) -> String {
        let root = loopkey::install::require_a_person(false).is_err();
        let mut command = home.command("unshare", if root { &["--mount"] } else { &["--mount", "--map-root-user"] });
        command.args(["sh", "-c", "mount --bind \"$1\" /etc && shift && exec \"$@\"", "test"]).arg(&self.0);
        let output = command.arg(env!("CARGO_BIN_EXE_loopkey")).args(arguments).output().expect("unshare runs");
        let [said, fault] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "{arguments:?}: {said}{fault}");
        said
    }
}

fn options(engine: Engine, home: &Home, etc: &Etc, site: &Site) -> LaunchOptions {
    let address = site.url().trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let options = LaunchOptions::default().etc(&etc.0);
    let options =
        home.environment().into_iter().fold(options, |options, (name, value)| options.environment(name, value));
    match engine {
        Engine::Chromium => options.argument(format!(
            "--ip-address-space-overrides={address}=public,{}=public",
            address.replace("127.0.0.1", "[::1]")
        )),
        _ => {
            options // Under remote control, permissions of one context are not those of the next, and a policy's are of none.
                .preference("permissions.isolateBy.userContext", false)
                .preference("network.lna.websocket.enabled", true)
                .preference(
                    "network.lna.address_space.public.override",
                    format!("{address},{}", address.replace("127.0.0.1", "[::1]")),
                )
        }
    }
}

async fn open(browser: &Browser, site: &Site) -> Page {
    let page = browser.new_context().await.expect("a context").new_page().await.expect("a page");
    page.goto(&site.url()).await.expect("the page");
    page
}

/// What becomes of a socket within a few seconds: a question that nobody answers leaves it open.
async fn socket(page: &Page, port: u16) -> String {
    let script = format!(
        "new Promise((resolve) => {{ const socket = new WebSocket('ws://127.0.0.1:{port}/v1', 'loopkey.1'); \
         socket.onmessage = ({{ data }}) => resolve(JSON.parse(data).type); socket.onerror = () => resolve('refused'); \
         setTimeout(resolve, 4000, 'asked'); }})"
    );
    page.eval(&script).await.expect("an outcome")
}

const PAGE: &str = "<!doctype html><title>page</title><a id=wake href='loopkey:wake'>wake</a>";

async fn obeys_the_policy(engine: Engine) {
    let home = Home::new();
    let place = Place::take().await;
    let origin: Origin = place.url().parse().expect("an origin");
    let site = place.serve(&axum::Router::new().route("/", get(async || Html(PAGE))));
    let mut settings = settings(&home.beside("agent"), &origin.as_str().parse().expect("an issuer"));
    settings.origins[0].origin = origin.clone();
    let agent = RunningAgent::start(settings, TestAsker::new(None)).await;
    let port = agent.handle.port();

    let etc = Etc::copy(&home);
    let browser = Browser::launch(engine, options(engine, &home, &etc, &site)).await.expect("a browser");
    let outcome = socket(&open(&browser, &site).await, port).await;
    assert!(["refused", "asked"].contains(&outcome.as_str()), "{engine:?} without a policy: {outcome}");
    drop(browser);

    // Somebody else's site does not help this one.
    etc.loopkey(&home, &["policy", "--origin", "https://other.example.com", "--install"]);
    let browser = Browser::launch(engine, options(engine, &home, &etc, &site)).await.expect("a browser");
    let outcome = socket(&open(&browser, &site).await, port).await;
    assert!(["refused", "asked"].contains(&outcome.as_str()), "{engine:?} with another's policy: {outcome}");
    drop(browser);

    etc.loopkey(&home, &["policy", "--origin", origin.as_str(), "--install"]);
    let more = format!("[[issuer]]\nurl = \"{origin}\"\n[[origin]]\norigin = \"{origin}\"\nissuer = \"{origin}\"\n");
    home.install(&home.agent_toml(free_places().agent[0], &more));
    let browser = Browser::launch(engine, options(engine, &home, &etc, &site)).await.expect("a browser");
    let page = open(&browser, &site).await;
    assert_eq!(socket(&page, port).await, "hello", "{engine:?} with the policy");
    agent.stop().await;

    // And it wakes the agent that is installed, without a question.
    home.expect(&["status"], 3);
    page.click("#wake").await.expect("the link");
    woken(&home).await;
    assert_eq!(page.eval::<String>("location.pathname").await.expect("a path"), "/", "the page is still there");
}

async fn woken(home: &Home) {
    let started = tokio::time::Instant::now();
    while home.loopkey(&["status"]).status.code() != Some(0) {
        assert!(started.elapsed() < 2 * SOON, "the agent was not woken");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn chromium_obeys_the_policy() {
    obeys_the_policy(Engine::Chromium).await;
}

#[tokio::test]
async fn firefox_obeys_the_policy() {
    obeys_the_policy(Engine::Firefox).await;
}
