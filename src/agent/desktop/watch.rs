//! Carries what the desktop tells to the hubs, and has every socket looked at again after the computer has slept.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::logind;
use super::rule::{Event, View};
use crate::agent::core::Core;

/// Watches the desktop for as long as the agent runs.
pub(in crate::agent) async fn watch(core: Arc<Core>) {
    let (events, told) = mpsc::channel(16);
    tokio::join!(logind::follow(events), Watch::new(core).run(told));
}

struct Watch {
    core: Arc<Core>,
    view: View,
}

impl Watch {
    fn new(core: Arc<Core>) -> Self {
        Self { core, view: View::default() }
    }

    async fn run(mut self, mut told: mpsc::Receiver<Event>) {
        let mut clients = self.core.connected_clients();
        loop {
            tokio::select! {
                event = told.recv() => match event {
                    Some(event) => self.see(event),
                    None => return,
                },
                // The last one has left: the desktop's word counts again, as it is now.
                Ok(()) = clients.changed() => if *clients.borrow_and_update() == 0 {
                    self.tell();
                },
            }
        }
    }

    fn see(&mut self, event: Event) {
        tracing::debug!(?event, "the desktop");
        let before = self.view.ceiling();
        self.view.see(event);
        // What was said since the last change holds until the next.
        if self.view.ceiling() != before {
            self.tell();
        }
        if event == Event::Awake {
            self.core.look_again();
        }
    }

    fn tell(&self) {
        let has_client = *self.core.connected_clients().borrow() > 0;
        for hub in self.core.hubs.values() {
            hub.see_desktop(self.view.ceiling(), has_client);
        }
    }
}
