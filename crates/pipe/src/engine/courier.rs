//! Delivering to sinks that can't take back: calls in waves, attempts counted, circuits minded.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use event::sink::{Deliverer, Delivery, Failure, FailureKind, Rows};
use event::source::Stop;
use event::{Attempt, Clock, Death, Fate};

use super::Decided;
use super::circuit::Circuit;
use super::lanes::Lanes;
use super::outlet::DeliveryPolicy;
use super::patience::{Patience, Pause};
use super::pending::Pending;
use super::retry::Backoff;
use crate::status::{CircuitState, DeliveryStatus};
use crate::unsettled::History;

/// What sinks that deliver at once said of the events of one batch.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Those that a sink didn't simply take, and those that come again.
    pub(super) tasks: HashMap<u32, Task>,
    /// The sinks that took each event in this batch, as bits; empty until there is one.
    took: Vec<u64>,
}

impl Work {
    /// What was tried for events that come again.
    pub(super) fn known(tasks: HashMap<u32, Task>) -> Self {
        Self { tasks, took: Vec::new() }
    }

    /// The sinks that have the event, as bits.
    fn has(&self, index: u32) -> u64 {
        let took = self.took.get(index as usize).copied().unwrap_or(0);
        took | self.tasks.get(&index).map_or(0, |task| task.history.delivered)
    }

    /// Notes in an event's history who took it in this batch.
    pub(super) fn note_taken(&mut self, index: u32, at_ms: i64, name: impl Fn(u8) -> String) {
        let took = self.took.get(index as usize).copied().unwrap_or(0);
        let Some(task) = self.tasks.get_mut(&index) else { return };
        let new = took & !task.history.delivered;
        for sink in (0..64_u8).filter(|sink| new >> sink & 1 == 1) {
            task.history.note(Attempt { at_ms, sink: name(sink), error: String::new() });
        }
        task.history.delivered |= took;
    }
}

/// One event.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub(super) history: History,
    /// When it is tried again; ms since the Unix epoch.
    pub(super) retry_ms: Option<i64>,
}

/// A sink that delivers at once.
pub(super) struct Courier {
    /// Its number among the pipe's sinks.
    sink: u8,
    name: String,
    deliverer: Box<dyn Deliverer>,
    policy: DeliveryPolicy,
    /// Which store takes the letters of events that die here.
    letters: u8,
    circuit: Circuit,
    backoff: Backoff,
    clock: Arc<dyn Clock>,
    status: Arc<DeliveryStatus>,
    halt: Stop,
}

/// Waiting came to nothing; the pipe ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct GaveUp;

impl Courier {
    pub(super) fn new(
        sink: u8,
        deliverer: Box<dyn Deliverer>,
        policy: DeliveryPolicy,
        letters: u8,
        clock: Arc<dyn Clock>,
        status: Arc<DeliveryStatus>,
        halt: Stop,
    ) -> Self {
        Self {
            sink,
            name: deliverer.name().to_owned(),
            deliverer,
            policy,
            letters,
            circuit: Circuit::new(policy.circuit),
            backoff: Backoff::new(),
            clock,
            status,
            halt,
        }
    }

    const fn bit(&self) -> u64 {
        1 << self.sink
    }

    /// Delivers the batch's events that go to this sink and that it doesn't have yet. What became
    /// of those that it didn't take is noted in `work`.
    pub(super) fn deliver(
        &mut self,
        decided: &mut Decided,
        work: &mut Work,
        lanes: &Lanes,
        patience: &mut dyn Patience,
        pause: &mut Pause<'_>,
    ) -> Result<(), GaveUp> {
        let mut pending = self.pending(decided, work, lanes);
        while !pending.is_empty() {
            if let Some(until_ms) = self.circuit.probe_at_ms() {
                let why = self.outage();
                let mut go = || self.clock.now_ms() >= until_ms;
                if !pause.wait(decided, patience, &why, &mut go) {
                    return Err(GaveUp);
                }
                // Some may have left meanwhile, because another pipe waited for their key.
                pending.retain(|index| is_delivered(decided, index));
                self.turn(CircuitState::HalfOpen);
            }
            let wave = if self.circuit.is_open() {
                // The one that was tried least, so that one event doesn't pay for an outage.
                pending.probe(|index| work.tasks.get(&index).map_or(0, |task| task.history.tries))
            } else {
                pending.wave(self.deliverer.wave_events_max().max(1))
            };
            if wave.is_empty() {
                break;
            }
            self.call(decided, wave, &mut pending, work, lanes);
            if self.halt.asked() || patience.is_over() {
                return Err(GaveUp);
            }
        }
        Ok(())
    }

