//! What the calls of a store share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::{Calls, Patience};
use super::known::{Known, Scope};
use crate::store::{StoreError, StoreFault};

/// The inside of a store: its requests, and what it knows.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) calls: Arc<Calls>,
    pub(super) create_table: bool,
    pub(super) requests_max: usize,
    pub(super) margin_ms: i64,
    known: Mutex<Known>,
}

impl Core {
    pub(super) fn new(calls: Calls, options: &super::DynamoOptions) -> Self {
        Self {
            calls: Arc::new(calls),
            create_table: options.create_table,
            requests_max: options.requests_max.max(1),
            margin_ms: i64::try_from(options.margin.as_millis()).unwrap_or(i64::MAX),
            known: Mutex::default(),
        }
    }

    /// Never held across a request.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scope that was joined.
    pub(super) fn scope(&self) -> Result<Scope, StoreError> {
        let scope = self.known().scope.clone();
        scope.ok_or_else(|| self.calls.error(StoreFault::Lost, "no scope was joined yet"))
    }

    /// A record that should be there isn't: was only it swept, or is all lost?
    pub(super) async fn check_scope(
        &self,
        patience: &Patience,
        scope: &Scope,
    ) -> Result<(), StoreError> {
        self.calls.check_scope(patience, &scope.name, scope.incarnation).await
    }
}
