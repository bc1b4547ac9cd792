//! `PutRecords`.

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::Target;
use super::batches::Outgoing;
use super::client::{passes, problem};
use super::connection::{Answer, Problem, Refused};

/// A Kinesis stream.
#[derive(Debug)]
pub(super) struct Stream {
    client: Client,
    name: String,
}

impl Stream {
    pub(super) async fn find(config: &SdkConfig, target: &Target) -> Result<Stream, String> {
        Ok(Stream { client: Client::new(config), name: target.name.clone() })
    }

    pub(super) async fn send(&self, events: &[Outgoing]) -> Result<Answer, Problem> {
        let records = events.iter().map(|event| {
            PutRecordsRequestEntry::builder()
                .data(Blob::new(event.payload.as_bytes()))
                .partition_key(&event.partition_key)
                .build()
        });
        let records: Result<Vec<_>, _> = records.collect();
        let records =
            records.map_err(|error| Problem { passes: false, said: error.to_string() })?;
        let request = self.client.put_records().stream_name(&self.name);
        let answer = request.set_records(Some(records)).send().await;
        let answer = answer.map_err(|error| problem(&error))?;
        if answer.records().len() != events.len() {
            let said =
                format!("{} answers came for {} records", answer.records().len(), events.len());
            return Err(Problem { passes: false, said });
        }
        let mut refused = Vec::new();
        for (index, record) in answer.records().iter().enumerate() {
            let Some(code) = record.error_code() else { continue };
            let said = format!("{code}: {}", record.error_message().unwrap_or("no reason given"));
            refused.push(Refused { index, problem: Problem { passes: passes(code), said } });
        }
        Ok(Answer { refused })
    }
}
