//! The page that a browser ends on where it is not known which page began: two sentences, and a way to begin anew.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto;
use crate::login::answer::Refusal;
use crate::login::settings::Settings;

const STYLE: &str = "body{font:1rem/1.6 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1.25rem;color:#1c2b2a;background:#fbfaf7}\
                     a{color:#1f5f5b}@media(prefers-color-scheme:dark){body{color:#e7ecea;background:#16201f}a{color:#8fd0c9}}";

/// What the page says of it, in English and Chinese.
const fn sentences(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::SignInExpired => {
            ("It was begun in another window, or took too long.", "登录是在其他窗口开始的，或已超时。")
        }
        Refusal::TooManyRequests | Refusal::Unavailable | Refusal::ProviderUnavailable => {
            ("There is a lot to do just now. Try again in a minute.", "服务正忙，请一分钟后重试。")
        }
        _ => ("This link is not right.", "此链接不正确。"),
    }
}

/// The page. Nothing of what the provider or the address said is in it.
pub(super) fn failed(refusal: Refusal, settings: &Settings) -> Response {
    // An origin has no character that HTML gives a meaning to.
    let back = settings.listed.first().map(|origin| format!("{}/", origin.as_str())).unwrap_or_default();
    let (en, zh) = sentences(refusal);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Sign-in not completed · 登录未完成</title>\n<style>{STYLE}</style>\n<main data-error=\"{}\">\n\
         <h1>Sign-in not completed</h1>\n<p>{en} <a href=\"{back}\">Start again</a></p>\n\
         <h1 lang=\"zh\">登录未完成</h1>\n<p lang=\"zh\">{zh}<a href=\"{back}\">重新开始</a></p>\n\
         </main>\n",
        refusal.code(),
    );
    // With the status and the headers that a call would get.
    let mut response = refusal.into_response();
    *response.body_mut() = body.into();
    let style = STANDARD.encode(crypto::sha256(&[STYLE.as_bytes()]));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    );
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
    ] {
        headers.insert(name, HeaderValue::try_from(value).expect("fixed words and base64 are a header"));
    }
    response
}
