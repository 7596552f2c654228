//! What DingTalk's client does with `dd.config`: the signature is computed anew from the address that the browser shows.

use crate::crypto::digests;
use serde_json::Value;

use super::state::State;

impl State {
    /// Whether the client takes this configuration on a page at `href`; if not, its error.
    pub fn dd_config(&self, app: &str, href: &str, corp: &str, config: &Value) -> Result<(), u32> {
        let text = |member: &str| match &config[member] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        if text("corpId") != corp {
            return Err(52010);
        }
        if self.cannot_sign {
            return Err(52012);
        }
        let app = self.apps.get(app).ok_or(52019_u32)?;
        if text("agentId") != app.agent_id.to_string() {
            return Err(52019);
        }
        let (ticket, _, ends) = app.ticket.as_ref().ok_or(52011_u32)?;
        if self.now() >= *ends {
            return Err(52011);
        }
        if text("nonceStr").is_empty() {
            return Err(52015);
        }
        if text("timeStamp").is_empty() || !text("timeStamp").bytes().all(|b| b.is_ascii_digit()) {
            return Err(52018);
        }
        if config["jsApiList"].as_array().is_none_or(Vec::is_empty) {
            return Err(52017);
        }
        let signed = signed_form(href).ok_or(52014_u32)?;
        let input =
            format!("jsapi_ticket={ticket}&noncestr={}&timestamp={}&url={signed}", text("nonceStr"), text("timeStamp"));
        let signature = text("signature");
        let is_hex = signature.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let expected = match signature.len() {
            40 if is_hex => digests::sha1_hex(&input),
            64 if is_hex => digests::sha256_hex(&input),
            _ => return Err(52016),
        };
        if signature != expected {
            return Err(52013);
        }
        if app.sees_contacts { Ok(()) } else { Err(52021) }
    }
}

/// The sample's rule, by way of a URL library: everything up to the query as it is, then the query decoded.
fn signed_form(href: &str) -> Option<String> {
    let parsed = reqwest::Url::parse(href).ok()?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return None;
    }
    let before = href.split(['?', '#']).next()?;
    let Some(query) = parsed.query() else { return Some(before.to_owned()) };
    // Decoded piece by piece, so that the library's parser of forms can do it.
    let decode = |piece: &str| {
        let form = format!("x={}", piece.replace('=', "%3D"));
        form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    let pieces: Option<Vec<_>> = query.split('&').map(decode).collect();
    Some(format!("{before}?{}", pieces?.join("&")))
}
