//! How the agent stands, as programs and people are told.

use serde::{Deserialize, Serialize};

use crate::agent::issuer::hub::Hub;
use crate::agent::issuer::record::Account;
use crate::protocol::grant::{Choice, ConsentMode, Grants};
use crate::protocol::id::{Epoch, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;
use crate::protocol::time::UnixMillis;

/// An enrolled account, as shown to the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountInfo {
    /// The issuer's name for the account: what the control socket calls it by.
    pub account: Subject,
    /// The login server.
    pub issuer: Issuer,
    /// The person's name.
    pub name: String,
    /// The person's picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// Whether this is the account that is signed in at its issuer.
    pub current: bool,
}

/// How one issuer stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerStatus {
    /// The login server.
    pub issuer: Issuer,
    /// How the person stands to the client.
    pub presence: PresenceState,
    /// The agent's epoch there.
    pub epoch: Epoch,
    /// Who is signed in.
    pub account: Option<AccountInfo>,
    /// Sign-outs that the issuer has not answered yet.
    pub pending_sign_outs: usize,
}

/// How one origin stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginStatus {
    /// The origin.
    pub origin: Origin,
    /// Its login server.
    pub issuer: Issuer,
    /// Open sockets.
    pub sockets: usize,
    /// What it may ask for.
    pub grants: Grants,
    /// How the person is asked, as configured.
    pub consent: ConsentMode,
    /// What the person chose instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// Whether an administrator's policy had a say in the above.
    pub by_policy: bool,
}

/// A consent that the person gave for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentInfo {
    /// Where the person is signed in without being asked again.
    pub origin: Origin,
    /// Which account.
    pub account: Subject,
    /// When it was given.
    pub since: UnixMillis,
}

/// How the agent stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub agent: String,
    /// The protocol's version.
    pub protocol: u32,
    /// The port that it listens on.
    pub port: u16,
    /// The port that speaks TLS, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wss_port: Option<u16>,
    /// Whether other users of this computer are kept out.
    pub peer_check: bool,
    /// Every enrolled account.
    pub accounts: Vec<AccountInfo>,
    /// One entry an issuer.
    pub issuers: Vec<IssuerStatus>,
    /// One entry an origin.
    pub origins: Vec<OriginStatus>,
}

impl AccountInfo {
    pub(super) fn of(hub: &Hub, account: Account, current: bool) -> Self {
        let Account { subject, name, avatar, .. } = account;
        Self { account: subject, issuer: hub.issuer().clone(), name, avatar, current }
    }

    /// Without the picture: several of them are too long for one line of the control socket.
    pub(super) fn without_picture(self) -> Self {
        Self { avatar: None, ..self }
    }
}
