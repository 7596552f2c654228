//! Where a suite's ticket is kept. DingTalk gives an event to one connection, and each ticket ends the one before: what one
//! replica heard has to be there for all of them, and after a restart.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::connectors::{ConnectFault, Fault, Shelf};
use crate::crypto::{SealingKey, Secret};
use crate::protocol::base64url;
use crate::protocol::time::UnixMillis;

/// A ticket that DingTalk pushed.
#[derive(Debug, Clone)]
pub struct SuiteTicket {
    /// The ticket.
    pub value: Secret<String>,
    /// When DingTalk made it: of two, the later one counts.
    pub made: UnixMillis,
}

/// Where the newest ticket is kept while the program does not run.
#[async_trait]
pub trait TicketKeeper: Send + Sync + std::fmt::Debug {
    /// The ticket that was kept last.
    ///
    /// # Errors
    /// Why it cannot be said now.
    async fn kept(&self) -> Result<Option<SuiteTicket>, ConnectFault>;

    /// Keeps a ticket, unless a later one is kept: that is looked at and written in one step. Whether it counts now; the one
    /// that is kept already, given again, does.
    ///
    /// # Errors
    /// Why it could not be kept: DingTalk is then asked to push it again.
    async fn keep(&self, ticket: &SuiteTicket) -> Result<bool, ConnectFault>;

    /// A login server takes the suite on, with its shelf. Whoever keeps tickets elsewhere has no use for it.
    fn attend(&self, _shelf: &Arc<dyn Shelf>) {}
}

/// Keeps the ticket as long as the program runs: for tests, and for custom applications, which may send any.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<Option<SuiteTicket>>);

impl InMemory {
    /// One that begins with a ticket.
    #[must_use]
    pub const fn with(ticket: SuiteTicket) -> Self {
        Self(Mutex::new(Some(ticket)))
    }
}

#[async_trait]
impl TicketKeeper for InMemory {
    async fn kept(&self) -> Result<Option<SuiteTicket>, ConnectFault> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn keep(&self, ticket: &SuiteTicket) -> Result<bool, ConnectFault> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|kept| ticket.made < kept.made) {
            return Ok(false);
        }
        *kept = Some(ticket.clone());
        Ok(true)
    }
}

/// Keeps the ticket on the login server's shelf, sealed under the suite's secret: every replica has that one and no store does.
#[derive(Debug)]
pub struct OnShelf {
    suite: String,
    seal: SealingKey,
    shelf: RwLock<Option<Arc<dyn Shelf>>>,
    /// What was heard or read here, for when the shelf forgot it.
    known: InMemory,
}

/// Attempts to write over what others write too.
const ATTEMPTS: usize = 8;

/// What is on the shelf.
#[derive(Serialize, Deserialize)]
struct Shelved {
    made: u64,
    sealed: String,
}

impl OnShelf {
    /// For the suite of the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self::new(&settings.app_key, &settings.app_secret)
    }

    /// For a suite of that key and secret.
    #[must_use]
    pub fn new(suite_key: &str, suite_secret: &Secret<String>) -> Self {
        let seal = SealingKey::derive(suite_secret, "dingtalk suite ticket");
        Self { suite: suite_key.to_owned(), seal, shelf: RwLock::default(), known: InMemory::default() }
    }

    fn shelf(&self) -> Option<Arc<dyn Shelf>> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn name(&self) -> String {
        format!("dingtalk suite-ticket {}", self.suite)
    }

    fn about(&self, made: u64) -> Vec<u8> {
        format!("{} {made}", self.suite).into_bytes()
    }

    fn wrap(&self, ticket: &SuiteTicket) -> String {
        let SuiteTicket { value, made: UnixMillis(made) } = ticket;
        let sealed = base64url::encode(self.seal.seal(value.expose().as_bytes(), &self.about(*made)));
        serde_json::to_string(&Shelved { made: *made, sealed }).expect("a number and a text are JSON")
    }

    /// What is on the shelf, where this secret opens it: with another one, the suite's secret was made anew since, and the
    /// next push is waited for.
    fn unwrap(&self, text: &str) -> Option<SuiteTicket> {
        let Shelved { made, sealed } = serde_json::from_str(text).ok()?;
        let opened = self.seal.open(&base64url::decode(&sealed).ok()?, &self.about(made)).ok()?;
        let value = Secret::new(std::str::from_utf8(opened.expose()).ok()?.to_owned());
        Some(SuiteTicket { value, made: UnixMillis(made) })
    }
}

