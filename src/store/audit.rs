//! The audit record: what happened, when, to whom. Never a secret, never a whole token.

use super::AccountId;
use crate::protocol::id::DeviceId;
use crate::protocol::time::Timestamp;

/// Makes the list of things that are recorded, with their stored names.
macro_rules! audited {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What the audit record speaks of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Audited {
            $($(#[$doc])* $name,)*
        }

        impl Audited {
            /// The stored name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The person whose account it is.
    Person,
    /// Whoever has the service key.
    Administrator,
}

impl Actor {
    /// The detail of an entry that says so.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "by=person",
            Self::Administrator => "by=administrator",
        }
    }
}

audited! {
    /// A backend asked for an enrolment ticket.
    TicketIssued = "ticket_issued",
    /// A device key was enrolled.
    DeviceEnrolled = "device_enrolled",
    /// A device was revoked.
    DeviceRevoked = "device_revoked",
    /// A session was opened.
    SignedIn = "signed_in",
    /// A login token was exchanged for an access token of the application's backend.
    TokenExchanged = "token_exchanged",
    /// A session was ended by its person.
    LoggedOut = "logged_out",
    /// All sessions of an account were ended by its person.
    LoggedOutEverywhere = "logged_out_everywhere",
    /// A device's epoch rose: sign-out or switch in the client.
    EpochRaised = "epoch_raised",
    /// An administrator changed an account.
    AccountChanged = "account_changed",
    /// An administrator erased an account.
    AccountErased = "account_erased",
    /// An administrator signed an account out everywhere.
    AccountSignedOut = "account_signed_out",
    /// An administrator signed everybody in an organisation out.
    OrganisationSignedOut = "organisation_signed_out",
    /// An identity elsewhere was linked to an account.
    IdentityLinked = "identity_linked",
    /// The link was taken away.
    IdentityUnlinked = "identity_unlinked",
    /// A browser asked an account's agents to be let in.
    ApprovalAsked = "approval_asked",
    /// The person let a browser in from another device.
    ApprovalGiven = "approval_given",
    /// The person did not, or typed other digits.
    ApprovalDenied = "approval_denied",
    /// Two devices took one order on.
    ApprovalSuperseded = "approval_superseded",
    /// A new challenge key was made.
    ChallengeKeyRotated = "challenge_key_rotated",
    /// A copy took the store's place.
    StoreRestored = "store_restored",
}

/// Something to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// What happened.
    pub what: Audited,
    /// To whom.
    pub account: Option<AccountId>,
    /// With which device.
    pub device: Option<DeviceId>,
    /// Anything else worth knowing, without secrets.
    pub detail: String,
}

/// Something that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What happened: a name of [`Audited`], of this version or another.
    pub what: String,
    /// To whom, by the account's subject.
    pub subject: Option<String>,
    /// The account of that subject, unless it was erased.
    pub account: Option<String>,
    /// With which device.
    pub device: Option<String>,
    /// Anything else worth knowing.
    pub detail: String,
}
