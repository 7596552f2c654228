//! What the person allowed for good, and chose, by origin.

use super::{Hub, HubError};
use crate::agent::issuer::record::Consent;
use crate::protocol::consent::ConsentRequest;
use crate::protocol::grant::Choice;
use crate::protocol::origin::Origin;

impl Hub {
    pub(in crate::agent) fn is_remembered(&self, request: &ConsentRequest) -> bool {
        self.lock().record.consents.iter().any(|c| c.subject == request.subject && c.origin == request.origin)
    }

    /// How often the person has taken back, or chosen, what an origin may do: for [`Hub::remember`].
    pub(in crate::agent) fn takings_back(&self) -> u64 {
        self.lock().takings_back
    }

    /// Keeps a consent, unless the person has taken something back since the question was put: then that was said later.
    pub(in crate::agent) fn remember(&self, request: &ConsentRequest, takings_back: u64) -> Result<(), HubError> {
        let mut inner = self.lock();
        if inner.takings_back != takings_back {
            return Err(HubError::Changed);
        }
        let mut next = inner.record.clone();
        let (subject, origin) = (request.subject.clone(), request.origin.clone());
        next.keep_consent(Consent { subject, origin, since: self.clock.wall() });
        self.keep(&mut inner, next)
    }

    pub(in crate::agent) fn consents(&self) -> Vec<Consent> {
        self.lock().record.consents.clone()
    }

    /// Forgets every consent for an origin; true where there was one.
    pub(in crate::agent) fn revoke_consents(&self, origin: &Origin) -> Result<bool, HubError> {
        let mut inner = self.lock();
        inner.takings_back += 1;
        let mut next = inner.record.clone();
        next.consents.retain(|consent| consent.origin != *origin);
        let some = next.consents.len() != inner.record.consents.len();
        if some { self.lower(&mut inner, next).map(|()| true) } else { Ok(false) }
    }

    /// What the person chose for an origin.
    pub(in crate::agent) fn choice(&self, origin: &Origin) -> Option<Choice> {
        self.lock().record.choices.get(origin).copied()
    }

    /// Keeps what the person chooses for an origin; `None` is as configured.
    pub(in crate::agent) fn choose(&self, origin: &Origin, choice: Option<Choice>) -> Result<(), HubError> {
        let mut inner = self.lock();
        inner.takings_back += 1;
        let mut next = inner.record.clone();
        let narrows = choice >= inner.record.choices.get(origin).copied();
        match choice {
            Some(choice) => next.choices.insert(origin.clone(), choice),
            None => next.choices.remove(origin),
        };
        if narrows { self.lower(&mut inner, next) } else { self.keep(&mut inner, next) }
    }
}
