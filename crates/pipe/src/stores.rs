//! The stores of a run that workers share: one connection a place and scope, however many pipes
//! use it.

use std::sync::{Arc, Mutex, PoisonError};

use dedup::ledger::{LedgerError, SharedStore};
use dedup::store::Store;
use dedup::store::redis::{Password, RedisOptions, RedisStore};

use crate::config::{DedupConfig, DynamoConfig, RedisConfig, StoreConfig};
use crate::engine::PipeError;

/// The stores of a run that are in use.
#[derive(Debug, Default)]
pub struct Stores {
    known: Mutex<Vec<Known>>,
    /// Keys stay in the ledger, whatever the config names.
    none: bool,
}

#[derive(Debug)]
struct Known {
    config: StoreConfig,
    scope: String,
    store: Arc<dyn Store>,
}

impl Stores {
    /// No store is ever asked: for pipes that are only tried.
    #[must_use]
    pub fn none() -> Self {
        Self { none: true, ..Self::default() }
    }

    /// The store that a pipe's config names, if it names one.
    ///
    /// # Errors
    /// [`PipeError::Ledger`] with a [`LedgerError::Store`], which may pass.
    pub(crate) fn of(&self, dedup: &DedupConfig) -> Result<Option<SharedStore>, PipeError> {
        let Some(config) = dedup.store.as_ref().filter(|_| !self.none) else { return Ok(None) };
        let lease = dedup.lease;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&Known| known.config == *config && known.scope == dedup.scope;
        if let Some(known) = known.iter().find(same) {
            return Ok(Some(SharedStore { store: Arc::clone(&known.store), lease }));
        }
        let store = match config {
            StoreConfig::Redis(redis) => connect_redis(redis)?,
            StoreConfig::Dynamo(dynamo) => connect_dynamo(dynamo)?,
        };
        let (config, scope) = (config.clone(), dedup.scope.clone());
        known.push(Known { config, scope, store: Arc::clone(&store) });
        Ok(Some(SharedStore { store, lease }))
    }

    /// Takes `store` for what the config of a scope names: for tests.
    pub fn put(&self, config: StoreConfig, scope: &str, store: Arc<dyn Store>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(Known { config, scope: scope.to_owned(), store });
    }
}

fn connect_redis(config: &RedisConfig) -> Result<Arc<dyn Store>, PipeError> {
    let mut options = RedisOptions::parse(&config.url).map_err(LedgerError::from)?;
    options.ca_file.clone_from(&config.ca_file);
    options.prefix.clone_from(&config.prefix);
    if config.user.is_some() {
        options.servers.user.clone_from(&config.user);
    }
    if let Some(password) = &config.password {
        options.servers.password = Some(Password(password.clone()));
    }
    let timeout_ms = u64::try_from(config.timeout.as_millis()).unwrap_or(u64::MAX);
    options.call_timeout_ms = timeout_ms;
    options.connect_timeout_ms = options.connect_timeout_ms.min(timeout_ms);
    Ok(Arc::new(RedisStore::connect(options).map_err(LedgerError::from)?))
}

#[cfg(feature = "dynamodb")]
fn connect_dynamo(config: &DynamoConfig) -> Result<Arc<dyn Store>, PipeError> {
    use dedup::store::dynamodb::{DynamoEndpoint, DynamoOptions, DynamoStore};
    let mut options = DynamoOptions::new(config.table.clone());
    if let Some(url) = &config.endpoint {
        options.endpoint = DynamoEndpoint::Url(url.clone());
    }
    options.region.clone_from(&config.region);
    options.create_table = config.create_table;
    options.patience = config.timeout;
    options.attempt_max = options.attempt_max.min(config.timeout);
    Ok(Arc::new(DynamoStore::connect(options).map_err(LedgerError::from)?))
}

#[cfg(not(feature = "dynamodb"))]
fn connect_dynamo(_: &DynamoConfig) -> Result<Arc<dyn Store>, PipeError> {
    let what = "dedup.store: this onceflow was built without `dynamodb`; take one that was built \
                with it, or another store";
    Err(PipeError::Config(what.into()))
}
