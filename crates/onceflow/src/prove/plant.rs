//! Breakages that are built in on purpose: a proof that finds nothing must be able to find
//! something.

use journal::{SimDisk, SyncPoint};
use pipe::engine::planted::Planted;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Syncs that `no_sync` takes away: those of every journal's groups of records.
const JOURNAL_SYNC: SyncPoint = SyncPoint("journal.group");

/// A breakage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Plant {
    /// Sources hear that a batch is settled before its record is durable.
    AckBeforeCommit,
    /// A journal's groups are not synced before they count.
    NoSync,
    /// Output shows before the batch's record is durable.
    PublishBeforeCommit,
    /// Keys are remembered once they are reserved.
    ReserveIsCommit,
    /// Files are never cut.
    NoTruncate,
    /// `received` is computed from the outcomes, and an event gets lost.
    DerivedCounters,
    /// An event gets lost between two steps.
    DropEvent,
}

impl Plant {
    /// All of them.
    pub(crate) const ALL: [(&'static str, Plant); 7] = [
        ("ack_before_commit", Plant::AckBeforeCommit),
        ("no_sync", Plant::NoSync),
        ("publish_before_commit", Plant::PublishBeforeCommit),
        ("reserve_is_commit", Plant::ReserveIsCommit),
        ("no_truncate", Plant::NoTruncate),
        ("derived_counters", Plant::DerivedCounters),
        ("drop_event", Plant::DropEvent),
    ];

    /// By its name.
    pub(crate) fn of(name: &str) -> Result<Plant, Failure> {
        let found = Plant::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, plant)| *plant).ok_or_else(|| {
            let names: Vec<&str> = Plant::ALL.iter().map(|(name, _)| *name).collect();
            Failure::usage(format!("--plant: there is no `{name}`; there are {}", names.join(", ")))
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Plant::ALL.iter().find(|(_, plant)| *plant == self).map_or("", |(name, _)| name)
    }

    /// What the engine does wrong.
    pub(super) fn in_engine(self) -> Option<Planted> {
        match self {
            Plant::AckBeforeCommit => Some(Planted::AckBeforeCommit),
            Plant::PublishBeforeCommit => Some(Planted::PublishBeforeCommit),
            Plant::ReserveIsCommit => Some(Planted::ReserveIsCommit),
            Plant::DerivedCounters => Some(Planted::DerivedCounters),
            Plant::DropEvent => Some(Planted::DropEvent),
            Plant::NoSync | Plant::NoTruncate => None,
        }
    }

    /// Whether files are never cut.
    pub(super) fn never_cuts(self) -> bool {
        self == Plant::NoTruncate
    }

    /// What a simulated disk leaves out.
    pub(super) fn on_disk(self, sim: &SimDisk) {
        if self == Plant::NoSync {
            sim.skip_sync(JOURNAL_SYNC);
        }
    }
}
