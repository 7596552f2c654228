//! What is remembered of the provider's own session for as long as ours may last: so that logging out here can log out there
//! too, and the other way round; and so that the provider can be asked whether the person still may. Kept in notes; where one is
//! forgotten early, the person still logs out here.
//!
//! Tokens of the provider are sealed under the session's id, which the browser alone has: the store knows its digest.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::return_to::ReturnTo;
use super::{ConfiguredConnector, call};
use crate::connectors::Identified;
use crate::connectors::oidc::{ID_TOKEN, PROVIDER_SESSION};
use crate::crypto::{SealingKey, Secret};
use crate::login::answer::Refusal;
use crate::login::cookie::CookieSecret;
use crate::login::settings::Settings;
use crate::login::state::Shared;
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;
use crate::store::{AccountId, NoteKey, NoteKind, NoteValue, Session, SessionKey, Voucher};

const OURS: NoteKind = NoteKind::new("connect-session");
const THEIRS: NoteKind = NoteKind::new("connect-provider-session");
/// Sessions of ours that one of theirs may have opened. Older ones end with the account's, or by themselves.
const MAX_SESSIONS: usize = 32;
/// Attempts to add to a note that others write too.
const ATTEMPTS: usize = 8;

/// After a provider did not answer it is asked again, in seconds.
const ASK_AGAIN: u64 = 60;
const PURPOSE: &str = "loopkey provider session";

/// What logging out there needs, and asking there.
#[derive(Serialize, Deserialize)]
struct Ours {
    connector: String,
    /// What the connector wants kept, sealed.
    kept: String,
    /// When the provider said so, or was asked last.
    checked: Timestamp,
}

impl Ours {
    /// As a note. A provider's tokens may be too long for one together: without the ID token it asks the person whether to log
    /// out, and that is all.
    fn value(&mut self, kept: &BTreeMap<String, String>, id: &CookieSecret) -> Result<NoteValue, Refusal> {
        let mut kept = kept.clone();
        loop {
            let text = Secret::new(serde_json::to_string(&kept).expect("texts by name are JSON"));
            self.kept = base64url::encode(key(id).seal(text.expose().as_bytes(), self.connector.as_bytes()));
            match NoteValue::try_from(serde_json::to_string(self).expect("texts by name are JSON")) {
                Ok(value) => return Ok(value),
                Err(_) if kept.remove(ID_TOKEN).is_some() => {}
                Err(_) => {
                    tracing::error!(connector = self.connector, "the provider's tokens are too long to be kept");
                    return Err(Refusal::ProviderMisbehaved);
                }
            }
        }
    }

    /// What was sealed; nothing in another browser's hands.
    fn open(&self, id: &CookieSecret) -> BTreeMap<String, String> {
        let sealed = base64url::decode(&self.kept).unwrap_or_default();
        let opened = key(id).open(&sealed, self.connector.as_bytes()).ok();
        opened.and_then(|text| serde_json::from_slice(text.expose()).ok()).unwrap_or_default()
    }
}

fn key(id: &CookieSecret) -> SealingKey {
    SealingKey::derive(&Secret::new(base64url::encode(id.expose())), PURPOSE)
}

/// Which sessions one of theirs opened.
#[derive(Serialize, Deserialize)]
struct Theirs {
    account: AccountId,
    sessions: Vec<SessionKey>,
    /// It opened more than are remembered.
    #[serde(default)]
    overflowed: bool,
}

impl Theirs {
    fn value(&self) -> Result<NoteValue, Refusal> {
        let text = serde_json::to_string(self).expect("texts by name are JSON");
        NoteValue::try_from(text).map_err(|_| Refusal::Unavailable)
    }
}

fn ours(session: SessionKey) -> NoteKey {
    NoteKey::of(OURS, String::from(session).as_bytes())
}

fn theirs(way: &ConfiguredConnector, tenant: &str, session: &str) -> NoteKey {
    // No byte of the parts is zero: `invisible` characters are in none of them.
    NoteKey::of(THEIRS, format!("{}\0{tenant}\0{session}", way.name).as_bytes())
}

