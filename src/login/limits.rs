//! Rate limits: how often one address, one device key, one account and one challenge may call.
//!
//! A limit should not become a way to lock somebody else out, nor tell anything. So addresses are counted only once it is
//! sure that no foreign web page made the browser call; devices and challenges only once everything that was presented is
//! sound; log-outs and reads are not counted, and a device's sign-outs apart from its proofs. Every refusal is the same.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::address::{Caller, Source, TrustedProxies};
use super::answer::Refusal;
use super::caller::CountedPageCall;
use super::state::Shared;
use crate::crypto::{self, KeyId};
use crate::protocol::id::{ChallengeId, Subject};
use crate::protocol::order::Place;
use crate::protocol::origin::Origin;
use crate::protocol::rate::RateLimit;
use crate::protocol::time::Moment;

/// Callers that one limit remembers: its table never takes more than 2.5 MiB. There are nine.
const MAX_KEYS: usize = 14_336;

/// Orders that one address opens.
const ORDERS_PER_MINUTE: u32 = 30;
/// Scans by one account of codes that are none, or none any more.
const STRANGE_SCANS_PER_MINUTE: u32 = 10;

/// How often may be called: so many times at once, and as many again in each minute.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// Calls of pages from one address, and as many of agents. A whole office may share one.
    pub address_per_minute: u32,
    /// Sound proofs and tokens of one device key, and as many sign-outs.
    pub device_per_minute: u32,
    /// Sound proofs and tokens of one account, whichever of its devices they come from.
    pub account_per_minute: u32,
    /// Sound proofs and tokens for one challenge. Honest pages need two.
    pub challenge_per_minute: u32,
    /// Wrong service keys from one address that are told so.
    pub wrong_keys_per_minute: u32,
    /// Connections at once; more wait in the system's queue. Each page that listens for its session's end keeps one.
    pub connections: u32,
    /// Agents that are linked at once, those that are opening their link among them.
    pub links: u32,
    /// Proxies in front, which say for whom they call. Without them everybody behind a proxy shares one address.
    pub trusted_proxies: Vec<TrustedProxies>,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            address_per_minute: 1200,
            device_per_minute: 120,
            account_per_minute: 240,
            challenge_per_minute: 12,
            wrong_keys_per_minute: 30,
            connections: 16_384,
            links: 16_384,
            trusted_proxies: Vec::new(),
        }
    }
}

/// Counts the calls of one login server.
#[derive(Debug)]
pub(super) struct Limiter {
    trusted_proxies: RwLock<Vec<TrustedProxies>>,
    pages: Table<Caller>,
    agents: Table<Caller>,
    wrong_keys: Table<Caller>,
    devices: Table<KeyId>,
    accounts: Table<[u8; 32]>,
    sign_outs: Table<KeyId>,
    challenges: Table<ChallengeId>,
    orders: Table<Caller>,
    strange_scans: Table<[u8; 32]>,
    /// What is wrong with the deployment is said once, not at each request.
    warned_of_proxy: AtomicBool,
    warned_of_silence: AtomicBool,
}

impl Limiter {
    pub(super) fn new(limits: &RateLimits) -> Self {
        Self {
            trusted_proxies: RwLock::new(limits.trusted_proxies.clone()),
            pages: Table::new(limits.address_per_minute),
            agents: Table::new(limits.address_per_minute),
            wrong_keys: Table::new(limits.wrong_keys_per_minute),
            devices: Table::new(limits.device_per_minute),
            accounts: Table::new(limits.account_per_minute),
            sign_outs: Table::new(limits.device_per_minute),
            challenges: Table::new(limits.challenge_per_minute),
            orders: Table::new(ORDERS_PER_MINUTE),
            strange_scans: Table::new(STRANGE_SCANS_PER_MINUTE),
            warned_of_proxy: AtomicBool::new(false),
            warned_of_silence: AtomicBool::new(false),
        }
    }

    /// Goes on with other limits. Where one changed, whoever was counted against it begins anew.
    pub(super) fn change(&self, limits: &RateLimits) {
        let mut trusted = self.trusted_proxies.write().unwrap_or_else(PoisonError::into_inner);
        if *trusted != limits.trusted_proxies {
            trusted.clone_from(&limits.trusted_proxies);
            self.warned_of_proxy.store(false, Ordering::Relaxed);
        }
        drop(trusted);
        self.pages.change(limits.address_per_minute);
        self.agents.change(limits.address_per_minute);
        self.wrong_keys.change(limits.wrong_keys_per_minute);
        self.devices.change(limits.device_per_minute);
        self.accounts.change(limits.account_per_minute);
        self.sign_outs.change(limits.device_per_minute);
        self.challenges.change(limits.challenge_per_minute);
    }

