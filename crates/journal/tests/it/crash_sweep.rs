//! Crashes at every operation: every answered record is there, in order, once; of the unanswered
//! a prefix; nothing else. And the proof that it bites: without any one of the syncs it fails.

use journal::{AppendError, Journal, OpenError, SimDisk, SyncPoint};

use crate::support::{History, Rng, dir, open, read_all};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Drop(u64),
    /// Whether with a clean close.
    Reopen(bool),
}

fn workload(seed: u64) -> Vec<Step> {
    let mut rng = Rng(seed);
    let size = |rng: &mut Rng| match rng.below(8) {
        0 => 0,
        1 => 5000, // a segment of its own
        2..4 => rng.below(1600) as usize,
        _ => rng.below(200) as usize,
    };
    let step = |n: u64| match rng.below(12) {
        0 if n > 3 => Step::Drop(rng.below(9)),
        1 if n > 3 => Step::Reopen(rng.below(2) == 0),
        2..5 => Step::Append((0..rng.below(6) + 2).map(|_| size(&mut rng)).collect()),
        _ => Step::Append(vec![size(&mut rng)]),
    };
    let mut steps: Vec<_> = (0..18).map(step).collect();
    // What must not hang on chance: a drop of several segments, and a clean end.
    steps.push(Step::Append(vec![1500; 6]));
    steps.push(Step::Drop(7));
    steps.push(Step::Append(vec![100]));
    steps.push(Step::Reopen(true));
    steps
}

/// Why a run ended early.
enum Stop {
    Crash,
    Violation(String),
}

fn crash_or(disk: &SimDisk, what: &str, error: String) -> Stop {
    if disk.has_crashed() { Stop::Crash } else { Stop::Violation(format!("{what}: {error}")) }
}

fn open_and_check(disk: &SimDisk, history: &mut History) -> Result<Journal, Stop> {
    let (journal, found) =
        open(disk).map_err(|error: OpenError| crash_or(disk, "open", error.to_string()))?;
    history.check(&found).map_err(Stop::Violation)?;
    Ok(journal)
}

fn run(disk: &SimDisk, steps: &[Step], history: &mut History) -> Result<(), Stop> {
    let stop = |error: AppendError| crash_or(disk, "append", error.to_string());
    let mut journal = open_and_check(disk, history)?;
    for step in steps {
        match step {
            Step::Append(sizes) => history.append(&journal, sizes).map_err(stop)?,
            Step::Drop(eighths) => history.drop_eighths(&journal, *eighths).map_err(stop)?,
            Step::Reopen(clean) => {
                if *clean {
                    journal.close().map_err(stop)?;
                } else {
                    drop(journal);
                }
                journal = open_and_check(disk, history)?;
            }
        }
    }
    Ok(())
}

/// What an owner does after a restart. A drop comes first, as an append would sync the folder.
fn go_on() -> Vec<Step> {
    vec![Step::Drop(6), Step::Append(vec![300, 0]), Step::Drop(7), Step::Append(vec![2000, 2000])]
}

/// Both readers see the same; then the owner goes on, and is crashed once more.
fn after_restart(disk: &SimDisk, history: &History, seed: u64) -> Result<(), String> {
    let mut seen = history.clone();
    match read_all(disk, &dir()) {
        Ok(found) => seen.check(&found)?,
        Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("read without lock: {error}")),
    }
    let mut history = history.clone();
    match run(disk, &[], &mut history) {
        Err(Stop::Violation(what)) => return Err(format!("after a restart: {what}")),
        Err(Stop::Crash) | Ok(()) => {}
    }
    // What an opening handed out has to survive.
    let mut unchanged = history.clone();
    certain(&disk.after_power_loss(seed), &mut unchanged, "opened, power lost")?;
    match run(disk, &go_on(), &mut history) {
        Err(Stop::Violation(what)) => return Err(format!("after a restart, later: {what}")),
        Err(Stop::Crash) | Ok(()) => {}
    }
    certain(&disk.after_power_loss(seed), &mut history.clone(), "gone on, power lost")?;
    certain(&disk.after_process_kill(), &mut history, "gone on, killed")
}

fn certain(disk: &SimDisk, history: &mut History, what: &str) -> Result<(), String> {
    match run(disk, &[], history) {
        Ok(()) => Ok(()),
        Err(Stop::Crash) => Err(format!("{what}: a crash that nobody ordered")),
        Err(Stop::Violation(violation)) => Err(format!("{what}: {violation}")),
    }
}