/// Remembers both ways.
pub(super) async fn remember(
    server: &Shared,
    way: &ConfiguredConnector,
    identified: &Identified,
    (account, session, id): (&AccountId, SessionKey, &CookieSecret),
    (now, until): (Timestamp, Timestamp),
) -> Result<(), Refusal> {
    if !identified.kept.is_empty() {
        let mut note = Ours { connector: way.name.as_str().to_owned(), kept: String::new(), checked: now };
        let value = note.value(&identified.kept, id)?;
        server.store.keep_note(&ours(session), value, until).await?;
    }
    if let Some(theirs_id) = identified.kept.get(PROVIDER_SESSION) {
        add(server, &theirs(way, &identified.tenant, theirs_id), account, session, until).await?;
    }
    Ok(())
}

async fn add(
    server: &Shared,
    key: &NoteKey,
    account: &AccountId,
    session: SessionKey,
    until: Timestamp,
) -> Result<(), Refusal> {
    for _ in 0..ATTEMPTS {
        let note = server.store.note(key).await?;
        let known = note.as_ref().and_then(|note| serde_json::from_str::<Theirs>(note.value.as_str()).ok());
        let mut theirs = known.filter(|known| known.account == *account).unwrap_or_else(|| {
            // The provider's session changed hands, or is new.
            Theirs { account: account.clone(), sessions: Vec::new(), overflowed: false }
        });
        theirs.sessions.push(session);
        let excess = theirs.sessions.len().saturating_sub(MAX_SESSIONS);
        theirs.sessions.drain(..excess);
        theirs.overflowed |= excess > 0;
        let written = match &note {
            Some(note) => server.store.change_note(key, note.version, theirs.value()?, until).await?,
            None => server.store.keep_note(key, theirs.value()?, until).await?,
        };
        if written {
            return Ok(());
        }
    }
    tracing::warn!("many sign-ins of one provider's session at once: its log-out may not end all of them");
    Ok(())
}

/// Ends what one of the provider's sessions opened; where that was more than is remembered, all that the connector opened for
/// the account. Whether anything is known of it.
///
/// It is forgotten only once all of them are over: whoever is told to try again finds the rest.
pub(super) async fn end(server: &Shared, way: &ConfiguredConnector, tenant: &str, id: &str) -> Result<bool, Refusal> {
    let key = theirs(way, tenant, id);
    for _ in 0..ATTEMPTS {
        let Some(note) = server.store.note(&key).await? else { return Ok(false) };
        let Ok(mut theirs) = serde_json::from_str::<Theirs>(note.value.as_str()) else { return Ok(false) };
        if theirs.sessions.is_empty() {
            return Ok(false);
        }
        if theirs.overflowed {
            end_all(server, way, &theirs.account).await?;
        }
        for session in std::mem::take(&mut theirs.sessions) {
            server.store.end_session(&theirs.account, session).await?;
        }
        theirs.overflowed = false;
        // Not taken: somebody who signed in meanwhile stands in it too, and is looked at in another round.
        if server.store.change_note(&key, note.version, theirs.value()?, note.until).await? {
            return Ok(true);
        }
    }
    Err(Refusal::Unavailable)
}

/// Ends all that a connector opened for an account.
pub(super) async fn end_all(server: &Shared, way: &ConfiguredConnector, account: &AccountId) -> Result<(), Refusal> {
    for session in server.store.sessions(account).await? {
        if is_of(way, &session) {
            server.store.end_session(account, session.key).await?;
        }
    }
    Ok(())
}

fn is_of(way: &ConfiguredConnector, session: &Session) -> bool {
    Voucher::Connector(way.name.clone()).to_string() == session.method
}

/// The connector that opened a session, and how often it asks its provider, where it does.
fn rechecking<'s>(settings: &'s Settings, session: &Session) -> Option<(&'s ConfiguredConnector, Duration)> {
    let way = settings.connectors.iter().find(|way| is_of(way, session))?;
    way.connector.rechecks_every().map(|period| (way, period))
}

/// Whether a session goes on only as long as its provider says so. What such a one opened elsewhere would go on without.
pub(in crate::login) fn is_rechecked(settings: &Settings, session: &Session) -> bool {
    rechecking(settings, session).is_some()
}

