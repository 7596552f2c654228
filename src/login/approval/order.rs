//! What the store remembers of an order, and the one way in which it changes: read, decided, and written only where nobody
//! else wrote in between. So any replica may take any step, and each step is taken once.

use serde::{Deserialize, Serialize};

use super::super::answer::Refusal;
use super::super::cookie::CookieSecret;
use super::super::state::State;
use crate::protocol::id::{DeviceId, Epoch, Nonce, OrderId, Subject};
use crate::protocol::order::{Digits, ORDER_LIFE_SECONDS, OrderEvent, OrderState, Place};
use crate::protocol::origin::Origin;
use crate::protocol::qr::QrKey;
use crate::protocol::time::Timestamp;
use crate::store::{Generation, Hint, NoteKey, NoteKind, NoteValue, SessionKey};

/// Orders, by the secret in the browser's cookie.
const ORDER: NoteKind = NoteKind::new("order");
/// Where an order is, by the number that approvers know.
const ORDER_NUMBER: NoteKind = NoteKind::new("order-number");

/// An order is remembered for so long after its end, so that who waits hears how it ended.
const REMEMBERED_SECONDS: u64 = 60;
/// How often a step is tried again that somebody else's came before.
const TRIES: usize = 8;

/// How another device is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::login) enum Way {
    /// By a QR code.
    Scan,
    /// By an account's name: its agents are asked.
    Agents,
}

/// Who lets the browser in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub(super) enum Approver {
    /// A browser in which the person is signed in.
    Session { session: SessionKey, subject: Subject, generation: Generation },
    /// An enrolled agent.
    Device { device: DeviceId, subject: Subject, epoch: Epoch },
}

/// An order. Nothing in it signs anybody in by itself: the secret of the browser's cookie is not in it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) state: OrderState,
    pub(super) opened_at: Timestamp,
    /// Since when it is in this state.
    pub(super) since: Timestamp,
    pub(super) way: Way,
    /// The page that waits, its browser, and where that is.
    pub(super) origin: Origin,
    pub(super) browser: Option<String>,
    pub(super) place: Place,
    /// Says whether another address is the same, and not which.
    pub(super) network: Option<[u8; 32]>,
    pub(super) digits: Digits,
    pub(super) nonce: Nonce,
    pub(super) qr_key: QrKey,
    /// Whose agents are asked, once that is known.
    pub(super) subject: Option<Subject>,
    pub(super) approver: Option<Approver>,
}

impl Order {
    /// Takes one step, if it may be taken now.
    pub(super) fn go(&mut self, event: OrderEvent, now: Timestamp) -> Result<(), Refusal> {
        let Some(next) = self.state.after(event) else { return Err(refuse("this may not happen now")) };
        self.state = next;
        self.since = now;
        Ok(())
    }

    /// The order as it is at a time: what was not ended in time has expired.
    fn at(mut self, now: Timestamp) -> Self {
        let deadline = self.state.deadline(self.opened_at, self.since);
        if now >= deadline && self.go(OrderEvent::Expire, now).is_ok() {
            self.since = deadline;
        }
        self
    }

    /// Until when it counts as it stands.
    pub(super) fn deadline(&self) -> Timestamp {
        self.state.deadline(self.opened_at, self.since)
    }

    fn value(&self) -> Result<NoteValue, Refusal> {
        let text = serde_json::to_string(self).expect("orders have string keys and whole numbers only");
        NoteValue::try_from(text).map_err(|_| Refusal::BadRequest)
    }

    fn kept_until(&self) -> Timestamp {
        self.opened_at.plus(ORDER_LIFE_SECONDS + REMEMBERED_SECONDS)
    }
}

/// Says in the log why, once, and refuses as every order is refused.
pub(super) fn refuse(why: impl std::fmt::Display) -> Refusal {
    tracing::warn!("refused an order: {why}");
    Refusal::InvalidOrder
}

/// Where the order of a browser is.
pub(super) fn key_of(cookie: &CookieSecret) -> NoteKey {
    NoteKey::of(ORDER, cookie.expose())
}

/// Keeps a new order, and the way to it for approvers.
pub(super) async fn keep(server: &State, key: &NoteKey, order: &Order) -> Result<(), Refusal> {
    let number = NoteKey::of(ORDER_NUMBER, order.id.as_bytes());
    let to = NoteValue::try_from(key.as_str().to_owned()).expect("a note's key is short");
    let until = order.kept_until();
    // Both under secrets that were drawn just now: neither is there.
    let kept =
        server.store.keep_note(key, order.value()?, until).await? && server.store.keep_note(&number, to, until).await?;
    if kept { Ok(()) } else { Err(refuse("its secret was drawn before")) }
}

/// Where the order of a number is.
pub(super) async fn find(server: &State, id: &OrderId) -> Result<Option<NoteKey>, Refusal> {
    let note = server.store.note(&NoteKey::of(ORDER_NUMBER, id.as_bytes())).await?;
    Ok(note.and_then(|note| NoteKey::try_from(note.value.as_str().to_owned()).ok()))
}

/// The order at a place, as it is now.
pub(super) async fn read(server: &State, key: &NoteKey) -> Result<Option<Order>, Refusal> {
    let note = server.store.note(key).await?;
    let order = note.and_then(|note| serde_json::from_str::<Order>(note.value.as_str()).ok());
    Ok(order.map(|order| order.at(server.clock.timestamp())))
}

/// Changes an order as `decide` says, which is asked again where somebody else changed it meanwhile. An error changes
/// nothing. Whoever waits for it looks at it then, at every replica.
pub(super) async fn change<T>(
    server: &State,
    key: &NoteKey,
    decide: impl Fn(&mut Order, Timestamp) -> Result<T, Refusal>,
) -> Result<(Order, T), Refusal> {
    for _ in 0..TRIES {
        let Some(note) = server.store.note(key).await? else { return Err(refuse("there is none")) };
        let now = server.clock.timestamp();
        let order = serde_json::from_str::<Order>(note.value.as_str()).map_err(|_| refuse("it cannot be read"))?;
        let mut order = order.at(now);
        let decided = decide(&mut order, now)?;
        if server.store.change_note(key, note.version, order.value()?, order.kept_until()).await? {
            // The agents that are asked learn of it by this one.
            if let Some(subject) = order.subject.clone() {
                server.store.hint(Hint::ApprovalAsked { subject, note: key.clone() }).await;
            }
            return Ok((order, decided));
        }
    }
    Err(refuse("too many change it at once"))
}
