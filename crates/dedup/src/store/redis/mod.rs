//! Keys in Redis or Valkey, one server or a cluster.
//!
//! It speaks the protocol of [`crate::store`]: the batch's record decides, keys only name their
//! holder. Everything that must be atomic is a script (`scripts/`), each on one hash slot; how keys
//! lie there stands in `layout.rs` and on the page docs/formats/redis.md. Expiry is a broom: what
//! counts is decided from recorded times and windows.
//!
//! It deliberately knows nothing of pipes, and trusts no clock but the server's, and that one with
//! leases and with when to sweep only.
//!
//! Start reading at `scripts/reserve.lua`, then `reserve.rs`, `batches.rs`, `joint.rs` (joining, and
//! how a loss is noticed), `servers.rs` (the way of commands to servers).

mod batches;
mod call;
mod connect;
mod double;
mod fault;
mod joint;
mod layout;
mod options;
mod release;
mod reserve;
mod script;
mod servers;
mod stats;

pub use options::{Password, RedisOptions, RedisServers};

use std::sync::{Arc, PoisonError, RwLock};

use super::{
    Answer, Asked, BatchRef, BatchState, Joined, SharedScope, Store, StoreError, StoreFault,
    StoreStats,
};
use joint::Joint;
use servers::Servers;

/// A store in Redis or Valkey; for one scope.
#[derive(Debug)]
pub struct RedisStore {
    servers: Servers,
    joint: RwLock<Option<Arc<Joint>>>,
    /// The incarnation that is known to have lost keys, until it was joined anew.
    broken: RwLock<Option<[u8; 16]>>,
}

impl RedisStore {
    /// Connects and checks that the servers can be relied on.
    ///
    /// # Errors
    /// [`StoreFault::Away`] if they can't be reached, [`StoreFault::Refused`] if they can't be
    /// relied on: version before 6.2, a `maxmemory-policy` that evicts, a cluster where none is
    /// named or the other way round, wrong user or password, a certificate that isn't trusted.
    pub fn connect(options: RedisOptions) -> Result<Self, StoreError> {
        let place = options.servers.place();
        let servers = Servers::connect(options).map_err(|error| within(&place, error))?;
        Ok(Self { servers, joint: RwLock::default(), broken: RwLock::default() })
    }

    fn joint(&self) -> Result<Arc<Joint>, StoreError> {
        let joint = self.joint.read().unwrap_or_else(PoisonError::into_inner);
        joint.clone().ok_or_else(|| {
            StoreError::new(StoreFault::Lost, self.servers.place(), "no scope was joined yet")
        })
    }

    /// Runs something on the scope. Its errors name the store, and a loss is remembered.
    fn on_scope<T>(
        &self,
        run: impl FnOnce(&Servers, &Joint) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let joint = self.joint()?;
        run(&self.servers, &joint).map_err(|error| {
            if error.fault == StoreFault::Lost {
                let mut broken = self.broken.write().unwrap_or_else(PoisonError::into_inner);
                *broken = Some(joint.incarnation);
            }
            within(self.servers.place(), error)
        })
    }
}

/// An error of one server, under the name of the store.
fn within(place: &str, error: StoreError) -> StoreError {
    if *error.place == *place {
        return error;
    }
    StoreError::new(error.fault, place, format_args!("{}: {}", error.place, error.what))
}

impl Store for RedisStore {
    fn place(&self) -> String {
        self.servers.place().to_owned()
    }

    fn join(&self, scope: &SharedScope) -> Result<Joined, StoreError> {
        let broken = *self.broken.read().unwrap_or_else(PoisonError::into_inner);
        let joint = Joint::join(&self.servers, scope, broken)
            .map_err(|error| within(self.servers.place(), error))?;
        let joined = joint.joined();
        if let Ok(before) = self.joint() {
            joint.take_opened(&before);
        }
        *self.broken.write().unwrap_or_else(PoisonError::into_inner) = None;
        *self.joint.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(joint));
        Ok(joined)
    }

    fn reserve(
        &self,
        batch: BatchRef,
        lease_ms: u64,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        self.on_scope(|servers, joint| {
            let answers = reserve::reserve(servers, joint, batch, lease_ms, asked)?;
            // What is reserved is reserved, whatever becomes of the doubling.
            if let Err(error) = double::tend(servers, joint) {
                tracing::debug!(%error, "doubling the places of a shard");
            }
            Ok(answers)
        })
    }

    fn renew(&self, batches: &[BatchRef], lease_ms: u64) -> Result<Vec<BatchState>, StoreError> {
        self.on_scope(|servers, joint| batches::renew(servers, joint, batches, lease_ms))
    }

    fn commit(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.on_scope(|servers, joint| batches::commit(servers, joint, batch))
    }

    fn abort(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.on_scope(|servers, joint| batches::abort(servers, joint, batch))
    }

    fn state(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.on_scope(|servers, joint| Ok(batches::state(servers, joint, batch)?.state))
    }

    fn release(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError> {
        self.on_scope(|servers, joint| release::release(servers, joint, batch, keys))
    }

    fn settle(&self, batch: BatchRef, _keys: &[Asked]) -> Result<(), StoreError> {
        self.on_scope(|servers, joint| batches::settle(servers, joint, batch))
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        self.on_scope(stats::stats)
    }
}
