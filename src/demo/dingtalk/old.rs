//! The old interface, all but `topapi` and `sns`: 200 whatever happens, flat answers, the token in the address.

use crate::crypto::digests;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::reply::{Asked, Reply};
use super::state::{App, CodeKind, Kind, State, TOKEN_LIFE, Token, TokenKind};
use super::{sns, topapi};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/gettoken") => token(state, asked),
        ("POST", "/gettoken") => Reply::errcode(40035, "缺少参数 corpid or appkey"),
        ("GET", "/get_jsapi_ticket") => with_token(state, asked, page_ticket),
        ("GET", "/user/getuserinfo") => with_token(state, asked, visitor),
        ("GET", "/user/get") => with_token(state, asked, person),
        ("GET", "/department/list") => with_token(state, asked, departments),
        ("POST", "/service/get_corp_token") => corp_token(state, asked),
        ("POST", "/service/get_suite_token") => suite_token(state, asked),
        (_, path) if path.starts_with("/topapi/") => topapi::answer(state, asked),
        (_, path) if path.starts_with("/sns/") || path.starts_with("/connect/") => sns::answer(state, asked),
        _ => Reply::errcode(404, "请求的URI地址不存在"),
    }
}

fn token(state: &mut State, asked: &Asked) -> Reply {
    let (corp, corp_secret) = (asked.parameter("corpid"), asked.parameter("corpsecret"));
    if !corp.is_empty() {
        if state.corps.get(corp).is_none_or(|found| found.secret.as_deref() != Some(corp_secret)) {
            return Reply::errcode(40089, "不合法的corpid或corpsecret");
        }
        // Of no application: whoever has the secret is the organisation.
        return given(&state.same_token(TokenKind::Old, corp, corp));
    }
    let (key, secret) = (asked.parameter("appkey"), asked.parameter("appsecret"));
    if key.is_empty() {
        return Reply::errcode(40035, "缺少参数 corpid or appkey");
    }
    match state.apps.get(key) {
        Some(App { secret: own, kind: Kind::Internal { corp }, .. }) if own == secret => {
            let corp = corp.clone();
            given(&state.same_token(TokenKind::Old, key, &corp))
        }
        _ => Reply::errcode(40096, "不合法的appKey或appSecret"),
    }
}

fn given(token: &str) -> Reply {
    Reply::fine(json!({ "access_token": token, "expires_in": TOKEN_LIFE }))
}

/// What every call with a token goes through; errors are plain here, and wrapped by `topapi`.
pub(super) fn admit(state: &State, asked: &Asked) -> Result<Token, (i64, &'static str)> {
    let in_form = Some(asked.member("access_token")).filter(|_| asked.method == "POST").unwrap_or_default();
    let value = Some(asked.parameter("access_token")).filter(|value| !value.is_empty()).unwrap_or(in_form);
    if value.is_empty() {
        return Err((40000, "access_token is blank"));
    }
    let token = state.token(value, TokenKind::Old).ok_or((40014, "不合法的access_token"))?;
    if state.apps.get(&token.app).is_some_and(|app| !app.is_listed) {
        return Err((60020, "访问ip不在白名单之中,request ip=203.0.113.9 appKey(hidden)"));
    }
    Ok(token)
}

fn with_token(state: &mut State, asked: &Asked, answer: fn(&mut State, &Asked, &Token) -> Reply) -> Reply {
    match admit(state, asked) {
        Ok(token) => answer(state, asked, &token),
        Err((code, message)) => Reply::errcode(code, message),
    }
}

fn page_ticket(state: &mut State, _: &Asked, token: &Token) -> Reply {
    if !state.apps.contains_key(&token.app) {
        // An organisation's own token: the ticket is the organisation's.
        state.app(&token.app.clone(), "", Kind::Internal { corp: token.corp.clone() });
    }
    let ticket = state.page_ticket(&token.app);
    Reply::fine(json!({ "ticket": ticket, "expires_in": TOKEN_LIFE }))
}

fn visitor(state: &mut State, asked: &Asked, token: &Token) -> Reply {
    match exchange(state, asked.parameter("code"), token) {
        Ok((userid, name)) => Reply::fine(json!({
            "userid": userid, "name": name, "deviceId": "d1", "is_sys": false, "sys_level": 0,
        })),
        Err((code, message)) => Reply::errcode(code, message),
    }
}

