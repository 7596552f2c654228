//! What DingTalk says when it does not do what it is asked: two families of codes, and what each means for us.

use serde_json::Value;

use crate::connectors::{Answer, ConnectFault, Fault};

/// An error of DingTalk, with its own code and message; nothing else is known of it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{fault}: {code}{between}{message}", between = if code.is_empty() { "" } else { ": " })]
pub struct DingTalkFault {
    /// The class.
    pub fault: Fault,
    /// `errcode`, or the `sub_code` inside; or `code` of the new interface. Empty where the answer had none.
    pub code: String,
    /// DingTalk's message, or ours where there was no answer of DingTalk's.
    pub message: String,
    /// The token was not taken: with another one the call may pass.
    pub(super) is_about_token: bool,
    /// DingTalk was busy and did nothing: the same call may be made again at once.
    pub(super) is_busy: bool,
    /// Calls are refused for so many minutes, whatever they are.
    pub(super) banned_minutes: Option<u64>,
}

impl DingTalkFault {
    pub(super) fn new(fault: Fault, message: impl std::fmt::Display) -> Self {
        Self::coded(fault, "", &message.to_string())
    }

    fn coded(fault: Fault, code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self { fault, code, message, is_about_token: false, is_busy: false, banned_minutes: None }
    }

    pub(super) fn lacks(member: &str) -> Self {
        Self::new(Fault::Misbehaved, format_args!("the answer has no {member}"))
    }
}

impl From<DingTalkFault> for ConnectFault {
    fn from(fault: DingTalkFault) -> Self {
        let DingTalkFault { fault, code, message, .. } = fault;
        if code.is_empty() { Self::new(fault, message) } else { Self::new(fault, format_args!("{code} {message}")) }
    }
}

impl From<ConnectFault> for DingTalkFault {
    fn from(fault: ConnectFault) -> Self {
        Self::new(fault.fault, fault.reason())
    }
}

/// The old interface answers 200 whatever happened. Errors of its gateway are wrapped: the outer code is 88, and the one inside
/// is text.
pub(super) fn old(answer: &Answer) -> Result<Value, DingTalkFault> {
    let value = body(answer)?;
    let outer = code_of(&value["errcode"]).ok_or_else(|| DingTalkFault::lacks("errcode"))?;
    if outer == "0" {
        return Ok(value);
    }
    let (code, message) = match code_of(&value["sub_code"]) {
        Some(inner) if outer == "88" => (inner, &value["sub_msg"]),
        _ => (outer, &value["errmsg"]),
    };
    let mut fault = DingTalkFault::coded(class_of_old(&code), &code, message.as_str().unwrap_or_default());
    fault.is_about_token = matches!(code.as_str(), "40000" | "40014" | "42001");
    fault.is_busy = code == "-1";
    Err(fault)
}

/// The new interface has statuses. But a path that it does not know is answered with 200 and an `errcode`.
pub(super) fn new(answer: &Answer) -> Result<Value, DingTalkFault> {
    let value = body(answer)?;
    if (200..300).contains(&answer.status) {
        return match code_of(&value["errcode"]) {
            Some(code) if code != "0" => {
                let message = value["errmsg"].as_str().unwrap_or_default();
                Err(DingTalkFault::coded(class_of_old(&code), &code, message))
            }
            _ => Ok(value),
        };
    }
    let code = value["code"].as_str().unwrap_or_default();
    let message = value["message"].as_str().unwrap_or_default();
    let mut fault = DingTalkFault::coded(class_of_new(answer.status, code), code, message);
    fault.is_about_token = code == "InvalidAuthentication";
    fault.is_busy = answer.status == 500 && code == "systemBusy";
    Err(fault)
}

/// The answer as JSON, unless it is none of DingTalk's: a page, a redirect, a ban.
fn body(answer: &Answer) -> Result<Value, DingTalkFault> {
    if (300..400).contains(&answer.status) {
        return Err(DingTalkFault::new(Fault::Misbehaved, format_args!("a redirect ({})", answer.status)));
    }
    let is_html = answer.content_type.as_deref().is_some_and(|t| t.starts_with("text/html"))
        || answer.body.trim_ascii_start().starts_with(b"<");
    if is_html && answer.status >= 500 {
        // Of a gateway that has nothing behind it: that passes, and is no ban.
        return Err(DingTalkFault::new(Fault::Unavailable, format_args!("a page ({})", answer.status)));
    }
    if is_html {
        // What the gate in front of DingTalk shows to an address that called too often; it says for how long only in JSON.
        let mut fault =
            DingTalkFault::new(Fault::Busy, format_args!("a page in the place of an answer ({})", answer.status));
        fault.banned_minutes = Some(BAN_MINUTES);
        return Err(fault);
    }
    let value: Value = answer.json()?;
    if value["punish"] == "deny" || value["status"] == 1111 {
        let mut fault = DingTalkFault::coded(Fault::Busy, "1111", "this address called too often");
        fault.banned_minutes = Some(value["wait"].as_u64().unwrap_or(BAN_MINUTES).min(BAN_MINUTES_MAX));
        return Err(fault);
    }
    Ok(value)
}

