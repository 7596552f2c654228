//! Pages start and steer the example of `clients/node`, a real process in Node.js, and hear what it says of itself.

use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::grant::Grant;
use loopkey::protocol::message::AgentMessage;
use serde_json::{Value, json};

use crate::support::harbor::Harbor;
use crate::support::world::{TestPage, World};

/// Has the application do something. The result and the news may come in either order.
async fn invoke(page: &mut TestPage, name: &str, params: Value, with_news: bool) -> (Value, Option<Value>) {
    page.send(&json!({ "type": "action", "id": 1, "name": name, "params": params }).to_string()).await;
    let (mut result, mut news) = (None, None);
    while result.is_none() || (with_news && news.is_none()) {
        match page.next().await {
            Ok(AgentMessage::Result { id: 1, value }) => result = Some(value),
            Ok(AgentMessage::News { name: of, value }) if of == "player" => news = Some(value),
            other => panic!("{other:?}"),
        }
    }
    (result.expect("a result"), news)
}

#[tokio::test]
async fn a_page_opens_a_document_and_steers_the_player_of_an_application_in_node() {
    let world = World::with(|settings| {
        let actions = ["open", "player"].map(|name| Grant::Action(name.to_owned()));
        settings.origins[0].grants = [Grant::Presence, Grant::Login].into_iter().chain(actions).collect();
    })
    .await;
    let ticket = world.server.ticket("ada").await;
    let mut harbor = Harbor::start(&world.settings.control, &world.server.issuer, &ticket, "allow");
    harbor.says("Signed in as").await;
    let (_, mut page) = world.open_page().await;
    let paused = json!({ "playing": false, "track": 1 });
    assert_eq!(page.next().await, Ok(AgentMessage::News { name: "player".into(), value: paused }));

    let (opened, _) = invoke(&mut page, "open", json!({ "document": "plan" }), false).await;
    assert_eq!(opened, json!({ "opened": "plan" }));
    let said = harbor.says("opens").await;
    assert_eq!(said, format!("{} opens \"plan\".", world.server.issuer.origin()));

    let playing = json!({ "playing": true, "track": 1 });
    let answer = invoke(&mut page, "player", json!({ "command": "play" }), true).await;
    assert_eq!(answer, (playing.clone(), Some(playing)));
    harbor.says("Player: track 1, playing.").await;
    let (_, mut other_tab) = world.open_page().await;
    assert!(matches!(other_tab.next().await, Ok(AgentMessage::News { .. })), "it hears how things stand");
    let next = json!({ "playing": true, "track": 2 });
    invoke(&mut page, "player", json!({ "command": "next" }), true).await;
    assert_eq!(other_tab.next().await, Ok(AgentMessage::News { name: "player".into(), value: next }));

    // What the schema does not have never reaches the application.
    let stop = json!({ "type": "action", "id": 2, "name": "player", "params": { "command": "stop" } });
    page.send(&stop.to_string()).await;
    assert_eq!(page.next().await, Ok(AgentMessage::Refused { id: 2, code: RefusalCode::Failed }));
    world.agent.stop().await;
}
