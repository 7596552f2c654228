//! What goes on beside the connectors' calls, for as long as the server has the connectors.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::{AbortHandle, JoinSet};

use super::ConfiguredConnector;
use super::shelf::StoreShelf;
use crate::connectors::{Background, Shelf};
use crate::login::state::State;

/// Before something is begun anew that ended or panicked.
const PAUSE: Duration = Duration::from_secs(5);

/// What runs, each by its id. It ends with the server.
#[derive(Debug, Default)]
pub(in crate::login) struct Backgrounds(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<()>,
    by_id: BTreeMap<String, AbortHandle>,
    is_over: bool,
}

impl Backgrounds {
    /// Takes connectors on, in the place of those before: what they share with these runs on, the rest ends.
    pub(in crate::login) fn attend(&self, server: Weak<State>, connectors: &[ConfiguredConnector]) {
        let shelf: Arc<dyn Shelf> = Arc::new(StoreShelf(server));
        let wanted = connectors.iter().filter_map(|way| way.connector.attend(&shelf));
        let wanted: BTreeMap<_, _> = wanted.map(|background| (background.id(), background)).collect();
        let mut running = self.running();
        if running.is_over {
            return;
        }
        let Running { tasks, by_id, .. } = &mut *running;
        by_id.retain(|id, task| {
            let stays = wanted.contains_key(id);
            if !stays {
                task.abort();
            }
            stays
        });
        for (id, background) in wanted {
            by_id.entry(id).or_insert_with(|| tasks.spawn(keep_running(background)));
        }
        // What was ended before is forgotten.
        while tasks.try_join_next().is_some() {}
    }

    /// Ends everything, and waits for it.
    pub(in crate::login) async fn end(&self) {
        let mut tasks = {
            let mut running = self.running();
            running.is_over = true;
            running.by_id.clear();
            std::mem::take(&mut running.tasks)
        };
        tasks.shutdown().await;
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep_running(background: Arc<dyn Background>) {
    loop {
        match AssertUnwindSafe(background.run()).catch_unwind().await {
            Ok(()) => tracing::warn!("what a connector does in the background ended, and begins anew"),
            Err(_) => {
                tracing::error!(
                    "what a connector does in the background went wrong, and begins anew: please report it"
                );
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::connectors::{Beginning, Begun, Claim, ConnectFault, Connector, Fault, Identified, Returned};
    use crate::login::NewAccounts;
    use crate::protocol::statement::UserVerification;
    use crate::store::DisplayName;

    /// Ends at once the first time, panics the second, and then goes on.
    #[derive(Debug, Default)]
    struct Work {
        id: String,
        begun: AtomicU32,
        dropped: AtomicU32,
    }

    #[async_trait]
    impl Background for Work {
        fn id(&self) -> String {
            self.id.clone()
        }

        async fn run(&self) {
            struct Ends<'a>(&'a AtomicU32);
            impl Drop for Ends<'_> {
                fn drop(&mut self) {
                    self.0.fetch_add(1, Ordering::SeqCst);
                }
            }
            let _ends = Ends(&self.dropped);
            match self.begun.fetch_add(1, Ordering::SeqCst) {
                0 => {}
                1 => panic!("a fault of a connector"),
                _ => std::future::pending().await,
            }
        }
    }

    #[derive(Debug)]
    struct Busy(Arc<Work>);

    #[async_trait]
    impl Connector for Busy {
        fn kind(&self) -> &'static str {
            "busy"
        }

        fn claims(&self) -> &'static [Claim] {
            &[]
        }

        fn attend(&self, _: &Arc<dyn Shelf>) -> Option<Arc<dyn Background>> {
            Some(Arc::clone(&self.0) as Arc<dyn Background>)
        }

        async fn begin(&self, _: &Beginning<'_>) -> Result<Begun, ConnectFault> {
            Err(Fault::Unsupported.into())
        }

        async fn finish(&self, _: &Returned<'_>) -> Result<Identified, ConnectFault> {
            Err(Fault::Unsupported.into())
        }
    }

    fn work(id: &str) -> Arc<Work> {
        Arc::new(Work { id: id.to_owned(), ..Work::default() })
    }

    fn ways(works: &[&Arc<Work>]) -> Vec<ConfiguredConnector> {
        let way = |work: &Arc<Work>| ConfiguredConnector {
            name: "busy".parse().expect("a name"),
            label: DisplayName::clean("Busy").expect("a label"),
            connector: Arc::new(Busy(Arc::clone(work))),
            accounts: NewAccounts::Linked,
            verifies: UserVerification::Page,
        };
        works.iter().map(|work| way(work)).collect()
    }

    fn counts(work: &Work) -> (u32, u32) {
        (work.begun.load(Ordering::SeqCst), work.dropped.load(Ordering::SeqCst))
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_or_panics_is_begun_anew_and_what_nobody_wants_ends() {
        let backgrounds = Backgrounds::default();
        let (one, same, other) = (work("1"), work("1"), work("2"));
        backgrounds.attend(Weak::new(), &ways(&[&one, &same]));
        tokio::time::sleep(3 * PAUSE).await;
        assert_eq!((counts(&one).0 + counts(&same).0, counts(&one).0 * counts(&same).0), (3, 0), "one of one id");
        let running = if counts(&one).0 > 0 { &one } else { &same };
        assert_eq!(counts(running), (3, 2));
        // Whoever comes with the same id finds it running.
        let third = work("1");
        backgrounds.attend(Weak::new(), &ways(&[&third, &other]));
        tokio::time::sleep(PAUSE).await;
        assert_eq!((counts(running), counts(&third).0), ((3, 2), 0));
        backgrounds.attend(Weak::new(), &ways(&[&other]));
        tokio::time::sleep(3 * PAUSE).await;
        assert_eq!((counts(running), counts(&other)), ((3, 3), (3, 2)));
        backgrounds.end().await;
        assert_eq!(counts(&other), (3, 3), "it is waited for");
        backgrounds.attend(Weak::new(), &ways(&[&third]));
        tokio::time::sleep(PAUSE).await;
        assert_eq!(counts(&third).0, 0, "a server that stopped begins nothing");
    }
}
