//! The operations, as what each script is told and what its answer means.

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::link::DEADLINE;
use super::rows::{self, DeviceRow, Row, SessionRow, integer};
use super::{KEPT_MARGIN_SECONDS, Redis, inspect, marks, scripts};
use crate::crypto::{self, Algorithm, KeyId, PublicKey};
use crate::protocol::base64url;
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use crate::protocol::time::Timestamp;
use crate::store::new_session::Grounds;
use crate::store::session::USE_GRANULARITY_SECONDS;
use crate::store::{
    Account, AccountChange, AccountId, Actor, AuditEntry, AuditRecord, Audited, Avatar, ChallengeSigners, Cursor,
    Details, DeviceRecord, DisplayName, EndReason, EnrolRefusal, Enrolled, Hint, Identity, LinkRefusal, LinkedIdentity,
    NewSession, Note, NoteKey, NoteValue, NoteVersion, OpenRefusal, OrganisationId, Profile, Refusable, Session,
    SessionKey, SessionLookup, Store, StoreError, TICKET_LIFE_SECONDS, Tail, TicketHash, Ticketed, Withdrawal,
    Withdrawn,
};
use crate::verify::mark::{FirstUse, MarkError};

/// An entry of the log, as it is stored.
fn entry(withdrawn: Withdrawn, reason: EndReason) -> String {
    serde_json::to_string(&Withdrawal { withdrawn, reason }).expect("an entry is plain text and numbers")
}

fn random_id() -> String {
    base64url::encode(crypto::random::<16>())
}

/// How long a hash is kept that counts for so many seconds.
fn kept_milliseconds(seconds: u64) -> u64 {
    integer(seconds.saturating_add(KEPT_MARGIN_SECONDS).saturating_mul(1000))
}

/// What a script is told of an identity and of who says so.
fn told_of(account: &AccountId, identity: &Identity, details: Option<&Details>) -> Value {
    json!({
        "account": account,
        "identity": identity_name(identity),
        "connector": identity.connector(),
        "tenant": identity.tenant(),
        "id": identity.id(),
        "details": details.map(Details::to_json),
        "detail": identity.detail(),
    })
}

/// One spelling for each identity.
fn identity_name(identity: &Identity) -> String {
    json!([identity.connector(), identity.tenant(), identity.id()]).to_string()
}

impl Redis {
    /// What a script is told of a note that it writes.
    fn told_of_note(&self, note: &NoteKey, value: &NoteValue, until: Timestamp) -> Value {
        json!({
            "note": note,
            "fresh": marks::fresh_life(),
            "value": value.as_str(),
            // As text, which they stay.
            "version": NoteVersion::fresh().0.to_string(),
            "until": integer(until.0),
            "kept_ms": kept_milliseconds(until.seconds_since(self.clock.timestamp())),
        })
    }

    async fn find(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        let found: Option<SessionRow> =
            self.read(&scripts::SESSION, json!({ "session": String::from(session) })).await?;
        match found {
            Some(found) => rows::session(&found, self.clock.timestamp()),
            None => Ok(SessionLookup::Over(EndReason::Ended)),
        }
    }
}

#[async_trait]
impl Store for Redis {
    async fn ping(&self) -> Result<(), StoreError> {
        // Settings can change while it runs.
        let (calls, writes) = futures::join!(self.calls.check(), self.writes.check());
        calls.and(writes)?;
        let theirs = self.write(&scripts::PING, json!({})).await?;
        inspect::judge_clock(Timestamp(theirs), self.clock.timestamp()).map_err(StoreError::new)
    }

    async fn challenge_signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError> {
        self.signers(algorithm).await
    }

    async fn rotate_challenge_key(&self, algorithm: Algorithm) -> Result<(), StoreError> {
        self.rotate(algorithm).await
    }

    async fn issue_ticket(&self, ticket: TicketHash, profile: Profile) -> Result<Option<Ticketed>, StoreError> {
        let expires_at = self.clock.timestamp().plus(TICKET_LIFE_SECONDS);
        let told = json!({
            "account": profile.account.as_str(),
            "name": profile.name.as_str(),
            "avatar": profile.avatar.as_ref().map_or("", Avatar::as_str),
            "fresh_subject": random_id(),
            "ticket": base64url::encode(ticket.0),
            "expires_at": expires_at,
            "kept_ms": kept_milliseconds(TICKET_LIFE_SECONDS),
        });
        let subject: Option<String> = self.write(&scripts::ISSUE_TICKET, told).await?;
        let subject = subject.map(|subject| subject.parse()).transpose().map_err(StoreError::new)?;
        Ok(subject.map(|subject| Ticketed { subject, expires_at }))
    }

