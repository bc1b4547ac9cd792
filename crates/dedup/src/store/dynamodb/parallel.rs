//! The same for many, some at a time.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::store::{StoreError, StoreFault};

/// Runs `run` for each item, at most `tasks_max` at a time; the results in the order of the items.
/// After an error nothing more is begun, and what is under way is dropped: whether it takes effect
/// is then open, as with every request that isn't answered.
pub(super) async fn side_by_side<T, R, F>(
    place: &str,
    tasks_max: usize,
    items: Vec<T>,
    run: impl Fn(T) -> F + Clone + Send + 'static,
) -> Result<Vec<R>, StoreError>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = Result<R, StoreError>> + Send + 'static,
{
    let count = items.len();
    if count <= 1 {
        let mut results = Vec::with_capacity(count);
        for item in items {
            results.push(run(item).await?);
        }
        return Ok(results);
    }
    let items = Arc::new(Mutex::new(items.into_iter().enumerate()));
    let stopped = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..tasks_max.clamp(1, count) {
        let (items, stopped, run) = (Arc::clone(&items), Arc::clone(&stopped), run.clone());
        tasks.spawn(async move {
            let mut results = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((index, item)) = next else { break };
                results.push((index, run(item).await?));
            }
            Ok(results)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(ended) = tasks.join_next().await {
        let ended = ended
            .map_err(|error| StoreError::new(StoreFault::Away, place, format_args!("{error}")));
        match ended.and_then(|ended| ended) {
            Ok(results) => all.extend(results),
            Err(error) => {
                stopped.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
    }
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T: Send>(work: impl Future<Output = T>) -> T {
        super::super::client::runtime().unwrap().block_on(work)
    }

    #[test]
    fn results_come_in_order_and_the_first_error_ends_it() {
        let doubled = side_by_side("here", 7, (0..1_000).collect(), |n: u32| async move {
            tokio::task::yield_now().await;
            Ok(n * 2)
        });
        assert_eq!(run(doubled).unwrap(), (0..1_000).map(|n| n * 2).collect::<Vec<_>>());

        let failed = side_by_side("here", 7, (0..1_000).collect(), |n: u32| async move {
            if n == 500 { Err(StoreError::new(StoreFault::Full, "here", n)) } else { Ok(n) }
        });
        assert_eq!(run(failed).unwrap_err().fault, StoreFault::Full);
    }
}
