//! What each record changes.

use std::collections::{BTreeMap, BTreeSet};

use event::sink::StagedOutput;
use event::{BatchNumber, Outcome};
use journal::Position;

use super::SourceCounters;
use super::fold;
use super::{
    FileRecord, LedgerState, LetterOp, MinuteBucket, PipeState, PreparedBatch, ScopeState,
    SharedState, SinkRecord,
};
use crate::ledger::{CounterChange, MessageIdChange, ParkedChange};
use crate::record::{
    BatchHead, FilesRecord, ImportRecord, LettersRecord, OpenRecord, PipeRecord, PreparedRecord,
    PublishedRecord, ResolvedRecord, ScopeEntry, SharedRecord, SourceRecord,
};

/// Limits that decide how counters are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateLimits {
    /// [`crate::ledger::LedgerOptions::counter_minutes_max`].
    pub(crate) counter_minutes_max: u32,
    /// [`crate::ledger::LedgerOptions::types_max`].
    pub(crate) types_max: u32,
}

/// What types past `types_max` count as.
const OTHER_TYPES: &str = "other";

/// A record that doesn't fit what came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) &'static str);

/// Whether a batch's record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// It was applied.
    Applied,
    /// A batch before it had no room and is not there: this one doesn't count either.
    Void,
}

/// What a resolution did.
#[derive(Debug)]
pub(crate) enum Resolved {
    /// The batch with this head counts.
    Committed(Box<BatchHead>),
    /// The batches of these records never will.
    Aborted(Vec<Position>),
}

impl LedgerState {
    pub(crate) fn apply_open(&mut self, record: &OpenRecord) -> Result<(), Misfit> {
        if record.ledger_id != self.ledger_id || record.epoch.0 != self.epoch.0 + 1 {
            return Err(Misfit("an opening of another ledger, or out of order"));
        }
        self.epoch = record.epoch;
        self.opened_ms = record.opened_ms;
        self.onceflow_version.clone_from(&record.onceflow_version);
        for (source, minutes) in &record.returned {
            let source = self.source_mut(*source)?;
            for &(minute, count) in minutes {
                source.give_back(minute, count);
            }
        }
        Ok(())
    }

    pub(crate) fn apply_pipe(&mut self, record: &PipeRecord) -> Result<(), Misfit> {
        if let Some(scope) = &record.scope {
            self.admit_scope(scope)?;
        }
        if let Some(scope) = &record.scope {
            let known = self.scope_mut(scope.number)?;
            (known.fields, known.across_types) = (scope.fields, scope.across_types);
            known.previous = record.key.as_ref().map_or(Vec::new(), |key| key.previous.clone());
            known.clock = record.key.as_ref().map(|key| key.clock).or(known.clock);
        }
        let source_at = usize::from(record.source);
        if source_at == self.sources.len() {
            let name = record.source_name.clone();
            self.sources.push(SourceCounters { pipe: record.pipe, name, ..Default::default() });
        }
        if usize::from(record.pipe) == self.pipes.len() {
            self.pipes.push(PipeState { name: record.name.clone(), ..Default::default() });
        }
        let source = self.source_mut(record.source)?;
        if source.pipe != record.pipe || source.name != record.source_name {
            return Err(Misfit("a pipe with another pipe's source"));
        }
        let pipe = self.pipe_mut(record.pipe)?;
        if pipe.name != record.name {
            return Err(Misfit("a pipe with another pipe's number"));
        }
        pipe.source = record.source;
        pipe.scope = record.scope.as_ref().map(|scope| scope.number);
        pipe.config_fingerprint = record.config_fingerprint;
        pipe.invocations += 1;
        pipe.key_paths = record.key.as_ref().map(|key| key.paths.clone()).unwrap_or_default();
        for name in &record.sinks {
            if pipe.sinks.iter().all(|sink| sink.name != *name) {
                pipe.sinks.push(SinkRecord { name: name.clone(), ..Default::default() });
            }
        }
        Ok(())
    }

    fn admit_scope(&mut self, entry: &ScopeEntry) -> Result<(), Misfit> {
        if usize::from(entry.number) == self.scopes.len() {
            self.scopes.push(ScopeState {
                name: entry.name.clone(),
                secret: entry.secret,
                fields: entry.fields,
                across_types: entry.across_types,
                recorded_max_ms: i64::MIN,
                watermarks: BTreeMap::new(),
                forgotten_through_ms: i64::MIN,
                keys_committed: 0,
                keys_live: None,
                shared: None,
                clock: None,
                previous: Vec::new(),
                keys_imported: 0,
            });
        }
        let known = self.scope_mut(entry.number)?;
        if known.name == entry.name && known.secret == entry.secret {
            Ok(())
        } else {
            Err(Misfit("a scope with another scope's number"))
        }
    }

