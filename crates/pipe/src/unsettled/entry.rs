//! Where an unsettled event stands.

use event::{Attempt, BatchNumber, Death};

use super::carried::Carried;

/// Attempts that are kept with their words; of more, the first and the last ones.
const ATTEMPTS_KEPT: usize = 20;

/// How soon a store is asked again for a key that is held elsewhere; doubled each time, at most
/// [`ASK_DOUBLINGS_MAX`] times, and never beyond the holder's lease.
const ASK_AGAIN_MS_MIN: u64 = 50;
const ASK_DOUBLINGS_MAX: u32 = 5;

/// When an unsettled event may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// At once.
    Now,
    /// When its key may be free.
    Key,
    /// At this time; ms since the Unix epoch.
    At(i64),
}

/// What happened to an event so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// What was tried, oldest first; a bounded number.
    pub(crate) attempts: Vec<Attempt>,
    /// How often each sink was tried, by its index, as far as that counts against `attempts_max`.
    pub(crate) charged: Vec<(u8, u32)>,
    /// How often any sink was tried.
    pub(crate) tries: u32,
    /// The sinks that deliver at once and have it; bits as in [`event::Event::routes`].
    pub(crate) delivered: u64,
    /// The sinks that it died at; bits likewise.
    pub(crate) failed_at: u64,
    /// What it died of first, while other sinks are still tried.
    pub(crate) death: Option<Death>,
    /// What must stay in order: a hash of its partition key.
    pub(crate) lane: Option<u64>,
}

impl History {
    /// Notes an attempt.
    pub(crate) fn note(&mut self, attempt: Attempt) {
        if self.attempts.len() >= ATTEMPTS_KEPT {
            self.attempts.remove(ATTEMPTS_KEPT / 2);
        }
        self.attempts.push(attempt);
    }

    /// Counts an attempt at a sink; how many that makes.
    pub(crate) fn charge(&mut self, sink: u8) -> u32 {
        for (known, count) in &mut self.charged {
            if *known == sink {
                *count += 1;
                return *count;
            }
        }
        self.charged.push((sink, 1));
        1
    }

    /// How many attempts at a sink were counted.
    pub(crate) fn charged_at(&self, sink: u8) -> u32 {
        self.charged.iter().find(|(known, _)| *known == sink).map_or(0, |(_, count)| *count)
    }
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It is in no batch.
    Waits(Due),
    /// It is in a batch that is under way.
    Taken,
    /// The record of this batch settles it.
    Settles(BatchNumber),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) carried: Carried,
    /// The record after which it is in flight.
    pub(super) left_in: BatchNumber,
    pub(super) stand: Stand,
    pub(super) history: History,
    /// When it left first; ms since the Unix epoch.
    pub(super) since_ms: i64,
    /// Its number in the ledger, once it is parked.
    pub(super) parked: Option<u64>,
    /// It is parked, and the ledger doesn't know what happened since.
    pub(super) to_record: bool,
    /// It waits for a key in a store that workers share: it stays with its source, which can give
    /// it to another worker once this one is gone, so it isn't parked.
    pub(super) stays: bool,
    /// How often a store said that its key is held elsewhere.
    pub(super) asked: u32,
}

impl Entry {
    pub(super) fn new(
        carried: Carried,
        left_in: BatchNumber,
        due: Due,
        history: History,
        now_ms: i64,
    ) -> Self {
        Self {
            carried,
            left_in,
            stand: Stand::Waits(due),
            history,
            since_ms: now_ms,
            parked: None,
            to_record: false,
            stays: false,
            asked: 0,
        }
    }

    /// It waits for a key in a store that workers share.
    pub(super) fn stay(&mut self, held: Option<u64>, now_ms: i64) {
        self.stays = true;
        let due = held.map_or(Due::Key, |left_ms| Due::At(self.ask_again_ms(now_ms, left_ms)));
        self.stand = Stand::Waits(due);
    }

    /// When a store is asked again for its key, which is held elsewhere.
    fn ask_again_ms(&mut self, now_ms: i64, lease_left_ms: u64) -> i64 {
        let patience = ASK_AGAIN_MS_MIN << self.asked.min(ASK_DOUBLINGS_MAX);
        self.asked = self.asked.saturating_add(1);
        let ms = lease_left_ms.min(patience);
        now_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    pub(super) fn is_ready(&self, now_ms: i64) -> bool {
        match self.stand {
            Stand::Waits(Due::Now) => true,
            Stand::Waits(Due::At(ms)) => ms <= now_ms,
            _ => false,
        }
    }
}
