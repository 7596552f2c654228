//! Too much of what would be allowed once: opens, prompts. Nothing is exempt for coming from loopback.

use loopkey::agent::{Answer, OriginSettings};
use loopkey::protocol::base64url;
use loopkey::protocol::limits::{PROMPTS_PER_WINDOW, SocketLimits};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::raw::{Raw, upgrade};
use super::stage::{Socket, Stage, compact, header};
use loopkey::crypto::{Algorithm, SoftwareKey};

/// Each way to say `open` badly: every optional member there or not, and what there is of no worth.
fn bad_opens(stage: &Stage) -> Vec<Value> {
    let own = SoftwareKey::generate(Algorithm::Es256).expect("a key").0;
    let forged = compact(&header("loopkey-challenge+jwt", &own), &stage.issuer.claims(), &own);
    let members = [("challenge", json!(forged)), ("resume", json!(base64url::encode([0; 65]))), ("seq", json!(1))];
    (0..8_u8)
        .map(|chosen| {
            let chosen = members.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            chosen
                .map(|(_, (name, value))| ((*name).to_owned(), value.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect()
}

/// Connects that many times at once; the sockets that were let in.
async fn rush(stage: &Stage, connections: usize) -> Vec<Socket> {
    let mut knocking = Vec::new();
    for _ in 0..connections {
        let mut raw = Raw::connect(stage.port()).await;
        raw.say(upgrade(stage.port(), stage.issuer.url.origin().as_str())).await;
        knocking.push(raw);
    }
    let mut let_in = Vec::new();
    for mut raw in knocking {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match raw.0.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        if head.starts_with(b"HTTP/1.1 101 ") {
            let_in.push(Socket::greet(raw).await);
        }
    }
    let_in
}

/// Waits until that many sockets are left.
async fn settled(stage: &Stage, sockets: usize) {
    while stage.agent.handle.status().origins[0].sockets != sockets {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a12_a_thousand_bad_opens_meet_the_limits_whatever_they_carry() {
    let stage = Stage::new().await;
    let limit = SocketLimits::default().not_yet_open;
    let asked_before = stage.issuer.times_asked();
    let mut attempts = 0;
    let mut answered = 0;
    while attempts < 1_000 {
        for members in bad_opens(&stage) {
            let sockets = rush(&stage, 25).await;
            attempts += 25;
            assert_eq!(sockets.len(), limit, "not yet open, all at once");
            for mut socket in sockets {
                socket.open(members.clone()).await;
                // One try a socket.
                let code = socket.closed().await;
                assert!(matches!(code, Some(4400 | 4401)), "{members}: {code:?}");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, attempts / 25 * limit);
    // Unknown keys were looked for once, not once for each.
    assert_eq!(stage.issuer.times_asked(), asked_before + 1);
    stage.unharmed().await;
}

#[tokio::test]
async fn i101_a_thousand_opens() {
    let stage = Stage::new().await;
    // Sound ones, too, are let in only up to the limit, as long as nobody leaves.
    let mut kept = Vec::new();
    for _ in 0..100 {
        for mut socket in rush(&stage, 1).await {
            socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
            socket.next_of("ready").await;
            kept.push(socket);
        }
    }
    assert_eq!(kept.len() + 1, SocketLimits::default().per_origin, "with the honest page that was there first");
    kept.clear();
    settled(&stage, 1).await;
    // One after the other they leave nothing behind.
    for _ in 0..900 {
        let mut socket = stage.greeted().await;
        socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
        socket.next_of("ready").await;
    }
    settled(&stage, 1).await;
    assert_eq!(stage.issuer.times_asked(), 1, "the issuer notices none of it");
    stage.unharmed().await;
}

#[tokio::test]
async fn i102_a_page_that_asks_and_takes_back_without_end() {
    let stage = Stage::new().await;
    stage.answer(None);
    let mut socket = stage.live().await;
    for id in 1..=20 {
        socket.login(id, 0, stage.issuer.challenge()).await;
        if id <= PROMPTS_PER_WINDOW as u64 {
            socket.next_of("consent").await;
            socket.say(&json!({ "type": "cancel", "id": id })).await;
            assert_eq!(socket.answer(id).await["code"], "cancelled");
        } else {
            assert_eq!(socket.answer(id).await["code"], "busy");
        }
    }
    assert_eq!(stage.prompts(), PROMPTS_PER_WINDOW);
    // Leaving and coming back is no way around it.
    drop(socket);
    let mut socket = stage.live().await;
    socket.login(1, 0, stage.issuer.challenge()).await;
    assert_eq!(socket.answer(1).await["code"], "busy");
    assert_eq!(stage.prompts(), PROMPTS_PER_WINDOW);
    stage.unharmed().await;
}

#[tokio::test]
async fn a33_a_storm_of_prompts_is_one_prompt() {
    let origins = ["https://second.example", "https://third.example"];
    let stage = Stage::with(|settings| {
        let more = origins
            .map(|origin| OriginSettings { origin: origin.parse().expect("an origin"), ..settings.origins[0].clone() });
        settings.origins.extend(more);
    })
    .await;
    stage.answer(None);
    // Ten pages of three origins, each asking five times.
    let own = stage.issuer.url.origin().to_string();
    let mut pages = Vec::new();
    for origin in [own.as_str(), origins[0], origins[1]].into_iter().cycle().take(10) {
        let mut page = stage.greeted_from(origin).await;
        page.open(json!({ "challenge": stage.issuer.sign(&stage.issuer.claims_for(origin)) })).await;
        page.next_of("ready").await;
        pages.push((origin, page));
    }
    pages[0].1.login(1, 0, stage.issuer.challenge()).await;
    let shown = pages[0].1.next_of("consent").await;
    for id in 2..=6 {
        for (origin, page) in &mut pages {
            page.login(id, 0, stage.issuer.sign(&stage.issuer.claims_for(origin))).await;
            assert_eq!(page.answer(id).await["code"], "busy", "{origin}");
        }
    }
    assert_eq!(stage.prompts(), 1);
    // The digits are the prompt's own, so that no other page can say that the prompt is for it.
    let prompt = stage.asker.prompts.lock().expect("unpoisoned")[0].clone();
    assert_eq!((prompt.origin.as_str(), &json!(prompt.code)), (own.as_str(), &shown["code"]));
    // The one that asked first goes; of each of the others three prompts at most are ever shown.
    stage.answer(Some(Answer::Deny));
    pages[0].1.say(&json!({ "type": "cancel", "id": 1 })).await;
    assert_eq!(pages[0].1.answer(1).await["code"], "cancelled");
    for id in 7..=11 {
        for (origin, page) in &mut pages {
            page.login(id, 0, stage.issuer.sign(&stage.issuer.claims_for(origin))).await;
            assert!(["denied", "busy"].map(Value::from).contains(&page.answer(id).await["code"]));
        }
    }
    for origin in [own.as_str(), origins[0], origins[1]] {
        let prompts = stage.asker.prompts.lock().expect("unpoisoned").clone();
        assert_eq!(prompts.iter().filter(|prompt| prompt.origin.as_str() == origin).count(), PROMPTS_PER_WINDOW);
    }
    stage.unharmed().await;
}
