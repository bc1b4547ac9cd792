//! A queue that Lambda filled.

use serde_json::json;

use super::{dead, listed};
use crate::kit::World;
use crate::served::{Sdk, Served};

#[test]
fn p5_hydrate_fetches_whole_records_and_the_run_that_owns_the_folder_does_it() {
    let world = World::new();
    world.write(
        "app.yaml",
        "pipe: app\n\
         source: { kinesis: { stream: events, shards: 1 } }\n\
         dedup: { key: $.id, window: 10m }\n\
         sink: { file: { path: out.ndjson } }\n",
    );
    let served = Served::start(&world, &["app.yaml"]);
    let sdk = Sdk::new(&served);
    let numbers: Vec<String> =
        (0..4).map(|id| sdk.put_at("events", format!("{{\"id\":{id}}}").as_bytes())).collect();
    sdk.create_queue("dlq", &[]);
    let message = json!({
        "requestContext": { "condition": "RetryAttemptsExhausted", "functionArn": "arn:f" },
        "timestamp": "2025-11-03T10:05:03.123Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": numbers[1],
            "endSequenceNumber": numbers[2],
            "batchSize": 2,
            "streamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/events",
        },
    });
    let url = sdk.queue_url("dlq");
    sdk.send(&url, &message.to_string()).unwrap();
    sdk.send(&url, "not a batch").unwrap();
    let ended = dead(&world, &["hydrate", "app.yaml", "--queue", "dlq"]);
    // One message isn't understood, and stays.
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("2 letters; the message deleted"), "{ended:?}");
    assert!(ended.stdout.contains("doesn't name records"), "{ended:?}");
    let letters = listed(&world, &["--from", "2025-11-03", "--to", "2025-11-04"]);
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().all(|one| one["partition_key"] == "k"), "{letters:?}");
    served.wait_until("all delivered", |served| served.outcome("app", "delivered") == 4);
    // The pipe had them itself: a replay says so, and marks the letters.
    let replayed = dead(&world, &["replay", "app.yaml"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(replayed.stdout.contains("2 events: 2 duplicate"), "{replayed:?}");
    assert!(replayed.stdout.contains("2 letters superseded"), "{replayed:?}");
    assert!(listed(&world, &[]).is_empty());
    dead(&world, &["hydrate", "app.yaml", "--queue", "nothing"]).expect(4, &["nothing"]);
    served.stop();
}
