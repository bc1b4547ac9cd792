"""SQS with boto3. Argument: the endpoint."""

import hashlib
import json
import sys

import boto3
from botocore.exceptions import ClientError

from checks import check, end, raises

endpoint = sys.argv[1]
sqs = boto3.client("sqs", endpoint_url=endpoint)
errors = sqs.exceptions

url = sqs.create_queue(QueueName="py", Attributes={"VisibilityTimeout": "30"}, tags={"a": "b"})["QueueUrl"]
check("the URL names the host that was asked", url.startswith(endpoint + "/000000000000/"), url)
check("get_queue_url", sqs.get_queue_url(QueueName="py")["QueueUrl"] == url)
check("list_queues", sqs.list_queues(QueueNamePrefix="p")["QueueUrls"] == [url])
check("list_queues without any", "QueueUrls" not in sqs.list_queues(QueueNamePrefix="zzz"))
check("tags", sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"})

error = raises("QueueDoesNotExist", errors.QueueDoesNotExist, sqs.get_queue_url, QueueName="nope")
check("its Query code", error.get("Code") == "AWS.SimpleQueueService.NonExistentQueue", error)
error = raises("QueueNameExists", errors.QueueNameExists, sqs.create_queue, QueueName="py",
               Attributes={"VisibilityTimeout": "31"})
check("its Query code", error.get("Code") == "QueueAlreadyExists", error)
error = raises("a FIFO queue", errors.UnsupportedOperation, sqs.create_queue, QueueName="q.fifo",
               Attributes={"FifoQueue": "true"})
check("it says that FIFO isn't built", "FIFO" in error.get("Message", ""), error)
error = raises("an empty body", ClientError, sqs.send_message, QueueUrl=url, MessageBody="")
check("its code", error.get("Code") == "MissingParameter", error)
raises("an attribute that isn't", errors.InvalidAttributeName, sqs.get_queue_attributes,
       QueueUrl=url, AttributeNames=["Nope"])
raises("a value out of bounds", errors.InvalidAttributeValue, sqs.set_queue_attributes,
       QueueUrl=url, Attributes={"DelaySeconds": "901"})
raises("characters that may not be", errors.InvalidMessageContents, sqs.send_message,
       QueueUrl=url, MessageBody="\x01")
raises("an empty batch", errors.EmptyBatchRequest, sqs.send_message_batch, QueueUrl=url, Entries=[])
raises("too many entries", errors.TooManyEntriesInBatchRequest, sqs.send_message_batch,
       QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": "m"} for i in range(11)])
raises("the same id twice", errors.BatchEntryIdsNotDistinct, sqs.send_message_batch,
       QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "m"}] * 2)
raises("a bad id", errors.InvalidBatchEntryId, sqs.send_message_batch,
       QueueUrl=url, Entries=[{"Id": "a b", "MessageBody": "m"}])
raises("a batch that is too long", errors.BatchRequestTooLong, sqs.send_message_batch, QueueUrl=url,
       Entries=[{"Id": str(i), "MessageBody": "x" * 600_000} for i in range(2)])
raises("a handle that isn't", errors.ReceiptHandleIsInvalid, sqs.delete_message, QueueUrl=url,
       ReceiptHandle="nope")

# boto3 checks the MD5s of what it sends and receives by itself.
attributes = {
    "text": {"DataType": "String", "StringValue": "ünï"},
    "number": {"DataType": "Number", "StringValue": "1.5"},
    "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
}
body = "hello \"you\" \u2028 🦀"
sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
check("MD5 of the body", sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest())
got = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"],
                          WaitTimeSeconds=5)["Messages"][0]
check("the body", got["Body"] == body, got["Body"])
check("the attributes", got["MessageAttributes"] == attributes, got["MessageAttributes"])
check("MD5 of the attributes", got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"])
check("the receive count", got["Attributes"]["ApproximateReceiveCount"] == "1")
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=0)
again = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"][0]
check("it comes back", again["MessageId"] == got["MessageId"])
check("with its count", again["Attributes"]["ApproximateReceiveCount"] == "2", again)
raises("an old handle changes nothing", ClientError, sqs.change_message_visibility, QueueUrl=url,
       ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=0)
sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
count = ["ApproximateNumberOfMessagesNotVisible"]
held = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=count)["Attributes"][count[0]]
check("and deletes nothing", held == "1", held)
sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
held = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=count)["Attributes"][count[0]]
check("the new one does", held == "0", held)
check("nothing more", "Messages" not in sqs.receive_message(QueueUrl=url))

answer = sqs.send_message_batch(QueueUrl=url, Entries=[
    {"Id": "good", "MessageBody": "m"}, {"Id": "bad", "MessageBody": "\x02"}])
check("one good", [entry["Id"] for entry in answer["Successful"]] == ["good"], answer)
check("one bad", answer["Failed"][0]["Code"] == "InvalidMessageContents", answer)
answer = sqs.send_message_batch(QueueUrl=url, Entries=[
    {"Id": str(i), "MessageBody": f"m{i}"} for i in range(9)])
check("no Failed when all went", "Failed" not in answer, answer)
messages = []
while len(messages) < 10:
    messages += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
check("ten different messages", len({message["MessageId"] for message in messages}) == 10)
entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
changed = sqs.change_message_visibility_batch(
    QueueUrl=url, Entries=[{**entry, "VisibilityTimeout": 60} for entry in entries])
check("ten changed", len(changed["Successful"]) == 10, changed)
check("ten deleted", len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 10)

dead = sqs.create_queue(QueueName="py-dead")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})
check("its sources", sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url])
sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)
check("it moved", "Messages" not in sqs.receive_message(QueueUrl=url))
moved = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"], WaitTimeSeconds=5)["Messages"][0]
check("to the dead-letter queue", moved["MessageId"] == sent["MessageId"])
source = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
check("which says where from", moved["Attributes"].get("DeadLetterQueueSourceArn") == source, moved)

sqs.tag_queue(QueueUrl=url, Tags={"c": "d"})
sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
check("tags changed", sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"c": "d"})
pages = sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
check("pages", sum(len(page["QueueUrls"]) for page in pages) == 2)
sqs.purge_queue(QueueUrl=dead)
raises("a purge too soon", errors.PurgeQueueInProgress, sqs.purge_queue, QueueUrl=dead)
sqs.delete_queue(QueueUrl=url)
raises("a queue that was deleted", errors.QueueDoesNotExist, sqs.send_message, QueueUrl=url,
       MessageBody="m")
error = raises("an action that isn't built", errors.UnsupportedOperation,
               sqs.start_message_move_task, SourceArn=arn)
check("it is named", "StartMessageMoveTask" in error.get("Message", ""), error)
end()