#[async_trait]
impl TicketKeeper for OnShelf {
    async fn kept(&self) -> Result<Option<SuiteTicket>, ConnectFault> {
        let Some(shelf) = self.shelf() else { return self.known.kept().await };
        let text = shelf.read(&self.name()).await?;
        let kept = text.as_deref().and_then(|text| self.unwrap(text));
        if text.is_some() && kept.is_none() {
            tracing::warn!(
                suite = self.suite,
                "the suite's ticket was sealed under another secret: the next push is waited for"
            );
        }
        let known = self.known.kept().await?;
        match (kept, known) {
            (Some(kept), known) if known.as_ref().is_none_or(|known| known.made <= kept.made) => {
                self.known.keep(&kept).await?;
                Ok(Some(kept))
            }
            // What was sealed under another secret may be a replica's that has the newer one: it stays.
            (None, known) if text.is_some() => Ok(known),
            (_, Some(known)) => {
                // The shelf forgot it: the other replicas find it there again.
                if let Err(fault) = shelf.write(&self.name(), text.as_deref(), self.wrap(&known)).await {
                    tracing::warn!(suite = self.suite, %fault, "the suite's ticket is not kept again");
                }
                Ok(Some(known))
            }
            (_, None) => Ok(None),
        }
    }

    async fn keep(&self, ticket: &SuiteTicket) -> Result<bool, ConnectFault> {
        let Some(shelf) = self.shelf() else { return self.known.keep(ticket).await };
        for _ in 0..ATTEMPTS {
            let former = shelf.read(&self.name()).await?;
            if former.as_deref().and_then(|text| self.unwrap(text)).is_some_and(|kept| ticket.made < kept.made) {
                return Ok(false);
            }
            if shelf.write(&self.name(), former.as_deref(), self.wrap(ticket)).await? {
                self.known.keep(ticket).await?;
                return Ok(true);
            }
        }
        Err(ConnectFault::new(Fault::Unavailable, "the suite's ticket is written by many at once"))
    }

    fn attend(&self, shelf: &Arc<dyn Shelf>) {
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(shelf));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Board {
        text: Mutex<Option<String>>,
        /// Somebody else writes this before the next write.
        meddled: Mutex<Option<String>>,
    }

    #[async_trait]
    impl Shelf for Board {
        async fn read(&self, name: &str) -> Result<Option<String>, ConnectFault> {
            assert_eq!(name, "dingtalk suite-ticket suite1");
            Ok(self.text.lock().expect("a board").clone())
        }

        async fn write(&self, _: &str, former: Option<&str>, text: String) -> Result<bool, ConnectFault> {
            let mut kept = self.text.lock().expect("a board");
            if let Some(meddled) = self.meddled.lock().expect("a board").take() {
                *kept = Some(meddled);
            }
            let is_so = kept.as_deref() == former;
            if is_so {
                *kept = Some(text);
            }
            Ok(is_so)
        }
    }

    fn keeper(secret: &str, board: &Arc<Board>) -> OnShelf {
        let keeper = OnShelf::new("suite1", &Secret::new(secret.repeat(32)));
        keeper.attend(&(Arc::clone(board) as Arc<dyn Shelf>));
        keeper
    }

    async fn kept(keeper: &impl TicketKeeper) -> Option<(String, u64)> {
        keeper.kept().await.expect("a shelf").map(|kept| (kept.value.expose().clone(), kept.made.0))
    }

