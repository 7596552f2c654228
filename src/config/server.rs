//! `server.toml`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Notes, Section};
use super::tls::{self, Tls};
use super::{ConfigError, check, connectors};
use crate::crypto::Secret;
use crate::login::{ConfigFault, LoginConfig, RateLimits};
use crate::store::{Lifetimes, OpenError, SEALING_SECRET_MIN_LEN, SharedOptions, StoreUrl};

const KEYS: [&str; 16] = [
    "issuer",
    "listen",
    "origins",
    "ports",
    "wss_ports",
    "store",
    "shared_store",
    "service_key_file",
    "token_key_file",
    "token_audience",
    "development",
    "drain_seconds",
    "sessions",
    "limits",
    "tls",
    "connector",
];
/// Replicas of a shared store that may be asked for.
const REPLICAS: RangeInclusive<usize> = 0..=8;
/// What one address may ask for in a minute. Below the least, one person with a few tabs is one too many.
const ADDRESS_PER_MINUTE: RangeInclusive<usize> = 60..=1_000_000;
/// What one device key, and one account, may. Below the least, a browser that restores its tabs is one too many.
const DEVICE_PER_MINUTE: RangeInclusive<usize> = 12..=1_000_000;
/// Wrong keys that one address is told of. Whoever is over a limit is told to come back in five seconds.
const WRONG_KEYS_PER_MINUTE: RangeInclusive<usize> = 12..=1_000_000;
/// Connections at once.
const CONNECTIONS: RangeInclusive<usize> = 64..=1_000_000;
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

/// Reads a `server.toml` of a folder, in which its paths begin, and the files that it names.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn server(text: &str, folder: &Path) -> Result<ServerConfig, ConfigError> {
    check(text, folder, |notes, root| {
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
        place_folder(notes, store);
        place_options(notes, store, options);
    }
    let mut read_key = |entry| root.path(entry).and_then(|path| read_secret(notes, entry, &path));
    let (service_key, token_key) = (read_key("service_key_file"), read_key("token_key_file"));
    let token_audience = root.parsed("token_audience");
    let development = root.boolean("development").unwrap_or(false);
    let drain = read_time(&mut root, "drain_seconds", DRAIN_SECONDS, 1);
    let lifetimes = root.section("sessions").map(read_lifetimes);
    let limits = root.section("limits").map(read_limits);
    let tls = root.section("tls").map(|section| read_tls(notes, section));
    let connectors = if root.has("connector") { connectors::read(notes, &mut root, development) } else { Vec::new() };
    root.end(&KEYS);
    let mut login = LoginConfig::new(issuer?);
    login.development = development;
    login.service_key = service_key;
    login.token_key = token_key;
    login.token_audience = token_audience.unwrap_or(login.token_audience);
    login.origins = origins.unwrap_or(login.origins);
    login.ports = ports.unwrap_or(login.ports);
    login.wss_ports = wss_ports.unwrap_or_default();
    login.lifetimes = lifetimes.unwrap_or(login.lifetimes);
    login.connectors = connectors;
    login.limits = limits.unwrap_or(login.limits);
    let (Listen(listen), Store(store)) = (listen?, store?);
    Some(ServerConfig { login, listen, store, tls: tls.flatten(), drain: drain.unwrap_or(DEFAULT_DRAIN) })
}

pub(super) fn read_secret(notes: &Notes<'_>, entry: &str, path: &Path) -> Option<Secret<String>> {
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
    let sealing = section.required_path("secret_file", "\"/etc/loopkey/store-secret\"");
    let password = section.path("password_file");
    let read = |key: &str, file: Option<PathBuf>| {
        file.and_then(|path| read_secret(notes, &format!("shared_store.{key}"), &path))
    };
    let (sealing_secret, password) = (read("secret_file", sealing), read("password_file", password));
    if sealing_secret.as_ref().is_some_and(|secret| secret.expose().len() < SEALING_SECRET_MIN_LEN) {
        let problem = format!("use at least {SEALING_SECRET_MIN_LEN} bytes; openssl rand -hex 32 makes a good one");
        notes.fault_of("shared_store.secret_file", problem);
    }
    let ca_file = section.path("ca_file");
    let (least, most) = REPLICAS.into_inner();
    let replicas = section.number("replicas", least, most).and_then(|number| u8::try_from(number).ok());
    section.end(&["secret_file", "password_file", "ca_file", "replicas"]);
    SharedOptions { sealing_secret, password, ca_file, replicas: replicas.unwrap_or(0) }
}

/// Makes the folder of an embedded store a whole path.
fn place_folder(notes: &Notes<'_>, store: &mut StoreUrl) {
    if let StoreUrl::Embedded(folder) = store {
        match notes.whole_path(&folder.to_string_lossy()) {
            Ok(whole) => *folder = whole,
            Err(problem) => notes.fault_of("store", problem),
        }
    }
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
    let cert_file = section.required_path("cert_file", "\"cert.pem\"");
    let key_file = section.required_path("key_file", "\"key.pem\"");
    section.end(&["cert_file", "key_file"]);
    tls::load(&cert_file?, &key_file?).map_err(|(entry, problem)| notes.fault_of(&format!("tls.{entry}"), problem)).ok()
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
    let numbers = [
        ("address_per_minute", ADDRESS_PER_MINUTE, &mut limits.address_per_minute),
        ("device_per_minute", DEVICE_PER_MINUTE, &mut limits.device_per_minute),
        ("account_per_minute", DEVICE_PER_MINUTE, &mut limits.account_per_minute),
        ("wrong_keys_per_minute", WRONG_KEYS_PER_MINUTE, &mut limits.wrong_keys_per_minute),
        ("connections", CONNECTIONS, &mut limits.connections),
        ("links", LINKS, &mut limits.links),
    ];
    let mut known = vec!["trusted_proxies"];
    for (key, range, limit) in numbers {
        known.push(key);
        let (least, most) = range.into_inner();
        if let Some(number) = section.number(key, least, most) {
            *limit = u32::try_from(number).unwrap_or(u32::MAX);
        }
    }
    limits.trusted_proxies = section.list_of("trusted_proxies").unwrap_or_default();
    section.end(&known);
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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|error| {
            if let OpenError::Ambiguous(_) = error {
                return "write / as %2F, ? as %3F and # as %23 in the password, or put it into shared_store.password_file";
            }
            "must be \"embedded:FOLDER\", \"memory:\", \"redis://HOST:PORT/DB\" or \"postgres://USER@HOST/DATABASE\""
        })
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
        ConfigFault::ShortTokenKey => "token_key_file".to_owned(),
        ConfigFault::TokenAudience => "token_audience".to_owned(),
        ConfigFault::Lifetime => String::new(),
        ConfigFault::ConnectorTwice { at, .. } => format!("connector[{at}].name"),
    }
}

/// The fault in words, without the entry that its message begins with: the line says that already.
fn problem_of(fault: &ConfigFault) -> String {
    let text = fault.to_string();
    text.split_once(": ").map_or(text.clone(), |(_, problem)| problem.to_owned())
}
