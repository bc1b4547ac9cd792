//! Kinesis, byte by byte: validation, iterators, rates, bad input.

use serde_json::{Value, json};

use crate::kit::{World, options};

const SHARD: &str = "shardId-000000000000";

fn unlimited() -> World {
    let mut options = options();
    options.shard_limits = None;
    World::with(options)
}

fn stream(world: &World, name: &str, shards: u32) {
    assert_eq!(
        world.kinesis("CreateStream", &json!({"StreamName": name, "ShardCount": shards})).ok(),
        Value::Null
    );
}

fn put(world: &World, key: &str, data: &str) -> Value {
    world.kinesis("PutRecord", &json!({"StreamName": "s", "PartitionKey": key, "Data": data})).ok()
}

fn iterator(world: &World, of: Value) -> Value {
    let mut parameters = json!({"StreamName": "s", "ShardId": SHARD});
    parameters.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
    world.kinesis("GetShardIterator", &parameters).ok()["ShardIterator"].clone()
}

fn data(answer: &Value) -> Vec<String> {
    let records = answer["Records"].as_array().unwrap().iter();
    records.map(|record| record["Data"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn errors_are_the_services() {
    let world = unlimited();
    stream(&world, "s", 2);
    let missing = json!({"StreamName": "nope", "PartitionKey": "k", "Data": "AA==", "Records": [{"PartitionKey": "k", "Data": "AA=="}], "ShardId": SHARD, "ShardIteratorType": "LATEST", "RetentionPeriodHours": 48, "Tags": {"a": "b"}, "TagKeys": ["a"]});
    for action in [
        "AddTagsToStream",
        "DecreaseStreamRetentionPeriod",
        "DeleteStream",
        "DescribeStream",
        "DescribeStreamSummary",
        "GetShardIterator",
        "IncreaseStreamRetentionPeriod",
        "ListShards",
        "ListTagsForStream",
        "PutRecord",
        "PutRecords",
        "RemoveTagsFromStream",
    ] {
        let reply = world.kinesis(action, &missing);
        assert_eq!(reply.error(), "ResourceNotFoundException", "{action}");
        assert!(
            reply.body.contains("Stream nope under account 000000000000 not found."),
            "{reply:?}"
        );
        let none = world.kinesis(action, &json!({"ShardId": SHARD}));
        assert_eq!(none.error(), "InvalidArgumentException", "{action}: {none:?}");
    }
    for (action, parameters, expected) in [
        ("CreateStream", json!({"StreamName": "s", "ShardCount": 2}), "ResourceInUseException"),
        ("CreateStream", json!({"StreamName": "a b", "ShardCount": 2}), "ValidationException"),
        (
            "CreateStream",
            json!({"StreamName": "x".repeat(129), "ShardCount": 2}),
            "ValidationException",
        ),
        ("CreateStream", json!({"StreamName": "t", "ShardCount": 0}), "ValidationException"),
        ("CreateStream", json!({"StreamName": "t"}), "ValidationException"),
        ("CreateStream", json!({"ShardCount": 1}), "ValidationException"),
        ("CreateStream", json!({"StreamName": "t", "ShardCount": 5_000}), "LimitExceededException"),
        (
            "CreateStream",
            json!({"StreamName": "t", "StreamModeDetails": {"StreamMode": "X"}}),
            "ValidationException",
        ),
        ("PutRecord", json!({"StreamName": "s", "Data": "AA=="}), "ValidationException"),
        ("PutRecord", json!({"StreamName": "s", "PartitionKey": "k"}), "ValidationException"),
        (
            "PutRecord",
            json!({"StreamName": "s", "PartitionKey": "", "Data": "AA=="}),
            "ValidationException",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "PartitionKey": "ä".repeat(257), "Data": "AA=="}),
            "ValidationException",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "PartitionKey": "k", "Data": "AA==", "ExplicitHashKey": "x"}),
            "ValidationException",
        ),
        (
            "PutRecord",
            json!({"StreamName": "s", "PartitionKey": "k", "Data": "AA==", "ExplicitHashKey": "340282366920938463463374607431768211456"}),
            "InvalidArgumentException",
        ),
        ("PutRecords", json!({"StreamName": "s", "Records": []}), "ValidationException"),
        ("PutRecords", json!({"StreamName": "s"}), "ValidationException"),
        ("GetRecords", json!({}), "ValidationException"),
        ("GetRecords", json!({"ShardIterator": "garbled"}), "InvalidArgumentException"),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"}),
            "ResourceNotFoundException",
        ),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "X"}),
            "ValidationException",
        ),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER"}),
            "InvalidArgumentException",
        ),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "1"}),
            "InvalidArgumentException",
        ),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP"}),
            "InvalidArgumentException",
        ),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 4e12}),
            "InvalidArgumentException",
        ),
        ("DescribeStream", json!({"StreamARN": "x"}), "ValidationException"),
        (
            "DescribeStream",
            json!({"StreamARN": "arn:aws:kinesis:eu-west-9:000000000000:stream/s"}),
            "ResourceNotFoundException",
        ),
        (
            "DescribeStream",
            json!({"StreamName": "t", "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}),
            "InvalidArgumentException",
        ),
        (
            "IncreaseStreamRetentionPeriod",
            json!({"StreamName": "s", "RetentionPeriodHours": 9_000}),
            "InvalidArgumentException",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            json!({"StreamName": "s", "RetentionPeriodHours": 30}),
            "InvalidArgumentException",
        ),
        ("SplitShard", json!({"StreamName": "s"}), "UnknownOperationException"),
    ] {
        let reply = world.kinesis(action, &parameters);
        assert_eq!(reply.error(), expected, "{action} {parameters}: {reply:?}");
        if expected == "UnknownOperationException" {
            assert!(reply.body.contains(action), "{reply:?}");
        }
    }
    for bad in ["{", "[]", r#"{"StreamName":1}"#] {
        assert_eq!(
            world.raw(world.post("Kinesis_20131202", "PutRecord", bad)).error(),
            "SerializationException"
        );
    }
    let cbor = world
        .post("Kinesis_20131202", "PutRecord", "{}")
        .replace("x-amz-json-1.0", "x-amz-cbor-1.1");
    assert!(world.raw(cbor).body.contains("CBOR"));
}

