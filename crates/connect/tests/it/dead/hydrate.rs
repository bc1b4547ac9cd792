//! Letters out of a queue that another system filled with metadata.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use broker::queues::{NewMessage, Queue, QueueAttributes};
use broker::streams::{NewRecord, SequenceNumber, Stream};
use broker::{Broker, BrokerOptions};
use connect::dead::hydrate::embedded::{EmbeddedMessages, EmbeddedRecords, SequenceForm};
use connect::dead::hydrate::remote::{RemoteMessages, RemoteRecords};
use connect::dead::hydrate::{
    DeadMessages, HydrateError, HydrateOptions, Hydrated, StreamRecords, hydrate,
};
use connect::dead::{DeadFolder, Found, LetterFilter, letter_id};
use event::source::Stop;
use event::{Clock, LedgerId, TestClock};
use gateway::kinesis::LongSequenceNumber;
use journal::{Disk, SimDisk};
use serde_json::json;

use super::kit::{NOW, ROOT, found};
use crate::endpoint::Server;

const HOUR_MS: i64 = 3_600_000;

fn form() -> SequenceForm {
    SequenceForm {
        read: |stream, text| {
            let long: LongSequenceNumber = text.parse().ok()?;
            long.is_of(stream, long.shard()).then(|| (long.shard(), long.sequence()))
        },
        show: |stream, shard, number| LongSequenceNumber::new(stream, shard, number).to_string(),
    }
}

fn options() -> HydrateOptions {
    HydrateOptions {
        pipe: "app".into(),
        ledger_id: LedgerId(7),
        store_bytes_max: 1 << 30,
        drop_aged_out: false,
        dry_run: false,
    }
}

struct World {
    broker: Broker,
    clock: Arc<TestClock>,
    stream: Arc<Stream>,
    queue: Arc<Queue>,
}

impl World {
    fn new() -> Self {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(9));
        let clock = Arc::new(TestClock::new(NOW));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let broker =
            Broker::open(&disk, Path::new("/broker"), BrokerOptions::default(), &shared).unwrap();
        let stream = broker.streams().create("in", 1, BTreeMap::new()).unwrap();
        let queues = broker.queues();
        let queue =
            queues.create("dlq", QueueAttributes::default(), BTreeMap::new()).wait().unwrap();
        Self { broker, clock, stream, queue }
    }

    fn run(&self, disk: &Arc<dyn Disk>, options: &HydrateOptions) -> Vec<Hydrated> {
        self.try_run(disk, options).unwrap()
    }

    fn try_run(
        &self,
        disk: &Arc<dyn Disk>,
        options: &HydrateOptions,
    ) -> Result<Vec<Hydrated>, HydrateError> {
        let mut messages = EmbeddedMessages::open(&self.broker, "dlq").unwrap();
        let mut records = EmbeddedRecords::new(&self.broker, form());
        run(&mut messages, &mut records, disk, options)
    }

    fn waiting(&self) -> u64 {
        self.queue.statistics().visible
    }
}

fn run(
    messages: &mut dyn DeadMessages,
    records: &mut dyn StreamRecords,
    disk: &Arc<dyn Disk>,
    options: &HydrateOptions,
) -> Result<Vec<Hydrated>, HydrateError> {
    let store = DeadFolder::new(Arc::clone(disk), ROOT.as_ref());
    let mut heard = Vec::new();
    let stop = Stop::default();
    hydrate(messages, records, &store, options, &stop, &mut |one| heard.push(one.clone()))?;
    Ok(heard)
}

fn put(stream: &Stream, ids: std::ops::Range<u64>) {
    let record = |id: u64| NewRecord {
        partition_key: format!("user-{}", id % 3),
        explicit_hash_key: None,
        data: format!("{{\"id\":{id}}}").into(),
    };
    stream.put(ids.map(record).collect()).wait().unwrap();
}

/// What Lambda sends of records `first..=last` of shard 0.
fn batch_info(stream: &Stream, first: u64, last: u64) -> String {
    let long = |number| LongSequenceNumber::new(stream, 0, SequenceNumber(number)).to_string();
    json!({
        "requestContext": {
            "requestId": "c9b8fa9f",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": { "statusCode": 200, "functionError": "Unhandled" },
        "version": "1.0",
        "timestamp": "2025-11-03T10:05:03.123Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": long(first),
            "endSequenceNumber": long(last),
            "approximateArrivalOfFirstRecord": "2025-11-03T10:05:00Z",
            "approximateArrivalOfLastRecord": "2025-11-03T10:05:01Z",
            "batchSize": last - first + 1,
            "streamArn": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", stream.name()),
        },
    })
    .to_string()
}

fn send(queue: &Queue, body: String) {
    queue.send(vec![NewMessage { body: body.into(), ..Default::default() }]).wait().unwrap();
}

