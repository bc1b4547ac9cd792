"""Kinesis with boto3. Argument: the endpoint."""

import sys
from datetime import datetime, timezone

import boto3

from checks import check, end, raises

kinesis = boto3.client("kinesis", endpoint_url=sys.argv[1])
errors = kinesis.exceptions

kinesis.create_stream(StreamName="py", ShardCount=2)
kinesis.get_waiter("stream_exists").wait(StreamName="py")
raises("it exists", errors.ResourceInUseException, kinesis.create_stream, StreamName="py",
       ShardCount=2)
raises("no such stream", errors.ResourceNotFoundException, kinesis.describe_stream,
       StreamName="nope")
stream = kinesis.describe_stream(StreamName="py")["StreamDescription"]
check("two shards", len(stream["Shards"]) == 2, stream)
check("made just now",
      abs((datetime.now(timezone.utc) - stream["StreamCreationTimestamp"]).total_seconds()) < 60)
check("listed", kinesis.list_streams()["StreamNames"] == ["py"])
shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamName="py")["Shards"]]
check("list_shards", shards == ["shardId-000000000000", "shardId-000000000001"], shards)

data = bytes(range(256)) * 4
put = kinesis.put_record(StreamName="py", Data=data, PartitionKey="k", ExplicitHashKey="0")
check("put_record", put["ShardId"] == shards[0] and len(put["SequenceNumber"]) == 56, put)
records = [{"Data": f"record {i}".encode(), "PartitionKey": f"key {i}"} for i in range(500)]
answer = kinesis.put_records(StreamARN=stream["StreamARN"], Records=records)
check("put_records", answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 500)
raises("a record of more than 1 MiB", errors.ValidationException, kinesis.put_record,
       StreamName="py", Data=b"x" * (2**20 + 1), PartitionKey="k")
kinesis.put_record(StreamName="py", Data=b"x" * (2**20 - 5), PartitionKey="large")

found = {}
for shard in shards:
    at = kinesis.get_shard_iterator(StreamName="py", ShardId=shard,
                                    ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    numbers = []
    while True:
        read = kinesis.get_records(ShardIterator=at, Limit=100)
        if not read["Records"]:
            break
        for record in read["Records"]:
            found[record["PartitionKey"]] = record["Data"]
            numbers.append(int(record["SequenceNumber"]))
        at = read["NextShardIterator"]
    check(f"numbers of {shard} grow", numbers == sorted(set(numbers)) and numbers)
    check(f"{shard} is read to its end", read["MillisBehindLatest"] == 0, read)
check("every record came back", all(found.get(r["PartitionKey"]) == r["Data"] for r in records))
check("also the bytes", found.get("k") == data)
check("and the large one", len(found.get("large", b"")) == 2**20 - 5)
after = kinesis.get_shard_iterator(StreamName="py", ShardId=shards[0],
                                   ShardIteratorType="AT_SEQUENCE_NUMBER",
                                   StartingSequenceNumber=put["SequenceNumber"])["ShardIterator"]
read = kinesis.get_records(ShardIterator=after, Limit=1)["Records"][0]
check("AT_SEQUENCE_NUMBER", read["Data"] == data and read["SequenceNumber"] == put["SequenceNumber"])
at = kinesis.get_shard_iterator(StreamName="py", ShardId=shards[0], ShardIteratorType="AT_TIMESTAMP",
                                Timestamp=datetime(2020, 1, 1))["ShardIterator"]
check("AT_TIMESTAMP", kinesis.get_records(ShardIterator=at, Limit=1)["Records"][0]["Data"] == data)
raises("an iterator that isn't", errors.InvalidArgumentException, kinesis.get_records,
       ShardIterator="nope")

kinesis.increase_stream_retention_period(StreamName="py", RetentionPeriodHours=48)
summary = kinesis.describe_stream_summary(StreamName="py")["StreamDescriptionSummary"]
check("retention", summary["RetentionPeriodHours"] == 48, summary)
check("open shards", summary["OpenShardCount"] == 2, summary)
kinesis.add_tags_to_stream(StreamName="py", Tags={"a": "b"})
tags = kinesis.list_tags_for_stream(StreamName="py")["Tags"]
check("tags", tags == [{"Key": "a", "Value": "b"}], tags)
kinesis.remove_tags_from_stream(StreamName="py", TagKeys=["a"])
check("no tags", kinesis.list_tags_for_stream(StreamName="py")["Tags"] == [])
try:
    kinesis.split_shard(StreamName="py", ShardToSplit=shards[0], NewStartingHashKey="1")
    check("an action that isn't built", False)
except kinesis.exceptions.ClientError as error:
    error = error.response["Error"]
    check("an action that isn't built", error["Code"] == "UnknownOperationException", error)
    check("it is named", "SplitShard" in error["Message"], error)
kinesis.delete_stream(StreamName="py")
raises("a stream that was deleted", errors.ResourceNotFoundException, kinesis.put_record,
       StreamName="py", Data=b"x", PartitionKey="k")
end()
