//! SIGKILL at random moments, each time run again: the same set of rows, byte for byte.

use std::process::{Child, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::kit::World;
use crate::wikipedia::edits;

/// Lets `child` run for `delay`, then kills it. `None`: it was over before.
fn kill_after(mut child: Child, delay: Duration) -> Option<()> {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let (sender, ended) = channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait().unwrap();
        sender.send(()).unwrap();
        status
    });
    // Not a wait for something to happen: the moment is random, and any moment must do.
    let is_there = ended.recv_timeout(delay) == Err(RecvTimeoutError::Timeout);
    if is_there {
        // Nobody else starts processes with this pid so soon after.
        let _ = kill_process(pid, Signal::KILL);
    }
    let status = waiter.join().unwrap();
    (is_there && !status.success()).then_some(())
}

/// The example as it is, and with small batches: then most moments lie between the write of a
/// batch's rows and its commit.
const BATCHES: [&str; 2] = ["", "batch: { bytes_max: 64KiB, interval_max: 1ms }\n"];

fn with_batches(batches: &str) -> World {
    let world = World::with_edits_as_they_came();
    let config = String::from_utf8(world.read("wikipedia.yaml")).unwrap();
    world.write("wikipedia.yaml", config + batches);
    world
}

/// Kills a run of the wikipedia example at `moment`, finishes it, and looks at everything.
/// `None`: the run was over before.
fn one_kill(moment: Duration, batches: &str) -> Option<()> {
    let world = with_batches(batches);
    let child = world.command(&["run", "wikipedia.yaml"]).stderr(Stdio::null()).spawn().unwrap();
    let hit = kill_after(child, moment);
    let finished = world.summary(&["run", "wikipedia.yaml"]);
    let rows = world.lake_rows("lake/wikipedia");
    assert_eq!(rows.len(), 39_244, "killed at {moment:?}: {finished}");
    assert!(rows == edits(&world), "killed at {moment:?}: rows differ");
    let report = world.ok(&["report", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["imbalances"], serde_json::json!([]), "killed at {moment:?}");
    assert_eq!(report["pipes"][0]["outcomes"]["delivered"], 39_244);
    assert_eq!(report["pipes"][0]["outcomes"]["duplicate"], 0, "settled events came again");
    hit
}

#[test]
fn p1_p2_a_kill_at_a_random_moment_loses_nothing_and_doubles_nothing() {
    let kills: u32 = match std::env::var("ONCEFLOW_KILLS") {
        Ok(text) => text.parse().expect("ONCEFLOW_KILLS is a number"),
        Err(_) => 5,
    };
    let mut seed = match std::env::var("ONCEFLOW_SEED") {
        Ok(text) => text.parse().expect("ONCEFLOW_SEED is a number"),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
    };
    println!("ONCEFLOW_SEED={seed}");
    // How long a run takes, at most; shorter once one was over before its moment.
    let mut whole = BATCHES.map(|batches| {
        let world = with_batches(batches);
        let began = Instant::now();
        world.ok(&["run", "wikipedia.yaml"]);
        began.elapsed()
    });

    let mut moments = Vec::new();
    for _ in 0..10 * kills {
        if moments.len() == kills as usize {
            break;
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Spread over the run, random within its part.
        let random = (seed >> 40) as f64 / (1u64 << 24) as f64;
        let sort = moments.len() % BATCHES.len();
        let moment = whole[sort].mul_f64((moments.len() as f64 + random) / f64::from(kills));
        match one_kill(moment, BATCHES[sort]) {
            Some(()) => moments.push(moment),
            None => whole[sort] = whole[sort].min(moment),
        }
    }
    println!("killed at {moments:?} of {whole:?}");
    assert_eq!(moments.len(), kills as usize, "too many runs were over before they were killed");
}
