//! `SendMessageBatch`.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use super::Target;
use super::batches::Outgoing;
use super::client::problem;
use super::connection::{Answer, Problem, Refused};

/// How often the queue is asked for while nobody answers.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// An SQS queue.
#[derive(Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Asks for the queue's address, for as long as requests are tried again.
    pub(super) async fn find(config: &SdkConfig, target: &Target) -> Result<Queue, String> {
        let client = Client::new(config);
        let began = Instant::now();
        loop {
            let answer = client.get_queue_url().queue_name(&target.name).send().await;
            let problem = match answer {
                Ok(answer) => {
                    let url = answer.queue_url().ok_or("an answer without the queue's address")?;
                    return Ok(Queue { url: url.to_owned(), client });
                }
                Err(error) => problem(&error),
            };
            if !problem.passes {
                return Err(problem.said);
            }
            if began.elapsed() + ASK_AGAIN > target.retry_for {
                let tried = target.retry_for.as_secs_f64();
                return Err(format!("{}, for {tried} s now (--retry-for)", problem.said));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    pub(super) async fn send(&self, events: &[Outgoing]) -> Result<Answer, Problem> {
        let entries = events.iter().enumerate().map(|(index, event)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&event.payload)
                .build()
        });
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries =
            entries.map_err(|error| Problem { passes: false, said: error.to_string() })?;
        let request = self.client.send_message_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        let answer = answer.map_err(|error| problem(&error))?;
        let mut refused = Vec::new();
        for failed in answer.failed() {
            let said =
                format!("{}: {}", failed.code(), failed.message().unwrap_or("no reason given"));
            let index = failed.id().parse().unwrap_or(usize::MAX);
            refused
                .push(Refused { index, problem: Problem { passes: !failed.sender_fault(), said } });
        }
        // What is in neither list was not acknowledged.
        for index in 0..events.len() {
            let id = index.to_string();
            let answered = answer.successful().iter().any(|sent| sent.id() == id)
                || refused.iter().any(|refused| refused.index == index);
            if !answered {
                let said = "no answer for this message".to_owned();
                refused.push(Refused { index, problem: Problem { passes: true, said } });
            }
        }
        refused.sort_by_key(|refused| refused.index);
        Ok(Answer { refused })
    }
}
