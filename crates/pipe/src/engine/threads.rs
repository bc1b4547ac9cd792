//! The steps of a pipe on threads of their own, so that reading, deciding and writing overlap.
//!
//! Bounded channels join them, so a slow sink slows the source down; a token for each source batch
//! under way bounds how many read buffers exist.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use dedup::ledger::LedgerError;
use event::sink::SinkError;
use event::source::{Received, Stop};
use event::{Batch, Clock};

use super::commit::Commit;
use super::decide::Decide;
use super::outage::Outage;
use super::patience::Patience;
use super::planted::Planted;
use super::read::Read;
use super::stage::{Stage, StageFailure, StagedBatch};
use super::steps::Steps;
use super::{BATCHES_IN_FLIGHT_MAX, Decided, Parts, PipeError, Totals};
use crate::prepare::Preparer;
use crate::status::PipeStatus;

/// Workers that prepare batches side by side.
const WORKERS: usize = 2;
/// How often sinks may close files while nothing comes.
const TICK: Duration = Duration::from_secs(1);
/// How soon a key that got free elsewhere is noticed.
const WAKEUP_POLL: Duration = Duration::from_millis(2);
/// How long a step that waits sleeps at a time.
const NAP: Duration = Duration::from_millis(20);
/// Batches that are decided and not staged at most: what a pipe that pauses may have to give up
/// keys of.
const BATCHES_DECIDED_MAX: usize = 3;
/// How long to wait for disk space before trying again.
const ROOM_PAUSE: Duration = Duration::from_millis(250);

/// What a run of a pipe came to.
#[derive(Debug)]
pub struct Ended {
    /// What it did.
    pub totals: Totals,
    /// What its source says of what it did not read.
    pub remarks: Vec<String>,
    /// Why it stopped early.
    pub failure: Option<PipeError>,
}

/// What the threads of one pipe share.
struct Line<'a> {
    /// Somebody wants the pipe to drain.
    stop: &'a Stop,
    /// The pipe can't go on.
    halt: Stop,
    failure: Mutex<Option<PipeError>>,
    planted: Option<Planted>,
    drain_max: Duration,
    drain_began: Mutex<Option<Instant>>,
    /// How the pipe stands.
    status: &'a PipeStatus,
    clock: &'a dyn Clock,
}

impl Line<'_> {
    /// Keeps the first failure and lets what is under way settle.
    fn note(&self, error: PipeError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    /// Keeps the first failure and stops everything.
    fn fail(&self, error: PipeError) {
        self.note(error);
        self.halt.ask();
    }

    /// Waiting for room came to nothing: a drain has had its time, which leaves what didn't settle
    /// to the next run and is no failure; or the pipe halts, and whoever halted it said why.
    fn give_up(&self, name: &str, reason: &PipeError) {
        if !self.halt.asked() {
            tracing::warn!(pipe = name, %reason, "drained as far as there was room");
        }
        self.halt.ask();
    }

    /// Whether a drain was asked for and has had its time.
    fn drain_is_over(&self) -> bool {
        if !self.stop.asked() {
            return false;
        }
        let mut began = self.drain_began.lock().unwrap_or_else(PoisonError::into_inner);
        began.get_or_insert_with(Instant::now).elapsed() >= self.drain_max
    }

    /// Waits for disk space; whether to try again.
    fn wait_for_room(&self, name: &str, reason: &PipeError) -> bool {
        tracing::warn!(pipe = name, %reason, "paused: no disk space; trying again");
        let until = Instant::now() + ROOM_PAUSE;
        while Instant::now() < until {
            if !self.nap() {
                return false;
            }
        }
        true
    }

    /// Waits before the store is asked again; whether to.
    fn wait_for_store(&self, outage: &mut Outage, reason: &LedgerError) -> bool {
        let until = Instant::now() + outage.failed(reason, self.status, self.clock.now_ms());
        while Instant::now() < until {
            if !self.nap() {
                return false;
            }
        }
        true
    }

    /// Waits a moment; whether it is worth waiting on.
    fn nap(&self) -> bool {
        if self.halt.asked() || self.drain_is_over() {
            return false;
        }
        std::thread::sleep(NAP);
        true
    }
}

