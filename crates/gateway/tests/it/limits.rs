//! Each limit of HTTP by its name; none of them disturbs other connections.

use std::io::Write;
use std::time::Duration;

use crate::kit::{Reply, World, is_closed, options};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn header_read_timeout_closes_slow_headers() {
    let mut options = options();
    options.http.header_read_timeout = SHORT;
    let world = World::with(options);
    let mut slow: Vec<_> = (0..50).map(|_| world.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"POST / HTTP/1.1\r\nhost: local").unwrap();
    }
    // Less than what tells HTTP/1.1 from HTTP/2.
    let mut slower = world.connect();
    slower.write_all(b"PRI * HT").unwrap();
    world.assert_serves();
    for stream in slow.iter_mut().chain([&mut slower]) {
        assert!(is_closed(stream));
    }
    world.assert_serves();
}

#[test]
fn idle_timeout_closes_idle_connections_and_no_others() {
    let mut options = options();
    options.http.idle_timeout = SHORT;
    let world = World::with(options);
    let mut never_used = world.connect();
    let mut used = world.connect();
    used.write_all(world.post("AmazonSQS", "ListQueues", "{}").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut used).status, 200);
    let queue = serde_json::json!({"QueueName": "q"});
    let url = world.sqs("CreateQueue", &queue).ok()["QueueUrl"].as_str().unwrap().to_owned();
    // A long poll is not idle.
    let poll = format!(r#"{{"QueueUrl":"{url}","WaitTimeSeconds":2}}"#);
    let mut polling = world.connect();
    polling.write_all(world.post("AmazonSQS", "ReceiveMessage", &poll).as_bytes()).unwrap();
    assert!(is_closed(&mut never_used));
    assert!(is_closed(&mut used));
    assert_eq!(Reply::read(&mut polling).ok(), serde_json::json!({}));
}

#[test]
fn header_bytes_max_refuses_long_headers() {
    let mut options = options();
    options.http.header_bytes_max = 16 << 10;
    let world = World::with(options);
    let call = world.post("AmazonSQS", "ListQueues", "{}");
    let with =
        |bytes: usize| call.replacen("\r\n", &format!("\r\nx-long: {}\r\n", "x".repeat(bytes)), 1);
    assert_eq!(world.raw(with(8 << 10)).status, 200);
    assert_eq!(world.raw(with(32 << 10)).status, 431);
    world.assert_serves();
}

#[test]
fn request_bytes_max_refuses_huge_bodies_and_closes() {
    let mut options = options();
    options.http.request_bytes_max = 1 << 20;
    let world = World::with(options);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost:{}\r\nx-amz-target: AmazonSQS.ListQueues\r\n",
        world.port
    );
    // By its length, before any of it came.
    let mut declared = world.connect();
    declared.write_all(format!("{head}content-length: 99999999999\r\n\r\n").as_bytes()).unwrap();
    let reply = Reply::read(&mut declared);
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert_eq!(reply.error(), "RequestEntityTooLargeException");
    assert!(reply.body.contains("request_bytes_max"), "{reply:?}");
    // In chunks, once there is too much of it.
    let mut chunked = world.connect();
    chunked.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..40 {
        if chunked.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(Reply::read(&mut chunked).status, 413);
    drop(declared);
    // What is just allowed is read whole.
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat((1 << 20) - 8));
    assert_eq!(body.len(), 1 << 20);
    assert_eq!(world.raw(world.post("AmazonSQS", "ListQueues", &body)).status, 200);
    assert_eq!(world.raw(world.post("AmazonSQS", "ListQueues", &format!("{body} "))).status, 413);
}

#[test]
fn body_read_timeout_ends_bodies_that_do_not_come() {
    let mut options = options();
    options.http.body_read_timeout = SHORT;
    let world = World::with(options);
    let call = world.post("AmazonSQS", "ListQueues", "{}");
    let mut stalled: Vec<_> = (0..20).map(|_| world.connect()).collect();
    for stream in &mut stalled {
        stream.write_all(&call.as_bytes()[..call.len() - 1]).unwrap();
    }
    world.assert_serves();
    for stream in &mut stalled {
        let reply = Reply::read(stream);
        assert_eq!(reply.status, 408);
        assert!(reply.body.contains("body_read_timeout"), "{reply:?}");
        assert!(is_closed(stream));
    }
}

