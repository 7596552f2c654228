//! JSON as the protocol reads it: one object, and nothing that two readers could understand differently.
//!
//! serde's derived structs already refuse unknown members, duplicate members and wrong types. Four things slip through
//! and are closed here: a positional array in an object's place, `{"word":null}` in a word's place, `null` for an optional
//! member, and duplicates inside free-form values.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
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
pub fn parse_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadJson> {
    // A derived struct would also accept its members as an array, in order.
    let first = text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    if first != Some(b'{') {
        return Err(BadJson);
    }
    serde_json::from_str(text).map_err(|_| BadJson)
}

/// As [`parse_object`], of bytes that may be no text.
///
/// # Errors
/// [`BadJson`] for anything else.
pub fn parse_object_of_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BadJson> {
    parse_object(std::str::from_utf8(bytes).map_err(|_| BadJson)?)
}

/// Adds a member to an object that has one already. What is written at length has nothing to escape as a rule, which is seen
/// faster of many letters at a time than of each by itself.
pub fn append(object: &mut String, name: &'static str, text: &str) {
    debug_assert!(object.ends_with('}') && object != "{}", "it is an object, and has a member");
    object.pop();
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
    let escaped = if is_plain { Cow::Borrowed(text) } else { Cow::Owned(escape(text)) };
    for part in [",\"", name, "\":\"", &escaped, "\"}"] {
        object.push_str(part);
    }
}

/// A text as it stands between the quotes.
fn escape(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("any text can be written");
    quoted[1..quoted.len() - 1].to_owned()
}

/// For an object inside another: what [`parse_object`] does for the outermost.
///
/// # Errors
/// Those of the object's own type, which an array of its members is not.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// Reads a string without a copy of it: `read` makes the value.
///
/// # Errors
/// Those of `read`, and that it is no string.
pub fn with_text<'de, D: Deserializer<'de>, T, F: FnOnce(&str) -> Result<T, D::Error>>(
    deserializer: D,
    read: F,
) -> Result<T, D::Error> {
    struct Text<F, T, E>(F, PhantomData<(T, E)>);

    impl<T, E: Error, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F, T, E> {
        type Value = Result<T, E>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<O>(self, text: &str) -> Result<Self::Value, O> {
            Ok(self.0(text))
        }
    }

    deserializer.deserialize_str(Text(read, PhantomData))?
}

/// What is written as a string and parses from it.
///
/// # Errors
/// Those of the type's own parser, and that it is no string.
pub fn from_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    with_text(deserializer, |text| text.parse().map_err(D::Error::custom))
}

/// Has serde write a type as its text, and read it by its own parser.
macro_rules! as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::protocol::json::from_text(deserializer)
            }
        }
    };
}
pub(crate) use as_text;

/// Lets an enumeration that derives serde's traits with `remote = "Self"` be read from its words alone: a derived one
/// also takes `{"word":null}`.
macro_rules! words_only {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::protocol::json::with_text(deserializer, |word| {
                    Self::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(word))
                })
            }
        }
    };
}
pub(crate) use words_only;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::crypto::Algorithm;
    use crate::protocol::state::PresenceState;
    use crate::protocol::statement::{Audience, UserVerification};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        a: u32,
        b: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(deserialize_with = "object")]
        inner: Inner,
    }

    #[test]
    fn an_array_takes_no_objects_place_at_any_depth() {
        let read = |text: &str| parse_object::<Outer>(text);
        assert_eq!(read(r#"{"inner":{"b":2,"a":1}}"#), Ok(Outer { inner: Inner { a: 1, b: 2 } }));
        for text in [
            r#"[{"a":1,"b":2}]"#,
            r#"{"inner":[1,2]}"#,
            r#"{"inner":{"a":1,"b":2,"b":2}}"#,
            r#"{"inner":{"a":1,"b":2,"c":3}}"#,
            r#"{"inner":{"a":1}}"#,
            r#"{"inner":null}"#,
        ] {
            assert_eq!(read(text), Err(BadJson), "{text}");
        }
    }

    #[test]
    fn bytes_are_text_also_where_nobody_reads_them() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Open {
            a: u32,
        }
        assert_eq!(parse_object_of_bytes(br#"{"a":1,"other":"x"}"#), Ok(Open { a: 1 }));
        assert_eq!(parse_object_of_bytes::<Open>(b"{\"a\":1,\"other\":\"\xff\"}"), Err(BadJson));
    }

    proptest! {
        #[test]
        fn a_member_that_is_added_is_written_as_any_other(text in "[a.\"\\\\\n\u{0}\u{1f} \u{7f}é]{0,9}") {
            #[derive(serde::Serialize)]
            struct Both<'a> {
                a: u32,
                text: &'a str,
            }
            let mut object = r#"{"a":1}"#.to_owned();
            append(&mut object, "text", &text);
            prop_assert_eq!(object, serde_json::to_string(&Both { a: 1, text: &text }).expect("written"));
        }
    }

    #[test]
    fn a_word_is_a_word_and_no_object() {
        fn of<T: DeserializeOwned + serde::Serialize>(word: &str) {
            let text = format!("\"{word}\"");
            let read: T = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(serde_json::to_string(&read).ok(), Some(text.clone()));
            for form in [format!("{{{text}:null}}"), format!("{{{text}:{{}}}}"), format!("[{text}]"), "0".to_owned()] {
                assert!(serde_json::from_str::<T>(&form).is_err(), "{form}");
            }
        }
        of::<Algorithm>("ES256");
        of::<Audience>("loopkey-agent");
        of::<UserVerification>("prompt");
        of::<PresenceState>("signed_out");
    }
}