/// Runs the pipe until its source ends, `stop` is asked, or it can't go on.
///
/// # Errors
/// [`PipeError`] when the pipe can't start; a failure later is part of [`Ended`].
pub fn run(parts: Parts, stop: &Stop) -> Result<Ended, PipeError> {
    let name = parts.name.clone();
    let plan = parts.plan.clone();
    let (status, clock) = (Arc::clone(&parts.status), Arc::clone(&parts.clock));
    let line = Line {
        stop,
        halt: Stop::default(),
        failure: Mutex::new(None),
        planted: parts.planted,
        drain_max: parts.drain_max,
        drain_began: Mutex::new(None),
        status: &status,
        clock: &*clock,
    };
    let mut steps = Steps::new(parts, &line.halt)?;
    steps.stage.side_by_side = true;
    let (tokens, token_taker) = bounded(BATCHES_IN_FLIGHT_MAX);
    for _ in 0..BATCHES_IN_FLIGHT_MAX {
        let _ = tokens.send(());
    }
    let (permits, permit_taker) = bounded(BATCHES_DECIDED_MAX);
    for _ in 0..BATCHES_DECIDED_MAX {
        let _ = permits.send(());
    }
    let (decided_sender, decided) = bounded::<Decided>(BATCHES_DECIDED_MAX);
    let (staged_sender, staged) = bounded::<StagedBatch>(2);
    let mut ended = Ended { totals: Totals::default(), remarks: Vec::new(), failure: None };

    std::thread::scope(|scope| {
        let line = &line;
        let spawn_failed = |error| line.fail(PipeError::Thread(error));
        let mut to_workers = Vec::new();
        let mut from_workers = Vec::new();
        let mut workers = Vec::new();
        let mut first = Some(steps.preparer);
        for _ in 0..WORKERS {
            let (to, inbox) = bounded::<Batch>(1);
            let (outbox, from) = bounded::<Batch>(1);
            let preparer =
                first.take().unwrap_or_else(|| Preparer::new(plan.clone(), line.halt.clone()));
            to_workers.push(to);
            from_workers.push(from);
            workers.push(
                Builder::new()
                    .name(format!("{name}-prepare"))
                    .spawn_scoped(scope, move || prepare_loop(preparer, &inbox, &outbox)),
            );
        }
        let reader = Builder::new()
            .name(format!("{name}-read"))
            .spawn_scoped(scope, move || read_loop(steps.read, &token_taker, &to_workers, line));
        let decider =
            Builder::new().name(format!("{name}-decide")).spawn_scoped(scope, move || {
                let next = NextStep { batches: decided_sender, permits: permit_taker };
                match decide_loop(steps.decide, &from_workers, &next, line) {
                    // The store stayed away for as long as a drain may take.
                    Err(PipeError::Ledger(error)) if error.passes() => {
                        line.give_up(line.status.name(), &error.into());
                    }
                    Err(error) => line.fail(error),
                    Ok(()) => {}
                }
            });
        let pipe = name.clone();
        let stager = Builder::new().name(format!("{name}-stage")).spawn_scoped(scope, move || {
            stage_loop(&pipe, steps.stage, &decided, &permits, &staged_sender, line);
        });
        let pipe = name.clone();
        let committer = Builder::new()
            .name(format!("{name}-commit"))
            .spawn_scoped(scope, move || commit_loop(&pipe, steps.commit, &staged, &tokens, line));

        for worker in workers {
            join(worker, "prepare", line, spawn_failed);
        }
        ended.remarks = join(reader, "read", line, spawn_failed).unwrap_or_default();
        join(decider, "decide", line, spawn_failed);
        join(stager, "stage", line, spawn_failed);
        ended.totals = join(committer, "commit", line, spawn_failed).unwrap_or_default();
    });
    ended.failure = line.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(ended)
}

