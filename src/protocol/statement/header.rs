//! The header of a statement (RFC 7515 section 4): exactly `alg`, `typ` and `kid`.

use std::borrow::Cow;

use serde::Deserialize;

use super::BadStatement;
use crate::crypto::{Algorithm, KeyId};
use crate::protocol::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: Algorithm,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    kid: KeyId,
}

/// The header of a statement that may grow: other members are ignored, but `crit` (RFC 7515 section 4.1.11) means that
/// ignoring is not allowed, and this version understands no extension.
#[derive(Deserialize)]
struct OpenHeader<'a> {
    alg: Algorithm,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    kid: KeyId,
    #[serde(default, deserialize_with = "json::present")]
    crit: Option<serde_json::Value>,
}

/// Writes a header.
pub(super) fn write(algorithm: Algorithm, typ: &str, key_id: KeyId) -> String {
    format!(r#"{{"alg":"{}","typ":"{typ}","kid":"{key_id}"}}"#, algorithm.name())
}

/// Reads the header of a statement of this type.
///
/// # Errors
/// [`BadStatement::Header`], or [`BadStatement::Type`].
pub(super) fn read(header: &[u8], typ: &str, may_grow: bool) -> Result<(Algorithm, KeyId), BadStatement> {
    match as_written(header, typ) {
        Some(read) => Ok(read),
        None => parse(header, typ, may_grow),
    }
}

/// A header byte for byte as [`write`] writes it, which nearly all of them are.
fn as_written(header: &[u8], typ: &str) -> Option<(Algorithm, KeyId)> {
    let rest = header.strip_prefix(br#"{"alg":""#)?;
    let of = |algorithm: Algorithm| Some((algorithm, rest.strip_prefix(algorithm.name().as_bytes())?));
    let (algorithm, rest) = Algorithm::ALL.into_iter().find_map(of)?;
    let rest = rest.strip_prefix(br#"","typ":""#)?.strip_prefix(typ.as_bytes())?;
    let key_id = rest.strip_prefix(br#"","kid":""#)?.strip_suffix(br#""}"#)?;
    Some((algorithm, std::str::from_utf8(key_id).ok()?.parse().ok()?))
}

/// Any other spelling of the same: order, blanks and escapes are JSON's.
fn parse(header: &[u8], typ: &str, may_grow: bool) -> Result<(Algorithm, KeyId), BadStatement> {
    let (algorithm, of, key_id) = if may_grow {
        let open: OpenHeader<'_> = json::parse_object_of_bytes(header).map_err(|_| BadStatement::Header)?;
        if open.crit.is_some() {
            return Err(BadStatement::Header);
        }
        (open.alg, open.typ, open.kid)
    } else {
        let closed: Header<'_> = json::parse_object_of_bytes(header).map_err(|_| BadStatement::Header)?;
        (closed.alg, closed.typ, closed.kid)
    };
    if of == typ { Ok((algorithm, key_id)) } else { Err(BadStatement::Type) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYP: &str = "loopkey-login+jwt";

    fn id() -> KeyId {
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().expect("a key's id")
    }

    #[test]
    fn what_is_written_is_read_by_both_ways() {
        for algorithm in Algorithm::ALL {
            let header = write(algorithm, TYP, id());
            assert_eq!(as_written(header.as_bytes(), TYP), Some((algorithm, id())), "{header}");
            for may_grow in [false, true] {
                assert_eq!(parse(header.as_bytes(), TYP, may_grow), Ok((algorithm, id())), "{header}");
                assert_eq!(read(header.as_bytes(), "loopkey-presence+jwt", may_grow), Err(BadStatement::Type));
            }
            let spaced = header.replace(',', " , ");
            assert_eq!(as_written(spaced.as_bytes(), TYP), None);
            assert_eq!(read(spaced.as_bytes(), TYP, false), Ok((algorithm, id())));
        }
    }

    proptest! {
        /// The short way reads nothing that the long one would not, and nothing else.
        #[test]
        fn the_short_way_is_the_long_one(
            algorithm in prop::sample::select(&Algorithm::ALL[..]),
            at in any::<prop::sample::Index>(),
            cut in 0_usize..3,
            put in prop::sample::select(vec!["", "\"", "\\", ",", "}", "A", "\"kid\":\"", ",\"b64\":false", "\\u0041", "\u{e9}"]),
        ) {
            let mut header = write(algorithm, TYP, id()).into_bytes();
            let at = at.index(header.len());
            header.splice(at..(at + cut).min(header.len()), put.bytes());
            if let Some(read) = as_written(&header, TYP) {
                prop_assert_eq!(parse(&header, TYP, false), Ok(read));
                prop_assert_eq!(parse(&header, TYP, true), Ok(read));
            }
        }
    }
}
