//! Sound messages at the wrong time: out of order, of another socket, or of a person who is not there any more.

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use loopkey::agent::{Answer, Asker, FileKeyStore, Handle, KeyStore, KeyStoreError, Prompt};
use loopkey::crypto::{Algorithm, KeyId, PublicKey, SignError, Signer};
use loopkey::protocol::base64url;
use loopkey::protocol::grant::{Choice, ConsentMode};
use loopkey::protocol::id::Subject;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};

use super::stage::{Socket, Stage, enrol};

#[tokio::test]
async fn i089_requests_before_open() {
    let stage = Stage::new().await;
    for request in [
        json!({ "type": "login", "id": 1, "epoch": 0, "challenge": stage.issuer.challenge() }),
        json!({ "type": "prove", "id": 1, "challenge": stage.issuer.challenge() }),
        json!({ "type": "cancel", "id": 1 }),
        json!({ "type": "action", "id": 1, "name": "open", "params": {} }),
        json!({ "type": "pong" }),
    ] {
        let mut socket = stage.greeted().await;
        socket.say(&request).await;
        assert_eq!(socket.next().await, Err(Some(4400)), "{request}");
    }
    assert_eq!(stage.prompts(), 0);
    stage.unharmed().await;
}

#[tokio::test]
async fn i090_a_second_open() {
    let stage = Stage::new().await;
    for second in [json!({ "challenge": stage.issuer.challenge() }), json!({}), json!({ "resume": "", "seq": 1 })] {
        let mut socket = stage.live().await;
        socket.open(second).await;
        assert_eq!(socket.closed().await, Some(4400));
    }
    // With the ticket of the very same socket: it is not used up by that, and still good for one socket.
    let mut socket = stage.greeted().await;
    socket.open(json!({ "challenge": stage.issuer.challenge() })).await;
    let ready = socket.next_of("ready").await;
    let resume = json!({ "resume": ready["resume"], "seq": ready["seq"] });
    socket.open(resume.clone()).await;
    assert_eq!(socket.closed().await, Some(4400));
    let mut again = stage.greeted().await;
    again.open(resume.clone()).await;
    assert_eq!(again.next_of("ready").await["resumed"], true);
    let mut twice = stage.greeted().await;
    twice.open(resume).await;
    assert_eq!(twice.closed().await, Some(4401));
    stage.unharmed().await;
}

/// Says `open` with this nonce instead of the socket's own.
async fn open_with_nonce(stage: &Stage, socket: &mut Socket, nonce: Option<Value>) {
    let mut open = json!({ "type": "open", "challenge": stage.issuer.challenge() });
    if let Some(nonce) = nonce {
        open["nonce"] = nonce;
    }
    socket.say(&open).await;
}

#[tokio::test]
async fn i091_a_nonce_that_is_wrong_or_missing() {
    let stage = Stage::new().await;
    let mut nonces: Vec<_> =
        [json!(null), json!(""), json!("A"), json!(7), json!(base64url::encode([0; 32]))].map(Some).into();
    nonces.push(None);
    for nonce in nonces {
        let mut socket = stage.greeted().await;
        open_with_nonce(&stage, &mut socket, nonce.clone()).await;
        assert_eq!(socket.closed().await, Some(4400), "{nonce:?}");
    }
    // The right one in another spelling.
    for change in [|n: &str| format!("{n}="), |n: &str| n.to_lowercase(), |n: &str| format!(" {n}")] {
        let mut socket = stage.greeted().await;
        let nonce = json!(change(&socket.nonce));
        open_with_nonce(&stage, &mut socket, Some(nonce)).await;
        assert_eq!(socket.closed().await, Some(4400));
    }
    stage.unharmed().await;
}

#[tokio::test]
async fn i092_the_nonce_of_another_socket() {
    let stage = Stage::new().await;
    let (mut first, mut second) = (stage.greeted().await, stage.greeted().await);
    assert_ne!(first.nonce, second.nonce);
    let nonce = json!(first.nonce);
    open_with_nonce(&stage, &mut second, Some(nonce.clone())).await;
    assert_eq!(second.closed().await, Some(4400));
    open_with_nonce(&stage, &mut first, Some(nonce.clone())).await;
    first.next_of("ready").await;
    // One that was echoed already is of no use either.
    let mut third = stage.greeted().await;
    open_with_nonce(&stage, &mut third, Some(nonce)).await;
    assert_eq!(third.closed().await, Some(4400));
    stage.unharmed().await;
}