fn join<T>(
    handle: std::io::Result<ScopedJoinHandle<'_, T>>,
    step: &'static str,
    line: &Line<'_>,
    spawn_failed: impl Fn(std::io::Error),
) -> Option<T> {
    match handle {
        Ok(handle) => match handle.join() {
            Ok(value) => Some(value),
            Err(_) => {
                line.fail(PipeError::Panicked(step));
                None
            }
        },
        Err(error) => {
            spawn_failed(error);
            None
        }
    }
}

fn read_loop(
    mut read: Read,
    tokens: &Receiver<()>,
    workers: &[Sender<Batch>],
    line: &Line<'_>,
) -> Vec<String> {
    let mut turn = workers.iter().cycle();
    while !line.stop.asked() && !line.halt.asked() {
        // The commit step has gone when no token can come any more.
        match tokens.recv_timeout(Duration::from_millis(50)) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let received = loop {
            match read.receive(line.stop) {
                Ok(Received::Idle) if !line.stop.asked() && !line.halt.asked() => {}
                other => break other,
            }
        };
        match received {
            Ok(Received::Batch(batch)) => {
                if turn.next().is_none_or(|worker| worker.send(batch).is_err()) {
                    break;
                }
            }
            Ok(Received::Idle | Received::End) => break,
            Err(error) => {
                line.note(error.into());
                break;
            }
        }
    }
    read.remarks()
}

fn prepare_loop(mut preparer: Preparer, inbox: &Receiver<Batch>, outbox: &Sender<Batch>) {
    for mut batch in inbox {
        if !preparer.prepare(&mut batch) {
            break;
        }
        if outbox.send(batch).is_err() {
            break;
        }
    }
}

/// Where decided batches go: a permit first, then the batch, so that no batch waits half-way.
struct NextStep {
    batches: Sender<Decided>,
    permits: Receiver<()>,
}

impl NextStep {
    /// Waits until the next step can take a batch; `false`: it has gone.
    fn is_ready(&self, line: &Line<'_>) -> bool {
        loop {
            match self.permits.recv_timeout(NAP) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Timeout) if !line.halt.asked() => {}
                Err(_) => return false,
            }
        }
    }

    /// Hands a batch over; `false`: the step has gone.
    fn take(&self, decided: Decided) -> bool {
        self.batches.send(decided).is_ok()
    }
}

fn decide_loop(
    mut decide: Decide,
    workers: &[Receiver<Batch>],
    next_step: &NextStep,
    line: &Line<'_>,
) -> Result<(), PipeError> {
    let outage = RefCell::new(Outage::new(line.status.name()));
    let mut patience = |reason: &LedgerError| line.wait_for_store(&mut outage.borrow_mut(), reason);
    let mut turn = workers.iter().cycle().peekable();
    let mut ended = false;
    let mut quiet_since = Instant::now();
    while next_step.is_ready(line) {
        // With a permit: exactly one batch is handed over.
        let decided = loop {
            if line.halt.asked() {
                return Ok(());
            }
            if let Some(decided) = decide.decide_waiting(&mut patience)? {
                break decided;
            }
            // Parked events stay in the ledger when somebody wants the pipe to stop.
            if ended && (decide.is_idle(line.stop.asked()) || line.drain_is_over()) {
                let _ = next_step.take(decide.finish());
                return Ok(());
            }
            if quiet_since.elapsed() >= TICK {
                quiet_since = Instant::now();
                let (tick, number_used) = decide.tick();
                if !next_step.take(tick) {
                    return Ok(());
                }
                match number_used.recv() {
                    Ok(used) => decide.ticked(used),
                    Err(_) => return Ok(()),
                }
                if !next_step.is_ready(line) {
                    return Ok(());
                }
                continue;
            }
            let wait = wait(&decide).min(TICK.saturating_sub(quiet_since.elapsed()));
            if ended || decide.is_full() {
                std::thread::sleep(wait.min(WAKEUP_POLL));
                continue;
            }
            let Some(worker) = turn.peek() else { return Ok(()) };
            match worker.recv_timeout(wait) {
                Ok(batch) => {
                    turn.next();
                    break decide.decide(batch, &mut patience)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => ended = true,
            }
        };
        outage.borrow_mut().over(line.status);
        quiet_since = Instant::now();
        if !next_step.take(decided) {
            return Ok(());
        }
    }
    Ok(())
}

/// How long to wait for a new batch before events that wait are looked at again.
fn wait(decide: &Decide) -> Duration {
    if decide.waits_for_a_key() {
        return WAKEUP_POLL;
    }
    match decide.due_in_ms() {
        // The clock may be a test's, which jumps.
        Some(ms) => Duration::from_millis(ms).clamp(WAKEUP_POLL, NAP),
        None => TICK,
    }
}

/// Waits in the stage step.
struct Waiting<'a> {
    line: &'a Line<'a>,
    inbox: &'a Receiver<Decided>,
    queue: &'a mut VecDeque<Decided>,
}

