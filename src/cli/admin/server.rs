//! The login server as an administrator calls it.

use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;

use super::ServerArguments;
use crate::agent::http_client;
use crate::cli::Failure;
use crate::config;
use crate::crypto::Secret;
use crate::protocol::issuer::Issuer;

pub(super) struct Server {
    issuer: Issuer,
    service_key: Secret<String>,
    http: reqwest::Client,
}

impl Server {
    /// Finds it by what the command line says.
    pub(super) fn find(arguments: &ServerArguments) -> Result<Self, Failure> {
        let (issuer, service_key) = match (&arguments.config, &arguments.issuer, &arguments.service_key_file) {
            (Some(file), ..) => {
                let config = config::load(file, config::Kind::Server, config::server)?.login;
                let key = config.service_key.ok_or_else(|| {
                    let file = file.display();
                    Failure::misused(format!(
                        "{file}: service_key_file is missing: administrators are known by that key"
                    ))
                })?;
                (config.issuer, key)
            }
            (None, Some(issuer), Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| Failure::misused(format!("{} cannot be read: {error}", file.display())))?;
                let text = Secret::new(text);
                let issuer =
                    issuer.parse().map_err(|error| Failure::misused(format!("--issuer {issuer:?}: {error}")))?;
                (issuer, Secret::new(text.expose().trim().to_owned()))
            }
            _ => {
                return Err(Failure::misused(
                    "say which login server: --config server.toml, or --issuer URL with --service-key-file FILE",
                ));
            }
        };
        let http = http_client(arguments.ca_file.as_deref()).map_err(Failure::misused)?;
        Ok(Self { issuer, service_key, http })
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
        let mut url: Url = self.issuer.endpoint("/v1").parse().map_err(Failure::failed)?;
        let mut segments = url.path_segments_mut().map_err(|()| Failure::misused("the issuer has no path"))?;
        segments.extend(path);
        drop(segments);
        Ok(url)
    }

    async fn send(&self, method: Method, url: Url, body: Option<Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, url).bearer_auth(self.service_key.expose());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| Failure::failed(format!("{} cannot be reached: {}", self.issuer, error.without_url())))?;
        read(answer).await
    }
}

/// The answer, or what its refusal means to an administrator.
async fn read(answer: Response) -> Result<Value, Failure> {
    let status = answer.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    let body: Value = answer.json().await.unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let code = body["error"].as_str().unwrap_or("no error code");
    Err(Failure::failed(match (status, code) {
        (_, "unauthorized") => "the login server does not know this service key".to_owned(),
        (_, "not_found") => "there is no such account, device or organisation".to_owned(),
        (_, "bad_request") => "the login server does not take that value".to_owned(),
        (_, "unavailable") => "the login server cannot reach its store: nothing is known to have changed".to_owned(),
        _ => format!("the login server refused ({status}): {code}"),
    }))
}