/// What can become of the person while a login is under way, and what the page is told of it.
#[derive(Debug, Clone, Copy)]
enum Change {
    Lock,
    SignOut,
    /// Somebody else signs in.
    Switch,
    /// The same person signs out and in again: that is another epoch, too.
    Return,
}

const CHANGES: [(Change, &str); 4] = [
    (Change::Lock, "locked"),
    (Change::SignOut, "switched"),
    (Change::Switch, "switched"),
    (Change::Return, "switched"),
];

impl Change {
    fn happen(self, agent: &Handle, account: &Subject, other: &Subject) {
        match self {
            Self::Lock => drop(agent.set_presence(account, PresenceState::Locked).expect("set")),
            Self::SignOut => drop(agent.sign_out(account).expect("signed out")),
            Self::Switch => drop(agent.set_presence(other, PresenceState::SignedIn).expect("set")),
            Self::Return => {
                agent.sign_out(account).expect("signed out");
                agent.set_presence(account, PresenceState::SignedIn).expect("set");
            }
        }
    }
}

/// The epoch now.
fn epoch(stage: &Stage) -> u64 {
    stage.agent.handle.status().issuers[0].epoch.0
}

/// A second enrolled person; the first one is signed in again.
async fn another_person(stage: &Stage) -> Subject {
    let other = enrol(&stage.issuer, &stage.agent).await;
    stage.agent.handle.set_presence(&stage.account, PresenceState::SignedIn).expect("set");
    other
}

#[tokio::test]
async fn i103_a_login_while_the_person_is_not_there_or_leaves_under_the_prompt() {
    for (change, under_the_prompt) in CHANGES {
        let stage = Stage::new().await;
        let other = another_person(&stage).await;
        stage.answer(None);
        let card = epoch(&stage);
        let mut socket = stage.live().await;
        socket.login(1, card, stage.issuer.challenge()).await;
        socket.next_of("consent").await;
        change.happen(&stage.agent.handle, &stage.account, &other);
        assert_eq!(socket.answer(1).await["code"], under_the_prompt, "{change:?}");
        // Asked again by the card that the page still shows, and by cards of states that never were.
        for (id, epoch) in [(2, card), (3, epoch(&stage) + 1), (4, u64::MAX)] {
            socket.login(id, epoch, stage.issuer.challenge()).await;
            let code = if epoch == card { under_the_prompt } else { "switched" };
            assert_eq!(socket.answer(id).await["code"], code, "{change:?}");
        }
        assert_eq!(stage.prompts(), 1, "{change:?}");
        // By the newest state: whoever is there may be asked, and the prompt of before is gone.
        socket.login(5, epoch(&stage), stage.issuer.challenge()).await;
        match change {
            Change::Lock => assert_eq!(socket.answer(5).await["code"], "locked"),
            Change::SignOut => assert_eq!(socket.answer(5).await["code"], "signed_out"),
            Change::Switch | Change::Return => drop(socket.next_of("consent").await),
        }
        drop(socket);
        stage.unharmed().await;
    }
}

/// Strikes once, at the worst moment: between the person's yes and the token.
#[derive(Default)]
struct Meddler {
    armed: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    struck: OnceLock<()>,
}

impl std::fmt::Debug for Meddler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddler")
    }
}

impl Meddler {
    fn strike(&self) {
        // Taken first: what it does may sign something itself.
        let deed = self.armed.lock().expect("unpoisoned").take();
        if let Some(deed) = deed {
            deed();
            let _ = self.struck.set(());
        }
    }
}

/// Says yes, and meanwhile something happens.
struct MeddlingAsker(Arc<Meddler>);

#[async_trait]
impl Asker for MeddlingAsker {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, _: Prompt) -> Answer {
        self.0.strike();
        Answer::Allow { remember: false }
    }
}

/// Keys in the signing of which something happens.
#[derive(Debug)]
struct MeddlingKeys(FileKeyStore, Arc<Meddler>);

