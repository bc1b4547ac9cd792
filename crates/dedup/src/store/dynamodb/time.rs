//! The store's time, from the date of its answers. Only TTL goes by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

/// A date is read again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// What time it is there, as far as its answers have said.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreTime(Arc<Mutex<Option<(i64, Instant)>>>);

impl StoreTime {
    /// ms since the Unix epoch; `None` while no answer carried a date.
    pub(super) fn now_ms(&self) -> Option<i64> {
        let read = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ms, at) = read?;
        let since = i64::try_from(at.elapsed().as_millis()).ok()?;
        ms.checked_add(since)
    }

    fn read(&self, date: Option<&str>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|(_, at)| at.elapsed() < AGAIN) {
            return;
        }
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(ms) = date.and_then(|date| date.to_millis().ok()) {
            *known = Some((ms, Instant::now()));
        }
    }
}

impl Intercept for StoreTime {
    fn name(&self) -> &'static str {
        "StoreTime"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.read(context.response().headers().get("date"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_the_stores_time() {
        let time = StoreTime::default();
        assert_eq!(time.now_ms(), None);
        time.read(None);
        time.read(Some("yesterday"));
        assert_eq!(time.now_ms(), None);
        time.read(Some("Sat, 21 Nov 2026 21:04:48 GMT"));
        let now_ms = time.now_ms().unwrap();
        assert!((1_795_295_088_000..1_795_295_090_000).contains(&now_ms), "{now_ms}");
    }
}
