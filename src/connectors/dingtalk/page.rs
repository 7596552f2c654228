//! What `dd.config` needs on a page: a signature over the page's own address, with a ticket that the page never sees.

use serde_json::{Value, json};

use super::fault::DingTalkFault;
use super::settings::PageDigest;
use crate::connectors::Fault;
use crate::crypto::digests;

/// Longest accepted address of a page in bytes.
const PAGE_MAX_LEN: usize = 2048;

/// What is signed, besides the page's address.
pub(super) struct Signing<'a> {
    pub(super) ticket: &'a str,
    pub(super) nonce: &'a str,
    /// Whole seconds since 1970, UTC.
    pub(super) timestamp: u64,
    pub(super) digest: PageDigest,
}

impl Signing<'_> {
    /// The signature for a page, in lower-case hex.
    pub(super) fn sign(&self, page: &str) -> Result<String, DingTalkFault> {
        let Self { ticket, nonce, timestamp, digest } = self;
        let url = signed_address(page)?;
        // In this order, and in these letters: `dd.config` itself writes `nonceStr` and `timeStamp`.
        let text = format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}");
        Ok(match digest {
            PageDigest::Sha256 => digests::sha256_hex(&text),
            PageDigest::Sha1 => digests::sha1_hex(&text),
        })
    }

    /// The members of `dd.config` that come from the server; the page adds what it wants to use.
    pub(super) fn configuration(&self, page: &str, corp_id: &str, agent_id: u64) -> Result<Value, DingTalkFault> {
        Ok(json!({
            "agentId": agent_id.to_string(),
            "corpId": corp_id,
            "timeStamp": self.timestamp.to_string(),
            "nonceStr": self.nonce,
            "signature": self.sign(page)?,
        }))
    }
}

/// The form of a page's address that DingTalk signs: without its fragment, and with its query form-decoded once. Authority and
/// path stay as the browser shows them, a port of 80 included.
fn signed_address(page: &str) -> Result<String, DingTalkFault> {
    let refuse = || DingTalkFault::new(Fault::Refused, "what is to be signed is no address of a page");
    let page = page.split_once('#').map_or(page, |(page, _)| page);
    let rest = page.strip_prefix("https://").or_else(|| page.strip_prefix("http://")).ok_or_else(refuse)?;
    let is_sound = page.len() <= PAGE_MAX_LEN && page.bytes().all(|b| b.is_ascii_graphic());
    if !is_sound || rest.starts_with(['/', '?']) || rest.is_empty() {
        return Err(refuse());
    }
    match page.split_once('?') {
        None => Ok(page.to_owned()),
        Some((address, query)) => Ok(format!("{address}?{}", form_decoded(query).ok_or_else(refuse)?)),
    }
}

/// Decodes a query as one piece: `+` is a space, and `%XX` a byte of UTF-8.
fn form_decoded(query: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: &str = "KJWkoWOZ0BMYaQzWFDF5AUclJOHgO6WvzmNNJTswpAMPh3S2Z98PaaJkRzkjsmT5HaYFfNkMdg8lFkvxSy9X01";

    fn sign(page: &str, digest: PageDigest) -> Result<String, DingTalkFault> {
        Signing { ticket: TICKET, nonce: "Zn4zbLeasVWu6JZB", timestamp: 1_767_225_600_000, digest }.sign(page)
    }

    #[test]
    fn f04_signatures_are_those_of_the_vectors() {
        for (rest, sha1, sha256) in [
            (
                "/dd/login.html",
                "4c8a755d2d18986b27599428b564d25933aa1e26",
                "0c01cd4194c350ebeeded36c0d7f948fc72ac513eabfe7f03c78a093067e18dd",
            ),
            (
                ":8443/dd/login.html",
                "796a34ca67b743016c1fc87822e1b7f43a5c50e9",
                "a0e77f5b0439682ad1366b4f5b0f51b713d63dee2b18a200b4008413ed9a65ca",
            ),
            (
                "/dd/login.html?corpid=ding1234&next=%2Fhome%3Fa%3D1&name=%E5%BC%A0%E4%B8%89",
                "e33e3178e0a3d5daa86a0f8a5b098712f27cdba2",
                "4ae73e5ce3ab26e6b78d3f6d40bf682b0f9a2c65e4ffc594214e4a6186699c5c",
            ),
            (
                "/dd/login.html?corpid=ding1234#/route",
                "94a29837949071ec6e8da7bda18d061d54aa3aad",
                "adb214be10daeb57cf9b5c389d0b8b1fa142874cace6a487cf2d6e2936201a17",
            ),
            (
                "/dd/login.html?q=a+b%20c",
                "cd8ac39e6a7772729b7d60a20a513525bb08375b",
                "5496f5f03e55d9f04925ea9c9effe2f7c0aef4a569693ae6420b6044d3525aab",
            ),
        ] {
            let page = format!("https://login.example.com{rest}");
            assert_eq!(sign(&page, PageDigest::Sha1).expect("a signature"), sha1, "{page}");
            assert_eq!(sign(&page, PageDigest::Sha256).expect("a signature"), sha256, "{page}");
        }
    }

    #[test]
    fn f05_the_page_gets_exactly_five_members() {
        let signing = Signing { ticket: "t", nonce: "n", timestamp: 1_800_000_000, digest: PageDigest::Sha256 };
        let value = signing.configuration("https://a.example/", "ding1", 1_234_567_890).expect("a configuration");
        let members: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(members, ["agentId", "corpId", "nonceStr", "signature", "timeStamp"]);
        assert_eq!(value["timeStamp"], "1800000000");
    }

    #[test]
    fn what_is_no_page_is_not_signed() {
        for page in [
            "",
            "https://",
            "https:///path",
            "javascript:alert(1)",
            "ftp://a.example/",
            "https://a.example/?%",
            "https://a.example/?%f",
            "https://a.example/?%ff",
            "https://a.example/?%+1",
            "https://a.example/\r\n",
            "https://a.example/&url=张",
        ] {
            assert_eq!(sign(page, PageDigest::Sha256).expect_err(page).fault, Fault::Refused);
        }
        assert!(sign(&format!("https://a.example/{}", "x".repeat(2048)), PageDigest::Sha1).is_err());
        assert!(sign("https://a.example/?", PageDigest::Sha1).is_ok());
    }
}
