//! The suite of all shared stores, on DynamoDB.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dedup::store::Store;
use dedup::store::dynamodb::DynamoStore;

use crate::dynamodb_kit::{Database, TABLE, database, wait};
use crate::store_suite::{Effort, StoreWorld, store_suite};

struct World(Database);

impl StoreWorld for World {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(DynamoStore::connect(self.0.options()).unwrap())
    }

    /// Real time passes with the questions.
    fn pass_time(&self, _: u64) {}

    fn short_lease_ms(&self) -> u64 {
        400
    }

    fn lose_everything(&self) {
        wait(self.0.client().delete_table().table_name(TABLE).send()).unwrap();
    }

    /// A request to the server takes some milliseconds, and each key is one.
    fn effort(&self) -> Effort {
        Effort { races: 30, large_call_keys: 2_000, operations: 120 }
    }
}

/// Each test has a database of its own.
fn world() -> Option<World> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    database(&format!("dynamodb suite {number}")).map(World)
}

store_suite!(world);
