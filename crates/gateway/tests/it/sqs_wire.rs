//! SQS, byte by byte: errors, batches, attributes, bad input.

use serde_json::{Value, json};

use crate::kit::{Reply, World, options};

fn queue(world: &World, name: &str) -> Value {
    world.sqs("CreateQueue", &json!({"QueueName": name})).ok()["QueueUrl"].clone()
}

/// Type, Query code and status of an error.
fn problem(reply: &Reply) -> (String, &str, u16) {
    let kind = reply.json()["__type"].as_str().unwrap_or_default().to_owned();
    (kind, reply.header("x-amzn-query-error").unwrap_or_default(), reply.status)
}

fn code(reply: &Reply) -> &str {
    assert_ne!(reply.status, 200, "{reply:?}");
    reply.header("x-amzn-query-error").unwrap_or_default().split(';').next().unwrap()
}

#[test]
fn errors_carry_type_query_code_and_request_id() {
    let world = World::start();
    let url = format!("{}/000000000000/nope", world.url());
    let reply = world.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "x"}));
    let kind = "com.amazonaws.sqs#QueueDoesNotExist".to_owned();
    let code = "AWS.SimpleQueueService.NonExistentQueue;Sender";
    assert_eq!(problem(&reply), (kind, code, 400));
    assert_eq!(reply.header("content-type"), Some("application/x-amz-json-1.0"));
    let ids: Vec<_> = (0..2)
        .map(|_| world.sqs("ListQueues", &json!({})).header("x-amzn-requestid").unwrap().to_owned())
        .collect();
    assert_eq!(ids[0].len(), 36);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn every_action_on_an_unknown_queue_says_that_there_is_none() {
    let world = World::start();
    let url = format!("{}/000000000000/nope", world.url());
    let entries =
        json!([{"Id": "a", "MessageBody": "m", "ReceiptHandle": "r", "VisibilityTimeout": 1}]);
    let parameters = json!({
        "QueueUrl": url, "QueueName": "nope", "MessageBody": "m", "Entries": entries,
        "ReceiptHandle": "r", "VisibilityTimeout": 1, "Attributes": {"DelaySeconds": "1"},
        "Tags": {"a": "b"}, "TagKeys": ["a"],
    });
    for action in [
        "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch",
        "DeleteMessage",
        "DeleteMessageBatch",
        "DeleteQueue",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListDeadLetterSourceQueues",
        "ListQueueTags",
        "PurgeQueue",
        "ReceiveMessage",
        "SendMessage",
        "SendMessageBatch",
        "SetQueueAttributes",
        "TagQueue",
        "UntagQueue",
    ] {
        let reply = world.sqs(action, &parameters);
        assert_eq!(code(&reply), "AWS.SimpleQueueService.NonExistentQueue", "{action}");
    }
    assert_eq!(
        code(&world.sqs("SendMessage", &json!({}))),
        "AWS.SimpleQueueService.NonExistentQueue"
    );
}

#[test]
fn actions_that_are_not_built_and_not_known() {
    let world = World::start();
    let reply = world.sqs("StartMessageMoveTask", &json!({}));
    assert_eq!(code(&reply), "AWS.SimpleQueueService.UnsupportedOperation");
    assert!(reply.body.contains("StartMessageMoveTask"), "{reply:?}");
    let reply = world.sqs("MakeCoffee", &json!({}));
    let kind = "com.amazon.coral.service#UnknownOperationException".to_owned();
    assert_eq!(problem(&reply), (kind, "InvalidAction;Sender", 400));
    assert!(reply.body.contains("MakeCoffee"), "{reply:?}");
}

#[test]
fn what_is_not_json_or_has_other_types_is_a_serialization_error() {
    let world = World::start();
    queue(&world, "q");
    let deep = format!(r#"{{"Deep":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for bad in [
        "{",
        "[]",
        "null",
        "\"x\"",
        r#"{"QueueUrl":1}"#,
        r#"{"MessageBody":{}}"#,
        "{}x",
        "\u{0}",
        &deep,
    ] {
        let reply = world.raw(world.post("AmazonSQS", "SendMessage", bad));
        let shown: String = bad.chars().take(20).collect();
        assert_eq!(reply.error(), "SerializationException", "{shown}");
    }
    // Members that are not known are passed over, as services do.
    world.sqs("ListQueues", &json!({"Whatever": [1, {"a": null}]})).ok();
}

