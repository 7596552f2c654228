//! Where the server is and how it is reached: from the address and the options to connections that are fit for use.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, Driver};
use super::fault::explained;
use super::fitness::{Fitness, Unfit};
use super::{PostgresError, schema, tls};
use crate::protocol::time::UnixMillis;
use crate::store::{Address, Shared};

/// How long a connection may take to be made and looked at.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// One host of several may take that long to answer.
const HOST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a start waits for standbys that are away.
const STANDBYS_WAIT: Duration = Duration::from_secs(5);
/// A connection on which nothing was heard for so long is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What a connection is for: how long the server itself waits on it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Everything but the others.
    Work,
    /// Single-use marks, whose deadline is short.
    Marks,
    /// Hints, which are no truth: no commit of them waits for the disk.
    Bell,
    /// Bringing the tables to this version may take as long as it takes.
    Migration,
}

impl Purpose {
    /// The settings of a session. The server gives up before we do, so that what it says is known.
    fn settings(self) -> String {
        let (statement, lock) = match self {
            Self::Work | Self::Bell => ("4500ms", "4000ms"),
            Self::Marks => ("240ms", "240ms"),
            Self::Migration => ("0", "60s"),
        };
        let commit = match self {
            Self::Bell => "SET synchronous_commit = off",
            Self::Work | Self::Marks | Self::Migration => {
                "SELECT set_config('synchronous_commit',
                    CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)"
            }
        };
        format!(
            "SET search_path = loopkey; SET statement_timeout = '{statement}'; SET lock_timeout = '{lock}';
             SET idle_in_transaction_session_timeout = '10s'; SET default_transaction_isolation = 'read committed'; {commit}"
        )
    }
}

/// Where the server is.
pub(super) struct Target {
    config: Config,
    /// Nothing with `sslmode=disable`.
    tls: Option<MakeRustlsConnect>,
    address: Address,
    replicas: u8,
}

impl Target {
    pub(super) fn new(shared: &Shared) -> Result<Self, PostgresError> {
        let (address, mode) = sslmode_of(shared.address.expose());
        let mut config: Config = address.parse().map_err(|error| PostgresError::Address(explained(&error)))?;
        if let Some(password) = &shared.options.password {
            config.password(password.expose());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(HOST_TIMEOUT);
        }
        config.application_name(concat!("loopkey ", env!("CARGO_PKG_VERSION")));
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 2).keepalives_retries(3);
        // Of several hosts the one that takes writes, also after a failover.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let verified = match mode.as_deref() {
            Some("verify-full") => true,
            Some("disable") => false,
            Some(other) => return Err(PostgresError::SslMode(other.to_owned())),
            None => !config.get_hosts().iter().all(is_here),
        };
        config.ssl_mode(if verified { SslMode::Require } else { SslMode::Disable });
        let tls = verified.then(|| tls::connector(shared.options.ca_file.as_deref())).transpose()?;
        Ok(Self { config, tls, address: shared.address.clone(), replicas: shared.options.replicas })
    }

    /// A connection to a server that is fit for use.
    pub(super) async fn connect(&self, purpose: Purpose) -> Result<Connection, PostgresError> {
        self.connect_hearing(purpose, |_| {}).await
    }

    /// The same, and what the server says unasked on it.
    pub(super) async fn connect_hearing(
        &self,
        purpose: Purpose,
        heard: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Connection, PostgresError> {
        let connecting = async {
            let (client, driver) = match &self.tls {
                None => self.dial(NoTls, heard).await?,
                Some(tls) => self.dial(tls.clone(), heard).await?,
            };
            self.look_at(&client).await?;
            client.batch_execute(&purpose.settings()).await.map_err(|error| self.unreachable(&error))?;
            if matches!(purpose, Purpose::Work | Purpose::Marks) {
                schema::begin_life(&client).await.map_err(|error| self.unreachable(&error))?;
            }
            Ok(Connection::new(client, driver))
        };
        let late =
            |_| PostgresError::Unreachable { address: self.address.clone(), reason: "no answer in 4 s".to_owned() };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?
    }

    async fn dial<T>(
        &self,
        tls: T,
        heard: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<(Client, Driver), PostgresError>
    where
        T: tokio_postgres::tls::MakeTlsConnect<Socket>,
        T::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (client, connection) = self.config.connect(tls).await.map_err(|error| self.unreachable(&error))?;
        Ok((client, Driver::start(connection, heard)))
    }

    async fn look_at(&self, client: &Client) -> Result<Fitness, PostgresError> {
        let fitness = Fitness::of(client).await.map_err(|error| self.unreachable(&error))?;
        fitness.judge(self.replicas).map_err(|unfit| self.unfit(unfit))?;
        Ok(fitness)
    }

    /// Waits a little for the standbys without which no write is ever done: they may be starting too.
    pub(super) async fn await_standbys(&self, connection: &Connection) -> Result<(), PostgresError> {
        let waiting = Instant::now() + STANDBYS_WAIT;
        loop {
            let fitness = self.look_at(connection.client()).await?;
            let away = fitness.judge_standbys(connection.client()).await.map_err(|error| self.unreachable(&error))?;
            match away {
                None => return Ok(()),
                Some(unfit) if Instant::now() >= waiting => return Err(self.unfit(unfit)),
                Some(_) => tokio::time::sleep(STANDBYS_WAIT / 20).await,
            }
        }
    }

    /// Whether a server that was fit still is, and its clock is near enough to ours.
    pub(super) async fn look_again(&self, connection: &Connection, ours: UnixMillis) -> Result<(), PostgresError> {
        let fitness = self.look_at(connection.client()).await?;
        fitness.judge_clock(ours).map_err(|unfit| self.unfit(unfit))
    }

    fn unfit(&self, unfit: Unfit) -> PostgresError {
        PostgresError::Unfit { address: self.address.clone(), unfit }
    }

    fn unreachable(&self, error: &tokio_postgres::Error) -> PostgresError {
        let cause = std::error::Error::source(error);
        let refused = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
        // So the driver calls a server of the wrong kind.
        if refused.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
            return self.unfit(Unfit::Standby);
        }
        let mut reason = explained(error);
        if self.tls.is_none()
            && error.code() == Some(&tokio_postgres::error::SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
        {
            reason.push_str("; where the server demands TLS, write sslmode=verify-full in the address");
        }
        PostgresError::Unreachable { address: self.address.clone(), reason }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.address).finish()
    }
}

