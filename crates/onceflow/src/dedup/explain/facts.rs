//! All that is known of a key, put together.

use dedup::ledger::{FoundKey, LedgerState};
use dedup::scope::FOREVER_MS;
use dedup::sightings::{Dropped, Reader, Sighting, SightingKind};
use dedup::state::Letter;
use event::Offset;
use journal::Disk;
use std::collections::BTreeSet;
use std::path::Path;

use super::archive::ArchivedRow;
use super::ask::Candidate;
use super::body::Difference;
use super::lake::LakeRow;

/// What is known of a key.
pub(super) struct Facts {
    pub(super) candidate: Candidate,
    pub(super) scope: String,
    /// What the ledger remembers, oldest first.
    pub(super) entries: Vec<Entry>,
    pub(super) letters: Vec<(String, u128, Letter)>,
    pub(super) parked: Vec<Parked>,
    pub(super) sightings: Vec<Sighting>,
    pub(super) lake: Vec<LakeRow>,
    pub(super) archive: Vec<ArchivedRow>,
    pub(super) differences: Vec<Compared>,
    /// The scope's time: what `left_ms` is counted from.
    pub(super) now_ms: i64,
}

/// What the ledger remembers.
pub(super) struct Entry {
    pub(super) recorded_ms: i64,
    pub(super) window_ms: i64,
    pub(super) body_hash: u64,
    /// The pipe, and its batch where that is known.
    pub(super) pipe: Option<String>,
    pub(super) batch: Option<u64>,
    pub(super) run: Option<String>,
}

impl Entry {
    /// How long an event of now is still a duplicate of it; `None`: for ever.
    pub(super) fn left_ms(&self, now_ms: i64) -> Option<i64> {
        let ends_ms = self.recorded_ms.saturating_add(self.window_ms);
        (self.window_ms != FOREVER_MS).then(|| ends_ms.saturating_sub(now_ms).max(0))
    }

    pub(super) fn ends_ms(&self) -> Option<i64> {
        (self.window_ms != FOREVER_MS).then(|| self.recorded_ms.saturating_add(self.window_ms))
    }
}

/// An event that waits in the ledger.
pub(super) struct Parked {
    pub(super) pipe: String,
    pub(super) shard: String,
    pub(super) offset: String,
    pub(super) received_ms: i64,
    pub(super) body: Vec<u8>,
}

/// Two bodies side by side.
pub(super) struct Compared {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) differences: Vec<Difference>,
}

/// What has become of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InFlight,
    Dead,
    Delivered,
    Expired,
    NeverSeen,
}

impl Standing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Standing::InFlight => "in_flight",
            Standing::Dead => "dead",
            Standing::Delivered => "delivered",
            Standing::Expired => "expired",
            Standing::NeverSeen => "never_seen",
        }
    }
}

