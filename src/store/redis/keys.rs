//! The challenge keys in the server, sealed, by number. Replicas that start at once agree on one.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::scripts::{ADD_KEY, PREFIX};
use super::{DEADLINE, Redis, RedisRefused};
use crate::crypto::Algorithm;
use crate::protocol::time::Timestamp;
use crate::store::keys::{MadeKey, ROTATION_LEAD_SECONDS};
use crate::store::sealed::SealedKey;
use crate::store::{Audited, ChallengeSigners, StoreError};

/// How long a key is kept after the next one began to sign, in seconds. What it signed is over well before.
const KEPT_SECONDS: u64 = 900;
/// Keys that may wait until they sign: more are not made on request.
const WAITING: usize = 8;

impl Redis {
    /// The stored keys, newest first.
    pub(super) async fn stored_keys(&self) -> Result<Vec<(u64, SealedKey)>, StoreError> {
        let get = redis::cmd("HGETALL").arg(format!("{PREFIX}challenge-keys")).to_owned();
        let stored: BTreeMap<u64, String> =
            self.calls.call(DEADLINE, async |live| Ok(get.query_async(&mut live.connection()).await?)).await?;
        let parse = |(number, key): (u64, String)| Ok((number, serde_json::from_str(&key).map_err(StoreError::new)?));
        stored.into_iter().rev().map(parse).collect()
    }

    /// Whether the secret is the one that the stored keys were sealed with.
    pub(super) async fn open_keys(&self) -> Result<(), RedisRefused> {
        let stored = self.stored_keys().await.map_err(|error| self.target.unreachable(error.to_string()))?;
        for (number, key) in stored {
            self.sealer.open(number, &key).map_err(|source| RedisRefused::WrongSecret { number, source })?;
        }
        Ok(())
    }

    /// When each stored key begins to sign.
    fn signs_from(&self, stored: &[(u64, SealedKey)]) -> Result<Vec<Timestamp>, StoreError> {
        let open = |(number, key): &(u64, SealedKey)| self.sealer.open(*number, key).map_err(StoreError::new);
        stored.iter().map(|key| Ok(open(key)?.made_at.plus(ROTATION_LEAD_SECONDS))).collect()
    }

    /// Makes the key after those that are stored; whether nobody was quicker.
    async fn add_key(
        &self,
        stored: &[(u64, SealedKey)],
        algorithm: Algorithm,
        what: Option<Audited>,
    ) -> Result<bool, StoreError> {
        let number = stored.first().map_or(0, |(newest, _)| *newest) + 1;
        let made_at: Timestamp = self.clock.timestamp();
        let next = self.signs_from(stored)?;
        let outlived = stored.iter().skip(1).zip(next).filter(|(_, next)| next.plus(KEPT_SECONDS) <= made_at);
        let dropped: Vec<u64> = outlived.map(|((number, _), _)| *number).collect();
        let key = serde_json::to_string(&self.sealer.make(number, algorithm, made_at)?).map_err(StoreError::new)?;
        let told = json!({ "number": number, "key": key, "dropped": dropped, "what": what.map(Audited::as_str) });
        self.write::<u8>(&ADD_KEY, told).await.map(|added| added == 1)
    }

    pub(super) async fn signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError> {
        loop {
            let stored = self.stored_keys().await?;
            // Only who starts changes the algorithm. Were each look to do it, two servers of which one still has the old
            // configuration would make keys in turn.
            let settled = self.has_keys.load(Ordering::Relaxed);
            if stored.first().is_none_or(|(_, newest)| !settled && newest.algorithm != algorithm) {
                self.add_key(&stored, algorithm, None).await?;
                continue;
            }
            self.has_keys.store(true, Ordering::Relaxed);
            let open = |(number, key): &(u64, SealedKey)| self.sealer.open(*number, key).map_err(StoreError::new);
            let keys = stored.iter().map(open).collect::<Result<Vec<MadeKey>, _>>()?;
            return Ok(ChallengeSigners::in_use(keys, self.clock.timestamp()));
        }
    }

    pub(super) async fn rotate(&self, algorithm: Algorithm) -> Result<(), StoreError> {
        loop {
            let stored = self.stored_keys().await?;
            let (now, from) = (self.clock.timestamp(), self.signs_from(&stored)?);
            if from.iter().filter(|from| **from > now).count() >= WAITING {
                return Err(StoreError::new(format!(
                    "{WAITING} challenge keys were made in the last {ROTATION_LEAD_SECONDS} s, which is how long a new one \
                     waits: rotate again after that time"
                )));
            }
            if self.add_key(&stored, algorithm, Some(Audited::ChallengeKeyRotated)).await? {
                return Ok(());
            }
        }
    }
}
