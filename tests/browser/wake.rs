//! scratch
use std::time::Duration;
use axum::Router;
use axum::response::{IntoResponse, Html};
use crate::site::Place;
use crate::support::browser::{Browser, Engine, LaunchOptions};
async fn probe(engine: Engine, csp: &'static str, way: &str) -> (bool, Vec<String>, String) {
    let home = tempfile::tempdir().expect("home");
    let h = home.path();
    let place = Place::take().await;
    let url = place.url();
    let mark = h.join("mark");
    let prog = h.join("prog");
    std::fs::write(&prog, format!("#!/bin/sh\necho \"$@\" > {}\n", mark.display())).unwrap();
    std::process::Command::new("chmod").arg("+x").arg(&prog).status().unwrap();
    std::fs::create_dir_all(h.join(".local/share/applications")).unwrap();
    std::fs::create_dir_all(h.join(".config")).unwrap();
    std::fs::write(h.join(".local/share/applications/x-wake.desktop"), format!("[Desktop Entry]\nType=Application\nName=X\nExec={} open-url -- %u\nMimeType=x-scheme-handler/loopkey;\n", prog.display())).unwrap();
    std::fs::write(h.join(".config/mimeapps.list"), "[Default Applications]\nx-scheme-handler/loopkey=x-wake.desktop;\n").unwrap();
    let page = Router::new().route("/", axum::routing::get(move || async move { ([("content-security-policy", csp)], Html("<!doctype html><button id=b>x</button>")).into_response() }));
    let _site = place.serve(&page);
    let options = LaunchOptions::default().environment("HOME", h).environment("DISPLAY", ":77").environment("XDG_CONFIG_HOME", h.join(".config")).environment("XDG_DATA_HOME", h.join(".local/share")).opens(&url, "loopkey");
    let browser = Browser::launch(engine, options).await.expect("browser");
    let ctx = browser.new_context().await.unwrap();
    let tab = ctx.new_page().await.unwrap();
    tab.goto(&url).await.unwrap();
    let script = format!("(() => {{ globalThis.log = []; for (const t of ['beforeunload','pagehide','blur']) addEventListener(t, () => log.push(t)); document.addEventListener('securitypolicyviolation', e => log.push(e.violatedDirective)); document.querySelector('#b').addEventListener('click', () => {{ {way} }}); return true; }})()");
    assert!(tab.eval::<bool>(&script).await.unwrap());
    tab.click("#b").await.unwrap();
    let started = tokio::time::Instant::now();
    while !mark.exists() && started.elapsed() < Duration::from_secs(4) { tokio::time::sleep(Duration::from_millis(50)).await; }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log: String = tab.eval("JSON.stringify([location.href, log])").await.unwrap_or_else(|e| format!("{e:#}"));
    (mark.exists(), tab.console(), log)
}
#[tokio::test]
async fn scratch() {
    let iframe = "const f = document.createElement('iframe'); f.hidden = true; f.src = 'loopkey:wake'; document.body.append(f);";
    let anchor = "const a = document.createElement('a'); a.href = 'loopkey:wake'; a.click();";
    let strict = "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'none'";
    let framed = "default-src 'none'; frame-src loopkey:";
    for engine in [Engine::Firefox] {
        for (csp, way) in [("default-src *", iframe), (strict, iframe), (framed, iframe), (strict, anchor)] {
            println!("{engine:?} | {csp} | {} => {:?}", &way[..30], probe(engine, csp, way).await);
        }
    }
}