#[test]
fn a_message_with_ten_attributes_and_no_body_is_refused_by_name() {
    let world = World::start();
    let url = queue(&world, "q");
    let attribute = json!({"DataType": "String", "StringValue": "x"});
    let attributes = |n: usize| -> Value {
        (0..n)
            .map(|i| (format!("a{i}"), attribute.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let reply =
        world.sqs("SendMessage", &json!({"QueueUrl": url, "MessageAttributes": attributes(10)}));
    assert_eq!(code(&reply), "MissingParameter");
    assert!(reply.body.contains("MessageBody"), "{reply:?}");
    let empty = json!({"QueueUrl": url, "MessageBody": "", "MessageAttributes": attributes(10)});
    assert_eq!(code(&world.sqs("SendMessage", &empty)), "MissingParameter");
    let ten = json!({"QueueUrl": url, "MessageBody": "m", "MessageAttributes": attributes(10)});
    world.sqs("SendMessage", &ten).ok();
    let eleven = json!({"QueueUrl": url, "MessageBody": "m", "MessageAttributes": attributes(11)});
    assert_eq!(code(&world.sqs("SendMessage", &eleven)), "InvalidParameterValue");
    let depth = world.broker.queues().get("q").unwrap().statistics().visible;
    assert_eq!(depth, 1, "only the good one is there");
}

#[test]
fn attributes_that_are_wrong_are_named() {
    let world = World::start();
    let url = queue(&world, "q");
    for (name, attribute) in [
        ("a", json!({"StringValue": "x"})),
        ("a", json!({"DataType": "Text", "StringValue": "x"})),
        ("a", json!({"DataType": "String"})),
        ("a", json!({"DataType": "String", "StringValue": ""})),
        ("a", json!({"DataType": "Number", "StringValue": "x"})),
        ("a", json!({"DataType": "Binary", "BinaryValue": "no base64"})),
        ("", json!({"DataType": "String", "StringValue": "x"})),
        ("AWS.a", json!({"DataType": "String", "StringValue": "x"})),
        (".a", json!({"DataType": "String", "StringValue": "x"})),
        ("a b", json!({"DataType": "String", "StringValue": "x"})),
    ] {
        let message =
            json!({"QueueUrl": url, "MessageBody": "m", "MessageAttributes": {name: attribute}});
        let reply = world.sqs("SendMessage", &message);
        assert_eq!(code(&reply), "InvalidParameterValue", "{message}");
        assert!(reply.body.contains(&format!("'{name}'")), "{reply:?}");
    }
    let list = json!({"DataType": "String", "StringListValues": ["x"]});
    let message = json!({"QueueUrl": url, "MessageBody": "m", "MessageAttributes": {"a": list}});
    assert_eq!(
        code(&world.sqs("SendMessage", &message)),
        "AWS.SimpleQueueService.UnsupportedOperation"
    );
}

#[test]
fn a_batch_with_one_bad_entry_sends_the_rest() {
    let world = World::start();
    let url = queue(&world, "q");
    let entries = json!([
        {"Id": "good-1", "MessageBody": "a"},
        {"Id": "bad-1", "MessageBody": "\u{1}"},
        {"Id": "bad-2"},
        {"Id": "bad-3", "MessageBody": "x", "DelaySeconds": 901},
        {"Id": "good-2", "MessageBody": "b"},
    ]);
    let answer = world.sqs("SendMessageBatch", &json!({"QueueUrl": url, "Entries": entries})).ok();
    let ids = |list: &str, member: &str| -> Vec<String> {
        let list = answer[list].as_array().unwrap().iter();
        list.map(|entry| entry[member].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("Successful", "Id"), ["good-1", "good-2"]);
    assert_eq!(ids("Failed", "Id"), ["bad-1", "bad-2", "bad-3"]);
    assert_eq!(
        ids("Failed", "Code"),
        ["InvalidMessageContents", "MissingParameter", "InvalidParameterValue"]
    );
    assert_eq!(answer["Failed"][0]["SenderFault"], true);
    assert_eq!(answer["Successful"][0]["MD5OfMessageBody"], "0cc175b9c0f1b6a831c399e269772661");
    assert_eq!(answer["Successful"][1]["MD5OfMessageBody"], "92eb5ffee6ae2fec3ad71c777531578f");
    let received =
        world.sqs("ReceiveMessage", &json!({"QueueUrl": url, "MaxNumberOfMessages": 10})).ok();
    assert_eq!(received["Messages"].as_array().unwrap().len(), 2);
}

#[test]
fn batches_that_break_a_rule_send_nothing() {
    let world = World::start();
    let url = queue(&world, "q");
    let entry = |id: &str| json!({"Id": id, "MessageBody": "m"});
    let many: Vec<_> = (0..11).map(|i| entry(&i.to_string())).collect();
    let large: Vec<_> =
        (0..2).map(|i| json!({"Id": i.to_string(), "MessageBody": "x".repeat(600_000)})).collect();
    for (entries, expected) in [
        (json!([]), "EmptyBatchRequest"),
        (json!(many), "TooManyEntriesInBatchRequest"),
        (json!([entry("a"), entry("a")]), "BatchEntryIdsNotDistinct"),
        (json!([entry("a b")]), "InvalidBatchEntryId"),
        (json!([entry("")]), "InvalidBatchEntryId"),
        (json!([{"MessageBody": "m"}]), "InvalidBatchEntryId"),
        (json!([entry(&"x".repeat(81))]), "InvalidBatchEntryId"),
        (json!(large), "BatchRequestTooLong"),
    ] {
        for action in ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"] {
            if expected == "BatchRequestTooLong" && action != "SendMessageBatch" {
                continue;
            }
            let reply = world.sqs(action, &json!({"QueueUrl": url, "Entries": entries}));
            assert_eq!(reply.error(), expected, "{action}");
            assert_eq!(code(&reply), format!("AWS.SimpleQueueService.{expected}"));
        }
    }
    let missing = world.sqs("SendMessageBatch", &json!({"QueueUrl": url}));
    assert_eq!(missing.error(), "EmptyBatchRequest");
    assert_eq!(world.broker.queues().get("q").unwrap().statistics().visible, 0);
}

#[test]
fn sizes_are_those_of_body_and_attributes() {
    let world = World::start();
    let url = queue(&world, "q");
    let send = |bytes: usize| {
        let attribute = json!({"DataType": "String", "StringValue": "x"});
        let message = json!({
            "QueueUrl": url, "MessageBody": "x".repeat(bytes), "MessageAttributes": {"a": attribute}
        });
        world.sqs("SendMessage", &message)
    };
    let bytes_max = (1 << 20) - "a".len() - "String".len() - "x".len();
    send(bytes_max).ok();
    assert_eq!(code(&send(bytes_max + 1)), "InvalidParameterValue");
    let small = json!({"QueueUrl": url, "Attributes": {"MaximumMessageSize": "1024"}});
    world.sqs("SetQueueAttributes", &small).ok();
    assert_eq!(code(&send(1_024)), "InvalidParameterValue");
    send(1_016).ok();
}

#[test]
fn attributes_of_queues_are_checked_and_shown() {
    let world = World::start();
    let dead = queue(&world, "dead");
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":"3"}"#;
    let attributes = json!({
        "VisibilityTimeout": "60", "DelaySeconds": "1", "ReceiveMessageWaitTimeSeconds": "2",
        "MessageRetentionPeriod": "120", "MaximumMessageSize": "2048", "RedrivePolicy": policy,
        "SqsManagedSseEnabled": "false", "Policy": "",
        "RedriveAllowPolicy": r#"{"redrivePermission":"allowAll"}"#,
    });
    let make = json!({"QueueName": "q", "Attributes": attributes, "tags": {"team": "a"}});
    let url = world.sqs("CreateQueue", &make).ok()["QueueUrl"].clone();
    assert_eq!(world.sqs("CreateQueue", &make).ok()["QueueUrl"], url, "the same again");
    world.sqs("CreateQueue", &json!({"QueueName": "q"})).ok();
    let other = json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "61"}});
    let reply = world.sqs("CreateQueue", &other);
    assert_eq!((reply.error().as_str(), code(&reply)), ("QueueNameExists", "QueueAlreadyExists"));

    let all =
        world.sqs("GetQueueAttributes", &json!({"QueueUrl": url, "AttributeNames": ["All"]})).ok();
    let all = &all["Attributes"];
    for (name, value) in [
        ("VisibilityTimeout", "60"),
        ("DelaySeconds", "1"),
        ("ReceiveMessageWaitTimeSeconds", "2"),
        ("MessageRetentionPeriod", "120"),
        ("MaximumMessageSize", "2048"),
        ("ApproximateNumberOfMessages", "0"),
        ("ApproximateNumberOfMessagesNotVisible", "0"),
        ("ApproximateNumberOfMessagesDelayed", "0"),
        ("SqsManagedSseEnabled", "false"),
        ("QueueArn", "arn:aws:sqs:us-east-1:000000000000:q"),
        (
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":3}"#,
        ),
    ] {
        assert_eq!(all[name], value, "{name}");
    }
    for name in ["CreatedTimestamp", "LastModifiedTimestamp"] {
        assert_eq!(all[name].as_str().unwrap().len(), 10, "seconds");
    }
    let one = json!({"QueueUrl": url, "AttributeNames": ["QueueArn", "Policy"]});
    assert_eq!(
        world.sqs("GetQueueAttributes", &one).ok()["Attributes"].as_object().unwrap().len(),
        1
    );
    let unknown = json!({"QueueUrl": url, "AttributeNames": ["Nope"]});
    assert_eq!(code(&world.sqs("GetQueueAttributes", &unknown)), "InvalidAttributeName");
    let sources = world.sqs("ListDeadLetterSourceQueues", &json!({"QueueUrl": dead})).ok();
    assert_eq!(sources["queueUrls"], json!([url]));
    let tags = world.sqs("ListQueueTags", &json!({"QueueUrl": url})).ok();
    assert_eq!(tags["Tags"], json!({"team": "a"}));

    let removed = json!({"QueueUrl": url, "Attributes": {"RedrivePolicy": ""}});
    world.sqs("SetQueueAttributes", &removed).ok();
    let got = world
        .sqs("GetQueueAttributes", &json!({"QueueUrl": url, "AttributeNames": ["RedrivePolicy"]}));
    assert_eq!(got.ok(), json!({}));
}

