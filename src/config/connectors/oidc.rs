//! `kind = "oidc"`.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{COMMON, Means, Text};
use crate::config::reader::Section;
use crate::connectors::Connector;
use crate::connectors::oidc::{Oidc, OidcSettings};

impl Means<'_> {
    pub(super) fn oidc(&self, mut section: Section<'_>) -> Option<Arc<dyn Connector>> {
        let issuer = section.required::<Address>("issuer", "\"https://id.example.com\"");
        let client_id = section.required::<Text>("client_id", "\"loopkey\"");
        let client_secret = self.secret(&mut section, "client_secret");
        let scopes = section.list_of::<Scope>("scopes");
        let userinfo = section.boolean("userinfo").unwrap_or(false);
        let recheck = section.number("recheck_minutes", 5, 1440);
        let recheck =
            recheck.and_then(|minutes| u64::try_from(minutes).ok()).map(|minutes| Duration::from_secs(60 * minutes));
        if let Some(Address(issuer)) = &issuer {
            self.require_callable(&section.entry("issuer"), issuer);
        }
        let own =
            ["issuer", "client_id", "client_secret_file", "client_secret_env", "scopes", "userinfo", "recheck_minutes"];
        section.end(&[&COMMON[..], &own[..]].concat());
        let mut scopes: Vec<_> = scopes.map_or_else(
            || ["openid", "profile", "email"].map(str::to_owned).to_vec(),
            |scopes| scopes.into_iter().map(|Scope(scope)| scope).collect(),
        );
        if !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        let (Address(issuer), Text(client_id)) = (issuer?, client_id?);
        let settings =
            OidcSettings { issuer, client_id, client_secret: client_secret.ok()?, scopes, userinfo, recheck };
        Some(Arc::new(Oidc::new(settings, self.http.clone(), Arc::clone(&self.clock))))
    }
}

/// A scope (RFC 6749 section 3.3).
struct Scope(String);

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Text(text) = text.parse()?;
        let sound = !text.contains(['"', '\\']);
        sound.then_some(Self(text)).ok_or("must be one scope, such as \"email\"")
    }
}

/// A provider's name for itself.
struct Address(String);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must be the provider's address exactly as its configuration says `issuer`, such as \"https://id.example.com\"";
        let Text(text) = text.parse().map_err(|_| FORM)?;
        if text.contains("/.well-known/") {
            return Err("must be the provider's address as its configuration says `issuer`: leave off /.well-known/…");
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let sound =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@']));
        sound.then_some(Self(text)).ok_or(FORM)
    }
}
