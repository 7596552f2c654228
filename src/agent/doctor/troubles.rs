//! What was refused since the agent was started: at the gate, and of the challenges that pages brought. Kept in memory, so
//! much and no more, for [`Handle::doctor`](crate::agent::Handle::doctor). No byte of what was sent is kept but an origin.

use std::sync::{Mutex, PoisonError};

use crate::agent::issuer::client::RefusedChallenge;
use crate::protocol::acceptance::ChallengeFault;
use crate::protocol::gate::Refused;
use crate::protocol::head::RequestHead;
use crate::protocol::origin::Origin;
use crate::protocol::time::UnixMillis;

/// Different troubles that are remembered of either kind. Whoever may open a connection can bring up new ones at will.
const MAX_KINDS: usize = 32;

/// Why a challenge was refused, as far as the cure differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Not of the issuer's time.
    Time,
    /// Of another issuer or for another origin than the configuration says.
    Mapping,
    /// Signed with a key that the issuer does not publish.
    Key,
    /// Used before.
    Replayed,
    /// No challenge at all.
    Form,
    /// The issuer, who would have to be asked, did not answer.
    IssuerAway,
}

impl From<&RefusedChallenge> for Cause {
    fn from(refused: &RefusedChallenge) -> Self {
        match refused {
            RefusedChallenge::Issuer(_) => Self::IssuerAway,
            RefusedChallenge::Fault(ChallengeFault::Time) => Self::Time,
            RefusedChallenge::Fault(ChallengeFault::Issuer | ChallengeFault::Origin) => Self::Mapping,
            RefusedChallenge::Fault(ChallengeFault::UnknownKey(_)) => Self::Key,
            RefusedChallenge::Fault(ChallengeFault::Replayed) => Self::Replayed,
            RefusedChallenge::Fault(ChallengeFault::Statement(_)) => Self::Form,
        }
    }
}

/// One kind of trouble: how often, and when last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble<K> {
    pub(super) kind: K,
    /// Where the head named exactly one that a browser could have sent.
    pub(super) origin: Option<Origin>,
    pub(super) count: u64,
    /// By this computer's clock, for people.
    pub(super) last: UnixMillis,
}

/// What was refused since the agent was started.
#[derive(Debug, Default)]
pub(in crate::agent) struct Troubles(Mutex<Lists>);

#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    pub(super) gate: Vec<Trouble<Refused>>,
    pub(super) challenges: Vec<Trouble<Cause>>,
    /// Refusals over the budget, whose reason nobody looked at.
    pub(super) over_budget: u64,
}

impl Troubles {
    /// A connection was refused.
    pub(in crate::agent) fn refused(&self, reason: Refused, origin: Option<Origin>, at: UnixMillis) {
        note(&mut self.lock().gate, reason, origin, at);
    }

    /// A connection was refused without a word, since there were too many.
    pub(in crate::agent) fn over_budget(&self) {
        let mut lists = self.lock();
        lists.over_budget = lists.over_budget.saturating_add(1);
    }

    /// A challenge was refused.
    pub(in crate::agent) fn challenge(&self, refused: &RefusedChallenge, origin: &Origin, at: UnixMillis) {
        note(&mut self.lock().challenges, Cause::from(refused), Some(origin.clone()), at);
    }

    pub(super) fn lists(&self) -> Lists {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The origin that a head names, where it is one that could be configured.
pub(in crate::agent) fn origin_of(head: &RequestHead) -> Option<Origin> {
    std::str::from_utf8(head.only("origin")?).ok()?.parse().ok()
}

/// Counts one more; where there are too many kinds, the one that was seen longest ago is forgotten.
fn note<K: PartialEq>(list: &mut Vec<Trouble<K>>, kind: K, origin: Option<Origin>, at: UnixMillis) {
    let known = list.iter().position(|trouble| trouble.kind == kind && trouble.origin == origin);
    let count = known.map_or(0, |known| list.remove(known).count);
    if list.len() >= MAX_KINDS {
        list.remove(0);
    }
    list.push(Trouble { kind, origin, count: count.saturating_add(1), last: at });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_counted_and_the_longest_unseen_makes_way() {
        let troubles = Troubles::default();
        let origin = |n: u64| Some(format!("https://a{n}.example").parse::<Origin>().expect("an origin"));
        for n in 0..MAX_KINDS as u64 {
            troubles.refused(Refused::Origin, origin(n), UnixMillis(n));
        }
        troubles.refused(Refused::Origin, origin(0), UnixMillis(100));
        troubles.refused(Refused::Host, origin(0), UnixMillis(101));
        let list = troubles.lists().gate;
        assert_eq!(list.len(), MAX_KINDS);
        let again = Trouble { kind: Refused::Origin, origin: origin(0), count: 2, last: UnixMillis(100) };
        assert_eq!(list[MAX_KINDS - 2], again);
        assert_eq!(list[0].origin, origin(2), "that of the first was seen since, so the second made way");
    }

    #[test]
    fn an_origin_that_no_configuration_could_name_is_not_kept() {
        let head = |origin: &str| {
            let text = format!("GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nOrigin: {origin}\r\n\r\n");
            RequestHead::parse(text.as_bytes()).expect("sound").expect("complete")
        };
        assert_eq!(origin_of(&head("https://app.example")), "https://app.example".parse().ok());
        for strange in
            ["null", "file://", "https://app.example/path", "<script>", "https://a.example, https://b.example"]
        {
            assert_eq!(origin_of(&head(strange)), None, "{strange}");
        }
    }
}