impl Facts {
    /// What the ledger says.
    pub(super) fn new(
        candidate: Candidate,
        state: &LedgerState,
        found: &[FoundKey],
        wall_ms: Option<i64>,
    ) -> Facts {
        let scope = state.scopes.get(usize::from(candidate.scope));
        let own = |it: &&FoundKey| it.scope == candidate.scope && it.entry.key == candidate.key;
        let name = |pipe: u16| state.pipes.get(usize::from(pipe)).map(|pipe| pipe.name.clone());
        let entry = |it: &FoundKey| {
            let known = it.entry.by.batch.0 > 0;
            Entry {
                recorded_ms: it.entry.recorded_ms,
                window_ms: it.entry.window_ms,
                body_hash: it.entry.body_hash,
                pipe: known.then(|| name(it.entry.by.pipe)).flatten(),
                batch: known.then_some(it.entry.by.batch.0),
                run: it.run.clone(),
            }
        };
        let (mut letters, mut parked) = (Vec::new(), Vec::new());
        for pipe in &state.pipes {
            let of_key = |letter: &Letter| {
                letter
                    .key
                    .is_some_and(|key| key.scope == candidate.scope && key.key == candidate.key)
            };
            let own = pipe.letters.iter().filter(|(_, letter)| of_key(letter));
            letters.extend(own.map(|(id, letter)| (pipe.name.clone(), *id, letter.clone())));
            let own = pipe.parked.values().filter(|(_, event)| {
                pipe.scope == Some(candidate.scope)
                    && event.key == candidate.key
                    && event.window_ms >= 0
            });
            parked.extend(own.map(|(_, event)| Parked {
                pipe: pipe.name.clone(),
                shard: event.shard.to_string(),
                offset: event.position.0.to_string(),
                received_ms: event.received_ms,
                body: event.raw.clone(),
            }));
        }
        let recorded_max_ms = scope.map_or(i64::MIN, |scope| scope.recorded_max_ms);
        Facts {
            scope: scope.map(|scope| scope.name.clone()).unwrap_or_default(),
            entries: found.iter().filter(own).map(entry).collect(),
            letters,
            parked,
            sightings: Vec::new(),
            lake: Vec::new(),
            archive: Vec::new(),
            differences: Vec::new(),
            now_ms: wall_ms.map_or(recorded_max_ms, |wall_ms| wall_ms.max(recorded_max_ms)),
            candidate,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let remembered = |entry: &Entry| entry.left_ms(self.now_ms).is_none_or(|left| left > 0);
        if !self.parked.is_empty() {
            Standing::InFlight
        } else if self.letters.iter().any(|(_, _, letter)| !letter.superseded) {
            Standing::Dead
        } else if self.entries.iter().any(remembered) {
            Standing::Delivered
        } else if self.is_known() {
            Standing::Expired
        } else {
            Standing::NeverSeen
        }
    }

    /// Whether anything is known of it at all.
    pub(super) fn is_known(&self) -> bool {
        !(self.entries.is_empty()
            && self.letters.is_empty()
            && self.parked.is_empty()
            && self.sightings.is_empty()
            && self.lake.is_empty()
            && self.archive.is_empty())
    }

    /// Batches of a pipe that are known to hold its events.
    pub(super) fn batches_of(&self, pipe: &str) -> BTreeSet<u64> {
        let entries = self.entries.iter().filter(|entry| entry.pipe.as_deref() == Some(pipe));
        let sightings = self.sightings.iter().filter(|sighting| *sighting.pipe == *pipe);
        entries
            .filter_map(|entry| entry.batch)
            .chain(sightings.map(|sighting| sighting.batch.0))
            .collect()
    }

    /// Places that are known to be those of its events.
    pub(super) fn places(&self) -> Vec<(String, Offset)> {
        let seen = self.sightings.iter();
        let mut places: Vec<_> =
            seen.map(|sighting| (sighting.shard.to_string(), sighting.start)).collect();
        let number = |text: &str| text.parse::<u128>().ok().map(|lo| Offset::from_parts(0, lo));
        let lake = self.lake.iter();
        places.extend(lake.filter_map(|row| Some((row.shard.clone(), number(&row.offset)?))));
        places
    }
}

/// Reads the sightings of a key in a scope, and then those redelivered messages that stand where
/// its events stood. What was dropped is said beside it.
pub(super) fn sightings(
    disk: &dyn Disk,
    data_dir: &Path,
    facts: &mut [Facts],
) -> std::io::Result<Dropped> {
    let reader = Reader::open(disk, data_dir)?;
    reader.for_each(disk, &mut |rows| {
        for facts in facts.iter_mut() {
            let key = facts.candidate.key;
            if rows.scope() == Some(facts.scope.as_str()) && rows.have(|row| row == key) {
                let own = rows.unpack().into_iter().filter(|sighting| sighting.key == key);
                facts.sightings.extend(own);
            }
        }
    })?;
    Ok(reader.dropped())
}

/// Adds messages that came again after they were settled.
pub(super) fn redelivered(
    disk: &dyn Disk,
    data_dir: &Path,
    facts: &mut [Facts],
) -> std::io::Result<()> {
    let places: Vec<_> = facts.iter().map(Facts::places).collect();
    if places.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let reader = Reader::open(disk, data_dir)?;
    reader.for_each(disk, &mut |rows| {
        if !rows.have(|key| key == 0) {
            return;
        }
        for row in rows.unpack() {
            if row.kind != SightingKind::Redelivered {
                continue;
            }
            for (facts, places) in facts.iter_mut().zip(&places) {
                if places.iter().any(|(shard, at)| **shard == *row.shard && *at == row.start) {
                    facts.sightings.push(row.clone());
                }
            }
        }
    })?;
    for facts in facts.iter_mut() {
        facts.sightings.sort_by_key(|row| (row.received_ms, row.batch));
    }
    Ok(())
}
