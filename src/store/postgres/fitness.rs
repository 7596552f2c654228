//! Whether a server may be trusted with what this engine promises. Asked on each new connection, so that a server that was
//! promoted, or configured anew, is looked at like the first one.

use tokio_postgres::Client;

use crate::protocol::time::UnixMillis;

/// Oldest server that works.
const OLDEST_VERSION: i32 = 13;
/// How far the server's clock may be from ours, in seconds. Half of what marks are kept beyond their end.
const CLOCK_MAX_SKEW_SECONDS: u64 = 30;
/// From here on the log says so.
const CLOCK_WARN_SKEW_SECONDS: u64 = 5;

/// Why a server is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It replays another server's log, or takes no writes.
    #[error(
        "it is a standby or read-only: name the primary in the address, or all of them \
         (postgres://USER@HOST1,HOST2/DATABASE)"
    )]
    Standby,
    /// It is too old.
    #[error("server_version_num is {0}: PostgreSQL 13 or later is needed")]
    Version(i32),
    /// It keeps text in an encoding that cannot hold everybody's name.
    #[error("server_encoding is {0}: make the database with ENCODING 'UTF8'")]
    Encoding(String),
    /// It may lose or tear what it said was written.
    #[error("{setting} is {value}: set {setting} = on in postgresql.conf and reload the server")]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// Replicas were promised, and the server does not wait for so many.
    #[error(
        "[shared_store] replicas is {promised}, and synchronous_standby_names is {names:?}, which waits for {demanded}: \
         set synchronous_standby_names = 'ANY {promised} (…)' in postgresql.conf, or promise less"
    )]
    TooFewStandbys {
        /// What was promised.
        promised: u8,
        /// How many it waits for.
        demanded: u32,
        /// The setting.
        names: String,
    },
    /// Every write would wait for standbys that are not there.
    #[error(
        "every write waits for {demanded} of the standbys that synchronous_standby_names = {names:?} names, and {standing} \
         of them replicate from it: start the standbys, with these names as their application_name, or name others"
    )]
    StandbysAway {
        /// How many a write waits for.
        demanded: u32,
        /// How many of them are there.
        standing: i64,
        /// The setting.
        names: String,
    },
    /// The single-use marks would not survive a crash.
    #[error("the table loopkey.marks is unlogged: ALTER TABLE loopkey.marks SET LOGGED")]
    UnloggedMarks,
    /// Its clock is not ours.
    #[error("its clock differs from this computer's by {0} s, and 30 s are good at most: set both by NTP")]
    Clock(u64),
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fitness {
    version: i32,
    encoding: String,
    standby: bool,
    fsync: String,
    full_page_writes: String,
    /// As a session starts with it; ours then sets it itself.
    synchronous_commit: String,
    standby_names: String,
    marks_unlogged: bool,
    clock: UnixMillis,
}