    pub(crate) fn apply_files(&mut self, record: &FilesRecord) -> Result<(), Misfit> {
        let pipe = self.pipe_mut(record.pipe)?;
        let committed = pipe.committed;
        let sink = pipe.sink_mut(record.sink)?;
        sink.note_files(committed, &record.output);
        sink.forget_published_files();
        Ok(())
    }

    pub(crate) fn apply_published(&mut self, record: &PublishedRecord) -> Result<(), Misfit> {
        for (pipe, sinks) in &record.pipes {
            let pipe = self.pipe_mut(*pipe)?;
            for &(sink, number) in sinks {
                pipe.sink_mut(sink)?.publish(number);
            }
        }
        Ok(())
    }

    /// Applies a batch's record, unless it doesn't count.
    pub(crate) fn apply_batch(
        &mut self,
        head: &BatchHead,
        limits: StateLimits,
    ) -> Result<Verdict, Misfit> {
        let pipe = self.pipe_mut(head.pipe)?;
        if head.number != pipe.committed.next() {
            return Ok(Verdict::Void);
        }
        pipe.committed = head.number;
        for change in &head.positions {
            let shard = pipe.positions.entry(change.shard.clone()).or_default();
            change.ranges.iter().for_each(|&(start, end)| shard.settle(start, end));
            if change.mark.is_some() {
                shard.mark.clone_from(&change.mark);
            }
        }
        pipe.note_message_ids(&head.message_ids);
        pipe.note_parked(head.source, &head.parked);
        for &(sink, number) in &head.published {
            pipe.sink_mut(sink)?.publish(number);
        }
        for (sink, output) in &head.staged {
            pipe.sink_mut(*sink)?.stage(head.number, output);
        }
        pipe.dedup_counts.add(&head.dedup_counts);
        pipe.count_types(&head.counters, limits.types_max as usize);
        self.source_mut(head.source)?.count(head.number, &head.counters, limits);
        self.note_letters(head.pipe, &head.letters)?;
        if let Some(scope) = head.scope {
            let scope = self.scope_mut(scope)?;
            scope.recorded_max_ms = scope.recorded_max_ms.max(head.recorded_max_ms);
            scope.keys_committed += head.keys;
            if let Some(watermark_ms) = head.watermark_ms {
                let known = scope.watermarks.entry(head.source).or_insert(i64::MIN);
                *known = watermark_ms.max(*known);
            }
        }
        Ok(Verdict::Applied)
    }

    /// Notes a batch that is ready, unless one before it had no room.
    pub(crate) fn apply_prepared(
        &mut self,
        position: Position,
        record: &PreparedRecord,
    ) -> Result<Verdict, Misfit> {
        let pipe = self.pipe_mut(record.head.pipe)?;
        let last = pipe.prepared.last().map_or(pipe.committed, PreparedBatch::number);
        if record.head.number != last.next() {
            return Ok(Verdict::Void);
        }
        let PreparedRecord { epoch, attempt, ref head } = *record;
        let head = Box::new(head.clone());
        pipe.prepared.push(PreparedBatch { position, epoch, attempt, head });
        Ok(Verdict::Applied)
    }

    /// Applies what became of the oldest prepared batch of a pipe: its head if it counts, else the
    /// places of the records that never will.
    pub(crate) fn apply_resolved(
        &mut self,
        record: &ResolvedRecord,
        limits: StateLimits,
    ) -> Result<Resolved, Misfit> {
        let pipe = self.pipe_mut(record.pipe)?;
        if pipe.prepared.first().map(PreparedBatch::number) != Some(record.number) {
            return Err(Misfit("a resolution of a batch that isn't the oldest prepared one"));
        }
        if !record.committed {
            let gone = std::mem::take(&mut pipe.prepared);
            return Ok(Resolved::Aborted(gone.into_iter().map(|batch| batch.position).collect()));
        }
        let batch = pipe.prepared.remove(0);
        match self.apply_batch(&batch.head, limits)? {
            Verdict::Applied => Ok(Resolved::Committed(batch.head)),
            Verdict::Void => Err(Misfit("a prepared batch that doesn't follow the last one")),
        }
    }

