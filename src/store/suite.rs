//! The one suite that every engine must pass, and the engines it is run for.

mod identities;
mod marks;
mod notes;
mod vouched;

use std::sync::Arc;
use std::time::Duration;

use super::embedded::Embedded;
use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::crypto::{self, Secret, Signer as _, SoftwareKey};
use crate::protocol::id::{DeviceIssuer, EnrolmentTicket};
use crate::protocol::statement::UserVerification;
use crate::protocol::time::UnixMillis;
use crate::verify::testing::{Case, NOW, parsed};
use crate::verify::{Redeemed, mark};

/// An engine under test and the clock that it was given.
struct Bench {
    store: SharedStore,
    clock: Arc<ManualClock>,
}

/// A device in the store with what is needed to sign in with it.
struct Person {
    account: Account,
    device: DeviceId,
    key: PublicKey,
}

fn profile(account: &str) -> Profile {
    Profile { account: parsed(account), name: DisplayName::clean(account).expect("name"), avatar: None }
}

fn fresh_ticket() -> TicketHash {
    TicketHash::of(&EnrolmentTicket::from_bytes(crypto::random()))
}

fn fresh_key() -> PublicKey {
    SoftwareKey::generate(Algorithm::Es256).expect("key").0.public().clone()
}

fn fresh_session() -> SessionKey {
    SessionKey::of(&Secret::new(crypto::random()))
}

/// A token of that device and epoch, redeemed: the only thing that opens a session.
fn redeemed(device: &DeviceId, epoch: u64) -> Redeemed {
    let mut case = Case::new(Algorithm::Es256);
    case.device().id = device.clone();
    case.device().epoch = Epoch(0);
    case.login.iss = DeviceIssuer(device.clone());
    case.login.epo = Epoch(epoch);
    let (c, t, _) = case.sign();
    let first = mark::settle(&case.challenge.jti, mark::Outcome::Inserted).expect("first use");
    case.redeem(&c, &t).expect("sound").redeem(first).expect("its own mark")
}

impl Bench {
    async fn enrol(&self, account: &str) -> Person {
        let (ticket, key) = (fresh_ticket(), fresh_key());
        self.store.issue_ticket(ticket, profile(account)).await.expect("store").expect("ticket");
        let name = DisplayName::clean("laptop").expect("name");
        let enrolled = self.store.enrol(ticket, key.clone(), name).await.expect("store").expect("enrolled");
        Person { account: enrolled.account, device: enrolled.device, key }
    }

    /// What was withdrawn since, oldest first.
    async fn withdrawn(&self, since: &Cursor) -> Vec<Withdrawal> {
        match self.store.withdrawals(since).await.expect("store") {
            Tail::Entries(entries, _) => entries,
            Tail::Lost(_) => panic!("nothing was lost"),
        }
    }

    async fn log_end(&self) -> Cursor {
        self.store.log_end().await.expect("store")
    }

    async fn open(&self, person: &Person, epoch: u64) -> Result<SessionKey, OpenRefusal> {
        let key = fresh_session();
        let session = NewSession::redeemed(&redeemed(&person.device, epoch), key, Lifetimes::default());
        self.store.open_session(session).await.expect("store").map(|_| key)
    }

    async fn fate(&self, session: SessionKey) -> Option<EndReason> {
        match self.store.look_at_session(session).await.expect("store") {
            SessionLookup::Open(_) => None,
            SessionLookup::Over(reason) => Some(reason),
        }
    }

    async fn epoch(&self, person: &Person) -> Epoch {
        self.store.device(person.key.id()).await.expect("store").expect("device").epoch
    }
}

