//! Signing in at a provider (protocol section 6.14): the HTTP side of every connector.
//!
//! A browser leaves for the provider with a random `state` and comes back with it. Between the two a note remembers what was
//! begun: it is found by the state alone, taken once, lives ten minutes, and counts only in the browser that began. What the
//! provider says is the connector's to verify; which account it is, whether that may sign in so, and the session, are
//! decided here. A provider's words, codes and tokens go neither to a log nor to a page: a page hears one code of ours.

mod administered;
mod arrival;
mod background;
mod begin;
mod callback;
mod event;
mod identities;
mod in_app;
mod list;
mod notice;
mod page;
mod provider_session;
mod return_to;
mod shelf;

pub(super) use administered::{list as administered_identities, put as put_identity, remove as remove_identity};
pub(super) use background::Backgrounds;
pub(super) use begin::{begin, frame, link};
pub(super) use callback::callback;
pub(super) use event::event;
pub(super) use identities::{list as own_identities, unlink};
pub(super) use in_app::{code, page_configuration};
pub(super) use list::list;
pub(super) use notice::notice;
pub(super) use provider_session::{is_rechecked, log_out as log_out_at_provider, recheck};

use std::sync::Arc;

use crate::connectors::{ConnectFault, Connector, Fault};
use crate::login::answer::Refusal;
use crate::login::settings::Settings;
use crate::login::state::Shared;
use crate::protocol::statement::UserVerification;
use crate::store::{ConnectorName, DisplayName};

/// A connector as a login server offers it.
#[derive(Debug, Clone)]
pub struct ConfiguredConnector {
    /// Its name in addresses, in links of identities and in sessions (`connector:NAME`).
    pub name: ConnectorName,
    /// What its button says.
    pub label: DisplayName,
    /// The provider.
    pub connector: Arc<dyn Connector>,
    /// What becomes of somebody whom nobody here knows yet.
    pub accounts: NewAccounts,
    /// How well the provider verifies a person, in this login server's terms.
    pub verifies: UserVerification,
}

/// What becomes of somebody whom nobody here knows yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewAccounts {
    /// Nobody signs in whose identity is not linked to an account.
    #[default]
    Linked,
    /// An account is made.
    Create,
}

/// Whether a browser may be sent there.
pub(super) fn require_return_to(text: &str, settings: &Settings) -> Result<(), Refusal> {
    return_to::ReturnTo::require(text, settings).map(drop)
}

/// The connector of a name. One that cannot be a name is none that is there.
fn find<'a>(settings: &'a Settings, name: &str) -> Result<&'a ConfiguredConnector, Refusal> {
    settings.connectors.iter().find(|way| way.name.as_str() == name).ok_or(Refusal::NotFound)
}

/// Calls a provider: counts it, and says in the log what went wrong. This is the boundary that answers.
async fn call<T>(
    server: &Shared,
    way: &ConfiguredConnector,
    what: &'static str,
    work: impl Future<Output = Result<T, ConnectFault>>,
) -> Result<T, Refusal> {
    let outcome = work.await;
    let code = outcome.as_ref().map_or_else(|fault| fault.fault.code(), |_| "ok");
    server.metrics.connector_call(way.name.as_str(), what, code);
    outcome.map_err(|fault| {
        if fault.fault == Fault::Misconfigured {
            tracing::error!(connector = way.name.as_str(), "{what}: {fault}");
        } else {
            tracing::warn!(connector = way.name.as_str(), "{what}: {fault}");
        }
        fault.fault.into()
    })
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Misconfigured => Self::ConnectorMisconfigured,
            Fault::Code => Self::CodeExpired,
            Fault::Tenant => Self::OtherOrganisation,
            Fault::Refused => Self::AccessRefused,
            Fault::Unavailable | Fault::Busy => Self::ProviderUnavailable,
            Fault::Misbehaved => Self::ProviderMisbehaved,
            Fault::Unsupported => Self::Unsupported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_leaves_as_its_code() {
        for fault in [
            Fault::Misconfigured,
            Fault::Code,
            Fault::Tenant,
            Fault::Refused,
            Fault::Unavailable,
            Fault::Busy,
            Fault::Misbehaved,
            Fault::Unsupported,
        ] {
            assert_eq!(Refusal::from(fault).code(), fault.code());
        }
    }
}