/// A journal that was closed and lost power: a bit that flips then is named, or changes nothing.
fn closed_cleanly(disk: &SimDisk, history: &History) -> Result<(), String> {
    let files = disk.files();
    let (last, _) =
        files.iter().rev().find(|(path, _)| path.starts_with(dir())).ok_or("no file")?;
    let bytes = disk.read_file(last).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for offset in end.saturating_sub(160)..=end {
        let disk = disk.after_process_kill();
        disk.flip_bit(last, offset as u64);
        if let Ok((_, found)) = open(&disk) {
            let what = |what| format!("bit flipped at byte {offset} after a clean close: {what}");
            history.clone().check(&found).map_err(what)?;
        }
    }
    Ok(())
}

/// Crashes one workload at every operation, each in several ways.
fn sweep(
    seed: u64,
    skipped: Option<SyncPoint>,
    crashes_of_recovery: u64,
) -> Result<SimDisk, String> {
    let steps = workload(seed);
    let start = || {
        let disk = SimDisk::new(seed);
        skipped.into_iter().for_each(|point| disk.skip_sync(point));
        disk
    };
    let whole = start();
    let mut history = History::default();
    certain_steps(&whole, &steps, &mut history)?;
    for loss in 0..4 {
        let disk = whole.after_power_loss(loss);
        closed_cleanly(&disk, &history).map_err(|what| format!("loss {loss}: {what}"))?;
    }
    for op in 0..whole.ops() {
        let disk = start();
        disk.crash_at(op);
        let mut history = History::default();
        if let Err(Stop::Violation(what)) = run(&disk, &steps, &mut history) {
            return Err(format!("before operation {op}: {what}"));
        }
        let at = |how: &str, n: u64, what: String| format!("operation {op}, {how} {n}: {what}");
        for loss in 0..6 {
            let loss_seed = seed ^ (op << 8) ^ loss;
            after_restart(&disk.after_power_loss(loss_seed), &history, loss_seed)
                .map_err(|what| at("power loss", loss, what))?;
            after_restart(&disk.after_process_kill(), &history, loss_seed)
                .map_err(|what| at("kill and power loss", loss, what))?;
        }
        for crash in 0..crashes_of_recovery {
            for (how, lost) in [("loss", true), ("kill", false)] {
                let seed = seed ^ (op << 8) ^ (crash << 32);
                let disk =
                    if lost { disk.after_power_loss(seed) } else { disk.after_process_kill() };
                disk.crash_at(crash);
                after_restart(&disk, &history, seed)
                    .map_err(|what| at(how, crash, format!("recovery crashed: {what}")))?;
            }
        }
    }
    Ok(whole)
}

fn certain_steps(disk: &SimDisk, steps: &[Step], history: &mut History) -> Result<(), String> {
    match run(disk, steps, history) {
        Ok(()) => Ok(()),
        Err(Stop::Crash) => Err("a crash that nobody ordered".into()),
        Err(Stop::Violation(what)) => Err(format!("without a crash: {what}")),
    }
}

#[test]
fn p1_every_answered_record_survives_a_crash_at_every_operation() {
    for seed in 0..4 {
        if let Err(what) = sweep(seed, None, 0) {
            panic!("seed {seed}: {what}\n{:?}", workload(seed));
        }
    }
}

#[test]
fn recovery_itself_may_crash_at_every_operation() {
    for seed in 4..6 {
        if let Err(what) = sweep(seed, None, 24) {
            panic!("seed {seed}: {what}\n{:?}", workload(seed));
        }
    }
}

#[test]
fn every_sync_is_needed() {
    let whole = sweep(0, None, 0).unwrap();
    let killed = whole.after_process_kill();
    drop(open(&killed).unwrap());
    let mut points = killed.sync_points_seen();
    points.insert(SyncPoint("journal.recover")); // only seen after a kill
    let names: Vec<_> = points.iter().map(|point| point.0).collect();
    let all = ["close", "drop", "folder", "group", "open", "recover", "segment"];
    assert_eq!(names, all.map(|name| format!("journal.{name}")), "a sync without a test");
    for point in points {
        let found = (0..12).find_map(|seed| sweep(seed, Some(point), 0).err());
        let found = found.unwrap_or_else(|| panic!("nothing is lost without {}", point.0));
        println!("without {}: {found}", point.0);
    }
}
