//! A stream behind an endpoint.

use std::sync::Arc;
use std::time::Duration;

use connect::{RemoteStreamOptions, RemoteStreamSource, StreamStart};
use event::batch::Offsets;
use event::source::{Received, Source, SourceState, Stop};
use event::{Batch, SystemClock};

use super::{LIMITS, Server, bodies, error, eventually, payloads, put, settled, take};

fn options(server: &Server, start: StreamStart) -> RemoteStreamOptions {
    RemoteStreamOptions { stream: "in".into(), endpoint: server.endpoint(), start }
}

fn source(server: &Server, start: StreamStart, state: &SourceState) -> RemoteStreamSource {
    RemoteStreamSource::open(options(server, start), state.clone(), Arc::new(SystemClock)).unwrap()
}

const OLDEST: StreamStart = StreamStart::TrimHorizon;

#[test]
fn all_shards_are_read_in_order_of_arrival_and_a_restart_goes_on() {
    let server = Server::start();
    let stream = server.stream("in", 3);
    for part in 0..10 {
        put(&stream, &bodies(part * 10..part * 10 + 10));
    }
    let mut state = SourceState::new();
    let mut first = source(&server, OLDEST, &state);
    let batches = take(&mut first, 100).unwrap();
    assert_eq!(payloads(&batches), bodies(0..100));
    for batch in &batches {
        let key_is_payload =
            |(index, event)| batch.partition_keys.get(index) == Some(batch.raw(event));
        assert!(batch.events.iter().enumerate().all(key_is_payload));
    }
    let arrived: Vec<i64> =
        batches.iter().flat_map(|batch| batch.extents[0].broker_ms.clone()).collect();
    assert!(arrived.is_sorted(), "{arrived:?}");
    settled(&batches, &mut state);
    assert_eq!(state.len(), 3);
    drop(first);
    put(&stream, &bodies(100..120));
    let batches = take(&mut source(&server, OLDEST, &state), 20).unwrap();
    assert_eq!(payloads(&batches), bodies(100..120));
    settled(&batches, &mut state);
    let mut third = source(&server, OLDEST, &state);
    put(&stream, &bodies(120..121));
    assert_eq!(payloads(&take(&mut third, 1).unwrap()), bodies(120..121));
}

#[test]
fn a_restart_reads_again_from_an_event_that_waited() {
    let server = Server::start();
    let stream = server.stream("in", 1);
    put(&stream, &bodies(0..10));
    let batches = take(&mut source(&server, OLDEST, &SourceState::new()), 10).unwrap();
    let Offsets::Mixed(mixed) = &batches[0].extents[0].offsets else { panic!() };
    let shard = &mixed.shards[0];
    // All but the fourth are settled.
    let mut state = SourceState::new();
    let known = state.entry(shard.shard.clone()).or_default();
    known.settle(shard.start, mixed.offsets[3]);
    known.settle(mixed.offsets[3].next(), shard.end);
    known.mark = shard.mark.clone().map(|mark| (shard.end, mark));
    let again = take(&mut source(&server, OLDEST, &state), 7).unwrap();
    assert_eq!(payloads(&again), bodies(3..10));
}

#[test]
fn start_latest_is_remembered_before_anything_is_read() {
    let server = Server::start();
    let stream = server.stream("in", 2);
    put(&stream, &bodies(0..10));
    let mut state = SourceState::new();
    let mut first = source(&server, StreamStart::Latest, &state);
    let mut begun: Vec<Batch> = Vec::new();
    eventually("both shards are begun", || {
        if let Received::Batch(batch) = first.receive(&LIMITS, &Stop::default()).unwrap() {
            assert!(batch.events.is_empty());
            begun.push(batch);
        }
        let mut known = SourceState::new();
        settled(&begun, &mut known);
        known.len() == 2
    });
    settled(&begun, &mut state);
    drop(first);
    // Put while nobody reads. The clock that the position rests on counts milliseconds.
    put(&stream, &bodies(10..20));
    let batches = take(&mut source(&server, StreamStart::Latest, &state), 10).unwrap();
    assert_eq!(payloads(&batches), bodies(10..20));
}

#[test]
fn a_stream_that_is_missing_is_named_with_those_that_exist() {
    let server = Server::start();
    server.stream("clicks", 1);
    let error = error(&mut source(&server, OLDEST, &SourceState::new()));
    assert!(error.contains("stream `in` does not exist") && error.contains("clicks"), "{error}");
}

#[test]
fn a_stream_deleted_while_it_is_read_is_named() {
    let server = Server::start();
    let stream = server.stream("in", 2);
    put(&stream, &bodies(0..4));
    let mut source = source(&server, OLDEST, &SourceState::new());
    take(&mut source, 4).unwrap();
    server.broker.streams().delete("in").unwrap();
    let error = error(&mut source);
    assert!(error.contains("stream `in` was deleted"), "{error}");
}

#[test]
fn an_endpoint_that_is_away_is_waited_for() {
    let mut server = Server::away();
    let stream = server.stream("in", 2);
    put(&stream, &bodies(0..4));
    let mut source = source(&server, OLDEST, &SourceState::new());
    let status = source.status().unwrap();
    eventually("a call has failed", || {
        status.errors.load(std::sync::atomic::Ordering::Relaxed) > 0
    });
    server.arrive();
    assert_eq!(payloads(&take(&mut source, 4).unwrap()), bodies(0..4));
}

#[test]
fn large_records_keep_within_the_limits_of_a_batch() {
    let server = Server::start();
    let stream = server.stream("in", 1);
    let large: Vec<String> = (0..6).map(|id| format!("{id}{}", "x".repeat(400_000))).collect();
    for one in &large {
        let record = broker::streams::NewRecord {
            partition_key: "k".into(),
            explicit_hash_key: None,
            data: one.clone().into(),
        };
        stream.put(vec![record]).wait().unwrap();
    }
    let mut limits = LIMITS;
    limits.interval_max = Duration::from_millis(500);
    let mut source = source(&server, OLDEST, &SourceState::new());
    let mut count = 0;
    eventually("all are here", || {
        if let Received::Batch(batch) = source.receive(&limits, &Stop::default()).unwrap() {
            assert!(batch.buffer.len() <= limits.bytes_max, "{} bytes", batch.buffer.len());
            count += batch.events.len();
        }
        count == 6
    });
}
