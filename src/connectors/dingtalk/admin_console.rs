//! Administrators who come from DingTalk's own admin console (管理后台免登): the console opens the application's administration
//! page with a code, and the organisation's `ssoSecret` says whose it is.
//!
//! That the code goes in the address and what the answer's members are called is by DingTalk's own libraries; it was never run
//! against the real one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::DingTalk;
use super::fault::DingTalkFault;
use super::people::{CODE_MAX_LEN, members, shows_nobody};
use super::settings::Dialect;
use super::tokens::fetched;
use super::wire::{Call, Wire, optional, text};
use crate::connectors::{ConnectFault, Fault, TokenCache};
use crate::crypto::Secret;

/// One organisation's admin console.
#[derive(Debug)]
pub struct AdminConsole {
    wire: Arc<Wire>,
    corp_id: String,
    secret: Secret<String>,
    token: TokenCache,
}

/// An administrator of the organisation.
#[derive(Clone)]
pub struct Administrator {
    /// The person in the organisation.
    pub userid: String,
    /// A name to show.
    pub name: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// The address of a picture.
    pub avatar: Option<String>,
    /// Everything that DingTalk told, known to us or not.
    pub raw: Map<String, Value>,
}

shows_nobody!(Administrator);

impl DingTalk {
    /// The organisation's admin console, with its `ssoSecret` (in the developer console, on the front page).
    #[must_use]
    pub fn admin_console(&self, sso_secret: Secret<String>) -> AdminConsole {
        let (wire, corp_id) = (Arc::clone(&self.wire), self.settings.corp_id.clone());
        AdminConsole { token: TokenCache::new(wire.clock(), Duration::MAX), wire, corp_id, secret: sso_secret }
    }
}

impl AdminConsole {
    /// Who came from the console with this code.
    ///
    /// # Errors
    /// [`DingTalkFault`]; [`Fault::Code`] where the code does not count, [`Fault::Tenant`] where it is of another organisation,
    /// [`Fault::Refused`] where the person is no administrator.
    pub async fn administrator(&self, code: &Secret<String>) -> Result<Administrator, DingTalkFault> {
        if code.expose().is_empty() || code.expose().len() > CODE_MAX_LEN {
            return Err(DingTalkFault::new(Fault::Code, "not of a code's length"));
        }
        let found = self.call(&Call::get(Dialect::New, "/v1.0/oauth2/ssoUserInfo").with("code", code.expose())).await?;
        if text(&found, "corpId")? != self.corp_id {
            return Err(DingTalkFault::new(Fault::Tenant, "an administrator of another organisation"));
        }
        if found["isAdmin"] != true {
            return Err(DingTalkFault::new(Fault::Refused, "the person is no administrator"));
        }
        Ok(Administrator {
            userid: text(&found, "userId")?,
            name: optional(&found, "userName"),
            email: optional(&found, "email"),
            avatar: optional(&found, "avatar"),
            raw: members(found),
        })
    }

    async fn call(&self, call: &Call) -> Result<Value, DingTalkFault> {
        let token = self.token().await?;
        match self.wire.call(call, Some(&token)).await {
            Err(fault) if fault.is_about_token => {
                self.token.invalidate(&token);
                self.wire.call(call, Some(&*self.token().await?)).await
            }
            ended => ended,
        }
    }

    async fn token(&self) -> Result<Arc<Secret<String>>, ConnectFault> {
        let fetch = async {
            let body = json!({ "corpid": self.corp_id, "ssoSecret": self.secret.expose() });
            let call = Call::post(Dialect::New, "/v1.0/oauth2/ssoAccessToken", body);
            Ok(fetched(&self.wire.call(&call, None).await?, "accessToken", "expireIn")?)
        };
        self.token.get(fetch).await
    }
}
