//! What the crate promises, one module per promise or feature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[cfg(feature = "dynamodb")]
mod dynamodb_kit;
#[cfg(feature = "dynamodb")]
mod dynamodb_proxy;
mod ledger_counters;
mod ledger_crash;
mod ledger_dead;
mod ledger_errors;
mod ledger_fixture;
mod ledger_kit;
mod ledger_leave;
mod ledger_memory;
mod ledger_new_key;
mod ledger_parked;
mod ledger_records;
mod ledger_restart;
mod ledger_rules;
mod ledger_sink;
mod ledger_storage;
mod ledger_threads;
mod ledger_world;
mod redis_kit;
mod scope;
mod scope_generated;
mod scope_generated_dead;
mod scope_generated_leave;
mod scope_keys;
mod scope_kit;
mod scope_leave;
mod scope_model;
mod shared_crash;
mod shared_fixture;
mod shared_store;
mod shared_world;
mod sightings;
#[cfg(feature = "dynamodb")]
mod store_dynamodb;
#[cfg(feature = "dynamodb")]
mod store_dynamodb_faults;
#[cfg(feature = "dynamodb")]
mod store_dynamodb_server;
#[cfg(feature = "dynamodb")]
mod store_dynamodb_suite;
#[cfg(feature = "dynamodb")]
mod store_dynamodb_table;
mod store_memory;
mod store_redis;
mod store_redis_access;
mod store_redis_cluster;
mod store_redis_faults;
mod store_redis_suite;
mod store_suite;