    pub(crate) fn apply_shared(&mut self, record: &SharedRecord) -> Result<(), Misfit> {
        let scope = self.scope_mut(record.scope)?;
        if scope.secret != record.secret {
            if scope.keys_committed > 0 {
                return Err(Misfit("a scope with keys got another secret"));
            }
            scope.secret = record.secret;
        }
        let known = scope.shared.as_ref();
        let lost = known.is_some_and(|known| known.incarnation != record.incarnation);
        let losses = known.map_or(0, |known| known.losses) + u64::from(lost);
        let (place, incarnation) = (record.place.clone(), record.incarnation);
        scope.shared = Some(SharedState { place, incarnation, losses });
        Ok(())
    }

    /// The place of the oldest record that is prepared and not resolved.
    pub(crate) fn oldest_prepared(&self) -> Option<Position> {
        let oldest = self.pipes.iter().filter_map(|pipe| pipe.prepared.first());
        oldest.map(|batch| batch.position).min()
    }

    /// The places of all records that are prepared and not resolved.
    pub(crate) fn all_prepared(&self) -> BTreeSet<Position> {
        let all = self.pipes.iter().flat_map(|pipe| &pipe.prepared);
        all.map(|batch| batch.position).collect()
    }

    pub(crate) fn apply_import(&mut self, record: &ImportRecord) -> Result<(), Misfit> {
        if let Some(entry) = &record.entry {
            self.admit_scope(entry)?;
        }
        self.scope_mut(record.scope)?.keys_imported += record.keys;
        Ok(())
    }

    pub(crate) fn apply_letters(&mut self, record: &LettersRecord) -> Result<(), Misfit> {
        self.note_letters(record.pipe, &record.letters)
    }

    pub(crate) fn apply_source(&mut self, record: &SourceRecord) -> Result<(), Misfit> {
        if usize::from(record.source) != self.sources.len() {
            return Err(Misfit("a source whose number is not the next"));
        }
        self.pipe_mut(record.pipe)?;
        let (pipe, name) = (record.pipe, record.name.clone());
        self.sources.push(SourceCounters { pipe, name, ..Default::default() });
        Ok(())
    }

    fn note_letters(&mut self, pipe: u16, ops: &[LetterOp]) -> Result<(), Misfit> {
        for op in ops {
            match op {
                LetterOp::Add { id, letter } => {
                    self.pipe_mut(pipe)?.letters.insert(*id, letter.clone());
                }
                LetterOp::Remove { id } => {
                    self.pipe_mut(pipe)?.letters.remove(id);
                }
                // It may have been purged since the copy was decided.
                LetterOp::Superseded { pipe, id } => {
                    if let Some(letter) = self.pipe_mut(*pipe)?.letters.get_mut(id) {
                        letter.superseded = true;
                    }
                }
            }
        }
        Ok(())
    }

    /// Forgets what has expired at `now_ms`, apart from keys. Part of a checkpoint.
    pub(crate) fn forget(&mut self, now_ms: i64) {
        for pipe in &mut self.pipes {
            pipe.message_ids.retain(|_, until_ms| *until_ms > now_ms);
        }
    }

    /// What the last run left in flight, parked events apart: for the record of the next opening.
    /// Not of pipes with prepared batches: these may settle some of it.
    pub(crate) fn left_in_flight(&self) -> Vec<(u16, Vec<(MinuteBucket, u64)>)> {
        let mut left = Vec::new();
        for (number, source) in (0..).zip(&self.sources) {
            let pipe = self.pipes.get(usize::from(source.pipe));
            if pipe.is_some_and(|pipe| !pipe.prepared.is_empty()) {
                continue;
            }
            let mut minutes = source.in_flight.clone();
            let parked = self.pipes.get(usize::from(source.pipe)).map(|pipe| &pipe.parked);
            for (of, event) in parked.into_iter().flat_map(BTreeMap::values) {
                if *of == number
                    && let Some(count) = minutes.get_mut(&event.minute())
                {
                    *count = count.saturating_sub(1);
                }
            }
            minutes.retain(|_, count| *count > 0);
            if !minutes.is_empty() {
                left.push((number, minutes.into_iter().collect()));
            }
        }
        left
    }

    fn pipe_mut(&mut self, number: u16) -> Result<&mut PipeState, Misfit> {
        self.pipes.get_mut(usize::from(number)).ok_or(Misfit("a pipe that was never started"))
    }