#[test]
fn base64_that_is_not_and_records_that_are_too_large_put_nothing() {
    let world = unlimited();
    stream(&world, "s", 1);
    let records = |data: &str| {
        let good = json!({"PartitionKey": "k", "Data": "AA=="});
        let bad = json!({"PartitionKey": "k", "Data": data});
        world.kinesis("PutRecords", &json!({"StreamName": "s", "Records": [good, bad]}))
    };
    for bad in ["no base64!", "A", "AA=", "AAA\n", "é"] {
        let one = json!({"StreamName": "s", "PartitionKey": "k", "Data": bad});
        assert_eq!(world.kinesis("PutRecord", &one).error(), "SerializationException", "{bad:?}");
        assert_eq!(records(bad).error(), "SerializationException", "{bad:?}");
    }
    // 1 MiB is the most, before base64 and with the key.
    let most = base64((1 << 20) - 1);
    let reply = records(&base64((1 << 20) + 1));
    assert_eq!(reply.error(), "ValidationException");
    assert!(reply.body.contains("1048576"), "{reply:?}");
    assert_eq!(records(&base64(1 << 20)).error(), "InvalidArgumentException");
    assert_eq!(world.broker.streams().get("s").unwrap().statistics().records, 0);
    assert_eq!(records(&most).ok()["FailedRecordCount"], 0);
    put(&world, "k", "");
    let total: Vec<_> = (0..11).map(|_| json!({"PartitionKey": "k", "Data": most})).collect();
    let reply = world.kinesis("PutRecords", &json!({"StreamName": "s", "Records": total}));
    assert_eq!(reply.error(), "InvalidArgumentException", "{}", reply.status);
    let many: Vec<_> = (0..501).map(|_| json!({"PartitionKey": "k", "Data": ""})).collect();
    let reply = world.kinesis("PutRecords", &json!({"StreamName": "s", "Records": many}));
    assert_eq!(reply.error(), "ValidationException");
    assert_eq!(world.broker.streams().get("s").unwrap().statistics().records, 3);
}

fn base64(bytes: usize) -> String {
    let padding = "=".repeat((3 - bytes % 3) % 3);
    format!("{}{padding}", "A".repeat(bytes.div_ceil(3) * 4 - padding.len()))
}

