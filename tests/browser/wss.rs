//! TLS on loopback in real browsers: what `loopkey certs install` told them of is taken, and what a misused authority of the
//! same kind signs is not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use axum::response::Html;
use axum::routing::get;
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::origin::Origin;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::desk::SOON;
use crate::engines::Row;
use crate::secure::SecureSite;
use crate::site::{Place, Site};
use crate::support::browser::{Browser, Engine, LaunchOptions, Page};
use crate::support::certs::Misused;
use crate::support::home::Home;
use crate::support::places::free_places;
use crate::support::world::{RunningAgent, TestAsker, settings};

/// A person's home in which Firefox was opened once and Chromium never.
struct Person {
    home: Home,
    firefox: PathBuf,
}

impl Person {
    fn new() -> Self {
        let home = Home::new();
        let firefox = home.path().join(".mozilla/firefox/abc.default");
        std::fs::create_dir_all(&firefox).expect("a folder");
        certutil(&firefox, &["-N", "--empty-password"]);
        Self { home, firefox }
    }

    /// A browser as it is started in this home.
    async fn browser(&self, engine: Engine, authorities: &[&Path], host: &str) -> Browser {
        let options = LaunchOptions::default().host(host);
        let options = match engine {
            Engine::Chromium => options.environment("HOME", self.home.path()),
            Engine::Firefox => options.profile(&self.firefox),
            // What `install --system` does to the system's file: in a place of its own.
            Engine::WebKit => authorities.iter().fold(options, |options, authority| {
                options.system_authority(std::fs::read_to_string(authority).expect("an authority"))
            }),
        };
        Browser::launch(engine, options).await.expect("a browser")
    }
}

fn certutil(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("certutil");
    command.arg("-d").arg(format!("sql:{}", folder.display())).args(arguments);
    let output = command.output().expect("certutil runs (libnss3-tools)");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn blank(browser: &Browser, site: &Site) -> Page {
    let page = browser.new_context().await.expect("a context").new_page().await.expect("a page");
    page.goto(&site.url()).await.expect("the page");
    page
}

/// What becomes of a socket.
async fn socket(page: &Page, address: &str) -> String {
    let script = format!(
        "new Promise((resolve) => {{ const socket = new WebSocket('{address}', 'loopkey.1'); \
         socket.onmessage = ({{ data }}) => resolve(JSON.parse(data).type); \
         socket.onerror = () => resolve('refused'); }})"
    );
    page.eval(&script).await.expect("an outcome")
}

/// What becomes of a request, and what the browser told the server of its certificate.
async fn request(page: &Page, address: &str) -> bool {
    let script = format!("fetch('{address}', {{ mode: 'no-cors' }}).then(() => true, () => false)");
    page.eval(&script).await.expect("an outcome")
}

/// A TLS server whose certificate is for these names; it writes down what handshakes came to.
async fn server(authority: &Misused, names: &[&str]) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (outcomes, seen) = mpsc::unbounded_channel();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server(names)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, outcomes) = (acceptor.clone(), outcomes.clone());
            tokio::spawn(async move {
                let note = |outcome: String| drop(outcomes.send(outcome));
                match acceptor.accept(stream).await {
                    Err(error) => note(error.to_string()),
                    Ok(mut stream) => {
                        let mut head = [0; 4096];
                        if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                            note("a request".to_owned());
                            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
                            let _ = stream.shutdown().await;
                        }
                    }
                }
            });
        }
    });
    (port, seen)
}

