//! The task that keeps messages in flight hidden, and what gives them back at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, QueueAttributeName};
use tokio::task::JoinSet;

use super::shared::{Queue, Shared};
use crate::aws::{Refusal, refusal};

/// Entries of one call.
const ENTRIES_MAX: usize = 10;
/// Calls side by side.
const CALLS_MAX: usize = 8;
/// How often the queue is asked how much it holds.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The shortest time between two looks at what has to be renewed.
const TURN_MIN: Duration = Duration::from_millis(100);

/// Renews until it is ended.
pub(super) async fn run(shared: Arc<Shared>) {
    let turn = (shared.options.visibility_timeout / 10).clamp(TURN_MIN, Duration::from_secs(5));
    let mut looked: Option<Instant> = None;
    loop {
        tokio::time::sleep(turn).await;
        shared.forget();
        if shared.queue.get().is_none() {
            continue;
        }
        let due = due(&shared);
        change_all(&shared, due, shared.options.visibility_timeout).await;
        if looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            looked = Some(Instant::now());
            look(&shared).await;
        }
    }
}

/// Shows what is still in flight, at the end.
pub(super) async fn give_back(shared: &Arc<Shared>) {
    let held: Vec<(u128, String)> =
        shared.state().held.drain().map(|(id, held)| (id, held.handle)).collect();
    change_all(shared, held, Duration::ZERO).await;
}

/// What has to be renewed now; each is due again in a while, should this not work out.
fn due(shared: &Shared) -> Vec<(u128, String)> {
    let now = Instant::now();
    let retry = shared.options.visibility_timeout / 8;
    let mut state = shared.state();
    let state = &mut *state;
    let mut due = Vec::new();
    for (id, held) in state.held.iter_mut().chain(&mut state.deleting) {
        if held.renew_at <= now {
            held.renew_at = now + retry;
            due.push((*id, held.handle.clone()));
        }
    }
    due
}

async fn change_all(shared: &Arc<Shared>, messages: Vec<(u128, String)>, hide: Duration) {
    let mut calls = JoinSet::new();
    for group in messages.chunks(ENTRIES_MAX) {
        while calls.len() >= CALLS_MAX {
            calls.join_next().await;
        }
        let (shared, group) = (Arc::clone(shared), group.to_vec());
        calls.spawn(async move {
            let Some(queue) = shared.queue.get() else { return };
            if let Err(refused) = change(&shared, queue, &group, hide).await {
                shared.status.failed(refused.text.clone());
                tracing::debug!(error = refused.text, "visibility not changed");
            }
        });
    }
    while calls.join_next().await.is_some() {}
}

async fn change(
    shared: &Shared,
    queue: &Queue,
    group: &[(u128, String)],
    hide: Duration,
) -> Result<(), Refusal> {
    let asked = Instant::now();
    let hide_s = i32::try_from(hide.as_secs()).unwrap_or(43_200);
    let entries = group.iter().enumerate().filter_map(|(index, (_, handle))| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
            .id(index.to_string())
            .receipt_handle(handle)
            .visibility_timeout(hide_s);
        entry.build().ok()
    });
    let answer = shared
        .client
        .change_message_visibility_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries.collect()))
        .send()
        .await
        .map_err(|error| refusal(&error))?;
    let mut state = shared.state();
    let state = &mut *state;
    for entry in answer.successful() {
        let place = entry.id().parse::<usize>().ok().and_then(|index| group.get(index));
        let Some((id, handle)) = place else { continue };
        let held = state.held.get_mut(id).or_else(|| state.deleting.get_mut(id));
        // Unless it came again meanwhile.
        if let Some(held) = held.filter(|held| held.handle == *handle) {
            held.hidden_until = asked + hide;
            held.renew_at = asked + hide / 2;
        }
    }
    Ok(())
}

/// Notes how much the queue holds.
async fn look(shared: &Shared) {
    let Some(queue) = shared.queue.get() else { return };
    let now_ms = shared.clock.now_ms();
    let oldest_ms = shared.state().held.values().map(|held| held.sent_ms).min();
    let age_ms = oldest_ms.map_or(0, |sent_ms| now_ms.saturating_sub(sent_ms).max(0));
    shared.status.behind_ms.store(age_ms.unsigned_abs(), Ordering::Relaxed);
    let answer = shared
        .client
        .get_queue_attributes()
        .queue_url(&queue.url)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await;
    let count = answer.ok().and_then(|answer| {
        let all = answer.attributes()?;
        all.get(&QueueAttributeName::ApproximateNumberOfMessages)?.parse::<u64>().ok()
    });
    if let Some(count) = count {
        shared.status.behind_events.store(count, Ordering::Relaxed);
    }
}