#[test]
fn the_five_iterators() {
    let mut limits = options();
    limits.shard_limits = None;
    let (world, clock) = World::timed(limits);
    stream(&world, "s", 1);
    let mut numbers = Vec::new();
    for data in ["AQ==", "Ag==", "Aw=="] {
        numbers.push(put(&world, "k", data)["SequenceNumber"].clone());
        clock.advance(1_000);
    }
    let latest = iterator(&world, json!({"ShardIteratorType": "LATEST"}));
    put(&world, "k", "BA==");
    let read = |of: Value| data(&world.kinesis("GetRecords", &json!({"ShardIterator": of})).ok());
    let all = ["AQ==", "Ag==", "Aw==", "BA=="];
    assert_eq!(read(iterator(&world, json!({"ShardIteratorType": "TRIM_HORIZON"}))), all);
    assert_eq!(read(latest), all[3..]);
    let at = |kind: &str| {
        iterator(&world, json!({"ShardIteratorType": kind, "StartingSequenceNumber": numbers[1]}))
    };
    assert_eq!(read(at("AT_SEQUENCE_NUMBER")), all[1..]);
    assert_eq!(read(at("AFTER_SEQUENCE_NUMBER")), all[2..]);
    let seconds = 1_800_000_001.5;
    assert_eq!(
        read(iterator(&world, json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": seconds}))),
        all[2..]
    );
    // The number that a description begins with stands before all.
    let described = world.kinesis("DescribeStream", &json!({"StreamName": "s"})).ok();
    let first = &described["StreamDescription"]["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"];
    assert_eq!(
        read(iterator(
            &world,
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": first})
        )),
        all
    );
    // Numbers grow as text, with as many digits as the service's.
    let numbers: Vec<_> = numbers.iter().map(|number| number.as_str().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 56), "{numbers:?}");
}

#[test]
fn a_read_goes_on_at_its_next_iterator() {
    let world = unlimited();
    stream(&world, "s", 1);
    for data in ["AQ==", "Ag==", "Aw=="] {
        put(&world, "key", data);
    }
    let mut at = iterator(&world, json!({"ShardIteratorType": "TRIM_HORIZON"}));
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = world.kinesis("GetRecords", &json!({"ShardIterator": at, "Limit": 2})).ok();
        assert_eq!(answer["Records"][0]["PartitionKey"], "key");
        assert!(answer["Records"][0]["ApproximateArrivalTimestamp"].as_f64().unwrap() > 1.6e9);
        seen.extend(data(&answer));
        at = answer["NextShardIterator"].clone();
    }
    assert_eq!(seen, ["AQ==", "Ag==", "Aw=="]);
    let end = world.kinesis("GetRecords", &json!({"ShardIterator": at})).ok();
    assert_eq!((end["Records"].clone(), &end["MillisBehindLatest"]), (json!([]), &json!(0)));
    for limit in [0, 10_001] {
        let reply = world.kinesis("GetRecords", &json!({"ShardIterator": at, "Limit": limit}));
        assert_eq!(reply.error(), "ValidationException");
    }
}

#[test]
fn iterators_live_for_five_minutes_and_not_beyond_their_stream() {
    let (world, clock) = World::timed(options());
    stream(&world, "s", 1);
    let at = iterator(&world, json!({"ShardIteratorType": "LATEST"}));
    let get = || world.kinesis("GetRecords", &json!({"ShardIterator": at}));
    clock.advance(300_000);
    get().ok();
    clock.advance(1);
    assert_eq!(get().error(), "ExpiredIteratorException");
    clock.advance(-1);
    world.kinesis("DeleteStream", &json!({"StreamName": "s"})).ok();
    assert_eq!(get().error(), "ResourceNotFoundException");
    stream(&world, "s", 1);
    assert_eq!(get().error(), "InvalidArgumentException", "another stream of that name");
}

#[test]
fn rates_of_shards_are_the_services_and_refuse_record_by_record() {
    let (world, clock) = World::timed(options());
    stream(&world, "s", 1);
    let records = |n: usize| -> Value {
        let records: Vec<_> =
            (0..n).map(|_| json!({"PartitionKey": "k", "Data": "AA=="})).collect();
        world.kinesis("PutRecords", &json!({"StreamName": "s", "Records": records})).ok()
    };
    assert_eq!(records(500)["FailedRecordCount"], 0);
    assert_eq!(records(499)["FailedRecordCount"], 0);
    let answer = records(3);
    assert_eq!(answer["FailedRecordCount"], 2);
    assert!(answer["Records"][0]["SequenceNumber"].is_string());
    assert_eq!(answer["Records"][1]["ErrorCode"], "ProvisionedThroughputExceededException");
    assert!(answer["Records"][2]["ErrorMessage"].as_str().unwrap().contains(SHARD));
    assert_eq!(world.broker.streams().get("s").unwrap().statistics().records, 1_000);
    let one = json!({"StreamName": "s", "PartitionKey": "k", "Data": "AA=="});
    assert_eq!(world.kinesis("PutRecord", &one).error(), "ProvisionedThroughputExceededException");
    clock.advance(1);
    world.kinesis("PutRecord", &one).ok();
    let at = iterator(&world, json!({"ShardIteratorType": "LATEST"}));
    for _ in 0..5 {
        world.kinesis("GetRecords", &json!({"ShardIterator": at})).ok();
    }
    let sixth = world.kinesis("GetRecords", &json!({"ShardIterator": at}));
    assert_eq!(sixth.error(), "ProvisionedThroughputExceededException");
}

