//! Who opens a link: L, verified (protocol section 5).

use crate::login::state::Shared;
use crate::protocol::id::Nonce;
use crate::protocol::issuer::LinkUrl;
use crate::protocol::statement::{BadStatement, Link, Unverified};
use crate::store::{DeviceRecord, StoreError};
use crate::verify;

/// Why an L was refused; for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Statement(#[from] BadStatement),
    #[error("{0}")]
    Signature(#[from] verify::Fault),
    #[error("the statement is for another address")]
    Audience,
    #[error("the statement is for another link")]
    Nonce,
    #[error("the statement names another device")]
    Issuer,
    #[error("the account is disabled")]
    Disabled,
    #[error("the store knows its device no more, and nothing said that it was erased")]
    Absent,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies an L, and gives the device and what it says. A revoked device's is sound too: that one is to learn
/// that it is revoked.
pub(super) async fn admit(proof: &str, nonce: Nonce, server: &Shared) -> Result<(Link, DeviceRecord), Fault> {
    let unverified = Unverified::<Link>::parse(proof)?;
    let device = server.store.device(unverified.key_id()).await?;
    let link = verify(&unverified, device.as_ref(), nonce, &server.config.issuer.link_url())?;
    let device = device.ok_or(verify::Fault::UnknownKey)?;
    Ok((link, device))
}

fn verify(
    unverified: &Unverified<'_, Link>,
    device: Option<&DeviceRecord>,
    nonce: Nonce,
    endpoint: &LinkUrl,
) -> Result<Link, Fault> {
    let link = verify::verify_signature(unverified, device.map(|device| &device.key))?;
    let device = device.ok_or(verify::Fault::UnknownKey)?;
    if link.aud != *endpoint {
        return Err(Fault::Audience);
    }
    if link.nonce != nonce {
        return Err(Fault::Nonce);
    }
    if link.iss.0 == device.id { Ok(link) } else { Err(Fault::Issuer) }
}
