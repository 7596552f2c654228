//! That a lock shuts a page out which does not read, and so has not heard of it.

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;
use crate::agent::person::consent::{Answer, Prompt};
use crate::crypto::Signer as _;
use crate::protocol::state::PresenceState;

/// The person says yes when they are told to.
#[derive(Default)]
struct Thinking {
    asked: Notify,
    yes: Notify,
}

#[async_trait]
impl Asker for Thinking {
    fn is_available(&self) -> bool {
        true
    }

    async fn ask(&self, _: Prompt) -> Answer {
        self.asked.notify_one();
        self.yes.notified().await;
        Answer::Allow { remember: false }
    }
}

/// The machine of such a page takes the yes for one: the lock is looked for again right before the signature.
#[tokio::test(start_paused = true)]
async fn behind_a_lock_no_token_is_signed_for_a_page_that_does_not_read() {
    for (locked, answer) in
        [(false, r#"{"type":"token","id":1,"#), (true, r#"{"type":"refused","id":1,"code":"locked"}"#)]
    {
        let person = Arc::new(Thinking::default());
        let grants = [Grant::Presence, Grant::Login].into_iter().collect();
        let house = house_asking(SocketLimits::default(), grants, vec![Arc::clone(&person) as _]);
        let (key, _) = SoftwareKey::generate(Algorithm::Ed25519).expect("a key");
        house.hub().client.learn(vec![key.public().clone()], NOW);
        let subject = house.sign_in();
        let mut page = house.open_with(&key).await;
        read_until(&mut page, "ready").await;
        let login = format!(r#"{{"type":"login","id":1,"epoch":0,"challenge":"{}"}}"#, house.challenge(&key));
        page.write_all(&frame(&login)).await.expect("written");
        person.asked.notified().await;
        // Until nothing more fits into the stream.
        for round in 0..600 {
            let presence = if round % 2 == 0 { PresenceState::Away } else { PresenceState::SignedIn };
            house.hub().set_presence(&subject, presence).expect("set");
            tokio::task::yield_now().await;
        }
        if locked {
            house.hub().set_presence(&subject, PresenceState::Locked).expect("set");
        }
        person.yes.notify_one();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        read_until(&mut page, answer).await;
    }
}