#[test]
fn streams_are_described_and_listed() {
    let world = unlimited();
    for name in ["a", "b", "c"] {
        stream(&world, name, 3);
    }
    world.kinesis("CreateStream", &json!({"StreamName": "d", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}, "Tags": {"x": "y"}})).ok();
    let list = world.kinesis("ListStreams", &json!({"Limit": 3})).ok();
    assert_eq!(
        (list["StreamNames"].clone(), &list["HasMoreStreams"]),
        (json!(["a", "b", "c"]), &json!(true))
    );
    let rest = world.kinesis("ListStreams", &json!({"NextToken": list["NextToken"]})).ok();
    assert_eq!(
        (rest["StreamNames"].clone(), &rest["HasMoreStreams"]),
        (json!(["d"]), &json!(false))
    );
    let rest = world.kinesis("ListStreams", &json!({"ExclusiveStartStreamName": "b"})).ok();
    assert_eq!(rest["StreamNames"], json!(["c", "d"]));
    let arn = &rest["StreamSummaries"][1]["StreamARN"];
    let summary = world.kinesis("DescribeStreamSummary", &json!({"StreamARN": arn})).ok();
    let summary = &summary["StreamDescriptionSummary"];
    assert_eq!((&summary["StreamName"], &summary["OpenShardCount"]), (&json!("d"), &json!(4)));
    assert_eq!(summary["StreamStatus"], "ACTIVE");
    let described = world.kinesis("DescribeStream", &json!({"StreamName": "a", "Limit": 2})).ok();
    let described = &described["StreamDescription"];
    assert_eq!(
        (described["Shards"].as_array().unwrap().len(), &described["HasMoreShards"]),
        (2, &json!(true))
    );
    assert_eq!(described["Shards"][0]["HashKeyRange"]["StartingHashKey"], "0");
    let page = world.kinesis("ListShards", &json!({"StreamName": "a", "MaxResults": 2})).ok();
    let rest = world.kinesis("ListShards", &json!({"NextToken": page["NextToken"]})).ok();
    let last = &rest["Shards"][0];
    assert_eq!(last["ShardId"], "shardId-000000000002");
    assert_eq!(last["HashKeyRange"]["EndingHashKey"], u128::MAX.to_string());
    let filter = json!({"StreamName": "a", "ShardFilter": {"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000001"}});
    assert_eq!(world.kinesis("ListShards", &filter).ok()["Shards"], json!([last]));
}

#[test]
fn retention_and_tags() {
    let world = unlimited();
    stream(&world, "s", 1);
    let hours = || {
        world.kinesis("DescribeStreamSummary", &json!({"StreamName": "s"})).ok()["StreamDescriptionSummary"]["RetentionPeriodHours"].clone()
    };
    assert_eq!(hours(), 24);
    world
        .kinesis(
            "IncreaseStreamRetentionPeriod",
            &json!({"StreamName": "s", "RetentionPeriodHours": 48}),
        )
        .ok();
    assert_eq!(hours(), 48);
    world
        .kinesis(
            "DecreaseStreamRetentionPeriod",
            &json!({"StreamName": "s", "RetentionPeriodHours": 25}),
        )
        .ok();
    assert_eq!(hours(), 25);
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    world
        .kinesis("AddTagsToStream", &json!({"StreamName": "s", "Tags": {"a": "1", "b": "2"}}))
        .ok();
    world.kinesis("TagResource", &json!({"ResourceARN": arn, "Tags": {"c": "3"}})).ok();
    world.kinesis("RemoveTagsFromStream", &json!({"StreamARN": arn, "TagKeys": ["a"]})).ok();
    let expected = json!([{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]);
    assert_eq!(
        world.kinesis("ListTagsForResource", &json!({"ResourceARN": arn})).ok()["Tags"],
        expected
    );
    let page = world.kinesis("ListTagsForStream", &json!({"StreamName": "s", "Limit": 1})).ok();
    assert_eq!((&page["Tags"][0], &page["HasMoreTags"]), (&expected[0], &json!(true)));
    let rest = world
        .kinesis("ListTagsForStream", &json!({"StreamName": "s", "ExclusiveStartTagKey": "b"}))
        .ok();
    assert_eq!((&rest["Tags"], &rest["HasMoreTags"]), (&json!([expected[1]]), &json!(false)));
    world.kinesis("UntagResource", &json!({"ResourceARN": arn, "TagKeys": ["b", "c"]})).ok();
    assert_eq!(
        world.kinesis("ListTagsForResource", &json!({"ResourceARN": arn})).ok()["Tags"],
        json!([])
    );
}
