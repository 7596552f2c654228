//! What the agent signs for pages: presence proofs and login tokens (protocol section 5).

use std::sync::Arc;

use super::{Hub, HubError};
use crate::agent::audit::Act;
use crate::agent::issuer::record::Account;
use crate::crypto::Signer;
use crate::protocol::acceptance::AcceptedChallenge;
use crate::protocol::consent::{ConsentRequest, Consented, SpentConsent};
use crate::protocol::id::{DeviceIssuer, Epoch, TokenId};
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
        let (account, signer) = self.signer_for(published.state.epoch)?;
        let iat = challenge.timestamp(self.clock.now());
        let claims = challenge.claims();
        let proof = Presence {
            iss: DeviceIssuer(account.device),
            aud: self.issuer.clone(),
            sub: account.subject,
            org: claims.org.clone(),
            nonce: claims.jti,
            sid: claims.sid,
            pst: published.state.presence,
            seq: published.seq,
            epo: published.state.epoch,
            iat,
            exp: iat.plus(PRESENCE_LIFE_SECONDS),
        };
        Ok(statement::sign(&proof, signer.as_ref())?)
    }

    /// Signs a login token for exactly what the person agreed to.
    pub(in crate::agent) fn sign_token(
        &self,
        challenge: &AcceptedChallenge,
        consented: Consented,
    ) -> Result<(String, SpentConsent), HubError> {
        let agreed = consented.request();
        let (account, signer) = self.signer_for(agreed.epoch)?;
        let claims = challenge.claims();
        if account.subject != agreed.subject || claims.org != agreed.origin || self.issuer != agreed.issuer {
            return Err(HubError::Changed);
        }
        let now = self.clock.now();
        let iat = challenge.timestamp(now);
        let token = Login {
            iss: DeviceIssuer(account.device),
            aud: claims.rdm.clone(),
            sub: account.subject,
            org: claims.org.clone(),
            nonce: claims.jti,
            sid: claims.sid,
            jti: TokenId::from_bytes(crate::crypto::random()),
            epo: agreed.epoch,
            uv: consented.how(),
            iat,
            exp: iat.plus(LOGIN_LIFE_SECONDS),
        };
        let signed = statement::sign(&token, signer.as_ref())?;
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
        let (account, signer) = self.signer_for(epoch)?;
        let approval = Approval {
            iss: DeviceIssuer(account.device),
            aud: self.issuer.clone(),
            sub: account.subject,
            order: asking.order,
            nonce: asking.nonce,
            code,
            decision,
            epo: epoch,
        };
        Ok(statement::sign(&approval, signer.as_ref())?)
    }

    /// What the person is to be asked, if the epoch is still the one of the card.
    pub(in crate::agent) fn consent_request(
        &self,
        origin: &Origin,
        epoch: Epoch,
    ) -> Result<(ConsentRequest, Account), HubError> {
        let (account, _) = self.signer_for(epoch)?;
        let subject = account.subject.clone();
        Ok((ConsentRequest { origin: origin.clone(), issuer: self.issuer.clone(), subject, epoch }, account))
    }

    fn signer_for(&self, epoch: Epoch) -> Result<(Account, Arc<dyn Signer>), HubError> {
        let inner = self.lock();
        if inner.record.epoch != epoch {
            return Err(HubError::Changed);
        }
        let account = inner.record.current.as_ref().and_then(|subject| inner.record.account(subject));
        match (account, &inner.signer) {
            (Some(account), Some(signer)) => Ok((account.clone(), Arc::clone(signer))),
            _ => Err(HubError::SignedOut),
        }
    }
}
