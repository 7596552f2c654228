//! What went wrong, as a client's program can tell it apart: the closed set of codes in `data.code`.

use super::rpc::RpcError;
use crate::agent::action::{PublishError, RegisterError};
use crate::agent::audit::AuditError;
use crate::agent::handle::HandleError;
use crate::agent::hub::HubError;
use crate::agent::issuer::IssuerFault;

impl From<HandleError> for RpcError {
    fn from(error: HandleError) -> Self {
        let code = match &error {
            HandleError::UnknownIssuer(_) => "unknown_issuer",
            HandleError::Ambiguous(_) => "ambiguous_account",
            HandleError::Stopped => "stopping",
            HandleError::UnknownOrigin(_) => "unknown_origin",
            HandleError::Widens(_) => "policy",
            HandleError::NotAPage(_) => "not_a_page",
            HandleError::NotGranted(_) => "not_granted",
            HandleError::NoBrowser(_) => "no_browser",
            HandleError::Hub(HubError::NoSuchAccount) => "no_such_account",
            HandleError::Hub(HubError::NotAPresence) => "not_a_presence",
            HandleError::Hub(HubError::NotAPicture) => "not_a_picture",
            HandleError::Hub(HubError::SignedOut | HubError::Changed) => "signed_out",
            HandleError::Hub(HubError::Record(_) | HubError::Audit(_)) | HandleError::Audit(_) => "storage",
            HandleError::Hub(HubError::Key(_) | HubError::Sign(_)) | HandleError::Key(_) => "key",
            HandleError::Issuer(IssuerFault::Unreachable { .. }) => "issuer_unreachable",
            HandleError::Issuer(IssuerFault::Misbehaved { .. }) => "issuer_misbehaved",
            HandleError::Issuer(IssuerFault::Refused { .. }) => "issuer_refused",
        };
        Self::failed(code, error.to_string())
    }
}

impl From<RegisterError> for RpcError {
    fn from(error: RegisterError) -> Self {
        let code = match &error {
            RegisterError::Name(_) => "bad_name",
            RegisterError::Schema { .. } => "bad_schema",
            RegisterError::Taken(_) => "taken",
            RegisterError::TooMany => "too_many",
            RegisterError::NotRegistered(_) => "not_registered",
        };
        Self::failed(code, error.to_string())
    }
}

impl From<PublishError> for RpcError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Register(error) => error.into(),
            PublishError::TooLong => Self::failed("too_long", error.to_string()),
        }
    }
}

impl From<AuditError> for RpcError {
    fn from(error: AuditError) -> Self {
        HandleError::from(error).into()
    }
}
