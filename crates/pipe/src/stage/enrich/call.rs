//! Calls for answers: values in one JSON array, answers back in another.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::json::Raw;
use event::path::FieldPath;
use event::sink::{Failure, FailureKind};
use event::source::Stop;
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;

use super::Stopped;
use super::cache::{Answer, Cache};
use super::insert::{ANSWER_DEPTH_MAX, depth};

/// The first pause after a call that failed; it doubles, and its length is random (full jitter).
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// See there.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A pause looks this often whether the pipe wants to stop.
const STOP_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// So often is a service asked again that says yes and then answers something else than an array
/// of as many answers.
const NONSENSE_TRIES_MAX: u32 = 3;
/// Statuses that may be about one value among others.
const ABOUT_A_VALUE: [&str; 4] = ["http_400", "http_413", "http_414", "http_422"];

/// Makes one call.
pub(super) trait Caller: Send + Sync {
    /// Posts a JSON array and gives the body of the answer. `None`: the pipe wants to stop.
    fn call(&self, body: &[u8], stop: &Stop) -> Result<Option<Vec<u8>>, Failure>;
}

/// Answers from a service, shared by all workers.
pub(super) struct Service {
    caller: Box<dyn Caller>,
    /// Whom it is that is called, for messages; without secrets.
    name: String,
    key: FieldPath,
    values_max: usize,
    bytes_max: usize,
    cache: Mutex<Cache>,
    /// Calls that may still be begun at this moment.
    free: Mutex<u64>,
    freed: Condvar,
    pause_min: Duration,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a service is called.
#[derive(Debug, Clone)]
pub(super) struct ServiceOptions {
    pub(super) name: String,
    pub(super) key: FieldPath,
    pub(super) values_max: u64,
    pub(super) bytes_max: u64,
    pub(super) connections_max: u64,
    pub(super) cache_entries_max: u64,
    pub(super) cache_age_max: Duration,
}

/// Answers by key, of one batch.
pub(super) type Answers = HashMap<Box<[u8]>, Answer>;

/// A value to ask for: its key, and the value as JSON.
pub(super) type Value = (Box<[u8]>, Box<[u8]>);

impl Service {
    pub(super) fn new(options: ServiceOptions, caller: Box<dyn Caller>) -> Service {
        let to_usize = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Service {
            caller,
            name: options.name,
            key: options.key,
            values_max: to_usize(options.values_max).max(1),
            bytes_max: to_usize(options.bytes_max),
            cache: Mutex::new(Cache::new(options.cache_entries_max, options.cache_age_max)),
            free: Mutex::new(options.connections_max.max(1)),
            freed: Condvar::new(),
            pause_min: PAUSE_MIN,
        }
    }

    /// Without pauses, so that a test needn't wait.
    #[cfg(test)]
    pub(super) fn hasty(mut self) -> Service {
        self.pause_min = Duration::ZERO;
        self
    }

    /// The field whose value is sent.
    pub(super) fn key(&self) -> &FieldPath {
        &self.key
    }

    /// Gets the answers for values whose keys all differ: remembered ones, and of the others one
    /// call for every `values_max`. Waits as long as the service is away.
    ///
    /// # Errors
    /// [`Stopped`]
    pub(super) fn fetch(
        &self,
        values: Vec<Value>,
        answers: &mut Answers,
        stop: &Stop,
    ) -> Result<(), Stopped> {
        let mut unknown = Vec::new();
        {
            let (cache, now) = (self.cache(), Instant::now());
            for (key, value) in values {
                match cache.get(&key, now) {
                    Some(answer) => {
                        answers.insert(key, answer.clone());
                    }
                    None => unknown.push((key, value)),
                }
            }
        }
        let mut rest = unknown.as_slice();
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(self.chunk_len(rest));
            self.ask(chunk, answers, stop)?;
            rest = more;
        }
        Ok(())
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        // At worst an answer is missing that would have been remembered.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many values fit into a call: at least one, whatever its length.
    fn chunk_len(&self, values: &[Value]) -> usize {
        let mut bytes = 1;
        let fitting = values.iter().take(self.values_max).take_while(|(_, value)| {
            bytes += value.len() + 1;
            bytes <= self.bytes_max
        });
        fitting.count().max(1)
    }