    fn some(value: &str, made: u64) -> Option<(String, u64)> {
        Some((value.to_owned(), made))
    }

    fn ticket(value: &str, made: u64) -> SuiteTicket {
        SuiteTicket { value: Secret::new(value.to_owned()), made: UnixMillis(made) }
    }

    #[tokio::test]
    async fn c04_replicas_share_the_ticket_and_the_shelf_does_not_show_it() {
        let board = Arc::default();
        let (one, other) = (keeper("a", &board), keeper("a", &board));
        assert_eq!(kept(&one).await, None);
        assert!(one.keep(&ticket("planted-ticket", 5)).await.expect("a shelf"));
        assert_eq!(kept(&other).await, some("planted-ticket", 5));
        let shown = board.text.lock().expect("a board").clone().expect("a text");
        assert!(!shown.contains("planted") && !format!("{one:?}{other:?}").contains("planted"), "{shown}");
        // With another secret it is none; and what is changed on the shelf is none.
        assert_eq!(kept(&keeper("b", &board)).await, None);
        *board.text.lock().expect("a board") = Some(shown.replace("\"made\":5", "\"made\":6"));
        assert_eq!(kept(&keeper("a", &board)).await, None);
    }

    #[tokio::test]
    async fn c04_an_older_ticket_does_not_come_back_whoever_writes_first() {
        let board = Arc::default();
        let (one, other) = (keeper("a", &board), keeper("a", &board));
        assert!(one.keep(&ticket("t5", 5)).await.expect("a shelf"));
        assert!(one.keep(&ticket("t5", 5)).await.expect("a shelf"), "again is no harm");
        assert!(!other.keep(&ticket("t4", 4)).await.expect("a shelf"));
        *board.meddled.lock().expect("a board") = Some(other.wrap(&ticket("t9", 9)));
        assert!(!one.keep(&ticket("t6", 6)).await.expect("a shelf"), "a later one came between look and write");
        assert_eq!(kept(&one).await, some("t9", 9));
        *board.meddled.lock().expect("a board") = Some(other.wrap(&ticket("t7", 7)));
        assert!(one.keep(&ticket("t10", 10)).await.expect("a shelf"));
        assert_eq!(kept(&other).await, some("t10", 10));
        let memory = InMemory::with(ticket("t5", 5));
        assert!(!memory.keep(&ticket("t4", 4)).await.expect("memory"));
        assert_eq!(kept(&memory).await, some("t5", 5));
    }

    #[tokio::test]
    async fn c04_what_the_shelf_forgot_is_brought_back_by_whoever_knows_it() {
        let board: Arc<Board> = Arc::default();
        let one = keeper("a", &board);
        assert!(one.keep(&ticket("t5", 5)).await.expect("a shelf"));
        *board.text.lock().expect("a board") = None;
        assert_eq!(kept(&keeper("a", &board)).await, None);
        assert_eq!(kept(&one).await, some("t5", 5));
        // It is there for the others again; and whoever read it once knows it too.
        let other = keeper("a", &board);
        assert_eq!(kept(&other).await, some("t5", 5));
        *board.text.lock().expect("a board") = None;
        assert_eq!(kept(&other).await, some("t5", 5));
        // An older one that came back with the shelf's past does not count.
        assert!(one.keep(&ticket("t7", 7)).await.expect("a shelf"));
        *board.text.lock().expect("a board") = Some(other.wrap(&ticket("t5", 5)));
        assert_eq!((kept(&one).await, kept(&other).await), (some("t7", 7), some("t7", 7)));
        // What another secret sealed is left alone.
        let foreign = keeper("b", &board).wrap(&ticket("t9", 9));
        *board.text.lock().expect("a board") = Some(foreign.clone());
        assert_eq!(kept(&one).await, some("t7", 7));
        assert_eq!(*board.text.lock().expect("a board"), Some(foreign));
    }
}
