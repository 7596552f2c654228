//! Whether a server can keep what is promised of it, looked at before anything is read or written.

use redis::InfoDict;
use redis::aio::MultiplexedConnection;

use crate::crypto::BrokenSeal;
use crate::protocol::time::Timestamp;
use crate::store::shared::Address;
use crate::store::tls::NoTls;

/// Oldest Redis that is accepted. Every Valkey is younger.
const OLDEST_MAJOR: u32 = 7;
/// How far the server's clock may be from ours, in seconds: two login servers are then within what a life puts up with.
const CLOCK_MAX_SKEW_SECONDS: u64 = 30;
/// From here on the log says so.
const CLOCK_WARN_SKEW_SECONDS: u64 = 5;

/// Why the store was not opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RedisRefused {
    /// The address cannot be used.
    #[error("store {address}: {reason}; write redis://HOST:PORT/DB, or rediss:// for TLS")]
    Address {
        /// It, without what is secret.
        address: Address,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] NoTls),
    /// Nobody answers, or it refuses the connection.
    #[error("store {address}: {reason}")]
    Unreachable {
        /// Where.
        address: Address,
        /// What happened.
        reason: String,
    },
    /// There is nothing to seal the challenge keys with.
    #[error(
        "shared_store.secret_file is missing: the challenge keys in the store are sealed with it; make one of 32 random bytes as text and give it to every replica"
    )]
    NoSecret,
    /// The keys in the store were sealed with another secret.
    #[error(
        "shared_store.secret_file is not the one that challenge key {number} in the store was sealed with: give every replica the same"
    )]
    WrongSecret {
        /// The key's number.
        number: u64,
        /// What the seal says.
        source: BrokenSeal,
    },
    /// The server may not, or cannot, say how it is set up.
    #[error(
        "the Redis user may not call INFO, here or in scripts ({0}): single use rests on it. Allow it (ACL SETUSER … +info); a managed service that forbids it cannot be used"
    )]
    NoInfo(String),
    /// The server is too old.
    #[error("the server calls itself Redis {0}: 7.0 or later is needed, or Valkey")]
    TooOld(String),
    /// The server takes writes that others write too.
    #[error(
        "the server is in active-replica mode: two primaries can accept one token. Use Redis or Valkey with one primary (active-replica no)"
    )]
    ActiveReplica,
    /// The server is a replica.
    #[error("the server is a replica (role:{0}): give the address of the primary, or one that always leads to it")]
    NotPrimary(String),
    /// The server is a part of a cluster, or a sentinel.
    #[error("the server runs in {0} mode: use a single primary, with replicas where you like (cluster-enabled no)")]
    Mode(String),
    /// The server may throw marks away.
    #[error(
        "maxmemory-policy is {0:?}: the server may throw single-use marks away, and a token could be used twice. Set maxmemory-policy noeviction"
    )]
    Eviction(String),
    /// Nobody knows whether the server may throw marks away.
    #[error(
        "the server does not tell its maxmemory-policy, in INFO memory or CONFIG GET: allow one of them to the Redis user (ACL SETUSER … +info +config|get)"
    )]
    EvictionUnknown,
    /// The server has fewer replicas than are to have each write.
    #[error(
        "shared_store.replicas is {wanted}, and {connected} replicas are connected to the server: connect more, or promise less"
    )]
    Replicas {
        /// Those that are connected.
        connected: u32,
        /// Those that were promised.
        wanted: u8,
    },
    /// The server's clock is not ours.
    #[error(
        "the Redis server's clock differs from this computer's by {0} s, and {CLOCK_MAX_SKEW_SECONDS} s are good at most: set both by NTP"
    )]
    Clock(u64),
    /// A later version of Loopkey wrote the store, or something else did.
    #[error(
        "the store has schema version {found:?} and this program knows up to {known}: start a newer Loopkey, or choose another database"
    )]
    Schema {
        /// Version of the store.
        found: String,
        /// Last version that this program knows.
        known: u32,
    },
}

/// Looks at a server at the start, with everything that the configuration promises.
pub(super) async fn fit(connection: &mut MultiplexedConnection, replicas: u8) -> Result<(), RedisRefused> {
    let info = look(connection, replicas).await?;
    let in_script = redis::cmd("EVAL").arg("return redis.call('INFO', 'replication')").arg(0).to_owned();
    let in_script: InfoDict =
        in_script.query_async(connection).await.map_err(|error| RedisRefused::NoInfo(error.to_string()))?;
    if in_script.get::<String>("master_replid").is_none() {
        return Err(RedisRefused::NoInfo("INFO replication has no master_replid".to_owned()));
    }
    let snapshots: Option<Vec<String>> = config(connection, "save").await;
    let none = snapshots.is_some_and(|save| save.get(1).is_some_and(String::is_empty));
    if none && replicas == 0 && info.get::<String>("aof_enabled").as_deref() == Some("0") {
        tracing::warn!(
            "the Redis server keeps nothing on disk (appendonly no, save \"\") and shared_store.replicas is 0: \
             accounts, devices and sessions are gone when it restarts"
        );
    }
    Ok(())
}

/// Looks at whatever answers a later connection, and at a server in use from time to time: what single use rests on may not have changed. That replicas are missing
/// shows with each write.
pub(super) async fn still_fit(connection: &mut MultiplexedConnection) -> Result<(), String> {
    look(connection, 0).await.map(drop).map_err(|refused| refused.to_string())
}

async fn look(connection: &mut MultiplexedConnection, replicas: u8) -> Result<InfoDict, RedisRefused> {
    let info = info(connection).await.map_err(RedisRefused::NoInfo)?;
    let told: Vec<String> = config(connection, "maxmemory-policy").await.unwrap_or_default();
    judge(&info, told.get(1).map(String::as_str), replicas)?;
    Ok(info)
}