/// Runs everything against one engine. Each part makes its own accounts.
async fn suite(bench: &Bench) {
    bench.store.ping().await.expect("answers");
    accounts_and_tickets(bench).await;
    tickets_are_consumed_once(bench).await;
    keys_are_enrolled_once(bench).await;
    sessions_live_and_end(bench).await;
    sessions_expire(bench).await;
    organisations_are_signed_out_together(bench).await;
    a_disabled_accounts_devices_are_asked_to_sign_out(bench).await;
    accounts_are_listed_changed_and_erased(bench).await;
    the_log_is_read_on_from_where_it_was_left(bench).await;
    epochs_end_sessions_in_any_order(bench).await;
    revoking_and_disabling(bench).await;
    the_audit_record(bench).await;
    vouched::sessions_without_a_device(bench).await;
    vouched::sessions_of_an_approval(bench).await;
    vouched::what_is_asked_of_the_person_is_looked_at_again(bench).await;
    identities::identities(bench).await;
    identities::adopting(bench).await;
    identities::adopted_once(bench).await;
    notes::notes(bench).await;
    notes::one_taker_and_one_writer(bench).await;
    marks::marks(bench).await;
    marks::one_of_sixty_four(bench).await;
}

async fn accounts_and_tickets(bench: &Bench) {
    let store = &bench.store;
    let avatar = Avatar::try_from("https://cdn.example.com/a.png".to_owned()).expect("avatar");
    let first = Profile { avatar: Some(avatar), ..profile("ada") };
    let ticketed = store.issue_ticket(fresh_ticket(), first.clone()).await.expect("store").expect("ticket");
    assert_eq!(ticketed.expires_at, bench.clock.timestamp().plus(TICKET_LIFE_SECONDS));
    let ada = store.account(&parsed("ada")).await.expect("store").expect("ada");
    assert_eq!((&ada.profile, &ada.subject, ada.disabled), (&first, &ticketed.subject, false));
    assert_eq!(ada.minimum_uv, UserVerification::Page);
    assert_eq!(store.account_of(&ada.subject).await.expect("store"), Some(ada.clone()));
    // Said again, with another name: the same subject.
    let renamed = Profile { name: DisplayName::clean("Ada L.").expect("name"), ..profile("ada") };
    let again = store.issue_ticket(fresh_ticket(), renamed.clone()).await.expect("store").expect("ticket");
    assert_eq!(again.subject, ada.subject);
    assert_eq!(store.account(&parsed("ada")).await.expect("store").expect("ada").profile, renamed);
    let lin = store.issue_ticket(fresh_ticket(), profile("lin")).await.expect("store").expect("ticket");
    assert_ne!(lin.subject, ada.subject);
    assert_eq!(crate::protocol::base64url::decode(ada.subject.as_str()).expect("base64url").len(), 16);
    assert_eq!(store.account(&parsed("nobody")).await.expect("store"), None);
    assert_eq!(store.account_of(&parsed("nobody")).await.expect("store"), None);
    assert_eq!(store.change_account(&parsed("nobody"), AccountChange::default()).await.expect("store"), None);
}

async fn tickets_are_consumed_once(bench: &Bench) {
    let store = &bench.store;
    let name = || DisplayName::clean("laptop").expect("name");
    let ticket = fresh_ticket();
    let enrol = |ticket| store.enrol(ticket, fresh_key(), name());
    assert_eq!(enrol(ticket).await.expect("store").err(), Some(EnrolRefusal::Ticket), "unknown");
    store.issue_ticket(ticket, profile("sam")).await.expect("store").expect("ticket");
    let tries = futures::future::join_all((0..16).map(|_| enrol(ticket))).await;
    let enrolled = tries.into_iter().filter(|one| one.as_ref().expect("store").is_ok()).count();
    assert_eq!(enrolled, 1);
    // The last good second, and the first bad one.
    for (age, good) in [(TICKET_LIFE_SECONDS - 1, true), (TICKET_LIFE_SECONDS, false)] {
        let ticket = fresh_ticket();
        store.issue_ticket(ticket, profile("sam")).await.expect("store").expect("ticket");
        bench.clock.advance(Duration::from_secs(age));
        assert_eq!(enrol(ticket).await.expect("store").is_ok(), good, "after {age} s");
    }
}

