//! Writing the record down. What gives more is on the disk before it holds; what takes back holds even where the disk says
//! no, and is written down as soon as it can be.

use std::sync::Arc;

use super::{Hub, HubError, Inner};
use crate::agent::audit::Act;
use crate::agent::issuer::record::Record;
use crate::crypto::{KeyId, Signer};
use crate::protocol::id::Subject;

impl Hub {
    /// Takes on a new record, once it is on the disk.
    pub(super) fn keep(&self, inner: &mut Inner, next: Record) -> Result<(), HubError> {
        next.save(&self.folder)?;
        self.take_on(inner, next);
        self.written_down(inner);
        Ok(())
    }

    /// Takes on a record that gives less than the one before, on the disk or not.
    ///
    /// # Errors
    /// [`HubError::Unsaved`]: it holds for as long as the agent runs, and [`Hub::save_again`] has to be called.
    pub(super) fn lower(&self, inner: &mut Inner, next: Record) -> Result<(), HubError> {
        self.take_on(inner, next);
        self.write_down(inner)
    }

    /// As [`Hub::keep`], for a record in which somebody else is signed in, with that one's signer. Where it cannot be kept,
    /// whoever was signed in before is signed out all the same: the client knows that it is another person by now.
    pub(super) fn switch(&self, inner: &mut Inner, next: Record, signer: Arc<dyn Signer>) -> Result<(), HubError> {
        let left = left(inner, &next);
        if let Err(error) = self.keep(inner, next) {
            if inner.record.current.is_some() {
                let epoch = inner.record.epoch.next();
                // The reason is the same, and is told below.
                let _ = self.sign_out_at(inner, epoch);
            }
            return Err(error);
        }
        inner.signer = Some(signer);
        self.note_left(inner, left);
        Ok(())
    }

    /// As [`Hub::lower`], for a record in which nobody is signed in, or the same as before.
    pub(super) fn settle(&self, inner: &mut Inner, next: Record) -> Result<(), HubError> {
        let left = left(inner, &next);
        if next.current.is_none() {
            inner.signer = None;
        }
        let lowered = self.lower(inner, next);
        self.note_left(inner, left);
        lowered
    }

    /// Whether the disk holds what the agent goes by.
    pub(in crate::agent) fn is_saved(&self) -> bool {
        self.lock().is_saved
    }

    /// Tries once more to write down what could not be.
    ///
    /// # Errors
    /// [`HubError::Unsaved`] where it still cannot.
    pub(in crate::agent) fn save_again(&self) -> Result<(), HubError> {
        let mut inner = self.lock();
        if inner.is_saved { Ok(()) } else { self.write_down(&mut inner) }
    }

    /// The account's key goes as soon as no record on the disk names it: an agent does not start without a key that one names.
    pub(super) fn remove_key_of(&self, inner: &mut Inner, key: KeyId) -> Result<(), HubError> {
        if inner.is_saved {
            return Ok(self.keys.remove(key)?);
        }
        inner.doomed.push(key);
        Ok(())
    }

    fn take_on(&self, inner: &mut Inner, next: Record) {
        inner.record = next;
        self.changes.send_modify(|count| *count += 1);
    }

    fn write_down(&self, inner: &mut Inner) -> Result<(), HubError> {
        match inner.record.save(&self.folder) {
            Ok(()) => {
                self.written_down(inner);
                Ok(())
            }
            Err(error) => {
                if inner.is_saved {
                    tracing::error!(%error, issuer = %self.issuer, "what was taken back holds, but is not on the disk");
                    self.unsaved.notify_one();
                }
                inner.is_saved = false;
                Err(HubError::Unsaved(error))
            }
        }
    }

    fn written_down(&self, inner: &mut Inner) {
        if !std::mem::replace(&mut inner.is_saved, true) {
            tracing::info!(issuer = %self.issuer, "what could not be written down is on the disk now");
        }
        for key in inner.doomed.drain(..) {
            if let Err(error) = self.keys.remove(key) {
                tracing::error!(%error, "the key of an account that was removed is still there");
            }
        }
    }

    fn note_left(&self, inner: &Inner, left: Option<Subject>) {
        if let Some(account) = left {
            let (issuer, epoch) = (self.issuer.clone(), inner.record.epoch);
            self.audit.note(Act::SignedOut { issuer, account, epoch });
        }
    }
}

/// Whoever the next record signs out.
fn left(inner: &Inner, next: &Record) -> Option<Subject> {
    inner.record.current.clone().filter(|_| next.epoch != inner.record.epoch)
}

impl HubError {
    /// Whether what was to be done is done, and only the disk does not know.
    pub(in crate::agent) const fn is_done(&self) -> bool {
        matches!(self, Self::Unsaved(_))
    }
}
