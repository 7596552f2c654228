//! A call of the other side, whose parameters are read straight into what its method takes.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::error::RpcError;
use crate::protocol::json;

/// What the methods of one side take.
pub trait Params: Sized {
    /// A method that there is.
    type Method: Copy;

    /// The method of that name.
    fn method(name: &str) -> Option<Self::Method>;

    /// Reads the parameters of a method; `null` where there are none.
    ///
    /// # Errors
    /// They are not what it takes.
    fn read<'de, D: Deserializer<'de>>(method: Self::Method, params: D) -> Result<Self, D::Error>;
}

/// A call or notification of the other side.
pub struct Call<'a, P> {
    /// Its number; `None` for a notification, which has no answer.
    pub id: Option<Value>,
    /// The method.
    pub method: Cow<'a, str>,
    /// What it is called with, or why that cannot be.
    pub params: Result<P, RpcError>,
}

/// Reads a line; `None` where it is no call.
pub(super) fn read<P: Params>(line: &str) -> Option<Call<'_, P>> {
    match look(line, None) {
        Ok(Seen { id, method, params: Some(params) }) => Some(Call { id, method, params: Ok(params) }),
        _ => read_again(line),
    }
}

/// Where the method is not known, its parameters come before it, are left out, or are not what it takes; or it is no call.
fn read_again<P: Params>(line: &str) -> Option<Call<'_, P>> {
    let Seen { id, method, .. } = look::<IgnoredAny>(line, Some(())).ok()?;
    let params = match P::method(&method) {
        None => Err(RpcError::method_not_found(&method)),
        Some(known) => look(line, Some(known))
            .and_then(|seen| {
                seen.params.map_or_else(|| P::read(known, &mut serde_json::Deserializer::from_str("null")), Ok)
            })
            .map_err(|error| RpcError::invalid_params(reason(&error))),
    };
    Some(Call { id, method, params })
}

/// Without where in the line it was, so that the words do not depend on the rest.
fn reason(error: &serde_json::Error) -> String {
    let (mut reason, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
    reason.truncate(reason.strip_suffix(&place).unwrap_or(&reason).len());
    reason
}

/// Looks at a line once. The method is known, or has to stand before its parameters.
fn look<P: Params>(line: &str, method: Option<P::Method>) -> serde_json::Result<Seen<'_, P>> {
    let mut json = serde_json::Deserializer::from_str(line);
    let seen = Look(method).deserialize(&mut json)?;
    json.end()?;
    Ok(seen)
}

/// A call, with its parameters where it has any.
struct Seen<'a, P> {
    id: Option<Value>,
    method: Cow<'a, str>,
    params: Option<P>,
}

struct Look<P: Params>(Option<P::Method>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Jsonrpc,
    Id,
    Method,
    Params,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, P: Params> DeserializeSeed<'de> for Look<P> {
    type Value = Seen<'de, P>;

    fn deserialize<D: Deserializer<'de>>(self, line: D) -> Result<Self::Value, D::Error> {
        line.deserialize_map(self)
    }
}

impl<'de, P: Params> Visitor<'de> for Look<P> {
    type Value = Seen<'de, P>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a call")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self(mut known) = self;
        let (mut version, mut id, mut method, mut params) = (None, None, None, None);
        while let Some(member) = members.next_key()? {
            match member {
                Member::Jsonrpc if version.is_none() => version = Some(members.next_value::<Text<'_>>()?.0),
                Member::Id if id.is_none() => id = Some(members.next_value::<Value>()?),
                Member::Method if method.is_none() => {
                    let Text(name) = members.next_value()?;
                    known = known.or_else(|| P::method(&name));
                    method = Some(name);
                }
                Member::Params if params.is_none() => {
                    let known = known.ok_or_else(|| A::Error::custom("of a method that is not known"))?;
                    params = Some(members.next_value_seed(ParamsOf::<P>(known))?);
                }
                _ => return Err(A::Error::custom("a member twice")),
            }
        }
        match method {
            Some(method) if version.as_deref() == Some("2.0") && id.as_ref().is_none_or(is_number) => {
                Ok(Seen { id, method, params })
            }
            _ => Err(A::Error::custom("no call")),
        }
    }
}

/// The parameters of this method.
struct ParamsOf<P: Params>(P::Method);

impl<'de, P: Params> DeserializeSeed<'de> for ParamsOf<P> {
    type Value = P;

    fn deserialize<D: Deserializer<'de>>(self, params: D) -> Result<P, D::Error> {
        P::read(self.0, params)
    }
}

/// What numbers a call.
pub(super) fn is_number(id: &Value) -> bool {
    id.is_string() || id.is_u64() || id.is_i64()
}

/// Passed over, whatever they are.
impl Params for IgnoredAny {
    type Method = ();

    fn method(_: &str) -> Option<()> {
        Some(())
    }

    fn read<'de, D: Deserializer<'de>>((): (), params: D) -> Result<Self, D::Error> {
        Self::deserialize(params)
    }
}

/// Whatever they are, where no object in them names a member twice. What no value can hold is refused: too many arrays in each
/// other, too high a number, half a surrogate.
impl Params for Value {
    type Method = ();

    fn method(_: &str) -> Option<()> {
        Some(())
    }

    fn read<'de, D: Deserializer<'de>>((): (), params: D) -> Result<Self, D::Error> {
        json::without_duplicates(params)
    }
}