    async fn account(&self, account: &AccountId) -> Result<Option<Account>, StoreError> {
        let get = redis::cmd("HGETALL").arg(format!("{}account:{account}", scripts::PREFIX)).to_owned();
        let row: Row =
            self.calls.call(DEADLINE, async |live| Ok(get.query_async(&mut live.connection()).await?)).await?;
        rows::account(&row)
    }

    async fn account_of(&self, subject: &Subject) -> Result<Option<Account>, StoreError> {
        let row: Row = self.read(&scripts::ACCOUNT_OF, json!({ "subject": subject })).await?;
        rows::account(&row)
    }

    async fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        let told = json!({ "after": after, "limit": limit });
        let found: Vec<Row> = self.read(&scripts::ACCOUNTS, told).await?;
        found.iter().filter_map(|row| rows::account(row).transpose()).collect()
    }

    async fn change_account(&self, account: &AccountId, change: AccountChange) -> Result<Option<Account>, StoreError> {
        let mut changes = serde_json::Map::new();
        let mut set = |field: &str, value: &str| drop(changes.insert(field.to_owned(), value.into()));
        if let Some(name) = &change.name {
            set("name", name.as_str());
        }
        if let Some(avatar) = &change.avatar {
            set("avatar", avatar.as_ref().map_or("", Avatar::as_str));
        }
        if let Some(organisation) = &change.organisation {
            set("organisation", organisation.as_ref().map_or("", OrganisationId::as_str));
        }
        if let Some(disabled) = change.disabled {
            set("disabled", if disabled { "1" } else { "0" });
        }
        if let Some(uv) = change.minimum_uv {
            set("minimum_uv", &rows::uv_rank(uv).to_string());
        }
        let told = json!({ "account": account, "changes": changes, "detail": change.detail() });
        let row: Row = self.write(&scripts::CHANGE_ACCOUNT, told).await?;
        let changed = rows::account(&row)?;
        if let Some(account) = changed.as_ref().filter(|_| change.name.is_some() || change.avatar.is_some()) {
            self.hint(Hint::ProfileChanged { subject: account.subject.clone() }).await;
        }
        Ok(changed)
    }

    async fn erase_account(&self, account: &AccountId) -> Result<bool, StoreError> {
        self.write(&scripts::ERASE_ACCOUNT, json!({ "account": account })).await
    }

    async fn enrol(&self, ticket: TicketHash, key: PublicKey, name: DisplayName) -> Refusable<Enrolled, EnrolRefusal> {
        let device: DeviceId = random_id().parse().expect("base64url is a valid device id");
        let told = json!({
            "ticket": base64url::encode(ticket.0),
            "device": device,
            "key_id": key.id(),
            "jwk": serde_json::to_string(&key.to_jwk()).map_err(StoreError::new)?,
            "name": name.as_str(),
        });
        let (outcome, row): (String, Row) = self.write(&scripts::ENROL, told).await?;
        let refusal = match outcome.as_str() {
            "ticket" => EnrolRefusal::Ticket,
            "disabled" => EnrolRefusal::Disabled,
            "duplicate_key" => EnrolRefusal::DuplicateKey,
            _ => {
                let account = rows::account(&row)?.ok_or_else(|| StoreError::new("the enrolment has no account"))?;
                return Ok(Ok(Enrolled { device, epoch: Epoch::default(), account }));
            }
        };
        Ok(Err(refusal))
    }

    async fn device(&self, key: KeyId) -> Result<Option<DeviceRecord>, StoreError> {
        let found: Option<DeviceRow> = self.read(&scripts::DEVICE, json!({ "key_id": key })).await?;
        found.as_ref().map(rows::device).transpose()
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError> {
        let found: Vec<DeviceRow> = self.read(&scripts::DEVICES, json!({ "account": account })).await?;
        found.iter().map(rows::device).collect()
    }

    async fn revoke_device(&self, account: &AccountId, device: &DeviceId, by: Actor) -> Result<bool, StoreError> {
        let entry = entry(Withdrawn::Device { device: device.clone() }, EndReason::Revoked);
        let told = json!({ "account": account, "device": device, "detail": by.as_str(), "entry": entry });
        self.write(&scripts::REVOKE_DEVICE, told).await
    }

    async fn raise_epoch(&self, device: &DeviceId, epoch: Epoch) -> Result<bool, StoreError> {
        let epoch = integer(epoch.0);
        let below = Withdrawn::Epoch { device: device.clone(), below: Epoch(epoch) };
        let told = json!({
            "device": device,
            "epoch": epoch,
            "epoch_detail": format!("epoch={epoch}"),
            "epoch_entry": entry(below, EndReason::SignedOut),
        });
        self.write(&scripts::RAISE_EPOCH, told).await
    }

    async fn open_session(&self, session: NewSession) -> Refusable<Account, OpenRefusal> {
        let NewSession { key, origin, method, lifetimes, replaces, browser, .. } = &session;
        let (device, epoch) = (session.device(), integer(session.epoch().0));
        let below = |device: &DeviceId| Withdrawn::Epoch { device: device.clone(), below: Epoch(epoch) };
        let over = |former| entry(Withdrawn::Session { session: former }, EndReason::LoggedOut);
        let (subject, generation) = match &session.grounds {
            Grounds::Device { .. } => (None, None),
            Grounds::Account { subject, generation } => (Some(subject), Some(generation)),
        };
        let told = json!({
            "session": key,
            "device": device,
            "epoch": epoch,
            "epoch_detail": format!("epoch={epoch}"),
            "epoch_entry": device.map(|device| entry(below(device), EndReason::SignedOut)),
            "subject": subject,
            "generation": generation,
            "uv": rows::uv_rank(session.uv),
            "origin": origin.as_str(),
            "method": method,
            "expires_at": integer(self.clock.timestamp().plus(lifetimes.absolute.as_secs()).0),
            "idle_seconds": integer(lifetimes.idle.as_secs()),
            "kept_ms": kept_milliseconds(lifetimes.absolute.as_secs()),
            "former": replaces,
            "former_entry": replaces.map(over),
            "browser": browser.as_ref().map_or("", DisplayName::as_str),
            "detail": session.detail(),
        });
        let row: Row = self.write(&scripts::OPEN_SESSION, told).await?;
        Ok(rows::account(&row)?.ok_or(OpenRefusal::Withdrawn))
    }

    async fn use_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        let lookup = self.find(session).await?;
        let due = |since: Timestamp| self.clock.timestamp().seconds_since(since) >= USE_GRANULARITY_SECONDS;
        if matches!(&lookup, SessionLookup::Open(open) if due(open.last_used)) {
            // Gives nobody a right that a failover would have to keep.
            self.read::<u8>(&scripts::NOTE_USE, json!({ "session": session })).await?;
        }
        Ok(lookup)
    }

    async fn look_at_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        self.find(session).await
    }

    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>, StoreError> {
        let found: Vec<SessionRow> = self.read(&scripts::SESSIONS, json!({ "account": account })).await?;
        let now = self.clock.timestamp();
        let looked_up = found.iter().map(|found| rows::session(found, now).map(SessionLookup::open));
        let mut open: Vec<Session> = looked_up.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        open.sort_by_key(|session| (std::cmp::Reverse(session.signed_in_at), session.key));
        Ok(open)
    }

    async fn end_session(&self, account: &AccountId, session: SessionKey) -> Result<bool, StoreError> {
        let entry = entry(Withdrawn::Session { session }, EndReason::LoggedOut);
        self.write(&scripts::END_SESSION, json!({ "account": account, "session": session, "entry": entry })).await
    }

    async fn sign_out_account(&self, account: &AccountId, from: Option<SessionKey>) -> Result<bool, StoreError> {
        let what = if from.is_some() { Audited::LoggedOutEverywhere } else { Audited::AccountSignedOut };
        let over = |session| entry(Withdrawn::Session { session }, EndReason::LoggedOut);
        let told = json!({ "account": account, "what": what.as_str(), "from_entry": from.map(over) });
        self.write(&scripts::SIGN_OUT_ACCOUNT, told).await
    }

    async fn sign_out_organisation(&self, organisation: &OrganisationId) -> Result<bool, StoreError> {
        let detail = format!("organisation={}", organisation.as_str());
        let told = json!({ "organisation": organisation, "detail": detail });
        self.write(&scripts::SIGN_OUT_ORGANISATION, told).await
    }

    async fn link_identity(
        &self,
        account: &AccountId,
        identity: Identity,
        details: Details,
    ) -> Refusable<(), LinkRefusal> {
        let outcome: String = self.write(&scripts::LINK_IDENTITY, told_of(account, &identity, Some(&details))).await?;
        Ok(match outcome.as_str() {
            "taken" => Err(LinkRefusal::Taken),
            "no_account" => Err(LinkRefusal::NoAccount),
            "disabled" => Err(LinkRefusal::Disabled),
            _ => Ok(()),
        })
    }

    async fn identity(&self, identity: &Identity) -> Result<Option<(Account, LinkedIdentity)>, StoreError> {
        let told = json!({ "identity": identity_name(identity) });
        let found: Option<(Row, Row)> = self.read(&scripts::IDENTITY, told).await?;
        let Some((row, owner)) = found else { return Ok(None) };
        Ok(rows::account(&owner)?.map(|owner| Ok::<_, StoreError>((owner, rows::linked(&row)?))).transpose()?)
    }

    async fn identities(&self, account: &AccountId) -> Result<Vec<LinkedIdentity>, StoreError> {
        let found: Vec<Row> = self.read(&scripts::IDENTITIES, json!({ "account": account })).await?;
        let mut linked: Vec<_> = found.iter().map(rows::linked).collect::<Result<_, _>>()?;
        linked.sort_by(|a, b| (a.linked_at, &a.identity).cmp(&(b.linked_at, &b.identity)));
        Ok(linked)
    }

    async fn unlink_identity(&self, account: &AccountId, identity: &Identity) -> Result<bool, StoreError> {
        self.write(&scripts::UNLINK_IDENTITY, told_of(account, identity, None)).await
    }

    async fn adopt_identity(
        &self,
        profile: Profile,
        identity: Identity,
        details: Details,
    ) -> Refusable<Account, LinkRefusal> {
        let mut told = told_of(&profile.account, &identity, Some(&details));
        told["fresh_subject"] = random_id().into();
        told["name"] = profile.name.as_str().into();
        told["avatar"] = profile.avatar.as_ref().map_or("", Avatar::as_str).into();
        let (outcome, row): (String, Row) = self.write(&scripts::ADOPT_IDENTITY, told).await?;
        match outcome.as_str() {
            "taken" => Ok(Err(LinkRefusal::Taken)),
            "disabled" => Ok(Err(LinkRefusal::Disabled)),
            _ => rows::account(&row)?.map(Ok).ok_or_else(|| StoreError::new("the identity has no account")),
        }
    }

    async fn keep_note(&self, note: &NoteKey, value: NoteValue, until: Timestamp) -> Result<bool, StoreError> {
        self.write(&scripts::KEEP_NOTE, self.told_of_note(note, &value, until)).await
    }

    async fn note(&self, note: &NoteKey) -> Result<Option<Note>, StoreError> {
        let told = json!({ "note": note, "fresh": marks::fresh_life() });
        let found: Option<(String, u64, u64)> = self.read(&scripts::NOTE, told).await?;
        found.map(rows::note).transpose()
    }

    async fn change_note(
        &self,
        note: &NoteKey,
        version: NoteVersion,
        value: NoteValue,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut told = self.told_of_note(note, &value, until);
        told["former"] = version.0.to_string().into();
        let changed = self.write(&scripts::CHANGE_NOTE, told).await?;
        if changed {
            self.hint(Hint::NoteChanged { note: note.clone() }).await;
        }
        Ok(changed)
    }

    async fn take_note(&self, note: &NoteKey) -> Result<Option<NoteValue>, StoreError> {
        let told = json!({ "note": note, "fresh": marks::fresh_life() });
        let taken: Option<String> = self.write(&scripts::TAKE_NOTE, told).await?;
        taken.map(NoteValue::try_from).transpose().map_err(StoreError::new)
    }

    async fn record(&self, record: AuditRecord) -> Result<(), StoreError> {
        let AuditRecord { what, account, device, detail } = record;
        let told = json!({ "what": what.as_str(), "account": account, "device": device, "detail": detail });
        self.write::<u8>(&scripts::RECORD, told).await.map(drop)
    }

    async fn audit_tail(&self, of: Option<&AccountId>, entries: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let told = json!({ "account": of, "limit": entries });
        let found: Vec<(Row, Option<String>)> = self.read(&scripts::AUDIT_TAIL, told).await?;
        found.iter().map(rows::audit_entry).collect()
    }

    async fn log_end(&self) -> Result<Cursor, StoreError> {
        // No life is called so.
        match self.log("", 0).await? {
            Tail::Lost(end) | Tail::Entries(_, end) => Ok(end),
        }
    }

    async fn withdrawals(&self, after: &Cursor) -> Result<Tail, StoreError> {
        self.log(&after.life, after.seq).await
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.listen()
    }

    async fn hint(&self, hint: Hint) {
        let text = serde_json::to_string(&hint).expect("a hint is plain text");
        let publish = redis::cmd("PUBLISH").arg(&self.channel).arg(text).to_owned();
        let rung = self.calls.call(DEADLINE, async |live| Ok(publish.exec_async(&mut live.connection()).await?));
        if let Err(fault) = rung.await {
            tracing::debug!("a hint got lost: {fault}");
        }
    }

    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        self.marks.incarnation(&self.calls, DEADLINE).await
    }

    async fn mark(
        &self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
    ) -> Result<FirstUse, MarkError> {
        self.marks.mark(&self.calls, challenge, incarnation, (self.clock.timestamp(), until)).await
    }
}
