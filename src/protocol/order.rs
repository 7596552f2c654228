//! An order (protocol section 8): one browser asks to be let in, and another device of the person decides. Which state
//! follows which is one table, and how long each lasts stands here; who may bring a step about is the login server's to say.

use serde::{Deserialize, Serialize};

use super::id::BadId;
use super::json;
use super::time::Timestamp;

/// The whole life of an order, in seconds.
pub const ORDER_LIFE_SECONDS: u64 = 120;
/// From the scan to the decision.
pub const DECISION_SECONDS: u64 = 60;
/// From the approval to the session.
pub const FINISH_SECONDS: u64 = 10;
/// Orders that one account is asked about in [`ORDERS_WINDOW_SECONDS`].
pub const ORDERS_PER_WINDOW: usize = 3;
/// See [`ORDERS_PER_WINDOW`].
pub const ORDERS_WINDOW_SECONDS: u64 = 600;

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "lowercase")]
pub enum OrderState {
    /// Nobody has taken it on.
    Pending,
    /// One device has, and its person decides.
    Scanned,
    /// The person agreed; the browser that waits may fetch its session.
    Approved,
    /// It did.
    Consumed,
    /// The person said no, or typed other digits.
    Denied,
    /// It took too long.
    Expired,
    /// The browser gave it up.
    Cancelled,
    /// Two devices took it on: one of them is not the person's.
    Superseded,
}

json::words_only!(OrderState);

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// A device takes it on.
    Scan,
    /// Another device takes on what is taken.
    ScanByAnother,
    /// The person agrees, with the right digits.
    Approve,
    /// The person does not, or types other digits.
    Deny,
    /// The browser that waits fetches its session.
    Consume,
    /// The browser that waits gives up.
    Cancel,
    /// Its time is over.
    Expire,
}

impl OrderState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Scanned,
        Self::Approved,
        Self::Consumed,
        Self::Denied,
        Self::Expired,
        Self::Cancelled,
        Self::Superseded,
    ];

    /// The state after an event; nothing where it may not happen.
    #[must_use]
    pub const fn after(self, event: OrderEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending, OrderEvent::Scan) => Some(Self::Scanned),
            (Self::Scanned, OrderEvent::ScanByAnother) => Some(Self::Superseded),
            (Self::Scanned, OrderEvent::Approve) => Some(Self::Approved),
            (Self::Scanned, OrderEvent::Deny) => Some(Self::Denied),
            (Self::Approved, OrderEvent::Consume) => Some(Self::Consumed),
            (Self::Pending | Self::Scanned | Self::Approved, OrderEvent::Cancel) => Some(Self::Cancelled),
            (Self::Pending | Self::Scanned | Self::Approved, OrderEvent::Expire) => Some(Self::Expired),
            _ => None,
        }
    }

    /// Whether nothing happens to it any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Scanned | Self::Approved)
    }

    /// Until when it may stay so: of an order opened at the one time, in this state since the other.
    #[must_use]
    pub fn deadline(self, opened_at: Timestamp, since: Timestamp) -> Timestamp {
        let end = opened_at.plus(ORDER_LIFE_SECONDS);
        match self {
            Self::Scanned => end.min(since.plus(DECISION_SECONDS)),
            Self::Approved => end.min(since.plus(FINISH_SECONDS)),
            _ => end,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Scanned => "scanned",
            Self::Approved => "approved",
            Self::Consumed => "consumed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

/// What the person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "lowercase")]
pub enum Decision {
    /// Let the browser in.
    Approve,
    /// Do not.
    Deny,
}

json::words_only!(Decision);

/// Where the browser that asks is, as far as its address tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "lowercase")]
pub enum Place {
    /// On the login server's own computer.
    Here,
    /// In a network without addresses of the Internet: a company's, or a home's.
    Local,
    /// On the Internet.
    Internet,
    /// Nobody knows.
    Unknown,
}

json::words_only!(Place);

/// Two digits that the waiting page shows, and that the person types where they approve. They do not show in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digits(String);

impl Digits {
    /// Two digits from a random byte, each pair from 10 to 99 as likely as the other; nothing for a byte that would favour
    /// some of them.
    #[must_use]
    pub fn from_random(byte: u8) -> Option<Self> {
        (byte < 180).then(|| Self((10 + byte % 90).to_string()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Digits {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        let sound = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        sound.then_some(Self(text)).ok_or(BadId("Digits"))
    }
}

impl From<Digits> for String {
    fn from(digits: Digits) -> Self {
        digits.0
    }
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digits([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [OrderEvent; 7] = [
        OrderEvent::Scan,
        OrderEvent::ScanByAnother,
        OrderEvent::Approve,
        OrderEvent::Deny,
        OrderEvent::Consume,
        OrderEvent::Cancel,
        OrderEvent::Expire,
    ];

    #[test]
    fn an_end_is_an_end() {
        for state in OrderState::ALL {
            let goes_on = EVENTS.iter().any(|event| state.after(*event).is_some());
            assert_eq!(goes_on, !state.is_over(), "{state:?}");
            assert_eq!(serde_json::to_value(state).expect("a word"), state.as_str());
        }
    }

    proptest! {
        /// Whatever happens in whatever order: a session is opened once at most, and only behind a scan and an approval, with
        /// nothing that ends an order before or between.
        #[test]
        fn no_way_leads_from_an_end_to_a_session(events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..24)) {
            let (mut state, mut taken) = (OrderState::Pending, Vec::new());
            for event in events {
                if let Some(next) = state.after(event) {
                    prop_assert!(!state.is_over(), "{:?} after {:?}", event, state);
                    state = next;
                    taken.push(event);
                }
            }
            if state == OrderState::Consumed {
                prop_assert_eq!(taken, vec![OrderEvent::Scan, OrderEvent::Approve, OrderEvent::Consume]);
            }
        }

        #[test]
        fn no_state_outlives_the_order(opened in 0_u64..1_000_000, later in 0_u64..200) {
            for state in OrderState::ALL {
                let (opened, since) = (Timestamp(opened), Timestamp(opened + later));
                prop_assert!(state.deadline(opened, since) <= opened.plus(ORDER_LIFE_SECONDS));
            }
        }
    }

    #[test]
    fn the_times_are_the_protocols() {
        let at = Timestamp(1000);
        assert_eq!(OrderState::Pending.deadline(at, at), Timestamp(1120));
        assert_eq!(OrderState::Scanned.deadline(at, Timestamp(1010)), Timestamp(1070));
        assert_eq!(OrderState::Scanned.deadline(at, Timestamp(1100)), Timestamp(1120));
        assert_eq!(OrderState::Approved.deadline(at, Timestamp(1050)), Timestamp(1060));
    }

    #[test]
    fn digits_are_two_and_all_pairs_are_as_likely() {
        let drawn: Vec<_> = (0..=u8::MAX).filter_map(Digits::from_random).collect();
        assert_eq!(drawn.len(), 180);
        for pair in 10..100 {
            assert_eq!(drawn.iter().filter(|digits| digits.as_str() == pair.to_string()).count(), 2);
        }
        for bad in ["", "1", "123", "1a", "１２", "-1", " 1"] {
            assert!(Digits::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(!format!("{:?}", drawn[3]).contains(drawn[3].as_str()));
    }
}
