//! Brings keys from the journal into key runs.

use std::collections::BTreeMap;

use journal::{Journal, Position, ReadError};

use super::checkpoint::Draft;
use super::lock;
use crate::error::{FolderIo, LedgerError};
use crate::index::prefetch;
use crate::record::{BatchRecord, KeyColumns, Record, Scratch, row_of};
use crate::run::{Kind, Place, Row, sort};
use crate::scope::{CommittedBy, CommittedKey};

/// Keys held in memory (about 50 MiB, and 32 MiB to sort them) before they are written.
const KEYS_MAX: usize = 1 << 20;
/// Windows and buckets that are told apart at a time.
const LANES_MAX: usize = 32;
/// How many rows ahead one is asked for, when they are copied out in order.
const AHEAD: usize = 16;

/// Which records' keys go into runs.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// Those after this one; `None`: from the first on.
    pub(super) after: Option<Position>,
    /// Up to and including this one,
    pub(super) through: Position,
    /// and before this one.
    pub(super) before: Option<Position>,
}

/// What went into runs.
pub(super) struct Harvested {
    /// By pipe: the last batch whose keys were read.
    pub(super) saved: BTreeMap<u16, u64>,
    /// The last record that was read: a place where one stands. As before if there was none.
    pub(super) through: Option<Position>,
}

/// Keys on their way from the journal into runs.
pub(super) struct Harvest<'a, 'b> {
    draft: &'a mut Draft<'b>,
    /// The rows of each place, in the order of the journal.
    places: Vec<(u16, Place, Vec<Row>)>,
    kinds: Vec<Kind>,
    lanes: Vec<Lane>,
    held: usize,
    scratch: Scratch,
    order: Vec<(u64, u32)>,
    spare: Vec<(u64, u32)>,
    /// By pipe: the last batch whose keys were read.
    saved: BTreeMap<u16, u64>,
}

/// Where keys go that have the same window and expire in the same bucket: found once for many.
#[derive(Clone, Copy)]
struct Lane {
    window_ms: i64,
    expires_first_ms: i64,
    expires_last_ms: i64,
    /// By place in [`Harvest::places`].
    place: usize,
    kind: u32,
}

impl<'a, 'b> Harvest<'a, 'b> {
    pub(super) fn new(draft: &'a mut Draft<'b>) -> Self {
        Self {
            draft,
            places: Vec::new(),
            kinds: Vec::new(),
            lanes: Vec::new(),
            held: 0,
            scratch: Scratch::default(),
            order: Vec::new(),
            spare: Vec::new(),
            saved: BTreeMap::new(),
        }
    }

