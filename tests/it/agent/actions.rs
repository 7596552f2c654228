//! What pages have the client do (protocol section 4.4).

use loopkey::agent::control::rpc::RpcError;
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::grant::Grant;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};

use crate::support::world::{TestClient, TestPage, World};

/// A world whose origin may invoke `open` and `player`.
async fn world() -> World {
    World::with(|settings| {
        let actions = ["open", "player"].map(|name| Grant::Action(name.to_owned()));
        let grants = [Grant::Presence, Grant::Login].into_iter().chain(actions);
        settings.origins[0].grants = grants.collect();
    })
    .await
}

fn document() -> Value {
    let properties = json!({ "document": { "type": "string", "maxLength": 40 } });
    json!({ "type": "object", "properties": properties, "required": ["document"], "additionalProperties": false })
}

async fn invoke(page: &mut TestPage, id: u64, name: &str, params: Value) {
    page.send(&json!({ "type": "action", "id": id, "name": name, "params": params }).to_string()).await;
}

fn refused(id: u64, code: RefusalCode) -> AgentMessage {
    AgentMessage::Refused { id, code }
}

#[tokio::test]
async fn a_page_has_the_client_open_a_document() {
    let world = world().await;
    let mut client = TestClient::hello(&world.settings.control).await;
    client.ok("actions.register", json!({ "name": "open", "schema": document() })).await;
    let (_, mut page) = world.open_page().await;
    invoke(&mut page, 1, "open", json!({ "document": "plan" })).await;
    let call = client.next("action.invoke").await;
    let origin = world.server.issuer.origin();
    let asked = json!({ "origin": origin, "account": world.account, "name": "open", "params": { "document": "plan" } });
    assert_eq!(call.params, asked);
    client.peer.answer(&call.id.expect("a number"), Ok(json!({ "pages": 3 }))).await;
    let value = json!({ "pages": 3 });
    assert_eq!(page.next().await, Ok(AgentMessage::Result { id: 1, value }));
    // The client refuses, or fails.
    for (code, refusal) in [("denied", RefusalCode::Denied), ("no_such_document", RefusalCode::Failed)] {
        invoke(&mut page, 2, "open", json!({ "document": "x" })).await;
        let call = client.next("action.invoke").await;
        client.peer.answer(&call.id.expect("a number"), Err(RpcError::failed(code, "no"))).await;
        assert_eq!(page.next().await, Ok(refused(2, refusal)));
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn parameters_that_do_not_fit_the_schema_never_reach_the_client() {
    let world = world().await;
    let mut client = TestClient::hello(&world.settings.control).await;
    client.ok("actions.register", json!({ "name": "open", "schema": document() })).await;
    let (_, mut page) = world.open_page().await;
    for params in [
        json!({}),
        json!([]),
        json!(null),
        json!({ "document": 7 }),
        json!({ "document": "x".repeat(41) }),
        json!({ "document": "x", "more": 1 }),
    ] {
        invoke(&mut page, 1, "open", params.clone()).await;
        assert_eq!(page.next().await, Ok(refused(1, RefusalCode::Failed)), "{params}");
    }
    invoke(&mut page, 2, "open", json!({ "document": "the first that fits" })).await;
    assert_eq!(client.next("action.invoke").await.params["params"]["document"], "the first that fits");
    world.agent.stop().await;
}

#[tokio::test]
async fn an_action_needs_its_grant_a_client_and_somebody_signed_in() {
    let world = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    let (_, mut page) = world.open_page().await;
    invoke(&mut page, 1, "open", json!({})).await;
    assert_eq!(page.next().await, Ok(refused(1, RefusalCode::UnknownAction)), "nobody registered it");
    for name in ["open", "erase"] {
        client.ok("actions.register", json!({ "name": name, "schema": true })).await;
    }
    invoke(&mut page, 2, "erase", json!({})).await;
    assert_eq!(page.next().await, Ok(refused(2, RefusalCode::NotGranted)));
    world.agent.handle.set_presence(&world.account, PresenceState::Locked).expect("locked");
    assert!(matches!(page.next().await, Ok(AgentMessage::State { .. })));
    invoke(&mut page, 3, "open", json!({})).await;
    assert_eq!(page.next().await, Ok(refused(3, RefusalCode::Denied)));
    world.agent.stop().await;
}

#[tokio::test]
async fn an_action_belongs_to_one_client_and_goes_with_it() {
    let world = world().await;
    let open = || json!({ "name": "open", "schema": true });
    let first = TestClient::hello(&world.settings.control).await;
    first.ok("actions.register", open()).await;
    first.ok("actions.register", open()).await;
    let mut second = TestClient::hello(&world.settings.control).await;
    assert_eq!(second.code("actions.register", open()).await, "taken");
    assert_eq!(second.code("actions.unregister", json!({ "name": "open" })).await, "not_registered");
    assert_eq!(second.code("actions.publish", json!({ "name": "open", "value": 1 })).await, "not_registered");
    drop(first);
    // The agent learns by itself that the client is gone.
    while second.peer.call("actions.register", &open()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let (_, mut page) = world.open_page().await;
    invoke(&mut page, 1, "open", json!({})).await;
    let call = second.next("action.invoke").await;
    second.ok("actions.unregister", json!({ "name": "open" })).await;
    invoke(&mut page, 2, "open", json!({})).await;
    assert_eq!(page.next().await, Ok(refused(2, RefusalCode::UnknownAction)));
    // A page that leaves no longer waits for what it asked.
    drop(page);
    assert_eq!(second.next("action.withdrawn").await.params["id"], call.id.expect("a number"));
    world.agent.stop().await;
}

#[tokio::test]
async fn a_bad_registration_is_told_apart() {
    let world = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    for (name, schema, code) in [
        ("a b", json!(true), "bad_name"),
        ("", json!(true), "bad_name"),
        ("open", json!({ "type": "strnig" }), "bad_schema"),
        ("open", json!({ "$ref": "https://elsewhere.example/schema" }), "bad_schema"),
        ("open", json!({ "$ref": "file:///etc/passwd" }), "bad_schema"),
        ("open", json!({ "pattern": "(" , "type": "string" }), "bad_schema"),
    ] {
        let params = json!({ "name": name, "schema": schema });
        assert_eq!(client.code("actions.register", params.clone()).await, code, "{params}");
    }
    let wrong = json!({ "name": "open", "schema": { "properties": { "url": { "type": "strnig" } } } });
    let error = client.peer.call("actions.register", &wrong).await.expect_err("a bad schema").message;
    assert!(error.contains("/properties/url/type") && !error.contains("schema.invalid"), "{error}");
    for n in 0..64 {
        client.ok("actions.register", json!({ "name": format!("action-{n}"), "schema": true })).await;
    }
    assert_eq!(client.code("actions.register", json!({ "name": "one-more", "schema": true })).await, "too_many");
    client.ok("actions.register", json!({ "name": "action-7", "schema": false })).await;
    world.agent.stop().await;
}

#[tokio::test]
async fn what_the_client_says_of_an_action_reaches_every_page_that_may_invoke_it() {
    let world = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    client.ok("actions.register", json!({ "name": "player", "schema": true })).await;
    client.ok("actions.register", json!({ "name": "secret", "schema": true })).await;
    let (_, mut page) = world.open_page().await;
    let news = |value: Value| Ok(AgentMessage::News { name: "player".into(), value });
    client.ok("actions.publish", json!({ "name": "secret", "value": 0 })).await;
    client.ok("actions.publish", json!({ "name": "player", "value": { "playing": true } })).await;
    assert_eq!(page.next().await, news(json!({ "playing": true })), "and nothing of the secret");
    let (_, mut late) = world.open_page().await;
    assert_eq!(late.next().await, news(json!({ "playing": true })), "a page that comes later hears the newest");
    let too_long = json!({ "name": "player", "value": "x".repeat(7 * 1024) });
    assert_eq!(client.code("actions.publish", too_long).await, "too_long");
    // What was said was about this person.
    world.agent.handle.sign_out(&world.account).expect("signed out");
    crate::support::world::enrol(&world.server, &world.agent.handle, "bea").await;
    let (_, mut after) = world.open_page().await;
    client.ok("actions.publish", json!({ "name": "player", "value": 2 })).await;
    assert_eq!(after.next().await, news(json!(2)), "the first word of the new person");
    world.agent.stop().await;
}
