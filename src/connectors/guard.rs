//! Calls to providers: rustls with ring, the system's root certificates, no redirects, bounded answers, a deadline. And not to
//! this computer or its own network: an address that a provider's document names must not make the login server ask what
//! stands beside it (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::fault::{ConnectFault, Fault};

/// From the connection to the last byte of an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest accepted answer in bytes.
const ANSWER_MAX_LEN: usize = 512 * 1024;

/// There is no client.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS for connectors: {0}")]
pub struct NoGuard(String);

/// A client for providers.
#[derive(Debug, Clone)]
pub struct Guarded {
    client: reqwest::Client,
    development: bool,
}

/// An answer, whatever its status.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body, as it was sent.
    pub content_type: Option<String>,
    /// For how long it may be kept, in seconds (`Cache-Control: max-age`).
    pub max_age: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a provider answers are tokens and people.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`Fault::Misbehaved`] where it is none.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConnectFault> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ConnectFault::new(
                Fault::Misbehaved,
                format_args!("status {}, and no JSON as expected: {error}", self.status),
            )
        })
    }
}

/// A client; with `development` it also calls this computer and private networks, and `http://`.
///
/// # Errors
/// [`NoGuard`] where TLS cannot be set up.
pub fn http(development: bool) -> Result<Guarded, NoGuard> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: &dyn std::fmt::Display| NoGuard(error.to_string());
    let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|e| failed(&e))?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("loopkey-login/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Resolver { development }))
        .build()
        .map_err(|e| failed(&e))?;
    Ok(Guarded { client, development })
}

impl Guarded {
    /// Begins a request to an address, after a look at it.
    ///
    /// # Errors
    /// [`Fault::Misconfigured`] where it is no address to call.
    pub fn request(&self, method: reqwest::Method, url: &str) -> Result<reqwest::RequestBuilder, ConnectFault> {
        let refuse = |why: &str| ConnectFault::new(Fault::Misconfigured, format_args!("{url} is not called: {why}"));
        let parsed = reqwest::Url::parse(url).map_err(|error| refuse(&error.to_string()))?;
        let allowed = parsed.scheme() == "https" || self.development && parsed.scheme() == "http";
        if !allowed {
            return Err(refuse("it is not https://"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refuse("it names a user"));
        }
        // Names are looked at when they are resolved; an address in digits never is.
        let host = parsed.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if !self.development && host.parse().is_ok_and(|address| !is_public(address)) {
            return Err(refuse("it is of this computer or a private network"));
        }
        Ok(self.client.request(method, parsed))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] where there is none; [`Fault::Misbehaved`] where it is too long.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, ConnectFault> {
        // Its own message names the address, and codes are in addresses of some providers.
        let unavailable = |error: reqwest::Error| ConnectFault::new(Fault::Unavailable, deepest(&error.without_url()));
        let mut response = request.send().await.map_err(unavailable)?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (content_type, cache) = (text("content-type"), text("cache-control"));
        let max_age = cache.as_deref().and_then(max_age);
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > ANSWER_MAX_LEN {
                return Err(ConnectFault::new(Fault::Misbehaved, "the answer is longer than any honest one"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, max_age, body })
    }
}

fn max_age(cache: &str) -> Option<u64> {
    cache.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Resolves names, and forgets every address that is not for everybody.
#[derive(Debug)]
struct Resolver {
    development: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let development = self.development;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.filter(|a| development || is_public(a.ip())).collect();
            if addresses.is_empty() {
                return Err(format!("{} is no name of a public address", name.as_str()).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is for everybody: not of this computer, this network, or any special use (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || a == 100 && (64..128).contains(&b)
        || a == 192 && b == 0 && c == 0
        || a == 198 && (b == 18 || b == 19))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Forms that carry an IPv4 address lead to that one: mapped, NAT64, 6to4.
    let segments = address.segments();
    let carried = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_public_v4(carried(high, low)),
        // Global unicast, without documentation (2001:db8::/32, 3fff::/20) and the special 2001::/23.
        [0x2001, second, ..] => second != 0xdb8 && second >= 0x200,
        [0x3fff, second, ..] => second >= 0x1000,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_for_everybody() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "3fff::1",
            "2001::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(text.parse().expect("an address")), "{text}");
        }
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2001:4860::8888",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(text.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn what_is_called() {
        let (guarded, free) = (http(false).expect("a client"), http(true).expect("a client"));
        let fault = |client: &Guarded, url: &str| client.request(reqwest::Method::GET, url).err().map(|f| f.fault);
        for url in [
            "http://id.example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "ftp://id.example.com/",
            "https://user@id.example.com/",
            "https://user:pass@id.example.com/",
            "//id.example.com",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127.1/",
        ] {
            assert_eq!(fault(&guarded, url), Some(Fault::Misconfigured), "{url}");
        }
        assert_eq!(fault(&guarded, "https://id.example.com/token"), None);
        assert_eq!(fault(&free, "http://127.0.0.1:9/"), None);
        assert_eq!(fault(&free, "ftp://127.0.0.1/"), Some(Fault::Misconfigured));
    }

    #[tokio::test]
    async fn a_name_of_this_computer_is_not_called() {
        let guarded = http(false).expect("a client");
        let request = guarded.request(reqwest::Method::GET, "https://localhost:1/").expect("a name");
        let fault = guarded.send(request).await.expect_err("refused");
        assert_eq!(fault.fault, Fault::Unavailable);
        assert!(fault.to_string().contains("no name of a public address"), "{fault}");
    }
}
