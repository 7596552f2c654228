//! What pages have the client do.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::agent::client::action::{Action, ActionFault, Invocation};
use crate::crypto::{Signer as _, SoftwareKey};
use crate::protocol::grant::Grant;
use crate::protocol::state::PresenceState;

/// Counts how often it is asked for.
struct Counting(AtomicUsize);

#[async_trait]
impl Action for Counting {
    async fn invoke(&self, _: Invocation) -> Result<Value, ActionFault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Value::Null)
    }
}

/// The machine of a page that does not read hears of a lock late; nothing is done for the page all the same.
#[tokio::test(start_paused = true)]
async fn behind_a_lock_nothing_is_done_for_a_page_that_does_not_read() {
    for (locked, done) in [(false, 1), (true, 0)] {
        let house =
            house_of(SocketLimits::default(), [Grant::Presence, Grant::Action("open".into())].into_iter().collect());
        let (key, _) = SoftwareKey::generate(Algorithm::Ed25519).expect("a key");
        house.hub().client.learn(vec![key.public().clone()], NOW);
        let subject = house.sign_in();
        let actions = &house.doorman.core.actions;
        let action = Arc::new(Counting(AtomicUsize::new(0)));
        actions.register(actions.owner(), "open".into(), json!({}), action.clone()).expect("registered");
        let mut page = house.open_with(&key).await;
        read_until(&mut page, "ready").await;
        for round in 0..600 {
            let presence = if round % 2 == 0 { PresenceState::Away } else { PresenceState::SignedIn };
            house.hub().set_presence(&subject, presence).expect("set");
        }
        if locked {
            house.hub().set_presence(&subject, PresenceState::Locked).expect("set");
        }
        page.write_all(&frame(r#"{"type":"action","id":1,"name":"open","params":{}}"#)).await.expect("written");
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(action.0.load(Ordering::Relaxed), done, "locked: {locked}");
    }
}