    fn pending(&self, decided: &Decided, work: &Work, lanes: &Lanes) -> Pending {
        let events = (0_u32..).zip(&decided.batch.events);
        let wants = |(index, event): &(u32, &event::Event)| {
            let goes_here = event.fate == Fate::Deliver && event.routes & self.bit() != 0;
            goes_here && work.has(*index) & self.bit() == 0
        };
        Pending::new(events.filter(wants).map(|(index, _)| index), lanes)
    }

    /// One wave.
    fn call(
        &mut self,
        decided: &Decided,
        wave: Vec<u32>,
        pending: &mut Pending,
        work: &mut Work,
        lanes: &Lanes,
    ) {
        let now_ms = self.clock.now_ms();
        let successes_before = self.circuit.successes();
        let rows = Rows { batch: &decided.batch, number: decided.number, events: &wave, now_ms };
        let answers = self.deliverer.deliver(&rows, &self.halt);
        let mut failed = Vec::new();
        let now_ms = self.clock.now_ms();
        let known_bad = |work: &Work, index: u32| {
            let task = work.tasks.get(&index);
            task.is_some_and(|task| task.history.charged_at(self.sink) > 0)
        };
        for (place, &index) in wave.iter().enumerate() {
            match answers.get(place) {
                None | Some(Delivery::NotTried) => pending.back(index, lanes),
                Some(Delivery::Delivered) => {
                    self.circuit.succeeded();
                    self.delivered(decided, index, work);
                    pending.through(index, lanes);
                }
                Some(Delivery::Failed(failure)) => {
                    // One that answers, but not to an event that failed before, isn't down.
                    let counts = match failure.kind {
                        FailureKind::Deterministic => false,
                        FailureKind::Transient => !known_bad(work, index) || self.circuit.is_open(),
                        FailureKind::Unreachable => true,
                    };
                    match failure.kind {
                        FailureKind::Deterministic => self.circuit.succeeded(),
                        _ if counts => self.circuit.failed(now_ms),
                        _ => {}
                    }
                    failed.push((index, failure.clone()));
                }
            }
        }
        let was_probe = wave.len() == 1;
        let alive = self.circuit.successes() > successes_before;
        for (index, failure) in failed {
            let task = self.failed(decided, index, &failure, work, now_ms);
            if failure.kind == FailureKind::Deterministic {
                self.dies(task, &failure, true);
                pending.through(index, lanes);
                continue;
            }
            // An attempt costs the event something only where the sink is up, or answered a probe.
            let charged = match failure.kind {
                FailureKind::Unreachable => alive && !self.circuit.is_open(),
                _ => !self.circuit.is_open() || was_probe,
            };
            self.again(decided, index, &failure, charged, work, now_ms);
            let Some(task) = work.tasks.get_mut(&index) else { continue };
            if task.retry_ms.is_none() {
                // It died.
                pending.through(index, lanes);
            } else if self.circuit.is_open() {
                // The pipe waits with it.
                task.retry_ms = None;
                pending.back(index, lanes);
            }
            // Else it leaves, and what is behind it in its lane stays behind.
        }
        let state = if self.circuit.is_open() { CircuitState::Open } else { CircuitState::Closed };
        self.turn(state);
    }

    fn delivered(&self, decided: &Decided, index: u32, work: &mut Work) {
        if let Some(sink) = self.status.sinks.get(usize::from(self.sink)) {
            sink.attempts.fetch_add(1, Ordering::Relaxed);
            sink.delivered.fetch_add(1, Ordering::Relaxed);
        }
        if work.took.is_empty() {
            work.took.resize(decided.batch.events.len(), 0);
        }
        if let Some(took) = work.took.get_mut(index as usize) {
            *took |= self.bit();
        }
    }

