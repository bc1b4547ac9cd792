//! Crashes at every disk operation: what was acknowledged is there, what was deleted stays deleted,
//! what moved to a dead-letter queue stays there, stale receipts do nothing. And the proof that it
//! bites: without any one of the syncs it fails.

use journal::{SimDisk, SyncPoint};

use super::kit::Rng;
use super::world::{DLQ, OTHER, Q, Run, Step, Stop, World};

fn workload(seed: u64) -> Vec<Step> {
    let mut rng = Rng(seed);
    let mut steps = Vec::new();
    // What must not hang on chance.
    steps.push(Step::Send { to: Q, sizes: vec![300, 40], delay_s: None });
    for _ in 0..3 {
        steps.push(Step::Receive { from: Q, messages_max: 10, remembered: true });
        steps.push(Step::Advance { ms: 21_000 });
    }
    steps.push(Step::DeleteStale { of: 0 });
    for _ in 0..40 {
        let place = [Q, Q, OTHER, OTHER, DLQ][rng.below(5) as usize];
        let of = rng.next();
        let step = match rng.below(24) {
            0..6 => {
                let sizes = (0..=rng.below(3)).map(|_| 20 + rng.below(900) as usize).collect();
                let delay_s = (rng.below(4) == 0).then(|| 1 + rng.below(30) as u32);
                Step::Send { to: if place == DLQ { Q } else { place }, sizes, delay_s }
            }
            6..8 => Step::SendOnce { again: rng.below(2) == 0 },
            8..13 => {
                let messages_max = 1 + rng.below(6) as usize;
                Step::Receive { from: place, messages_max, remembered: rng.below(4) > 0 }
            }
            13..17 => Step::Delete { of },
            17 => Step::DeleteStale { of },
            18 => Step::Hide { of, ms: rng.below(2) as i64 * 60_000 },
            19 => Step::Advance { ms: 1 + rng.below(30_000) as i64 },
            20 => Step::Tidy,
            21 => Step::Reopen { clean: rng.below(2) == 0 },
            22 => Step::Purge { queue: place },
            _ => Step::SetAttributes,
        };
        steps.push(step);
    }
    steps.push(Step::Send { to: OTHER, sizes: vec![900; 12], delay_s: None });
    steps.push(Step::Tidy);
    steps.push(Step::Advance { ms: 61_000 });
    steps.push(Step::Tidy);
    steps.push(Step::Reopen { clean: true });
    steps.push(Step::DeleteStale { of: 3 });
    steps
}

fn run(world: World, disk: &SimDisk, steps: &[Step]) -> (World, Result<(), Stop>) {
    let before = world.clone();
    let mut run = match Run::open(world, disk) {
        Ok(run) => run,
        Err(stop) => return (before, Err(stop)),
    };
    for step in steps {
        if let Err(stop) = run.step(step) {
            let stop = match stop {
                Stop::Violation(what) => Stop::Violation(format!("{step:?}: {what}")),
                Stop::Crash => Stop::Crash,
            };
            return (run.world.clone(), Err(stop));
        }
    }
    (run.world.clone(), Ok(()))
}

/// What a user does after a restart.
fn go_on() -> Vec<Step> {
    vec![
        Step::SendOnce { again: true },
        Step::Receive { from: Q, messages_max: 3, remembered: true },
        Step::DeleteStale { of: 1 },
        Step::Delete { of: 5 },
        Step::Tidy,
    ]
}

fn certain(world: World, disk: &SimDisk, steps: &[Step], what: &str) -> Result<World, String> {
    match run(world, disk, steps) {
        (world, Ok(())) => Ok(world),
        (_, Err(Stop::Crash)) => Err(format!("{what}: a crash that nobody ordered")),
        (_, Err(Stop::Violation(violation))) => Err(format!("{what}: {violation}")),
    }
}

/// Crashes one workload at operations `from`, `from + by`, …, each in several ways.
fn sweep(seed: u64, skipped: Option<SyncPoint>, from: u64, by: u64) -> Result<SimDisk, String> {
    let steps = workload(seed);
    let start = || {
        let disk = SimDisk::new(seed);
        skipped.into_iter().for_each(|point| disk.skip_sync(point));
        disk
    };
    let whole = start();
    certain(World::default(), &whole, &steps, "without a crash")?;
    let mut op = from;
    while op < whole.ops() {
        let disk = start();
        disk.crash_at(op);
        let (world, outcome) = run(World::default(), &disk, &steps);
        if let Err(Stop::Violation(what)) = outcome {
            return Err(format!("before operation {op}: {what}"));
        }
        for loss in 0..3 {
            let loss_seed = seed ^ (op << 8) ^ loss;
            let lost = disk.after_power_loss(loss_seed);
            let what = format!("operation {op}, power loss {loss}");
            let opened = certain(world.clone(), &lost, &[], &what)?;
            // What an opening showed has to survive.
            let again = lost.after_power_loss(loss_seed);
            certain(opened, &again, &go_on(), &format!("{what}, and again"))?;
        }
        let killed = disk.after_process_kill();
        let what = format!("operation {op}, killed");
        let opened = certain(world, &killed, &[], &what)?;
        let lost = killed.after_power_loss(op);
        certain(opened, &lost, &go_on(), &format!("{what}, power lost"))?;
        op += by;
    }
    Ok(whole)
}

#[test]
fn p1_what_was_acknowledged_survives_a_crash_at_every_operation() {
    for seed in 0..4 {
        if let Err(what) = sweep(seed, None, 0, 1) {
            panic!("seed {seed}: {what}\n{:?}", workload(seed));
        }
    }
}

#[test]
fn every_sync_is_needed() {
    // The journal's own tests show that of `close`, which only names a bit that flips later, and
    // of `drop`: here each drop stands behind an append that synced the folder.
    for name in ["group", "segment", "folder", "open", "recover"] {
        let point = SyncPoint(["journal.", name].concat().leak());
        let found = (0..12).find_map(|seed| sweep(seed, Some(point), 0, 3).err());
        let found = found.unwrap_or_else(|| panic!("nothing is lost without {}", point.0));
        println!("without {}: {found}", point.0);
    }
}
