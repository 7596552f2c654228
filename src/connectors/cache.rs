//! Tokens and tickets of the application itself, which many sign-ins share: fetched once, renewed early, fetched anew where the
//! provider no longer takes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fault::ConnectFault;
use super::flight::Flight;
use crate::clock::Clock;
use crate::crypto::Secret;
use crate::protocol::time::Moment;

/// What a provider gave.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The token or ticket.
    pub value: Secret<String>,
    /// How long it counts from now.
    pub life: Duration,
}

#[derive(Debug)]
struct Kept {
    value: Arc<Secret<String>>,
    renew_at: Moment,
    ends: Moment,
    /// Whatever a renewal says, it does not count for longer: providers that renew the same ticket stop some time.
    oldest: Moment,
}

/// One cached token. While there is none, whoever asks waits for the one answer that is fetched. While there is one that counts,
/// nobody waits but the one who renews it.
#[derive(Debug)]
pub struct TokenCache {
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Kept>>,
    flight: Flight,
    cap: Duration,
}

/// It is renewed once less than this part of its life is left: nobody waits for it at its end.
const RENEW_AT: f64 = 0.85;
/// A renewal that failed is tried again after this; until its end the token counts all the same.
const RENEW_AGAIN: Duration = Duration::from_secs(10);

enum Found {
    Fresh(Arc<Secret<String>>),
    Due(Arc<Secret<String>>),
    Nothing,
}