async fn keys_are_enrolled_once(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada").await;
    let record = store.device(ada.key.id()).await.expect("store").expect("device");
    assert_eq!((&record.id, &record.key, record.epoch), (&ada.device, &ada.key, Epoch(0)));
    assert_eq!((&record.account, record.revoked_at), (&ada.account, None));
    let ticket = fresh_ticket();
    store.issue_ticket(ticket, profile("mallory")).await.expect("store").expect("ticket");
    let name = || DisplayName::clean("laptop").expect("name");
    let twice = store.enrol(ticket, ada.key.clone(), name()).await.expect("store");
    assert_eq!(twice.err(), Some(EnrolRefusal::DuplicateKey));
    let spent = store.enrol(ticket, fresh_key(), name()).await.expect("store");
    assert_eq!(spent.err(), Some(EnrolRefusal::Ticket), "the refused enrolment used the ticket up");
    assert!(store.device(fresh_key().id()).await.expect("store").is_none());
}

async fn sessions_live_and_end(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-sessions").await;
    let one = bench.open(&ada, 0).await.expect("opened");
    let session = store.use_session(one).await.expect("store").open().expect("open");
    assert_eq!((&session.account, &session.device, session.key), (&ada.account, &Some(ada.device.clone()), one));
    assert_eq!((session.method.as_str(), session.origin.as_str()), ("agent", "https://app.example.com"));
    assert_eq!(session.signed_in_at, bench.clock.timestamp());
    assert_eq!(session.expires_at, session.signed_in_at.plus(Lifetimes::default().absolute.as_secs()));
    let name = &ada.account.profile.account;
    assert!(!store.end_session(&parsed("somebody-else"), one).await.expect("store"), "not theirs");
    assert_eq!(bench.fate(one).await, None);
    let before = bench.log_end().await;
    assert!(store.end_session(name, one).await.expect("store"));
    assert!(!store.end_session(name, one).await.expect("store"));
    let over = |session, reason| Withdrawal { withdrawn: Withdrawn::Session { session }, reason };
    assert_eq!(bench.withdrawn(&before).await, [over(one, EndReason::LoggedOut)]);
    assert_eq!(bench.fate(one).await, Some(EndReason::Ended));
    // A new one takes the former one's place.
    let (former, other) = (bench.open(&ada, 0).await.expect("opened"), bench.open(&ada, 0).await.expect("opened"));
    let key = fresh_session();
    let session = NewSession::redeemed(&redeemed(&ada.device, 0), key, Lifetimes::default()).replacing(Some(former));
    let before = bench.log_end().await;
    store.open_session(session).await.expect("store").expect("opened");
    assert_eq!(bench.withdrawn(&before).await, [over(former, EndReason::LoggedOut)]);
    assert!(bench.fate(former).await.is_some());
    let mut listed: Vec<_> = store.sessions(name).await.expect("store").into_iter().map(|s| s.key).collect();
    listed.sort();
    let mut expected = vec![other, key];
    expected.sort();
    assert_eq!(listed, expected);
    // Everywhere: this account's, and nobody else's.
    let lin = bench.enrol("lin-sessions").await;
    let bystander = bench.open(&lin, 0).await.expect("opened");
    let before = bench.log_end().await;
    assert!(store.sign_out_account(name, Some(key)).await.expect("store"));
    let everywhere = Withdrawn::Account { subject: ada.account.subject.clone(), below: Generation(1) };
    let everywhere = Withdrawal { withdrawn: everywhere, reason: EndReason::LoggedOutEverywhere };
    assert_eq!(bench.withdrawn(&before).await, [over(key, EndReason::LoggedOut), everywhere]);
    assert!(bench.fate(other).await.is_some() && bench.fate(key).await.is_some());
    assert_eq!(store.sessions(name).await.expect("store"), []);
    assert_eq!(bench.fate(bystander).await, None);
    assert_eq!(store.devices(name).await.expect("store")[0].asked_epoch, Epoch(1), "its devices are asked too");
    assert!(bench.open(&ada, 0).await.is_ok(), "who signs in again is in");
    assert!(!store.sign_out_account(&parsed("nobody"), None).await.expect("store"));
}

