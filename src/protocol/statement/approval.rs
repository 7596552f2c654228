//! A: the person approved an order at another computer of theirs, or said no (protocol section 8).

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::protocol::id::{DeviceIssuer, Epoch, Nonce, OrderId, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::order::{Decision, Digits};

/// Claims of an approval. No time: the nonce is the order's, which is good for two minutes and one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// `loopkey:` and the device id.
    pub iss: DeviceIssuer,
    /// The issuer.
    pub aud: Issuer,
    /// Who decided.
    pub sub: Subject,
    /// The order.
    pub order: OrderId,
    /// The order's.
    pub nonce: Nonce,
    /// The digits that the person typed. Of a refusal, any.
    pub code: Digits,
    /// What the person decided.
    pub decision: Decision,
    /// The agent's epoch at this issuer.
    pub epo: Epoch,
}

impl Statement for Approval {
    const TYP: &'static str = "loopkey-approval+jwt";
}
