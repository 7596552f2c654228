//! Resume tickets: what lets a page reopen a lost socket without a new challenge (protocol section 4.1).
//!
//! A ticket means something to the agent process that sealed it, to the origin it was sealed for, for ten minutes, once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::crypto::{Drawn, MacKey};
use crate::protocol::base64url;
use crate::protocol::connection::Resumption;
use crate::protocol::id::Epoch;
use crate::protocol::issuer::Issuer;
use crate::protocol::limits::{MAX_USED_TICKETS, RESUME_TICKET_LIFE};
use crate::protocol::origin::Origin;
use crate::protocol::time::Moment;

const ID_LEN: usize = 16;
const BODY_LEN: usize = ID_LEN + 8 + 8 + 1;
const TICKET_LEN: usize = BODY_LEN + 32;

/// Seals tickets and redeems them.
#[derive(Debug)]
pub(in crate::agent) struct Tickets {
    key: MacKey,
    ids: Drawn<ID_LEN>,
    used: Mutex<Used>,
}

/// Redeemed tickets, at least until they would have expired anyway. They are forgotten a whole set at a time, so that a ticket costs
/// the same however many there were.
#[derive(Debug)]
struct Used {
    newer: HashSet<[u8; ID_LEN]>,
    older: HashSet<[u8; ID_LEN]>,
    /// When `newer` was begun.
    since: Moment,
}

impl Used {
    /// Remembers a ticket; false where it is remembered already, and where there is no room to remember it.
    fn insert(&mut self, id: [u8; ID_LEN], now: Moment) -> bool {
        if now.since(self.since) >= RESUME_TICKET_LIFE {
            self.older = std::mem::take(&mut self.newer);
            self.since = now;
        }
        self.newer.len() < MAX_USED_TICKETS && !self.older.contains(&id) && self.newer.insert(id)
    }
}

impl Tickets {
    pub(in crate::agent) fn new() -> Self {
        let used = Used { newer: HashSet::new(), older: HashSet::new(), since: Moment(Duration::ZERO) };
        Self { key: MacKey::random(), ids: Drawn::default(), used: Mutex::new(used) }
    }

    pub(in crate::agent) fn seal(
        &self,
        resumption: Resumption,
        origin: &Origin,
        issuer: &Issuer,
        now: Moment,
    ) -> String {
        let expires = now + RESUME_TICKET_LIFE;
        let mut ticket = Vec::with_capacity(TICKET_LEN);
        ticket.extend(self.ids.next());
        ticket.extend(u64::try_from(expires.0.as_millis()).unwrap_or(u64::MAX).to_be_bytes());
        ticket.extend(resumption.epoch.0.to_be_bytes());
        ticket.push(u8::from(resumption.challenged));
        let tag = self.key.tag(&[&ticket, origin.as_str().as_bytes(), issuer.as_str().as_bytes()]);
        ticket.extend(tag);
        base64url::encode(ticket)
    }

    /// What the ticket carried; `None` where it was forged, sealed for another origin or issuer, used or too old.
    pub(in crate::agent) fn redeem(
        &self,
        ticket: &str,
        origin: &Origin,
        issuer: &Issuer,
        now: Moment,
    ) -> Option<Resumption> {
        let bytes = base64url::decode_array::<TICKET_LEN>(ticket).ok()?;
        let (body, tag) = bytes.split_at(BODY_LEN);
        self.key.verify(&[body, origin.as_str().as_bytes(), issuer.as_str().as_bytes()], tag).ok()?;
        let id: [u8; ID_LEN] = body[..ID_LEN].try_into().ok()?;
        let number = |at: usize| body.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
        let expires = Moment(Duration::from_millis(number(ID_LEN)?));
        let resumption = Resumption { epoch: Epoch(number(ID_LEN + 8)?), challenged: body[BODY_LEN - 1] == 1 };
        if now >= expires {
            return None;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(id, now).then_some(resumption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_time_and_for_the_one_it_was_sealed_for() {
        let tickets = Tickets::new();
        let origin: Origin = "https://a.example".parse().expect("origin");
        let issuer: Issuer = "https://a.example/login".parse().expect("issuer");
        let now = Moment(Duration::from_secs(5000));
        let resumption = Resumption { epoch: Epoch(4), challenged: true };
        let seal = || tickets.seal(resumption, &origin, &issuer, now);
        let late = now + RESUME_TICKET_LIFE;
        let other: Origin = "https://b.example".parse().expect("origin");
        let other_issuer: Issuer = "https://b.example".parse().expect("issuer");

        let ticket = seal();
        assert_eq!(tickets.redeem(&ticket, &other, &issuer, now), None, "another origin");
        assert_eq!(tickets.redeem(&ticket, &origin, &other_issuer, now), None, "another issuer");
        assert_eq!(Tickets::new().redeem(&ticket, &origin, &issuer, now), None, "another agent");
        assert_eq!(tickets.redeem(&ticket, &origin, &issuer, late), None, "too late");
        assert_eq!(tickets.redeem(&ticket, &origin, &issuer, now), Some(resumption));
        assert_eq!(tickets.redeem(&ticket, &origin, &issuer, now), None, "used");
        for at in 0..ticket.len() {
            let mut forged = seal().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("text");
            assert_eq!(tickets.redeem(&forged, &origin, &issuer, now), None, "changed at {at}");
        }
    }

    #[test]
    fn no_more_tickets_are_used_than_can_be_remembered() {
        let mut used = Used { newer: HashSet::new(), older: HashSet::new(), since: Moment(Duration::ZERO) };
        let id = |number: usize| (number as u128).to_be_bytes();
        assert!((0..MAX_USED_TICKETS).all(|number| used.insert(id(number), Moment(Duration::ZERO))));
        assert!(!used.insert(id(MAX_USED_TICKETS), Moment(Duration::ZERO)), "one that could be used again");
        assert!(used.insert(id(MAX_USED_TICKETS), Moment(RESUME_TICKET_LIFE)), "there is room again");
    }

    #[test]
    fn a_used_ticket_is_remembered_for_as_long_as_it_lives_and_then_forgotten() {
        let tickets = Tickets::new();
        let origin: Origin = "https://a.example".parse().expect("origin");
        let issuer: Issuer = "https://a.example/login".parse().expect("issuer");
        let resumption = Resumption { epoch: Epoch(4), challenged: false };
        let seal = |now| tickets.seal(resumption, &origin, &issuer, now);
        let redeem = |ticket: &str, now| tickets.redeem(ticket, &origin, &issuer, now);
        let remembered = || {
            let used = tickets.used.lock().expect("unpoisoned");
            (used.newer.len(), used.older.len())
        };
        let begin = Moment(Duration::from_secs(5000));
        assert!(redeem(&seal(begin), begin).is_some());
        // Used when the set is about to be changed, sealed a moment before.
        let late = begin + RESUME_TICKET_LIFE.saturating_sub(Duration::from_secs(1));
        let ticket = seal(late);
        assert!(redeem(&ticket, late).is_some());
        let changed = begin + RESUME_TICKET_LIFE;
        assert!(redeem(&seal(changed), changed).is_some());
        assert_eq!(remembered(), (1, 2));
        assert_eq!(redeem(&ticket, changed), None, "it would be good for minutes yet");
        let later = changed + RESUME_TICKET_LIFE;
        assert!(redeem(&seal(later), later).is_some());
        assert_eq!(remembered(), (1, 1));
    }
}
