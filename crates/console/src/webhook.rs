//! Tells an address of alarms: a POST with JSON for each that is raised and each that is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use backon::{BlockingRetryable as _, ExponentialBuilder};
use connect::http::{HttpClient, HttpOptions, HttpRequest, NotAnswered};
use crossbeam_channel::{Receiver, Sender, bounded};
use event::SystemClock;
use serde::Serialize;

use crate::alarms::{Alarm, Change};
use crate::show;

/// Calls that wait for a slow address at most; further ones are logged and dropped.
const WAITING_MAX: usize = 100;
/// A call may take so long.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Attempts at a call after the first.
const RETRIES_MAX: usize = 4;
/// Before the second attempt; doubles with each, plus jitter.
const BACKOFF: Duration = Duration::from_millis(500);

/// What an address is told.
#[derive(Serialize)]
struct Message<'a> {
    /// The form of this message.
    version: u32,
    /// `raised` or `over`.
    state: &'static str,
    #[serde(flatten)]
    alarm: &'a Alarm,
    /// RFC 3339.
    since: String,
}

/// Calls an address, on a thread of its own.
pub struct Webhook {
    calls: Option<Sender<String>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Webhook {
    /// Calls `url`, which is `http://…` or `https://…`.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(url: String) -> std::io::Result<Self> {
        let (calls, waiting) = bounded(WAITING_MAX);
        let ending = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ending);
        let thread = std::thread::Builder::new()
            .name("webhook".to_owned())
            .spawn(move || call_all(&url, &waiting, &seen))?;
        Ok(Self { calls: Some(calls), ending, thread: Some(thread) })
    }

    /// Tells of a change; never waits.
    pub fn tell(&self, change: &Change) {
        let (state, alarm) = match change {
            Change::Raised(alarm) => ("raised", alarm),
            Change::Over(alarm) => ("over", alarm),
        };
        let message = Message { version: 1, state, alarm, since: show::time(alarm.since_ms) };
        let Ok(text) = serde_json::to_string(&message) else { return };
        if let Some(calls) = &self.calls
            && calls.try_send(text).is_err()
        {
            tracing::warn!(alarm = alarm.kind.name(), "the webhook is slow: this call is left out");
        }
    }
}

impl Drop for Webhook {
    /// Makes the calls that wait, once each.
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.calls = None;
        let _ = self.thread.take().map(JoinHandle::join); // what went wrong in it was logged
    }
}

fn call_all(url: &str, waiting: &Receiver<String>, ending: &AtomicBool) {
    let options = HttpOptions { timeout: CALL_MAX, ..HttpOptions::new(url.to_owned()) };
    let client = match HttpClient::new(&options, Arc::new(SystemClock)) {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "the webhook can't be called");
            return;
        }
    };
    for text in waiting {
        let call = || one_call(&client, &text);
        let backoff = ExponentialBuilder::default()
            .with_min_delay(BACKOFF)
            .with_max_times(RETRIES_MAX)
            .with_jitter();
        let called = call.retry(backoff).when(|_| !ending.load(Ordering::Acquire)).call();
        if let Err(error) = called {
            tracing::warn!(error, "the webhook can't be called");
        }
    }
}

fn one_call(client: &HttpClient, text: &str) -> Result<(), String> {
    match client.call(&HttpRequest::json(text.as_bytes())) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status)),
        Err(NotAnswered::Failed(failure)) => Err(format!("{}: {}", failure.class, failure.message)),
        Err(NotAnswered::NotTried) => Err("it was not called".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_address_that_is_away_is_no_panic() {
        let options = HttpOptions::new("https://127.0.0.1:1/".to_owned());
        let client = HttpClient::new(&options, Arc::new(SystemClock)).unwrap();
        let error = one_call(&client, "{}").unwrap_err();
        assert!(error.starts_with("connect: "), "{error}");
    }
}
