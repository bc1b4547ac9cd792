//! One call of `receive`: from file to file until a batch is full.

use std::time::{Duration, Instant};

use event::source::{BatchLimits, Received, SourceError, Stop};

use super::FileSource;
use super::assembly::{AHEAD_BYTES, Assembly, spill_error};
use super::cursor::Cursor;
use super::input::Gave;
use super::plan::{Plan, Start, io_error};
use super::spill::SpillFile;

/// Read at a time: so much that a call costs nothing, so little that it is still in the cache when
/// its lines are looked for.
const READ_BYTES: usize = 256 << 10;
/// Read at a time when only few events are missing, so that little is carried to the next batch.
const READ_BYTES_MIN: usize = 32 << 10;
/// Longest time without an answer.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Why reading stopped.
enum Filled {
    /// The batch is full, or its time is over.
    Full,
    /// There is nothing to read now.
    Dry,
    /// All files were read.
    End,
}

impl FileSource {
    pub(super) fn receive_batch(
        &mut self,
        limits: &BatchLimits,
        stop: &Stop,
    ) -> Result<Received, SourceError> {
        let bytes_max = limits.bytes_max.clamp(1, 1 << 30);
        let capacity = bytes_max.max(self.options.event_bytes_max + 1) + AHEAD_BYTES;
        let mut assembly = match self.assembly.take() {
            Some(assembly) => assembly,
            None => Assembly::new(self.pool.take(capacity), 0),
        };
        assembly.received_at(self.clock.now_ms());
        // A buffer that was made for lower limits stays as long as it is.
        let bytes_max = bytes_max.min(assembly.buffer.len().saturating_sub(AHEAD_BYTES)).max(1);
        let limits = BatchLimits { bytes_max, events_max: limits.events_max.max(1), ..*limits };
        let filled = match self.fill(&mut assembly, &limits, stop) {
            Ok(filled) => filled,
            Err(error) => {
                self.assembly = Some(assembly);
                return Err(error);
            }
        };
        if assembly.events.is_empty() {
            self.assembly = Some(assembly);
            return match filled {
                Filled::End => self.broken.take().map_or(Ok(Received::End), Err),
                Filled::Full | Filled::Dry => Ok(Received::Idle),
            };
        }
        if let Some(cursor) = &mut self.cursor {
            look_ahead(cursor, &mut assembly)?;
            let at_end = cursor.at_end && assembly.rest().is_empty();
            assembly.close_extent(cursor, at_end)?;
        }
        let (batch, next) = assembly.close(self.cursor.as_mut(), &self.pool);
        self.assembly = Some(next);
        Ok(Received::Batch(batch))
    }

    fn fill(
        &mut self,
        assembly: &mut Assembly,
        limits: &BatchLimits,
        stop: &Stop,
    ) -> Result<Filled, SourceError> {
        let started = Instant::now();
        let mut first_event = None;
        loop {
            if self.cursor.is_none() && !self.open_next(assembly)? {
                return Ok(Filled::End);
            }
            let Some(cursor) = &mut self.cursor else { return Ok(Filled::End) };
            let options = &self.options;
            let long = options.event_bytes_max;
            let in_lines = cursor.spill.is_none() && !cursor.must_skip();
            if in_lines && assembly.split(cursor, limits, long, &options.spill_dir)? {
                return Ok(Filled::Full);
            }
            let have_events = !assembly.events.is_empty();
            if have_events && first_event.is_none() {
                first_event = Some(Instant::now());
            }
            let bytes_full = assembly.filled >= limits.bytes_max;
            let waited = first_event.unwrap_or(started).elapsed();
            if have_events && bytes_full {
                return Ok(Filled::Full);
            }
            if have_events && waited >= limits.interval_max {
                return Ok(Filled::Full);
            }
            if !have_events && (waited >= WAIT_MAX || stop.asked()) {
                return Ok(Filled::Dry);
            }
            if assembly.rest().len() > long || cursor.spill.is_some() {
                if have_events {
                    // The batch so far goes first; this line is the next one's first.
                    return Ok(Filled::Full);
                }
                self.spill_some(assembly)?;
                continue;
            }
            if cursor.at_end {
                self.end_file(assembly, None)?;
                continue;
            }
            if cursor.must_skip() {
                cursor.skip_some(assembly.room(READ_BYTES))?;
                if !cursor.must_skip() {
                    cursor.base = cursor.base.wrapping_sub(assembly.filled as u64);
                }
                continue;
            }
            let left = if have_events { limits.interval_max - waited } else { WAIT_MAX };
            cursor.input.wait_at_most(left.min(WAIT_MAX));
            let most = read_size(assembly, limits);
            let gave = cursor.input.read(assembly.room(most));
            match gave.map_err(|error| io_error(&cursor.path, error))? {
                Gave::Bytes(n) => assembly.filled += n,
                Gave::Nothing if have_events && !stop.asked() => {}
                Gave::Nothing => return Ok(Filled::Dry),
                Gave::End => cursor.at_end = true,
                Gave::Broken(how) => self.end_file(assembly, Some(how))?,
            }
        }
    }

