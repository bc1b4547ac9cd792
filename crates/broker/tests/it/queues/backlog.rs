//! A large backlog costs nothing but its room.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::queues::{Queue, Queues, QueuesOptions};
use event::TestClock;
use journal::RealDisk;

use super::kit::*;

fn open_in(folder: &Path, clock: &TestClock) -> Queues {
    let disk = Arc::new(RealDisk::new());
    Queues::open(disk, folder, QueuesOptions::default(), Arc::new(clock.clone())).unwrap()
}

fn fill(queue: &Queue, thousands: usize) {
    let body = "x".repeat(300);
    for _ in 0..thousands {
        queue.send((0..1000).map(|_| message(&body)).collect()).wait().unwrap();
    }
}

/// Of many, the median: one may be disturbed.
fn receive_takes(queue: &Queue) -> Duration {
    let mut took: Vec<_> = (0..101)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(receive(queue, 10).len(), 10);
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[50]
}

/// Users of local emulators report that receives get slow at 200,000 messages.
#[test]
fn receive_stays_flat_and_the_restart_short_behind_a_backlog_of_200000() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new(START_MS);
    let queues = open_in(&folder.path().join("queues"), &clock);
    let (few, many) = (make(&queues, "few"), make(&queues, "many"));
    fill(&few, 2);
    fill(&many, 200);
    // Both from the disk, and in turns, so that they meet the same machine.
    let (few_took, many_took) = (receive_takes(&few), receive_takes(&many));
    assert!(many_took < few_took * 8, "{few_took:?} behind few, {many_took:?} behind many");
    queues.close().unwrap();
    drop(queues);
    let start = Instant::now();
    let queues = open_in(&folder.path().join("queues"), &clock);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    let statistics = queues.get("many").unwrap().statistics();
    assert_eq!(statistics.visible + statistics.in_flight, 200_000);
    let many = queues.get("many").unwrap();
    let start = Instant::now();
    many.purge().wait().unwrap();
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(many.statistics().purged, 200_000);
}