async fn what_was_installed_is_taken_and_misuse_is_refused(engine: Engine) {
    let person = Person::new();
    let place = Place::take().await;
    let origin: Origin = place.url().parse().expect("an origin");
    let site = place.serve(&axum::Router::new().route("/", get(async || Html("<!doctype html><title>page</title>"))));

    // The agent of this person, with the certificate that the command has made.
    let state = person.home.beside("state");
    let config = person.home.agent_toml(free_places().agent[0], "[wss]\n").to_string_lossy().into_owned();
    person.home.expect(&["certs", "create", "--config", &config], 0);
    let issuer: Issuer = origin.as_str().parse().expect("an issuer");
    let mut settings = settings(&person.home.beside("agent"), &issuer);
    settings.state_dir = state.clone();
    settings.origins[0].origin = origin;
    settings.wss = Some(loopkey::agent::WssSettings::default());
    let agent = RunningAgent::start(settings, TestAsker::new(None)).await;
    let port = agent.handle.wss_port().expect("a TLS port");
    let addresses = ["127.0.0.1", "[::1]", "localhost"].map(|host| format!("wss://{host}:{port}/v1"));

    // Nobody was told of it yet.
    let stranger = "app.example.com";
    let browser = person.browser(engine, &[], stranger).await;
    let page = blank(&browser, &site).await;
    for address in &addresses {
        assert_eq!(socket(&page, address).await, "refused", "{engine:?}: {address}");
    }
    drop((page, browser));

    person.home.expect(&["certs", "install", "--config", &config], 0);
    // And one like it, that is misused.
    let misused = Misused::new();
    let file = person.home.beside("misused.pem");
    std::fs::write(&file, &misused.pem).expect("written");
    for database in [&person.firefox, &person.home.path().join(".pki/nssdb")] {
        certutil(database, &["-A", "-n", "misused", "-t", "C,,", "-i", &file.to_string_lossy()]);
    }
    let browser = person.browser(engine, &[&state.join("wss/authority.pem"), &file], stranger).await;
    let page = blank(&browser, &site).await;
    for address in &addresses {
        assert_eq!(socket(&page, address).await, "hello", "{engine:?}: {address}");
    }
    let (port, mut seen) = server(&misused, &["127.0.0.1"]).await;
    assert!(request(&page, &format!("https://127.0.0.1:{port}/")).await, "{engine:?} trusts that authority");
    assert_eq!(seen.recv().await.as_deref(), Some("a request"));
    for (name, names) in
        [("127.0.0.2", &["127.0.0.2"][..]), (stranger, &[stranger]), (stranger, &["localhost", stranger])]
    {
        let (port, mut seen) = server(&misused, names).await;
        assert!(!request(&page, &format!("https://{name}:{port}/")).await, "{engine:?} takes {names:?}");
        let outcome = timeout(SOON, seen.recv()).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("{engine:?} did not even look at {names:?}")).expect("open");
        // Chromium and Firefox say why, WebKit hangs up.
        assert!(outcome.contains("alert") || outcome.contains("eof"), "{engine:?}, {names:?}: {outcome}");
    }
    drop((page, browser));

    // Taken away again, it is unknown as before.
    person.home.expect(&["certs", "remove", "--config", &config], 0);
    let browser = person.browser(engine, &[], stranger).await;
    let page = blank(&browser, &site).await;
    assert_eq!(socket(&page, &addresses[0]).await, "refused", "{engine:?}");
    agent.stop().await;
    crate::engines::seen(Row::Tls, engine);
}

#[tokio::test]
async fn a31_chromium_takes_what_was_installed_and_refuses_misuse() {
    what_was_installed_is_taken_and_misuse_is_refused(Engine::Chromium).await;
}

#[tokio::test]
async fn a31_firefox_takes_what_was_installed_and_refuses_misuse() {
    what_was_installed_is_taken_and_misuse_is_refused(Engine::Firefox).await;
}

#[tokio::test]
async fn a31_webkit_takes_what_was_installed_and_refuses_misuse() {
    what_was_installed_is_taken_and_misuse_is_refused(Engine::WebKit).await;
}

/// The whole way in the browser that it is for: an https page, to which WebKit gives no plain socket, a login server that names
/// the port, and a session at the end.
#[tokio::test]
async fn an_https_page_in_webkit_finds_the_agent_by_wss_and_signs_in() {
    let site = SecureSite::new().await;
    site.open().await;
    site.card("person").await;
    site.click_continue().await;
    site.is("loopkey.session?.account === 'ada'").await;
    assert_eq!(site.session().await, "ada");
    site.leave().await;
}
