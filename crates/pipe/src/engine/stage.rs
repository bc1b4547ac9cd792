//! The fourth step: deliver to the sinks that can't take back, then write a batch's rows to all
//! the others, synced but not visible.
//!
//! An event whose delivery is to be tried again leaves the batch before anything is staged, so that no
//! staged sink has an event that doesn't settle (DESIGN §3 "Several sinks").

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use dedup::ledger::{LetterChange, PipeLedger};
use event::sink::{Pending, Refusal, SinkError, StagedOutput};
use event::{Attempt, Clock, Death, Fate, LedgerId, Outcome};

use super::courier::{Courier, GaveUp, Task, Work};
use super::lanes::{Lanes, Order};
use super::leaving::{Leave, Leaving};
use super::outlet::Takes;
use super::patience::{Patience, Pause};
use super::staging::{StagedOutlet, stage_all};
use super::{Decided, PipeError};
use crate::status::DeliveryStatus;
use crate::types::Types;
use crate::unsettled::Unsettled;

/// How long to wait for disk space before trying again.
const ROOM_PAUSE: Duration = Duration::from_millis(250);

/// A batch whose rows are written.
pub struct StagedBatch {
    /// The batch.
    pub decided: Decided,
    /// What each outlet staged, by its index; for the ledger's record.
    pub outputs: Vec<(usize, StagedOutput)>,
    /// Syncs that must end well before the commit.
    pub pending: Vec<(usize, Pending)>,
}

/// Why a batch is not staged.
#[derive(Debug)]
pub enum StageFailure {
    /// Waiting for room, or for a sink that is down, came to nothing.
    GaveUp(PipeError),
    /// The pipe stops.
    Fatal(PipeError),
}

/// Stages batches.
pub struct Stage {
    pub(super) pipe: Arc<str>,
    pub(super) ledger_id: LedgerId,
    pub(super) ledger: Arc<PipeLedger>,
    pub(super) couriers: Vec<Courier>,
    pub(super) outlets: Vec<StagedOutlet>,
    pub(super) leaving: Leaving,
    pub(super) unsettled: Arc<Unsettled>,
    pub(super) order: Order,
    pub(super) types: Arc<Types>,
    pub(super) dead_letters_max: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) status: Arc<DeliveryStatus>,
    /// Whether outlets may write at the same time.
    pub(super) side_by_side: bool,
    /// The events that each outlet takes of the present batch.
    pub(super) rows: Vec<Vec<u32>>,
}

impl Stage {
    /// Delivers and writes the rows of `decided`, or none of them.
    ///
    /// # Errors
    /// [`StageFailure`]: nothing of the batch counts.
    pub fn stage(
        &mut self,
        mut decided: Decided,
        patience: &mut dyn Patience,
    ) -> Result<StagedBatch, StageFailure> {
        self.leaving.duplicates_leave(&mut decided);
        self.deliver(&mut decided, patience)?;
        self.wait_for_letters(&mut decided, patience)?;
        let staged = loop {
            match self.try_to_stage(&mut decided) {
                Ok(staged) => break staged,
                Err(Trouble::Refused) => {}
                Err(Trouble::Fatal(error)) => return Err(StageFailure::Fatal(error)),
                Err(Trouble::NoSpace(error)) => {
                    let until = std::time::Instant::now() + ROOM_PAUSE;
                    let why = error.to_string();
                    let mut go = || std::time::Instant::now() >= until;
                    if !self.pause(&mut decided, patience, &why, &mut go) {
                        return Err(StageFailure::GaveUp(error));
                    }
                }
            }
        };
        self.settle(&mut decided);
        self.leaving.passed(&decided);
        let (outputs, pending) = staged;
        Ok(StagedBatch { decided, outputs, pending })
    }

    fn pause(
        &mut self,
        decided: &mut Decided,
        patience: &mut dyn Patience,
        why: &str,
        go: &mut dyn FnMut() -> bool,
    ) -> bool {
        let mut pause = Pause {
            leaving: &mut self.leaving,
            status: &self.status,
            clock: &self.clock,
            is_said: false,
        };
        pause.wait(decided, patience, why, go)
    }

