//! Single-use marks a second in a store that login servers share, by how many sign-ins wait for it at the same time.

use std::sync::Arc;

use anyhow::Context as _;
use futures::future::join_all;
use loopkey::clock::{Clock as _, SystemClock};
use loopkey::crypto::{self, Secret};
use loopkey::protocol::id::ChallengeId;
use loopkey::store::{SharedStore, StoreUrl};

use super::super::{Bench, progress};
use crate::machine;
use crate::report::{Curve, Plot, Rounds, Row};

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../../../tests/support/postgres.rs"]
mod postgres;
#[path = "../../../../tests/support/redis.rs"]
mod redis_server;

/// Sign-ins that wait at the same time.
const CALLERS: [usize; 5] = [1, 8, 32, 128, 512];

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Option<Plot>> {
    if !bench.args.peers {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut curves = Vec::new();
    // The servers are those of the tests, which panic where a program is missing.
    match std::panic::catch_unwind(|| redis_server::RedisServer::start(&[])) {
        Ok(server) => curves.push(curve(bench, &runtime, "Redis", &server.url())?),
        Err(_) => missing(bench, "Redis", "redis-server does not start (apt-get install redis-server)"),
    }
    match std::panic::catch_unwind(|| postgres::Server::start(&[])) {
        Ok(server) => {
            let database = server.database();
            curves.push(curve(bench, &runtime, "PostgreSQL", &server.url(&database))?);
        }
        Err(_) => missing(bench, "PostgreSQL", "postgres does not start (apt-get install postgresql)"),
    }
    Ok((!curves.is_empty()).then_some(Plot {
        file: "stores",
        title: "Single-use marks a second in a shared store",
        x: "sign-ins that wait at the same time",
        y: "marks a second",
        unit: "/s",
        curves,
    }))
}

fn missing(bench: &mut Bench, name: &str, reason: &str) {
    let row = Row::new(super::SECTION, "MISSING", name, f64::NAN, "");
    bench.rows.push(row.note(&format!("{name} was not measured: {reason}")));
}

fn curve(bench: &Bench, runtime: &tokio::runtime::Runtime, name: &str, url: &str) -> anyhow::Result<Curve> {
    let mut url: StoreUrl = url.parse().ok().context("the address of a store")?;
    let options = url.shared_options().context("a shared store")?;
    options.sealing_secret = Some(Secret::new("a secret of the benchmark, and nowhere else".to_owned()));
    runtime.block_on(async {
        let store = loopkey::store::open(&url, Arc::new(SystemClock)).await?;
        let mut points = Vec::new();
        for callers in CALLERS {
            progress(&format!("growth: marks in {name}, {callers} callers"));
            let mut figures = Rounds::default();
            for _ in 0..bench.args.few(1, 3) {
                figures.add(rate(&store, callers, bench.args.few(2_000, 10_000)).await?);
            }
            points.push((callers as f64, figures.median()));
        }
        Ok(Curve { name: name.to_owned(), points })
    })
}

/// Marks a second; each caller waits for its own answer.
async fn rate(store: &SharedStore, callers: usize, marks: usize) -> anyhow::Result<f64> {
    let inc = store.incarnation().await?;
    let until = SystemClock.timestamp().plus(480);
    let each = marks.div_ceil(callers);
    let started = machine::now();
    let all = (0..callers).map(|_| {
        let (store, inc) = (Arc::clone(store), inc.clone());
        tokio::spawn(async move {
            for _ in 0..each {
                let jti = ChallengeId::from_bytes(crypto::random());
                drop(store.mark(&jti, &inc, until).await.context("the first use")?);
            }
            anyhow::Ok(())
        })
    });
    for caller in join_all(all).await {
        caller??;
    }
    Ok((each * callers) as f64 / started.elapsed().as_secs_f64())
}
