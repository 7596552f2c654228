//! JSON as the protocol reads it: one object, and nothing that two readers could understand differently.
//!
//! serde's derived structs already refuse unknown members, duplicate members and wrong types. Three things slip through
//! and are closed here: a positional array in an object's place, `null` for an optional member, and duplicates inside
//! free-form values.

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The text is not the one JSON object that was expected there.
///
/// It does not carry the parser's message: that would quote the input, which may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the expected JSON object")]
pub struct BadJson;

/// Reads one object.
///
/// # Errors
/// [`BadJson`] for anything else.
pub fn parse_object<T: DeserializeOwned>(text: &[u8]) -> Result<T, BadJson> {
    // A derived struct would also accept its members as an array, in order.
    let first = text.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    if first != Some(&b'{') {
        return Err(BadJson);
    }
    serde_json::from_slice(text).map_err(|_| BadJson)
}

/// For an optional member: it may be left out, but where it stands it has a value.
///
/// # Errors
/// Those of the value's own type, which `null` is not.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A free-form value in which no object, at any depth, names a member twice.
///
/// # Errors
/// Where one does, or the value is no JSON.
pub fn without_duplicates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Unambiguous.deserialize(deserializer)
}

struct Unambiguous;

impl<'de> DeserializeSeed<'de> for Unambiguous {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value without duplicate members")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Unambiguous)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Unambiguous)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(object.into())
    }
}
