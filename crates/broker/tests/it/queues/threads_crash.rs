//! Many threads and the housekeeping at work, and the disk crashes: what was acknowledged holds.
//!
//! Unlike the sweep this one can't be repeated to the operation, but it sees what only happens
//! when removals and cleaning are on the way together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use broker::BrokerError;
use broker::queues::{Queue, QueueStatistics, Queues, Receive};
use event::TestClock;
use journal::{Disk, SimDisk};

use super::kit::*;

/// What one thread knows.
#[derive(Default)]
struct Known {
    sent: BTreeSet<String>,
    /// Perhaps.
    deleting: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

fn work(thread: u64, seed: u64, queue: &Queue, dead: &Queue) -> (Known, Option<BrokerError>) {
    let mut known = Known::default();
    let error = steps(thread, seed, queue, dead, &mut known).err();
    (known, error)
}

fn steps(
    thread: u64,
    seed: u64,
    queue: &Queue,
    dead: &Queue,
    known: &mut Known,
) -> Result<(), BrokerError> {
    let mut rng = Rng(seed ^ (thread << 32));
    let mut sent = 0;
    loop {
        let bodies: Vec<_> = (0..1 + rng.below(3))
            .map(|n| format!("{thread}/{}/{}", sent + n, "x".repeat(rng.below(600) as usize)))
            .collect();
        sent += bodies.len() as u64;
        queue.send(bodies.iter().map(|body| message(body)).collect()).wait()?;
        known.sent.extend(bodies);
        let from = if rng.below(4) == 0 { dead } else { queue };
        let receive = Receive {
            messages_max: 1 + rng.below(4) as usize,
            bytes_max: usize::MAX,
            visibility_ms: None,
            remembered: rng.below(4) > 0,
        };
        let messages = from.receive(receive)?;
        let (gone, back) = messages.split_at(messages.len() * 3 / 4);
        let receipts: Vec<_> = back.iter().map(|message| (message.receipt, 0)).collect();
        from.change_visibility(&receipts)?;
        known.deleting.extend(self::bodies(gone));
        let receipts: Vec<_> = gone.iter().map(|message| message.receipt).collect();
        let answers = from.delete(&receipts).wait()?;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        known.deleted.extend(self::bodies(gone));
    }
}

/// Every message that is there, by body; each once.
fn found(disk: &SimDisk, clock: &TestClock) -> BTreeMap<String, String> {
    let queues = open(disk, clock);
    let later = TestClock::new(START_MS + 1_000_000);
    let mut found = BTreeMap::new();
    let counts: Vec<_> =
        ["q", "dead"].iter().map(|name| queues.get(name).unwrap().statistics()).collect();
    // Counts add up, although they were written again while others were on the way.
    let there = |one: &QueueStatistics| one.visible + one.in_flight + one.delayed;
    let went: u64 = counts.iter().map(|one| there(one) + one.deleted).sum();
    assert_eq!(counts[0].sent, went, "{counts:?}");
    drop(queues);
    let queues = open(disk, &later);
    for (name, counts) in ["dead", "q"].into_iter().zip(counts.iter().rev()) {
        let queue = queues.get(name).unwrap();
        let there = there(counts);
        let mut messages = 0;
        queue.set_attributes(broker::queues::QueueAttributes::default()).wait().unwrap();
        loop {
            let received = receive_with(&queue, 100, false);
            messages += received.len() as u64;
            for body in bodies(&received) {
                assert_eq!(found.insert(body, name.to_string()), None, "a message twice");
            }
            if received.is_empty() {
                break;
            }
        }
        assert_eq!(messages, there, "{name}");
    }
    found
}

#[test]
fn p1_what_threads_were_told_holds_after_a_crash_in_the_midst_of_cleaning() {
    for seed in 0..80 {
        let (disk, clock) = (SimDisk::new(seed), TestClock::new(START_MS));
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let queues =
            Queues::open(shared, Path::new(DIR), small(), Arc::new(clock.clone())).unwrap();
        let dead = make(&queues, "dead");
        let queue = make_with_redrive(&queues, "q", "dead", 2);
        let stuck = make(&queues, "stuck");
        send(&stuck, &["stuck"]);
        disk.crash_at(100 + Rng(seed).below(1200));
        let known: Vec<_> = thread::scope(|scope| {
            let tidy = scope.spawn(|| while queues.tidy().is_ok() {});
            let threads: Vec<_> = (0..3)
                .map(|n| {
                    scope.spawn({
                        let (queue, dead) = (&queue, &dead);
                        move || work(n, seed, queue, dead)
                    })
                })
                .collect();
            tidy.join().unwrap();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        drop(queues);
        for (after, what) in
            [(disk.after_power_loss(seed), "power loss"), (disk.after_process_kill(), "kill")]
        {
            let found = found(&after, &clock);
            let deleting: BTreeSet<_> =
                known.iter().flat_map(|(known, _)| &known.deleting).collect();
            for (known, error) in &known {
                let ended = matches!(
                    error,
                    Some(BrokerError::Stopped { .. } | BrokerError::Unreadable { .. })
                );
                assert!(ended, "{error:?}");
                for body in &known.deleted {
                    assert!(!found.contains_key(body), "seed {seed}, {what}: {body} is back");
                }
                for body in known.sent.iter().filter(|body| !deleting.contains(body)) {
                    assert!(found.contains_key(body), "seed {seed}, {what}: {body} is lost");
                }
            }
            let queues = open(&after, &clock);
            assert_eq!(receive(&queues.get("stuck").unwrap(), 1).len(), 1);
        }
    }
}

/// Purges and changes of attributes while segments are cleaned, until the disk crashes: the bodies
/// that were purged, and the last change that was acknowledged.
fn purge_and_change(queue: &Queue, clock: &TestClock) -> (Vec<String>, u64) {
    let (mut purged, mut changed) = (Vec::new(), 0);
    let mut turn = || -> Result<(), BrokerError> {
        for n in 0.. {
            let bodies: Vec<_> = (0..4).map(|k| format!("{n}/{k}/{}", "y".repeat(700))).collect();
            queue.send(bodies.iter().map(|body| message(body)).collect()).wait()?;
            queue.set_tags([("n".to_string(), n.to_string())].into()).wait()?;
            changed = n;
            clock.advance(60_000);
            queue.purge().wait()?;
            purged.extend(bodies);
        }
        Ok(())
    };
    turn().unwrap_err();
    (purged, changed)
}

#[test]
fn p1_purges_and_changes_hold_after_a_crash_in_the_midst_of_cleaning() {
    for seed in 0..60 {
        let (disk, clock) = (SimDisk::new(seed), TestClock::new(START_MS));
        let queues = open(&disk, &clock);
        let (busy, changed) = (make(&queues, "busy"), make(&queues, "changed"));
        disk.crash_at(100 + Rng(seed).below(800));
        let (purged, last) = thread::scope(|scope| {
            let tidy = scope.spawn(|| while queues.tidy().is_ok() {});
            let fill = scope.spawn(|| {
                while busy.send(vec![message(&"x".repeat(600))]).wait().is_ok() {
                    let any = Receive {
                        messages_max: 10,
                        bytes_max: usize::MAX,
                        visibility_ms: None,
                        remembered: false,
                    };
                    let Ok(messages) = busy.receive(any) else { return };
                    let receipts: Vec<_> = messages.iter().map(|one| one.receipt).collect();
                    let _ = busy.delete(&receipts).wait();
                }
            });
            let outcome = purge_and_change(&changed, &clock);
            tidy.join().unwrap();
            fill.join().unwrap();
            outcome
        });
        drop(queues);
        for after in [disk.after_power_loss(seed), disk.after_process_kill()] {
            let queues = open(&after, &clock);
            let changed = queues.get("changed").unwrap();
            let there = bodies(&receive(&changed, 10_000));
            let back: Vec<_> = there.iter().filter(|body| purged.contains(body)).collect();
            assert!(back.is_empty(), "seed {seed}: purged messages are back: {}", back.len());
            let tag = changed.tags().get("n").map_or(0, |n| n.parse().unwrap());
            assert!(tag >= last, "seed {seed}: {tag} instead of {last}");
        }
    }
}
