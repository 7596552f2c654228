//! `/v1/accounts`: lists, shows, changes, signs out and erases accounts.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{account, limit, query};
use crate::login::answer::{Refusal, json};
use crate::login::body::{JsonBody, PICTURE_BODY_MAX_LEN};
use crate::login::caller::ServiceCall;
use crate::login::path::Path;
use crate::login::state::Shared;
use crate::protocol::id::Subject;
use crate::protocol::json as closed;
use crate::protocol::statement::UserVerification;
use crate::store::{Account, AccountChange, AccountId, Avatar, DisplayName, OrganisationId};

/// An account as its administrator sees it.
#[derive(Serialize)]
struct Shown<'a> {
    account: &'a AccountId,
    subject: &'a Subject,
    name: &'a str,
    avatar: Option<&'a str>,
    organisation: Option<&'a OrganisationId>,
    disabled: bool,
    minimum_uv: UserVerification,
}

impl<'a> Shown<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            account: &account.profile.account,
            subject: &account.subject,
            name: account.profile.name.as_str(),
            avatar: account.profile.avatar.as_ref().map(Avatar::as_str),
            organisation: account.organisation.as_ref(),
            disabled: account.disabled,
            minimum_uv: account.minimum_uv,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    after: Option<AccountId>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Listed<'a> {
    accounts: Vec<Shown<'a>>,
    /// What to give as `after` for the next page; nothing at the end.
    next: Option<&'a AccountId>,
}

/// `GET /v1/accounts`: a page of them, in the order of their names' bytes.
pub(in crate::login) async fn list(
    State(server): State<Shared>,
    _: ServiceCall,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked: Asked = query(&uri)?;
    let limit = limit(asked.limit)?;
    let accounts = server.store.accounts(asked.after.as_ref(), limit).await?;
    let full = accounts.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = accounts.last().filter(|_| full).map(|last| &last.profile.account);
    Ok(json(StatusCode::OK, &Listed { accounts: accounts.iter().map(Shown::of).collect(), next }))
}

/// `GET /v1/accounts/{account}`
pub(in crate::login) async fn show(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let found = server.store.account(&account(&name)?).await?.ok_or(Refusal::NotFound)?;
    Ok(json(StatusCode::OK, &Shown::of(&found)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Patch {
    #[serde(default, deserialize_with = "closed::present")]
    name: Option<String>,
    /// `null` takes it away, and so for the organisation.
    #[serde(default, deserialize_with = "closed::present")]
    avatar: Option<Option<String>>,
    #[serde(default, deserialize_with = "closed::present")]
    organisation: Option<Option<OrganisationId>>,
    #[serde(default, deserialize_with = "closed::present")]
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "closed::present")]
    minimum_uv: Option<UserVerification>,
}

impl Patch {
    fn change(self) -> Option<AccountChange> {
        let avatar = match self.avatar {
            Some(Some(avatar)) => Some(Some(Avatar::try_from(avatar).ok()?)),
            Some(None) => Some(None),
            None => None,
        };
        Some(AccountChange {
            name: self.name.map(|name| DisplayName::clean(&name)).transpose().ok()?,
            avatar,
            organisation: self.organisation,
            disabled: self.disabled,
            minimum_uv: self.minimum_uv,
        })
    }
}

/// `PATCH /v1/accounts/{account}`: what is left out stays. Disabling an account ends its sessions.
pub(in crate::login) async fn change(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
    JsonBody(patch): JsonBody<Patch, PICTURE_BODY_MAX_LEN>,
) -> Result<Response, Refusal> {
    let change = patch.change().ok_or(Refusal::BadRequest)?;
    let changed = server.store.change_account(&account(&name)?, change).await?.ok_or(Refusal::NotFound)?;
    tracing::info!(subject = changed.subject.as_str(), "an administrator changed an account");
    Ok(json(StatusCode::OK, &Shown::of(&changed)))
}

/// `DELETE /v1/accounts/{account}`: erases it with its devices and sessions.
pub(in crate::login) async fn erase(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    if !server.store.erase_account(&account(&name)?).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!("an administrator erased an account");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/accounts/{account}/sign-out`: ends its sessions everywhere and asks its devices to sign out.
pub(in crate::login) async fn sign_out(
    State(server): State<Shared>,
    _: ServiceCall,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    if !server.store.sign_out_account(&account(&name)?, None).await? {
        return Err(Refusal::NotFound);
    }
    tracing::info!("an administrator signed an account out everywhere");
    Ok(StatusCode::NO_CONTENT.into_response())
}
