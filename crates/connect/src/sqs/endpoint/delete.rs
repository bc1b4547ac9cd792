//! The tasks that delete what is settled.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;

use super::shared::{Queue, Shared};
use crate::aws::{Backoff, refusal};

/// Entries of one call.
const ENTRIES_MAX: usize = 10;
/// A wake-up that was missed costs so long at most.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Deletes until the source ends; [`rest`] does what is left then.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new();
    while !shared.is_stopping() {
        let ids = take(&shared);
        if ids.is_empty() {
            let _ = tokio::time::timeout(LOOK_EVERY, shared.deletes.notified()).await;
            continue;
        }
        delete(&shared, ids, &mut backoff).await;
    }
}

/// Deletes what is left, at the end.
pub(super) async fn rest(shared: &Shared) {
    let mut backoff = Backoff::new();
    loop {
        let ids = take(shared);
        if ids.is_empty() {
            // Others may be at work on the last ones.
            if shared.state().deleting.is_empty() || shared.queue.get().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        delete(shared, ids, &mut backoff).await;
    }
}

fn take(shared: &Shared) -> Vec<u128> {
    let mut state = shared.state();
    let count = state.to_delete.len().min(ENTRIES_MAX);
    state.to_delete.drain(..count).collect()
}

async fn delete(shared: &Shared, ids: Vec<u128>, backoff: &mut Backoff) {
    let Some(queue) = shared.queue.get() else { return };
    let problem = match call(shared, queue, &ids).await {
        Ok(again) if again.is_empty() => {
            backoff.reset();
            return;
        }
        Ok(again) => {
            shared.state().to_delete.extend(again);
            "some entries failed".to_owned()
        }
        Err(refused) if refused.is_missing() => {
            // With the queue its messages are gone; the task that polls says so.
            ids.iter().for_each(|id| shared.not_deleted(*id));
            return;
        }
        Err(refused) => {
            shared.state().to_delete.extend(ids);
            refused.text
        }
    };
    shared.status.failed(problem.clone());
    let wait = backoff.failed();
    if backoff.is_worth_a_warning() {
        let queue = shared.options.queue.as_str();
        tracing::warn!(queue, error = problem, "can't delete settled messages; trying again");
    }
    tokio::time::sleep(wait).await;
}

/// Those that have to be tried again.
async fn call(
    shared: &Shared,
    queue: &Queue,
    ids: &[u128],
) -> Result<Vec<u128>, crate::aws::Refusal> {
    let entries: Vec<DeleteMessageBatchRequestEntry> = {
        let state = shared.state();
        let entry = |(index, id): (usize, &u128)| {
            let handle = state.deleting.get(id)?.handle.clone();
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(handle);
            entry.build().ok()
        };
        ids.iter().enumerate().filter_map(entry).collect()
    };
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let answer = shared
        .client
        .delete_message_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries))
        .send()
        .await
        .map_err(|error| refusal(&error))?;
    let id = |index: &str| index.parse::<usize>().ok().and_then(|index| ids.get(index)).copied();
    let deleted: Vec<u128> =
        answer.successful().iter().filter_map(|entry| id(entry.id())).collect();
    shared.deleted(&deleted);
    let mut again = Vec::new();
    for entry in answer.failed() {
        let Some(id) = id(entry.id()) else { continue };
        if entry.sender_fault() {
            // The receipt is no good any more. Should the message come again, its id is known.
            shared.not_deleted(id);
        } else {
            again.push(id);
        }
    }
    Ok(again)
}