async fn organisations_are_signed_out_together(bench: &Bench) {
    let store = &bench.store;
    let (ada, lin, sam) = (bench.enrol("ada-org").await, bench.enrol("lin-org").await, bench.enrol("sam-org").await);
    let acme: OrganisationId = parsed("acme");
    assert!(!store.sign_out_organisation(&acme).await.expect("store"), "nobody was ever in it");
    for person in [&ada, &lin] {
        let change = AccountChange { organisation: Some(Some(acme.clone())), ..AccountChange::default() };
        let account = store.change_account(&person.account.profile.account, change).await.expect("store");
        assert_eq!(account.expect("account").organisation, Some(acme.clone()));
    }
    let (a, l) = (bench.open(&ada, 0).await.expect("opened"), bench.open(&lin, 0).await.expect("opened"));
    let s = bench.open(&sam, 0).await.expect("opened");
    let before = bench.log_end().await;
    assert!(store.sign_out_organisation(&acme).await.expect("store"));
    let all = Withdrawn::Organisation { organisation: acme.clone(), below: Generation(1) };
    let all = Withdrawal { withdrawn: all, reason: EndReason::LoggedOutEverywhere };
    assert_eq!(bench.withdrawn(&before).await, [all], "one entry, however many they are");
    assert_eq!(bench.fate(a).await, Some(EndReason::LoggedOutEverywhere));
    assert_eq!(bench.fate(l).await, Some(EndReason::LoggedOutEverywhere));
    assert_eq!(bench.fate(s).await, None, "not in it");
    let asked =
        async |person: &Person| store.device(person.key.id()).await.expect("store").expect("device").asked_epoch;
    assert_eq!((asked(&ada).await, asked(&sam).await), (Epoch(1), Epoch(0)), "their devices are asked too");
    let again = bench.open(&ada, 0).await.expect("opened");
    assert_eq!(bench.fate(again).await, None);
    let leave = AccountChange { organisation: Some(None), ..AccountChange::default() };
    let left = store.change_account(&ada.account.profile.account, leave).await.expect("store").expect("ada");
    assert_eq!(left.organisation, None);
    assert!(bench.fate(again).await.is_some(), "whoever moves signs in anew");
    assert_eq!(asked(&ada).await, Epoch(1), "what was asked stays asked");
    // Whoever did what was asked, or came later, is asked no more; until the next time.
    assert!(store.raise_epoch(&lin.device, Epoch(1)).await.expect("store"));
    let late = bench.enrol("lin-org").await;
    assert_eq!((asked(&lin).await, asked(&late).await), (Epoch(0), Epoch(0)));
    assert!(store.sign_out_organisation(&acme).await.expect("store"));
    assert_eq!((asked(&lin).await, asked(&late).await), (Epoch(2), Epoch(1)));
    assert_eq!(asked(&ada).await, Epoch(1), "who left is not");
    // The generations of another organisation are another count.
    let join = async |person: &Person, organisation: &str| {
        let change = AccountChange { organisation: Some(Some(parsed(organisation))), ..AccountChange::default() };
        store.change_account(&person.account.profile.account, change).await.expect("store").expect("account");
    };
    join(&sam, "acme").await;
    assert_eq!(asked(&sam).await, Epoch(0), "who joins is not asked for what was before");
    join(&late, "initech").await;
    assert_eq!((asked(&lin).await, asked(&late).await), (Epoch(2), Epoch(1)), "what was asked stays asked");
    assert!(store.raise_epoch(&lin.device, Epoch(2)).await.expect("store"));
    assert!(store.sign_out_organisation(&parsed("initech")).await.expect("store"));
    assert_eq!((asked(&lin).await, asked(&sam).await), (Epoch(3), Epoch(0)), "the first time counts too");
}

async fn a_disabled_accounts_devices_are_asked_to_sign_out(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-disabled-asked").await;
    let asked = async || store.device(ada.key.id()).await.expect("store").expect("device").asked_epoch;
    store.raise_epoch(&ada.device, Epoch(4)).await.expect("store");
    for (disabled, wanted) in [(false, 0), (true, 5), (true, 5), (false, 5)] {
        let change = AccountChange { disabled: Some(disabled), ..AccountChange::default() };
        store.change_account(&ada.account.profile.account, change).await.expect("store").expect("ada");
        assert_eq!(asked().await, Epoch(wanted), "disabled: {disabled}");
    }
}

