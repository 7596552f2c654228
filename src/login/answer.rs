//! What the login server answers: JSON, and one fixed body for each error code.

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::protocol::time::Timestamp;
use crate::store::StoreError;

/// The end of the year 9999, the last that an HTTP date can name (RFC 9110 section 5.6.7).
const LAST_DATE: u64 = 253_402_300_799;

/// Makes the list of error codes with their status and fixed body.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal,)*) => {
        /// Every error that a call is answered with. The cause is in the log; this is all that leaves.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(feature = "connectors"), allow(dead_code))]
        pub(super) enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            const fn parts(self) -> (StatusCode, &'static str) {
                match self {
                    $(Self::$name => (StatusCode::$status, concat!(r#"{"error":""#, $code, r#""}"#)),)*
                }
            }

            /// The code alone, for an address.
            #[cfg(feature = "connectors")]
            pub(super) const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

refusals! {
    /// Not the JSON object that belongs there.
    BadRequest = BAD_REQUEST "bad_request",
    /// Any fault of a login token.
    InvalidToken = UNAUTHORIZED "invalid_token",
    /// Any fault of a presence proof.
    InvalidProof = UNAUTHORIZED "invalid_proof",
    /// Any fault of an enrolment or its ticket.
    InvalidEnrolment = UNAUTHORIZED "invalid_enrolment",
    /// Any fault of a sign-out.
    InvalidStatement = UNAUTHORIZED "invalid_statement",
    /// Any fault of an order, or of who asks for it.
    InvalidOrder = UNAUTHORIZED "invalid_order",
    /// Two devices took one order on: it is over for both.
    Superseded = CONFLICT "superseded",
    /// No session goes with the request.
    NoSession = UNAUTHORIZED "no_session",
    /// Not the application's own backend.
    Unauthorized = UNAUTHORIZED "unauthorized",
    /// A page that may not, or a page where none may.
    Forbidden = FORBIDDEN "forbidden",
    /// The account may not sign in at present. For its backend only.
    AccountDisabled = FORBIDDEN "account_disabled",
    /// Nothing is there.
    NotFound = NOT_FOUND "not_found",
    /// Something is there, but not for this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed",
    /// The body did not arrive in time.
    Timeout = REQUEST_TIMEOUT "timeout",
    /// The challenge is of another incarnation of the single-use store: fetch a new one and ask once more.
    StaleChallenge = CONFLICT "stale_challenge",
    /// The key is enrolled already: make another.
    DuplicateKey = CONFLICT "duplicate_key",
    /// Not an agent that wants to link: the call is an upgrade to a WebSocket.
    UpgradeRequired = UPGRADE_REQUIRED "upgrade_required",
    /// The body is larger than the call takes.
    TooLarge = PAYLOAD_TOO_LARGE "too_large",
    /// The body is not `application/json`, or compressed.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type",
    /// More event streams than one session needs.
    TooMany = TOO_MANY_REQUESTS "too_many",
    /// More calls from one address, device or challenge than anybody honest makes.
    TooManyRequests = TOO_MANY_REQUESTS "too_many_requests",
    /// A sign-in at a provider that was not begun in this browser, or too long ago.
    SignInExpired = BAD_REQUEST "sign_in_expired",
    /// A provider's code that does not count, or no longer.
    CodeExpired = UNAUTHORIZED "code_expired",
    /// Somebody of another organisation than the connector's.
    OtherOrganisation = FORBIDDEN "other_organisation",
    /// The person said no at the provider, or may not sign in.
    AccessRefused = FORBIDDEN "access_refused",
    /// The provider knows the person, and nobody here does.
    NotLinked = FORBIDDEN "not_linked",
    /// The account asks for a stronger verification of the person than the connector gives.
    StrongerWayNeeded = FORBIDDEN "stronger_way_needed",
    /// The identity is linked to another account.
    IdentityTaken = CONFLICT "identity_taken",
    /// The provider does not accept this login server. An administrator mends it.
    ConnectorMisconfigured = BAD_GATEWAY "connector_misconfigured",
    /// The provider's answer is not what it should be.
    ProviderMisbehaved = BAD_GATEWAY "provider_misbehaved",
    /// The provider has no answer now.
    ProviderUnavailable = SERVICE_UNAVAILABLE "provider_unavailable",
    /// The connector has no such thing.
    Unsupported = NOT_FOUND "unsupported",
    /// The store is out of reach, or its answer unknown.
    Unavailable = SERVICE_UNAVAILABLE "unavailable",
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        let extra = match self {
            Self::Unavailable | Self::ProviderUnavailable | Self::TooMany => Some((header::RETRY_AFTER, "1")),
            // Whatever was exceeded and by how much: the answer says nothing about anybody else's calls.
            Self::TooManyRequests => Some((header::RETRY_AFTER, "5")),
            // RFC 9110 section 15.5.22.
            Self::UpgradeRequired => Some((header::UPGRADE, "websocket")),
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::TooLarge | Self::Timeout => Some((header::CONNECTION, "close")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    /// Says so in the log: this is the boundary that answers.
    fn from(error: StoreError) -> Self {
        tracing::error!("{error}");
        Self::Unavailable
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("answers serialize: they have string keys only");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The headers that every answer has. `Date` is the clock that decides here: agents measure challenges by it.
pub(super) fn seal(headers: &mut HeaderMap, now: Timestamp) {
    const ALWAYS: [(HeaderName, &str); 3] = [
        (header::VARY, "Origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-site"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now.0.min(LAST_DATE)));
    headers.insert(header::DATE, HeaderValue::try_from(date).expect("a date is visible ASCII"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
