//! What went wrong, as a client's program can tell it apart.

use super::rpc::RpcError;
use super::words::words;
use crate::agent::audit::AuditError;
use crate::agent::client::action::{PublishError, RegisterError};
use crate::agent::handle::HandleError;
use crate::agent::issuer::client::IssuerFault;
use crate::agent::issuer::hub::HubError;

words! {
    /// The closed set of codes that the agent answers in `data.code`.
    FaultCode {
        /// The issuer is not in the agent's configuration.
        UnknownIssuer = "unknown_issuer",
        /// The origin is not in the agent's configuration.
        UnknownOrigin = "unknown_origin",
        /// No account of that name is enrolled.
        NoSuchAccount = "no_such_account",
        /// Several accounts could be meant.
        AmbiguousAccount = "ambiguous_account",
        /// `signed_out` is reached by signing out.
        NotAPresence = "not_a_presence",
        /// The avatar is neither https nor a picture in itself.
        NotAPicture = "not_a_picture",
        /// Nobody is signed in, or that changed meanwhile.
        SignedOut = "signed_out",
        /// The configuration or an administrator's policy is stricter.
        Policy = "policy",
        /// The text is no address of a page.
        NotAPage = "not_a_page",
        /// The origin's pages cannot be signed in.
        NotGranted = "not_granted",
        /// No browser could be started.
        NoBrowser = "no_browser",
        /// The action's name.
        BadName = "bad_name",
        /// The action's schema.
        BadSchema = "bad_schema",
        /// Another client performs the action.
        Taken = "taken",
        /// There are too many actions.
        TooMany = "too_many",
        /// This client has registered no such action.
        NotRegistered = "not_registered",
        /// The value, or the answer, is longer than it may be.
        TooLong = "too_long",
        /// The login server cannot be reached.
        IssuerUnreachable = "issuer_unreachable",
        /// The login server answered with something else.
        IssuerMisbehaved = "issuer_misbehaved",
        /// The login server said no.
        IssuerRefused = "issuer_refused",
        /// The disk; nothing was done.
        Storage = "storage",
        /// It is done, but the disk does not know.
        NotSaved = "not_saved",
        /// The device key.
        Key = "key",
        /// The agent is stopping.
        Stopping = "stopping",
        /// A fault of the agent's own.
        Internal = "internal",
    }
}

impl FaultCode {
    /// The error as it travels.
    pub(super) fn because(self, reason: impl std::fmt::Display) -> RpcError {
        RpcError::failed(self.word(), reason.to_string())
    }
}

impl From<HandleError> for RpcError {
    fn from(error: HandleError) -> Self {
        let code = match &error {
            HandleError::UnknownIssuer(_) => FaultCode::UnknownIssuer,
            HandleError::Ambiguous(_) => FaultCode::AmbiguousAccount,
            HandleError::Stopped => FaultCode::Stopping,
            HandleError::UnknownOrigin(_) => FaultCode::UnknownOrigin,
            HandleError::Widens(_) => FaultCode::Policy,
            HandleError::NotAPage(_) => FaultCode::NotAPage,
            HandleError::NotGranted(_) => FaultCode::NotGranted,
            HandleError::NoBrowser(_) => FaultCode::NoBrowser,
            HandleError::NobodyEnrolled | HandleError::Hub(HubError::NoSuchAccount) => FaultCode::NoSuchAccount,
            HandleError::Hub(HubError::NotAPresence) => FaultCode::NotAPresence,
            HandleError::Hub(HubError::NotAPicture) => FaultCode::NotAPicture,
            HandleError::Hub(HubError::SignedOut | HubError::Changed) => FaultCode::SignedOut,
            HandleError::Hub(HubError::Record(_) | HubError::Audit(_)) | HandleError::Audit(_) => FaultCode::Storage,
            HandleError::Hub(HubError::Unsaved(_)) => FaultCode::NotSaved,
            HandleError::Hub(HubError::Key(_) | HubError::Sign(_)) | HandleError::Key(_) => FaultCode::Key,
            HandleError::Issuer(IssuerFault::Unreachable { .. }) => FaultCode::IssuerUnreachable,
            HandleError::Issuer(IssuerFault::Misbehaved { .. }) => FaultCode::IssuerMisbehaved,
            HandleError::Issuer(IssuerFault::Refused { .. }) => FaultCode::IssuerRefused,
        };
        code.because(error)
    }
}

impl From<RegisterError> for RpcError {
    fn from(error: RegisterError) -> Self {
        let code = match &error {
            RegisterError::Name(_) => FaultCode::BadName,
            RegisterError::Schema { .. } => FaultCode::BadSchema,
            RegisterError::Taken(_) => FaultCode::Taken,
            RegisterError::TooMany => FaultCode::TooMany,
            RegisterError::NotRegistered(_) => FaultCode::NotRegistered,
        };
        code.because(error)
    }
}

impl From<PublishError> for RpcError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Register(error) => error.into(),
            PublishError::TooLong => FaultCode::TooLong.because(error),
        }
    }
}

impl From<AuditError> for RpcError {
    fn from(error: AuditError) -> Self {
        HandleError::from(error).into()
    }
}