#[test]
fn attributes_that_would_silently_not_work_are_refused_by_name() {
    let world = World::start();
    let url = queue(&world, "q");
    for (name, value, expected) in [
        ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
        ("VisibilityTimeout", "-1", "InvalidAttributeValue"),
        ("DelaySeconds", "x", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "59", "InvalidAttributeValue"),
        ("MaximumMessageSize", "1023", "InvalidAttributeValue"),
        ("RedrivePolicy", "x", "InvalidAttributeValue"),
        ("RedrivePolicy", "{}", "InvalidParameterValue"),
        (
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:nope","maxReceiveCount":1}"#,
            "InvalidParameterValue",
        ),
        (
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q","maxReceiveCount":0}"#,
            "InvalidParameterValue",
        ),
        (
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q","maxReceiveCount":"1001"}"#,
            "InvalidParameterValue",
        ),
        ("Nope", "1", "InvalidAttributeName"),
        ("Policy", "{}", "AWS.SimpleQueueService.UnsupportedOperation"),
        ("KmsMasterKeyId", "alias/x", "AWS.SimpleQueueService.UnsupportedOperation"),
        ("SqsManagedSseEnabled", "true", "AWS.SimpleQueueService.UnsupportedOperation"),
        ("FifoQueue", "true", "AWS.SimpleQueueService.UnsupportedOperation"),
        ("ContentBasedDeduplication", "true", "AWS.SimpleQueueService.UnsupportedOperation"),
        (
            "RedriveAllowPolicy",
            r#"{"redrivePermission":"denyAll"}"#,
            "AWS.SimpleQueueService.UnsupportedOperation",
        ),
    ] {
        let reply =
            world.sqs("SetQueueAttributes", &json!({"QueueUrl": url, "Attributes": {name: value}}));
        assert_eq!(code(&reply), expected, "{name}={value}");
        assert!(reply.body.contains(name), "{reply:?}");
    }
    let fifo = world
        .sqs("CreateQueue", &json!({"QueueName": "q.fifo", "Attributes": {"FifoQueue": "true"}}));
    assert_eq!(code(&fifo), "AWS.SimpleQueueService.UnsupportedOperation");
    assert!(fifo.body.contains("FIFO"), "{fifo:?}");
    for bad in ["", "a b", "ä", &"x".repeat(81), "a/b"] {
        assert_eq!(
            code(&world.sqs("CreateQueue", &json!({"QueueName": bad}))),
            "InvalidParameterValue"
        );
    }
}

