//! One line: an object that calls, tells or answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RpcError;
use crate::agent::client::control::fault::FaultCode;
use crate::protocol::json;

/// Longest line in bytes, in either direction: a profile with a picture of 64 KiB, in base64, and some room.
pub(super) const LINE_MAX_LEN: usize = 256 * 1024;

/// A call or notification of the other side.
#[derive(Debug)]
pub struct Incoming {
    /// Its number; `None` for a notification, which has no answer.
    pub id: Option<Value>,
    /// The method.
    pub method: String,
    /// Its parameters; `null` where there are none.
    pub params: Value,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
}

const EMPTY: Outgoing<'static> =
    Outgoing { jsonrpc: "2.0", id: None, method: None, params: None, result: None, error: None };

/// A call with a number, or a notification without one.
pub(super) fn call(id: Option<u64>, method: &str, params: &Value) -> String {
    let id = id.map(Value::from);
    encode(&Outgoing { id: id.as_ref(), method: Some(method), params: Some(params), ..EMPTY })
}

/// An answer. A result that goes into no line is an error: the other side would hang up on it.
pub(super) fn answer(id: &Value, result: Result<&Value, &RpcError>) -> String {
    let refuse = |error: &RpcError| encode(&Outgoing { id: Some(id), error: Some(error), ..EMPTY });
    let line = match result {
        Ok(value) => encode(&Outgoing { id: Some(id), result: Some(value), ..EMPTY }),
        Err(error) => refuse(error),
    };
    if line.len() <= LINE_MAX_LEN {
        line
    } else {
        refuse(&FaultCode::TooLong.because(format_args!("the answer is longer than {LINE_MAX_LEN} bytes")))
    }
}

fn encode(message: &Outgoing<'_>) -> String {
    let mut line = serde_json::to_string(message).expect("messages have string keys and finite numbers only");
    line.push('\n');
    line
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(default, deserialize_with = "json::present")]
    id: Option<Value>,
    method: String,
    #[serde(default, deserialize_with = "json::without_duplicates")]
    params: Value,
}

/// What a line says.
pub(super) enum Said {
    Call(Incoming),
    Answer(u64, Result<Value, RpcError>),
    /// Nothing that can be understood; the answer.
    Fault(Value, RpcError),
    /// An answer that means nothing here. It is never answered: two sides could go on so for ever.
    Nothing,
}

pub(super) fn read(line: &[u8]) -> Said {
    let call = match json::parse_object::<Line<'_>>(line) {
        Ok(call) if call.jsonrpc == "2.0" && call.id.as_ref().is_none_or(is_number) => call,
        _ => return read_otherwise(line),
    };
    Said::Call(Incoming { id: call.id, method: call.method, params: call.params })
}

/// What numbers a call.
fn is_number(id: &Value) -> bool {
    id.is_string() || id.is_u64() || id.is_i64()
}

/// No call; an answer, at best. A fault goes to the number that it has, so that whoever called does not wait for ever.
fn read_otherwise(line: &[u8]) -> Said {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return Said::Fault(Value::Null, RpcError::not_json());
    };
    if value.get("result").is_some() || value.get("error").is_some() {
        return read_answer(&value);
    }
    let id = value.get("id").filter(|id| is_number(id)).cloned();
    Said::Fault(id.unwrap_or(Value::Null), RpcError::invalid_request())
}

fn read_answer(value: &Value) -> Said {
    let number = value.get("id").and_then(Value::as_u64);
    let error = value.get("error").map(|error| serde_json::from_value::<RpcError>(error.clone()));
    match (number, value.get("result"), error) {
        (Some(number), Some(result), None) => Said::Answer(number, Ok(result.clone())),
        (Some(number), None, Some(Ok(error))) => Said::Answer(number, Err(error)),
        _ => Said::Nothing,
    }
}
