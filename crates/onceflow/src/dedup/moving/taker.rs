//! Takes keys from wherever they come, and gives them to the ledger, some ten thousand at a time.

use std::path::Path;

use dedup::ledger::Ledger;
use dedup::scope::{CommittedKey, FOREVER_MS};
use event::source::Stop;
use serde::{Deserialize, Serialize};

use crate::exit::{self, Exit, Failure};

/// Keys that are given to the ledger together.
const TOGETHER: usize = 1 << 16;
/// How far ahead of the wall clock a key's time may be; ms.
const AHEAD_MAX_MS: i64 = 300_000;

/// What became of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Keys read.
    pub(crate) read: u64,
    /// Remembered now; those that were remembered before count again.
    pub(crate) imported: u64,
    /// Their window is over.
    pub(crate) ended: u64,
    /// Of dead letters, which only their own data folder has.
    pub(crate) of_letters: u64,
    /// Lines or keys of a dump that are none of ours.
    pub(crate) other: u64,
    /// Keys of a dump that never expire: they are remembered for a window from now on.
    pub(crate) without_expiry: u64,
}

/// How far it is.
pub(super) type Tell<'a> = &'a mut dyn FnMut(&Tally) -> bool;

/// Takes keys.
pub(super) struct Taker<'a> {
    /// `None`: nothing is changed.
    pub(super) ledger: Option<&'a Ledger>,
    pub(super) scope: String,
    pub(super) now_ms: i64,
    pub(super) hold_ms: Option<i64>,
    /// With `clock: received` nothing comes again with a time before now.
    pub(super) drop_ended: bool,
    pub(super) stop: &'a Stop,
    pub(super) tell: Tell<'a>,
    pub(super) tally: Tally,
    pub(super) batch: Vec<CommittedKey>,
}

impl Taker<'_> {
    /// Takes a key. `place` says where it stands, for a person.
    pub(super) fn take(
        &mut self,
        mut key: CommittedKey,
        place: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        self.tally.read += 1;
        if key.recorded_ms > self.now_ms.saturating_add(AHEAD_MAX_MS) {
            let at = console::show::time(key.recorded_ms);
            let what = format!("{}: its time, {at}, lies more than 5 minutes ahead", place());
            return Err(self.failed(what));
        }
        if let Some(hold_ms) = self.hold_ms.filter(|_| key.window_ms != FOREVER_MS) {
            let until_ms = self.now_ms.saturating_add(hold_ms);
            key.window_ms = key.window_ms.max(until_ms.saturating_sub(key.recorded_ms));
        }
        if self.drop_ended && key.expiry_ms() <= self.now_ms {
            self.tally.ended += 1;
            return self.look();
        }
        self.batch.push(key);
        if self.batch.len() >= TOGETHER { self.flush() } else { Ok(()) }
    }

    /// Whether it has to stop.
    fn look(&mut self) -> Result<(), Failure> {
        if self.tally.read.is_multiple_of(TOGETHER as u64) { self.said() } else { Ok(()) }
    }

    fn said(&mut self) -> Result<(), Failure> {
        if self.stop.asked() || !(self.tell)(&self.tally) {
            return Err(self.failed("interrupted".into()));
        }
        Ok(())
    }

    /// Gives what it holds to the ledger.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if !self.batch.is_empty() {
            let count = self.batch.len() as u64;
            let imported = match self.ledger {
                Some(ledger) => ledger
                    .import(&self.scope, &self.batch)
                    .map_err(|error| Failure::new(exit::ledger(&error), error))?,
                None => count,
            };
            self.tally.imported += imported;
            self.tally.ended += count - imported;
            self.batch.clear();
        }
        self.said()
    }

    /// A failure that says what is done already.
    pub(super) fn failed(&self, what: String) -> Failure {
        let done = match self.tally.imported {
            0 => "nothing was imported".to_owned(),
            n => format!(
                "{} imported before; importing them again is harmless",
                console::show::counted(n, "key")
            ),
        };
        Failure::new(Exit::Failed, format!("{what} ({done})"))
    }
}

pub(super) fn unreadable(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read {}: {error}", file.display()))
}
