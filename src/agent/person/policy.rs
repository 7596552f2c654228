//! What an administrator allows on this computer. It wins over the agent's own configuration and over what the person chooses:
//! they can narrow it, and never widen it.

use crate::agent::settings::OriginSettings;
use crate::protocol::grant::{ConsentMode, Grants};
use crate::protocol::origin::Origin;

/// An administrator's policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether origins that the policy does not name are refused.
    pub only_listed: bool,
    /// What it says of single origins.
    pub origins: Vec<OriginPolicy>,
}

/// What a policy says of one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPolicy {
    /// The origin.
    pub origin: Origin,
    /// What it may ask for at most; `None` leaves that to the configuration.
    pub grants: Option<Grants>,
    /// How the person is asked; `None` leaves that to the configuration.
    pub consent: Option<ConsentMode>,
    /// Whether its pages are refused.
    pub blocked: bool,
}

impl Policy {
    /// Whether it has a say in how the origin is treated.
    pub(in crate::agent) fn names(&self, origin: &Origin) -> bool {
        self.origins.iter().any(|policy| policy.origin == *origin)
    }

    /// What is left of the configured origins.
    pub(in crate::agent) fn apply(&self, origins: Vec<OriginSettings>) -> Vec<OriginSettings> {
        origins.into_iter().filter_map(|settings| self.narrow(settings)).collect()
    }

    fn narrow(&self, settings: OriginSettings) -> Option<OriginSettings> {
        let Some(policy) = self.origins.iter().find(|policy| policy.origin == settings.origin) else {
            return (!self.only_listed).then_some(settings);
        };
        let grants = policy.grants.as_ref().map_or_else(|| settings.grants.clone(), |most| settings.grants.and(most));
        let consent = policy.consent.unwrap_or(settings.consent);
        (!policy.blocked).then_some(OriginSettings { grants, consent, ..settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::grant::{Grant, OpenProof};

    fn settings(origin: &str) -> OriginSettings {
        OriginSettings {
            origin: origin.parse().expect("an origin"),
            issuer: "https://login.example".parse().expect("an issuer"),
            grants: [Grant::Presence, Grant::Login].into_iter().collect(),
            consent: ConsentMode::Prompt,
            proof: OpenProof::Challenge,
        }
    }

    fn policy(grants: Option<&[Grant]>, consent: Option<ConsentMode>, blocked: bool, only_listed: bool) -> Policy {
        let grants = grants.map(|grants| grants.iter().cloned().collect());
        let origin = "https://app.example".parse().expect("an origin");
        Policy { only_listed, origins: vec![OriginPolicy { origin, grants, consent, blocked }] }
    }

    #[test]
    fn a_policy_takes_away_and_decides_how_the_person_is_asked() {
        let [app, other] = ["https://app.example", "https://other.example"].map(settings);
        let both = || vec![app.clone(), other.clone()];
        assert_eq!(Policy::default().apply(both()), both());
        assert_eq!(policy(None, None, false, false).apply(both()), both());
        assert_eq!(
            policy(None, None, false, true).apply(both()),
            std::slice::from_ref(&app),
            "only those that are listed"
        );
        assert_eq!(policy(None, None, true, false).apply(both()), std::slice::from_ref(&other), "blocked");
        let most = [Grant::Presence, Grant::Action("open".into())];
        let narrowed = OriginSettings { grants: [Grant::Presence].into_iter().collect(), ..app.clone() };
        assert_eq!(policy(Some(&most), None, false, true).apply(both()), [narrowed], "nothing that is not configured");
        for consent in [ConsentMode::Page, ConsentMode::Prompt, ConsentMode::Always] {
            let decided = OriginSettings { consent, ..app.clone() };
            assert_eq!(policy(None, Some(consent), false, true).apply(both()), [decided]);
        }
    }
}