    /// Counts a page's call.
    pub(super) fn page(&self, parts: &Parts, now: Moment) -> Result<(), Refusal> {
        self.address(&self.pages, parts, now)
    }

    /// Counts an agent's call.
    pub(super) fn agent(&self, parts: &Parts, now: Moment) -> Result<(), Refusal> {
        self.address(&self.agents, parts, now)
    }

    /// Counts a wrong service key. The right one is never counted nor refused: who guesses from the backend's address, or
    /// through the proxy that it shares, must not lock it out, and no rate of guesses finds a key of that length.
    pub(super) fn wrong_service_key(&self, parts: &Parts, now: Moment) -> Result<(), Refusal> {
        match self.caller(parts) {
            Some(caller) if !self.wrong_keys.admit(caller, now) => Err(refused("wrong service keys", &caller)),
            _ => Ok(()),
        }
    }

    /// Counts what a device said for a challenge. Only for a statement in which everything was found right.
    pub(super) fn sound_statement(
        &self,
        key: KeyId,
        subject: &Subject,
        challenge: ChallengeId,
        now: Moment,
    ) -> Result<(), Refusal> {
        if !self.challenges.admit(challenge, now) {
            return Err(refused("challenge", &key));
        }
        if !self.devices.admit(key, now) {
            return Err(refused("device", &key));
        }
        let account = crypto::sha256(&[subject.as_str().as_bytes()]);
        if self.accounts.admit(account, now) { Ok(()) } else { Err(refused("account", &key)) }
    }

    /// Counts a device's sign-out. Only for one in which everything was found right.
    pub(super) fn sound_sign_out(&self, key: KeyId, now: Moment) -> Result<(), Refusal> {
        if self.sign_outs.admit(key, now) { Ok(()) } else { Err(refused("sign-outs of a device", &key)) }
    }

    /// Counts a scan of something that is no open order's code.
    pub(super) fn strange_scan(&self, subject: &Subject, now: Moment) -> Result<(), Refusal> {
        let account = crypto::sha256(&[subject.as_str().as_bytes()]);
        if self.strange_scans.admit(account, now) { Ok(()) } else { Err(refused("strange scans", subject)) }
    }

    fn address(&self, table: &Table<Caller>, parts: &Parts, now: Moment) -> Result<(), Refusal> {
        match self.caller(parts) {
            Some(caller) if !table.admit(caller, now) => Err(refused("address", &caller)),
            _ => Ok(()),
        }
    }

    fn caller(&self, parts: &Parts) -> Option<Caller> {
        self.address_of(parts).map(Caller::from)
    }

    fn address_of(&self, parts: &Parts) -> Option<IpAddr> {
        let source = {
            let trusted = self.trusted_proxies.read().unwrap_or_else(PoisonError::into_inner);
            Source::of(parts, &trusted)
        };
        let address = match source {
            Source::Known(address) => address,
            Source::Forwarding(address) => {
                self.warn_of_proxy(address);
                address
            }
            Source::Unknown => {
                self.warn_of_silence();
                return None;
            }
        };
        Some(address)
    }

    fn warn_of_proxy(&self, address: IpAddr) {
        if !self.warned_of_proxy.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{address} sends X-Forwarded-For, which is not believed: if that is your proxy, add it to \
                 limits.trusted_proxies, or everybody behind it shares one address's limit"
            );
        }
    }

    fn warn_of_silence(&self) {
        if !self.warned_of_silence.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come without their address, so addresses are not limited: serve the router with \
                 into_make_service_with_connect_info::<SocketAddr>()"
            );
        }
    }
}

fn refused(limit: &'static str, who: &dyn std::fmt::Display) -> Refusal {
    tracing::warn!(limit, %who, "refused: too many requests");
    Refusal::TooManyRequests
}

/// Where a call about an order comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderFrom(Option<IpAddr>);

impl OrderFrom {
    /// As much as is shown of it.
    pub(super) fn place(self) -> Place {
        match self.0.map(|address| address.to_canonical()) {
            None => Place::Unknown,
            Some(address) if address.is_loopback() => Place::Here,
            Some(IpAddr::V4(v4)) if v4.is_private() || v4.is_link_local() => Place::Local,
            Some(IpAddr::V6(v6)) if v6.is_unique_local() || v6.is_unicast_link_local() => Place::Local,
            Some(_) => Place::Internet,
        }
    }

