//! The suite that every shared store passes, on one Redis server and on a cluster of three.

use std::sync::{Arc, Mutex, Weak};

use dedup::store::Store;
use dedup::store::redis::{RedisOptions, RedisStore};

use super::redis_kit::{Cluster, Server, have};
use super::store_suite::{Effort, StoreWorld};

/// Long enough for a few calls on a machine that is busy with other tests; ms.
const SHORT_LEASE_MS: u64 = 400;
const EFFORT: Effort = Effort { races: 60, large_call_keys: 10_000, operations: 200 };

fn store(options: RedisOptions) -> Arc<dyn Store> {
    Arc::new(RedisStore::connect(options).unwrap())
}

mod one_server {
    use super::*;

    struct World(Server);

    impl StoreWorld for World {
        fn store(&self) -> Arc<dyn Store> {
            store(self.0.options())
        }

        fn pass_time(&self, _: u64) {}

        fn short_lease_ms(&self) -> u64 {
            SHORT_LEASE_MS
        }

        fn lose_everything(&self) {
            redis::cmd("FLUSHALL").exec(&mut self.0.admin()).unwrap();
        }

        fn effort(&self) -> Effort {
            EFFORT
        }
    }

    fn world() -> Option<World> {
        have("the stores' suite on one Redis server").then(|| World(Server::start(&[])))
    }

    crate::store_suite::store_suite!(world);
}

mod cluster {
    use super::*;

    /// All tests share a cluster; the last of them ends it.
    static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

    struct World(Arc<Cluster>);

    impl StoreWorld for World {
        fn store(&self) -> Arc<dyn Store> {
            store(self.0.options())
        }

        fn pass_time(&self, _: u64) {}

        fn short_lease_ms(&self) -> u64 {
            SHORT_LEASE_MS
        }

        fn is_shared(&self) -> bool {
            true
        }

        fn lose_everything(&self) {
            for node in &self.0.nodes {
                redis::cmd("FLUSHALL").exec(&mut node.admin()).unwrap();
            }
        }

        fn effort(&self) -> Effort {
            EFFORT
        }
    }

    fn world() -> Option<World> {
        if !have("the stores' suite on a Redis cluster") {
            return None;
        }
        let mut shared = CLUSTER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let cluster = shared.upgrade().unwrap_or_else(|| Arc::new(Cluster::start(&[])));
        *shared = Arc::downgrade(&cluster);
        Some(World(cluster))
    }

    crate::store_suite::store_suite!(world);
}