async fn accounts_are_listed_changed_and_erased(bench: &Bench) {
    let store = &bench.store;
    let (first, second) = (bench.enrol("zz-list-1").await, bench.enrol("zz-list-2").await);
    bench.enrol("zz-list-3").await;
    let names = async |after: &str, limit| -> Vec<String> {
        let page = store.accounts(Some(&parsed(after)), limit).await.expect("store");
        page.into_iter().map(|account| account.profile.account.as_str().to_owned()).collect()
    };
    assert_eq!(names("zz-list-", 2).await, ["zz-list-1", "zz-list-2"]);
    assert_eq!(names("zz-list-2", 9).await, ["zz-list-3"]);
    assert!(!store.accounts(None, 3).await.expect("store").is_empty());
    let name = &first.account.profile.account;
    let mut hints = store.hints();
    let avatar = Avatar::try_from("https://cdn.example.com/a.png".to_owned()).expect("avatar");
    let change = AccountChange {
        name: Some(DisplayName::clean("Zoë").expect("name")),
        avatar: Some(Some(avatar.clone())),
        ..AccountChange::default()
    };
    let session = bench.open(&first, 0).await.expect("opened");
    let changed = store.change_account(name, change).await.expect("store").expect("account");
    assert_eq!((changed.profile.name.as_str(), &changed.profile.avatar), ("Zoë", &Some(avatar)));
    assert_eq!(store.account(name).await.expect("store"), Some(changed.clone()));
    assert_eq!(bench.fate(session).await, None, "a new name ends nothing");
    let wanted = Hint::ProfileChanged { subject: changed.subject.clone() };
    while hints.recv().await.expect("a hint") != wanted {}
    let none = AccountChange { avatar: Some(None), ..AccountChange::default() };
    let changed = store.change_account(name, none).await.expect("store").expect("account");
    assert_eq!((changed.profile.name.as_str(), changed.profile.avatar), ("Zoë", None));

    let bystander = bench.open(&second, 0).await.expect("opened");
    let ticket = fresh_ticket();
    store.issue_ticket(ticket, profile("zz-list-1")).await.expect("store").expect("ticket");
    let before = bench.log_end().await;
    assert!(store.erase_account(name).await.expect("store"));
    assert!(!store.erase_account(name).await.expect("store"), "once");
    let over = Withdrawn::Account { subject: first.account.subject.clone(), below: Generation(1) };
    assert_eq!(bench.withdrawn(&before).await, [Withdrawal { withdrawn: over, reason: EndReason::Erased }]);
    assert_eq!(store.account(name).await.expect("store"), None);
    assert_eq!(store.account_of(&first.account.subject).await.expect("store"), None);
    assert!(store.device(first.key.id()).await.expect("store").is_none(), "its devices went with it");
    assert_eq!(bench.open(&first, 0).await.err(), Some(OpenRefusal::Withdrawn));
    assert!(bench.fate(session).await.is_some());
    assert_eq!(bench.fate(bystander).await, None);
    let erased = &store.audit_tail(None, 1).await.expect("store")[0];
    assert_eq!((erased.what.as_str(), &erased.account), ("account_erased", &None));
    assert_eq!(erased.subject.as_deref(), Some(first.account.subject.as_str()));
    let anew = bench.enrol("zz-list-1").await;
    assert_ne!(anew.account.subject, first.account.subject, "a new life");
    let late = store.enrol(ticket, fresh_key(), DisplayName::clean("laptop").expect("name")).await.expect("store");
    assert_eq!(late.err(), Some(EnrolRefusal::Ticket), "and no ticket of the old one is good in it");
    assert_eq!(store.audit_tail(Some(name), 50).await.expect("store").len(), 2, "that has nothing of the old one");
}

