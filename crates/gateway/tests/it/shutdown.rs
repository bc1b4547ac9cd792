//! Ending in order.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::{PATIENCE, Reply, World, is_closed};

#[test]
fn requests_under_way_end_and_long_polls_are_answered() {
    let mut world = World::start();
    let url = world.sqs("CreateQueue", &json!({"QueueName": "q"})).ok()["QueueUrl"].clone();
    let mut idle = world.connect();
    let poll = json!({"QueueUrl": url, "WaitTimeSeconds": 20}).to_string();
    let mut polling = world.begin(&world.post("AmazonSQS", "ReceiveMessage", &poll));
    polling.write_all(b"}").unwrap();
    let message = json!({"QueueUrl": url, "MessageBody": "m"}).to_string();
    let mut sending = world.begin(&world.post("AmazonSQS", "SendMessage", &message));
    // Connections are taken in order, so the idle one has been taken then.
    world.assert_serves();
    let gateway = world.gateway.take().unwrap();
    let began = Instant::now();
    let stopping = std::thread::spawn(move || gateway.shutdown(PATIENCE));
    assert!(is_closed(&mut idle));
    assert_eq!(Reply::read(&mut polling).ok(), json!({}));
    sending.write_all(b"}").unwrap();
    assert_eq!(Reply::read(&mut sending).status, 200);
    assert!(stopping.join().unwrap(), "all of them ended");
    assert!(began.elapsed() < Duration::from_secs(15), "it did not wait for the poll's end");
    assert!(std::net::TcpStream::connect(("127.0.0.1", world.port)).is_err());
}

#[test]
fn a_request_that_does_not_end_is_left_after_the_drain() {
    let mut world = World::start();
    let call = world.post("AmazonSQS", "ListQueues", "{}");
    let mut stuck = world.begin(&call);
    let gateway = world.gateway.take().unwrap();
    assert!(!gateway.shutdown(Duration::from_millis(50)));
    assert!(is_closed(&mut stuck));
}