#[test]
fn receipts_of_others_and_old_ones() {
    let (world, clock) = World::timed(options());
    let (one, two) = (queue(&world, "one"), queue(&world, "two"));
    world.sqs("SendMessage", &json!({"QueueUrl": one, "MessageBody": "m"})).ok();
    let receive = json!({"QueueUrl": one, "VisibilityTimeout": 10, "AttributeNames": ["All"]});
    let first = world.sqs("ReceiveMessage", &receive).ok()["Messages"][0].clone();
    assert_eq!(first["Attributes"]["ApproximateReceiveCount"], "1");
    clock.advance(11_000);
    let second = world.sqs("ReceiveMessage", &receive).ok()["Messages"][0].clone();
    assert_eq!(second["Attributes"]["ApproximateReceiveCount"], "2");
    assert_eq!(first["MessageId"], second["MessageId"]);
    let (old, new) = (&first["ReceiptHandle"], &second["ReceiptHandle"]);
    let call = |action: &str, url: &Value, handle: &Value| {
        world
            .sqs(action, &json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 0}))
    };
    // An old handle neither shows nor deletes what somebody else holds.
    assert_eq!(code(&call("ChangeMessageVisibility", &one, old)), "InvalidParameterValue");
    call("DeleteMessage", &one, old).ok();
    assert_eq!(world.broker.queues().get("one").unwrap().statistics().in_flight, 1);
    for action in ["ChangeMessageVisibility", "DeleteMessage"] {
        assert_eq!(call(action, &two, new).error(), "ReceiptHandleIsInvalid", "of another queue");
        let garbled = call(action, &one, &json!("AAAA"));
        assert_eq!((garbled.error().as_str(), garbled.status), ("ReceiptHandleIsInvalid", 404));
        let missing = world.sqs(action, &json!({"QueueUrl": one}));
        assert_eq!(code(&missing), "MissingParameter");
    }
    call("ChangeMessageVisibility", &one, new).ok();
    let again = call("ChangeMessageVisibility", &one, new);
    assert_eq!(again.error(), "MessageNotInflight");
    call("DeleteMessage", &one, new).ok();
    assert_eq!(world.broker.queues().get("one").unwrap().statistics().visible, 0);
}

