//! One request until it is answered: tried again with growing pauses while that can help.

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ConsumedCapacity;
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::options::DynamoOptions;
use super::refusal::Refusal;
use super::time::StoreTime;
use crate::store::{StoreError, StoreFault};

const BACKOFF_FIRST: Duration = Duration::from_millis(25);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// So often in a row may a batch read bring nothing.
const UNPROCESSED_MAX: u32 = 12;

/// What the store's requests have cost so far. Refused writes cost as well, and the server doesn't
/// say how much: they count by the item's size, as the price list does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Write units: one for each KiB of an item that is written.
    pub write_units: f64,
    /// Read units: one for each 4 KiB of an item that is read.
    pub read_units: f64,
    /// Answers that asked to be slower.
    pub throttled: u64,
}

/// How a request failed.
pub(super) enum Refused<E> {
    /// Its condition didn't hold.
    Condition(E),
    Failed(StoreError),
}

impl<E: Debug> Refused<E> {
    /// For a request without a condition.
    pub(super) fn into_error(self, place: &str) -> StoreError {
        match self {
            Self::Failed(error) => error,
            Self::Condition(what) => {
                StoreError::new(StoreFault::Refused, place, format_args!("{what:?}"))
            }
        }
    }
}

/// How long a call of the store goes on without one good answer.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    limit: Duration,
    /// When the last good answer came; ms after `began`.
    good_ms: AtomicU64,
}

impl Patience {
    fn answered(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.good_ms.fetch_max(ms, Ordering::Relaxed);
    }

    fn left(&self) -> Duration {
        let good = Duration::from_millis(self.good_ms.load(Ordering::Relaxed));
        (good + self.limit).saturating_sub(self.began.elapsed())
    }
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) client: Client,
    pub(super) table: String,
    pub(super) place: String,
    pub(super) time: StoreTime,
    attempt_max: Duration,
    patience: Duration,
    permits: Semaphore,
    // In tenths.
    write_units: AtomicU64,
    read_units: AtomicU64,
    throttled: AtomicU64,
}

impl Calls {
    pub(super) fn new(client: Client, options: &DynamoOptions, time: StoreTime) -> Self {
        Self {
            client,
            table: options.table.clone(),
            place: options.place(),
            time,
            attempt_max: options.attempt_max,
            patience: options.patience,
            permits: Semaphore::new(options.requests_max.max(1)),
            write_units: AtomicU64::new(0),
            read_units: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience { began: Instant::now(), limit: self.patience, good_ms: AtomicU64::new(0) }
    }

    pub(super) fn error(&self, fault: StoreFault, what: impl std::fmt::Display) -> StoreError {
        StoreError::new(fault, &self.place, what)
    }

    /// Sends until an answer comes that another try wouldn't change, or patience ends.
    pub(super) async fn send<O, E, F>(
        &self,
        patience: &Patience,
        send: impl Fn() -> F,
    ) -> Result<O, Refused<E>>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut tries: u32 = 0;
        loop {
            let answer = self.attempt(patience, &send).await;
            let why = match answer {
                Ok(Ok(answer)) => {
                    patience.answered();
                    return Ok(answer);
                }
                Err(waited) => format!("no answer within {} ms", waited.as_millis()),
                Ok(Err(error)) => match (Refusal::of(&error), error) {
                    (Refusal::Condition, SdkError::ServiceError(answer)) => {
                        patience.answered();
                        return Err(Refused::Condition(answer.into_err()));
                    }
                    (Refusal::Stop(fault, what), _) => {
                        return Err(Refused::Failed(self.error(fault, what)));
                    }
                    (Refusal::Again(what), _) => what,
                    (Refusal::Condition, error) => error.to_string(),
                },
            };
            if Refusal::is_throttling(&why) {
                self.throttled.fetch_add(1, Ordering::Relaxed);
            }
            tries = tries.saturating_add(1);
            let pause = self.pause(tries);
            if pause >= patience.left() {
                let limit_ms = self.patience.as_millis();
                return Err(Refused::Failed(self.error(
                    StoreFault::Away,
                    format_args!("{why} ({tries} tries, nothing else came in {limit_ms} ms)"),
                )));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt<O, E, F>(
        &self,
        patience: &Patience,
        send: impl Fn() -> F,
    ) -> Result<Result<O, SdkError<E, HttpResponse>>, Duration>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        // Waiting for one's turn is no failure: others are being answered, or run out of patience.
        let permit = self.permits.acquire().await;
        let most = self.attempt_max.min(patience.left()).max(Duration::from_millis(1));
        let answer = timeout(most, send()).await.map_err(|_| most);
        drop(permit);
        answer
    }

    /// A random part of a time that doubles with each try (full jitter), so that many that failed
    /// together don't come back together.
    fn pause(&self, tries: u32) -> Duration {
        let most = BACKOFF_FIRST.saturating_mul(1 << tries.min(16).saturating_sub(1));
        let part = self.nonce().map_or(u64::MAX, u64::from_be_bytes);
        most.min(BACKOFF_MAX).mul_f64(part as f64 / u64::MAX as f64)
    }

    /// Waits before what a batch read left out is asked for again.
    pub(super) async fn pause_unprocessed(&self, rounds: u32) -> Result<(), StoreError> {
        if rounds == 0 {
            return Ok(());
        }
        self.throttled.fetch_add(1, Ordering::Relaxed);
        if rounds > UNPROCESSED_MAX {
            return Err(
                self.error(StoreFault::Away, "it leaves reads unprocessed, again and again")
            );
        }
        tokio::time::sleep(self.pause(rounds)).await;
        Ok(())
    }

    /// Random, so that what was written by whom can be told.
    pub(super) fn nonce(&self) -> Result<[u8; 8], StoreError> {
        let mut nonce = [0; 8];
        SysRng.try_fill_bytes(&mut nonce).map_err(|error| {
            self.error(StoreFault::Away, format_args!("no random bytes: {error}"))
        })?;
        Ok(nonce)
    }

    /// What a write cost, as its answer says.
    pub(super) fn wrote(&self, consumed: Option<&ConsumedCapacity>) {
        self.write_units.fetch_add(tenths(consumed), Ordering::Relaxed);
    }

    /// What a refused write cost: as much as the item that was there.
    pub(super) fn wrote_nothing(&self, item_bytes: usize) {
        let units = item_bytes.div_ceil(1024).max(1) as u64;
        self.write_units.fetch_add(units * 10, Ordering::Relaxed);
    }

    pub(super) fn read(&self, consumed: Option<&ConsumedCapacity>) {
        self.read_units.fetch_add(tenths(consumed), Ordering::Relaxed);
    }

    pub(super) fn consumed(&self) -> Consumed {
        Consumed {
            write_units: self.write_units.load(Ordering::Relaxed) as f64 / 10.0,
            read_units: self.read_units.load(Ordering::Relaxed) as f64 / 10.0,
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }
}

fn tenths(consumed: Option<&ConsumedCapacity>) -> u64 {
    let units = consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0);
    (units * 10.0).round() as u64
}