impl Patience for Waiting<'_> {
    fn nap(&mut self) -> bool {
        self.line.nap()
    }

    fn is_over(&self) -> bool {
        self.line.halt.asked() || self.line.drain_is_over()
    }

    fn queue(&mut self) -> Option<&mut VecDeque<Decided>> {
        self.queue.extend(self.inbox.try_iter());
        Some(self.queue)
    }
}

fn stage_loop(
    name: &str,
    mut stage: Stage,
    inbox: &Receiver<Decided>,
    permits: &Sender<()>,
    next_step: &Sender<StagedBatch>,
    line: &Line<'_>,
) {
    let mut queue = VecDeque::new();
    let mut one_is_lost = false;
    while let Some(mut decided) = queue.pop_front().or_else(|| inbox.recv().ok()) {
        if line.halt.asked() {
            return;
        }
        line.planted.inspect(|it| it.between_steps(&mut decided.batch, &mut one_is_lost));
        let mut waiting = Waiting { line, inbox, queue: &mut queue };
        let staged = match stage.stage(decided, &mut waiting) {
            Ok(staged) => staged,
            Err(StageFailure::GaveUp(reason)) => {
                line.give_up(name, &reason);
                return;
            }
            Err(StageFailure::Fatal(error)) => {
                line.fail(error);
                return;
            }
        };
        stage.unsettled.batch_is_through();
        let _ = permits.try_send(());
        if next_step.send(staged).is_err() {
            return;
        }
    }
}

fn commit_loop(
    name: &str,
    mut commit: Commit,
    inbox: &Receiver<StagedBatch>,
    tokens: &Sender<()>,
    line: &Line<'_>,
) -> Totals {
    let mut outage = Outage::new(name);
    for staged in inbox {
        let batch = &staged.decided.batch;
        let has_token = !batch.carried && !batch.extents.is_empty();
        let mut wait_for_room = |reason: &PipeError| match reason {
            PipeError::Ledger(error) if error.passes() => line.wait_for_store(&mut outage, error),
            _ => line.wait_for_room(name, reason),
        };
        match commit.commit(staged, &mut wait_for_room) {
            Ok(()) => outage.over(line.status),
            Err(PipeError::Ledger(error)) if error.is_disk_full() || error.passes() => {
                line.give_up(name, &error.into());
                break;
            }
            // Committed; the next start publishes it.
            Err(error @ PipeError::Sink { error: SinkError::NoSpace { .. }, .. }) => {
                line.give_up(name, &error);
                break;
            }
            Err(error) => {
                line.fail(error);
                break;
            }
        }
        if has_token {
            let _ = tokens.try_send(());
        }
    }
    commit.close();
    commit.into_totals()
}