#[test]
fn a_batch_of_deletes_and_changes_answers_for_each() {
    let world = World::start();
    let url = queue(&world, "q");
    world.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "m"})).ok();
    let handle =
        world.sqs("ReceiveMessage", &json!({"QueueUrl": url})).ok()["Messages"][0]["ReceiptHandle"]
            .clone();
    let entries = json!([
        {"Id": "bad", "ReceiptHandle": "AAAA", "VisibilityTimeout": 1},
        {"Id": "good", "ReceiptHandle": handle, "VisibilityTimeout": 5},
        {"Id": "none", "VisibilityTimeout": 5},
    ]);
    for action in ["ChangeMessageVisibilityBatch", "DeleteMessageBatch"] {
        let answer = world.sqs(action, &json!({"QueueUrl": url, "Entries": entries})).ok();
        assert_eq!(answer["Successful"], json!([{"Id": "good"}]), "{action}");
        assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
        assert_eq!(answer["Failed"][1]["Code"], "MissingParameter");
    }
    assert_eq!(world.broker.queues().get("q").unwrap().statistics().in_flight, 0);
}

#[test]
fn a_long_poll_ends_when_a_message_comes() {
    let world = World::start();
    let url = queue(&world, "q");
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| {
            world.sqs("ReceiveMessage", &json!({"QueueUrl": url, "WaitTimeSeconds": 20}))
        });
        let began = std::time::Instant::now();
        world.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "m"})).ok();
        assert_eq!(poll.join().unwrap().ok()["Messages"][0]["Body"], "m");
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    });
}