struct MeddlingKey(Arc<dyn Signer>, Arc<Meddler>);

impl Signer for MeddlingKey {
    fn public(&self) -> &PublicKey {
        self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.1.strike();
        self.0.sign(message)
    }
}

impl KeyStore for MeddlingKeys {
    fn create(&self) -> Result<Arc<dyn Signer>, KeyStoreError> {
        Ok(Arc::new(MeddlingKey(self.0.create()?, Arc::clone(&self.1))))
    }

    fn load(&self, id: KeyId) -> Result<Arc<dyn Signer>, KeyStoreError> {
        Ok(Arc::new(MeddlingKey(self.0.load(id)?, Arc::clone(&self.1))))
    }

    fn remove(&self, id: KeyId) -> Result<(), KeyStoreError> {
        self.0.remove(id)
    }
}

#[tokio::test]
async fn i104_a_change_between_the_yes_and_the_token() {
    for while_signing in [false, true] {
        for (change, code) in CHANGES {
            let meddler = Arc::new(Meddler::default());
            let keys = tempfile::tempdir().expect("a folder");
            let store = FileKeyStore::new(keys.path().join("keys"), Algorithm::Es256).expect("a key store");
            let stage = Stage::built(
                |settings| {
                    let mode = if while_signing { ConsentMode::Page } else { ConsentMode::Always };
                    settings.origins[0].consent = mode;
                },
                |builder| {
                    let builder = builder.asker(Arc::new(MeddlingAsker(Arc::clone(&meddler))));
                    builder.key_store(Arc::new(MeddlingKeys(store, Arc::clone(&meddler))))
                },
            )
            .await;
            let other = another_person(&stage).await;
            let mut socket = stage.live().await;
            let (agent, account) = (stage.agent.handle.clone(), stage.account.clone());
            *meddler.armed.lock().expect("unpoisoned") =
                Some(Box::new(move || change.happen(&agent, &account, &other)));
            socket.login(1, epoch(&stage), stage.issuer.challenge()).await;
            let answer = socket.answer(1).await;
            assert_eq!(answer["code"], code, "{change:?}, while signing: {while_signing}: {answer}");
            assert!(meddler.struck.get().is_some());
            // Whoever is there now signs in by a card that names them.
            if let Change::Switch = change {
                socket.login(2, epoch(&stage), stage.issuer.challenge()).await;
                let token = socket.answer(2).await["token"].as_str().expect("a token").to_owned();
                let payload = base64url::decode(token.split('.').nth(1).expect("a payload")).expect("base64url");
                let claims: Value = serde_json::from_slice(&payload).expect("JSON");
                assert_eq!((&claims["sub"], &claims["epo"]), (&json!("subject-2"), &json!(epoch(&stage))));
            }
            stage.unharmed().await;
        }
    }
}

/// As i104, with what takes the whole socket away: no token goes out before the close.
#[tokio::test]
async fn i104_the_person_blocks_the_site_while_the_token_is_signed() {
    let meddler = Arc::new(Meddler::default());
    let keys = tempfile::tempdir().expect("a folder");
    let store = FileKeyStore::new(keys.path().join("keys"), Algorithm::Es256).expect("a key store");
    let mut origin = None;
    let stage = Stage::built(
        |settings| {
            settings.origins[0].consent = ConsentMode::Page;
            origin = Some(settings.origins[0].origin.clone());
        },
        |builder| builder.key_store(Arc::new(MeddlingKeys(store, Arc::clone(&meddler)))),
    )
    .await;
    let mut socket = stage.live().await;
    let (agent, origin) = (stage.agent.handle.clone(), origin.expect("an origin"));
    let block = move || agent.choose(&origin, Some(Choice::Blocked)).expect("blocked");
    *meddler.armed.lock().expect("unpoisoned") = Some(Box::new(block));
    socket.login(1, epoch(&stage), stage.issuer.challenge()).await;
    let end = loop {
        match socket.next().await {
            Ok(message) => assert_ne!(message["type"], "token"),
            Err(code) => break code,
        }
    };
    assert!(meddler.struck.get().is_some());
    assert!(end.is_some(), "the agent closes the socket");
}
