//! The new interface: statuses, camel case, the token in a header of its own.

use serde_json::json;

use super::reply::{Asked, Reply};
use super::state::{App, CONSOLE_TOKEN_LIFE, CodeKind, Kind, State, TOKEN_LIFE, Token, TokenKind};

pub(super) fn answer(state: &mut State, asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/v1.0/oauth2/accessToken") => app_token(state, asked),
        ("POST", "/v1.0/oauth2/corpAccessToken") => corp_token(state, asked),
        ("POST", "/v1.0/oauth2/suiteAccessToken") => suite_token(state, asked),
        ("POST", "/v1.0/oauth2/userAccessToken") => user_token(state, asked),
        ("POST", "/v1.0/oauth2/jsapiTickets") => page_ticket(state, asked),
        ("GET", "/v1.0/contact/users/me") => me(state, asked),
        ("POST", "/v1.0/oauth2/ssoAccessToken") => console_token(state, asked),
        ("GET", "/v1.0/oauth2/ssoUserInfo") => administrator(state, asked),
        ("POST", "/v1.0/gateway/connections/open") => open_stream(state, asked),
        ("POST", path) => match path.strip_prefix("/v1.0/oauth2/").and_then(|rest| rest.strip_suffix("/token")) {
            Some(corp) => token_of_corp(state, asked, corp),
            None => unknown(),
        },
        _ => unknown(),
    }
}

/// No status says so.
fn unknown() -> Reply {
    Reply::errcode(404, "请求的URI地址不存在")
}

fn given(token: &str) -> Reply {
    Reply::good(json!({ "accessToken": token, "expireIn": TOKEN_LIFE }))
}

fn internal(state: &State, key: &str, secret: &str) -> Option<String> {
    match state.apps.get(key)? {
        App { secret: own, kind: Kind::Internal { corp }, .. } if own == secret => Some(corp.clone()),
        _ => None,
    }
}

fn app_token(state: &mut State, asked: &Asked) -> Reply {
    let key = asked.member("appKey");
    match internal(state, key, asked.member("appSecret")) {
        Some(corp) => given(&state.same_token(TokenKind::New, key, &corp)),
        None => Reply::error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret"),
    }
}

fn token_of_corp(state: &mut State, asked: &Asked, corp: &str) -> Reply {
    if asked.member("grant_type") != "client_credentials" {
        return Reply::error(400, "unsupported.grant.type", "unsupported grant type");
    }
    if !state.corps.contains_key(corp) {
        return Reply::error(500, "unknownError", "未知错误");
    }
    let key = asked.member("client_id");
    match internal(state, key, asked.member("client_secret")) {
        Some(own) if own == corp => {
            let token = state.same_token(TokenKind::New, key, corp);
            Reply::good(json!({ "access_token": token, "expires_in": TOKEN_LIFE }))
        }
        Some(_) => Reply::error(401, "unauthorized.client", "unauthorized client"),
        None => Reply::error(400, "invalid.client", "invalid client"),
    }
}

/// The suite, where its secrets are sound.
fn suite<'a>(state: &'a State, asked: &Asked, wrong: &str) -> Result<&'a App, Reply> {
    let app = state.apps.get(asked.member("suiteKey"));
    let app = app.filter(|app| app.secret == asked.member("suiteSecret"));
    match app {
        Some(app @ App { kind: Kind::Suite { ticket, .. }, .. }) => match asked.member("suiteTicket") == ticket {
            true => Ok(app),
            false => Err(Reply::error(400, "invalidSuiteTicket", "无效的suiteTicket")),
        },
        _ => Err(Reply::error(400, wrong, "无效的suiteKey或suiteSecret")),
    }
}

fn corp_token(state: &mut State, asked: &Asked) -> Reply {
    let corp = asked.member("authCorpId");
    match suite(state, asked, "invalidSuiteKey") {
        Err(reply) => reply,
        Ok(App { kind: Kind::Suite { opened, .. }, .. }) if opened.contains(corp) => {
            // Each time another one.
            given(&state.new_token(TokenKind::New, asked.member("suiteKey"), corp, ""))
        }
        Ok(_) => Reply::error(400, "invalidAuthInfo", "企业未开通应用"),
    }
}

fn suite_token(state: &mut State, asked: &Asked) -> Reply {
    match suite(state, asked, "invalidClientIdOrSecret") {
        Err(reply) => reply,
        Ok(_) => given(&state.same_token(TokenKind::Suite, asked.member("suiteKey"), "")),
    }
}

