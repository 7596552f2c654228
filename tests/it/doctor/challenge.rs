//! Challenges that the agent did not accept, brought by pages of the test's own.

use std::path::Path;

use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::page::OpenWith;

use super::{Diagnosis, agent_of, examine};
use crate::support::world::{RunningAgent, Server, TestBrowser, TestPage, enrol};

/// An agent with somebody who is enrolled: nothing else is wrong.
async fn agent(folder: &Path, server: &Server) -> RunningAgent {
    let agent = agent_of(folder, &server.issuer, |_| {}).await;
    enrol(server, &agent.handle, "ada").await;
    agent
}

/// What is found after a page of the login server's own origin has brought a challenge and was sent away.
async fn after(folder: &Path, server: &Server, agent: RunningAgent, challenge: String) -> Diagnosis {
    after_page_of(folder, &server.issuer, agent, challenge).await
}

async fn after_page_of(folder: &Path, place: &Issuer, agent: RunningAgent, challenge: String) -> Diagnosis {
    let mut page = TestPage::connect(&agent.handle, place, OpenWith::Challenge(challenge)).await;
    assert_eq!(page.closed().await, Some(4401));
    let diagnosis = examine(folder).await;
    agent.stop().await;
    diagnosis
}

#[tokio::test]
async fn challenges_that_were_made_for_another_origin_are_named_with_the_one_that_brought_them() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let elsewhere: Issuer = "http://localhost:9".parse().expect("a page's place");
    let agent =
        agent_of(folder.path(), &server.issuer, |settings| settings.origins[0].origin = elsewhere.origin()).await;
    enrol(&server, &agent.handle, "ada").await;
    let challenge = TestBrowser::of(&server).challenge().await;
    let diagnosis = after_page_of(folder.path(), &elsewhere, agent, challenge).await;
    // Nor does the login server know that page.
    let wrong = vec!["challenge_foreign", "origin_refused"];
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, wrong), "{}", diagnosis.words);
    let finding = diagnosis.finding("challenge_foreign", "error", "compare `issuer` of this [[origin]]");
    assert_eq!(finding["details"]["origin"], elsewhere.origin().as_str());
}

#[tokio::test]
async fn challenges_of_another_login_server_are_named() {
    let (server, other) = (Server::start().await, Server::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let agent = agent(folder.path(), &server).await;
    let challenge = TestBrowser::of(&other).challenge().await;
    let diagnosis = after(folder.path(), &server, agent, challenge).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["challenge_key"]), "{}", diagnosis.words);
    diagnosis.finding("challenge_key", "error", "compare `issuer` of this [[origin]]");
}

#[tokio::test]
async fn a_challenge_that_is_brought_twice_is_a_note() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent(folder.path(), &server).await;
    let challenge = TestBrowser::of(&server).challenge().await;
    let _first = TestPage::open(&agent.handle, &server.issuer, OpenWith::Challenge(challenge.clone())).await;
    let diagnosis = after(folder.path(), &server, agent, challenge).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (0, vec![]), "{}", diagnosis.words);
    diagnosis.finding("challenge_replayed", "note", "fetch a new challenge each time");
}

/// As where two login servers answer for one issuer, each with keys of its own.
#[tokio::test]
async fn a_challenge_that_is_signed_with_an_unknown_key_is_named() {
    let (mut server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let challenge = TestBrowser::of(&server).challenge().await;
    server.forget_everything().await;
    let agent = agent(folder.path(), &server).await;
    let diagnosis = after(folder.path(), &server, agent, challenge).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["challenge_key"]), "{}", diagnosis.words);
    diagnosis.finding("challenge_key", "error", "give all of them the same store folder");
}

#[tokio::test]
async fn what_is_no_challenge_is_named() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let agent = agent(folder.path(), &server).await;
    let mut spoiled = TestBrowser::of(&server).challenge().await;
    spoiled.truncate(spoiled.len() - 4);
    let diagnosis = after(folder.path(), &server, agent, spoiled).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["challenge_malformed"]), "{}", diagnosis.words);
    diagnosis.finding("challenge_malformed", "warning", "pass the login server's answer on as it is");
}