    fn source_mut(&mut self, number: u16) -> Result<&mut SourceCounters, Misfit> {
        self.sources.get_mut(usize::from(number)).ok_or(Misfit("a source that was never read"))
    }

    fn scope_mut(&mut self, number: u16) -> Result<&mut ScopeState, Misfit> {
        self.scopes.get_mut(usize::from(number)).ok_or(Misfit("a scope that was never used"))
    }
}

impl PipeState {
    fn sink_mut(&mut self, number: u16) -> Result<&mut SinkRecord, Misfit> {
        self.sinks.get_mut(usize::from(number)).ok_or(Misfit("a sink that was never declared"))
    }

    fn note_message_ids(&mut self, changes: &[MessageIdChange]) {
        for change in changes {
            match *change {
                MessageIdChange::Add { id, until_ms } => {
                    self.message_ids.insert(id, until_ms);
                }
                MessageIdChange::Remove { id } => {
                    self.message_ids.remove(&id);
                }
            }
        }
    }

    fn note_parked(&mut self, source: u16, changes: &[ParkedChange]) {
        for change in changes {
            match change {
                ParkedChange::Add(event) => {
                    self.parked.insert(event.id, (source, event.as_ref().clone()));
                }
                ParkedChange::Remove { id } => {
                    self.parked.remove(id);
                }
            }
        }
    }

    fn count_types(&mut self, counters: &CounterChange, types_max: usize) {
        for (name, outcomes) in &counters.types {
            let known = self.types.contains_key(name) || self.types.len() < types_max;
            let name = if known { name } else { OTHER_TYPES };
            if !self.types.contains_key(name) {
                self.types.insert(name.to_owned(), [0; 6]);
            }
            let Some(sums) = self.types.get_mut(name) else { continue };
            for (sum, more) in sums.iter_mut().zip(outcomes) {
                *sum += more;
            }
        }
    }
}

impl SinkRecord {
    fn publish(&mut self, number: BatchNumber) {
        if number > self.published_through {
            self.published_through = number;
            self.unpublished = self.unpublished.split_off(&number.next());
            self.forget_published_files();
        }
    }

    fn stage(&mut self, number: BatchNumber, output: &StagedOutput) {
        self.note_files(number, output);
        if !output.is_empty() && number > self.published_through {
            self.unpublished.insert(number, output.clone());
        }
    }

    fn note_files(&mut self, batch: BatchNumber, output: &StagedOutput) {
        for file in &output.files {
            let record = FileRecord { len: file.len, finished: file.finished, batch };
            self.files.insert(file.name.clone(), record);
        }
    }

    fn forget_published_files(&mut self) {
        let through = self.published_through;
        self.files.retain(|_, file| !file.finished || file.batch > through);
    }
}

impl SourceCounters {
    fn count(&mut self, by: BatchNumber, counters: &CounterChange, limits: StateLimits) {
        let newest = self.minutes.keys().next_back().copied();
        let mut changed: Vec<MinuteBucket> = self.in_flight.keys().copied().collect();
        for (minute, tally) in &counters.minutes {
            self.minutes.entry(*minute).or_default().add(tally);
        }
        self.reread += counters.reread;
        self.expired += counters.expired;
        self.in_flight.clear();
        for &(minute, count) in counters.in_flight.iter().filter(|(_, count)| *count > 0) {
            *self.in_flight.entry(minute).or_default() += count;
        }
        changed.extend(counters.minutes.iter().map(|(minute, _)| *minute));
        changed.extend(self.in_flight.keys());
        self.check(by, &changed);
        if self.minutes.keys().next_back().copied() != newest {
            fold::fold(self, limits.counter_minutes_max);
        }
    }

    /// Notes which of these minutes don't balance after the record of batch `by`.
    fn check(&mut self, by: BatchNumber, minutes: &[MinuteBucket]) {
        for minute in minutes {
            if !self.is_balanced(*minute) {
                self.broken.entry(*minute).or_insert(by);
            } else if !self.broken.is_empty() {
                self.broken.remove(minute);
            }
        }
    }

    /// Moves events from in flight to `returned`.
    fn give_back(&mut self, minute: MinuteBucket, count: u64) {
        self.minutes.entry(minute).or_default().add_outcome(Outcome::Returned, count);
        if let Some(in_flight) = self.in_flight.get_mut(&minute) {
            *in_flight = in_flight.saturating_sub(count);
        }
        self.in_flight.retain(|_, count| *count > 0);
    }
}
