//! What a verifier must know of the device whose key signed.

use crate::crypto::PublicKey;
use crate::protocol::id::{DeviceId, Epoch, Subject};
use crate::protocol::statement::UserVerification;

/// A verifier's record of an enrolled device, looked up by [`super::Presented::key_id`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The issuer's name for it.
    pub id: DeviceId,
    /// The enrolled public key. It fixes the algorithm.
    pub key: PublicKey,
    /// The account that it was enrolled for.
    pub subject: Subject,
    /// Whether the person or an administrator took the device's rights away.
    pub revoked: bool,
    /// Whether the account may not sign in at present.
    pub account_disabled: bool,
    /// The highest epoch that this device's statements have carried.
    pub epoch: Epoch,
    /// The weakest verification of the person that the account's policy accepts.
    pub minimum_uv: UserVerification,
}
