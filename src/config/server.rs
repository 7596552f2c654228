//! `server.toml`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::reader::{Notes, Section};
use super::tls::{self, Tls};
use super::{AbsolutePath, ConfigError, check};
use crate::crypto::Secret;
use crate::login::{ConfigFault, LoginConfig, RateLimits};
use crate::store::{Lifetimes, OpenError, SEALING_SECRET_MIN_LEN, SharedOptions, StoreUrl};

const KEYS: [&str; 14] = [
    "issuer",
    "listen",
    "origins",
    "ports",
    "wss_ports",
    "store",
    "shared_store",
    "service_key_file",
    "token_audience",
    "development",
    "drain_seconds",
    "sessions",
    "limits",
    "tls",
];
/// Replicas of a shared store that may be asked for.
const REPLICAS: RangeInclusive<usize> = 0..=8;
/// What one address may ask for in a minute. Below the least, one person with a few tabs is one too many.
const ADDRESS_PER_MINUTE: RangeInclusive<usize> = 60..=1_000_000;
/// Agents that may be linked at once. With none of them nobody hears of a revocation in time.
const LINKS: RangeInclusive<usize> = 1..=1_000_000;

/// From a session's opening or last use to its end: up to 90 days.
const SESSION_MINUTES: RangeInclusive<usize> = 1..=129_600;
/// How long a server that is told to stop goes on answering while `/readyz` says so.
const DRAIN_SECONDS: RangeInclusive<usize> = 0..=300;
/// Long enough for a balancer that looks each second.
const DEFAULT_DRAIN: Duration = Duration::from_secs(2);

/// Everything that `server.toml` says, files read.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// What the login server itself is told.
    pub login: LoginConfig,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it keeps what it keeps.
    pub store: StoreUrl,
    /// Certificates, where no proxy ends TLS in front.
    pub tls: Option<Tls>,
    /// How long it goes on answering after it was told to stop.
    pub drain: Duration,
}

/// Reads `server.toml` and the files that it names.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn server(text: &str) -> Result<ServerConfig, ConfigError> {
    check(text, |notes, root| {
        let config = read(notes, root)?;
        for fault in config.login.faults() {
            notes.fault_of(&entry_of(&fault, &config.login), problem_of(&fault));
        }
        Some(config)
    })
}

fn read(notes: &Notes<'_>, mut root: Section<'_>) -> Option<ServerConfig> {
    let issuer = root.required("issuer", "\"https://app.example.com/loopkey\"");
    let listen = root.required::<Listen>("listen", "\"127.0.0.1:28980\"");
    let origins = root.list_of("origins");
    let ports = root.ports("ports");
    let wss_ports = root.ports("wss_ports");
    let mut store = root.required::<Store>("store", "\"embedded:loopkey-data\"");
    let options = root.section("shared_store").map(|section| read_shared(notes, section));
    if let Some(Store(store)) = &mut store {
        place_options(notes, store, options);
    }
    let service_key = root.parsed("service_key_file").map(|AbsolutePath(path)| read_service_key(notes, &path));
    let token_audience = root.parsed("token_audience");
    let development = root.boolean("development").unwrap_or(false);
    let drain = read_time(&mut root, "drain_seconds", DRAIN_SECONDS, 1);
    let lifetimes = root.section("sessions").map(read_lifetimes);
    let limits = root.section("limits").map(read_limits);
    let tls = root.section("tls").map(|section| read_tls(notes, section));
    root.end(&KEYS);
    let mut login = LoginConfig::new(issuer?);
    login.development = development;
    login.service_key = service_key.flatten();
    login.token_audience = token_audience.unwrap_or(login.token_audience);
    login.origins = origins.unwrap_or(login.origins);
    login.ports = ports.unwrap_or(login.ports);
    login.wss_ports = wss_ports.unwrap_or_default();
    login.lifetimes = lifetimes.unwrap_or(login.lifetimes);
    login.limits = limits.unwrap_or(login.limits);
    let (Listen(listen), Store(store)) = (listen?, store?);
    Some(ServerConfig { login, listen, store, tls: tls.flatten(), drain: drain.unwrap_or(DEFAULT_DRAIN) })
}

fn read_service_key(notes: &Notes<'_>, path: &Path) -> Option<Secret<String>> {
    read_secret(notes, "service_key_file", path)
}

fn read_secret(notes: &Notes<'_>, entry: &str, path: &Path) -> Option<Secret<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::new(text);
            warn_where_others_can_read(path);
            Some(Secret::new(text.expose().trim().to_owned()))
        }
        Err(error) => {
            notes.fault_of(entry, format!("{} cannot be read: {error}", path.display()));
            None
        }
    }
}

fn read_shared(notes: &Notes<'_>, mut section: Section<'_>) -> SharedOptions {
    let sealing = section.required("secret_file", "\"/etc/loopkey/store-secret\"");
    let password = section.parsed("password_file");
    let read = |key: &str, file: Option<AbsolutePath>| {
        file.and_then(|AbsolutePath(path)| read_secret(notes, &format!("shared_store.{key}"), &path))
    };
    let (sealing_secret, password) = (read("secret_file", sealing), read("password_file", password));
    if sealing_secret.as_ref().is_some_and(|secret| secret.expose().len() < SEALING_SECRET_MIN_LEN) {
        let problem = format!("use at least {SEALING_SECRET_MIN_LEN} bytes; openssl rand -hex 32 makes a good one");
        notes.fault_of("shared_store.secret_file", problem);
    }
    let ca_file = section.parsed("ca_file").map(|AbsolutePath(path)| path);
    let (least, most) = REPLICAS.into_inner();
    let replicas = section.number("replicas", least, most).and_then(|number| u8::try_from(number).ok());
    section.end(&["secret_file", "password_file", "ca_file", "replicas"]);
    SharedOptions { sealing_secret, password, ca_file, replicas: replicas.unwrap_or(0) }
}

