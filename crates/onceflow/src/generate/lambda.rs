//! The payload that a Lambda function gets from a Kinesis stream.
//!
//! As AWS documents it under "Process Amazon Kinesis Data Streams records with Lambda": an object
//! with `Records`, in each the record's base64 and where it stood.

use std::io::Write as _;

use super::names;

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
const SHARD: &str = "shardId-000000000000";

/// Collects events into payloads.
#[derive(Debug)]
pub(crate) struct Payload {
    text: Vec<u8>,
    records: u64,
    records_max: u64,
    /// Of all payloads.
    sequence: u64,
}

impl Payload {
    /// Payloads of at most so many records.
    pub(crate) fn new(records_max: u64) -> Payload {
        Payload { text: Vec::new(), records: 0, records_max, sequence: 0 }
    }

    /// Adds an event, and appends the payload and a newline to `out` if that filled it.
    pub(crate) fn add(
        &mut self,
        event: &[u8],
        partition_key: &str,
        arrived_ms: i64,
        out: &mut Vec<u8>,
    ) {
        self.text.extend_from_slice(if self.records == 0 { b"{\"Records\":[" } else { b"," });
        self.records += 1;
        self.sequence += 1;
        let sequence = format!("4965{:052}", self.sequence);
        let data = base64_simd::STANDARD.encode_to_string(event);
        let arrived = format!("{}.{:03}", arrived_ms.div_euclid(1000), arrived_ms.rem_euclid(1000));
        let key = names::json(partition_key);
        let _ = write!(
            self.text,
            "{{\"kinesis\":{{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":{key},\
             \"sequenceNumber\":\"{sequence}\",\"data\":\"{data}\",\
             \"approximateArrivalTimestamp\":{arrived}}},\
             \"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\
             \"eventID\":\"{SHARD}:{sequence}\",\"eventName\":\"aws:kinesis:record\",\
             \"invokeIdentityArn\":\"arn:aws:iam::{ACCOUNT}:role/lambda\",\
             \"awsRegion\":\"{REGION}\",\
             \"eventSourceARN\":\"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/events\"}}"
        );
        if self.records == self.records_max {
            self.end(out);
        }
    }

    /// Appends what is there, if anything is.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        if self.records > 0 {
            out.append(&mut self.text);
            out.extend_from_slice(b"]}\n");
            self.records = 0;
        }
    }
}