    /// Goes to the next file; false when there is none.
    fn open_next(&mut self, assembly: &Assembly) -> Result<bool, SourceError> {
        while let Some(path) = self.queue.pop_front() {
            let options = &self.options;
            let plan = Plan::make(&path, options.compression, &self.state, options.reread)?;
            if !self.seen.insert(plan.device_inode) {
                let name = Cursor::file_name(&path);
                self.remarks.push(format!("{name} is another name of a file that was read"));
                continue;
            }
            if matches!(plan.start, Start::Finished { .. }) {
                continue;
            }
            if let Some(mut cursor) = Cursor::open(plan)? {
                if !cursor.must_skip() {
                    cursor.base = cursor.base.wrapping_sub(assembly.filled as u64);
                }
                self.cursor = Some(cursor);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The content has ended, or is broken from here on.
    fn end_file(
        &mut self,
        assembly: &mut Assembly,
        broken: Option<String>,
    ) -> Result<(), SourceError> {
        let Some(mut cursor) = self.cursor.take() else { return Ok(()) };
        let dir = &self.options.spill_dir;
        match (&broken, cursor.spill.take()) {
            (None, Some(spill)) => assembly.push_spilled(&mut cursor, spill)?,
            (None, None) => assembly.take_rest(&mut cursor, self.options.event_bytes_max, dir)?,
            (Some(_), _) => assembly.drop_rest(),
        }
        assembly.close_extent(&mut cursor, broken.is_none())?;
        if let Some(how) = broken {
            let what = format!("{} {how}", cursor.path.display());
            let help = if cursor.is_pipe() {
                "Its whole lines before that were read"
            } else {
                "Its whole lines before that were read; complete the file and run again, which \
                 goes on after them"
            };
            // The other files are read all the same.
            self.broken.get_or_insert(SourceError::Changed { what, help: help.into() });
        }
        Ok(())
    }

    /// Moves what was read of an over-long line into its file, and reads on.
    fn spill_some(&mut self, assembly: &mut Assembly) -> Result<(), SourceError> {
        let dir = &self.options.spill_dir;
        let refused = |error| spill_error(dir, error);
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        if cursor.spill.is_none() {
            cursor.spill = Some(SpillFile::create(dir).map_err(refused)?);
        }
        let Some(spill) = &mut cursor.spill else { return Ok(()) };
        let rest = assembly.rest();
        let newline = memchr::memchr(b'\n', rest);
        let part = rest.get(..newline.unwrap_or(rest.len())).unwrap_or_default();
        spill.append(part).map_err(refused)?;
        if let Some(newline) = newline {
            assembly.line += newline + 1;
            assembly.scanned = assembly.line;
            if let Some(spill) = cursor.spill.take() {
                assembly.push_spilled(cursor, spill)?;
            }
            return Ok(());
        }
        assembly.line = assembly.filled;
        assembly.close_extent(cursor, false)?;
        cursor.base = cursor.base.wrapping_add(assembly.filled as u64);
        assembly.empty_buffer();
        cursor.input.wait_at_most(WAIT_MAX);
        let gave = cursor.input.read(assembly.room(READ_BYTES));
        match gave.map_err(|error| io_error(&cursor.path, error))? {
            Gave::Bytes(n) => assembly.filled += n,
            Gave::Nothing => {}
            Gave::End => self.end_file(assembly, None)?,
            Gave::Broken(how) => self.end_file(assembly, Some(how))?,
        }
        Ok(())
    }
}

/// Looks whether a file ends with the batch: then its mark can say so.
fn look_ahead(cursor: &mut Cursor, assembly: &mut Assembly) -> Result<(), SourceError> {
    let busy = cursor.must_skip() || cursor.spill.is_some() || !assembly.rest().is_empty();
    if cursor.is_pipe() || cursor.at_end || busy {
        return Ok(());
    }
    let gave = cursor.input.read(assembly.room(AHEAD_BYTES));
    match gave.map_err(|error| io_error(&cursor.path, error))? {
        Gave::Bytes(n) => assembly.filled += n,
        Gave::End => cursor.at_end = true,
        // Shows again when the next batch is read.
        Gave::Nothing | Gave::Broken(_) => {}
    }
    Ok(())
}

/// How much to read next.
fn read_size(assembly: &Assembly, limits: &BatchLimits) -> usize {
    let events = assembly.events.len();
    // Without an event so far, a line that is longer than the batch is read to its end.
    let room = match limits.bytes_max.saturating_sub(assembly.filled) {
        0 => READ_BYTES,
        room => room,
    };
    let mean = assembly.line.checked_div(events).map_or(READ_BYTES, |bytes| bytes + 1);
    let missing = (limits.events_max - events.min(limits.events_max)).saturating_mul(mean);
    READ_BYTES.min(missing.max(READ_BYTES_MIN)).min(room)
}
