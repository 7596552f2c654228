//! Files of the demo's pages, compiled in.

use std::borrow::Cow;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
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

    /// The answer, under a content security policy that runs nothing but the page's own modules.
    pub(super) fn answer(&self, connect: &str) -> Response {
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; \
             connect-src 'self'{connect}; require-trusted-types-for 'script'; trusted-types 'none'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        );
        let headers = [
            (CONTENT_TYPE, self.kind.to_owned()),
            (CONTENT_SECURITY_POLICY, policy),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (REFERRER_POLICY, "no-referrer".to_owned()),
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        (headers, self.content.clone()).into_response()
    }
}