async fn the_log_is_read_on_from_where_it_was_left(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-log").await;
    let mut cursor = bench.log_end().await;
    let mut hints = store.hints();
    for round in 1..=3 {
        assert!(store.raise_epoch(&ada.device, Epoch(round)).await.expect("store"));
        while hints.recv().await.expect("a hint") != Hint::LogGrew {}
        let Tail::Entries(entries, end) = store.withdrawals(&cursor).await.expect("store") else { panic!("lost") };
        let below = Withdrawn::Epoch { device: ada.device.clone(), below: Epoch(round) };
        assert_eq!(entries, [Withdrawal { withdrawn: below, reason: EndReason::SignedOut }]);
        assert_eq!(store.withdrawals(&end).await.expect("store"), Tail::Entries(Vec::new(), end.clone()));
        cursor = end;
    }
    // Many at once: nothing is missed, whoever commits first.
    let racing = (0..32).map(|n| async move { bench.enrol(&format!("racer-{n}")).await });
    let racers = futures::future::join_all(racing).await;
    let raising = racers.iter().map(|racer| store.raise_epoch(&racer.device, Epoch(1)));
    let reading = async {
        let (mut seen, mut cursor) = (Vec::new(), cursor.clone());
        while seen.len() < racers.len() {
            let Tail::Entries(entries, end) = store.withdrawals(&cursor).await.expect("store") else { panic!("lost") };
            seen.extend(entries);
            cursor = end;
            tokio::task::yield_now().await;
        }
        seen
    };
    let (raised, seen) = futures::join!(futures::future::join_all(raising), reading);
    assert!(raised.into_iter().all(|one| one.expect("store")));
    for racer in &racers {
        let of_it =
            |w: &&Withdrawal| matches!(&w.withdrawn, Withdrawn::Epoch { device, .. } if *device == racer.device);
        assert_eq!(seen.iter().filter(of_it).count(), 1);
    }
    // Another life, a place that never was, and one that was forgotten.
    let end = bench.log_end().await;
    let other = Cursor { life: "another".into(), ..end.clone() };
    assert_eq!(store.withdrawals(&other).await.expect("store"), Tail::Lost(end.clone()));
    let beyond = Cursor { seq: end.seq + 1, ..end.clone() };
    assert_eq!(store.withdrawals(&beyond).await.expect("store"), Tail::Lost(end.clone()));
    bench.clock.advance(Duration::from_secs(WITHDRAWALS_KEPT_SECONDS + 1));
    assert!(store.raise_epoch(&ada.device, Epoch(9)).await.expect("store"));
    assert!(matches!(store.withdrawals(&cursor).await.expect("store"), Tail::Lost(_)));
    assert_eq!(bench.withdrawn(&end).await.len(), 1, "what is new is there");
    assert_eq!(
        store.withdrawals(&bench.log_end().await).await.expect("store"),
        Tail::Entries(Vec::new(), bench.log_end().await)
    );
}

async fn sessions_expire(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-expiry").await;
    let lifetimes = Lifetimes { absolute: Duration::from_secs(1000), idle: Duration::from_secs(300) };
    let open = async || {
        let key = fresh_session();
        let session = NewSession::redeemed(&redeemed(&ada.device, 0), key, lifetimes);
        store.open_session(session).await.expect("store").expect("opened");
        key
    };
    let (used, watched) = (open().await, open().await);
    for _ in 0..3 {
        bench.clock.advance(Duration::from_secs(299));
        assert!(store.use_session(used).await.expect("store").open().is_some(), "used in time");
    }
    assert_eq!(bench.fate(watched).await, Some(EndReason::Expired), "looking does not prolong");
    bench.clock.advance(Duration::from_secs(102));
    assert!(store.use_session(used).await.expect("store").open().is_some(), "999 s");
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.fate(used).await, Some(EndReason::Expired), "1000 s, however much it is used");
}