    /// Tells with an order's key whether two calls come from one network, and nothing else.
    pub(super) fn network(self, key: &[u8; 32]) -> Option<[u8; 32]> {
        let caller = Caller::from(self.0?).to_string();
        Some(crypto::hmac_sha256(key, &[caller.as_bytes()]))
    }
}

impl FromRequestParts<Shared> for OrderFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Infallible> {
        Ok(Self(server.limiter.address_of(parts)))
    }
}

/// A page's call that opens an order: counted against the caller's address once more.
#[derive(Debug)]
pub(super) struct OrderCall(CountedPageCall);

impl OrderCall {
    /// The page's origin.
    pub(super) const fn origin(&self) -> &Origin {
        self.0.origin()
    }
}

impl FromRequestParts<Shared> for OrderCall {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        let call = CountedPageCall::from_request_parts(parts, server).await?;
        server.limiter.address(&server.limiter.orders, parts, server.clock.now())?;
        Ok(Self(call))
    }
}

/// One limit for each of a bounded number of keys.
#[derive(Debug)]
struct Table<K> {
    per_minute: AtomicU32,
    counts: Mutex<HashMap<K, RateLimit>>,
}

impl<K: Copy + Eq + Hash> Table<K> {
    fn new(per_minute: u32) -> Self {
        Self { per_minute: AtomicU32::new(per_minute), counts: Mutex::default() }
    }

    fn change(&self, per_minute: u32) {
        // What was counted knows the rate that it was counted with.
        if self.per_minute.swap(per_minute, Ordering::Relaxed) != per_minute {
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn admit(&self, key: K, now: Moment) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_KEYS && !counts.contains_key(&key) {
            forget_a_quarter(&mut counts, now);
        }
        counts.entry(key).or_insert_with(|| RateLimit::per_minute(self.per_minute.load(Ordering::Relaxed))).admit(now)
    }
}

/// Forgets those who may do the most again anyway, a quarter at least so that this is rare. Whoever is near its limit is
/// remembered, however many others come.
fn forget_a_quarter<K: Copy + Eq + Hash>(counts: &mut HashMap<K, RateLimit>, now: Moment) {
    let mut ends: Vec<_> = counts.values().filter_map(RateLimit::full_at).collect();
    let quarter = ends.len() / 4;
    let horizon = if ends.is_empty() { now } else { (*ends.select_nth_unstable(quarter).1).max(now) };
    counts.retain(|_, count| count.full_at().is_some_and(|end| end > horizon));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Moment = Moment(Duration::from_secs(1000));

    fn challenge(number: u32) -> ChallengeId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ChallengeId::from_bytes(bytes)
    }

    #[test]
    fn each_key_has_its_own_minute() {
        let table = Table::new(12);
        assert_eq!((0..50).filter(|_| table.admit(challenge(1), START)).count(), 12);
        assert!(table.admit(challenge(2), START), "another one is not concerned");
        let later = START + Duration::from_secs(5);
        assert_eq!((0..50).filter(|_| table.admit(challenge(1), later)).count(), 1);
    }

    #[test]
    fn another_limit_counts_from_the_moment_it_is_set() {
        let table = Table::new(12);
        assert_eq!((0..50).filter(|_| table.admit(challenge(1), START)).count(), 12);
        table.change(12);
        assert!(!table.admit(challenge(1), START), "nothing changed");
        table.change(20);
        assert_eq!((0..50).filter(|_| table.admit(challenge(1), START)).count(), 20);
    }

    #[test]
    fn however_many_come_the_memory_is_bounded_and_the_worst_are_remembered() {
        let table = Table::new(12);
        assert_eq!((0..50).filter(|_| table.admit(challenge(u32::MAX), START)).count(), 12);
        for number in 0..50_000 {
            assert!(table.admit(challenge(number), START));
            assert!(table.counts.lock().expect("not poisoned").len() <= MAX_KEYS);
        }
        assert!(!table.admit(challenge(u32::MAX), START));
        // A table of the standard library is filled to 7/8 of its places; forgetting may have doubled it once.
        let places = table.counts.lock().expect("not poisoned").capacity() * 8 / 7;
        let bytes = places * (size_of::<(ChallengeId, RateLimit)>() + 1);
        assert!(bytes <= 2_500 * 1024, "{bytes} bytes");
    }

    #[test]
    fn what_matters_no_longer_is_forgotten_first() {
        let table = Table::new(12);
        for number in 0..u32::try_from(MAX_KEYS).expect("a small number") {
            assert!(table.admit(challenge(number), START));
        }
        let later = START + Duration::from_secs(60);
        assert!(table.admit(challenge(u32::MAX), later));
        assert_eq!(table.counts.lock().expect("not poisoned").len(), 1);
    }
}
