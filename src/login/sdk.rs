//! `GET /sdk/{file}`: the browser SDK, as it is in this build.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use super::path::Path;
use crate::crypto;
use crate::protocol::base64url;

/// Puts the named files of `web/` into the program.
macro_rules! files {
    ($($name:literal)*) => {
        /// The SDK's files: name and content.
        pub const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $name))),)*
        ];
    };
}

files! {
    "advice.js" "agent.js" "approval.js" "avatar.js" "backoff.js" "blocked.js" "bridge.js" "browser.js" "candidates.js" "card-parts.js" "card-style.js"
    "card-view.js" "codes.js" "connection.js" "delegation.js" "dingtalk-frame.d.ts" "dingtalk-frame.js" "discovery.js" "environment.js" "frame.d.ts" "frame.js" "handshake.js"
    "identity.js" "issuer.js" "login.js" "loopkey-card.d.ts" "loopkey-card.js" "loopkey.d.ts" "loopkey.js" "name.js" "opened.js"
    "permission.js" "pictures.js" "session-events.js" "session.js" "shared-worker.js" "shared.js" "socket.js" "verdict.js" "wake-link.js"
    "waking.js" "ways.js" "words.js"
}

/// Answers one of [`FILES`].
pub(super) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    answer(FILES, &name, &headers)
}

/// Answers one of some files. Browsers keep it and ask each time whether it is still the same.
pub(super) fn answer(files: &[(&str, &'static str)], name: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let (_, content) = files.iter().find(|(file, _)| *file == name).ok_or(Refusal::NotFound)?;
    let digest = crypto::sha256(&[content.as_bytes()]);
    let tag =
        HeaderValue::try_from(format!("\"{}\"", base64url::encode(&digest[..16]))).expect("base64url is a header");
    let same = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let fixed = [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    Ok((fixed, [(header::CONTENT_TYPE, kind)], *content).into_response())
}

/// Answers one of the files of a page of the login server's own, which nobody frames and which names itself to nobody.
pub(super) fn page(
    files: &[(&str, &'static str)],
    name: &str,
    headers: &HeaderMap,
    policy: &'static str,
) -> Result<Response, Refusal> {
    let mut response = answer(files, name, headers)?;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The files of a folder below `web/`, in order.
#[cfg(test)]
pub(super) fn listed(folder: &str, counts: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web").join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<_> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| counts(name));
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_of_the_sdk_is_there() {
        let expected = listed("", |name| name.ends_with(".js") || name.ends_with(".d.ts"));
        assert_eq!(FILES.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(), expected);
    }
}
