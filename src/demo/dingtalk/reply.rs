//! What is asked and answered, without a web framework's types.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};

use super::Host;

/// A request.
pub struct Asked {
    pub host: Host,
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub token_header: Option<String>,
    /// A JSON body, or the fields of a form.
    pub body: Value,
}

impl Asked {
    pub(super) async fn read(host: Host, request: Request<Body>) -> Self {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = to_bytes(body, 1024 * 1024).await.unwrap_or_default();
        let body = if header("content-type").starts_with("application/x-www-form-urlencoded") {
            let fields = form_urlencoded::parse(&bytes).into_owned();
            Value::Object(fields.map(|(name, value)| (name, Value::String(value))).collect())
        } else {
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        };
        Self {
            host,
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
            token_header: Some(header("x-acs-dingtalk-access-token")).filter(|token| !token.is_empty()),
            body,
        }
    }

    pub fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A member of the body that is text.
    pub fn member(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// A number of the body, or of a form.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.body[name].as_i64().or_else(|| self.body[name].as_str()?.parse().ok())
    }
}

/// How an answer gets out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Whole,
    Never,
    BrokenOff,
    Closed,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) location: Option<String>,
    pub(super) body: String,
    pub(super) fate: Fate,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        Self { status, content_type: "application/json;charset=utf-8", location: None, body, fate: Fate::Whole }
    }

    pub(super) fn html(body: &str) -> Self {
        Self { content_type: "text/html;charset=utf-8", body: body.to_owned(), ..Self::json(200, &Value::Null) }
    }

    pub(super) fn redirect(location: String) -> Self {
        Self { status: 302, location: Some(location), body: String::new(), ..Self::html("") }
    }

    /// A success of the old interface, with a member that nobody documented.
    pub(super) fn fine(mut members: Value) -> Self {
        members["errcode"] = json!(0);
        members["errmsg"] = json!("ok");
        members["x_undocumented"] = json!({ "a": [1, "2"] });
        Self::json(200, &members)
    }

    /// A success of the new one.
    pub(super) fn good(mut members: Value) -> Self {
        members["xUndocumented"] = json!([null]);
        Self::json(200, &members)
    }

    /// An error of the old interface: 200 all the same.
    pub(super) fn errcode(code: i64, message: &str) -> Self {
        Self::json(200, &json!({ "errcode": code, "errmsg": message, "request_id": "r1" }))
    }

    /// An error of the old interface's gateway.
    pub(super) fn wrapped(code: i64, message: &str) -> Self {
        Self::json(
            200,
            &json!({
                "errcode": 88, "sub_code": code.to_string(), "sub_msg": message,
                "errmsg": format!("ding talk error[subcode={code},submsg={message}]"), "request_id": "r1",
            }),
        )
    }

    /// An error of the new interface.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "code": code, "requestid": "r1", "message": message }))
    }

    /// The same with every number written as text.
    pub(super) fn with_numbers_as_text(mut self) -> Self {
        fn write(value: &mut Value) {
            match value {
                Value::Number(number) => *value = Value::String(number.to_string()),
                Value::Array(items) => items.iter_mut().for_each(write),
                Value::Object(members) => members.values_mut().for_each(write),
                _ => {}
            }
        }
        if let Ok(mut value) = serde_json::from_str(&self.body) {
            write(&mut value);
            self.body = value.to_string();
        }
        self
    }

    pub(super) async fn into_response(self) -> Response {
        match self.fate {
            Fate::Never => std::future::pending().await,
            // The task of the connection ends with it, and nothing is said of a panic.
            Fate::Closed => std::panic::resume_unwind(Box::new("closed")),
            Fate::Whole | Fate::BrokenOff => {}
        }
        let mut response = Response::builder().status(self.status).header("Content-Type", self.content_type);
        if let Some(location) = self.location {
            response = response.header("Location", location);
        }
        let body = if self.fate == Fate::BrokenOff {
            Body::from_stream(stream::iter([Ok("{\"errcode\""), Err(std::io::Error::other("broken off"))]))
        } else {
            Body::from(self.body)
        };
        response.body(body).expect("an answer")
    }
}