fn user_token(state: &mut State, asked: &Asked) -> Reply {
    let key = asked.member("clientId");
    if state.apps.get(key).is_none_or(|app| app.secret != asked.member("clientSecret")) {
        return Reply::error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret");
    }
    if asked.member("grantType") != "authorization_code" {
        return Reply::error(400, "invalidParameter.grantType", "无效的grantType");
    }
    let Some(code) = state.take_code(CodeKind::Browser, key, asked.member("code")) else {
        return Reply::error(400, "invalidParameter.authCode.notFound", "不合法的临时授权码");
    };
    let token = state.new_token(TokenKind::User, key, &code.corp, &code.userid);
    let mut answer = json!({ "accessToken": token, "refreshToken": State::fresh(), "expireIn": TOKEN_LIFE });
    if code.tells_corp {
        answer["corpId"] = json!(code.corp);
    }
    Reply::good(answer)
}

/// The admin console has a secret of the organisation's own. That a wrong one is answered so is inferred.
fn console_token(state: &mut State, asked: &Asked) -> Reply {
    let corp = asked.member("corpid");
    if state.corps.get(corp).is_none_or(|found| found.sso_secret.as_deref() != Some(asked.member("ssoSecret"))) {
        return Reply::error(400, "invalidClientIdOrSecret", "无效的corpid或ssoSecret");
    }
    let token = state.new_token(TokenKind::Console, corp, corp, "");
    Reply::good(json!({ "accessToken": token, "expireIn": CONSOLE_TOKEN_LIFE }))
}

fn administrator(state: &mut State, asked: &Asked) -> Reply {
    let token = match admit(state, asked, TokenKind::Console) {
        Err(reply) => return reply,
        Ok(token) => token,
    };
    let code = asked.parameter("code");
    // Of whichever organisation it is: the application has to look.
    let owner = state.codes.get(code).map_or_else(|| token.corp.clone(), |code| code.app.clone());
    let Some(code) = state.take_code(CodeKind::Console, &owner, code) else {
        return Reply::error(400, "41007", "invalid ssocode");
    };
    let Some(user) = state.user(&code.corp, &code.userid) else {
        return Reply::error(400, "41007", "invalid ssocode");
    };
    Reply::good(json!({
        "userId": code.userid, "userName": user.name, "email": user.email, "avatar": user.avatar,
        "isAdmin": state.corps[&code.corp].administrators.contains(&code.userid),
        "corpId": code.corp, "corpName": "公司",
    }))
}

/// The header alone counts: neither `Authorization` nor the address.
fn admit(state: &State, asked: &Asked, kind: TokenKind) -> Result<Token, Reply> {
    let Some(value) = &asked.token_header else {
        let message = "x-acs-dingtalk-access-token is missing";
        return Err(Reply::error(400, "AuthenticationFailed.MissingParameter", message));
    };
    let token =
        state.token(value, kind).ok_or_else(|| Reply::error(400, "InvalidAuthentication", "不合法的access_token"))?;
    if state.apps.get(&token.app).is_some_and(|app| !app.is_listed) {
        return Err(Reply::error(403, "Forbidden.AccessDenied.IpNotInWhiteList", "request ip=203.0.113.9"));
    }
    Ok(token)
}

fn page_ticket(state: &mut State, asked: &Asked) -> Reply {
    match admit(state, asked, TokenKind::New) {
        Err(reply) => reply,
        Ok(token) => {
            let ticket = state.page_ticket(&token.app);
            Reply::good(json!({ "jsapiTicket": ticket, "expireIn": TOKEN_LIFE }))
        }
    }
}

fn me(state: &mut State, asked: &Asked) -> Reply {
    let token = match admit(state, asked, TokenKind::User) {
        Err(reply) => return reply,
        Ok(token) => token,
    };
    if !state.apps[&token.app].sees_contacts {
        let code = "Forbidden.AccessDenied.AccessTokenPermissionDenied";
        return Reply::error(403, code, "没有调用该接口的权限");
    }
    let Some(user) = state.user(&token.corp, &token.userid) else {
        return Reply::error(404, "invalidParameter.user.notFound", "用户不存在");
    };
    let mut me = json!({ "nick": user.name, "unionId": user.unionid, "openId": format!("open-{}", user.unionid) });
    for (member, value) in [("avatarUrl", &user.avatar), ("mobile", &user.mobile), ("email", &user.email)] {
        if let Some(value) = value {
            me[member] = json!(value);
        }
    }
    Reply::good(me)
}

fn open_stream(state: &mut State, asked: &Asked) -> Reply {
    let key = asked.member("clientId");
    if state.apps.get(key).is_none_or(|app| app.secret != asked.member("clientSecret")) {
        return Reply::error(401, "authFailed", "鉴权失败");
    }
    let subscriptions = asked.body["subscriptions"].as_array().map_or(0, Vec::len);
    if subscriptions == 0 {
        return Reply::error(400, "invalidParameter", "subscriptions");
    }
    let ticket = State::fresh();
    state.gateway_tickets.insert(ticket.clone());
    Reply::good(json!({ "endpoint": format!("{}/connect", state.gateway), "ticket": ticket }))
}