/// A target that several tasks connect to.
pub(super) type SharedTarget = Arc<Target>;

/// Takes `sslmode` out of an address: the driver knows fewer of its values than libpq.
fn sslmode_of(address: &str) -> (String, Option<String>) {
    let Some((base, query)) = address.split_once('?') else { return (address.to_owned(), None) };
    let (modes, rest): (Vec<_>, Vec<_>) = query.split('&').partition(|pair| pair.starts_with("sslmode="));
    let mode = modes.last().and_then(|pair| pair.strip_prefix("sslmode=")).map(str::to_owned);
    let base = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    (base, mode)
}

/// Whether a host is this computer: what is sent to it passes no network.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreUrl;

    fn target(address: &str) -> Result<Target, PostgresError> {
        match address.parse() {
            Ok(StoreUrl::Postgres(shared)) => Target::new(&shared),
            other => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn whoever_is_not_this_computer_is_verified() {
        for (address, verified) in [
            ("postgres://u@db/d", true),
            ("postgres://u@db/d?sslmode=verify-full&connect_timeout=1", true),
            ("postgres://u@db/d?sslmode=disable", false),
            ("postgres://u@127.0.0.1/d", false),
            ("postgres://u@[::1]:5433/d", false),
            ("postgres://u@%2Frun%2Fpostgresql/d", false),
            ("postgres://u@localhost,db/d", true),
            ("postgres://u@localhost/d?sslmode=verify-full", true),
        ] {
            let target = target(address).expect(address);
            assert_eq!(target.tls.is_some(), verified, "{address}");
            assert_eq!(target.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
    }

    #[test]
    fn addresses_that_promise_too_little_or_say_nothing_are_refused() {
        for mode in ["allow", "prefer", "require", "verify-ca", "verify_full", ""] {
            let error = target(&format!("postgres://u:hunter2@db/d?sslmode={mode}")).expect_err(mode).to_string();
            assert!(error.contains(&format!("sslmode={mode} ")) && error.contains("verify-full"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        for (address, named) in
            [("postgres://u:hunter2@db:x/d", "port"), ("postgres://u:hunter2@db/d?colour=red", "colour")]
        {
            let error = target(address).expect_err(address).to_string();
            assert!(error.contains(named) && !error.contains("hunter2"), "{error}");
        }
    }
}
