//! What a pipe says of a batch when it commits it.

use event::sink::StagedOutput;
use event::{Batch, BatchNumber, Event, Offset, ShardId};

use crate::state::{MinuteBucket, ParkedEvent, Tally};

/// Everything that one batch's record holds, apart from what the ledger knows by itself.
#[derive(Debug)]
pub struct Settlement<'a> {
    /// The batch's number: one more than that of the batch committed before it.
    pub number: BatchNumber,
    /// The batch. The key of every event whose fate is `Deliver` and whose window isn't negative
    /// goes into the record; the rest of the batch is not looked at. A batch of replays
    /// ([`event::Batch::replay`]), be it without events, counts as source `replay:` and the pipe's
    /// name: `counters` (in flight, too) are those of that source then, else those of the pipe's
    /// source.
    pub batch: &'a Batch,
    /// What is settled now in the source, whatever the outcome.
    pub positions: Vec<PositionChange>,
    /// Message ids to remember or to forget.
    pub message_ids: Vec<MessageIdChange>,
    /// Events that are parked now, or no longer.
    pub parked: Vec<ParkedChange>,
    /// Letters of events that died in this batch (each has one: what died keeps its key by it),
    /// and of events that are no longer dead.
    pub letters: Vec<LetterChange>,
    /// What was staged, with the index of its sink in [`crate::ledger::PipeDeclaration::sinks`].
    pub staged: Vec<(usize, StagedOutput)>,
    /// What is counted.
    pub counters: CounterChange,
}

/// What is settled now in one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionChange {
    /// The shard.
    pub shard: ShardId,
    /// Ranges that are settled now: start to end (exclusive), in any order.
    pub ranges: Vec<(Offset, Offset)>,
    /// The newest [`event::Extent::mark`] whose range is settled, with the end of that range. It
    /// replaces the one before it.
    pub mark: Option<(Offset, Vec<u8>)>,
}

/// A message id to remember or to forget (DESIGN §3 "Queues").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageIdChange {
    /// The message was settled; it may come again until `until_ms`.
    Add {
        /// Hash of queue and message id.
        id: u128,
        /// Until when it is remembered; ms since the Unix epoch.
        until_ms: i64,
    },
    /// It can't come again.
    Remove {
        /// As it was added.
        id: u128,
    },
}

/// An event that is parked now, or no longer (DESIGN §3 "Waiting").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParkedChange {
    /// Parked; one of the same id is replaced.
    Add(Box<ParkedEvent>),
    /// Settled.
    Remove {
        /// [`ParkedEvent::id`].
        id: u64,
    },
}

/// A dead letter that is written now, or one that is no longer open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterChange {
    /// Event `event` of the batch died; its key, if it has one, is kept until the letter is
    /// removed, whatever its window (DESIGN §3 "When the original died").
    Add {
        /// The letter's id.
        id: u128,
        /// Index of the event in the batch; its fate is `Dead`.
        event: u32,
        /// Whether it dies again under the pipe's present config.
        deterministic: bool,
        /// The sinks that hold it: bit `n` for sink `n` of [`crate::ledger::PipeDeclaration::sinks`].
        sinks: u64,
    },
    /// The letter was replayed or purged.
    Remove {
        /// As it was added.
        id: u128,
    },
}

/// An event that leaves its batch after it was decided.
///
/// It comes again through [`crate::ledger::PipeLedger::reserve`]: undecided, with the same key,
/// shard, start and time of receipt. The same message received at another time is another event.
#[derive(Clone, Debug)]
pub struct Left {
    /// The event as it was decided: key, times, window, and as fate either `Deliver` (it reserved
    /// its key for the batch, and gives it back now) or `Duplicate` (it reserved none, and waits
    /// for the original that left).
    pub event: Event,
    /// Its shard.
    pub shard: ShardId,
    /// Where it starts.
    pub start: Offset,
    /// When it was received; ms since the Unix epoch.
    pub received_ms: i64,
    /// `true` (a retry): nobody else gets its key before it comes again. `false`: an event with
    /// fate `Deliver` lets all go first that wait for its key now (its pipe is paused), one with
    /// fate `Duplicate` waits its turn by time of receipt.
    pub holds: bool,
}

/// What a record adds to the counters (P4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterChange {
    /// What it adds to minutes of receipt: `received` as the source counted it, outcomes as they
    /// settled. A minute may stand here more than once.
    pub minutes: Vec<(MinuteBucket, Tally)>,
    /// Outcomes by event type, in the order of [`event::Outcome::ALL`].
    pub types: Vec<(String, [u64; 6])>,
    /// Settled positions that recovery dropped; outside the balance.
    pub reread: u64,
    /// Events that the source's retention removed before they were read; outside the balance.
    pub expired: u64,
    /// How many events the pipe itself counts as received (in this or an earlier record) and
    /// unsettled after this record, parked ones included, by minute of receipt. Absolute: a minute
    /// that isn't named has none.
    pub in_flight: Vec<(MinuteBucket, u64)>,
}
