//! The ways in which a store may keep a token from being used twice, and one node of such a store.

use loopkey::verify::mark::Outcome;

/// How a store tells a first use from a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Redis `SET NX`, and nothing else.
    SetNx,
    /// The same, answered once a replica has the mark (`WAIT 1`).
    WaitForOne,
    /// The challenge is stored when it is issued, and deleted when it is redeemed (`GETDEL`).
    DeleteIssued,
    /// The challenge names Redis' `master_replid`; it is compared with what was read when the connection was made.
    ReplidOfConnection,
    /// The `master_replid`, compared inside the operation that marks.
    ReplidAlone,
    /// A random key beside the marks, compared inside the operation that marks.
    SentinelAlone,
    /// Ours on Redis: both, compared inside the operation that marks.
    ReplidAndSentinel,
    /// PostgreSQL's timeline and a random row that is made once.
    TimelineAndRow,
    /// A random row for each timeline, made when the timeline is first used.
    RowOfTimeline,
    /// Ours on PostgreSQL: a random row for each timeline and each start of the server.
    RowOfTimelineAndStart,
}

use Scheme::{
    DeleteIssued, ReplidAlone, ReplidAndSentinel, ReplidOfConnection, RowOfTimeline, RowOfTimelineAndStart,
    SentinelAlone, TimelineAndRow,
};

impl Scheme {
    /// Redis draws an identity for each promotion and each start; PostgreSQL counts promotions.
    const fn draws_replids(self) -> bool {
        matches!(self, ReplidOfConnection | ReplidAlone | ReplidAndSentinel)
    }

    /// Where each promotion and each start has a row of its own, the number itself says nothing more.
    const fn counts_timelines(self) -> bool {
        matches!(self, TimelineAndRow | RowOfTimeline)
    }

    /// Whether something random lies with the marks, to get lost with them.
    const fn has_row(self) -> bool {
        matches!(self, SentinelAlone | ReplidAndSentinel | TimelineAndRow | RowOfTimeline | RowOfTimelineAndStart)
    }

    const fn compares_in_the_operation(self) -> bool {
        self.has_row() || matches!(self, ReplidAlone)
    }
}

/// Which life of the store: what challenges name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Life {
    /// The engine's own: a `master_replid`, or a timeline.
    engine: u8,
    /// Ours: the sentinel key or the random row. 0: there is none.
    row: u8,
}

/// A random value that nobody has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn(pub(super) u8);

impl Drawn {
    /// One above all that are there.
    pub(super) fn beyond(lives: impl Iterator<Item = Life>) -> Self {
        Self(lives.map(|life| life.engine.max(life.row)).max().unwrap_or(0) + 1)
    }
}

/// Numbers random values in the order in which they are found: only which of them are equal means something, so that
/// states which differ in nothing else are one.
pub(super) fn renumber<'a>(scheme: Scheme, lives: impl Iterator<Item = &'a mut Life>) {
    let (mut replids, mut rows) = (Seen::default(), Seen::default());
    for life in lives {
        if scheme.draws_replids() {
            life.engine = replids.number(life.engine);
        }
        if life.row != 0 {
            life.row = rows.number(life.row);
        }
    }
}

/// Values that were found: at most one for each node, token and connection.
#[derive(Default)]
struct Seen {
    values: [u8; 8],
    count: usize,
}

impl Seen {
    fn number(&mut self, value: u8) -> u8 {
        let at = self.values[..self.count].iter().position(|seen| *seen == value).unwrap_or_else(|| {
            self.values[self.count] = value;
            self.count += 1;
            self.count - 1
        });
        u8::try_from(at + 1).expect("there are few values")
    }
}

/// One node of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) up: bool,
    pub(super) primary: bool,
    pub(super) life: Life,
    /// A bit for each token: its mark, or with [`DeleteIssued`] its challenge.
    kept: u8,
}

impl Node {
    /// A node of a store that was set up well.
    pub(super) fn new(scheme: Scheme, primary: bool) -> Self {
        let life = Life { engine: 0, row: u8::from(scheme.has_row()) };
        Self { up: true, primary, life, kept: 0 }
    }

    /// Whether it takes writes.
    pub(super) const fn serves(&self) -> bool {
        self.up && self.primary
    }

    pub(super) const fn keeps(&self, token: usize) -> bool {
        self.kept & (1 << token) != 0
    }

    /// The life that a challenge is to name; makes the row where it is missing.
    pub(super) fn read_life(&mut self, scheme: Scheme, drawn: Drawn) -> Life {
        if scheme.has_row() && self.life.row == 0 {
            self.life.row = drawn.0;
        }
        self.life
    }

    /// A challenge is issued.
    pub(super) fn issued(&mut self, scheme: Scheme, token: usize) {
        if scheme == DeleteIssued {
            self.kept |= 1 << token;
        }
    }

    /// The one atomic operation.
    pub(super) fn mark(&mut self, scheme: Scheme, token: usize, named: Life) -> Outcome {
        if scheme.compares_in_the_operation() && self.life != named {
            return Outcome::OtherIncarnation;
        }
        let there = self.keeps(token);
        if scheme == DeleteIssued {
            self.kept &= !(1 << token);
            return if there { Outcome::Inserted } else { Outcome::Present };
        }
        self.kept |= 1 << token;
        if there { Outcome::Present } else { Outcome::Inserted }
    }

    /// The replica takes over everything that the primary has at this moment.
    pub(super) fn copy(&mut self, primary: &Self) {
        (self.life, self.kept) = (primary.life, primary.kept);
    }

    pub(super) fn promoted(&mut self, scheme: Scheme, drawn: Drawn) {
        self.primary = true;
        if scheme.draws_replids() {
            self.life.engine = drawn.0;
        }
        if scheme.counts_timelines() {
            // Each node counts for itself: two that leave the same timeline give the new one the same number.
            self.life.engine += 1;
        }
        if matches!(scheme, RowOfTimeline | RowOfTimelineAndStart) {
            self.life.row = 0;
        }
    }

    pub(super) fn started(&mut self, scheme: Scheme, drawn: Drawn) {
        self.up = true;
        if scheme.draws_replids() {
            self.life.engine = drawn.0;
        }
        if scheme == RowOfTimelineAndStart {
            self.life.row = 0;
        }
    }

    /// Its marks are gone, as after a disk was put back to an earlier state; the rest is as it was.
    pub(super) fn forgot(&mut self) {
        self.kept = 0;
    }

    /// Everything that is kept in it is gone, and it goes on.
    pub(super) fn flushed(&mut self) {
        (self.kept, self.life.row) = (0, 0);
    }

    /// Everything is gone, and a new store was made in its place.
    pub(super) fn lost(&mut self) {
        (self.kept, self.life) = (0, Life::default());
    }
}
