//! How often DingTalk is asked from this computer. It counts by address, whichever application calls: so does this, and a
//! configuration that is read anew forgets nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::settings::Hosts;
use crate::protocol::time::Moment;

/// DingTalk counts calls in so long.
const WINDOW: Duration = Duration::from_secs(20);

/// What is known of one DingTalk's patience.
#[derive(Debug, Default)]
pub(super) struct Brake(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When the calls are counted from, and how many there were.
    asked: Option<(Moment, u32)>,
    /// DingTalk refuses everything of this address until then; to ask on only makes it longer.
    banned_until: Option<Moment>,
}

/// The brakes that something holds, by their DingTalk's hosts.
static ALL: Mutex<Option<HashMap<[String; 2], Weak<Brake>>>> = Mutex::new(None);

impl Brake {
    /// The one of these hosts, for all who call them.
    pub(super) fn of(hosts: &Hosts) -> Arc<Self> {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        let key = [hosts.oapi.clone(), hosts.api.clone()];
        if let Some(brake) = all.get(&key).and_then(Weak::upgrade) {
            return brake;
        }
        all.retain(|_, brake| brake.strong_count() > 0);
        let brake = Arc::default();
        all.insert(key, Arc::downgrade(&brake));
        brake
    }

    /// Counts a call, where there may be one more of so many in twenty seconds.
    pub(super) fn may_ask(&self, now: Moment, most: u32) -> bool {
        let mut known = self.known();
        let (began, calls) = known.asked.filter(|(began, _)| now.since(*began) < WINDOW).unwrap_or((now, 0));
        let may = calls < most;
        known.asked = Some((began, calls + u32::from(may)));
        may
    }

    pub(super) fn is_banned(&self, now: Moment) -> bool {
        self.known().banned_until.is_some_and(|until| now < until)
    }

    pub(super) fn ban(&self, until: Moment) {
        self.known().banned_until = Some(until);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(name: &str) -> Hosts {
        let at = |part: &str| format!("https://{part}.{name}.example");
        Hosts { oapi: at("oapi"), api: at("api"), login: at("login") }
    }

    #[test]
    fn all_who_call_one_dingtalk_share_its_brake_and_nobody_else_does() {
        let (one, same, other) = (Brake::of(&hosts("one")), Brake::of(&hosts("one")), Brake::of(&hosts("other")));
        let at = |seconds| Moment(Duration::from_secs(seconds));
        assert!(one.may_ask(at(1), 2) && same.may_ask(at(2), 2));
        assert!(!one.may_ask(at(20), 2) && other.may_ask(at(20), 2));
        assert!(one.may_ask(at(21), 2));
        one.ban(at(400));
        drop(one);
        let again = Brake::of(&hosts("one"));
        assert!(same.is_banned(at(399)) && again.is_banned(at(399)) && !other.is_banned(at(399)));
        assert!(!again.is_banned(at(400)));
        drop((same, again));
        assert!(!Brake::of(&hosts("one")).is_banned(at(399)), "nobody was left who knew");
    }
}