/// Who has a code; used by both forms of the call.
pub(super) fn exchange(state: &mut State, code: &str, token: &Token) -> Result<(String, String), (i64, &'static str)> {
    if code.is_empty() {
        return Err((41026, "缺少tmp_auth_code参数"));
    }
    let known = state.codes.get(code);
    // A code of another organisation is known to be one; of another kind or application it is simply none.
    if known.is_some_and(|known| known.kind == CodeKind::InApp && known.corp != token.corp) {
        return Err((40079, "不存在的授权信息"));
    }
    let app = known.map_or_else(String::new, |known| known.app.clone());
    // An organisation's own token takes codes of all its applications.
    let own = if token.app == token.corp { app } else { token.app.clone() };
    let code = state.take_code(CodeKind::InApp, &own, code).ok_or((40078, "不存在的临时授权码"))?;
    if state.apps.get(&token.app).is_some_and(|app| app.blind_to.contains(&code.userid)) {
        return Err((40079, "不存在的授权信息"));
    }
    let user = state.user(&code.corp, &code.userid).ok_or((60121, "找不到该用户"))?;
    Ok((code.userid.clone(), user.name.clone()))
}

/// Whether the application sees the person.
pub(super) fn seen<'a>(state: &'a State, token: &Token, userid: &str) -> Result<&'a super::User, (i64, &'static str)> {
    if userid.is_empty() {
        return Err((33012, "无效的USERID"));
    }
    let user = state.user(&token.corp, userid).ok_or((60121, "找不到该用户"))?;
    match state.apps.get(&token.app) {
        Some(app) if !app.sees_contacts => Err((60011, "没有调用该接口的权限")),
        Some(app) if app.blind_to.contains(userid) => Err((50002, "请求的员工userid不在授权范围内")),
        _ => Ok(user),
    }
}

fn person(state: &mut State, asked: &Asked, token: &Token) -> Reply {
    let userid = asked.parameter("userid");
    match seen(state, token, userid) {
        Err((code, message)) => Reply::errcode(code, message),
        Ok(user) => Reply::fine(json!({
            "userid": userid, "unionid": user.unionid, "name": user.name, "avatar": user.avatar.clone().unwrap_or_default(),
            "mobile": user.mobile, "orgEmail": user.email, "jobnumber": "", "position": "工程师",
            "department": user.departments, "isAdmin": false, "isBoss": false, "active": true,
        })),
    }
}

fn departments(state: &mut State, asked: &Asked, token: &Token) -> Reply {
    let id = asked.query.get("id").map_or(Some(1), |id| id.parse().ok());
    let Some(id) = id else { return Reply::errcode(60003, "部门不存在") };
    let corp = &state.corps[&token.corp];
    if id != 1 && !corp.departments.iter().any(|department| department.id == id) {
        return Reply::errcode(60003, "部门不存在");
    }
    let all = asked.parameter("fetch_child") != "false";
    let below = corp.departments.iter().filter(|department| department.parent == id || all);
    let list: Vec<Value> =
        below.map(|d| json!({ "id": d.id, "name": d.name, "parentid": d.parent, "createDeptGroup": true })).collect();
    Reply::fine(json!({ "department": list }))
}

fn corp_token(state: &mut State, asked: &Asked) -> Reply {
    let (key, corp) = (asked.parameter("accessKey"), asked.member("auth_corpid"));
    let Some(App { secret, kind: Kind::Suite { ticket, opened }, .. }) = state.apps.get(key) else {
        return Reply::errcode(40082, "不合法的suite_key");
    };
    if asked.parameter("suiteTicket") != ticket {
        return Reply::errcode(40085, "不合法的suite_ticket");
    }
    let signed = format!("{}\n{}", asked.parameter("timestamp"), asked.parameter("suiteTicket"));
    if asked.parameter("signature") != BASE64_STANDARD.encode(digests::hmac_sha256(secret, &signed)) {
        return Reply::errcode(900_005, "签名不匹配");
    }
    if !opened.contains(corp) {
        return Reply::errcode(40088, "不存在的授权");
    }
    given(&state.new_token(TokenKind::Old, key, corp, ""))
}

fn suite_token(state: &mut State, asked: &Asked) -> Reply {
    let (key, secret) = (asked.member("suite_key"), asked.member("suite_secret"));
    match state.apps.get(key) {
        Some(App { secret: own, kind: Kind::Suite { ticket, .. }, .. }) if own == secret => {
            if asked.member("suite_ticket") != ticket {
                return Reply::errcode(40085, "不合法的suite_ticket");
            }
            let token = state.same_token(TokenKind::Suite, key, "");
            Reply::fine(json!({ "suite_access_token": token, "expires_in": TOKEN_LIFE }))
        }
        _ => Reply::errcode(40082, "不合法的suite_key或suite_secret"),
    }
}
