//! `/v1/identities`: where else a person can sign in from, for its person to see and to take away.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::crypto;
use crate::login::answer::{Refusal, json};
use crate::login::caller::{PageCall, SignedIn};
use crate::login::path::Path;
use crate::login::settings::Current;
use crate::login::state::Shared;
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;
use crate::store::{AccountId, Identity, LinkedIdentity};

/// What an identity is called in an address: a digest, so that nobody's id at a provider stands in a log.
pub(super) fn handle(identity: &Identity) -> String {
    let parts = [identity.connector().as_str(), identity.tenant(), identity.id()];
    let digests = parts.map(|part| crypto::sha256(&[part.as_bytes()]));
    base64url::encode(crypto::sha256(&[&digests[0], &digests[1], &digests[2]]))
}

/// One of an account's identities, by its handle.
pub(super) async fn named(server: &Shared, account: &AccountId, name: &str) -> Result<LinkedIdentity, Refusal> {
    let identities = server.store.identities(account).await?;
    identities.into_iter().find(|linked| handle(&linked.identity) == name).ok_or(Refusal::NotFound)
}

#[derive(Serialize)]
struct Listed<'a> {
    identities: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: String,
    connector: &'a str,
    /// What the connector's button says; nothing where it is configured no more.
    label: Option<&'a str>,
    name: Option<&'a str>,
    linked_at: Timestamp,
}

/// `GET`: the account's identities, the oldest link first.
pub(in crate::login) async fn list(
    State(server): State<Shared>,
    settings: Current,
    SignedIn(own): SignedIn,
) -> Result<Response, Refusal> {
    let identities = server.store.identities(&own.account.profile.account).await?;
    let entries = identities.iter().map(|linked| {
        let connector = linked.identity.connector();
        let way = settings.connectors.iter().find(|way| way.name == *connector);
        Entry {
            id: handle(&linked.identity),
            connector: connector.as_str(),
            label: way.map(|way| way.label.as_str()),
            name: linked.details.get("name"),
            linked_at: linked.linked_at,
        }
    });
    Ok(json(StatusCode::OK, &Listed { identities: entries.collect() }))
}

/// `DELETE /v1/identities/{identity}`: nobody signs in with it any more. Sessions go on.
pub(in crate::login) async fn unlink(
    State(server): State<Shared>,
    _: PageCall,
    SignedIn(own): SignedIn,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let account = &own.account.profile.account;
    let linked = named(&server, account, &name).await?;
    if !server.store.unlink_identity(account, &linked.identity).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!(subject = own.account.subject.as_str(), "unlinked an identity");
    Ok(StatusCode::NO_CONTENT.into_response())
}
