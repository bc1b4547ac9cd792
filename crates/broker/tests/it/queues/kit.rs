//! Queues on a simulated disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use broker::BrokerError;
use broker::queues::{
    Message, NewMessage, Queue, QueueAttributes, Queues, QueuesOptions, Receive, Redrive,
};
use bytes::Bytes;
use event::TestClock;
use journal::{Disk, SimDisk};

pub(super) const DIR: &str = "/queues";
/// 2026-01-01T00:00:00Z.
pub(super) const START_MS: i64 = 1_767_225_600_000;

/// SplitMix64, so that a seed gives the same run everywhere.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

pub(super) fn small() -> QueuesOptions {
    QueuesOptions { segment_bytes: 4096, recent_bytes_max: 2048, ..QueuesOptions::default() }
}

pub(super) fn try_open(
    disk: &SimDisk,
    clock: &TestClock,
    options: QueuesOptions,
) -> Result<Queues, BrokerError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Queues::open_quiet(disk, Path::new(DIR), options, Arc::new(clock.clone()))
}

pub(super) fn open(disk: &SimDisk, clock: &TestClock) -> Queues {
    try_open(disk, clock, small()).unwrap()
}

/// A disk, a clock, and the queues on them.
pub(super) fn fresh() -> (SimDisk, TestClock, Queues) {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
    let queues = open(&disk, &clock);
    (disk, clock, queues)
}

pub(super) fn make(queues: &Queues, name: &str) -> Arc<Queue> {
    queues.create(name, QueueAttributes::default(), BTreeMap::new()).wait().unwrap()
}

pub(super) fn make_with_redrive(queues: &Queues, name: &str, to: &str, max: u32) -> Arc<Queue> {
    let redrive = Redrive { dead_letter_queue: to.into(), receive_count_max: max };
    let attributes = QueueAttributes { redrive: Some(redrive), ..QueueAttributes::default() };
    queues.create(name, attributes, BTreeMap::new()).wait().unwrap()
}

pub(super) fn message(body: &str) -> NewMessage {
    NewMessage { body: Bytes::copy_from_slice(body.as_bytes()), ..NewMessage::default() }
}

pub(super) fn send(queue: &Queue, bodies: &[&str]) {
    queue.send(bodies.iter().map(|body| message(body)).collect()).wait().unwrap();
}

pub(super) fn receive_with(queue: &Queue, messages_max: usize, remembered: bool) -> Vec<Message> {
    let bytes_max = usize::MAX;
    let receive = Receive { messages_max, bytes_max, visibility_ms: None, remembered };
    queue.receive(receive).unwrap()
}

pub(super) fn receive(queue: &Queue, messages_max: usize) -> Vec<Message> {
    receive_with(queue, messages_max, true)
}

pub(super) fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect()
}

/// Deletes what was received; every receipt must hold.
pub(super) fn delete(queue: &Queue, messages: &[Message]) {
    let receipts: Vec<_> = messages.iter().map(|message| message.receipt).collect();
    let answers = queue.delete(&receipts).wait().unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}
