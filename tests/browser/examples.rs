//! The examples for plain HTML, React and Vue, as `examples/build-web` built them from the packed library: each signs a
//! person in with a click.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;

use crate::desk::SOON;
use crate::hostile_content::browser;
use crate::stand::Stand;
use crate::support::browser::Engine;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What Vite made of an example, at the addresses that it expects.
fn built(example: &str) -> Router {
    let folder = root().join("target/web-examples").join(example).join("dist");
    files(&folder).into_iter().fold(Router::new(), |router, file| {
        let path = file.strip_prefix(&folder).expect("below it").to_str().expect("UTF-8").to_owned();
        let kind = if path.ends_with(".html") { "text/html" } else { "text/javascript" };
        let content = std::fs::read(&file).expect("a file");
        let path = if path == "index.html" { "/".to_owned() } else { format!("/{path}") };
        router.route(&path, get(async move || ([(CONTENT_TYPE, kind)], content).into_response()))
    })
}

/// Every file below a folder, without what npm installs.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let entries = entries.map(|entry| entry.expect("an entry").path()).filter(|path| !path.ends_with("node_modules"));
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    folders.iter().flat_map(|folder| self::files(folder)).chain(files).collect()
}

fn modified(file: &Path) -> SystemTime {
    std::fs::metadata(file).and_then(|metadata| metadata.modified()).expect("a time")
}

/// Nothing is tested that is older than what it is made of.
fn assert_is_new() {
    const CURE: &str = "run examples/build-web";
    let stamp = root().join("target/web-examples/built");
    assert!(stamp.exists(), "the examples are not built: {CURE}");
    let examples = ["web-plain", "web-react", "web-vue"].map(|example| files(&root().join("examples").join(example)));
    let library =
        std::fs::read_dir(root().join("web")).expect("the library").map(|entry| entry.expect("an entry").path());
    let library = library.filter(|file| file.is_file());
    for source in examples.into_iter().flatten().chain(library) {
        assert!(modified(&source) <= modified(&stamp), "{} is newer than the built examples: {CURE}", source.display());
    }
}

async fn signs_in_with_a_click(example: &str, engine: Engine) {
    assert_is_new();
    let stand = Stand::new("/loopkey", |_| built(example)).await;
    let page = browser(engine).await.new_context().await.expect("a context").new_page().await.expect("a tab");
    page.set_viewport(800, 600).await.expect("a size");
    page.goto(&stand.url()).await.expect("the page");
    page.click("loopkey-card >>> #login").await.expect("the card's button, with a name");
    page.wait_for("$('#name')?.textContent === 'Ada Lovelace' && $('#session').checkVisibility()", SOON)
        .await
        .expect("in");
    page.wait_for("!$('loopkey-card')?.checkVisibility()", SOON).await.expect("the card has gone");
    let picture = root().join("target/screenshots").join(format!("example-{example}-{engine:?}.png").to_lowercase());
    std::fs::create_dir_all(picture.parent().expect("a folder")).expect("a folder");
    page.screenshot(&picture).await.expect("a picture");
    // The bundler has built the worker too: a second tab brings no second socket.
    let second = page.context().new_page().await.expect("a tab");
    second.goto(&stand.url()).await.expect("the page");
    second.wait_for("$('#name')?.textContent === 'Ada Lovelace'", SOON).await.expect("in as well");
    let worker = "performance.getEntriesByType('resource').length > 0 && 'SharedWorker' in window";
    second.wait_for(worker, SOON).await.expect("a browser with workers");
    assert_eq!(stand.sockets(), 1);
    page.bring_to_front().await.expect("the first tab");
    // And out again, with the session's end shown by the same means.
    page.click("#logout").await.expect("the button");
    page.wait_for("$('loopkey-card >>> #login')?.checkVisibility()", SOON).await.expect("the card again");
    stand.leave();
}

#[tokio::test]
async fn plain_html_signs_in_in_chromium() {
    signs_in_with_a_click("web-plain", Engine::Chromium).await;
}

#[tokio::test]
async fn plain_html_signs_in_in_firefox() {
    signs_in_with_a_click("web-plain", Engine::Firefox).await;
}

#[tokio::test]
async fn react_signs_in_in_chromium() {
    signs_in_with_a_click("web-react", Engine::Chromium).await;
}

#[tokio::test]
async fn react_signs_in_in_firefox() {
    signs_in_with_a_click("web-react", Engine::Firefox).await;
}

#[tokio::test]
async fn vue_signs_in_in_chromium() {
    signs_in_with_a_click("web-vue", Engine::Chromium).await;
}

#[tokio::test]
async fn vue_signs_in_in_firefox() {
    signs_in_with_a_click("web-vue", Engine::Firefox).await;
}
