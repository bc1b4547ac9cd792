//! `generate --to`: what is sent, what is sent again, and what counts as acknowledged.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::fake_service::{Answer, FakeService, Request};
use crate::kit::{Ended, World};

/// Records of a `PutRecords`, decoded: partition key and event.
fn records(request: &Request) -> Vec<(String, Value)> {
    assert_eq!(request.action, "PutRecords");
    let records = request.body["Records"].as_array().unwrap();
    let decoded = records.iter().map(|record| {
        let data = base64_simd::STANDARD.decode_to_vec(record["Data"].as_str().unwrap()).unwrap();
        let key = record["PartitionKey"].as_str().unwrap().to_owned();
        (key, serde_json::from_slice(&data).unwrap())
    });
    decoded.collect()
}

/// An answer to `PutRecords` that takes the records for which `refused` says nothing.
fn put(request: &Request, refused: impl Fn(usize) -> Option<&'static str>) -> Answer {
    let count = request.body["Records"].as_array().unwrap().len();
    let records: Vec<Value> = (0..count)
        .map(|index| match refused(index) {
            Some(code) => json!({ "ErrorCode": code, "ErrorMessage": "Rate exceeded" }),
            None => json!({ "SequenceNumber": "1", "ShardId": "shardId-000000000000" }),
        })
        .collect();
    let failed = (0..count).filter(|index| refused(*index).is_some()).count();
    Answer::Ok(json!({ "FailedRecordCount": failed, "Records": records }))
}

fn generate(world: &World, service: &str, more: &[&str]) -> Ended {
    let words = ["generate", "event_config.yml", "--endpoint", service, "--json"];
    world
        .command(&[&words[..], more].concat())
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_REGION")
        .output()
        .map(Ended::new)
        .unwrap()
}

