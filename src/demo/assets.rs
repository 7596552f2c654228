//! Files of the demo's pages, compiled in.

use std::borrow::Cow;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};

/// One compiled-in file.
#[derive(Clone)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    content: Cow<'static, [u8]>,
}

macro_rules! asset {
    ($path:literal, $kind:literal, $file:literal) => {
        Asset { path: $path, kind: $kind, content: Cow::Borrowed(include_bytes!(concat!("../../web/demo/", $file))) }
    };
}

pub(super) const SITE: [Asset; 3] = [
    asset!("/", "text/html; charset=utf-8", "index.html"),
    asset!("/demo/site.css", "text/css; charset=utf-8", "site.css"),
    asset!("/demo/site.js", "text/javascript; charset=utf-8", "site.js"),
];

pub(super) const CLIENT: [Asset; 6] = [
    asset!("/", "text/html; charset=utf-8", "client.html"),
    asset!("/client.css", "text/css; charset=utf-8", "client.css"),
    asset!("/client.js", "text/javascript; charset=utf-8", "client.js"),
    asset!("/avatars/ada.png", "image/png", "avatars/ada.png"),
    asset!("/avatars/lin.png", "image/png", "avatars/lin.png"),
    asset!("/avatars/sam.png", "image/png", "avatars/sam.png"),
];

impl Asset {
    /// The file with one text in place of another, where it is in there.
    pub(super) fn with(&self, from: &str, to: &str) -> Self {
        let changed = match std::str::from_utf8(&self.content) {
            Ok(text) if text.contains(from) => Cow::Owned(text.replace(from, to).into_bytes()),
            _ => self.content.clone(),
        };
        Self { content: changed, ..self.clone() }
    }

    /// The answer, without what [`guarded`] puts around it.
    pub(super) fn answer(&self) -> Response {
        ([(CONTENT_TYPE, self.kind), (CACHE_CONTROL, "no-cache")], self.content.clone()).into_response()
    }
}

/// Puts a page's files, and the answer to any other address, under a policy that runs nothing but the page's own modules,
/// makes no script from text, shows no picture of another host, and lets nobody frame it. `connect` is where else the
/// page may connect, and `frames` whose pages it may show in a frame.
pub(super) fn guarded(router: Router, connect: &str, frames: &[&str]) -> Router {
    let frames = if frames.is_empty() { "'none'".to_owned() } else { frames.join(" ") };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{connect}; \
         frame-src {frames}; require-trusted-types-for 'script'; trusted-types loopkey; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'"
    );
    let policy = HeaderValue::try_from(policy).expect("ports and fixed words are visible ASCII");
    router.fallback(async || StatusCode::NOT_FOUND).layer(map_response(move |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        for (name, value) in [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("x-frame-options"), "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        std::future::ready(response)
    }))
}