    /// Delivers to the sinks that deliver at once; afterwards every event of the batch that isn't
    /// everywhere has left, or is dead.
    fn deliver(
        &mut self,
        decided: &mut Decided,
        patience: &mut dyn Patience,
    ) -> Result<(), StageFailure> {
        // Sinks that stage keep the order by themselves, as long as nothing has left.
        let nothing_waits = !decided.is_carried() && self.unsettled.is_empty();
        if self.couriers.is_empty() && nothing_waits {
            return Ok(());
        }
        let lanes = Lanes::new(&self.order, &decided.batch);
        let mut work = self.known(decided);
        self.lanes_hold_back(decided, &lanes, &work);
        for courier in &mut self.couriers {
            let mut pause = Pause {
                leaving: &mut self.leaving,
                status: &self.status,
                clock: &self.clock,
                is_said: true,
            };
            let delivered = courier.deliver(decided, &mut work, &lanes, patience, &mut pause);
            if let Err(GaveUp) = delivered {
                let why = self.status.paused().map_or_else(String::new, |paused| paused.why);
                return Err(StageFailure::GaveUp(PipeError::Paused(why)));
            }
        }
        self.sweep(decided, &lanes, work);
        Ok(())
    }

    /// What earlier batches tried for events that come again.
    fn known(&self, decided: &Decided) -> Work {
        let task = |id: &u64| Task { history: self.unsettled.history(*id), retry_ms: None };
        Work::known((0_u32..).zip(decided.ids.iter().map(task)).collect())
    }

    /// Events behind one of their lane that is unsettled leave at once.
    fn lanes_hold_back(&mut self, decided: &mut Decided, lanes: &Lanes, work: &Work) {
        if lanes.is_empty() || self.unsettled.is_empty() {
            return;
        }
        let unsettled = self.unsettled.lanes();
        let mut leave = Vec::new();
        for index in (0_u32..).take(decided.batch.events.len()) {
            let Some(lane) = lanes.of(index) else { continue };
            let id = decided.ids.get(index as usize);
            // Those that come again with it, before it, are seen to when they are delivered.
            let before = unsettled.get(&lane).filter(|first| !decided.ids.contains(first));
            if before.is_some_and(|first| id.is_none_or(|id| first < id)) {
                let mut history =
                    work.tasks.get(&index).map(|task| task.history.clone()).unwrap_or_default();
                history.lane = Some(lane);
                leave.push((index, Leave::Retry(i64::MIN, history)));
            }
        }
        self.leaving.leave(decided, leave);
        self.leaving.duplicates_leave(decided);
    }

    /// What is to be tried again leaves, with everything behind it; what can't be delivered dies.
    fn sweep(&mut self, decided: &mut Decided, lanes: &Lanes, mut work: Work) {
        let names: Vec<String> =
            self.status.sinks.iter().map(|sink| sink.name().to_owned()).collect();
        let name = |sink: u8| names.get(usize::from(sink)).cloned().unwrap_or_default();
        let now_ms = self.clock.now_ms();
        let mut held: HashSet<u64> = HashSet::new();
        let mut leave = Vec::new();
        let mut dead = Vec::new();
        let total = u32::try_from(decided.batch.events.len()).unwrap_or(u32::MAX);
        if lanes.is_empty() {
            let mut tried: Vec<u32> = work.tasks.keys().copied().collect();
            tried.sort_unstable();
            for index in tried {
                if !is_delivered(decided, index) {
                    continue;
                }
                work.note_taken(index, now_ms, name);
                let task = work.tasks.remove(&index).unwrap_or_default();
                match task.retry_ms {
                    Some(at_ms) => leave.push((index, Leave::Retry(at_ms, task.history))),
                    None if task.history.death.is_some() => dead.push((index, task.history)),
                    None => {}
                }
            }
        } else {
            for index in 0..total {
                if !is_delivered(decided, index) {
                    continue;
                }
                let lane = lanes.of(index);
                let behind = lane.is_some_and(|lane| held.contains(&lane));
                if behind {
                    work.tasks.entry(index).or_default();
                }
                work.note_taken(index, now_ms, name);
                let mut task = work.tasks.remove(&index).unwrap_or_default();
                if task.retry_ms.is_some() || behind {
                    task.history.lane = lane;
                    held.extend(lane);
                    let at_ms = task.retry_ms.unwrap_or(i64::MIN);
                    leave.push((index, Leave::Retry(at_ms, task.history)));
                } else if task.history.death.is_some() {
                    dead.push((index, task.history));
                }
            }
        }
        self.leaving.leave(decided, leave);
        for (index, history) in dead {
            let Some(mut death) = history.death else { continue };
            death.attempts = history.attempts;
            if let Some(event) = decided.batch.events.get_mut(index as usize) {
                event.routes &= !history.failed_at;
            }
            decided.batch.kill(index as usize, death);
            self.leaving.died(decided, index);
        }
        self.leaving.duplicates_leave(decided);
    }

