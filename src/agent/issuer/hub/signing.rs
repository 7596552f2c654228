//! What the agent signs for pages: presence proofs and login tokens (protocol section 5).

use std::sync::Arc;

use super::{Hub, HubError, Inner};
use crate::agent::audit::Act;
use crate::agent::issuer::record::Account;
use crate::crypto::Signer;
use crate::protocol::acceptance::AcceptedChallenge;
use crate::protocol::consent::{ConsentRequest, Consented, SpentConsent};
use crate::protocol::id::{DeviceIssuer, Epoch, Subject, TokenId};
use crate::protocol::link::Asking;
use crate::protocol::order::{Decision, Digits};
use crate::protocol::origin::Origin;
use crate::protocol::state::Published;
use crate::protocol::statement::{self, Approval, LOGIN_LIFE_SECONDS, Login, PRESENCE_LIFE_SECONDS, Presence};

impl Hub {
    /// Signs a presence proof, if the state is still the one that it is asked for.
    pub(in crate::agent) fn sign_proof(
        &self,
        challenge: &AcceptedChallenge,
        published: &Published,
    ) -> Result<String, HubError> {
        let device = self.device_of(published.state.epoch)?;
        let iat = challenge.timestamp(self.clock.now());
        let claims = challenge.claims();
        let proof = Presence {
            iss: device.iss,
            aud: self.issuer.clone(),
            sub: device.sub,
            org: claims.org.clone(),
            nonce: claims.jti,
            sid: claims.sid,
            pst: published.state.presence,
            seq: published.seq,
            epo: published.state.epoch,
            iat,
            exp: iat.plus(PRESENCE_LIFE_SECONDS),
        };
        Ok(statement::sign(&proof, device.signer.as_ref())?)
    }

    /// Signs a login token for exactly what the person agreed to.
    pub(in crate::agent) fn sign_token(
        &self,
        challenge: &AcceptedChallenge,
        consented: Consented,
    ) -> Result<(String, SpentConsent), HubError> {
        let agreed = consented.request();
        let device = self.device_of(agreed.epoch)?;
        let claims = challenge.claims();
        if device.sub != agreed.subject || claims.org != agreed.origin || self.issuer != agreed.issuer {
            return Err(HubError::Changed);
        }
        let now = self.clock.now();
        let iat = challenge.timestamp(now);
        let token = Login {
            iss: device.iss,
            aud: claims.rdm.clone(),
            sub: device.sub,
            org: claims.org.clone(),
            nonce: claims.jti,
            sid: claims.sid,
            jti: TokenId::from_bytes(crate::crypto::random()),
            epo: agreed.epoch,
            uv: consented.how(),
            iat,
            exp: iat.plus(LOGIN_LIFE_SECONDS),
        };
        let signed = statement::sign(&token, device.signer.as_ref())?;
        // What is not written down is not given out.
        let issuer = self.issuer.clone();
        self.audit.record(Act::Token { issuer, origin: token.org, account: token.sub, epoch: token.epo })?;
        Ok((signed, consented.spend(claims, now)))
    }

    /// Signs what the person decided about an order, if they still are who was asked.
    pub(in crate::agent) fn sign_approval(
        &self,
        asking: &Asking,
        epoch: Epoch,
        decision: Decision,
        code: Digits,
    ) -> Result<String, HubError> {
        let device = self.device_of(epoch)?;
        let approval = Approval {
            iss: device.iss,
            aud: self.issuer.clone(),
            sub: device.sub,
            order: asking.order,
            nonce: asking.nonce,
            code,
            decision,
            epo: epoch,
        };
        Ok(statement::sign(&approval, device.signer.as_ref())?)
    }

    /// What the person is to be asked, if the epoch is still the one of the card.
    pub(in crate::agent) fn consent_request(
        &self,
        origin: &Origin,
        epoch: Epoch,
    ) -> Result<(ConsentRequest, Account), HubError> {
        let inner = self.lock();
        let (account, _) = inner.current(epoch)?;
        let subject = account.subject.clone();
        let request = ConsentRequest { origin: origin.clone(), issuer: self.issuer.clone(), subject, epoch };
        Ok((request, account.clone()))
    }

    /// The device key of who is signed in, if the epoch is still theirs.
    fn device_of(&self, epoch: Epoch) -> Result<Device, HubError> {
        let inner = self.lock();
        let (account, signer) = inner.current(epoch)?;
        let iss = DeviceIssuer(account.device.clone());
        Ok(Device { iss, sub: account.subject.clone(), signer: Arc::clone(signer) })
    }
}

/// One account's key on this computer, and both names that its issuer has for it.
struct Device {
    iss: DeviceIssuer,
    sub: Subject,
    signer: Arc<dyn Signer>,
}

impl Inner {
    fn current(&self, epoch: Epoch) -> Result<(&Account, &Arc<dyn Signer>), HubError> {
        if self.record.epoch != epoch {
            return Err(HubError::Changed);
        }
        let account = self.record.current.as_ref().and_then(|subject| self.record.account(subject));
        account.zip(self.signer.as_ref()).ok_or(HubError::SignedOut)
    }
}