    /// Notes a failed attempt.
    fn failed<'w>(
        &self,
        decided: &Decided,
        index: u32,
        failure: &Failure,
        work: &'w mut Work,
        now_ms: i64,
    ) -> &'w mut Task {
        let task = work.tasks.entry(index).or_default();
        if let Some(sink) = self.status.sinks.get(usize::from(self.sink)) {
            sink.attempts.fetch_add(1, Ordering::Relaxed);
            sink.failures.fetch_add(1, Ordering::Relaxed);
            sink.retries.fetch_add(u64::from(task.history.tries > 0), Ordering::Relaxed);
            sink.failed(&failure.message);
        }
        task.history.tries = task.history.tries.saturating_add(1);
        let (sink, error) = (self.name.clone(), format!("{}: {}", failure.class, failure.message));
        task.history.note(Attempt { at_ms: now_ms, sink, error });
        let number = decided.number.0;
        tracing::debug!(sink = self.name, number, class = failure.class, failure.message, "failed");
        task
    }

    /// The event can't be delivered here.
    fn dies(&self, task: &mut Task, failure: &Failure, deterministic: bool) {
        if let Some(sink) = self.status.sinks.get(usize::from(self.sink)) {
            sink.dead.fetch_add(1, Ordering::Relaxed);
        }
        task.retry_ms = None;
        task.history.failed_at |= self.bit();
        task.history.death.get_or_insert_with(|| Death {
            stage: "deliver",
            class: failure.class.clone(),
            message: failure.message.clone(),
            deterministic,
            sink: self.name.clone(),
            letters: self.letters,
            attempts: Vec::new(),
        });
    }

    /// The event is tried again, or has been tried enough.
    fn again(
        &mut self,
        decided: &Decided,
        index: u32,
        failure: &Failure,
        charged: bool,
        work: &mut Work,
        now_ms: i64,
    ) {
        let retry = self.policy.retry;
        let Some(task) = work.tasks.get_mut(&index) else { return };
        let charges = if charged {
            task.history.charge(self.sink)
        } else {
            task.history.charged_at(self.sink)
        };
        let age_ms = now_ms.saturating_sub(received_ms(decided, index));
        let age_max_ms = i64::try_from(retry.age_max.as_millis()).unwrap_or(i64::MAX);
        let too_old = charged && age_ms >= age_max_ms;
        if too_old || u64::from(charges) >= retry.attempts_max {
            let spent = Failure {
                message: if too_old {
                    format!("{} (older than retry.age_max)", failure.message)
                } else {
                    format!("{} (attempt {charges} of {charges})", failure.message)
                },
                ..failure.clone()
            };
            return self.dies_of(index, &spent, work);
        }
        let mut delay = self.backoff.delay(&retry, task.history.tries.max(1));
        if let Some(after) = failure.retry_after {
            delay = delay.max(after.min(retry.age_max));
        }
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        task.retry_ms = Some(now_ms.saturating_add(delay_ms));
    }

    fn dies_of(&self, index: u32, failure: &Failure, work: &mut Work) {
        if let Some(task) = work.tasks.get_mut(&index) {
            self.dies(task, failure, false);
        }
    }

    fn turn(&self, state: CircuitState) {
        if let Some(sink) = self.status.sinks.get(usize::from(self.sink))
            && sink.circuit() != state
        {
            let now_ms = self.clock.now_ms();
            match state {
                CircuitState::Open if sink.circuit() == CircuitState::Closed => {
                    tracing::warn!(sink = self.name, error = sink.last_error(), "the sink is down");
                }
                CircuitState::Closed => tracing::info!(sink = self.name, "the sink is back"),
                _ => {}
            }
            sink.turn(state, now_ms);
        }
    }

    fn outage(&self) -> String {
        let sink = self.status.sinks.get(usize::from(self.sink));
        let error = sink.and_then(crate::status::SinkStatus::last_error).unwrap_or_default();
        format!("sink `{}` is down: {error}", self.name)
    }
}

fn is_delivered(decided: &Decided, index: u32) -> bool {
    decided.batch.events.get(index as usize).is_some_and(|event| event.fate == Fate::Deliver)
}

fn received_ms(decided: &Decided, index: u32) -> i64 {
    decided.batch.extent_of(index as usize).map_or(i64::MIN, |(extent, _)| extent.received_ms)
}