    /// Letters are bounded in number: past that the pipe waits until some are replayed or purged.
    fn wait_for_letters(
        &mut self,
        decided: &mut Decided,
        patience: &mut dyn Patience,
    ) -> Result<(), StageFailure> {
        let deaths = decided.batch.deaths.len() as u64;
        if deaths == 0 {
            return Ok(());
        }
        let (ledger, max) = (Arc::clone(&self.ledger), self.dead_letters_max);
        let why =
            format!("{max} dead letters are open (limits.dead_letters_max): replay or purge some");
        let mut go = || ledger.letters_open().saturating_add(deaths) <= max;
        if self.pause(decided, patience, &why, &mut go) {
            return Ok(());
        }
        Err(StageFailure::GaveUp(PipeError::Paused(why)))
    }

    fn sort_rows(&mut self, decided: &Decided) {
        self.rows.resize_with(self.outlets.len(), Vec::new);
        for (rows, outlet) in self.rows.iter_mut().zip(&self.outlets) {
            rows.clear();
            let events = (0_u32..).zip(&decided.batch.events);
            match outlet.takes {
                Takes::Routed(number) => {
                    let bit = 1_u64 << number;
                    rows.extend(events.filter_map(|(index, event)| {
                        let settles = matches!(event.fate, Fate::Deliver | Fate::Dead(_));
                        (settles && event.routes & bit != 0).then_some(index)
                    }));
                }
                Takes::Dead(letters) => {
                    if decided.batch.deaths.is_empty() {
                        continue;
                    }
                    rows.extend(events.filter_map(|(index, event)| {
                        let death = decided.batch.death(event)?;
                        (death.letters == letters).then_some(index)
                    }));
                }
                Takes::Rejected => {
                    if decided.batch.rejections.is_empty() {
                        continue;
                    }
                    let rejected = |event: &event::Event| matches!(event.fate, Fate::Rejected(_));
                    rows.extend(events.filter(|(_, e)| rejected(e)).map(|(index, _)| index));
                }
                Takes::Received | Takes::Wanted => {
                    let all = outlet.takes == Takes::Received;
                    rows.extend(events.filter_map(|(index, event)| {
                        let unwanted =
                            matches!(event.fate.outcome()?, Outcome::Filtered | Outcome::Rejected);
                        let again =
                            event.fate == Fate::Redelivered || decided.batch.replay.is_some();
                        (!again && (all || !unwanted)).then_some(index)
                    }));
                }
            }
        }
    }

    /// Writes to all outlets that stage, or to none.
    fn try_to_stage(&mut self, decided: &mut Decided) -> Result<Written, Trouble> {
        self.sort_rows(decided);
        let now_ms = self.clock.now_ms();
        let answers = stage_all(&mut self.outlets, &self.rows, decided, now_ms, self.side_by_side);
        let mut outputs = Vec::new();
        let mut pending = Vec::new();
        let mut trouble = None;
        for (place, answer) in answers.into_iter().enumerate() {
            let index = self.outlets.get(place).map_or(place, |outlet| outlet.index);
            match answer {
                Ok(staged) => {
                    pending.extend(staged.pending.into_iter().map(|one| (index, one)));
                    if !staged.output.is_empty() {
                        outputs.push((index, staged.output));
                    }
                }
                Err(error) => {
                    // The first one counts, but for one that stops the pipe.
                    let counts = match &trouble {
                        None => true,
                        Some((_, known)) => is_fatal(&error) && !is_fatal(known),
                    };
                    if counts {
                        trouble = Some((place, error));
                    }
                }
            }
        }
        let Some((place, error)) = trouble else { return Ok((outputs, pending)) };
        // Syncs under way must end before their files are cut.
        for (_, one) in pending {
            let _ = one();
        }
        Err(self.trouble(place, error, &outputs, decided))
    }

    /// Takes back what the batch staged so far, and says what comes next.
    fn trouble(
        &mut self,
        place: usize,
        error: SinkError,
        outputs: &[(usize, StagedOutput)],
        decided: &mut Decided,
    ) -> Trouble {
        let refusals = match &error {
            SinkError::Refused(refusals) => refusals.clone(),
            SinkError::NoSpace { .. } => Vec::new(),
            _ => return Trouble::Fatal(self.named(place, error)),
        };
        for (index, output) in outputs.iter().rev() {
            let at = self.outlets.iter().position(|outlet| outlet.index == *index);
            let Some(at) = at else { continue };
            let Some(outlet) = self.outlets.get_mut(at) else { continue };
            if let Err(error) = outlet.sink.withdraw(output) {
                return Trouble::Fatal(self.named(at, error));
            }
        }
        if refusals.is_empty() {
            return Trouble::NoSpace(self.named(place, error));
        }
        if self.refuse(place, &refusals, decided) {
            Trouble::Refused
        } else {
            Trouble::Fatal(self.named(place, error))
        }
    }