/// How long an address is refused everything, by DingTalk's documents.
const BAN_MINUTES: u64 = 5;
const BAN_MINUTES_MAX: u64 = 60;

/// Codes are numbers, or numbers as text.
fn code_of(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn class_of_old(code: &str) -> Fault {
    match code {
        // No such code, or no longer; of another kind; of a console's sign-in; none given.
        "40078" | "40102" | "42008" | "41026" | "41007" => Fault::Code,
        // Outside what the application sees; not of this organisation, or not any more.
        "40079" | "60121" => Fault::Tenant,
        "33012" | "50002" | "50004" | "60003" => Fault::Refused,
        "-1" => Fault::Unavailable,
        "90001" | "90002" | "90003" | "90004" | "90005" | "90006" | "90018" => Fault::Busy,
        // The key or the secret, the suite's ticket, the caller's address, a permission, a signature, the clock.
        "40000" | "40014" | "42001" | "40035" | "40056" | "40082" | "40085" | "40088" | "40089" | "40096" | "60011"
        | "60020" | "853001" | "853002" | "853003" | "853004" | "900005" => Fault::Misconfigured,
        _ => Fault::Misbehaved,
    }
}

fn class_of_new(status: u16, code: &str) -> Fault {
    match code {
        // 41007 is the console's, and written as in the old interface.
        "invalidParameter.authCode.notFound" | "invalidCode" | "accesstoken.expired" | "41007" => Fault::Code,
        "invalidParameter.user.notFound" => Fault::Refused,
        "invalidClientIdOrSecret"
        | "invalid.client"
        | "unauthorized.client"
        | "unsupported.grant.type"
        | "invalidSuiteKey"
        | "invalidSuiteTicket"
        | "invalidAuthInfo"
        | "InvalidAuthentication"
        | "AuthenticationFailed.MissingParameter" => Fault::Misconfigured,
        _ if code.contains(".Qps") || code.contains(".Qpm") => Fault::Busy,
        // The caller's address, or a permission.
        _ if code.starts_with("Forbidden.AccessDenied") => Fault::Misconfigured,
        _ if status == 401 => Fault::Misconfigured,
        _ if status == 429 => Fault::Busy,
        _ if status >= 500 => Fault::Unavailable,
        _ => Fault::Misbehaved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let content_type = Some("application/json".to_owned());
        Answer { status, content_type, max_age: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn c03_code_and_message_are_both_kept() {
        let plain =
            old(&answer(200, r#"{"errcode":40096,"errmsg":"不合法的appKey或appSecret"}"#)).expect_err("an error");
        assert_eq!((plain.code.as_str(), plain.message.as_str()), ("40096", "不合法的appKey或appSecret"));
        let wrapped =
            r#"{"errcode":88,"sub_code":"40014","sub_msg":"不合法的access_token","errmsg":"ding talk error"}"#;
        let wrapped = old(&answer(200, wrapped)).expect_err("an error");
        assert_eq!((wrapped.code.as_str(), wrapped.message.as_str()), ("40014", "不合法的access_token"));
        assert!(wrapped.is_about_token && !plain.is_about_token);
        let new = r#"{"code":"invalidClientIdOrSecret","requestid":"1","message":"无效的clientId或者clientSecret"}"#;
        let new = super::new(&answer(400, new)).expect_err("an error");
        assert_eq!((new.code.as_str(), new.fault), ("invalidClientIdOrSecret", Fault::Misconfigured));
        let said = ConnectFault::from(new).to_string();
        assert!(said.contains("invalidClientIdOrSecret") && said.contains("无效"), "{said}");
    }

    #[test]
    fn what_is_no_answer_is_no_success() {
        for (status, body, fault) in [
            (200, "{}", Fault::Misbehaved),
            (200, r#"{"errcode":"#, Fault::Misbehaved),
            (200, "<html>", Fault::Busy),
            (302, "", Fault::Misbehaved),
            (200, r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}"#, Fault::Busy),
            (200, r#"{"errcode":null}"#, Fault::Misbehaved),
            (200, "[]", Fault::Misbehaved),
        ] {
            assert_eq!(old(&answer(status, body)).expect_err(body).fault, fault, "{body}");
        }
        let unknown = super::new(&answer(200, r#"{"errcode":404,"errmsg":"请求的URI地址不存在"}"#));
        assert_eq!(unknown.expect_err("no such path").code, "404");
    }
    #[test]
    fn f13_every_code_of_the_old_interface_has_a_class() {
        for (codes, class) in [
            (&["40078", "40102", "42008", "41026", "41007"][..], Fault::Code),
            (&["40079", "60121"], Fault::Tenant),
            (&["33012", "50002", "50004", "60003"], Fault::Refused),
            (&["-1"], Fault::Unavailable),
            (&["90001", "90002", "90003", "90004", "90005", "90006", "90018"], Fault::Busy),
            (
                &[
                    "40000", "40014", "42001", "40035", "40056", "40082", "40085", "40088", "40089", "40096", "60011",
                    "60020", "853001", "853002", "853003", "853004", "900005",
                ],
                Fault::Misconfigured,
            ),
            (&["22", "404", "400002", "88", "1"], Fault::Misbehaved),
        ] {
            for code in codes {
                let plain = format!(r#"{{"errcode":{code},"errmsg":"why"}}"#);
                let text = format!(r#"{{"errcode":"{code}","errmsg":"why"}}"#);
                let wrapped = format!(r#"{{"errcode":88,"sub_code":"{code}","sub_msg":"why","errmsg":"outer"}}"#);
                for body in [plain, text, wrapped] {
                    let fault = old(&answer(200, &body)).expect_err(&body);
                    let seen = (fault.fault, fault.code.as_str(), fault.message.as_str());
                    assert_eq!(seen, (class, *code, "why"), "{body}");
                    assert_eq!(fault.is_about_token, ["40000", "40014", "42001"].contains(code), "{body}");
                    assert_eq!(fault.is_busy, *code == "-1", "{body}");
                }
            }
        }
    }

    #[test]
    fn f13_every_code_of_the_new_interface_has_a_class() {
        for (status, code, class) in [
            (400, "invalidParameter.authCode.notFound", Fault::Code),
            (400, "invalidCode", Fault::Code),
            (409, "invalidCode", Fault::Code),
            (400, "accesstoken.expired", Fault::Code),
            (400, "41007", Fault::Code),
            (404, "invalidParameter.user.notFound", Fault::Refused),
            (400, "invalidClientIdOrSecret", Fault::Misconfigured),
            (400, "invalid.client", Fault::Misconfigured),
            (401, "unauthorized.client", Fault::Misconfigured),
            (400, "unsupported.grant.type", Fault::Misconfigured),
            (400, "invalidSuiteKey", Fault::Misconfigured),
            (400, "invalidSuiteTicket", Fault::Misconfigured),
            (400, "invalidAuthInfo", Fault::Misconfigured),
            (400, "InvalidAuthentication", Fault::Misconfigured),
            (400, "AuthenticationFailed.MissingParameter", Fault::Misconfigured),
            (403, "Forbidden.AccessDenied.IpNotInWhiteList", Fault::Misconfigured),
            (403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", Fault::Misconfigured),
            (401, "authFailed", Fault::Misconfigured),
            (403, "Forbidden.AccessDenied.QpsLimitForApi", Fault::Busy),
            (403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", Fault::Busy),
            (403, "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi", Fault::Busy),
            (429, "systemBusy", Fault::Busy),
            (500, "systemBusy", Fault::Unavailable),
            (500, "server.error", Fault::Unavailable),
            (500, "unknownError", Fault::Unavailable),
            (400, "somethingElse", Fault::Misbehaved),
        ] {
            let body = format!(r#"{{"code":"{code}","requestid":"1","message":"why"}}"#);
            let fault = super::new(&answer(status, &body)).expect_err(code);
            assert_eq!((fault.fault, fault.code.as_str(), fault.message.as_str()), (class, code, "why"), "{status}");
            assert_eq!(fault.is_about_token, code == "InvalidAuthentication");
            assert_eq!(fault.is_busy, (status, code) == (500, "systemBusy"));
        }
    }

    #[test]
    fn a_page_is_a_ban_only_where_a_gateway_would_show_one() {
        let page = |status: u16, kind: &str| {
            let answer = Answer { content_type: Some(kind.to_owned()), ..answer(status, "<html>") };
            super::new(&answer).map(drop).expect_err("no answer")
        };
        for (status, class, minutes) in [
            (200, Fault::Busy, Some(5)),
            (403, Fault::Busy, Some(5)),
            (500, Fault::Unavailable, None),
            (502, Fault::Unavailable, None),
            (302, Fault::Misbehaved, None),
        ] {
            for kind in ["text/html;charset=utf-8", "application/json"] {
                let fault = page(status, kind);
                assert_eq!((fault.fault, fault.banned_minutes), (class, minutes), "{status} {kind}");
            }
        }
        for (wait, minutes) in [("5", 5), ("\"5\"", 5), ("9999999", 60), ("null", 5)] {
            let body = format!(r#"{{"status":1111,"wait":{wait},"punish":"deny"}}"#);
            assert_eq!(old(&answer(200, &body)).map(drop).expect_err("a ban").banned_minutes, Some(minutes), "{wait}");
        }
    }
}