impl TokenCache {
    /// A cache whose token is never kept longer than `cap` after it was first given, however often it was renewed.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, cap: Duration) -> Self {
        Self { clock, kept: Mutex::new(None), flight: Flight::default(), cap }
    }

    /// The token; fetched where there is none that counts for a while yet.
    ///
    /// # Errors
    /// What `fetch` said, where there is no token that counts; everybody who waited for it hears the same. Nothing is kept of a
    /// failure: the next one who asks tries again.
    pub async fn get(
        &self,
        fetch: impl Future<Output = Result<Fetched, ConnectFault>>,
    ) -> Result<Arc<Secret<String>>, ConnectFault> {
        let fresh = || match self.find() {
            Found::Fresh(value) => Some(value),
            Found::Due(_) | Found::Nothing => None,
        };
        let counts = || match self.find() {
            Found::Fresh(value) | Found::Due(value) => Some(value),
            Found::Nothing => None,
        };
        let fetch = Box::pin(async { Ok(self.keep(fetch.await?)) });
        match self.find() {
            Found::Fresh(value) => Ok(value),
            Found::Due(present) => match self.flight.alone(fresh, fetch).await {
                None => Ok(present),
                Some(Ok(value)) => Ok(value),
                Some(Err(fault)) => {
                    tracing::warn!(%fault, "a token could not be renewed before its end, and goes on counting until then");
                    self.put_off(&present);
                    Ok(present)
                }
            },
            Found::Nothing => self.flight.join(counts, fetch).await,
        }
    }

    /// The provider did not take this one: it is fetched anew, unless somebody did so meanwhile.
    pub fn invalidate(&self, refused: &Secret<String>) {
        let mut kept = self.kept();
        if kept.as_ref().is_some_and(|kept| kept.value.expose() == refused.expose()) {
            *kept = None;
        }
    }

    fn find(&self) -> Found {
        let now = self.clock.now();
        match self.kept().as_ref() {
            Some(kept) if now < kept.renew_at => Found::Fresh(Arc::clone(&kept.value)),
            Some(kept) if now < kept.ends => Found::Due(Arc::clone(&kept.value)),
            _ => Found::Nothing,
        }
    }

    fn keep(&self, fetched: Fetched) -> Arc<Secret<String>> {
        let (mut kept, now) = (self.kept(), self.clock.now());
        // The same value again is the same token, renewed: its first day counts on.
        let oldest = match kept.as_ref().filter(|kept| kept.value.expose() == fetched.value.expose()) {
            Some(kept) => kept.oldest,
            None => now + self.cap,
        };
        let value = Arc::new(fetched.value);
        let (ends, renew_at) = ((now + fetched.life).min(oldest), (now + fetched.life.mul_f64(RENEW_AT)).min(oldest));
        *kept = Some(Kept { value: Arc::clone(&value), renew_at, ends, oldest });
        value
    }

    fn put_off(&self, value: &Arc<Secret<String>>) {
        let next = self.clock.now() + RENEW_AGAIN;
        if let Some(kept) = self.kept().as_mut().filter(|kept| Arc::ptr_eq(&kept.value, value)) {
            kept.renew_at = next.min(kept.ends);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::fault::Fault;
    use super::*;
    use crate::clock::ManualClock;
    use crate::protocol::time::UnixMillis;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Provider {
        fetches: AtomicU32,
        clock: Arc<ManualClock>,
        cache: TokenCache,
    }

    impl Provider {
        fn new() -> Arc<Self> {
            let clock = Arc::new(ManualClock::at(UnixMillis(0)));
            let cache = TokenCache::new(clock.clone(), 24 * HOUR);
            Arc::new(Self { fetches: AtomicU32::new(0), clock, cache })
        }

        async fn get(&self, value: &str) -> Result<String, ConnectFault> {
            let fetch = async {
                self.fetches.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if value.is_empty() {
                    return Err(Fault::Unavailable.into());
                }
                Ok(Fetched { value: Secret::new(value.to_owned()), life: 2 * HOUR })
            };
            self.cache.get(fetch).await.map(|value| value.expose().clone())
        }

        fn fetches(&self) -> u32 {
            self.fetches.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn many_ask_and_one_fetches() {
        let provider = Provider::new();
        let asking = (0..20).map(|_| provider.get("t1"));
        for got in futures::future::join_all(asking).await {
            assert_eq!(got.expect("a token"), "t1");
        }
        assert_eq!(provider.fetches(), 1);
    }

    #[tokio::test]
    async fn it_is_renewed_before_its_end_and_after_a_refusal() {
        let provider = Provider::new();
        assert_eq!(provider.get("t1").await.expect("a token"), "t1");
        provider.clock.advance(HOUR);
        assert_eq!(provider.get("t2").await.expect("a token"), "t1");
        provider.clock.advance(HOUR * 3 / 4);
        assert_eq!(provider.get("t2").await.expect("a token"), "t2");
        provider.cache.invalidate(&Secret::new("t1".to_owned()));
        assert_eq!(provider.get("t3").await.expect("a token"), "t2", "somebody else's refusal of the one before");
        provider.cache.invalidate(&Secret::new("t2".to_owned()));
        assert_eq!(provider.get("t3").await.expect("a token"), "t3");
    }

    #[tokio::test]
    async fn one_that_is_renewed_again_and_again_is_not_believed_for_ever() {
        let provider = Provider::new();
        let (began, mut asked) = (provider.clock.now(), 0);
        // Each renewal gives the same value; after 24 h it is not even kept until its next renewal.
        while provider.clock.now() < began + 24 * HOUR {
            provider.get("same").await.expect("a token");
            provider.clock.advance(HOUR / 2);
            asked += 1;
        }
        let before = provider.fetches();
        assert!(before < asked, "{before} of {asked}");
        provider.get("same").await.expect("a token");
        provider.get("same").await.expect("a token");
        assert_eq!(provider.fetches(), before + 2, "it is asked for each time");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let provider = Provider::new();
        assert_eq!(provider.get("").await.expect_err("nothing").fault, Fault::Unavailable);
        assert_eq!(provider.get("t1").await.expect("a token"), "t1");
    }
    #[tokio::test]
    async fn while_one_renews_the_others_go_on_with_the_token_that_counts() {
        let provider = Provider::new();
        provider.get("t1").await.expect("a token");
        provider.clock.advance(HOUR * 7 / 4);
        // A provider that takes its time.
        let (answer, answered) = tokio::sync::oneshot::channel::<&str>();
        let slow = provider.cache.get(async {
            let value = answered.await.expect("an answer").to_owned();
            Ok(Fetched { value: Secret::new(value), life: 2 * HOUR })
        });
        tokio::pin!(slow);
        assert!(futures::poll!(slow.as_mut()).is_pending());
        for _ in 0..20 {
            assert_eq!(provider.get("t3").await.expect("a token"), "t1");
        }
        assert_eq!(provider.fetches(), 1, "one renews, and no other");
        answer.send("t2").expect("heard");
        assert_eq!(slow.await.expect("a token").expose(), "t2");
        assert_eq!(provider.get("t3").await.expect("a token"), "t2");
    }

    #[tokio::test]
    async fn at_its_end_everybody_waits_for_the_one_who_fetches() {
        let provider = Provider::new();
        provider.get("t1").await.expect("a token");
        provider.clock.advance(2 * HOUR);
        for got in futures::future::join_all((0..20).map(|_| provider.get("t2"))).await {
            assert_eq!(got.expect("a token"), "t2");
        }
        assert_eq!(provider.fetches(), 2);
    }

    #[tokio::test]
    async fn a_renewal_that_fails_leaves_the_token_that_counts() {
        let provider = Provider::new();
        provider.get("t1").await.expect("a token");
        provider.clock.advance(HOUR * 7 / 4);
        assert_eq!(provider.get("").await.expect("it counts yet"), "t1");
        assert_eq!(
            (provider.get("t2").await.expect("a token"), provider.fetches()),
            ("t1".to_owned(), 2),
            "not at once again"
        );
        provider.clock.advance(RENEW_AGAIN);
        assert_eq!(provider.get("t2").await.expect("a token"), "t2");
        provider.clock.advance(2 * HOUR);
        assert_eq!(provider.get("").await.expect_err("over").fault, Fault::Unavailable);
    }
}