async fn epochs_end_sessions_in_any_order(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-epochs").await;
    let (zero, two) = (bench.open(&ada, 0).await.expect("opened"), bench.open(&ada, 2).await.expect("opened"));
    assert_eq!(bench.fate(zero).await, Some(EndReason::Ended), "a higher epoch ended it");
    assert_eq!(bench.epoch(&ada).await, Epoch(2), "and was stored");
    assert_eq!(bench.open(&ada, 1).await.err(), Some(OpenRefusal::Withdrawn), "a lower epoch is refused");
    for effectless in [0, 1, 2] {
        assert!(!store.raise_epoch(&ada.device, Epoch(effectless)).await.expect("store"));
    }
    assert_eq!(bench.fate(two).await, None);
    let before = bench.log_end().await;
    assert!(store.raise_epoch(&ada.device, Epoch(5)).await.expect("store"));
    let below = Withdrawn::Epoch { device: ada.device.clone(), below: Epoch(5) };
    assert_eq!(bench.withdrawn(&before).await, [Withdrawal { withdrawn: below, reason: EndReason::SignedOut }]);
    assert!(bench.fate(two).await.is_some());
    assert!(!store.raise_epoch(&ada.device, Epoch(3)).await.expect("store"));
    assert_eq!(bench.epoch(&ada).await, Epoch(5), "never goes down");
    // The sign-out came first, the token that was signed before it comes later.
    assert_eq!(bench.open(&ada, 4).await.err(), Some(OpenRefusal::Withdrawn));
    assert!(bench.open(&ada, 5).await.is_ok());
    // All of them at once, in whatever order the engine takes them: the highest wins, what is below it is gone.
    let racing = (6..26).map(|epoch| {
        let (bench, ada) = (&bench, &ada);
        async move {
            if epoch % 2 == 0 {
                bench.open(ada, epoch).await.ok()
            } else {
                store.raise_epoch(&ada.device, Epoch(epoch)).await.expect("store");
                None
            }
        }
    });
    let opened = futures::future::join_all(racing).await;
    assert_eq!(bench.epoch(&ada).await, Epoch(25));
    for session in opened.into_iter().flatten() {
        assert!(bench.fate(session).await.is_some());
    }
    let nobody: DeviceId = parsed("nobody");
    assert!(!store.raise_epoch(&nobody, Epoch(9)).await.expect("store"));
    // Beyond the engine's numbers.
    assert!(bench.open(&ada, u64::MAX).await.is_ok());
}

async fn revoking_and_disabling(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-revoked").await;
    let lin = bench.enrol("lin-revoked").await;
    let (name, session) = (&ada.account.profile.account, bench.open(&ada, 0).await.expect("opened"));
    let revoke = |account, device| store.revoke_device(account, device, Actor::Person);
    assert!(!revoke(&lin.account.profile.account, &ada.device).await.expect("store"), "not hers");
    assert_eq!(bench.fate(session).await, None);
    assert_eq!(store.devices(name).await.expect("store").len(), 1);
    let before = bench.log_end().await;
    assert!(revoke(name, &ada.device).await.expect("store"));
    let device = Withdrawn::Device { device: ada.device.clone() };
    assert_eq!(bench.withdrawn(&before).await, [Withdrawal { withdrawn: device, reason: EndReason::Revoked }]);
    assert!(bench.fate(session).await.is_some());
    assert!(!revoke(name, &ada.device).await.expect("store"), "once");
    assert_eq!(store.devices(name).await.expect("store"), []);
    let record = store.device(ada.key.id()).await.expect("store").expect("still known");
    assert!(record.revoked_at.is_some() && record.for_verification().revoked);
    assert_eq!(bench.open(&ada, 9).await.err(), Some(OpenRefusal::Withdrawn));

    let (name, session) = (&lin.account.profile.account, bench.open(&lin, 0).await.expect("opened"));
    let ticket = fresh_ticket();
    store.issue_ticket(ticket, profile(name.as_str())).await.expect("store").expect("ticket");
    let disable =
        AccountChange { disabled: Some(true), minimum_uv: Some(UserVerification::Os), ..AccountChange::default() };
    let before = bench.log_end().await;
    let account = store.change_account(name, disable).await.expect("store").expect("lin");
    assert!(account.disabled);
    let over = Withdrawn::Account { subject: account.subject.clone(), below: account.generation };
    assert_eq!(bench.withdrawn(&before).await, [Withdrawal { withdrawn: over, reason: EndReason::Disabled }]);
    assert!(bench.fate(session).await.is_some());
    assert_eq!(bench.open(&lin, 0).await.err(), Some(OpenRefusal::Withdrawn));
    assert_eq!(store.issue_ticket(fresh_ticket(), profile(name.as_str())).await.expect("store"), None);
    let late = store.enrol(ticket, fresh_key(), DisplayName::clean("laptop").expect("name")).await.expect("store");
    assert_eq!(late.err(), Some(EnrolRefusal::Disabled));
    let enable = AccountChange { disabled: Some(false), ..AccountChange::default() };
    assert!(store.change_account(name, enable).await.expect("store").is_some());
    assert!(bench.fate(session).await.is_some(), "what ended stays ended");
    let account = store.account(name).await.expect("store").expect("lin");
    assert_eq!((account.disabled, account.minimum_uv), (false, UserVerification::Os), "what is absent stays");
    let lax = AccountChange { minimum_uv: Some(UserVerification::Page), ..AccountChange::default() };
    store.change_account(name, lax).await.expect("store").expect("lin");
    assert!(bench.open(&lin, 0).await.is_ok());
}

