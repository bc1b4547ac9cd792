//! The crash sweep over a whole pipe: every disk operation of journal, ledger, staging, file sink,
//! rejected file and checkpoint, with torn and reordered writes (P1, P2, P4).

use std::collections::BTreeSet;

use journal::{SimDisk, SyncPoint};

use crate::world::{
    Broker, disk, events, expected, lake_rows, lines, open_files, run, small, state,
};

const EVENTS: usize = 70;
pub(crate) const PER_BATCH: usize = 9;
/// Power losses tried for each crash: each keeps another part of what was not synced.
const LOSSES: u64 = 3;

pub(crate) struct Case {
    pub(crate) lines: Vec<String>,
    expected: Vec<String>,
}

impl Case {
    pub(crate) fn new() -> Self {
        let lines = events(EVENTS);
        let expected = expected(&lines);
        Self { lines, expected }
    }

    /// Runs to the end on what is left of the disk and compares everything with the reference.
    pub(crate) fn finish_and_check(&self, disk: &SimDisk, broker: &Broker) -> Result<(), String> {
        run(small(), broker, PER_BATCH, disk).map_err(|error| format!("no recovery: {error}"))?;
        let out = lines(disk, "/c/out/out.ndjson");
        if out != self.expected {
            return Err(format!(
                "file sink: {} rows instead of {}",
                out.len(),
                self.expected.len()
            ));
        }
        let mut sorted = self.expected.clone();
        sorted.sort();
        let lake = lake_rows(disk);
        if lake != sorted {
            return Err(format!("lake: {} rows instead of {}", lake.len(), sorted.len()));
        }
        if !open_files(disk).is_empty() {
            return Err(format!("unfinished files at the end: {:?}", open_files(disk)));
        }
        let broken = self.lines.iter().filter(|line| line.ends_with(',')).count();
        let rejected = lines(disk, "/d/rejected/app.ndjson").len();
        if rejected != broken {
            return Err(format!("rejected file: {rejected} rows instead of {broken}"));
        }
        self.check_balance(disk)
    }

    fn check_balance(&self, disk: &SimDisk) -> Result<(), String> {
        let state = state(disk);
        let imbalances = state.imbalance();
        if !imbalances.is_empty() {
            return Err(format!("imbalance: {imbalances:?}"));
        }
        let delivered: u64 = state
            .sources
            .iter()
            .flat_map(|source| source.minutes.values())
            .map(|tally| tally.outcome(event::Outcome::Delivered))
            .sum();
        if delivered != self.expected.len() as u64 {
            return Err(format!("counted {delivered} delivered, not {}", self.expected.len()));
        }
        Ok(())
    }
}

/// Crashes a run at every operation, then recovers from several power losses, and from a killed
/// process whose recovery loses power as well. The first violation ends it.
fn sweep(case: &Case, skip: Option<SyncPoint>) -> Result<u64, String> {
    let fresh = |seed: u64| {
        let disk = disk(seed);
        if let Some(point) = skip {
            disk.skip_sync(point);
        }
        disk
    };
    let whole = fresh(0);
    run(small(), &Broker::new(&case.lines), PER_BATCH, &whole)?;
    let ops = whole.ops();
    for op in 1..=ops {
        let crashed = fresh(op);
        let broker = Broker::new(&case.lines);
        crashed.crash_at(op);
        let _ = run(small(), &broker, PER_BATCH, &crashed);
        for seed in 0..LOSSES {
            let survivor = crashed.after_power_loss(seed * 1000 + op);
            case.finish_and_check(&survivor, &broker.fork())
                .map_err(|what| format!("op {op} of {ops}, power loss {seed}: {what}"))?;
        }
        let killed = crashed.after_process_kill();
        let broker = broker.fork();
        killed.crash_at(killed.ops() + 1 + op * 7 % 40);
        let _ = run(small(), &broker, PER_BATCH, &killed);
        let survivor = killed.after_power_loss(op);
        case.finish_and_check(&survivor, &broker)
            .map_err(|what| format!("op {op} of {ops}, killed, then power loss: {what}"))?;
    }
    Ok(ops)
}

#[test]
fn p1_p2_nothing_is_lost_or_doubled_by_a_crash_at_any_disk_operation() {
    let ops = sweep(&Case::new(), None).unwrap();
    assert!(ops > 100, "the sweep visits only {ops} operations");
}

/// Syncs whose loss no row of a pipe shows, and the sweep that takes them away as well.
const SHOWN_ELSEWHERE: [(&str, &str); 3] = [
    // Nothing dies here.
    ("dead.folder", "connect: dead, the store's sweep"),
    // Tells a bit flip in what was synced from a torn tail.
    ("journal.close", "journal: crash_sweep::every_sync_is_needed"),
    // Keeps another ledger out of the lake.
    ("staging.lake_file_name", "lake: staging_crash::every_sync_is_needed"),
];

/// The proof that the sweep bites: each sync in the list is needed.
#[test]
fn every_sync_of_a_pipe_is_needed() {
    let case = Case::new();
    let whole = disk(0);
    run(small(), &Broker::new(&case.lines), PER_BATCH, &whole).unwrap();
    let points: BTreeSet<SyncPoint> = whole
        .sync_points_seen()
        .into_iter()
        .filter(|point| point.0 != "test.setup")
        .filter(|point| SHOWN_ELSEWHERE.iter().all(|(name, _)| *name != point.0))
        .collect();
    assert!(points.len() >= 8, "only {points:?}");
    let needless: Vec<_> =
        points.iter().filter(|point| sweep(&case, Some(**point)).is_ok()).collect();
    assert!(needless.is_empty(), "no crash shows that these syncs are needed: {needless:?}");
}
