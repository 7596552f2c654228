//! The open links to agents, by device and by account. What happens anywhere makes a link look at the store again, which
//! is the truth: so nothing is told that is over by now, and whoever was not linked learns the same when it comes back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use crate::protocol::id::{DeviceId, Subject};
use crate::store::{EndReason, NoteKey, OrganisationId, Withdrawal, Withdrawn};

/// Look-ups at a time when many links are to look.
const LOOKUPS: usize = 32;

/// What a link is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Orders {
    /// End: another link of the same device has taken its place.
    pub(super) replaced: bool,
    /// The log said that the account was erased: a device that is not there any more is gone for good.
    pub(super) erased: bool,
    /// Look at the store again, whenever this changes.
    pub(super) look: u32,
    /// Look at this order of somebody who asks to be let in, whenever the number changes. Of several the newest counts: the
    /// person is asked one thing at a time.
    pub(super) asked: Option<(u32, NoteKey)>,
}

/// The open links.
#[derive(Debug)]
pub(super) struct Links {
    open: Mutex<Open>,
    room: Arc<Semaphore>,
    limit: u32,
    /// So many links look at the store at a time, however many are to.
    looks: Semaphore,
}

#[derive(Debug, Default)]
struct Open {
    devices: HashMap<DeviceId, Line>,
    subjects: HashMap<Subject, HashSet<DeviceId>>,
    /// Tells two links of one device apart.
    count: u64,
}

#[derive(Debug)]
struct Line {
    number: u64,
    subject: Subject,
    /// As it was when the link looked last. An account that moves is an entry of the log by itself.
    organisation: Option<OrganisationId>,
    orders: watch::Sender<Orders>,
}

impl Open {
    fn remove(&mut self, device: &DeviceId) -> Option<Line> {
        let line = self.devices.remove(device)?;
        if let Some(devices) = self.subjects.get_mut(&line.subject) {
            devices.remove(device);
            if devices.is_empty() {
                self.subjects.remove(&line.subject);
            }
        }
        Some(line)
    }

    fn erase(&self, subject: &Subject) {
        let devices = self.subjects.get(subject).into_iter().flatten();
        for line in devices.filter_map(|device| self.devices.get(device)) {
            line.orders.send_modify(|orders| orders.erased = true);
        }
    }

    fn have_look<'a>(&self, devices: impl IntoIterator<Item = &'a DeviceId>) {
        for line in devices.into_iter().filter_map(|device| self.devices.get(device)) {
            line.orders.send_modify(|orders| orders.look = orders.look.wrapping_add(1));
        }
    }
}

impl Links {
    /// No links yet, and so many at most.
    pub(super) fn new(limit: u32) -> Self {
        let limit = limit.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self {
            open: Mutex::default(),
            room: Arc::new(Semaphore::new(limit as usize)),
            limit,
            looks: Semaphore::new(LOOKUPS),
        }
    }

    /// Room for one more link, from the upgrade to its end; nothing where there is none.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Notes that a device is linked. Of two links of one device the newer stays.
    pub(super) fn register(
        self: &Arc<Self>,
        device: &DeviceId,
        subject: &Subject,
        organisation: Option<&OrganisationId>,
    ) -> Registered {
        let mut open = self.lock();
        if let Some(before) = open.remove(device) {
            before.orders.send_modify(|orders| orders.replaced = true);
        }
        open.count += 1;
        let (number, orders) = (open.count, watch::Sender::default());
        let heard = orders.subscribe();
        open.subjects.entry(subject.clone()).or_default().insert(device.clone());
        open.devices.insert(
            device.clone(),
            Line { number, subject: subject.clone(), organisation: organisation.cloned(), orders },
        );
        Registered { links: Arc::clone(self), device: device.clone(), number, orders: heard }
    }

    /// Has the links look that an entry of the log may concern. A device's own sign-out is no news to it.
    pub(super) fn withdraw(&self, withdrawal: &Withdrawal) {
        match &withdrawal.withdrawn {
            Withdrawn::Session { .. } | Withdrawn::Epoch { .. } => {}
            Withdrawn::Device { device } => self.lock().have_look([device]),
            Withdrawn::Account { subject, .. } => {
                if withdrawal.reason == EndReason::Erased {
                    self.lock().erase(subject);
                }
                self.look_at(subject);
            }
            Withdrawn::Organisation { organisation, .. } => {
                let open = self.lock();
                let of = |(_, line): &(&DeviceId, &Line)| line.organisation.as_ref() == Some(organisation);
                open.have_look(open.devices.iter().filter(of).map(|(device, _)| device));
            }
        }
    }

    /// Has an account's links look.
    pub(super) fn look_at(&self, subject: &Subject) {
        let open = self.lock();
        open.have_look(open.subjects.get(subject).into_iter().flatten());
    }

    /// Has an account's links look at an order.
    pub(super) fn ask(&self, subject: &Subject, note: &NoteKey) {
        let open = self.lock();
        let devices = open.subjects.get(subject).into_iter().flatten();
        for line in devices.filter_map(|device| open.devices.get(device)) {
            line.orders.send_modify(|orders| {
                let number = orders.asked.as_ref().map_or(0, |(number, _)| number.wrapping_add(1));
                orders.asked = Some((number, note.clone()));
            });
        }
    }

    /// Has every link look.
    pub(super) fn look(&self) {
        let open = self.lock();
        open.have_look(open.devices.keys());
    }

