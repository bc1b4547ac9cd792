//! The store in a DynamoDB table.
//!
//! One item a key, with all entries of the key in it, so that one conditional write decides over
//! every entry whose window reaches an event; one item a batch; one item a scope. Every write names
//! what it expects to find, by a nonce that is another one at each write, so whoever looked at
//! something older changes nothing. What is in the table stands in docs/formats/dynamodb.md.
//!
//! It deliberately knows no clock of this machine but the monotonic one: leases go by what was
//! observed ([`lease`]), TTL by the date of the server's answers ([`time`], [`expiry`]), and
//! duplicates by recorded times alone ([`decide`]).
//!
//! Start reading at `reserve.rs`, then `decide.rs` and `batches.rs`.

mod batches;
mod call;
mod client;
mod core;
mod decide;
mod expiry;
mod item;
mod known;
mod lease;
mod options;
mod parallel;
mod refusal;
mod requests;
mod reserve;
mod scope;
mod table;
mod time;

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Runtime;

pub use call::Consumed;
pub use options::{DynamoEndpoint, DynamoOptions};

use self::core::Core;
use super::{
    Answer, Asked, BatchRef, BatchState, Joined, SharedScope, Store, StoreError, StoreFault,
    StoreStats,
};
use call::Calls;
use known::Scope;
use parallel::side_by_side;
use time::StoreTime;

/// A store in a DynamoDB table. One object serves one scope, from any thread, but not from within
/// an asynchronous task: its calls block.
#[derive(Debug)]
pub struct DynamoStore {
    core: Arc<Core>,
    runtime: &'static Runtime,
}

impl DynamoStore {
    /// Makes the client; nothing is sent before [`Store::join`].
    ///
    /// # Errors
    /// [`StoreFault::Refused`]: not a table's name. [`StoreFault::Away`]: no thread for the
    /// network.
    pub fn connect(options: DynamoOptions) -> Result<Self, StoreError> {
        let place = options.place();
        if let Some(problem) = options.problem() {
            return Err(StoreError::new(StoreFault::Refused, &place, problem));
        }
        let runtime = client::runtime()
            .map_err(|problem| StoreError::new(StoreFault::Away, &place, problem))?;
        let time = StoreTime::default();
        let client = runtime.block_on(client::client(&options, time.clone()));
        let core = Arc::new(Core::new(Calls::new(client, &options, time), &options));
        Ok(Self { core, runtime })
    }

    /// What its requests have cost since it was made.
    #[must_use]
    pub fn consumed(&self) -> Consumed {
        self.core.calls.consumed()
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Ends a batch, and makes sure that an absent record isn't a lost store.
    fn end(&self, batch: BatchRef, to: BatchState) -> Result<BatchState, StoreError> {
        let core = &self.core;
        self.run(async {
            let scope = core.scope()?;
            let patience = core.calls.patience();
            let state = core.end_record(&patience, &scope, batch, to, None).await?;
            if state == BatchState::Absent {
                core.check_scope(&patience, &scope).await?;
            }
            core.known().close(&batch);
            Ok(state)
        })
    }
}

impl Store for DynamoStore {
    fn place(&self) -> String {
        self.core.calls.place.clone()
    }

    fn join(&self, scope: &SharedScope) -> Result<Joined, StoreError> {
        let core = &self.core;
        self.run(async {
            let patience = core.calls.patience();
            core.calls.check_table(&patience, core.create_table).await?;
            let joined = core.calls.join_scope(&patience, scope).await?;
            let scope = Scope { name: scope.name.clone(), incarnation: joined.incarnation };
            core.known().joined(scope);
            Ok(joined)
        })
    }

    fn reserve(
        &self,
        batch: BatchRef,
        lease_ms: u64,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        self.run(self.core.reserve(batch, lease_ms, asked))
    }

    fn renew(&self, batches: &[BatchRef], lease_ms: u64) -> Result<Vec<BatchState>, StoreError> {
        let core = &self.core;
        self.run(async {
            let scope = core.scope()?;
            let patience = Arc::new(core.calls.patience());
            let (each, for_each) = (Arc::clone(core), (Arc::clone(&patience), scope.clone()));
            let run = move |batch| {
                let (core, (patience, scope)) = (Arc::clone(&each), for_each.clone());
                async move { core.renew_record(&patience, &scope, batch, lease_ms).await }
            };
            let states =
                side_by_side(&core.calls.place, core.requests_max, batches.to_vec(), run).await?;
            if states.contains(&BatchState::Absent) {
                core.check_scope(&patience, &scope).await?;
            }
            Ok(states)
        })
    }

    fn commit(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.end(batch, BatchState::Committed)
    }

    fn abort(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.end(batch, BatchState::Aborted)
    }

    fn state(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        let core = &self.core;
        self.run(async {
            let scope = core.scope()?;
            let patience = core.calls.patience();
            let state = core.state_of(&patience, &scope, batch).await?;
            if state == BatchState::Absent {
                core.check_scope(&patience, &scope).await?;
            }
            Ok(state)
        })
    }

    fn release(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError> {
        self.run(self.core.release(batch, keys))
    }

    /// Does nothing: it would double the price of a key. The batch's record stays until its keys
    /// are gone, and is one small item.
    fn settle(&self, _: BatchRef, _: &[Asked]) -> Result<(), StoreError> {
        Ok(())
    }

    /// The size of the table with everything in it, as the server counted it within the last six
    /// hours or so; it doesn't count by scope.
    fn stats(&self) -> Result<StoreStats, StoreError> {
        let core = &self.core;
        self.run(async {
            let patience = core.calls.patience();
            let Some(table) = core.calls.table(&patience).await? else {
                return Err(core.calls.error(StoreFault::Lost, "there is no such table"));
            };
            let items = table.item_count.unwrap_or(0);
            Ok(StoreStats {
                keys: None,
                bytes: table.table_size_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
                server: format!("DynamoDB, {items} items of all scopes at its last count"),
            })
        })
    }
}
