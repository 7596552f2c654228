//! Consent: no login token is signed without a [`Consented`], and only this module makes one (protocol section 4.3).

use super::grant::ConsentMode;
use super::id::{Epoch, Incarnation, Sid, Subject};
use super::issuer::Issuer;
use super::limits::SECOND_TOKEN_WINDOW;
use super::origin::Origin;
use super::statement::{Challenge, UserVerification};
use super::time::Moment;

/// What the person is asked to agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRequest {
    /// Where the person would be signed in.
    pub origin: Origin,
    /// The login server of that origin.
    pub issuer: Issuer,
    /// Who would be signed in.
    pub subject: Subject,
    /// The epoch of the state that the person saw on the card.
    pub epoch: Epoch,
}

/// Proof that the person agreed to exactly one request.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone))]
pub struct Consented {
    request: ConsentRequest,
    how: UserVerification,
    /// Whether it may serve once more after it has had its token.
    renewable: bool,
}

impl Consented {
    /// Consent that needs no prompt: the mode trusts the click in the page, or the person agreed for good earlier.
    #[must_use]
    pub fn without_prompt(request: &ConsentRequest, mode: ConsentMode, remembered: bool) -> Option<Self> {
        let enough = match mode {
            ConsentMode::Page => true,
            ConsentMode::Prompt => remembered,
            ConsentMode::Always => false,
        };
        enough.then(|| Self { request: request.clone(), how: UserVerification::Page, renewable: true })
    }

    /// The person's answer in a prompt outside the page.
    #[must_use]
    pub fn from_answer(request: &ConsentRequest, allow: bool) -> Option<Self> {
        allow.then(|| Self { request: request.clone(), how: UserVerification::Prompt, renewable: true })
    }

    /// The person's answer in a bridge's window: outside the page, but in the same browser, so that it weighs no more than a
    /// click in the page.
    #[must_use]
    pub fn from_window(request: &ConsentRequest, allow: bool) -> Option<Self> {
        allow.then(|| Self { request: request.clone(), how: UserVerification::Page, renewable: true })
    }

    /// The person opened the page from the client, to be signed in there; the agent gives this to one socket, once.
    #[must_use]
    pub fn by_opening(request: &ConsentRequest) -> Self {
        Self { request: request.clone(), how: UserVerification::Prompt, renewable: true }
    }

    /// What was agreed to.
    #[must_use]
    pub const fn request(&self) -> &ConsentRequest {
        &self.request
    }

    /// How.
    #[must_use]
    pub const fn how(&self) -> UserVerification {
        self.how
    }

    /// Uses the consent up for one token.
    #[must_use]
    pub fn spend(self, challenge: &Challenge, now: Moment) -> SpentConsent {
        SpentConsent { consent: self, sid: challenge.sid, incarnation: challenge.inc.clone(), at: now }
    }
}

/// A consent that has had its token. It is good for one more, where the login server's store lost its life in between
/// and could not tell whether the first was used (protocol section 6.4).
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone))]
pub struct SpentConsent {
    consent: Consented,
    sid: Sid,
    incarnation: Incarnation,
    at: Moment,
}

impl SpentConsent {
    /// The same consent once more: within a minute, for the same browser, origin and epoch, and another store life.
    #[must_use]
    pub fn renew(self, challenge: &Challenge, epoch: Epoch, now: Moment) -> Option<Consented> {
        let renewable = self.consent.renewable
            && now.since(self.at) <= SECOND_TOKEN_WINDOW
            && self.sid == challenge.sid
            && self.consent.request.origin == challenge.org
            && self.consent.request.epoch == epoch
            && self.incarnation != challenge.inc;
        renewable.then_some(Consented { renewable: false, ..self.consent })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::id::ChallengeId;
    use crate::protocol::statement::Audience;
    use crate::protocol::time::Timestamp;

    const NOW: Moment = Moment(Duration::from_secs(5000));

    fn request() -> ConsentRequest {
        ConsentRequest {
            origin: "https://app.example".parse().expect("origin"),
            issuer: "https://app.example/login".parse().expect("issuer"),
            subject: "someone".parse().expect("subject"),
            epoch: Epoch(4),
        }
    }

    fn challenge(life: &str) -> Challenge {
        Challenge {
            iss: request().issuer,
            aud: Audience::Agent,
            org: request().origin,
            jti: ChallengeId::from_bytes([1; 32]),
            sid: Sid::from_bytes([2; 32]),
            iat: Timestamp(1),
            exp: Timestamp(2),
            rdm: request().issuer.login_url(),
            inc: life.parse().expect("incarnation"),
        }
    }

    fn spent() -> SpentConsent {
        Consented::from_answer(&request(), true).expect("consented").spend(&challenge("one"), NOW)
    }

    #[test]
    fn who_is_asked_and_who_is_not() {
        let without = |mode, remembered| Consented::without_prompt(&request(), mode, remembered).is_some();
        assert!(without(ConsentMode::Page, false) && without(ConsentMode::Prompt, true));
        assert!(!without(ConsentMode::Prompt, false));
        assert!(!without(ConsentMode::Always, true) && !without(ConsentMode::Always, false));
        assert!(Consented::from_answer(&request(), false).is_none());
        assert!(Consented::from_window(&request(), false).is_none());
    }

    #[test]
    fn what_was_answered_in_a_window_of_the_browser_weighs_as_little_as_a_click() {
        let how = |consented: Option<Consented>| consented.map(|consented| consented.how());
        assert_eq!(how(Consented::from_answer(&request(), true)), Some(UserVerification::Prompt));
        assert_eq!(how(Consented::from_window(&request(), true)), Some(UserVerification::Page));
    }

    #[test]
    fn every_condition_of_a_second_token_is_needed() {
        let renew = |change: fn(&mut Challenge), epoch, seconds| {
            let mut next = challenge("two");
            change(&mut next);
            spent().renew(&next, Epoch(epoch), NOW + Duration::from_secs(seconds))
        };
        assert!(renew(|_| (), 4, 60).is_some());
        assert!(renew(|_| (), 4, 61).is_none(), "too late");
        assert!(renew(|_| (), 5, 0).is_none(), "another epoch");
        assert!(renew(|c| c.sid = Sid::from_bytes([3; 32]), 4, 0).is_none(), "another browser");
        assert!(renew(|c| c.org = "https://other.example".parse().expect("origin"), 4, 0).is_none(), "another origin");
        assert!(renew(|c| c.inc = "one".parse().expect("incarnation"), 4, 0).is_none(), "the same life");
        let second = renew(|_| (), 4, 0).expect("renewed").spend(&challenge("two"), NOW);
        assert!(second.renew(&challenge("three"), Epoch(4), NOW).is_none(), "a third token");
    }
}