async fn the_audit_record(bench: &Bench) {
    let store = &bench.store;
    let ada = bench.enrol("ada-audit").await;
    bench.open(&ada, 3).await.expect("opened");
    let record = AuditRecord {
        what: Audited::LoggedOut,
        account: Some(ada.account.profile.account.clone()),
        device: Some(ada.device.clone()),
        detail: "by hand".into(),
    };
    store.record(record).await.expect("store");
    let tail = store.audit_tail(None, 5).await.expect("store");
    let what: Vec<_> = tail.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what, ["logged_out", "signed_in", "epoch_raised", "device_enrolled", "ticket_issued"]);
    assert_eq!(tail[0].detail, "by hand");
    assert_eq!(tail[1].account.as_deref(), Some("ada-audit"));
    assert_eq!(tail[1].subject.as_deref(), Some(ada.account.subject.as_str()));
    assert_eq!(tail[1].device.as_deref(), Some(ada.device.as_str()));
    assert_eq!(tail[1].at, bench.clock.timestamp());
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(UnixMillis(NOW * 1000)))
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_passes() {
    let clock = clock();
    let store = open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    suite(&Bench { store, clock }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_passes() {
    let (folder, clock) = (tempfile::tempdir().expect("folder"), clock());
    let store = open(&StoreUrl::Embedded(folder.path().join("store")), clock.clone()).await.expect("store");
    suite(&Bench { store, clock }).await;
}

#[cfg(all(feature = "redis", unix))]
#[tokio::test(flavor = "multi_thread")]
async fn redis_passes() {
    let clock = clock();
    let store = super::redis::tests::empty(clock.clone()).await;
    suite(&Bench { store, clock }).await;
}

#[cfg(all(unix, feature = "postgres"))]
#[tokio::test(flavor = "multi_thread")]
async fn postgres_passes() {
    let (database, clock) = (postgres::testing::Database::fresh(), postgres::testing::clock());
    let store = open(&database.url(), clock.clone()).await.expect("store");
    suite(&Bench { store, clock }).await;
}

#[tokio::test]
async fn embedded_remembers_all_but_the_marks() {
    let (folder, clock) = (tempfile::tempdir().expect("folder"), clock());
    let reopen = || -> SharedStore { Arc::new(Embedded::open(folder.path(), clock.clone()).expect("store")) };
    let bench = Bench { store: reopen(), clock: clock.clone() };
    let ada = bench.enrol("ada").await;
    let session = bench.open(&ada, 3).await.expect("opened");
    let (inc, keys) = (
        bench.store.incarnation().await.expect("store"),
        bench.store.challenge_signers(Algorithm::Es256).await.expect("keys").public(),
    );
    drop(bench);
    let bench = Bench { store: reopen(), clock: clock.clone() };
    assert_eq!(bench.fate(session).await, None);
    assert_eq!(bench.epoch(&ada).await, Epoch(3));
    assert_eq!(bench.store.challenge_signers(Algorithm::Es256).await.expect("keys").public(), keys);
    assert_ne!(
        bench.store.incarnation().await.expect("store"),
        inc,
        "what was marked is forgotten, so nothing old counts"
    );
}