#[test]
fn in_flight_bytes_max_refuses_what_does_not_fit() {
    let mut options = options();
    options.http.request_bytes_max = 1 << 20;
    options.http.in_flight_bytes_max = 1 << 20;
    let world = World::with(options);
    let body = "x".repeat(900 << 10);
    let call = world.post("AmazonSQS", "ListQueues", &body);
    // Either of the two may come in first; it is over when the first is held and the second not.
    let refused = loop {
        let mut first = world.connect();
        first.write_all(&call.as_bytes()[..call.len() - 1]).unwrap();
        let second = world.raw(&call);
        if second.status == 503 && first.write_all(b"x").is_ok() {
            let first = Reply::read(&mut first);
            if first.status == 400 && first.error() == "SerializationException" {
                break second;
            }
        }
    };
    assert!(refused.body.contains("in_flight_bytes_max"), "{refused:?}");
    assert_eq!(world.raw(&call).error(), "SerializationException", "there is room again");
}

#[test]
fn connections_max_refuses_politely_while_all_are_fresh() {
    let mut options = options();
    options.http.connections_max = 10;
    let world = World::with(options);
    let mut held: Vec<_> = (0..10)
        .map(|_| {
            let mut stream = world.connect();
            stream.write_all(world.post("AmazonSQS", "ListQueues", "{}").as_bytes()).unwrap();
            assert_eq!(Reply::read(&mut stream).status, 200);
            stream
        })
        .collect();
    let reply = world.raw(world.post("AmazonSQS", "ListQueues", "{}"));
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("connections_max"), "{reply:?}");
    for stream in &mut held {
        stream.write_all(world.post("AmazonSQS", "ListQueues", "{}").as_bytes()).unwrap();
        assert_eq!(Reply::read(stream).status, 200, "those that are there go on");
    }
}

#[test]
fn thousands_of_idle_connections_make_room_for_those_that_work() {
    let mut options = options();
    options.http.connections_max = 100;
    options.http.idle_evict_min = Duration::ZERO;
    let world = World::with(options);
    let mut working = world.connect();
    let mut idle = std::collections::VecDeque::new();
    for number in 1..=3_000 {
        idle.push_back(world.connect());
        if idle.len() > 300 {
            idle.pop_front();
        }
        if number % 20 == 0 {
            working.write_all(world.post("AmazonSQS", "ListQueues", "{}").as_bytes()).unwrap();
            assert_eq!(Reply::read(&mut working).status, 200, "after {number}");
            // Connections are taken in order, so the idle ones have been taken by now.
            world.assert_serves();
        }
    }
    world.assert_serves();
}

#[test]
fn answer_write_timeout_closes_readers_that_do_not_read() {
    let mut options = options();
    options.http.answer_write_timeout = SHORT;
    options.shard_limits = None;
    let world = World::with(options);
    world.kinesis("CreateStream", &serde_json::json!({"StreamName": "s", "ShardCount": 1})).ok();
    let data = "A".repeat(1 << 20);
    for _ in 0..12 {
        let record =
            serde_json::json!({"StreamName": "s", "PartitionKey": "k", "Data": data.as_str()});
        world.kinesis("PutRecord", &record).ok();
    }
    let shard = serde_json::json!({
        "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"
    });
    let iterator = world.kinesis("GetShardIterator", &shard).ok()["ShardIterator"].clone();
    let get = serde_json::json!({"ShardIterator": iterator}).to_string();
    let mut stuck = world.connect();
    // As many answers as it takes to fill what the system holds for the socket.
    for _ in 0..8 {
        let call = world.post("Kinesis_20131202", "GetRecords", &get);
        if stuck.write_all(call.as_bytes()).is_err() {
            break;
        }
    }
    // What the socket takes is soon used up; then it is either closed, or the write times out.
    let error = loop {
        if let Err(error) = stuck.write_all(&[b' '; 4096]) {
            break error.kind();
        }
    };
    let closed = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(closed.contains(&error), "it is still open: {error}");
    world.assert_serves();
}