#[test]
fn what_was_sent_comes_back_to_the_letter() {
    let world = World::start();
    let url = queue(&world, "q");
    let body = "plain \"quoted\" \\ back \t tab \n line ünï 🦀 \u{2028} </script> %7B";
    let message = json!({
        "QueueUrl": url, "MessageBody": body, "MessageGroupId": "tenant-1",
        "MessageAttributes": {
            "foo.a": {"DataType": "String", "StringValue": "1\"2"},
            "foo.b": {"DataType": "Number.int", "StringValue": "42"},
            "bar": {"DataType": "Binary.png", "BinaryValue": "AAEC/w=="},
        },
        "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
    });
    let sent = world.sqs("SendMessage", &message).ok();
    let receive = |names: Value| {
        let receive = json!({
            "QueueUrl": url, "VisibilityTimeout": 0, "MessageAttributeNames": names,
            "MessageSystemAttributeNames": ["All"],
        });
        world.sqs("ReceiveMessage", &receive).ok()["Messages"][0].clone()
    };
    let all = receive(json!(["All"]));
    assert_eq!(all["Body"], body);
    assert_eq!(all["MessageAttributes"], message["MessageAttributes"]);
    assert_eq!(all["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(all["MD5OfBody"], sent["MD5OfMessageBody"]);
    assert_eq!(all["MessageId"], sent["MessageId"]);
    assert_eq!(all["Attributes"]["MessageGroupId"], "tenant-1");
    assert_eq!(all["Attributes"]["AWSTraceHeader"], "Root=1");
    assert!(sent["MD5OfMessageSystemAttributes"].is_string());
    let foo = receive(json!(["foo.*"]));
    assert_eq!(foo["MessageAttributes"].as_object().unwrap().len(), 2);
    assert_ne!(foo["MD5OfMessageAttributes"], all["MD5OfMessageAttributes"]);
    assert!(receive(json!(["fo.*", "b"]))["MessageAttributes"].is_null());
    assert!(receive(json!([]))["MD5OfMessageAttributes"].is_null());
}

#[test]
fn lists_come_in_pages() {
    let world = World::start();
    assert_eq!(world.sqs("ListQueues", &json!({})).ok(), json!({}));
    for name in ["a-1", "a-2", "a-3", "b-1"] {
        queue(&world, name);
    }
    let first = world.sqs("ListQueues", &json!({"QueueNamePrefix": "a-", "MaxResults": 2})).ok();
    assert_eq!(first["QueueUrls"].as_array().unwrap().len(), 2);
    let rest = json!({"QueueNamePrefix": "a-", "MaxResults": 2, "NextToken": first["NextToken"]});
    let rest = world.sqs("ListQueues", &rest).ok();
    assert_eq!(
        rest["QueueUrls"],
        json!([format!("http://localhost:{}/000000000000/a-3", world.port)])
    );
    assert!(rest["NextToken"].is_null());
    assert_eq!(code(&world.sqs("ListQueues", &json!({"MaxResults": 0}))), "InvalidParameterValue");
    assert_eq!(code(&world.sqs("ListQueues", &json!({"NextToken": "%"}))), "InvalidParameterValue");
}

#[test]
fn parameters_out_of_bounds_and_of_fifo_queues() {
    let world = World::start();
    let url = queue(&world, "q");
    for bad in [
        json!({"MaxNumberOfMessages": 0}),
        json!({"MaxNumberOfMessages": 11}),
        json!({"WaitTimeSeconds": 21}),
        json!({"VisibilityTimeout": -1}),
        json!({"VisibilityTimeout": 43_201}),
        json!({"ReceiveRequestAttemptId": "x"}),
    ] {
        let mut receive = json!({"QueueUrl": url});
        receive.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert_eq!(code(&world.sqs("ReceiveMessage", &receive)), "InvalidParameterValue", "{bad}");
    }
    let message = json!({"QueueUrl": url, "MessageBody": "m", "MessageDeduplicationId": "d"});
    assert_eq!(code(&world.sqs("SendMessage", &message)), "InvalidParameterValue");
}

#[test]
fn a_purge_is_once_in_60_s() {
    let (world, clock) = World::timed(options());
    let url = queue(&world, "q");
    world.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "m"})).ok();
    world.sqs("PurgeQueue", &json!({"QueueUrl": url})).ok();
    assert_eq!(world.broker.queues().get("q").unwrap().statistics().visible, 0);
    let again = world.sqs("PurgeQueue", &json!({"QueueUrl": url}));
    assert_eq!((again.error().as_str(), again.status), ("PurgeQueueInProgress", 403));
    clock.advance(61_000);
    world.sqs("PurgeQueue", &json!({"QueueUrl": url})).ok();
}
