//! `demo`: the main job on real events, killed in the middle, and what came of it.
//!
//! Everything that it does can be typed: it writes two configs and their input into a folder, runs
//! this program on them, kills it with SIGKILL, and runs it again. Then it counts twice: once in
//! the ledger, once in the files, which know nothing of the ledger.

mod child;
mod count;
mod folder;
mod show;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::commands;
use crate::exit::{Exit, Failure};
use crate::test_clock::OffsetClock;

use child::Ended;
use count::Counted;
use folder::Folder;

/// The first run is killed once so many hundredths of all events are settled.
const KILL_AT_PERCENT: u64 = 40;

/// What the demo saw.
struct Seen {
    folder: Folder,
    events: u64,
    /// Events that were settled when the first run was killed, and how long it ran.
    killed: (u64, Duration),
    resumed_in: Duration,
    report: console::Report,
    counted: Counted,
}

/// Runs it in `dir`, with so many generated app events.
pub(crate) fn demo(
    dir: Option<PathBuf>,
    events: u64,
    clock: &OffsetClock,
) -> Result<Exit, Failure> {
    let began = Instant::now();
    let folder = Folder::new(dir)?;
    show::begin(&folder);
    folder.fill(events)?;
    let (edits, app) = folder.lines()?;
    let total = edits + app;
    show::made(edits, app, began.elapsed());

    let (settled, first) = kill_in_the_middle(&folder, total)?;
    show::killed(settled, total, first);
    let resumed_in = finish(&folder)?;
    show::resumed(resumed_in);

    let report = commands::report::read(&folder.data_dir(), clock)?;
    let counted = count::count(&folder)?;
    let killed = (settled, first);
    let seen = Seen { folder, events: total, killed, resumed_in, report, counted };
    show::end(&seen);
    Ok(if seen.is_right() { Exit::Ok } else { Exit::Imbalance })
}

fn kill_in_the_middle(folder: &Folder, total: u64) -> Result<(u64, Duration), Failure> {
    let began = Instant::now();
    match child::run(folder, Some(total * KILL_AT_PERCENT / 100))? {
        Ended::Killed { settled } => Ok((settled, began.elapsed())),
        Ended::Done => Err(Failure::new(
            Exit::Failed,
            "the first run was over before it could be killed; try more --events",
        )),
    }
}

fn finish(folder: &Folder) -> Result<Duration, Failure> {
    let began = Instant::now();
    match child::run(folder, None)? {
        Ended::Done => Ok(began.elapsed()),
        Ended::Killed { .. } => Err(Failure::new(Exit::Failed, "somebody killed the second run")),
    }
}

impl Seen {
    fn sum(&self, outcome: &str) -> u64 {
        let pipes = self.report.pipes.iter();
        pipes.map(|pipe| pipe.outcomes.get(outcome).copied().unwrap_or(0)).sum()
    }

    fn received(&self) -> u64 {
        self.report.pipes.iter().map(|pipe| pipe.received).sum()
    }

    /// Whether the ledger balances, and says what the files say.
    fn is_right(&self) -> bool {
        let received = self.received() - self.sum("returned");
        self.report.is_balanced()
            && received == self.events
            && self.sum("delivered") == self.counted.lake_rows
            && self.counted.lake_rows == self.counted.expected_rows
            && self.counted.lake_keys == self.counted.lake_rows
            && self.sum("rejected") == self.counted.rejected_rows
    }
}
