//! The login server as an administrator calls it.
//!
//! By its configuration it is called where it listens, on this computer: a proxy in front of it keeps these calls away, as it
//! should. By its address it is called there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use super::ServerArguments;
use crate::agent::{http_client, http_client_here, unreachable};
use crate::cli::Failure;
use crate::config::{self, ServerConfig};
use crate::crypto::Secret;
use crate::protocol::issuer::Issuer;

pub(super) struct Server {
    /// Its address as it is called, with the issuer's path.
    base: Url,
    service_key: Secret<String>,
    http: reqwest::Client,
    /// What to do where it is not there.
    cure: &'static str,
}

impl Server {
    /// Finds it by what the command line says.
    pub(super) fn find(arguments: &ServerArguments) -> Result<Self, Failure> {
        match (&arguments.config, &arguments.issuer, &arguments.service_key_file) {
            (Some(file), ..) => {
                let config = config::load(file, config::Kind::Server, config::server)?;
                let service_key = config.login.service_key.clone().ok_or_else(|| {
                    let file = file.display();
                    Failure::misused(format!(
                        "{file}: service_key_file is missing: administrators are known by that key"
                    ))
                })?;
                let (base, address) = here(&config)?;
                let http = http_client_here(arguments.ca_file.as_deref(), base.host_str().unwrap_or_default(), address)
                    .map_err(Failure::misused)?;
                let cure = "with --config it is called on this computer, where it listens: start it, or run this where \
                            it runs, or name it by --issuer and --service-key-file";
                Ok(Self { base, service_key, http, cure })
            }
            (None, Some(issuer), Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::misused(format!("{} cannot be read: {error}", file.display())))?;
                let text = Secret::new(text);
                let issuer: Issuer =
                    issuer.parse().map_err(|error| Failure::misused(format!("--issuer {issuer:?}: {error}")))?;
                let http = http_client(arguments.ca_file.as_deref()).map_err(Failure::misused)?;
                let base = issuer.as_str().parse().map_err(Failure::failed)?;
                let cure = "look at the address; a certificate of a private authority needs --ca-file";
                Ok(Self { base, service_key: Secret::new(text.expose().trim().to_owned()), http, cure })
            }
            _ => Err(Failure::misused(
                "say which login server: --config server.toml, or --issuer URL with --service-key-file FILE",
            )),
        }
    }

    pub(super) async fn get(&self, path: &[String], query: &[(&str, String)]) -> Result<Value, Failure> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.send(Method::GET, url, None).await
    }

    pub(super) async fn call(&self, method: Method, path: &[String], body: Option<Value>) -> Result<Value, Failure> {
        let url = self.url(path)?;
        self.send(method, url, body).await
    }

    /// The call's address, whatever bytes a name in it has.
    fn url(&self, path: &[String]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        let mut segments = url.path_segments_mut().map_err(|()| Failure::misused("the issuer has no path"))?;
        segments.pop_if_empty().push("v1").extend(path);
        drop(segments);
        Ok(url)
    }

    async fn send(&self, method: Method, url: Url, body: Option<Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, url).bearer_auth(self.service_key.expose());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| {
            let why = unreachable(&error.without_url());
            Failure::failed(format!("{} cannot be reached: {why}; {}", self.base, self.cure))
        })?;
        read(answer).await
    }
}

/// Where a login server with this configuration is called on its own computer, and the address behind that name.
fn here(config: &ServerConfig) -> Result<(Url, SocketAddr), Failure> {
    let mut address = config.listen;
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let issuer = &config.login.issuer;
    // Its certificate is for the public name; without TLS nobody looks at names.
    let base = match &config.tls {
        Some(_) => format!("https://{}:{}{}", issuer.origin().host(), address.port(), issuer.path()),
        None => format!("http://{address}{}", issuer.path()),
    };
    Ok((base.parse().map_err(Failure::failed)?, address))
}

/// The answer, or what its refusal means to an administrator.
async fn read(answer: Response) -> Result<Value, Failure> {
    let status = answer.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    let body: Option<Value> = answer.json().await.ok();
    if status.is_success() {
        return Ok(body.unwrap_or_default());
    }
    let code = body.as_ref().and_then(|body| body["error"].as_str());
    Err(Failure::failed(match (status, code) {
        (_, Some("unauthorized")) => "the login server does not know this service key".to_owned(),
        (_, Some("not_found")) => "there is no such account, device or organisation".to_owned(),
        (_, Some("bad_request")) => "the login server does not take that value".to_owned(),
        (_, Some("unavailable")) => {
            "the login server cannot reach its store: nothing is known to have changed".to_owned()
        }
        (_, Some(code)) => format!("the login server refused ({status}): {code}"),
        (_, None) => format!(
            "what answers ({status}) is no login server: a proxy in front keeps these calls away, or nothing runs behind \
             it. Use --config server.toml on the server itself, or --issuer with its inner address"
        ),
    }))
}
