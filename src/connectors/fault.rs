//! What can go wrong between here and a provider: a class that decides what happens next, and a reason for the log.

/// The class of a fault. One friendly sentence each is all that the browser hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The provider does not accept this application: a wrong key, secret or redirect address. An administrator mends it.
    #[error("the provider does not accept this application's configuration")]
    Misconfigured,
    /// The code was never given out, is used, or is too old: the person begins anew.
    #[error("the code does not count, or no longer")]
    Code,
    /// The person belongs to another organisation than the instance.
    #[error("the person is of another organisation")]
    Tenant,
    /// The person said no at the provider, or may not use the application.
    #[error("the person or the provider refused")]
    Refused,
    /// The provider has no answer now; later it may.
    #[error("the provider does not answer")]
    Unavailable,
    /// The provider asks for fewer calls.
    #[error("the provider wants fewer calls")]
    Busy,
    /// The answer is none that the provider's documents describe, or is signed by nobody who may.
    #[error("the provider's answer is not what it should be")]
    Misbehaved,
    /// This connector has no such thing.
    #[error("this connector has no such thing")]
    Unsupported,
}

impl Fault {
    /// The code that leaves the building.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Misconfigured => "connector_misconfigured",
            Self::Code => "code_expired",
            Self::Tenant => "other_organisation",
            Self::Refused => "access_refused",
            Self::Unavailable | Self::Busy => "provider_unavailable",
            Self::Misbehaved => "provider_misbehaved",
            Self::Unsupported => "unsupported",
        }
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Unavailable | Self::Busy)
    }
}

/// A fault with its reason, which is for the log alone. A provider's own words are kept short and without control characters.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{fault}: {reason}")]
pub struct ConnectFault {
    /// Its class.
    pub fault: Fault,
    reason: String,
}

/// Longest reason in characters: a provider's error page is no log line.
const REASON_MAX_LEN: usize = 200;

impl ConnectFault {
    /// A fault and what was seen of it. No code, token or secret may be in the reason.
    #[must_use]
    pub fn new(fault: Fault, reason: impl std::fmt::Display) -> Self {
        let reason = reason.to_string();
        let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_MAX_LEN).collect();
        Self { fault, reason }
    }

    /// What was seen of it, without its class.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<Fault> for ConnectFault {
    fn from(fault: Fault) -> Self {
        Self { fault, reason: "no more is known".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_words_are_cut_and_cleaned() {
        let fault = ConnectFault::new(Fault::Misbehaved, format!("<script>\r\n\x1b[31m{}", "x".repeat(1000)));
        let said = fault.to_string();
        assert!(said.len() < 300 && !said.contains(char::is_control), "{said}");
    }
}