    /// Writes the keys of all batches within `reach` into runs.
    pub(super) fn read(
        mut self,
        journal: &Journal,
        reach: Reach,
    ) -> Result<Harvested, LedgerError> {
        let Reach { after: from, through, before } = reach;
        let mut last = from;
        let void = lock(&self.draft.core.void).clone();
        let core = self.draft.core;
        let mut reader = journal.reader(from.unwrap_or_else(|| journal.begin()));
        loop {
            match reader.next().map_err(|error| core.stop(error))? {
                Some((position, _)) if from.is_some_and(|from| position <= from) => {}
                Some((position, _)) if before.is_some_and(|before| position >= before) => break,
                Some((position, bytes)) if position <= through => {
                    last = Some(position);
                    if !void.contains(&position)
                        && let Some(batch) = batch(bytes).map_err(|what| core.stop(what))?
                    {
                        self.take(&batch)?;
                    }
                    if position == through {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.write()?;
        Ok(Harvested { saved: self.saved, through: last })
    }

    fn take(&mut self, batch: &BatchRecord<'_>) -> Result<(), LedgerError> {
        let Some(scope) = batch.scope else { return Ok(()) };
        let core = self.draft.core;
        let by = batch.by().map_err(|malformed| core.stop(malformed))?;
        let forgotten = self.draft.forgotten.get(&scope).copied().unwrap_or(i64::MIN);
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = batch.for_each_state(&mut scratch, |columns| {
            self.lanes.clear();
            self.take_columns(scope, by, forgotten, columns);
        });
        self.scratch = scratch;
        let count = taken.map_err(|malformed| core.stop(malformed))?;
        if count > 0 && by.batch.0 > 0 {
            let saved = self.saved.entry(by.pipe).or_default();
            *saved = by.batch.0.max(*saved);
        }
        if self.held >= KEYS_MAX { self.write() } else { Ok(()) }
    }

    fn take_columns(
        &mut self,
        scope: u16,
        by: CommittedBy,
        forgotten: i64,
        KeyColumns { state, rows, recorded, windows }: KeyColumns<'_>,
    ) {
        for (row, (&recorded_ms, &window_ms)) in rows.iter().zip(recorded.iter().zip(windows)) {
            let expiry_ms = recorded_ms.saturating_add(window_ms);
            if expiry_ms <= forgotten {
                continue;
            }
            let fits = |lane: &&Lane| {
                lane.window_ms == window_ms
                    && (lane.expires_first_ms..=lane.expires_last_ms).contains(&expiry_ms)
            };
            let lane = match self.lanes.iter().find(fits) {
                Some(lane) => *lane,
                None => {
                    let kind = Kind { window_ms, pipe: by.pipe, state };
                    self.new_lane(scope, Place::with(window_ms, expiry_ms), kind)
                }
            };
            let (key, body_hash) = row_of(row);
            let (upper, lower) = ((key >> 64) as u64, key as u64);
            let Lane { place, kind, .. } = lane;
            if let Some((_, _, rows)) = self.places.get_mut(place) {
                let batch = by.batch.0;
                rows.push(Row { upper, lower, body_hash, recorded_ms, batch, kind });
                self.held += 1;
            }
        }
    }

    fn new_lane(&mut self, scope: u16, place: Place, kind: Kind) -> Lane {
        let known = self.places.iter().position(|known| (known.0, known.1) == (scope, place));
        let number = known.unwrap_or_else(|| {
            self.places.push((scope, place, Vec::new()));
            self.places.len() - 1
        });
        let known = self.kinds.iter().rposition(|known| *known == kind);
        let kind_number = known.unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        let (expires_first_ms, expires_last_ms) = place.expiries();
        let lane = Lane {
            window_ms: kind.window_ms,
            expires_first_ms,
            expires_last_ms,
            place: number,
            kind: kind_number as u32,
        };
        if self.lanes.len() == LANES_MAX {
            self.lanes.clear();
        }
        self.lanes.push(lane);
        lane
    }

    fn write(&mut self) -> Result<(), LedgerError> {
        let mut places = std::mem::take(&mut self.places);
        // Some of their room is used again.
        places.retain(|(_, _, rows)| !rows.is_empty());
        for (scope, place, rows) in &mut places {
            let (mut writer, path) = self.draft.begin_run(*scope, *place, rows.len() as u64)?;
            let kinds = &self.kinds;
            for_each_sorted(rows, kinds, &mut self.order, &mut self.spare, |row, kind| {
                let pushed = writer.push_row(row, kind);
                pushed.map_err(|error| FolderIo::new("write", &path, error))
            })?;
            self.draft.end_run(writer, &path)?;
            rows.clear();
        }
        self.places = places;
        self.lanes.clear();
        self.kinds.clear();
        self.held = 0;
        Ok(())
    }
}

/// Hands out rows by key, recorded time, window and body, equal ones in the order in which they are.
///
/// Sorts the upper halves of the keys, which are hashes: only few are equal, and little is moved.
fn for_each_sorted<E>(
    rows: &[Row],
    kinds: &[Kind],
    order: &mut Vec<(u64, u32)>,
    spare: &mut Vec<(u64, u32)>,
    mut each: impl FnMut(&Row, &Kind) -> Result<(), E>,
) -> Result<(), E> {
    order.clear();
    order.extend(rows.iter().zip(0..).map(|(row, index)| (row.upper, index)));
    sort(order, spare, |(upper, _)| *upper);
    let row = |&(_, index): &(u64, u32)| {
        let row = rows.get(index as usize)?;
        Some((row, kinds.get(row.kind as usize)?))
    };
    let mut ahead = order.get(AHEAD..).unwrap_or_default().iter();
    let mut equal = Vec::new();
    for run in order.chunk_by(|a, b| a.0 == b.0) {
        if let Some(row) = ahead.next().and_then(|(_, index)| rows.get(*index as usize)) {
            prefetch(row);
        }
        if let [one] = run {
            row(one).map_or(Ok(()), |(row, kind)| each(row, kind))?;
            continue;
        }
        equal.extend(run.iter().filter_map(row));
        equal
            .sort_by_key(|(row, kind)| (row.key(), row.recorded_ms, kind.window_ms, row.body_hash));
        equal.drain(..).try_for_each(|(row, kind)| each(row, kind))?;
        // As many as were handed out.
        ahead.nth(run.len() - 2);
    }
    Ok(())
}

/// The keys of a batch or of an import.
fn batch(bytes: &[u8]) -> Result<Option<BatchRecord<'_>>, String> {
    Record::keyed(bytes).map_err(|_| "a record that could be read no longer can".into())
}

/// Hands all keys of a scope that are in no run to `take`.
pub(super) fn journal_keys(
    journal: &Journal,
    from: Option<Position>,
    is_void: impl Fn(Position) -> bool,
    scope: u16,
    mut take: impl FnMut(&[CommittedKey]),
) -> Result<(), String> {
    let (mut scratch, mut keys) = (Scratch::default(), Vec::new());
    let mut reader = journal.reader(from.unwrap_or_else(|| journal.begin()));
    while let Some((position, bytes)) = reader.next().map_err(|e: ReadError| e.to_string())? {
        if from.is_some_and(|from| position <= from) || is_void(position) {
            continue;
        }
        let Some(batch) = batch(bytes)?.filter(|batch| batch.scope == Some(scope)) else {
            continue;
        };
        keys.clear();
        batch.keys(&mut scratch, &mut keys).map_err(|malformed| malformed.to_string())?;
        take(&keys);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::KeyState;

    #[test]
    fn rows_are_handed_out_sorted_and_equal_ones_in_their_order() {
        let kind = |window_ms| Kind { window_ms, pipe: 0, state: KeyState::Delivered };
        let kinds = [kind(9), kind(8)];
        let row = |i: u64| Row {
            upper: (i * 7919 % 50) << 58,
            lower: i % 2,
            body_hash: i,
            recorded_ms: (i % 3) as i64,
            batch: 0,
            kind: (i % 5 % 2) as u32,
        };
        let rows: Vec<Row> = (0..3000).map(row).collect();
        let order = |row: &Row| {
            (row.key(), row.recorded_ms, kinds[row.kind as usize].window_ms, row.body_hash)
        };
        let mut expected = rows.clone();
        expected.sort_by_key(order);
        let (mut sorted, mut room) = (Vec::new(), (Vec::new(), Vec::new()));
        let each = |row: &Row, _: &Kind| {
            sorted.push(*row);
            Ok::<(), ()>(())
        };
        for_each_sorted(&rows, &kinds, &mut room.0, &mut room.1, each).unwrap();
        assert_eq!(sorted, expected);
    }
}
