//! Delivers events to a receiver behind HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;
use event::Clock;
use event::sink::{Deliverer, Delivery, Guarantee, Rows};
use event::source::Stop;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::plan::Shape;
use super::wave::{Receiver, Wave};
use super::workers::Workers;
use super::{HttpClient, HttpError, HttpOptions};

/// A wave has work for each connection this many times, so that a slow call doesn't leave the
/// other connections idle for long.
const ROUNDS: usize = 4;
/// Calls of a wave begin within the timeout, but always within this time: with one call a second
/// there must be room for one.
const WAVE_MIN: Duration = Duration::from_secs(2);
/// What a replay's id can't hold in a header.
const NOT_IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Delivers at once; a wave's calls go over several connections at the same time, so the order of
/// events within one `deliver` is kept only with `connections_max: 1`.
pub struct HttpSink {
    name: String,
    pipe: String,
    receiver: Arc<Receiver>,
    workers: Workers,
    wave_events_max: usize,
    wave_max: Duration,
}

impl HttpSink {
    /// A sink called `name` of `pipe`. Starts its threads; connects with the first event.
    ///
    /// # Errors
    /// [`HttpError`]
    pub fn new(
        name: &str,
        pipe: &str,
        options: &HttpOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpError> {
        let client = HttpClient::new(options, clock)?;
        let connections = usize::try_from(options.connections_max).unwrap_or(1).max(1);
        let wave_max = options.timeout.max(WAVE_MIN);
        let shape = Shape::new(options);
        // A limit of calls bounds a wave, too: what can't be called in time needn't be planned.
        let per_second = options.calls_per_second_max.unwrap_or(u64::MAX);
        let in_time = per_second.saturating_mul(wave_max.as_secs().max(1));
        let calls = (connections * ROUNDS).min(usize::try_from(in_time).unwrap_or(usize::MAX));
        let receiver = Receiver {
            calls: Arc::new(client),
            shape,
            failures: options.failures.clone(),
            idempotency_header: options.idempotency_header.clone(),
        };
        Ok(Self {
            name: name.to_owned(),
            pipe: pipe.to_owned(),
            receiver: Arc::new(receiver),
            workers: Workers::start(name, connections)?,
            wave_events_max: calls.max(1).saturating_mul(shape.events_max),
            wave_max,
        })
    }
}

impl Deliverer for HttpSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn guarantee(&self) -> Guarantee {
        match self.receiver.idempotency_header {
            Some(_) => Guarantee::EffectivelyOnce,
            None => Guarantee::AtLeastOnce,
        }
    }

    fn wave_events_max(&self) -> usize {
        self.wave_events_max
    }

    fn deliver(&mut self, rows: &Rows<'_>, stop: &Stop) -> Vec<Delivery> {
        let mut answers = vec![Delivery::NotTried; rows.events.len()];
        let mut plan = self.receiver.shape.plan(rows, &self.pipe);
        let mut answer = |row: usize, delivery: Delivery| {
            if let Some(answer) = answers.get_mut(row) {
                *answer = delivery;
            }
        };
        for (row, why) in std::mem::take(&mut plan.refused) {
            answer(row, Delivery::Failed(why));
        }
        let threads = plan.calls.len().min(self.workers.count());
        let replay = rows.batch.replay.as_ref();
        let replay = replay.map(|one| utf8_percent_encode(&one.id, NOT_IN_HEADERS).to_string());
        let end = Instant::now() + self.wave_max;
        let receiver = Arc::clone(&self.receiver);
        let wave = Arc::new(Wave::new(receiver, plan, replay, stop.clone(), end));
        let (tell, told) = unbounded();
        for _ in 0..threads {
            let (wave, tell) = (Arc::clone(&wave), tell.clone());
            self.workers.hand(Box::new(move || {
                wave.work(|call, out| {
                    let _ = tell.send((call, out)); // `deliver` waits for every thread's last word
                });
            }));
        }
        drop(tell);
        for (call, out) in told {
            for (item, delivery) in wave.plan.items.get(call).unwrap_or_default().iter().zip(out) {
                answer(item.row, delivery);
            }
        }
        answers
    }
}
