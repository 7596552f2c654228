//! From cold: no agent runs, a click in the page starts the one that `loopkey install` registered, and sign-in goes
//! through. Browser, desktop files and agent are the real ones, in a home of the test's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loopkey::agent::control;
use loopkey::demo::{Demo, Places};
use serde_json::json;

use crate::desk::{Desk, SOON, Site};
use crate::support::browser::{Engine, LaunchOptions};
use crate::support::home::Home;
use crate::support::places::free_places;

/// Installs an agent that keeps its keys where the demo's agent has left them.
fn install(home: &Home, demo: &Demo, places: &Places) {
    let state = demo.control().ancestors().nth(2).expect("the demo's folder").join("agent");
    let site = demo.site_url();
    let port = places.agent[0];
    let more = format!(
        "state_dir = {state:?}\n[[issuer]]\nurl = \"{site}\"\n[[origin]]\norigin = \"{site}\"\nissuer = \"{site}\"\n"
    );
    home.install(&home.agent_toml(port, &more));
}

/// The desktop client, which is there whenever its agent is: it says hello and that the person is at the computer, and
/// allows what it is asked. Its prompts are counted.
async fn be_the_client(socket: PathBuf, prompts: Arc<AtomicUsize>) {
    loop {
        let Ok((peer, mut incoming, driver)) = control::connect(&socket).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let talk = async {
            peer.call("client.hello", &json!({ "name": "Harbor", "version": "1" })).await.expect("hello");
            peer.call("presence.set", &json!({ "presence": "signed_in" })).await.expect("presence");
            while let Some(call) = incoming.recv().await {
                if let ("consent.request", Some(id)) = (call.method.as_str(), call.id) {
                    prompts.fetch_add(1, Ordering::SeqCst);
                    peer.answer(&id, Ok(json!({ "allow": true }))).await;
                }
            }
        };
        tokio::select! { () = talk => {}, () = driver => {} }
    }
}

/// What `loopkey install` makes; browsers make their own files in a home.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().expect("a name").to_string_lossy();
    name.contains("loopkey") || name == "mimeapps.list" || name == "autostart"
}

async fn a_click_wakes_the_agent_and_signs_in(engine: Engine) {
    let (home, places) = (Home::new(), free_places());
    let site = format!("http://localhost:{}", places.site);
    let options = home
        .environment()
        .into_iter()
        .fold(LaunchOptions::default().opens(&site, "loopkey"), |options, (name, value)| {
            options.environment(name, value)
        });
    let desk = Desk::launched(places.clone(), engine, Site::Local, options).await;
    desk.demo.stop_agent().await;
    desk.client_is("agent", "stopped").await;
    install(&home, &desk.demo, &places);
    home.expect(&["status"], 3);

    desk.open(Site::Local).await;
    desk.card(&desk.site, "absent").await;
    // As on a site that does not say itself where its app opens. What happens to the card from here on is written down.
    let script = "(() => { const card = document.querySelector('loopkey-card'); globalThis.states = []; \
                  card.loopkey.addEventListener('state', ({ detail }) => states.push(`${detail.name}/${detail.reason}`)); \
                  card.removeAttribute('open'); return card.loopkey.state.reason; })()";
    assert_eq!(desk.site.eval::<String>(script).await.expect("a reason"), "asleep");
    desk.picture(&desk.site, "card-asleep").await;
    home.expect(&["status"], 3);

    // The client starts together with its agent.
    let prompts = Arc::new(AtomicUsize::new(0));
    let client = tokio::spawn(be_the_client(home.control(), Arc::clone(&prompts)));
    desk.site.click("loopkey-card >>> #wake").await.expect("the button");
    desk.card(&desk.site, "person").await;
    home.expect(&["status"], 0);
    desk.click_continue(&desk.site).await;
    desk.session(&desk.site, "in").await;
    assert_eq!(prompts.load(Ordering::SeqCst), 1, "the person was asked");
    let states: Vec<String> = desk.site.eval("states").await.expect("the states");
    assert_eq!(states.first().map(String::as_str), Some("waking/launched"), "{states:?}");
    assert!(!states.iter().any(|state| state == "absent/not_woken"), "{states:?}");
    assert_eq!(desk.site.eval::<String>("location.pathname").await.expect("a path"), "/", "the page is still there");

    // The agent goes while a name is on the card: a click on the name starts it again, and signs in.
    desk.site.click("#logout").await.expect("the log-out button");
    desk.session(&desk.site, "out").await;
    desk.card(&desk.site, "person").await;
    home.expect(&["stop"], 0);
    desk.card(&desk.site, "absent").await;
    let named =
        "document.querySelector('loopkey-card').shadowRoot.querySelector('#login')?.textContent.includes('Ada')";
    desk.site.wait_for(named, SOON).await.expect("her name is on the button");
    desk.click_continue(&desk.site).await;
    desk.session(&desk.site, "in").await;
    assert_eq!(prompts.load(Ordering::SeqCst), 2, "and asked again");
    client.abort();

    // A person's second thoughts: nothing is left of it all.
    home.expect(&["stop"], 0);
    home.expect(&["uninstall"], 0);
    let left: Vec<_> = home.content().into_keys().filter(|path| is_ours(path)).collect();
    assert!(left.is_empty(), "{left:?}");
    desk.leave().await;
}

#[tokio::test]
async fn chromium_wakes_the_agent_by_xdg_open() {
    a_click_wakes_the_agent_and_signs_in(Engine::Chromium).await;
}

#[tokio::test]
async fn firefox_wakes_the_agent_by_gio() {
    a_click_wakes_the_agent_and_signs_in(Engine::Firefox).await;
}
