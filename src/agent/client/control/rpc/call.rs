//! A call of the other side: its parameters are read by whoever knows the method, and straight into what they are.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::error::RpcError;
use crate::protocol::json;

/// A call or notification of the other side, as it stands in its line.
pub struct Call<'a> {
    /// Its number; `None` for a notification, which has no answer.
    pub id: Option<Value>,
    /// The method.
    pub method: Cow<'a, str>,
    /// The line, which was read once as an object.
    pub(super) line: &'a str,
}

impl<'a> Call<'a> {
    /// Reads the parameters; `None` where the call has none.
    ///
    /// # Errors
    /// They are not what is expected.
    pub fn params<S: DeserializeSeed<'a>>(&self, expected: S) -> Result<Option<S::Value>, RpcError> {
        read_text(self.line, ParamsOf(expected))
    }

    /// The same with whatever the parameters are, and nothing that stays in the line.
    ///
    /// # Errors
    /// An object in the parameters names a member twice, or there is what no value can hold: too many arrays in each other,
    /// too high a number, half a surrogate. The number of the call, and the answer.
    pub fn into_owned(self) -> Result<Incoming, (Option<Value>, RpcError)> {
        match self.params(PhantomData) {
            Ok(params) => Ok(Incoming {
                id: self.id,
                method: self.method.into_owned(),
                params: params.map_or(Value::Null, |Anything(params)| params),
            }),
            Err(error) => Err((self.id, error)),
        }
    }
}

/// Reads what is expected. An error does not say where in the line it was, so that its words do not depend on the rest.
pub(in crate::agent::client::control) fn read_text<'a, S: DeserializeSeed<'a>>(
    text: &'a str,
    expected: S,
) -> Result<S::Value, RpcError> {
    expected.deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|error| {
        let reason = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        RpcError::invalid_params(reason.strip_suffix(&place).unwrap_or(&reason))
    })
}

/// Of a line that was read once as a call, what is left to read. By hand, since it is one reader for every method: derived ones
/// make the program larger.
struct ParamsOf<S>(S);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Params,
    #[serde(other)]
    Other,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for ParamsOf<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, line: D) -> Result<Self::Value, D::Error> {
        line.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for ParamsOf<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a call")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut expected, mut params) = (Some(self.0), None);
        while let Some(member) = members.next_key()? {
            match expected.take_if(|_| matches!(member, Member::Params)) {
                Some(expected) => params = Some(members.next_value_seed(expected)?),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(params)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Anything(#[serde(deserialize_with = "json::without_duplicates")] Value);

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

#[cfg(test)]
mod tests {
    use super::super::line::{self, Said};
    use super::*;

    fn call(members: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0"{members},"method":"m"}}"#)
    }

    fn params(members: &str) -> Result<Option<u64>, String> {
        let line = call(members);
        let Said::Call(call) = line::read(line.as_bytes()) else { panic!("{line} is a call") };
        call.params(PhantomData).map_err(|error| error.message)
    }

    #[test]
    fn parameters_are_read_by_whoever_knows_what_they_are() {
        assert_eq!(params(r#","params":7"#), Ok(Some(7)));
        assert_eq!(params(r#","\u0070arams":7,"id":1"#), Ok(Some(7)), "the same name");
        assert_eq!(params(""), Ok(None));
        let reason = "invalid params: invalid type: string \"seven\", expected u64";
        assert_eq!(params(r#","params":"seven""#), Err(reason.to_owned()), "and not where in the line");
    }

    /// The first look at a line passes over its parameters, however deep they are.
    #[test]
    fn what_no_value_can_hold_is_refused_under_the_number_of_its_call() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for given in [deep.as_str(), "1e999", r#""\ud800""#, r#"{"a":[{"b":1,"b":2}]}"#] {
            let line = call(&format!(r#","id":5,"params":{given}"#));
            let Said::Call(call) = line::read(line.as_bytes()) else { panic!("it is a call") };
            let (id, error) = call.into_owned().expect_err("no value");
            assert_eq!((id, error.code), (Some(5.into()), -32602), "{}", error.message);
        }
    }
}
