//! What the login server counts, for Prometheus. Nothing in it names a person, a device or an address.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::answer::Refusal;
use super::metered::OPERATIONS;
use super::state::Shared;
use crate::verify::mark::MarkError;

/// From what a memory store takes to the deadline of a slow one, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// `OpenMetrics` 1.0.0.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    call: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    call: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// The connector is one of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectorCall {
    connector: String,
    call: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// The counts of one login server.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    answered: Family<Answered, Counter>,
    call_seconds: Histograms<Call>,
    store_seconds: Histograms<Operation>,
    store_errors: Family<Operation, Counter>,
    marks: Family<Outcome, Counter>,
    connector_calls: Family<ConnectorCall, Counter>,
    /// Event streams that are open.
    pub(super) event_streams: Gauge,
    /// Links of agents that are open.
    pub(super) links: Gauge,
    /// Entries of the log of withdrawals that were read.
    pub(super) withdrawals: Counter,
    /// How often entries of the log may have been lost, and everything was looked at anew.
    pub(super) log_losses: Counter,
    /// 1 while the log of withdrawals can be read.
    pub(super) log_readable: Gauge<i64>,
    /// When the process started, in Unix seconds.
    started: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(super) fn new(started_at: u64) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("loopkey"),
            answered: Family::default(),
            call_seconds: Family::new_with_constructor(histogram),
            store_seconds: Family::new_with_constructor(histogram),
            store_errors: Family::default(),
            marks: Family::default(),
            connector_calls: Family::default(),
            event_streams: Gauge::default(),
            links: Gauge::default(),
            withdrawals: Counter::default(),
            log_losses: Counter::default(),
            log_readable: Gauge::default(),
            started: Gauge::default(),
        };
        metrics.log_readable.set(1);
        // What has not happened yet is there all the same, so that an alert has something to look at.
        for outcome in ["first", "used", "stale", "unavailable"] {
            drop(metrics.marks.get_or_create(&Outcome { outcome }));
        }
        for operation in OPERATIONS {
            drop(metrics.store_errors.get_or_create(&Operation { operation }));
        }
        metrics.started.set(started_at);
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "The program", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        registry.register("http_requests", "Requests answered", self.answered.clone());
        let help = "From a request's head to its answer's";
        registry.register_with_unit("http_request", help, Unit::Seconds, self.call_seconds.clone());
        let help =
            "Single-use marks by outcome: first, used (a replay), stale (another life of the store), unavailable";
        registry.register("marks", help, self.marks.clone());
        registry.register_with_unit("store", "Operations of the store", Unit::Seconds, self.store_seconds.clone());
        let help = "Operations whose outcome is unknown: the store did not answer in time, or was cut off";
        registry.register("store_errors", help, self.store_errors.clone());
        let help = "Calls of connectors by outcome: ok, or the code of what went wrong; one `finish` a sign-in";
        registry.register("connector_calls", help, self.connector_calls.clone());
        registry.register("event_streams", "Pages that listen for their session's end", self.event_streams.clone());
        registry.register("links", "Agents that are connected", self.links.clone());
        registry.register("withdrawals", "Entries of the log of withdrawals that were read", self.withdrawals.clone());
        let help = "How often entries of the log may have been lost and every open session was looked at anew";
        registry.register("log_losses", help, self.log_losses.clone());
        let help = "1 while the log of withdrawals can be read: sign-outs of other replicas are heard of";
        registry.register("log_readable", help, self.log_readable.clone());
        let help = "When the server started, in Unix seconds";
        registry.register_with_unit("start_time", help, Unit::Seconds, self.started.clone());
    }

    /// Counts an answer.
    pub(super) fn answered(&self, method: &'static str, call: &str, status: u16, took: Duration) {
        self.answered.get_or_create(&Answered { method, call: call.to_owned(), status }).inc();
        self.call_seconds.get_or_create(&Call { call: call.to_owned() }).observe(took.as_secs_f64());
    }

    /// Counts an operation of the store.
    pub(super) fn store_operation(&self, operation: &'static str, took: Duration, failed: bool) {
        let operation = Operation { operation };
        self.store_seconds.get_or_create(&operation).observe(took.as_secs_f64());
        if failed {
            self.store_errors.get_or_create(&operation).inc();
        }
    }

    /// Counts a call of a connector.
    #[cfg(feature = "connectors")]
    pub(super) fn connector_call(&self, connector: &str, call: &'static str, outcome: &'static str) {
        self.connector_calls.get_or_create(&ConnectorCall { connector: connector.to_owned(), call, outcome }).inc();
    }

    /// Counts a single-use mark.
    pub(super) fn mark<T>(&self, outcome: &Result<T, MarkError>) {
        let outcome = match outcome {
            Ok(_) => "first",
            Err(MarkError::Used) => "used",
            Err(MarkError::Stale) => "stale",
            Err(MarkError::Unavailable) => "unavailable",
        };
        self.marks.get_or_create(&Outcome { outcome }).inc();
    }
}

/// Counts something as long as it is held.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Counted {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`
pub(super) async fn show(State(server): State<Shared>) -> Result<Response, Refusal> {
    let metrics: &Arc<Metrics> = &server.metrics;
    let mut written = String::new();
    text::encode(&mut written, &metrics.registry).map_err(|error| {
        tracing::error!("the metrics cannot be written: {error}");
        Refusal::Unavailable
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], written).into_response())
}