/// Where the browser of a session that has ended goes to log out at the provider too. Nothing where there is no such thing,
/// or where the provider does not answer: the person is logged out here all the same.
pub(in crate::login) async fn log_out(
    server: &Shared,
    settings: &Settings,
    (session, id): (SessionKey, Option<&CookieSecret>),
    back: &str,
) -> Result<Option<String>, Refusal> {
    let (back, _) = ReturnTo::require(back, settings)?;
    let Some(note) = server.store.take_note(&ours(session)).await? else { return Ok(None) };
    let Ok(note) = serde_json::from_str::<Ours>(note.as_str()) else { return Ok(None) };
    let Some(way) = settings.connectors.iter().find(|way| way.name.as_str() == note.connector) else { return Ok(None) };
    let kept = id.map(|id| note.open(id)).unwrap_or_default();
    Ok(call(server, way, "end_session", way.connector.end_session(&kept, back.as_str())).await.unwrap_or(None))
}

/// Asks the provider that opened a session whether the person still may sign in, where it is time for that. Whether the session
/// goes on: it ends where the provider says no, and not where it says nothing.
pub(in crate::login) async fn recheck(
    server: &Shared,
    settings: &Settings,
    session: &Session,
    id: &CookieSecret,
) -> Result<bool, Refusal> {
    let Some((way, period)) = rechecking(settings, session) else { return Ok(true) };
    let (key, now) = (ours(session.key), server.clock.timestamp());
    let Some(note) = server.store.note(&key).await? else { return Ok(true) };
    let Ok(mut known) = serde_json::from_str::<Ours>(note.value.as_str()) else { return Ok(true) };
    if now < known.checked.plus(period.as_secs()) {
        return Ok(true);
    }
    // Whoever writes this asks, among all tabs and servers; the others go on meanwhile. A refresh token may count once.
    known.checked = now;
    let kept = known.open(id);
    if !server.store.change_note(&key, note.version, known.value(&kept, id)?, note.until).await? {
        return Ok(true);
    }
    let kept = match call(server, way, "refresh", way.connector.refresh(&kept, now)).await {
        Ok(kept) => kept,
        Err(Refusal::CodeExpired | Refusal::AccessRefused | Refusal::OtherOrganisation) => {
            tracing::info!(
                subject = session.account.subject.as_str(),
                connector = way.name.as_str(),
                "may not any more"
            );
            server.store.end_session(&session.account.profile.account, session.key).await?;
            server.store.take_note(&key).await?;
            return Ok(false);
        }
        // It may be the provider's fault, or the configuration's: nobody is signed out by it.
        Err(_) => {
            known.checked = Timestamp((now.0 + ASK_AGAIN).saturating_sub(period.as_secs()));
            kept
        }
    };
    // Nobody else has written it: whoever wanted to asked nothing.
    if let Some(note) = server.store.note(&key).await? {
        server.store.change_note(&key, note.version, known.value(&kept, id)?, note.until).await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(id_token: usize, refresh_token: usize) -> BTreeMap<String, String> {
        let token = |name: &str, len| (name.to_owned(), "t".repeat(len));
        BTreeMap::from([token(ID_TOKEN, id_token), token("refresh_token", refresh_token)])
    }

    fn note() -> Ours {
        Ours { connector: "corp".to_owned(), kept: String::new(), checked: Timestamp(0) }
    }

    #[test]
    fn what_is_kept_opens_with_the_browsers_cookie_alone_and_for_its_connector() {
        let (mine, theirs) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let mut note = note();
        let value = note.value(&kept(300, 300), &mine).expect("a note");
        assert!(!value.as_str().contains("ttt") && !value.as_str().contains("refresh"), "{}", value.as_str());
        let mut read: Ours = serde_json::from_str(value.as_str()).expect("a note");
        assert_eq!(read.open(&mine), kept(300, 300));
        assert!(read.open(&theirs).is_empty());
        read.connector = "other".to_owned();
        assert!(read.open(&mine).is_empty());
    }

    #[test]
    fn where_both_are_too_long_for_a_note_the_id_token_goes_and_nothing_else() {
        let id = Secret::new([1; 32]);
        for (id_token, refresh_token, expected) in [(1200, 1200, 2), (2500, 1200, 1), (10, 3500, 0)] {
            let mut note = note();
            let value = note.value(&kept(id_token, refresh_token), &id);
            let read = value.ok().map(|value| serde_json::from_str::<Ours>(value.as_str()).expect("a note"));
            let entries = read.map(|read| read.open(&id)).unwrap_or_default();
            assert_eq!(entries.len(), expected, "{id_token} and {refresh_token}");
            assert_eq!(entries.contains_key("refresh_token"), expected > 0);
        }
    }
}