fn ids(found: &[Found]) -> Vec<u64> {
    let id = |one: &Found| -> u64 {
        serde_json::from_slice::<serde_json::Value>(&one.letter.body).unwrap()["id"]
            .as_u64()
            .unwrap()
    };
    let mut ids: Vec<u64> = found.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn p5_full_records_become_letters_once_and_their_message_goes() {
    let world = World::new();
    put(&world.stream, 0..30);
    send(&world.queue, batch_info(&world.stream, 5, 9));
    send(&world.queue, "hello".into());
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let dry = world.run(&disk, &HydrateOptions { dry_run: true, ..options() });
    assert_eq!((dry[0].letters, dry[0].deleted, world.waiting()), (5, false, 2));
    assert!(found(&disk, LetterFilter::default()).is_empty());

    let heard = world.run(&disk, &options());
    assert_eq!((heard[0].letters, heard[0].deleted), (5, true));
    assert!(heard[1].problem.as_ref().unwrap().contains("doesn't name records"), "{heard:?}");
    assert_eq!(world.waiting(), 1, "what isn't understood stays");
    let letters = found(&disk, LetterFilter::default());
    assert_eq!(ids(&letters), [4, 5, 6, 7, 8]);
    let one = &letters.iter().find(|one| ids(std::slice::from_ref(one)) == [4]).unwrap().letter;
    assert_eq!(one.start, 5.into());
    let shard = format!("in/0@{:032x}", world.stream.creation_id());
    assert_eq!(one.shard, shard, "as the pipe's source calls it");
    assert_eq!(one.id, letter_id(LedgerId(7), "app", &shard, 5.into(), 0));
    assert_eq!((one.partition_key.as_deref(), one.broker_ms), (Some(&b"user-1"[..]), Some(NOW)));
    assert_eq!((one.class.as_str(), one.died_ms), ("RetryAttemptsExhausted", NOW));

    // A message that comes twice makes no second letter.
    send(&world.queue, batch_info(&world.stream, 5, 9));
    assert_eq!(world.run(&disk, &options()).len(), 2);
    assert_eq!(found(&disk, LetterFilter::default()), letters);
}

#[test]
fn p5_records_that_aged_out_are_named_and_their_message_stays() {
    let world = World::new();
    put(&world.stream, 0..10);
    world.clock.advance(20 * HOUR_MS);
    put(&world.stream, 10..20);
    world.clock.advance(5 * HOUR_MS);
    send(&world.queue, batch_info(&world.stream, 6, 15));
    send(&world.queue, batch_info(&world.stream, 1, 3));
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let heard = world.run(&disk, &options());
    let long =
        |number| LongSequenceNumber::new(&world.stream, 0, SequenceNumber(number)).to_string();
    let part = heard[0].aged_out.as_ref().unwrap();
    assert_eq!((&part.from, &part.to, part.to_the_end), (&long(6), &long(11), false));
    assert_eq!(heard[0].letters, 5);
    let whole = heard[1].aged_out.as_ref().unwrap();
    assert_eq!((&whole.from, &whole.to, whole.to_the_end), (&long(1), &long(3), true));
    assert_eq!((heard[1].letters, world.waiting()), (0, 2));
    assert_eq!(ids(&found(&disk, LetterFilter::default())), [10, 11, 12, 13, 14]);
    let dropped = world.run(&disk, &HydrateOptions { drop_aged_out: true, ..options() });
    assert!(dropped.iter().all(|one| one.deleted) && dropped[0].aged_out.is_some());
    assert_eq!(world.waiting(), 0);
}

#[test]
fn p5_a_message_of_another_stream_stays() {
    let world = World::new();
    put(&world.stream, 0..3);
    let other = world.broker.streams().create("other", 1, BTreeMap::new()).unwrap();
    send(&world.queue, batch_info(&other, 1, 2).replace("stream/other", "stream/in"));
    send(&world.queue, batch_info(&world.stream, 1, 2).replace("stream/in", "stream/gone"));
    send(&world.queue, batch_info(&world.stream, 2, 9));
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let heard = world.run(&disk, &options());
    for (one, says) in heard.iter().zip(["never gave", "is not there", "ends before"]) {
        assert!(one.problem.as_ref().unwrap().contains(says), "{one:?}");
    }
    assert_eq!((heard.len(), world.waiting()), (3, 3));
}

#[test]
fn p1_p5_a_message_goes_only_when_its_letters_are_durable() {
    let whole = SimDisk::new(1);
    let world = World::new();
    put(&world.stream, 0..30);
    send(&world.queue, batch_info(&world.stream, 5, 7));
    world.run(&(Arc::new(whole.clone()) as Arc<dyn Disk>), &options());
    for op in 0..=whole.ops() {
        let seed = op;
        let world = World::new();
        put(&world.stream, 0..30);
        send(&world.queue, batch_info(&world.stream, 5, 7));
        let disk = SimDisk::new(seed);
        disk.crash_at(op);
        let ended = world.try_run(&(Arc::new(disk.clone()) as Arc<dyn Disk>), &options());
        assert_eq!(ended.is_ok(), op == whole.ops(), "operation {op}");
        let after: Arc<dyn Disk> = Arc::new(disk.after_power_loss(seed));
        if world.waiting() == 0 {
            let letters = found(&after, LetterFilter::default());
            assert_eq!(ids(&letters), [4, 5, 6], "operation {op}");
        }
        world.run(&after, &options());
        assert_eq!(world.waiting(), 0);
        let letters = found(&after, LetterFilter::default());
        assert_eq!(ids(&letters), [4, 5, 6], "operation {op}, done again");
        assert!(letters.iter().all(|one| !one.edited));
    }
}

#[test]
fn p5_queue_and_stream_behind_an_endpoint() {
    let server = Server::start();
    let stream = server.stream("in", 1);
    let queue = server.queue("dlq");
    put(&stream, 0..30);
    send(&queue, batch_info(&stream, 5, 9));
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let mut messages = RemoteMessages::open(&server.endpoint(), "dlq").unwrap();
    let mut records = RemoteRecords::open(&server.endpoint()).unwrap();
    let heard = run(&mut messages, &mut records, &disk, &options()).unwrap();
    assert_eq!((heard[0].letters, heard[0].deleted, heard.len()), (5, true, 1), "{heard:?}");
    let letters = found(&disk, LetterFilter::default());
    assert_eq!(ids(&letters), [4, 5, 6, 7, 8]);
    assert!(letters[0].letter.shard.starts_with("in/shardId-000000000000@"));
    assert_eq!(queue.statistics().visible, 0);
    assert!(RemoteMessages::open(&server.endpoint(), "nothing").is_err());
}
