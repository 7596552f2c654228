//! One line: an object that calls, tells or answers.

use serde::Serialize;
use serde_json::Value;

use super::call::{self, Call, Params};
use super::error::RpcError;
use crate::agent::client::control::fault::FaultCode;

/// Longest line in bytes, in either direction: a profile with a picture of 64 KiB, in base64, and some room.
pub(super) const LINE_MAX_LEN: usize = 256 * 1024;

/// A result as it travels.
pub struct Json(String);

impl Json {
    /// `{}`
    #[must_use]
    pub fn nothing() -> Self {
        Self("{}".to_owned())
    }

    /// Writes a value.
    ///
    /// # Errors
    /// It has keys that are no strings.
    pub fn of(value: &impl Serialize) -> Result<Self, RpcError> {
        serde_json::to_string(value).map(Self).map_err(|error| FaultCode::Internal.because(error))
    }
}

#[derive(Serialize)]
struct Calling<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    method: &'a str,
    params: &'a Value,
}

/// A call with a number, or a notification without one.
pub(super) fn call(id: Option<u64>, method: &str, params: &Value) -> String {
    let mut line = encode(&Calling { jsonrpc: "2.0", id, method, params });
    line.push('\n');
    line
}

/// An answer. A result that goes into no line is an error: the other side would hang up on it.
pub(super) fn answer(id: &Value, result: Result<&Json, &RpcError>) -> String {
    let id = encode(id);
    let refuse = |error: &RpcError| put_together(&id, "error", &encode(error));
    let line = match result {
        Ok(Json(text)) => put_together(&id, "result", text),
        Err(error) => refuse(error),
    };
    if line.len() <= LINE_MAX_LEN {
        line
    } else {
        refuse(&FaultCode::TooLong.because(format_args!("the answer is longer than {LINE_MAX_LEN} bytes")))
    }
}

/// What is encoded already is not encoded once more.
fn put_together(id: &str, member: &str, text: &str) -> String {
    ["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"", member, "\":", text, "}\n"].concat()
}

fn encode(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("messages have string keys and finite numbers only")
}

/// What a line says.
pub(super) enum Said<'a, P> {
    Call(Call<'a, P>),
    Answer(u64, Result<Value, RpcError>),
    /// Nothing that can be understood; the answer.
    Fault(Value, RpcError),
    /// An answer that means nothing here. It is never answered: two sides could go on so for ever.
    Nothing,
}

pub(super) fn read<P: Params>(line: &[u8]) -> Said<'_, P> {
    let Ok(line) = std::str::from_utf8(line) else {
        return Said::Fault(Value::Null, RpcError::not_json());
    };
    call::read(line).map_or_else(|| read_otherwise(line), Said::Call)
}

/// No call; an answer, at best. A fault goes to the number that it has, so that whoever called does not wait for ever.
fn read_otherwise<P>(line: &str) -> Said<'static, P> {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return Said::Fault(Value::Null, RpcError::not_json());
    };
    if value.get("result").is_some() || value.get("error").is_some() {
        return read_answer(&value);
    }
    let id = value.get("id").filter(|id| call::is_number(id)).cloned();
    Said::Fault(id.unwrap_or(Value::Null), RpcError::invalid_request())
}

fn read_answer<P>(value: &Value) -> Said<'static, P> {
    let number = value.get("id").and_then(Value::as_u64);
    let error = value.get("error").map(|error| serde_json::from_value::<RpcError>(error.clone()));
    match (number, value.get("result"), error) {
        (Some(number), Some(result), None) => Said::Answer(number, Ok(result.clone())),
        (Some(number), None, Some(Ok(error))) => Said::Answer(number, Err(error)),
        _ => Said::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_no_json() {
        let line = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":\"\xff\"}";
        assert!(matches!(read::<Value>(line), Said::Fault(Value::Null, RpcError { code: -32700, .. })));
    }
}