/// Gives a shared store its options, and finds what is missing or has no use.
fn place_options(notes: &Notes<'_>, store: &mut StoreUrl, options: Option<SharedOptions>) {
    match (store.shared_options(), options) {
        (Some(place), Some(options)) => *place = options,
        (Some(_), None) => notes.fault_of(
            "store",
            "is shared by replicas: add [shared_store] with secret_file = \"…\" (openssl rand -hex 32 makes one)",
        ),
        (None, Some(_)) => notes.fault_of("shared_store", "is for redis:// and postgres:// alone: remove it"),
        (None, None) => {}
    }
}

/// Whoever has the service key can enrol a device for anybody. A group may read it: so a service that runs as a user of its
/// own is given a file that is root's.
fn warn_where_others_can_read(path: &Path) {
    #[cfg(not(unix))]
    let _ = path;
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o027 != 0) {
        tracing::warn!("{0}: others can read or change this secret; run: chmod 600 {0}", path.display());
    }
}

fn read_tls(notes: &Notes<'_>, mut section: Section<'_>) -> Option<Tls> {
    let cert_file = section.required("cert_file", "\"cert.pem\"");
    let key_file = section.required("key_file", "\"key.pem\"");
    section.end(&["cert_file", "key_file"]);
    let (AbsolutePath(cert), AbsolutePath(key)) = (cert_file?, key_file?);
    tls::load(&cert, &key).map_err(|(entry, problem)| notes.fault_of(&format!("tls.{entry}"), problem)).ok()
}

fn read_time(section: &mut Section<'_>, key: &str, range: RangeInclusive<usize>, unit: u64) -> Option<Duration> {
    let (least, most) = range.into_inner();
    let number = section.number(key, least, most)?;
    u64::try_from(number).ok().map(|number| Duration::from_secs(number * unit))
}

fn read_lifetimes(mut section: Section<'_>) -> Lifetimes {
    let mut minutes = |key| read_time(&mut section, key, SESSION_MINUTES, 60);
    let (absolute, idle) = (minutes("absolute_minutes"), minutes("idle_minutes"));
    section.end(&["absolute_minutes", "idle_minutes"]);
    let default = Lifetimes::default();
    Lifetimes { absolute: absolute.unwrap_or(default.absolute), idle: idle.unwrap_or(default.idle) }
}

fn read_limits(mut section: Section<'_>) -> RateLimits {
    let mut limits = RateLimits::default();
    let (least, most) = ADDRESS_PER_MINUTE.into_inner();
    if let Some(number) = section.number("address_per_minute", least, most) {
        limits.address_per_minute = u32::try_from(number).unwrap_or(u32::MAX);
    }
    let (least, most) = LINKS.into_inner();
    if let Some(number) = section.number("links", least, most) {
        limits.links = u32::try_from(number).unwrap_or(u32::MAX);
    }
    limits.trusted_proxies = section.list_of("trusted_proxies").unwrap_or_default();
    section.end(&["address_per_minute", "links", "trusted_proxies"]);
    limits
}

struct Listen(SocketAddr);

impl std::str::FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "must be an IP address and a port, such as \"127.0.0.1:28980\"")
    }
}

struct Store(StoreUrl);

impl std::str::FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse().map_err(|error| {
            if let OpenError::Ambiguous(_) = error {
                return "write / as %2F, ? as %3F and # as %23 in the password, or put it into shared_store.password_file";
            }
            "must be \"embedded:FOLDER\", \"memory:\", \"redis://HOST:PORT/DB\" or \"postgres://USER@HOST/DATABASE\""
        })? {
            StoreUrl::Embedded(folder) => {
                let AbsolutePath(folder) = folder.to_string_lossy().parse()?;
                Ok(Self(StoreUrl::Embedded(folder)))
            }
            other => Ok(Self(other)),
        }
    }
}

/// The entry that a fault of the login server's configuration stands in.
fn entry_of(fault: &ConfigFault, config: &LoginConfig) -> String {
    let at_origin = |origin| config.origins.iter().position(|o| o == origin);
    let at_port = |port| config.ports.iter().position(|p| p == port);
    let item = |list: &str, at: Option<usize>| at.map_or_else(|| list.to_owned(), |at| format!("{list}[{at}]"));
    match fault {
        ConfigFault::InsecureIssuer(_) => "issuer".to_owned(),
        ConfigFault::InsecureOrigin(origin) | ConfigFault::ForeignOrigin { origin, .. } => {
            item("origins", at_origin(origin))
        }
        ConfigFault::NoOrigins => "origins".to_owned(),
        ConfigFault::PortCount(_) => "ports".to_owned(),
        ConfigFault::Port(port) => item("ports", at_port(port)),
        ConfigFault::WssPortCount(_) => "wss_ports".to_owned(),
        ConfigFault::WssPort(port) => item("wss_ports", config.wss_ports.iter().position(|p| p == port)),
        ConfigFault::ShortServiceKey => "service_key_file".to_owned(),
        ConfigFault::TokenAudience => "token_audience".to_owned(),
        ConfigFault::Lifetime => String::new(),
    }
}

/// The fault in words, without the entry that its message begins with: the line says that already.
fn problem_of(fault: &ConfigFault) -> String {
    let text = fault.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, problem)| problem.to_owned())
}
