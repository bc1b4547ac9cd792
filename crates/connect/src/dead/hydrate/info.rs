//! What another system says of records that it could not deliver.
//!
//! Lambda (on-failure destination of an event source mapping) and EventBridge Pipes (dead-letter
//! queue of a pipe) send metadata only, in nearly the same form: `KinesisBatchInfo` with shard and
//! sequence numbers, and `requestContext`/`responseContext` (Lambda) or `context` (Pipes). Where a
//! topic stands between, the message is within the topic's notification.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Records of one shard that were given up together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// The stream's name, out of its ARN.
    pub stream: String,
    /// The ARN.
    pub stream_arn: String,
    /// The shard, e.g. `shardId-000000000001`.
    pub shard: String,
    /// Sequence number of the first record.
    pub start: String,
    /// Sequence number of the last record.
    pub end: String,
    /// How many records.
    pub batch_size: u64,
    /// When the message was made, else when the last record arrived; ms since the Unix epoch.
    pub died_ms: i64,
    /// Why it was given up, e.g. `RetryAttemptsExhausted`.
    pub condition: String,
    /// Who gave up, and what was said.
    pub message: String,
    /// How often it was tried.
    pub invocations: u64,
}

/// A message that isn't of this form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it doesn't name records of a Kinesis stream: {0}")]
pub struct NotABatch(String);

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "KinesisBatchInfo")]
    kinesis: Option<Kinesis>,
    #[serde(rename = "DDBStreamBatchInfo")]
    dynamodb: Option<Value>,
    #[serde(rename = "requestContext", default)]
    request: Context,
    #[serde(default)]
    context: Context,
    #[serde(rename = "responseContext", default)]
    response: Response,
    timestamp: Option<String>,
    /// Of a topic's notification.
    #[serde(rename = "Message")]
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    approximate_arrival_of_last_record: Option<String>,
    #[serde(default)]
    batch_size: u64,
    stream_arn: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    condition: Option<String>,
    function_arn: Option<String>,
    partner_resource_arn: Option<String>,
    approximate_invoke_count: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    status_code: Option<i64>,
    function_error: Option<String>,
}

impl BatchInfo {
    /// Reads a message.
    ///
    /// # Errors
    /// [`NotABatch`] says what it is instead.
    pub fn parse(body: &[u8]) -> Result<Self, NotABatch> {
        Self::read(body, true)
    }

