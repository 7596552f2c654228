//! `/v1/accounts/{account}/identities`: what an application's backend links and unlinks with the service key.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::identities::{handle, named};
use crate::login::admin::account;
use crate::login::answer::{Refusal, json};
use crate::login::body::JsonBody;
use crate::login::caller::ServiceCall;
use crate::login::path::Path;
use crate::login::state::Shared;
use crate::protocol::time::Timestamp;
use crate::store::{ConnectorName, Details, Identity, LinkRefusal};

#[derive(Serialize)]
struct Listed<'a> {
    identities: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    /// What it is called in an address.
    id: String,
    connector: &'a str,
    tenant: &'a str,
    /// Who the person is there.
    external_id: &'a str,
    details: BTreeMap<&'a str, &'a str>,
    linked_at: Timestamp,
}

/// `GET`: everything that is known of them.
pub(in crate::login) async fn list(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let account = account(&name)?;
    server.store.account(&account).await?.ok_or(Refusal::NotFound)?;
    let identities = server.store.identities(&account).await?;
    let entries = identities.iter().map(|linked| Entry {
        id: handle(&linked.identity),
        connector: linked.identity.connector().as_str(),
        tenant: linked.identity.tenant(),
        external_id: linked.identity.id(),
        details: linked.details.iter().collect(),
        linked_at: linked.linked_at,
    });
    Ok(json(StatusCode::OK, &Listed { identities: entries.collect() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Put {
    connector: ConnectorName,
    tenant: String,
    external_id: String,
    #[serde(default)]
    details: Details,
}

/// `PUT`: links one. The connector need not be configured yet.
pub(in crate::login) async fn put(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
    JsonBody(put): JsonBody<Put>,
) -> Result<Response, Refusal> {
    let identity = Identity::new(put.connector, &put.tenant, &put.external_id).map_err(|_| Refusal::BadRequest)?;
    match server.store.link_identity(&account(&name)?, identity, put.details).await? {
        Ok(()) => {}
        Err(LinkRefusal::Taken) => return Err(Refusal::IdentityTaken),
        Err(LinkRefusal::NoAccount) => return Err(Refusal::NotFound),
        Err(LinkRefusal::Disabled) => return Err(Refusal::AccountDisabled),
    }
    tracing::info!("a backend linked an identity");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE …/{identity}`: unlinks one.
pub(in crate::login) async fn remove(
    State(server): State<Shared>,
    _: ServiceCall,
    Path((name, identity)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let account = account(&name)?;
    let linked = named(&server, &account, &identity).await?;
    if !server.store.unlink_identity(&account, &linked.identity).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!("a backend unlinked an identity");
    Ok(StatusCode::NO_CONTENT.into_response())
}
