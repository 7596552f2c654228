//! `GET /v1/session` (protocol section 6.5): who is signed in; for pages, and for proxies as a forward-auth endpoint.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::answer::json;
use super::caller::SignedIn;
use crate::protocol::id::{DeviceId, Subject};
use crate::protocol::time::Timestamp;
use crate::store::{AccountId, Avatar, DisplayName};

/// Times are Unix seconds.
#[derive(Serialize)]
struct Shown<'a> {
    account: &'a AccountId,
    subject: &'a Subject,
    name: &'a str,
    avatar: Option<&'a str>,
    device: Option<&'a DeviceId>,
    device_name: Option<&'a str>,
    method: &'a str,
    signed_in_at: Timestamp,
    expires_at: Timestamp,
}

const ACCOUNT_HEADER: HeaderName = HeaderName::from_static("x-loopkey-account");
const NAME_HEADER: HeaderName = HeaderName::from_static("x-loopkey-name");

/// Shows the session that goes with the request.
pub(super) async fn show(SignedIn(session): SignedIn) -> Response {
    let profile = &session.account.profile;
    let shown = Shown {
        account: &profile.account,
        subject: &session.account.subject,
        name: profile.name.as_str(),
        avatar: profile.avatar.as_ref().map(Avatar::as_str),
        device: session.device.as_ref(),
        device_name: session.device_name.as_ref().map(DisplayName::as_str),
        method: &session.method,
        signed_in_at: session.signed_in_at,
        expires_at: session.expires_at,
    };
    let mut response = json(StatusCode::OK, &shown);
    response.headers_mut().insert(ACCOUNT_HEADER, header_text(profile.account.as_str()));
    response.headers_mut().insert(NAME_HEADER, header_text(profile.name.as_str()));
    response
}

/// Text as a header can carry it: visible ASCII stays, all else and the percent sign are percent-encoded UTF-8.
fn header_text(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes what is written");
        }
    }
    HeaderValue::try_from(encoded).expect("visible ASCII is a header")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_text_can_be_decoded_again() {
        assert_eq!(header_text("ada@example.com"), "ada@example.com");
        assert_eq!(header_text("Ada Lovelace"), "Ada%20Lovelace");
        assert_eq!(header_text("小雨"), "%E5%B0%8F%E9%9B%A8");
        assert_eq!(header_text("100%\r\nx: y"), "100%25%0D%0Ax:%20y");
    }
}