    fn read(body: &[u8], wrapped: bool) -> Result<Self, NotABatch> {
        let message: Message =
            serde_json::from_slice(body).map_err(|error| NotABatch(error.to_string()))?;
        let Some(kinesis) = message.kinesis else {
            return match (message.message, message.dynamodb) {
                (Some(inner), _) if wrapped => Self::read(inner.as_bytes(), false),
                (_, Some(_)) => Err(NotABatch("these are of a DynamoDB stream".into())),
                _ => Err(NotABatch("KinesisBatchInfo is missing".into())),
            };
        };
        let named = kinesis.stream_arn.rsplit_once(":stream/");
        let (_, stream) = named
            .ok_or_else(|| NotABatch(format!("`{}` is no ARN of a stream", kinesis.stream_arn)))?;
        let numbers = [&kinesis.start_sequence_number, &kinesis.end_sequence_number];
        if let Some(bad) = numbers.iter().find(|text| event::Offset::from_decimal(text).is_none()) {
            return Err(NotABatch(format!("`{bad}` is no sequence number")));
        }
        let context = |pick: fn(&Context) -> Option<String>| {
            pick(&message.request).or_else(|| pick(&message.context))
        };
        let ms = |text: Option<String>| Some(text?.parse::<Timestamp>().ok()?.as_millisecond());
        let died_ms =
            ms(message.timestamp).or_else(|| ms(kinesis.approximate_arrival_of_last_record));
        let who = context(|all| all.function_arn.clone().or(all.partner_resource_arn.clone()));
        let mut said = vec![who.unwrap_or_else(|| "another system".into())];
        said.extend(message.response.function_error.map(|error| format!("error: {error}")));
        said.extend(message.response.status_code.map(|code| format!("status {code}")));
        Ok(Self {
            stream: stream.to_owned(),
            shard: kinesis.shard_id,
            start: kinesis.start_sequence_number,
            end: kinesis.end_sequence_number,
            batch_size: kinesis.batch_size,
            died_ms: died_ms.unwrap_or(0),
            condition: context(|all| all.condition.clone()).unwrap_or_else(|| "unknown".into()),
            message: format!("given up by {}", said.join(", ")),
            invocations: message
                .request
                .approximate_invoke_count
                .max(message.context.approximate_invoke_count),
            stream_arn: kinesis.stream_arn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = r#""KinesisBatchInfo": {
        "shardId": "shardId-000000000001",
        "startSequenceNumber": "49601189658422359378836298521827638475320189012309704722",
        "endSequenceNumber": "49601189658422359378836298522902373528957594348623495186",
        "approximateArrivalOfFirstRecord": "2019-11-14T00:38:04.835Z",
        "approximateArrivalOfLastRecord": "2019-11-14T00:38:05.580Z",
        "batchSize": 500,
        "streamArn": "arn:aws:kinesis:us-east-2:123456789012:stream/mystream" }"#;

    fn lambda() -> String {
        format!(
            r#"{{"requestContext": {{"requestId": "c9b8fa9f",
               "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:myfunction",
               "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3}},
               "responseContext": {{"statusCode": 200, "executedVersion": "$LATEST",
               "functionError": "Unhandled"}},
               "version": "1.0", "timestamp": "2019-11-14T00:38:06.021Z", {INFO}}}"#
        )
    }

    #[test]
    fn messages_of_lambda_pipes_and_topics_are_read() {
        let info = BatchInfo::parse(lambda().as_bytes()).unwrap();
        assert_eq!(
            (info.stream.as_str(), info.shard.as_str()),
            ("mystream", "shardId-000000000001")
        );
        assert_eq!((info.batch_size, info.invocations), (500, 3));
        assert_eq!(info.died_ms, 1_573_691_886_021);
        assert_eq!(info.condition, "RetryAttemptsExhausted");
        assert!(info.message.contains("function:myfunction") && info.message.contains("Unhandled"));

        let pipes = format!(
            r#"{{"context": {{"partnerResourceArn": "arn:aws:pipes:us-east-2:1:pipe/p",
               "condition": "MaximumRecordAgeExceeded"}}, "version": "1.0", {INFO}}}"#
        );
        let pipes = BatchInfo::parse(pipes.as_bytes()).unwrap();
        assert_eq!(pipes.condition, "MaximumRecordAgeExceeded");
        assert!(pipes.message.contains("pipe/p"));
        assert_eq!(pipes.died_ms, 1_573_691_885_580, "the last record's arrival");
        assert_eq!((&pipes.start, &pipes.end), (&info.start, &info.end));

        let topic = serde_json::json!({ "Type": "Notification", "Message": lambda() });
        assert_eq!(BatchInfo::parse(topic.to_string().as_bytes()).unwrap(), info);
    }

    #[test]
    fn others_are_named() {
        let twice = serde_json::json!({ "Message": "{\"Message\": \"{}\"}" }).to_string();
        for (body, says) in [
            ("hello", "expected value"),
            ("{}", "KinesisBatchInfo is missing"),
            (twice.as_str(), "KinesisBatchInfo is missing"),
            (r#"{"KinesisBatchInfo": null, "DDBStreamBatchInfo": {}}"#, "DynamoDB"),
            (r#"{"KinesisBatchInfo": {"shardId": "s"}}"#, "missing field"),
            (&lambda().replace(":stream/", ":queue/"), "no ARN of a stream"),
            (&lambda().replace("\"4960118965842235937883629852182", "\"x"), "no sequence number"),
        ] {
            let refused = BatchInfo::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(says), "{body}: {refused}");
        }
    }
}
