//! Tokens that a provider signed: pure, without a clock or a network. Everything is required that the standards require, and
//! the signature is looked at before any claim is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::connectors::LoggedOut;
use crate::connectors::fault::{ConnectFault, Fault};
use crate::crypto::{ForeignAlgorithm, ForeignKey, equal_digests, sha256};
use crate::protocol::time::Timestamp;
use crate::protocol::{base64url, json};

/// Longest accepted token in bytes.
const TOKEN_MAX_LEN: usize = 16 * 1024;
/// How far the provider's clock and this one may be apart, in seconds.
const LEEWAY: u64 = 60;
/// A token of a sign-in that has just happened is younger, in seconds.
const MAX_AGE: u64 = 600;
/// Longest subject and session id in bytes (OpenID Connect Core section 2).
const ID_MAX_LEN: usize = 255;
/// The one event of a logout token.
const LOGGED_OUT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn wrong(what: &str) -> ConnectFault {
    ConnectFault::new(Fault::Misbehaved, format_args!("the provider's token is refused: {what}"))
}

/// Which token it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    IdToken,
    LogoutToken,
}

impl Kind {
    /// Whether a header's `typ` may be this token's. Many providers write none or `JWT`; what names another kind is refused.
    fn allows(self, typ: Option<&str>) -> bool {
        let typ = typ.map(|typ| typ.to_ascii_lowercase());
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        match self {
            Self::IdToken => matches!(typ, None | Some("jwt" | "id_token+jwt")),
            Self::LogoutToken => matches!(typ, None | Some("jwt" | "logout+jwt")),
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A token whose header can be read, and nothing more.
pub(super) struct Presented<'a> {
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
    algorithm: ForeignAlgorithm,
    kid: Option<String>,
}

impl<'a> Presented<'a> {
    pub(super) fn parse(token: &'a str, kind: Kind) -> Result<Self, ConnectFault> {
        let form = || wrong("it is no signed token");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(form)?;
        let (header, payload) = signed.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or_else(form)?;
        if token.len() > TOKEN_MAX_LEN {
            return Err(wrong("it is too long"));
        }
        let decode = |text: &str| base64url::decode(text).map_err(|_| form());
        let header: Header = json::parse_object_of_bytes(&decode(header)?).map_err(|_| form())?;
        let algorithm = ForeignAlgorithm::named(&header.alg).ok_or_else(|| wrong("alg is none that is accepted"))?;
        if header.crit.is_some() || !kind.allows(header.typ.as_deref()) {
            return Err(wrong("it is of another kind (typ, crit)"));
        }
        Ok(Self { signed, payload: decode(payload)?, signature: decode(signature)?, algorithm, kid: header.kid })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(super) const fn algorithm(&self) -> ForeignAlgorithm {
        self.algorithm
    }

    /// Verifies the signature, and reads what was signed.
    pub(super) fn open<T: DeserializeOwned>(&self, key: &ForeignKey) -> Result<T, ConnectFault> {
        let verified = key.verify(self.algorithm, self.signed.as_bytes(), &self.signature);
        verified.map_err(|_| wrong("the signature does not verify"))?;
        json::parse_object_of_bytes(&self.payload).map_err(|_| wrong("its claims are not what they should be"))
    }
}

/// What a token is held against.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: Option<&'a str>,
    /// With the algorithm of the ID token, for `at_hash`.
    pub(super) access_token: Option<&'a str>,
    pub(super) now: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A time as JWT has it; fractions of a second do not count here.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct NumericDate(u64);

impl TryFrom<serde_json::Number> for NumericDate {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        let whole = number.as_u64().or_else(|| {
            let seconds = number.as_f64().filter(|seconds| (0.0..1e15).contains(seconds))?;
            format!("{seconds:.0}").parse().ok()
        });
        whole.map(Self).ok_or("no time")
    }
}

/// What every token has.
#[derive(Deserialize)]
struct Common {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    iat: NumericDate,
    exp: Option<NumericDate>,
    nonce: Option<String>,
}

impl Common {
    fn require(&self, expected: &Expected<'_>) -> Result<(), ConnectFault> {
        let now = expected.now.0;
        if self.iss != expected.issuer {
            return Err(wrong("iss is another issuer"));
        }
        let (is_for_us, alone) = match &self.aud {
            Audience::One(one) => (one == expected.client_id, true),
            Audience::Many(many) => (many.iter().any(|one| one == expected.client_id), many.len() == 1),
        };
        if !is_for_us {
            return Err(wrong("aud is another client"));
        }
        // With several audiences one of the others may have had it first: it must say that it was given to this client.
        if self.azp.as_deref().map_or(!alone, |azp| azp != expected.client_id) {
            return Err(wrong("azp is another client"));
        }
        if self.exp.is_some_and(|exp| exp.0.saturating_add(LEEWAY) <= now) {
            return Err(wrong("exp is over"));
        }
        let iat = self.iat.0;
        if iat > now.saturating_add(LEEWAY) || iat.saturating_add(MAX_AGE) < now {
            return Err(wrong("iat is not now"));
        }
        Ok(())
    }
}

/// The claims of an ID token.
#[derive(Deserialize)]
pub(super) struct Subject {
    #[serde(flatten)]
    common: Common,
    pub(super) sub: String,
    pub(super) sid: Option<String>,
    at_hash: Option<String>,
    #[serde(flatten)]
    pub(super) profile: Profile,
}

impl Subject {
    /// OpenID Connect Core section 3.1.3.7.
    pub(super) fn require(&self, expected: &Expected<'_>, algorithm: ForeignAlgorithm) -> Result<(), ConnectFault> {
        let digest = |text: &str| sha256(&[text.as_bytes()]);
        let (nonce, wanted) = (self.common.nonce.as_deref().unwrap_or_default(), expected.nonce.unwrap_or_default());
        if wanted.is_empty() || !equal_digests(&digest(nonce), &digest(wanted)) {
            return Err(wrong("nonce is of another sign-in"));
        }
        self.require_refreshed(expected, algorithm)
    }

    /// OpenID Connect Core section 12.2: a token of a refresh is of no sign-in, and so has no nonce to be held against.
    pub(super) fn require_refreshed(
        &self,
        expected: &Expected<'_>,
        algorithm: ForeignAlgorithm,
    ) -> Result<(), ConnectFault> {
        self.common.require(expected)?;
        if self.common.exp.is_none() {
            return Err(wrong("exp is missing"));
        }
        if let (Some(hash), Some(access)) = (&self.at_hash, expected.access_token)
            && *hash != algorithm.half_digest(access)
        {
            return Err(wrong("at_hash is of another access token"));
        }
        require_id(&self.sub, "sub")?;
        self.sid.as_deref().map_or(Ok(()), |sid| require_id(sid, "sid"))
    }
}

fn require_id(text: &str, what: &str) -> Result<(), ConnectFault> {
    let sound = (1..=ID_MAX_LEN).contains(&text.len());
    if sound { Ok(()) } else { Err(wrong(&format!("{what} is empty or too long"))) }
}

/// What a provider says of a person, in an ID token or in its userinfo.
#[derive(Default, Deserialize)]
pub(super) struct Profile {
    name: Option<String>,
    preferred_username: Option<String>,
    nickname: Option<String>,
    email: Option<String>,
    email_verified: Option<serde_json::Value>,
    pub(super) picture: Option<String>,
}

impl Profile {
    /// A name to show, if any.
    pub(super) fn shown_name(&self) -> Option<String> {
        [&self.name, &self.preferred_username, &self.nickname]
            .into_iter()
            .flatten()
            .find(|name| !name.is_empty())
            .cloned()
    }

    /// What is kept beside the link. An address that the provider does not vouch for is none.
    pub(super) fn details(&self) -> BTreeMap<String, String> {
        let vouched = matches!(&self.email_verified, Some(value) if *value == true || *value == "true");
        let mut details = BTreeMap::new();
        let mut keep = |name: &str, value: &Option<String>| {
            details.extend(value.clone().map(|value| (name.to_owned(), value)));
        };
        keep("username", &self.preferred_username);
        if vouched {
            keep("email", &self.email);
        }
        details
    }

    /// The other one's word where this one says nothing.
    pub(super) fn or(self, other: Self) -> Self {
        let (email, email_verified) = match self.email {
            Some(email) => (Some(email), self.email_verified),
            None => (other.email, other.email_verified),
        };
        Self {
            name: self.name.or(other.name),
            preferred_username: self.preferred_username.or(other.preferred_username),
            nickname: self.nickname.or(other.nickname),
            email,
            email_verified,
            picture: self.picture.or(other.picture),
        }
    }
}

/// The claims of a logout token.
#[derive(Deserialize)]
pub(super) struct Notice {
    #[serde(flatten)]
    common: Common,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    events: BTreeMap<String, serde_json::Value>,
}

impl Notice {
    /// OpenID Connect Back-Channel Logout section 2.6.
    pub(super) fn require(self, expected: &Expected<'_>) -> Result<LoggedOut, ConnectFault> {
        self.common.require(expected)?;
        if self.common.nonce.is_some() {
            return Err(wrong("it has a nonce, as ID tokens have"));
        }
        if !self.events.get(LOGGED_OUT).is_some_and(serde_json::Value::is_object) {
            return Err(wrong("events names no log-out"));
        }
        if self.sub.is_none() && self.sid.is_none() {
            return Err(wrong("it names neither sub nor sid"));
        }
        require_id(&self.jti, "jti")?;
        for id in [&self.sub, &self.sid].into_iter().flatten() {
            require_id(id, "sub or sid")?;
        }
        let tenant = expected.issuer.to_owned();
        Ok(LoggedOut { notice: self.jti, tenant, id: self.sub, session: self.sid })
    }
}