    /// Events that a sink can never take die; whether there were some.
    fn refuse(&mut self, place: usize, refusals: &[Refusal], decided: &mut Decided) -> bool {
        let Some(outlet) = self.outlets.get(place) else { return false };
        let Takes::Routed(number) = outlet.takes else { return false };
        let (sink, letters) = (outlet.sink.name().to_owned(), outlet.letters);
        let mut any = false;
        for refusal in refusals {
            let Some(event) = decided.batch.events.get_mut(refusal.event as usize) else {
                continue;
            };
            any |= event.routes & (1 << number) != 0;
            event.routes &= !(1 << number);
            let error = format!("{}: {}", refusal.class, refusal.message);
            let attempt = Attempt { at_ms: self.clock.now_ms(), sink: sink.clone(), error };
            if let Fate::Dead(death) = event.fate {
                if let Some(death) = decided.batch.deaths.get_mut(death as usize) {
                    death.attempts.push(attempt);
                }
                continue;
            }
            let death = Death {
                stage: "stage",
                class: refusal.class.to_owned(),
                message: refusal.message.clone(),
                deterministic: true,
                sink: sink.clone(),
                letters,
                attempts: vec![attempt],
            };
            decided.batch.kill(refusal.event as usize, death);
            self.leaving.died(decided, refusal.event);
        }
        self.leaving.duplicates_leave(decided);
        any
    }

    /// What the batch's record says beside its rows.
    fn settle(&mut self, decided: &mut Decided) {
        for (event, &id) in decided.batch.events.iter().zip(&decided.ids) {
            if event.fate.outcome().is_some() {
                self.unsettled.settle(id, decided.number);
            }
        }
        if decided.last {
            decided.returned = self.unsettled.give_back(decided.number, false);
        }
        let types = Arc::clone(&self.types);
        let now_ms = self.clock.now_ms();
        decided.parking = self.unsettled.park(decided.number, now_ms, |id| types.name(id));
        decided.letters = self.letters(decided);
        for death in &decided.batch.deaths {
            self.status.died(&death.class, 1);
        }
        let counts = self.unsettled.counts();
        self.status.show(&counts);
    }

    /// Letters that are written with this batch, and those that it answers.
    fn letters(&self, decided: &Decided) -> Vec<LetterChange> {
        let batch = &decided.batch;
        let mut changes = Vec::new();
        if let Some(replay) = &batch.replay {
            for (event, replayed) in batch.events.iter().zip(&replay.events) {
                let answered = matches!(
                    event.fate.outcome(),
                    Some(
                        Outcome::Delivered | Outcome::Duplicate | Outcome::Dead | Outcome::Filtered
                    )
                );
                changes.extend(
                    replayed.letter.filter(|_| answered).map(|id| LetterChange::Remove { id }),
                );
            }
        }
        if batch.deaths.is_empty() {
            return changes;
        }
        for (index, event) in batch.events.iter().enumerate() {
            let Some(death) = batch.death(event) else { continue };
            let Some(id) = self.letter_id(decided, index) else { continue };
            changes.push(LetterChange::Add {
                id,
                event: u32::try_from(index).unwrap_or(u32::MAX),
                deterministic: death.deterministic,
                sinks: event.routes,
            });
        }
        changes
    }

    /// As the dead-letter store calls it.
    fn letter_id(&self, decided: &Decided, index: usize) -> Option<u128> {
        let batch = &decided.batch;
        let (extent, range) = batch.extent_of(index)?;
        let replayed = batch.replay.as_ref().and_then(|replay| replay.events.get(index));
        let count = replayed.map_or(0, |replayed| replayed.count);
        let start = batch.position(extent, &range, index).0;
        let shard = extent.shard_of(index);
        Some(connect::dead::letter_id(self.ledger_id, &self.pipe, shard, start, count))
    }

    fn named(&self, place: usize, error: SinkError) -> PipeError {
        let sink = self.outlets.get(place).map(|outlet| outlet.sink.name().to_owned());
        PipeError::Sink { sink: sink.unwrap_or_default(), error }
    }
}

type Written = (Vec<(usize, StagedOutput)>, Vec<(usize, Pending)>);

enum Trouble {
    /// Some events died; the rest is to be staged without them.
    Refused,
    NoSpace(PipeError),
    Fatal(PipeError),
}

fn is_fatal(error: &SinkError) -> bool {
    !matches!(error, SinkError::NoSpace { .. } | SinkError::Refused(_))
}

fn is_delivered(decided: &Decided, index: u32) -> bool {
    decided.batch.events.get(index as usize).is_some_and(|event| event.fate == Fate::Deliver)
}
