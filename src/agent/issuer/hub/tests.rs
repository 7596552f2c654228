//! What is written down, and what holds where it cannot be.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Hub, HubError};
use crate::agent::issuer::client::Enrolled;
use crate::agent::issuer::errands::write_down;
use crate::agent::issuer::keystore::{FileKeyStore, KeyStore as _};
use crate::agent::issuer::record::Record;
use crate::agent::tests::{House, house};
use crate::crypto::Algorithm;
use crate::protocol::consent::ConsentRequest;
use crate::protocol::grant::Choice;
use crate::protocol::id::{Epoch, Subject};
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;

/// A hub, whose record can be kept from the disk.
struct Stage {
    house: House,
    hub: Arc<Hub>,
}

impl Stage {
    fn new() -> Self {
        let house = house();
        let hub = Arc::clone(house.doorman.core.hubs.values().next().expect("one issuer"));
        Self { house, hub }
    }

    fn keys(&self) -> FileKeyStore {
        FileKeyStore::new(self.house.folder.path().join("keys"), Algorithm::Ed25519).expect("a key store")
    }

    fn try_enrol(&self, name: &str) -> Result<Subject, HubError> {
        let enrolled = Enrolled {
            device: format!("device-of-{name}").parse().expect("an id"),
            subject: name.parse().expect("a subject"),
            name: name.to_owned(),
            avatar: None,
            epoch: Epoch(0),
        };
        Ok(self.hub.enrolled(enrolled, self.keys().create().expect("a key"))?.subject)
    }

    fn enrol(&self, name: &str) -> Subject {
        self.try_enrol(name).expect("enrolled")
    }

    fn remember(&self, subject: &Subject, origin: &Origin) -> Result<(), HubError> {
        let (origin, issuer) = (origin.clone(), self.hub.issuer().clone());
        let request = ConsentRequest { origin, issuer, subject: subject.clone(), epoch: Epoch(0) };
        self.hub.remember(&request, self.hub.takings_back())
    }

    fn presence(&self) -> PresenceState {
        self.hub.published().state.presence
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.house.folder.path().join(folder)).expect("a folder");
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// Something that cannot be replaced is where each new record is written first.
    fn break_disk(&self) -> PathBuf {
        let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let record = self.files("").into_iter().find(is_record).expect("a record");
        let in_the_way = record.with_extension("new");
        std::fs::create_dir(&in_the_way).expect("made");
        in_the_way
    }

    fn on_disk(&self) -> Record {
        Record::load(self.house.folder.path(), self.hub.issuer()).expect("a record")
    }
}

/// A client that says meanwhile that the person is there comes before it, or finds no account: nobody stays signed in whose
/// account is gone.
#[tokio::test]
async fn an_account_is_removed_in_one_step() {
    let stage = Stage::new();
    let hub = &stage.hub;
    for _ in 0..20 {
        let ada = stage.enrol("ada");
        let changes = hub.changes();
        let before = *changes.borrow();
        std::thread::scope(|threads| {
            threads.spawn(|| while hub.set_presence(&ada, PresenceState::Away).is_ok() {});
            hub.remove(&ada).expect("removed");
        });
        assert_eq!(*changes.borrow(), before + 1, "one change, not two");
        assert_eq!(stage.presence(), PresenceState::SignedOut);
        assert_eq!(stage.on_disk().current, None);
    }
    assert_eq!(hub.pending_sign_outs().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_back_holds_and_is_written_down_as_soon_as_it_can_be() {
    let stage = Stage::new();
    let hub = &stage.hub;
    let origin: Origin = "https://app.example".parse().expect("an origin");
    let [ada, bob] = ["ada", "bob"].map(|name| stage.enrol(name));
    for account in [&ada, &bob] {
        stage.remember(account, &origin).expect("remembered");
    }
    let (before, sign_outs) = (stage.on_disk(), hub.pending_sign_outs().len());
    let in_the_way = stage.break_disk();

    // What would give more is not given.
    let other: Origin = "https://other.example".parse().expect("an origin");
    assert!(matches!(stage.remember(&bob, &other), Err(HubError::Record(_))));
    assert!(matches!(hub.set_profile(&bob, Some("Bob"), None), Err(HubError::Record(_))));
    assert!(hub.is_saved() && hub.consents().len() == 2);
    // What takes back is taken back.
    assert!(matches!(hub.choose(&origin, Some(Choice::Blocked)), Err(HubError::Unsaved(_))));
    assert_eq!(hub.choice(&origin), Some(Choice::Blocked));
    assert!(matches!(hub.choose(&origin, Some(Choice::Prompt)), Err(HubError::Record(_))));
    assert_eq!(hub.choice(&origin), Some(Choice::Blocked), "that would be less strict");
    assert!(matches!(hub.revoke_consents(&origin), Err(HubError::Unsaved(_))));
    assert_eq!(hub.consents(), []);
    assert!(matches!(hub.sign_out(&bob), Err(HubError::Unsaved(_))));
    assert_eq!((stage.presence(), hub.current()), (PresenceState::SignedOut, None));
    assert_eq!(hub.pending_sign_outs().len(), sign_outs + 1, "it is delivered though the disk does not hold it");
    assert!(matches!(hub.remove(&ada), Err(HubError::Unsaved(_))));
    assert_eq!(hub.accounts().len(), 1);
    assert_eq!(stage.on_disk(), before);
    assert_eq!(stage.files("keys").len(), 2, "without a key that the record on the disk names no agent would start");

    let errand = tokio::spawn(write_down(Arc::clone(hub)));
    tokio::time::sleep(std::time::Duration::from_secs(100)).await;
    assert!(!hub.is_saved());
    std::fs::remove_dir(in_the_way).expect("removed");
    while !hub.is_saved() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let after = stage.on_disk();
    assert_eq!((after.current, after.accounts, after.consents.len()), (None, hub.accounts(), 0));
    assert_eq!(after.choices.get(&origin), Some(&Choice::Blocked));
    assert_eq!(after.sign_outs, hub.pending_sign_outs());
    assert_eq!(stage.files("keys").len(), 1);
    errand.abort();
}

/// The client has another person by now.
#[tokio::test]
async fn a_switch_that_cannot_be_written_down_signs_out_whoever_was_there() {
    let stage = Stage::new();
    let [ada, bob] = ["ada", "bob"].map(|name| stage.enrol(name));
    let epoch = stage.hub.published().state.epoch;
    let in_the_way = stage.break_disk();
    assert!(matches!(stage.hub.set_presence(&ada, PresenceState::SignedIn), Err(HubError::Record(_))));
    let state = stage.hub.published().state;
    assert_eq!((state.presence, state.epoch), (PresenceState::SignedOut, epoch.next()));
    std::fs::remove_dir(in_the_way).expect("removed");
    stage.hub.set_presence(&bob, PresenceState::SignedIn).expect("there is room again");
    assert!(stage.hub.is_saved());
    stage.break_disk();
    assert!(matches!(stage.try_enrol("eve"), Err(HubError::Record(_))));
    assert_eq!(stage.presence(), PresenceState::SignedOut);
}
