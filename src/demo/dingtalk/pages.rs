//! The pages that people see: who sits in front of them is said by the test.

use serde_json::json;

use super::choose::{self, Chosen};
use super::reply::{Asked, Reply};
use super::state::{App, CodeKind, Kind, State};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/oauth2/auth" | "/oauth2/challenge.htm") => authorize(state, asked),
        ("GET", "/login/qrcode.htm") => qr_frame(state, asked),
        _ => Reply { status: 404, ..Reply::html("<!doctype html><title>404</title>") },
    }
}

/// What DingTalk shows instead of going on.
pub(super) fn wrong(why: &str) -> Reply {
    Reply { status: 400, ..Reply::html(&format!("<!doctype html><title>{why}</title><p>{why}")) }
}

/// An address with more parameters.
pub(super) fn with(address: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let mark = if address.contains('?') { '&' } else { '?' };
    format!("{address}{mark}{query}")
}

fn authorize(state: &mut State, asked: &Asked) -> Reply {
    let (key, back, state_parameter) =
        (asked.parameter("client_id"), asked.parameter("redirect_uri"), asked.parameter("state"));
    let Some(app) = state.apps.get(key) else { return wrong("client_id") };
    if !app.redirects.contains(back) {
        return wrong("redirect_uri");
    }
    if asked.parameter("response_type") != "code" || asked.parameter("prompt") != "consent" {
        return wrong("response_type");
    }
    if !["openid", "openid corpid"].contains(&asked.parameter("scope")) {
        return wrong("scope");
    }
    let own = match &app.kind {
        Kind::Internal { corp } => Some(corp.clone()),
        _ => None,
    };
    let (corp, userid) = match choose::person(state, asked, own.as_deref()) {
        Chosen::Person(corp, userid) => (corp, userid),
        Chosen::Nobody => {
            return back_with(asked, &with(back, &[("error", "access_denied"), ("state", state_parameter)]));
        }
        Chosen::Ask(page) => return page,
    };
    // An internal application is shown to members alone.
    if own.is_some_and(|own| own != corp) {
        return wrong("不在该应用的可见范围内");
    }
    let code = state.code(CodeKind::Browser, key, &corp, &userid);
    if let Some(code) = state.codes.get_mut(&code) {
        code.tells_corp = asked.parameter("scope").contains("corpid");
    }
    back_with(asked, &with(back, &[("authCode", &code), ("code", &code), ("state", state_parameter)]))
}

/// The browser goes back; or, in a frame, the page around it is told, and now and then twice.
fn back_with(asked: &Asked, address: &str) -> Reply {
    if asked.parameter("iframe") != "true" {
        return Reply::redirect(address.to_owned());
    }
    let message = json!({ "success": true, "redirectUrl": address });
    Reply::html(&format!(
        "<!doctype html><script>for (let i = 0; i < 2; i++) parent.postMessage({message}, \"*\")</script>"
    ))
}

/// The frame of the older QR code: it posts a bare word, to whoever is around it.
fn qr_frame(state: &mut State, asked: &Asked) -> Reply {
    let Ok(goto) = reqwest::Url::parse(asked.parameter("goto")) else { return wrong("goto") };
    if goto.origin().ascii_serialization() != state.hosts.oapi || goto.path() != "/connect/oauth2/sns_authorize" {
        return wrong("goto");
    }
    let app = goto.query_pairs().find(|(name, _)| name == "appid").map(|(_, value)| value.into_owned());
    let Some(App { kind: Kind::Site, .. }) = app.and_then(|app| state.apps.get(&app)) else { return wrong("appid") };
    let (corp, userid) = match choose::person(state, asked, None) {
        Chosen::Person(corp, userid) => (corp, userid),
        Chosen::Nobody => return wrong("nobody scanned it"),
        Chosen::Ask(page) => return page,
    };
    let tmp = state.code(CodeKind::Sns, "loginTmpCode", &corp, &userid);
    Reply::html(&format!("<!doctype html><script>parent.postMessage({}, \"*\")</script>", json!(tmp)))
}