fn summary(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn refused_records_alone_are_sent_again_and_each_is_acknowledged_once() {
    let world = World::with_examples();
    // The first two requests lose every third record to the limits of a shard.
    let service = FakeService::start(|request| {
        let throttled = request.number < 2;
        put(request, |index| {
            (throttled && index % 3 == 0).then_some("ProvisionedThroughputExceededException")
        })
    });
    let words = ["--events", "2k", "--duplicates", "5%", "--to", "stream:app-events"];
    let more = ["--acknowledged", "acknowledged.txt"];
    let ended = generate(&world, &service.url, &[&words[..], &more].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let summary = summary(&ended);
    assert_eq!((&summary["sent"], &summary["acknowledged"]), (&json!(2000), &json!(2000)));
    assert_eq!(summary["retried"], 2 * 167);
    assert_eq!(summary["failure"], Value::Null);

    let mut sent: BTreeMap<String, u32> = BTreeMap::new();
    for request in service.requests() {
        assert_eq!(request.body["StreamName"], "app-events");
        let records = records(&request);
        assert!(records.len() <= 500, "{}", records.len());
        for (index, (partition_key, event)) in records.into_iter().enumerate() {
            assert_eq!(event["event_uuid"], partition_key.as_str(), "the key, by default");
            let refused = request.number < 2 && index % 3 == 0;
            *sent.entry(partition_key).or_default() += u32::from(!refused);
        }
    }
    assert_eq!(sent.len(), 1900);
    let mut acknowledged: BTreeMap<String, u32> = BTreeMap::new();
    for key in String::from_utf8(world.read("acknowledged.txt")).unwrap().lines() {
        *acknowledged.entry(key.to_owned()).or_default() += 1;
    }
    assert_eq!(acknowledged, sent);
}

#[test]
fn the_same_events_go_over_the_wire_as_into_a_file() {
    let world = World::with_examples();
    let service = FakeService::start(|request| put(request, |_| None));
    let words = ["--events", "1200", "--duplicates", "10%", "--connections", "1"];
    let more = ["--to", "stream:s", "--partition-key", "device.os"];
    let ended = generate(&world, &service.url, &[&words[..], &more].concat());
    ended.expect(2, &["--partition-key", "has no field `device.os`"]);
    let more = ["--to", "stream:s", "--partition-key", "app.platform"];
    let ended = generate(&world, &service.url, &[&words[..], &more].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let sent = service.requests().iter().flat_map(records).collect::<Vec<_>>();
    let file =
        world.ok(&["generate", "event_config.yml", "--events", "1200", "--duplicates", "10%"]);
    let lines: Vec<Value> =
        file.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(sent.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>(), lines);
    for (partition_key, event) in &sent {
        assert_eq!(event["app"]["platform"], partition_key.as_str());
    }
}

#[test]
fn trouble_that_passes_is_survived() {
    let world = World::with_examples();
    let service = FakeService::start(|request| match request.number {
        0 => Answer::Error(500, json!({ "__type": "InternalFailure" })),
        1 => Answer::Silence,
        2 => Answer::Error(
            400,
            json!({ "__type": "ProvisionedThroughputExceededException", "message": "slower" }),
        ),
        _ => put(request, |_| None),
    });
    let words = ["--events", "10", "--to", "stream:s", "--connections", "1"];
    let ended = generate(&world, &service.url, &words);
    assert_eq!(ended.code, 0, "{ended:?}");
    let summary = summary(&ended);
    assert_eq!((&summary["acknowledged"], &summary["retried"]), (&json!(10), &json!(30)));
}

#[test]
fn trouble_that_stays_ends_with_4_and_says_what_it_was() {
    let world = World::with_examples();
    let words = ["--events", "5k", "--to", "stream:s", "--retry-for", "300ms"];
    let service = FakeService::start(|request| match request.number {
        0 => put(request, |_| None),
        _ => Answer::Error(500, json!({ "__type": "InternalFailure", "message": "on fire" })),
    });
    let ended = generate(&world, &service.url, &words);
    ended.expect(4, &["stream `s` at http://127.0.0.1", "on fire", "0.3 s", "--retry-for"]);
    assert_eq!(summary(&ended)["acknowledged"], 500, "what was acknowledged is said all the same");

    let missing = json!({ "__type": "ResourceNotFoundException", "message": "Stream s not found" });
    let service = FakeService::start(move |_| Answer::Error(400, missing.clone()));
    let ended = generate(&world, &service.url, &words);
    ended.expect(4, &["ResourceNotFoundException: Stream s not found"]);
    assert!(!ended.stderr.contains("--retry-for"), "it was not tried again: {}", ended.stderr);

    // A port that nobody listens on any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    for to in ["stream:s", "queue:q"] {
        let words = ["--events", "5", "--to", to, "--retry-for", "300ms"];
        generate(&world, &nobody, &words).expect(4, &[&nobody, "refused"]);
    }
}

/// Answers for a queue `q`; messages for which `refused` says something are refused.
fn queue(request: &Request, refused: impl Fn(usize) -> Option<(&'static str, bool)>) -> Answer {
    match request.action.as_str() {
        "GetQueueUrl" if request.body["QueueName"] == "q" => {
            Answer::Ok(json!({ "QueueUrl": "http://somewhere.else:1/000000000000/q" }))
        }
        "GetQueueUrl" => Answer::Error(
            400,
            json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist",
                    "message": "The specified queue does not exist." }),
        ),
        "SendMessageBatch" => {
            let entries = request.body["Entries"].as_array().unwrap();
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for (index, entry) in entries.iter().enumerate() {
                match refused(index) {
                    Some((code, sender_fault)) => failed.push(json!({
                        "Id": entry["Id"], "Code": code, "SenderFault": sender_fault,
                    })),
                    None => successful.push(json!({
                        "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0",
                    })),
                }
            }
            Answer::Ok(json!({ "Successful": successful, "Failed": failed }))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_queue_gets_batches_of_ten_and_refused_messages_again() {
    let world = World::with_examples();
    let service = FakeService::start(|request| {
        let busy = request.number < 5;
        queue(request, |index| (busy && index == 4).then_some(("ServiceUnavailable", false)))
    });
    let words = ["generate", "iot_config.yml", "--events", "105", "--to", "queue:q", "--json"];
    let words = [&words[..], &["--endpoint", &service.url, "--acknowledged", "a.txt"]].concat();
    let ended = world.ok(&words);
    let summary = summary(&ended);
    assert_eq!(summary["acknowledged"], 105);
    let mut bodies = Vec::new();
    for request in service.requests().iter().filter(|request| request.action != "GetQueueUrl") {
        let entries = request.body["Entries"].as_array().unwrap();
        assert!(entries.len() <= 10);
        let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
        bodies.extend(entries.iter().map(body));
    }
    assert_eq!(bodies.len() as u64, 105 + summary["retried"].as_u64().unwrap());
    bodies.sort();
    bodies.dedup();
    let file = world.ok(&["generate", "iot_config.yml", "--events", "105"]).stdout;
    let mut lines: Vec<_> = file.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(bodies, lines);
    let acknowledged = String::from_utf8(world.read("a.txt")).unwrap();
    assert_eq!(acknowledged.lines().count(), 105);
    let key: Vec<String> = serde_json::from_str(acknowledged.lines().next().unwrap()).unwrap();
    assert!(key[1].ends_with("_EVENT"), "both fields of the key: {key:?}");
}

#[test]
fn a_queue_that_is_not_there_or_refuses_for_good_is_4() {
    let world = World::with_examples();
    let service = FakeService::start(|request| {
        queue(request, |index| (index == 2).then_some(("InvalidMessageContents", true)))
    });
    let words = ["--events", "30", "--connections", "1", "--to"];
    let ended = generate(&world, &service.url, &[&words[..], &["queue:other"]].concat());
    ended.expect(4, &["queue `other` at", "QueueDoesNotExist"]);
    let ended = generate(&world, &service.url, &[&words[..], &["queue:q"]].concat());
    ended.expect(4, &["queue `q` at", "InvalidMessageContents"]);
    assert_eq!(summary(&ended)["acknowledged"], 9);
}

#[test]
fn connections_share_the_work() {
    let world = World::with_examples();
    // The first four requests are answered when all of them have come.
    let together = std::sync::Barrier::new(4);
    let waited = Mutex::new(0);
    let service = FakeService::start(move |request| {
        let first = {
            let mut waited = waited.lock().unwrap();
            *waited += 1;
            *waited <= 4
        };
        if first {
            together.wait();
        }
        put(request, |_| None)
    });
    let words = ["--events", "3k", "--to", "stream:s", "--connections", "4"];
    let ended = generate(&world, &service.url, &words);
    assert_eq!(summary(&ended)["acknowledged"], 3000);
}
