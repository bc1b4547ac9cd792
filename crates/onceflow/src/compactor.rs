//! Brings the tables of lakes up to date: on a thread of its own while pipes run, and on request.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use console::show;
use event::Clock as _;
use event::source::Stop;
use lake::compact::{Compaction, Phase, Progress};
use pipe::Session;
use pipe::tables::{Table, tables};

use crate::tap::{CompactRequests, TableAnswer};
use crate::test_clock::OffsetClock;

/// How often to look whether it is time.
const LOOK: Duration = Duration::from_millis(200);

/// The tables of a run.
pub(crate) struct Compactor<'a> {
    session: &'a Session,
    tables: Vec<Table>,
    clock: OffsetClock,
    requests: CompactRequests,
    over: AtomicBool,
}

impl<'a> Compactor<'a> {
    pub(crate) fn new(
        session: &'a Session,
        clock: &OffsetClock,
        requests: CompactRequests,
    ) -> Compactor<'a> {
        Compactor {
            session,
            tables: tables(session.configs()),
            clock: clock.clone(),
            requests,
            over: AtomicBool::new(false),
        }
    }

    /// Compacts each table when its time has come or somebody asks, until [`Compactor::end`].
    pub(crate) fn run(&self, stop: &Stop) {
        let mut last_ms: Vec<i64> = self.tables.iter().map(|_| self.clock.now_ms()).collect();
        while !self.over.load(Ordering::Acquire) && !stop.asked() {
            if let Some(request) = self.requests.next(LOOK) {
                let answer = self.on_request(&*request.counted, stop);
                let _ = request.answer.send(answer); // whoever asked may have gone
            }
            for (table, last_ms) in self.tables.iter().zip(&mut last_ms) {
                let now_ms = self.clock.now_ms();
                let every_ms = i64::try_from(table.every.as_millis()).unwrap_or(i64::MAX);
                if table.automatic && now_ms.saturating_sub(*last_ms) >= every_ms {
                    *last_ms = now_ms;
                    self.compact_and_log(table, stop);
                }
            }
        }
    }

    /// Ends [`Compactor::run`].
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// The sources have ended, and all minutes are closed.
    pub(crate) fn compact_all(&self, stop: &Stop) {
        for table in self.tables.iter().filter(|table| table.automatic) {
            self.compact_and_log(table, stop);
        }
    }

    fn compact_and_log(&self, table: &Table, stop: &Stop) {
        if !table.lake.is_dir() {
            return; // nothing was delivered yet
        }
        match self.session.compact(table, &lake::compact::Quiet, stop) {
            Ok(done) => {
                for line in remarks(&done) {
                    tracing::warn!(lake = %table.lake.display(), "{line}");
                }
                if !done.nothing_to_do {
                    tracing::info!(lake = %table.lake.display(), "{}", summary(&done));
                }
            }
            Err(error) => {
                tracing::error!(lake = %table.lake.display(), %error, "the table isn't up to date");
            }
        }
    }

    /// Compacts all tables now.
    pub(crate) fn on_request(&self, progress: &dyn Progress, stop: &Stop) -> Vec<TableAnswer> {
        let there = self.tables.iter().filter(|table| table.lake.is_dir());
        let answer = |table: &Table| {
            let (done, error) = match self.session.compact(table, progress, stop) {
                Ok(done) => (Some(done), None),
                Err(error) => (None, Some(error.to_string())),
            };
            TableAnswer { lake: table.lake.clone(), done, error }
        };
        there.map(answer).collect()
    }
}

/// What a compaction did, in a line.
pub(crate) fn summary(done: &Compaction) -> String {
    if done.nothing_to_do {
        return "the table is up to date".to_owned();
    }
    format!(
        "{} of {} became {} ({}) in {}",
        show::counted(done.rows, "row"),
        show::counted(done.inputs, "file"),
        show::counted(done.files_out, "Parquet file"),
        show::bytes(done.bytes_out),
        show::counted(done.partitions, "partition"),
    )
}

/// What somebody should look at after a compaction.
pub(crate) fn remarks(done: &Compaction) -> Vec<String> {
    let mut lines = Vec::new();
    for field in &done.rescued {
        lines.push(format!(
            "{}: {} went to _rescued ({}), like {}",
            field.column,
            show::counted(field.rows, "value"),
            field.found,
            field.example,
        ));
    }
    for other in &done.other_partitions {
        lines.push(format!(
            "{}: more than partitions_open_max values: {} went to __other__, like {}",
            other.day,
            show::counted(other.rows, "row"),
            other.example,
        ));
    }
    for twice in &done.duplicates {
        lines.push(format!(
            "key {} is there twice within its window: an imbalance, please report it",
            twice.key
        ));
    }
    lines
}

/// Counts what is done of what there is to do; whoever shows it reads it.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    phase: Mutex<Option<Phase>>,
    total: AtomicU64,
    done: AtomicU64,
}

impl Counted {
    /// Phase, done, of how much.
    pub(crate) fn now(&self) -> Option<(Phase, u64, u64)> {
        let phase = (*self.phase.lock().ok()?)?;
        Some((phase, self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed)))
    }
}

impl Progress for Counted {
    fn begin(&self, phase: Phase, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        if let Ok(mut now) = self.phase.lock() {
            *now = Some(phase);
        }
    }

    fn advance(&self, done: u64) {
        self.done.fetch_add(done, Ordering::Relaxed);
    }
}
