//! One fetch at a time, of something that many wait for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::ConnectFault;

/// A fetch that those who wait for it share, its failure too: a provider that does not answer holds everybody up once, and not
/// one after the other. Nothing is kept of a failure for whoever comes later.
#[derive(Debug, Default)]
pub(super) struct Flight {
    one: tokio::sync::Mutex<()>,
    /// How many failed, and how the last one did.
    failed: Mutex<(u64, Option<ConnectFault>)>,
}

impl Flight {
    /// What is `known` by the time that it is one's turn, or else the outcome of the fetch that was waited for, or of one's own.
    pub(super) async fn join<T>(
        &self,
        known: impl Fn() -> Option<T>,
        fetch: impl Future<Output = Result<T, ConnectFault>>,
    ) -> Result<T, ConnectFault> {
        let before = self.failed().0;
        let _one = self.one.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        {
            let failed = self.failed();
            if let (true, Some(fault)) = (failed.0 > before, &failed.1) {
                return Err(fault.clone());
            }
        }
        let outcome = fetch.await;
        if let Err(fault) = &outcome {
            let mut failed = self.failed();
            *failed = (failed.0 + 1, Some(fault.clone()));
        }
        outcome
    }

    /// As [`Flight::join`], where nobody is at it; nothing where somebody is.
    pub(super) async fn alone<T>(
        &self,
        known: impl Fn() -> Option<T>,
        fetch: impl Future<Output = Result<T, ConnectFault>>,
    ) -> Option<Result<T, ConnectFault>> {
        let _one = self.one.try_lock().ok()?;
        match known() {
            Some(known) => Some(Ok(known)),
            None => Some(fetch.await),
        }
    }

    fn failed(&self) -> MutexGuard<'_, (u64, Option<ConnectFault>)> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::super::fault::Fault;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn everybody_who_waits_is_held_up_once_and_who_comes_later_asks_anew() {
        let (flight, asked) = (Flight::default(), AtomicU32::new(0));
        let silent = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(PATIENCE).await;
            Err::<(), _>(ConnectFault::from(Fault::Unavailable))
        };
        let began = tokio::time::Instant::now();
        let waiting = (0..20).map(|_| flight.join(|| None, silent()));
        for outcome in futures::future::join_all(waiting).await {
            assert_eq!(outcome.expect_err("silent").fault, Fault::Unavailable);
        }
        assert_eq!((began.elapsed(), asked.load(Ordering::SeqCst)), (PATIENCE, 1));
        flight.join(|| None, silent()).await.expect_err("silent");
        assert_eq!((began.elapsed(), asked.load(Ordering::SeqCst)), (2 * PATIENCE, 2));
    }

    #[tokio::test]
    async fn what_came_meanwhile_is_fetched_by_nobody() {
        let flight = Flight::default();
        let never = async { panic!("it is known") };
        assert_eq!(flight.join(|| Some(1), never).await.expect("known"), 1);
        let never = async { panic!("it is known") };
        assert_eq!(flight.alone(|| Some(1), never).await.expect("nobody is at it").expect("known"), 1);
    }
}
