//! Faults of ours that end one connection and nothing else: they are told, and the agent lives on.

/// What fails beside everything else is told when it does: the agent lives on, unless the program was built to abort.
pub(in crate::agent) struct Reported;

impl Drop for Reported {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a connection failed inside the agent; please report this");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::span;

    use super::*;

    /// Keeps the levels of what is logged.
    struct Levels(Arc<Mutex<Vec<tracing::Level>>>);

    impl tracing::Subscriber for Levels {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            self.0.lock().expect("unpoisoned").push(*event.metadata().level());
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[tokio::test]
    async fn what_panics_is_told_and_what_ends_well_is_not() {
        let levels = Arc::new(Mutex::default());
        let _logged = tracing::subscriber::set_default(Levels(Arc::clone(&levels)));
        for (fails, told) in [(false, vec![]), (true, vec![tracing::Level::ERROR])] {
            let task = tokio::spawn(async move {
                let _reported = Reported;
                assert!(!fails, "a fault of this test's own");
            });
            assert_eq!(task.await.is_err(), fails);
            assert_eq!(*levels.lock().expect("unpoisoned"), told);
        }
    }
}