impl Fitness {
    pub(super) async fn of(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
                          pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'),
                          (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'),
                          current_setting('synchronous_standby_names'),
                          coalesce((SELECT relpersistence <> 'p' FROM pg_class
                                    WHERE oid = to_regclass('loopkey.marks')), false),
                          (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = client.query_one(sql, &[]).await?;
        Ok(Self {
            version: row.try_get(0)?,
            encoding: row.try_get(1)?,
            standby: row.try_get(2)?,
            fsync: row.try_get(3)?,
            full_page_writes: row.try_get(4)?,
            synchronous_commit: row.try_get(5)?,
            standby_names: row.try_get(6)?,
            marks_unlogged: row.try_get(7)?,
            clock: UnixMillis(u64::try_from(row.try_get::<_, i64>(8)?).unwrap_or(0)),
        })
    }

    /// Whether the standbys that a write waits for are there. Asked at the start alone: later on, what waits has a deadline,
    /// and what is only read needs none of them.
    pub(super) async fn judge_standbys(&self, client: &Client) -> Result<Option<Unfit>, tokio_postgres::Error> {
        // A role that may not see other roles' connections sees that there are some.
        let sql = "SELECT count(*) FROM pg_stat_replication WHERE coalesce(sync_state, 'sync') IN ('sync', 'quorum')";
        let standing: i64 = client.query_one(sql, &[]).await?.try_get(0)?;
        let (demanded, names) = (standbys_demanded(&self.standby_names), self.standby_names.clone());
        Ok((standing < i64::from(demanded)).then_some(Unfit::StandbysAway { demanded, standing, names }))
    }

    /// Whether the server keeps what is promised with so many replicas.
    pub(super) fn judge(&self, replicas: u8) -> Result<(), Unfit> {
        if self.version < OLDEST_VERSION * 10_000 {
            return Err(Unfit::Version(self.version));
        }
        if self.standby {
            return Err(Unfit::Standby);
        }
        if self.encoding != "UTF8" {
            return Err(Unfit::Encoding(self.encoding.clone()));
        }
        let not_durable = |setting, value: &str| Err(Unfit::NotDurable { setting, value: value.to_owned() });
        for (setting, value) in [("fsync", &self.fsync), ("full_page_writes", &self.full_page_writes)] {
            if value != "on" {
                return not_durable(setting, value);
            }
        }
        match self.synchronous_commit.as_str() {
            "off" => return not_durable("synchronous_commit", "off"),
            "local" if replicas > 0 => return not_durable("synchronous_commit", "local"),
            _ => {}
        }
        let demanded = standbys_demanded(&self.standby_names);
        if demanded < u32::from(replicas) {
            return Err(Unfit::TooFewStandbys { promised: replicas, demanded, names: self.standby_names.clone() });
        }
        if self.marks_unlogged { Err(Unfit::UnloggedMarks) } else { Ok(()) }
    }

    /// Whether the server's clock is near enough to ours.
    pub(super) fn judge_clock(&self, ours: UnixMillis) -> Result<(), Unfit> {
        let skew = self.clock.0.abs_diff(ours.0) / 1000;
        if skew > CLOCK_MAX_SKEW_SECONDS {
            return Err(Unfit::Clock(skew));
        }
        if skew > CLOCK_WARN_SKEW_SECONDS {
            tracing::warn!(skew_seconds = skew, "the store's clock differs from this computer's: set both by NTP");
        }
        Ok(())
    }
}

/// How many standbys a commit waits for under a value of `synchronous_standby_names`: `FIRST n (…)`, `ANY n (…)`, `n (…)`,
/// or a list, which is `FIRST 1` (PostgreSQL's manual, section 20.6.2).
fn standbys_demanded(names: &str) -> u32 {
    let names = names.trim();
    if names.is_empty() {
        return 0;
    }
    // A quoted name may hold a parenthesis; what stands before the list holds no quote.
    match names.split_once('(') {
        Some((head, _)) if !head.contains(['"', ',']) => {
            head.split_whitespace().next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Fitness {
        Fitness {
            version: 150_004,
            encoding: "UTF8".into(),
            standby: false,
            fsync: "on".into(),
            full_page_writes: "on".into(),
            synchronous_commit: "on".into(),
            standby_names: "ANY 2 (a, b, c)".into(),
            marks_unlogged: false,
            clock: UnixMillis(1_000_000),
        }
    }

    #[test]
    fn a_sound_server_is_used_and_each_fault_is_named() {
        assert_eq!(sound().judge(0), Ok(()));
        assert_eq!(sound().judge(2), Ok(()));
        let commit = |value: &str| Fitness { synchronous_commit: value.into(), ..sound() };
        for (fitness, replicas, named) in [
            (Fitness { version: 120_022, ..sound() }, 0, "server_version_num is 120022"),
            (Fitness { standby: true, ..sound() }, 0, "standby"),
            (Fitness { encoding: "SQL_ASCII".into(), ..sound() }, 0, "server_encoding is SQL_ASCII"),
            (Fitness { fsync: "off".into(), ..sound() }, 0, "fsync is off: set fsync = on"),
            (Fitness { full_page_writes: "off".into(), ..sound() }, 0, "full_page_writes is off"),
            (commit("off"), 0, "synchronous_commit is off"),
            (commit("local"), 1, "synchronous_commit is local"),
            (sound(), 3, "waits for 2"),
            (Fitness { standby_names: String::new(), ..sound() }, 1, "synchronous_standby_names is \"\""),
            (Fitness { marks_unlogged: true, ..sound() }, 0, "loopkey.marks"),
        ] {
            let error = fitness.judge(replicas).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
        for good in ["local", "remote_write", "remote_apply"] {
            assert_eq!(commit(good).judge(0), Ok(()), "our sessions set it themselves");
        }
        assert_eq!(commit("remote_apply").judge(1), Ok(()));
    }

    #[test]
    fn standbys_are_counted_as_the_server_counts_them() {
        for (names, demanded) in [
            ("", 0),
            ("  ", 0),
            ("*", 1),
            ("s1", 1),
            ("s1, s2", 1),
            ("FIRST 2 (s1, s2, s3)", 2),
            ("first 3(*)", 3),
            ("ANY 1 (s1, s2)", 1),
            ("any  2  ( * )", 2),
            ("2 (s1, s2, s3)", 2),
            ("\"odd (name\", s2", 1),
            ("first, second", 1),
            ("ANY x (s1)", 0),
        ] {
            assert_eq!(standbys_demanded(names), demanded, "{names:?}");
        }
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        for (ours, differs) in
            [(1_000_000, None), (1_030_999, None), (969_001, None), (1_031_000, Some(31)), (0, Some(1000))]
        {
            assert_eq!(sound().judge_clock(UnixMillis(ours)).err(), differs.map(Unfit::Clock), "{ours}");
        }
    }
}
