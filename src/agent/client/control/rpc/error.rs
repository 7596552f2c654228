//! What is answered where there is no result.

use serde::{Deserialize, Serialize};

/// An error as it travels: a number of JSON-RPC, words for a person, and our own code for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The JSON-RPC error number.
    pub code: i64,
    /// What is wrong, and the cure.
    pub message: String,
    /// `{"code": "…"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ErrorData>,
}

/// A program's view of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorData {
    /// One of a closed set of codes.
    pub code: String,
}

impl RpcError {
    /// The method could not do what it was asked to.
    #[must_use]
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self { code: -32000, message: message.into(), data: Some(ErrorData { code: code.to_owned() }) }
    }

    pub(in crate::agent::client::control) fn method_not_found(method: &str) -> Self {
        Self { code: -32601, message: format!("there is no method {method:?}"), data: None }
    }

    pub(in crate::agent::client::control) fn invalid_params(reason: impl std::fmt::Display) -> Self {
        Self { code: -32602, message: format!("invalid params: {reason}"), data: None }
    }

    pub(super) fn invalid_request() -> Self {
        let form = "a line is one object: \"jsonrpc\": \"2.0\", \"method\", and where they are wanted \"params\" and an \"id\" that is \
                    a string or a whole number; nothing else, and nothing twice";
        Self { code: -32600, message: format!("invalid request: {form}"), data: None }
    }

    pub(super) fn not_json() -> Self {
        Self { code: -32700, message: "not JSON".into(), data: None }
    }

    pub(super) fn disconnected() -> Self {
        Self::failed("disconnected", "the other side has closed the connection")
    }
}