    /// A turn to look at the store, which ends when it is dropped.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        self.looks.acquire().await.expect("this semaphore is never closed")
    }

    /// Completes once no link is open, or they have had long enough.
    pub(super) async fn drained(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.room.acquire_many(self.limit)).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link's place among the open ones; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    links: Arc<Links>,
    device: DeviceId,
    number: u64,
    orders: watch::Receiver<Orders>,
}

impl Registered {
    /// Whether the log said that the account was erased.
    pub(super) fn is_erased(&self) -> bool {
        self.orders.borrow().erased
    }

    /// Whether the device has a newer link here.
    pub(super) fn is_replaced(&self) -> bool {
        self.orders.borrow().replaced
    }

    /// Notes the organisation that the account is in now.
    pub(super) fn belongs_to(&self, organisation: Option<&OrganisationId>) {
        let mut open = self.links.lock();
        let line = open.devices.get_mut(&self.device).filter(|line| line.number == self.number);
        if let Some(line) = line.filter(|line| line.organisation.as_ref() != organisation) {
            line.organisation = organisation.cloned();
        }
    }

    /// What is to be done now, after it changed.
    pub(super) async fn changed(&mut self) -> Orders {
        // A link that was replaced has no sender any more, and has said so before.
        if self.orders.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.orders.borrow_and_update().clone()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut open = self.links.lock();
        if open.devices.get(&self.device).is_some_and(|line| line.number == self.number) {
            open.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::id::Epoch;
    use crate::store::{EndReason, Generation};
    use crate::verify::testing::parsed;

    fn looks(link: &Registered) -> u32 {
        link.orders.borrow().look
    }

    #[tokio::test]
    async fn those_look_whom_it_may_concern() {
        let links = Arc::new(Links::new(10));
        let acme = parsed("acme");
        let [mut desk, lap, other] = [("desk", "ada"), ("lap", "ada"), ("other", "lin")]
            .map(|(device, subject)| links.register(&parsed(device), &parsed(subject), Some(&acme)));
        let all = || [&desk, &lap, &other].map(looks);
        let withdraw = |withdrawn| links.withdraw(&Withdrawal { withdrawn, reason: EndReason::Ended });
        withdraw(Withdrawn::Epoch { device: parsed("desk"), below: Epoch(4) });
        assert_eq!(all(), [0, 0, 0]);
        withdraw(Withdrawn::Device { device: parsed("desk") });
        withdraw(Withdrawn::Device { device: parsed("elsewhere") });
        assert_eq!(all(), [1, 0, 0]);
        withdraw(Withdrawn::Account { subject: parsed("ada"), below: Generation(2) });
        assert_eq!(all(), [2, 1, 0]);
        withdraw(Withdrawn::Organisation { organisation: parsed("acme"), below: Generation(2) });
        assert_eq!(all(), [3, 2, 1]);
        withdraw(Withdrawn::Organisation { organisation: parsed("elsewhere"), below: Generation(2) });
        assert_eq!(all(), [3, 2, 1], "it concerns nobody here");
        links.look_at(&parsed("lin"));
        assert_eq!(all(), [3, 2, 2]);
        assert_eq!(desk.changed().await, Orders { look: 3, ..Orders::default() }, "three that came at once are one");
    }

    #[test]
    fn a_link_that_left_an_organisation_has_nothing_to_do_with_it_and_an_erased_account_is_known_as_such() {
        let links = Arc::new(Links::new(10));
        let acme = parsed("acme");
        let [ada, lin] = ["ada", "lin"].map(|subject| links.register(&parsed(subject), &parsed(subject), Some(&acme)));
        lin.belongs_to(None);
        let withdraw = |withdrawn, reason| links.withdraw(&Withdrawal { withdrawn, reason });
        let below = Generation(3);
        withdraw(Withdrawn::Organisation { organisation: acme, below }, EndReason::LoggedOutEverywhere);
        assert_eq!([&ada, &lin].map(looks), [1, 0]);
        withdraw(Withdrawn::Account { subject: parsed("lin"), below }, EndReason::Disabled);
        withdraw(Withdrawn::Account { subject: parsed("ada"), below }, EndReason::Erased);
        assert_eq!([&ada, &lin].map(looks), [2, 1]);
        assert_eq!([&ada, &lin].map(Registered::is_erased), [true, false]);
    }

    #[tokio::test]
    async fn of_one_device_the_newest_link_stays_and_nothing_is_kept_of_those_that_left() {
        let links = Arc::new(Links::new(10));
        let mut older = links.register(&parsed("desk"), &parsed("ada"), None);
        let newer = links.register(&parsed("desk"), &parsed("ada"), None);
        assert!(older.changed().await.replaced);
        drop(older);
        links.look_at(&parsed("ada"));
        assert_eq!(looks(&newer), 1, "the end of the older is not the newer's");
        drop(newer);
        assert!(links.lock().devices.is_empty() && links.lock().subjects.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_so_many() {
        let links = Links::new(2);
        let (one, two) = (links.room(), links.room());
        assert!(one.is_some() && two.is_some() && links.room().is_none());
        drop(one);
        assert!(links.room().is_some());
        let (started, patience) = (tokio::time::Instant::now(), Duration::from_secs(2));
        links.drained(patience).await;
        assert_eq!(started.elapsed(), patience, "one is still open");
        drop(two);
        links.drained(patience).await;
        assert_eq!(started.elapsed(), patience);
    }
}
