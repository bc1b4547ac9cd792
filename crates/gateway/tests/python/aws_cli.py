"""SQS and Kinesis with the AWS command line, next to this interpreter. Argument: the endpoint."""

import base64
import json
import os
import subprocess
import sys

from checks import check, end

AWS = os.path.join(os.path.dirname(sys.executable), "aws")


def aws(*words):
    """Exit code, what was printed (as JSON if it can be), what went wrong."""
    command = [AWS, "--endpoint-url", sys.argv[1], *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


code, made, wrong = aws("sqs", "create-queue", "--queue-name", "iot-queue")
check("create-queue", code == 0, wrong)
url = made["QueueUrl"]
body = ("%7B%22id%22%3A%221%22%2C%22eventType%22%3A%22IOT_EVENT%22%2C%22eventId%22%3A%22Event1%22"
        "%2C%22createdAt%22%3A11999111%2C%22body%22%3A%22Testevent%22%7D")
code, sent, wrong = aws("sqs", "send-message", "--queue-url", url, "--message-body", body)
check("send-message", code == 0 and sent["MessageId"], wrong)
code, got, wrong = aws("sqs", "receive-message", "--queue-url", url, "--wait-time-seconds", "5",
                       "--attribute-names", "All")
check("receive-message", code == 0 and got["Messages"][0]["Body"] == body, wrong)
handle = got["Messages"][0]["ReceiptHandle"]
code, _, wrong = aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", handle)
check("delete-message", code == 0, wrong)
code, attributes, wrong = aws("sqs", "get-queue-attributes", "--queue-url", url,
                              "--attribute-names", "ApproximateNumberOfMessages", "QueueArn")
check("get-queue-attributes",
      attributes["Attributes"]["ApproximateNumberOfMessages"] == "0", attributes)
code, _, wrong = aws("sqs", "send-message", "--queue-url", url + "x", "--message-body", "m")
check("an unknown queue", code != 0 and "NonExistentQueue" in wrong, wrong)

code, _, wrong = aws("kinesis", "create-stream", "--stream-name", "app-events", "--shard-count", "1")
check("create-stream", code == 0, wrong)
code, put, wrong = aws("kinesis", "put-record", "--stream-name", "app-events", "--partition-key", "k",
                       "--data", base64.b64encode(b"hello").decode())
check("put-record", code == 0 and put["ShardId"] == "shardId-000000000000", wrong)
code, at, wrong = aws("kinesis", "get-shard-iterator", "--stream-name", "app-events", "--shard-id",
                      put["ShardId"], "--shard-iterator-type", "TRIM_HORIZON")
code, read, wrong = aws("kinesis", "get-records", "--shard-iterator", at["ShardIterator"])
check("get-records", read["Records"][0]["SequenceNumber"] == put["SequenceNumber"], wrong)
code, _, wrong = aws("kinesis", "describe-stream", "--stream-name", "nope")
check("an unknown stream", code != 0 and "ResourceNotFoundException" in wrong, wrong)
end()