/// A call or notification of the other side that is taken later.
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
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;
    use crate::agent::client::control::request::Request;

    /// What the only method takes.
    #[derive(Debug, PartialEq)]
    struct Half(Option<u64>);

    impl Params for Half {
        type Method = ();

        fn method(name: &str) -> Option<()> {
            (name == "half").then_some(())
        }

        fn read<'de, D: Deserializer<'de>>((): (), params: D) -> Result<Self, D::Error> {
            let whole = Option::<u64>::deserialize(params)?;
            Ok(Self(whole.map(|whole| whole / 2)))
        }
    }

    fn params(line: &str) -> Option<Result<Half, String>> {
        read(line).map(|call| call.params.map_err(|error| format!("{}: {}", error.code, error.message)))
    }

    #[test]
    fn parameters_are_read_wherever_they_stand() {
        let head = r#""jsonrpc":"2.0","method":"half""#;
        for line in [
            format!(r#"{{{head},"params":14}}"#),
            format!(r#"{{"params":14,{head},"id":1}}"#),
            format!(r#" {{{head},"\u0070arams":14 }} "#),
            r#"{"id":-5,"jsonrpc":"2.0","method":"\u0068alf","params":14}"#.to_owned(),
        ] {
            assert_eq!(params(&line), Some(Ok(Half(Some(7)))), "{line}");
        }
        for line in [format!("{{{head}}}"), format!(r#"{{{head},"params":null}}"#)] {
            assert_eq!(params(&line), Some(Ok(Half(None))), "{line}");
        }
    }

    /// Wherever the number stands, so that whoever called learns what is wrong.
    #[test]
    fn what_cannot_be_read_is_said_under_the_number_of_its_call() {
        let wrong = r#"-32602: invalid params: invalid type: string "x", expected u64"#;
        let unknown = r#"-32601: there is no method "whole""#;
        for (line, said) in [
            (r#"{"jsonrpc":"2.0","id":5,"method":"half","params":"x"}"#, wrong),
            (r#"{"jsonrpc":"2.0","method":"half","params":"x","id":5}"#, wrong),
            (r#"{"params":"x","method":"half","id":5,"jsonrpc":"2.0"}"#, wrong),
            (r#"{"jsonrpc":"2.0","id":5,"method":"whole","params":"x"}"#, unknown),
            (r#"{"params":[[],{}],"id":5,"jsonrpc":"2.0","method":"whole"}"#, unknown),
        ] {
            assert_eq!(params(line), Some(Err(said.to_owned())), "{line}");
            assert_eq!(read::<Half>(line).and_then(|call| call.id), Some(5.into()), "{line}");
        }
    }

    #[test]
    fn no_parameters_lack_what_an_empty_object_lacks() {
        for params in ["", r#","params":null"#, r#","params":{}"#] {
            let line = format!(r#"{{"jsonrpc":"2.0","method":"presence.set"{params}}}"#);
            let error = read::<Request>(&line).expect("a call").params.err().expect("a presence is missing");
            assert_eq!(
                (error.code, error.message.as_str()),
                (-32602, "invalid params: missing field `presence`"),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_no_call_is_none_whatever_its_parameters_are() {
        for line in [
            r#"{"jsonrpc":"2.0","method":"half","params":14,"params":14}"#,
            r#"{"jsonrpc":"2.0","method":"half","method":"half","params":14}"#,
            r#"{"jsonrpc":"2.0","jsonrpc":"2.0","method":"half","params":14}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"half","params":14}"#,
            r#"{"jsonrpc":"2.0","method":"half","params":14,"more":1}"#,
            r#"{"jsonrpc":"2.0","method":"half","params":14} {}"#,
            r#"{"jsonrpc":"2.0","method":"half","params":14"#,
            r#"{"jsonrpc":"2.0","method":7,"params":14}"#,
            r#"{"jsonrpc":"2.0","params":14}"#,
            r#"{"jsonrpc":"1.0","method":"half","params":14}"#,
            r#"{"method":"half","params":14}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"half","params":14}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"half","params":14}"#,
            r#"["2.0",1,"half",14]"#,
            "14",
            "",
        ] {
            assert_eq!(params(line), None, "{line}");
        }
    }

    proptest! {
        /// One look or three: the order of its members does not change what a line says.
        #[test]
        fn members_stand_in_any_order(
            (line, other) in (
                select(vec![r#""method":"half""#, r#""method":"whole""#, r#""method":"\u0068alf""#]),
                subsequence(vec![
                    r#""id":-5"#, r#""id":"x""#, r#""params":14"#, r#""params":"x""#, r#""params":null"#, r#""more":1"#,
                ], 0..=3),
            ).prop_flat_map(|(method, rest)| {
                let members = [vec![r#""jsonrpc":"2.0""#, method], rest].concat();
                (Just(members.clone()).prop_shuffle(), Just(members).prop_shuffle())
            })
        ) {
            let [line, other] = [line, other].map(|members| format!("{{{}}}", members.join(",")));
            let id = |line| read::<Half>(line).map(|call| call.id);
            prop_assert_eq!((id(&line), params(&line)), (id(&other), params(&other)), "{} and {}", line, other);
        }
    }

    /// That it is a call is seen without its parameters, however deep they are.
    #[test]
    fn what_no_value_can_hold_is_refused_under_the_number_of_its_call() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for given in [deep.as_str(), "1e999", r#""\ud800""#, r#"{"a":[{"b":1,"b":2}]}"#] {
            let line = format!(r#"{{"jsonrpc":"2.0","method":"m","params":{given},"id":5}}"#);
            let call = read::<Value>(&line).expect("a call");
            let error = call.params.expect_err("no value");
            assert_eq!((call.id, error.code), (Some(5.into()), -32602), "{}", error.message);
        }
    }
}