/// Whether the server's clock is near enough to ours. Marks go by the one, tokens by the other.
pub(super) fn judge_clock(theirs: Timestamp, ours: Timestamp) -> Result<(), RedisRefused> {
    let skew = theirs.0.abs_diff(ours.0);
    if skew > CLOCK_MAX_SKEW_SECONDS {
        return Err(RedisRefused::Clock(skew));
    }
    if skew > CLOCK_WARN_SKEW_SECONDS {
        tracing::warn!(skew_seconds = skew, "the Redis server's clock differs from this computer's: set both by NTP");
    }
    Ok(())
}

async fn info(connection: &mut MultiplexedConnection) -> Result<InfoDict, String> {
    redis::cmd("INFO").query_async(connection).await.map_err(|error| error.to_string())
}

/// A setting with its name, where the server tells it: a managed service often does not.
async fn config(connection: &mut MultiplexedConnection, name: &str) -> Option<Vec<String>> {
    redis::cmd("CONFIG").arg("GET").arg(name).query_async(connection).await.ok()
}

fn judge(info: &InfoDict, policy: Option<&str>, replicas: u8) -> Result<(), RedisRefused> {
    let text = |name: &str| info.get::<String>(name).unwrap_or_default();
    let role = text("role");
    if role == "active-replica" {
        return Err(RedisRefused::ActiveReplica);
    }
    let mode = text("redis_mode");
    if text("cluster_enabled") == "1" || !matches!(mode.as_str(), "" | "standalone") {
        return Err(RedisRefused::Mode(if mode.is_empty() { "cluster".to_owned() } else { mode }));
    }
    let version = text("redis_version");
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    if text("valkey_version").is_empty() && major.is_none_or(|major| major < OLDEST_MAJOR) {
        return Err(RedisRefused::TooOld(version));
    }
    if role != "master" {
        return Err(RedisRefused::NotPrimary(role));
    }
    let reported = info.get::<String>("maxmemory_policy");
    match policy.map(str::to_owned).or(reported) {
        Some(policy) if policy == "noeviction" => {}
        Some(policy) => return Err(RedisRefused::Eviction(policy)),
        None => return Err(RedisRefused::EvictionUnknown),
    }
    let connected = info.get("connected_slaves").unwrap_or(0);
    if connected < u32::from(replicas) {
        return Err(RedisRefused::Replicas { connected, wanted: replicas });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server that is fit says, with some lines changed.
    fn judged(changes: &[(&str, &str)], policy: Option<&str>, replicas: u8) -> Result<(), RedisRefused> {
        let mut lines = vec![
            ("redis_version", "7.0.15"),
            ("redis_mode", "standalone"),
            ("maxmemory_policy", "noeviction"),
            ("role", "master"),
            ("connected_slaves", "1"),
            ("cluster_enabled", "0"),
        ];
        for (name, value) in changes {
            lines.retain(|(kept, _)| kept != name);
            lines.push((name, value));
        }
        let text: Vec<_> = lines.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        judge(&InfoDict::new(&text.join("\r\n")), policy, replicas)
    }

    #[test]
    fn a_server_is_judged_by_what_it_says_of_itself() {
        assert!(judged(&[], None, 0).is_ok());
        assert!(judged(&[], None, 1).is_ok());
        assert!(judged(&[("redis_version", "7.2.4"), ("valkey_version", "8.0.1")], None, 0).is_ok());
        assert!(judged(&[("redis_version", "1.2.4"), ("valkey_version", "8.0.1")], None, 0).is_ok());
        type Lines = &'static [(&'static str, &'static str)];
        type Case = (Lines, Option<&'static str>, u8, fn(&RedisRefused) -> bool);
        let refused: [Case; 9] = [
            (&[("redis_version", "6.2.14")], None, 0, |e| matches!(e, RedisRefused::TooOld(v) if v == "6.2.14")),
            (&[("redis_version", "")], None, 0, |e| matches!(e, RedisRefused::TooOld(_))),
            (&[("role", "slave")], None, 0, |e| matches!(e, RedisRefused::NotPrimary(_))),
            (&[("role", "active-replica")], None, 0, |e| matches!(e, RedisRefused::ActiveReplica)),
            (&[("cluster_enabled", "1")], None, 0, |e| matches!(e, RedisRefused::Mode(_))),
            (&[("redis_mode", "sentinel")], None, 0, |e| matches!(e, RedisRefused::Mode(m) if m == "sentinel")),
            (&[("maxmemory_policy", "volatile-ttl")], None, 0, |e| matches!(e, RedisRefused::Eviction(_))),
            (&[], Some("allkeys-lru"), 0, |e| matches!(e, RedisRefused::Eviction(p) if p == "allkeys-lru")),
            (&[], None, 2, |e| matches!(e, RedisRefused::Replicas { connected: 1, wanted: 2 })),
        ];
        for (changes, policy, replicas, expected) in refused {
            let error = judged(changes, policy, replicas).expect_err("refused");
            assert!(expected(&error), "{changes:?}: {error}");
        }
        let silent = InfoDict::new("redis_version:7.0.15\r\nrole:master");
        assert!(matches!(judge(&silent, None, 0), Err(RedisRefused::EvictionUnknown)));
        assert!(judge(&silent, Some("noeviction"), 0).is_ok());
    }

    #[test]
    fn a_clock_counts_within_half_a_minute() {
        for (theirs, differs) in [(970, None), (1030, None), (969, Some(31)), (1031, Some(31))] {
            let skew = match judge_clock(Timestamp(theirs), Timestamp(1000)) {
                Err(RedisRefused::Clock(skew)) => Some(skew),
                _ => None,
            };
            assert_eq!(skew, differs, "{theirs}");
        }
    }
}
