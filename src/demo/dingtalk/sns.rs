//! The older sign-in for sites: `connect/…` in the browser, `sns/…` behind it.

use crate::crypto::digests;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::choose::{self, Chosen};
use super::pages::{with, wrong};
use super::reply::{Asked, Reply};
use super::state::{App, Code, CodeKind, Kind, State, TOKEN_LIFE, TokenKind};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/connect/qrconnect") => authorize(state, asked, false),
        ("GET", "/connect/oauth2/sns_authorize") => authorize(state, asked, true),
        ("GET", "/sns/gettoken") => token(state, asked),
        ("POST", "/sns/getuserinfo_bycode") => by_code(state, asked),
        ("POST", "/sns/get_persistent_code") => persistent_code(state, asked),
        ("POST", "/sns/get_sns_token") => sns_token(state, asked),
        ("GET", "/sns/getuserinfo") => user(state, asked),
        _ => Reply::errcode(404, "请求的URI地址不存在"),
    }
}

fn authorize(state: &mut State, asked: &Asked, by_tmp_code: bool) -> Reply {
    let (key, back) = (asked.parameter("appid"), asked.parameter("redirect_uri"));
    let Some(App { kind: Kind::Site, redirects, .. }) = state.apps.get(key) else { return wrong("appid") };
    if !redirects.contains(back) {
        return wrong("redirect_uri");
    }
    if asked.parameter("response_type") != "code" || asked.parameter("scope") != "snsapi_login" {
        return wrong("scope");
    }
    let (corp, userid) = if by_tmp_code {
        let scanned = state.take_code(CodeKind::Sns, "loginTmpCode", asked.parameter("loginTmpCode"));
        let Some(code) = scanned else { return wrong("nobody scanned it") };
        (code.corp, code.userid)
    } else {
        match choose::person(state, asked, None) {
            Chosen::Person(corp, userid) => (corp, userid),
            Chosen::Nobody => return wrong("nobody scanned it"),
            Chosen::Ask(page) => return page,
        }
    };
    let code = state.code(CodeKind::Sns, key, &corp, &userid);
    Reply::redirect(with(back, &[("code", &code), ("state", asked.parameter("state"))]))
}

fn token(state: &mut State, asked: &Asked) -> Reply {
    let key = asked.parameter("appid");
    match state.apps.get(key) {
        Some(App { secret, kind: Kind::Site, .. }) if secret == asked.parameter("appsecret") => {
            // It does not say for how long.
            Reply::fine(json!({ "access_token": state.same_token(TokenKind::Site, key, "") }))
        }
        _ => Reply::errcode(40089, "不合法的appid或appsecret"),
    }
}

fn by_code(state: &mut State, asked: &Asked) -> Reply {
    let (key, timestamp) = (asked.parameter("accessKey"), asked.parameter("timestamp"));
    let Ok(millis) = timestamp.parse::<u64>() else { return Reply::errcode(853_001, "timestamp格式错误") };
    if millis.abs_diff(state.millis()) > 60_000 {
        return Reply::errcode(853_002, "timestamp与当前时间相差过大");
    }
    let Some(App { secret, kind: Kind::Site, .. }) = state.apps.get(key) else {
        return Reply::errcode(853_003, "accessKey不合法");
    };
    if asked.parameter("signature") != BASE64_STANDARD.encode(digests::hmac_sha256(secret, timestamp)) {
        return Reply::errcode(853_004, "signature不匹配");
    }
    match state.take_code(CodeKind::Sns, key, asked.member("tmp_auth_code")) {
        None => Reply::errcode(40078, "不存在的临时授权码"),
        Some(code) => {
            let user = user_info(state, &code);
            Reply::fine(json!({ "user_info": user }))
        }
    }
}

fn user_info(state: &State, code: &Code) -> Value {
    let user = state.user(&code.corp, &code.userid).expect("a person");
    json!({
        "nick": user.name, "unionid": user.unionid, "openid": format!("open-{}", user.unionid),
        "main_org_auth_high_level": true,
    })
}

fn persistent_code(state: &mut State, asked: &Asked) -> Reply {
    let Some(token) = state.token(asked.parameter("access_token"), TokenKind::Site) else {
        return Reply::errcode(40014, "不合法的access_token");
    };
    let Some(code) = state.take_code(CodeKind::Sns, &token.app, asked.member("tmp_auth_code")) else {
        return Reply::errcode(40078, "不存在的临时授权码");
    };
    let (persistent, user) = (State::fresh(), user_info(state, &code));
    state.persistent.insert(persistent.clone(), code);
    Reply::fine(json!({ "openid": user["openid"], "unionid": user["unionid"], "persistent_code": persistent }))
}

fn sns_token(state: &mut State, asked: &Asked) -> Reply {
    if state.token(asked.parameter("access_token"), TokenKind::Site).is_none() {
        return Reply::errcode(40014, "不合法的access_token");
    }
    let code = state.persistent.get(asked.member("persistent_code")).cloned();
    match code.filter(|code| user_info(state, code)["openid"] == asked.member("openid")) {
        None => Reply::errcode(40078, "不存在的持久授权码"),
        Some(code) => {
            let token = state.new_token(TokenKind::Sns, &code.app, &code.corp, &code.userid);
            Reply::fine(json!({ "sns_token": token, "expires_in": TOKEN_LIFE }))
        }
    }
}

fn user(state: &mut State, asked: &Asked) -> Reply {
    let Some(token) = state.token(asked.parameter("sns_token"), TokenKind::Sns) else {
        return Reply::errcode(40014, "不合法的sns_token");
    };
    let user = state.user(&token.corp, &token.userid).expect("a person");
    Reply::fine(json!({
        "user_info": {
            "nick": user.name, "unionid": user.unionid, "openid": format!("open-{}", user.unionid),
            "dingId": "$:LWCP_v1:$x", "maskedMobile": "133****1111",
        },
    }))
}
