//! Giving space back. The journal can only be cut at its front, so what still lives in its oldest
//! segment is written again at its end, and the segment is dropped.
//!
//! A dead segment is dropped at once. A living one is written again only when the journal holds
//! more garbage than living messages (and than two segments): so it is at most about twice as long
//! as what lives in it, also behind one stuck message, and a backlog is written again at most once
//! for each time its own length passed through the queues.
//!
//! What makes a replay right: a copy is submitted under the lock under which removals are, and never
//! for something whose removal or change was submitted before. A segment is dropped when nothing
//! that lives stands in it any more.

use std::sync::Arc;

use journal::{AppendError, Position, ReadError};

use super::bodies::RECORD_HEADER_BYTES;
use super::core::Core;
use super::effect::Effect;
use super::record::{Entry, Place, RecordWriter, entries};
use super::shared::Shared;
use super::slots::{Handle, State};
use crate::durable::refused;
use crate::error::BrokerError;

/// Segments' worth of garbage that is not worth a copy.
const GARBAGE_SEGMENTS_MIN: u64 = 2;
/// A record of copies is submitted when it is this long.
const COPY_BYTES: usize = 256 << 10;
/// Segments cleaned at a time.
const SEGMENTS_MAX: usize = 64;

/// Gives back what can be given back now.
pub(super) fn clean(shared: &Arc<Shared>) -> Result<(), BrokerError> {
    for _ in 0..SEGMENTS_MAX {
        let Some(to) = next_to_clean(shared) else { return Ok(()) };
        say_again(shared, to)?;
        if shared.core().segments.living_below(to) > 0 {
            copy_living(shared, to)?;
        }
        if !drop_below(shared, to)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Where the oldest segment ends, if it is worth cleaning.
fn next_to_clean(shared: &Shared) -> Option<u64> {
    let begins = shared.journal.segment_begins();
    let (begin, to) = (begins.first()?.0, begins.get(1)?.0);
    let core = shared.core();
    let used = shared.journal.end().0.saturating_sub(begin);
    let living = core.segments.living();
    let garbage = used.saturating_sub(living);
    let least = GARBAGE_SEGMENTS_MIN * shared.options.segment_bytes;
    let worth = garbage > living.max(least);
    (core.segments.living_below(to) == 0 || worth).then_some(to)
}

/// Writes definitions, counts and producers again that are said nowhere else but below `to`.
///
/// Counts are those as of a mark, which is a record of its own: what comes between the mark and
/// the copy is added up from the journal at a replay.
fn say_again(shared: &Arc<Shared>, to: u64) -> Result<(), BrokerError> {
    let mut core = shared.core();
    let old = |at: u64| at < to;
    let lines = core.lines.values().filter(|line| line.defined);
    let mut old_lines = lines.filter(|line| {
        old(line.at)
            || line.producers.values().any(|known| known.through.is_some() && old(known.at))
    });
    if !old(core.epoch_at) && old_lines.next().is_none() {
        return Ok(());
    }
    drop(old_lines);
    let mut mark = RecordWriter::default();
    mark.mark();
    let marked = shared.submit(&mut core, mark, Effect::Mark, None)?;
    drop(core);
    let at = marked.wait().map_err(refused)?.0;
    let mut core = shared.core();
    let mut record = RecordWriter::default();
    let epoch = old(core.epoch_at);
    if epoch {
        record.opened(core.epoch, core.next_queue);
    }
    let (mut queues, mut producers) = (Vec::new(), Vec::new());
    for line in core.lines.values().filter(|line| line.defined && line.deleting == 0) {
        if old(line.at) && line.changing == 0 && line.making == 0 && line.purging == 0 {
            record.queue(&line.definition(Some(line.counters_marked)));
            queues.push(line.number);
        }
        for (producer, known) in line.producers.iter().filter(|(_, known)| old(known.at)) {
            if let Some(through) = known.through {
                record.copied_producer(line.number, producer, through);
                producers.push((line.number, producer.clone()));
            }
        }
    }
    let effect = Effect::SaidAgain { at, epoch, queues, producers };
    let said = shared.submit(&mut core, record, effect, None)?;
    drop(core);
    said.wait().map(drop).map_err(refused)
}

/// Writes the messages again that live below `to`.
fn copy_living(shared: &Arc<Shared>, to: u64) -> Result<(), BrokerError> {
    let mut reader = shared.journal.reader(shared.journal.begin());
    let mut last = None;
    loop {
        let (position, record) = match reader.next() {
            Ok(Some((position, record))) if position.0 < to => (position, record),
            Ok(_) => break,
            Err(error) => return Err(unread(&error)),
        };
        for candidates in candidates(position, record)?.chunks(COPY_BYTES / 64) {
            last = copy(shared, position, record, candidates)?.or(last);
        }
    }
    last.map_or(Ok(()), |last| last.wait().map(drop).map_err(refused))
}

/// The messages whose contents stand in a record.
fn candidates(position: Position, record: &[u8]) -> Result<Vec<(u128, Place)>, BrokerError> {
    let mut found = Vec::new();
    let read = entries(record, |entry| match entry {
        Entry::Sent { messages, .. } => {
            found.extend(messages.iter().map(|message| (message.id, message.place)));
        }
        Entry::CopiedMessages(copies) => {
            found.extend(copies.iter().map(|copy| (copy.note.id, copy.place)));
        }
        _ => {}
    });
    let unreadable =
        |error| BrokerError::Unreadable { what: format!("position {position}: {error}") };
    read.map(|()| found).map_err(unreadable)
}

/// Submits copies of those that live here and aren't about to leave.
fn copy(
    shared: &Arc<Shared>,
    position: Position,
    bytes: &[u8],
    candidates: &[(u128, Place)],
) -> Result<Option<journal::PendingAppend>, BrokerError> {
    let begin = position.0 + RECORD_HEADER_BYTES;
    let mut core = shared.core();
    let mut record = RecordWriter::default();
    let mut copied = Vec::new();
    let mut pending = None;
    for (id, place) in candidates {
        let at = begin + u64::from(place.offset);
        let Some(handle) = lives_at(&core, *id, at) else { continue };
        let content = bytes.get(place.offset as usize..).unwrap_or_default();
        let content = content.get(..place.bytes as usize).unwrap_or_default();
        let Some(slot) = core.slots.get(handle.index) else { continue };
        let source = core.source_name(slot.source).map(|name| &**name);
        let offset = record.copied(slot.queue, slot.sent_ms, source, &slot.note(), content);
        copied.push((handle, at, offset));
        if record.len() > COPY_BYTES {
            let full = std::mem::take(&mut record);
            let effect = Effect::Copied(std::mem::take(&mut copied));
            pending = Some(shared.submit(&mut core, full, effect, None)?);
        }
    }
    if !copied.is_empty() {
        pending = Some(shared.submit(&mut core, record, Effect::Copied(copied), None)?);
    }
    Ok(pending)
}

fn lives_at(core: &Core, id: u128, at: u64) -> Option<Handle> {
    let index = core.slots.find(id)?;
    let slot = core.slots.get(index)?;
    let line = core.lines.get(&slot.queue)?;
    let stays = slot.state != State::Leaving && line.purging == 0 && line.deleting == 0;
    (stays && slot.at == at).then_some(Handle { index, generation: slot.generation })
}

/// Drops what is below `to`; whether nothing that is needed stood there.
fn drop_below(shared: &Shared, to: u64) -> Result<bool, BrokerError> {
    let mut core = shared.core();
    core.check()?;
    let needed = core.segments.living_below(to) > 0
        || core.epoch_at < to
        || core.lines.values().any(|line| {
            let producers = || line.producers.values().any(|known| known.at < to);
            line.at < to || producers()
        });
    if needed {
        return Ok(false);
    }
    core.segments.drop_below(to);
    drop(core);
    match shared.journal.drop_before(Position(to)) {
        Ok(()) => Ok(true),
        Err(error @ AppendError::Drop { .. }) => {
            tracing::warn!(%error, "space of the queues was not given back");
            Ok(false)
        }
        Err(error) => {
            shared.core().stop(&error.to_string());
            Err(refused(error))
        }
    }
}

fn unread(error: &ReadError) -> BrokerError {
    BrokerError::Unreadable { what: error.to_string() }
}
