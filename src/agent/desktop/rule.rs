//! What the desktop's word is worth beside the client's. Pure.
//!
//! The desktop never signs anybody in or out. It only lowers: `signed_in` to `away` or `locked`, `away` to `locked`. And
//! it lifts only what it lowered itself. Whatever is *said* (by a client, the command, the embedding program, or a
//! sign-in) replaces what the desktop had lowered, until the desktop changes again. While a client is connected the
//! desktop lowers nothing more.

use crate::protocol::state::PresenceState;

/// Something that the desktop tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) enum Event {
    /// The screen is locked, or the person's session is over.
    Locked,
    /// The person has unlocked it.
    Unlocked,
    /// Whether nobody has touched anything for as long as the desktop thinks long.
    Idle(bool),
    /// The computer is about to sleep.
    Sleeping,
    /// It is awake again.
    Awake,
    /// The desktop does not tell any more.
    Silent,
}

/// The desktop as far as it told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) struct View {
    is_locked: bool,
    is_idle: bool,
    is_asleep: bool,
}

impl View {
    /// Takes in what the desktop tells.
    pub(in crate::agent) const fn see(&mut self, event: Event) {
        match event {
            Event::Locked => self.is_locked = true,
            Event::Unlocked => self.is_locked = false,
            Event::Idle(idle) => self.is_idle = idle,
            Event::Sleeping => self.is_asleep = true,
            Event::Awake => self.is_asleep = false,
            // Nobody would tell the end of it. A lock stays: only who can unlock may lift it.
            Event::Silent => *self = Self { is_locked: self.is_locked, is_idle: false, is_asleep: false },
        }
    }

    /// The most that the presence can be.
    pub(in crate::agent) const fn ceiling(self) -> PresenceState {
        match self {
            Self { is_locked: true, .. } | Self { is_asleep: true, .. } => PresenceState::Locked,
            Self { is_idle: true, .. } => PresenceState::Away,
            _ => PresenceState::SignedIn,
        }
    }
}

/// How the presence at one issuer comes about: what was said, and how far the desktop has lowered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::agent) struct Standing {
    said: PresenceState,
    ceiling: PresenceState,
}

impl Standing {
    /// What was said last.
    pub(in crate::agent) const fn new(said: PresenceState) -> Self {
        Self { said, ceiling: PresenceState::SignedIn }
    }

    /// Takes in that the desktop has changed; true while a client is connected.
    pub(in crate::agent) fn see(&mut self, ceiling: PresenceState, has_client: bool) {
        self.ceiling = if has_client { higher(self.ceiling, ceiling) } else { ceiling };
    }

    /// The presence that comes of both.
    pub(in crate::agent) fn presence(self) -> PresenceState {
        if higher(self.said, self.ceiling) == self.said { self.ceiling } else { self.said }
    }
}

/// The one of two in which more is possible.
const fn higher(one: PresenceState, other: PresenceState) -> PresenceState {
    const fn rank(presence: PresenceState) -> u8 {
        match presence {
            PresenceState::SignedOut => 0,
            PresenceState::Locked => 1,
            PresenceState::Away => 2,
            PresenceState::SignedIn => 3,
        }
    }
    if rank(one) >= rank(other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use PresenceState::{Away, Locked, SignedIn, SignedOut};

    use super::*;

    #[test]
    fn the_desktop_only_lowers_and_lifts_what_it_lowered() {
        for said in [SignedIn, Away, Locked, SignedOut] {
            let mut standing = Standing::new(said);
            for (ceiling, presence) in [
                (Away, if said == SignedIn { Away } else { said }),
                (Locked, if said == SignedOut { SignedOut } else { Locked }),
                (SignedIn, said),
            ] {
                standing.see(ceiling, false);
                assert_eq!(standing.presence(), presence, "{said} under {ceiling}");
            }
        }
    }

    #[test]
    fn while_a_client_is_connected_the_desktop_lowers_nothing_and_lifts_what_it_had_lowered() {
        let mut standing = Standing::new(SignedIn);
        standing.see(Locked, true);
        assert_eq!(standing.presence(), SignedIn);
        standing.see(Locked, false);
        standing.see(Locked, true);
        assert_eq!(standing.presence(), Locked, "a client that says nothing changes nothing");
        standing.see(Away, true);
        assert_eq!(standing.presence(), Away);
        standing.see(Locked, true);
        assert_eq!(standing.presence(), Away);
        standing.see(SignedIn, true);
        assert_eq!(standing.presence(), SignedIn);
    }

    #[test]
    fn locked_stays_locked_until_it_is_unlocked() {
        let mut view = View::default();
        for (event, ceiling) in [
            (Event::Idle(true), Away),
            (Event::Locked, Locked),
            (Event::Idle(false), Locked),
            (Event::Sleeping, Locked),
            (Event::Awake, Locked),
            (Event::Silent, Locked),
            (Event::Unlocked, SignedIn),
            (Event::Sleeping, Locked),
            (Event::Unlocked, Locked),
            (Event::Awake, SignedIn),
            (Event::Idle(true), Away),
            (Event::Sleeping, Locked),
            (Event::Silent, SignedIn),
        ] {
            view.see(event);
            assert_eq!(view.ceiling(), ceiling, "{event:?}");
        }
    }
}