    /// Asks for some values, by halves where one of them may be the reason for a no.
    fn ask(&self, values: &[Value], answers: &mut Answers, stop: &Stop) -> Result<(), Stopped> {
        match self.call(values, stop)? {
            Ok(said) => {
                let (mut cache, now) = (self.cache(), Instant::now());
                for ((key, _), answer) in values.iter().zip(said) {
                    cache.put(key, &answer, now);
                    answers.insert(key.clone(), answer);
                }
            }
            Err(failure) if values.len() > 1 && ABOUT_A_VALUE.contains(&&*failure.class) => {
                let (first, second) = values.split_at(values.len() / 2);
                self.ask(first, answers, stop)?;
                self.ask(second, answers, stop)?;
            }
            Err(failure) => {
                let message: Arc<str> = format!("{}: {}", failure.class, failure.message).into();
                tracing::warn!(service = %self.name, values = values.len(), %message, "no answers");
                for (key, _) in values {
                    answers.insert(key.clone(), Answer::Failed(Arc::clone(&message)));
                }
            }
        }
        Ok(())
    }

    /// Calls until there is an answer, or a failure that would come again.
    fn call(&self, values: &[Value], stop: &Stop) -> Result<Result<Vec<Answer>, Failure>, Stopped> {
        let mut body = Vec::new();
        for (index, (_, value)) in values.iter().enumerate() {
            body.push(if index == 0 { b'[' } else { b',' });
            body.extend_from_slice(value);
        }
        body.push(b']');
        let (mut tries, mut nonsense) = (0_u32, 0);
        loop {
            let failure = match self.one_call(&body, stop)? {
                Ok(said) => match read_answers(&said, values.len()) {
                    Ok(answers) => return Ok(Ok(answers)),
                    Err(what) => Failure {
                        class: "nonsense".into(),
                        message: format!("{} answered {what}", self.name),
                        kind: FailureKind::Transient,
                        retry_after: None,
                    },
                },
                Err(failure) => failure,
            };
            nonsense += u32::from(failure.class == "nonsense");
            if failure.kind == FailureKind::Deterministic || nonsense >= NONSENSE_TRIES_MAX {
                return Ok(Err(failure));
            }
            tries += 1;
            if tries.is_power_of_two() {
                let Failure { class, message, .. } = &failure;
                tracing::warn!(service = %self.name, tries, %class, %message, "an enrichment waits for its service");
            }
            self.pause(tries, &failure, stop)?;
        }
    }

    fn one_call(&self, body: &[u8], stop: &Stop) -> Result<Result<Vec<u8>, Failure>, Stopped> {
        let _permit = self.permit(stop)?;
        match self.caller.call(body, stop) {
            Ok(Some(said)) => Ok(Ok(said)),
            Ok(None) => Err(Stopped),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Waits until a connection is free.
    fn permit(&self, stop: &Stop) -> Result<Permit<'_>, Stopped> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            if stop.asked() {
                return Err(Stopped);
            }
            let waited = self.freed.wait_timeout(free, STOP_LOOK_INTERVAL);
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Ok(Permit(self))
    }

    fn pause(&self, tries: u32, failure: &Failure, stop: &Stop) -> Result<(), Stopped> {
        let longest = self.pause_min.saturating_mul(1 << (tries - 1).min(16)).min(PAUSE_MAX);
        let share = StdRng::try_from_rng(&mut SysRng).map_or(1.0, |mut rng| rng.random::<f64>());
        let random = longest.mul_f64(share);
        let end = Instant::now() + failure.retry_after.unwrap_or(random);
        loop {
            if stop.asked() {
                return Err(Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(STOP_LOOK_INTERVAL));
        }
    }
}

/// The right to make a call.
struct Permit<'s>(&'s Service);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

/// The answers in a body: a JSON array of `count` values.
fn read_answers(body: &[u8], count: usize) -> Result<Vec<Answer>, String> {
    let answers: Vec<Box<RawValue>> = serde_json::from_slice(body)
        .map_err(|error| format!("something that is no JSON array: {error}"))?;
    if answers.len() != count {
        return Err(format!("{} answers to {count} values", answers.len()));
    }
    answers.iter().map(|answer| read_answer(answer.get().as_bytes())).collect()
}

fn read_answer(json: &[u8]) -> Result<Answer, String> {
    let json = Raw::new(json).bytes();
    if json == b"null" {
        return Ok(Answer::None);
    }
    if depth(json) > ANSWER_DEPTH_MAX {
        return Err(format!("a value of more than {ANSWER_DEPTH_MAX} levels"));
    }
    // A line break can only stand between values. Payloads have none: many are kept line by line.
    let line = json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte });
    Ok(Answer::Known(line.collect()))
}
