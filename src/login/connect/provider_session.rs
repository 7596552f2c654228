//! What is remembered of the provider's own session for as long as ours may last: so that logging out here can log out there
//! too, and the other way round. Kept in notes; where one is forgotten early, the person still logs out here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::return_to::ReturnTo;
use super::{ConfiguredConnector, call};
use crate::connectors::Identified;
use crate::connectors::oidc::PROVIDER_SESSION;
use crate::login::answer::Refusal;
use crate::login::settings::Settings;
use crate::login::state::Shared;
use crate::protocol::time::Timestamp;
use crate::store::{AccountId, NoteKey, NoteKind, NoteValue, SessionKey};

const OURS: NoteKind = NoteKind::new("connect-session");
const THEIRS: NoteKind = NoteKind::new("connect-provider-session");
/// Sessions of ours that one of theirs may have opened. Older ones end with the account's, or by themselves.
const MAX_SESSIONS: usize = 32;
/// Attempts to add to a note that others write too.
const ATTEMPTS: usize = 8;

/// What logging out there needs.
#[derive(Serialize, Deserialize)]
struct Ours {
    connector: String,
    kept: BTreeMap<String, String>,
}

/// Which sessions one of theirs opened.
#[derive(Serialize, Deserialize)]
struct Theirs {
    account: AccountId,
    sessions: Vec<SessionKey>,
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
    (account, session): (&AccountId, SessionKey),
    until: Timestamp,
) -> Result<(), Refusal> {
    if !identified.kept.is_empty() {
        let mut note = Ours { connector: way.name.as_str().to_owned(), kept: identified.kept.clone() };
        let value = NoteValue::try_from(serde_json::to_string(&note).expect("texts by name are JSON"));
        // A token of unusual length: without it the provider asks the person whether to log out.
        let value = value.or_else(|_| {
            note.kept.clear();
            NoteValue::try_from(serde_json::to_string(&note).expect("texts by name are JSON"))
        });
        if let Ok(value) = value {
            server.store.keep_note(&ours(session), value, until).await?;
        }
    }
    if let Some(id) = identified.kept.get(PROVIDER_SESSION) {
        add(server, &theirs(way, &identified.tenant, id), account, session, until).await?;
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
    let value = |note: &Theirs| {
        let text = serde_json::to_string(note).expect("texts by name are JSON");
        NoteValue::try_from(text).map_err(|_| Refusal::Unavailable)
    };
    for _ in 0..ATTEMPTS {
        let note = server.store.note(key).await?;
        let known = note.as_ref().and_then(|note| serde_json::from_str::<Theirs>(note.value.as_str()).ok());
        let mut theirs = known.filter(|known| known.account == *account).unwrap_or_else(|| {
            // The provider's session changed hands, or is new.
            Theirs { account: account.clone(), sessions: Vec::new() }
        });
        theirs.sessions.push(session);
        let excess = theirs.sessions.len().saturating_sub(MAX_SESSIONS);
        theirs.sessions.drain(..excess);
        let written = match &note {
            Some(note) => server.store.change_note(key, note.version, value(&theirs)?, until).await?,
            None => server.store.keep_note(key, value(&theirs)?, until).await?,
        };
        if written {
            return Ok(());
        }
    }
    tracing::warn!("many sign-ins of one provider's session at once: its log-out may not end all of them");
    Ok(())
}

/// Ends what one of the provider's sessions opened. Whether it is known.
pub(super) async fn end(server: &Shared, way: &ConfiguredConnector, tenant: &str, id: &str) -> Result<bool, Refusal> {
    let Some(note) = server.store.take_note(&theirs(way, tenant, id)).await? else { return Ok(false) };
    let Ok(theirs) = serde_json::from_str::<Theirs>(note.as_str()) else { return Ok(false) };
    for session in theirs.sessions {
        server.store.end_session(&theirs.account, session).await?;
    }
    Ok(true)
}

/// Where the browser of a session that has ended goes to log out at the provider too. Nothing where there is no such thing,
/// or where the provider does not answer: the person is logged out here all the same.
pub(in crate::login) async fn log_out(
    server: &Shared,
    settings: &Settings,
    session: SessionKey,
    back: &str,
) -> Result<Option<String>, Refusal> {
    let (back, _) = ReturnTo::require(back, settings)?;
    let Some(note) = server.store.take_note(&ours(session)).await? else { return Ok(None) };
    let Ok(note) = serde_json::from_str::<Ours>(note.as_str()) else { return Ok(None) };
    let Some(way) = settings.connectors.iter().find(|way| way.name.as_str() == note.connector) else { return Ok(None) };
    Ok(call(server, way, "end_session", way.connector.end_session(&note.kept, back.as_str())).await.unwrap_or(None))
}
