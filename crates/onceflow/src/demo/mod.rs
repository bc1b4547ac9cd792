//! `demo`: the main job, with the embedded broker and AWS SDK clients, killed in the middle.
//!
//! Everything that it does can be typed: it writes a config into a folder, starts `onceflow serve`,
//! sends events with `onceflow generate` (which uses the AWS SDK), kills the server with SIGKILL
//! while they are being sent, starts it again, and compacts. Then it counts twice: once in the
//! ledger, once in the files, which know nothing of the ledger.

mod child;
mod count;
mod folder;
mod page;
mod sender;
mod server;
mod show;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::commands;
use crate::exit::{Exit, Failure};
use crate::test_clock::OffsetClock;

use count::Counted;
use folder::Folder;
use sender::{Load, Sent};
use server::Server;

/// The server is killed once so many hundredths of what goes into the stream are settled.
const KILL_AT_PERCENT: u64 = 30;
/// Events that are sent through both, stream and queue.
const SHARED: u64 = 1_000;
/// Everything must be settled so long after the last acknowledgement.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// What the demo saw.
struct Seen {
    folder: Folder,
    sent: Sent,
    /// Edits in the file.
    edits: u64,
    /// From the first event sent to the last one settled, kill and restart included.
    took: Duration,
    report: console::Report,
    counted: Counted,
}

/// Runs it in `dir`, with so many generated app events.
pub(crate) fn demo(
    dir: Option<PathBuf>,
    events: u64,
    clock: &OffsetClock,
) -> Result<Exit, Failure> {
    let folder = Folder::new(dir)?;
    show::begin(&folder);
    folder.fill()?;
    let load = Load::new(events, SHARED);

    let server = Server::start(&folder, None)?;
    let at = server.address();
    show::started(&server);
    let began = Instant::now();
    let senders = load.send(&folder, at)?;
    let killed_at = server.kill_at(load.stream_events() * KILL_AT_PERCENT / 100, &senders)?;
    show::killed(killed_at, began.elapsed());
    let server = Server::start(&folder, Some(at))?;
    show::restarted();
    let sent = senders.wait()?;
    show::sent(&sent, began.elapsed());
    server.wait_until_settled(SETTLE_MAX)?;
    let took = began.elapsed();
    server.stop()?;
    show::settled(took);

    let began = Instant::now();
    child::compact(&folder)?;
    show::compacted(began.elapsed());
    let report = commands::report::read(&folder.data_dir(), clock)?;
    let counted = count::count(&folder)?;
    let edits = folder.edits_lines()?;
    let seen = Seen { folder, sent, edits, took, report, counted };
    show::end(&seen);
    Ok(if seen.is_right() { Exit::Ok } else { Exit::Imbalance })
}

impl Seen {
    fn sum(&self, outcome: &str) -> u64 {
        let pipes = self.report.pipes.iter();
        pipes.map(|pipe| pipe.outcomes.get(outcome).copied().unwrap_or(0)).sum()
    }

    fn received(&self) -> u64 {
        self.report.pipes.iter().map(|pipe| pipe.received).sum()
    }

    /// Whether the ledger balances, and says what the files say: every event that the broker
    /// acknowledged is there, once.
    fn is_right(&self) -> bool {
        self.report.is_balanced()
            && self.sum("delivered") == self.counted.app_rows + self.counted.edit_rows
            && self.counted.app_rows == self.sent.different
            && self.counted.app_keys == self.sent.different
            && self.counted.edit_rows == self.edits
            && self.sum("rejected") == 0
    }
}
