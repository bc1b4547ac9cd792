//! An event's key, out of what its config says that a key is made of.

use dedup::key::{KeyMaker, KeyProblem, KeyValue};
use event::batch::{Attribute, Attributes};
use event::json::{Canonical, Found, Raw};
use event::{Batch, Event, Marks, Offset, Rejection, ShardId};

use super::{NO_WINDOW, PreparePlan, rejection};
use crate::config::{DedupKey, KeyPart, MissingKey};

/// Fields of a key at most.
pub const KEY_FIELDS_MAX: usize = 16;

/// Before the part of a file's shard that says how often it was read.
const REREAD_MARK: char = '#';

/// What a pipe's keys are made of.
#[derive(Clone, Debug, Default)]
pub enum KeyPlan {
    /// Fields of the payload: the first paths of the selection.
    #[default]
    Paths,
    /// Fields and attributes, in the order of the config.
    Mixed(Vec<KeyPlace>),
    /// The whole body, however it is spelled.
    Body,
    /// The whole body, byte for byte.
    RawBody,
    /// The broker's id.
    BrokerId {
        /// What tells its shards from those of other sources; empty where their names do.
        shards_of: String,
    },
}

/// Where a part of a key stands.
#[derive(Clone, Debug)]
pub enum KeyPlace {
    /// In the payload: the index of its path in the selection.
    Path(usize),
    /// In the attribute of this name.
    Attribute(String),
}

impl KeyPlan {
    /// For a key whose paths come first in the selection. `shards_of` as in
    /// [`KeyPlan::BrokerId`].
    #[must_use]
    pub fn new(key: &DedupKey, shards_of: &str) -> Self {
        let parts = match key {
            DedupKey::Fields(parts) => parts,
            DedupKey::Body => return Self::Body,
            DedupKey::RawBody => return Self::RawBody,
            DedupKey::BrokerId => return Self::BrokerId { shards_of: shards_of.to_owned() },
        };
        if parts.iter().all(|part| matches!(part, KeyPart::Path(_))) {
            return Self::Paths;
        }
        let mut paths = 0..;
        let place = |part: &KeyPart| match part {
            KeyPart::Attribute(name) => KeyPlace::Attribute(name.clone()),
            _ => KeyPlace::Path(paths.next().unwrap_or_default()),
        };
        Self::Mixed(parts.iter().map(place).collect())
    }

    /// Whether a key needs to know where its event stood in its source.
    pub(crate) fn needs_place(&self) -> bool {
        matches!(self, Self::BrokerId { .. })
    }
}

/// What is known of an event when its key is made.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    /// Where the fields stand: those of the key come first.
    pub(crate) found: &'a Found,
    pub(crate) payload: &'a [u8],
    pub(crate) attributes: &'a [Attribute],
}

/// Makes keys, with room to work in.
#[derive(Default)]
pub(crate) struct Keys {
    scratch: Vec<u8>,
    canonical: Canonical,
    /// Where the present event stood in its source, if keys are made of that.
    place: Option<(ShardId, Offset)>,
}

/// The attributes of event `index`.
pub(super) fn attributes_of(all: &[(u32, Attributes)], index: usize) -> &[Attribute] {
    let found = all.binary_search_by_key(&index, |(event, _)| *event as usize);
    found.ok().and_then(|at| all.get(at)).map_or(&[], |(_, attributes)| attributes)
}

impl Keys {
    /// The event whose keys are to be made next is event `index`.
    pub(super) fn stands_at(&mut self, batch: &Batch, index: usize) {
        self.place = place(batch, index);
    }

    /// Gives an event its key and the hash of its body, or lets it do without.
    pub(super) fn give(
        &mut self,
        plan: &PreparePlan,
        maker: &KeyMaker,
        event_type: &[u8],
        told: Told<'_>,
        event: &mut Event,
    ) -> Result<(), Rejection> {
        let payload = told.payload;
        let problem = match self.make(&plan.key, plan.fields.keys, maker, event_type, told) {
            Ok((key, body_hash)) => {
                (event.key, event.body_hash) = (key, body_hash);
                return Ok(());
            }
            Err(problem) => problem,
        };
        match plan.missing_key {
            MissingKey::Reject => Err(refused(plan, problem)),
            MissingKey::Pass => {
                event.body_hash = maker.body_hash(payload);
                (event.key, event.window_ms) = (0, NO_WINDOW);
                event.marks = event.marks.with(Marks::NO_KEY);
                Ok(())
            }
            MissingKey::HashBody => {
                (event.key, event.body_hash) = self.of_any_body(maker, event_type, payload);
                Ok(())
            }
        }
    }

    /// An event's key, of which so many paths of the selection are a part, and its body's hash.
    ///
    /// # Errors
    /// [`KeyProblem`].
    pub(crate) fn make(
        &mut self,
        plan: &KeyPlan,
        paths: usize,
        maker: &KeyMaker,
        event_type: &[u8],
        told: Told<'_>,
    ) -> Result<(u128, u64), KeyProblem> {
        let Told { found, payload, attributes } = told;
        let scratch = &mut self.scratch;
        let key = match plan {
            KeyPlan::Paths if paths == 1 => {
                maker.key(event_type, &[found.get(payload, 0)], scratch)?
            }
            KeyPlan::Paths => {
                let mut values: [Option<Raw<'_>>; KEY_FIELDS_MAX] = [None; KEY_FIELDS_MAX];
                for (index, value) in values.iter_mut().enumerate().take(paths) {
                    *value = found.get(payload, index);
                }
                let values = values.get(..paths).unwrap_or(&values);
                maker.key(event_type, values, scratch)?
            }
            KeyPlan::Mixed(places) => {
                let mut values: [Option<KeyValue<'_>>; KEY_FIELDS_MAX] = [None; KEY_FIELDS_MAX];
                for (value, place) in values.iter_mut().zip(places) {
                    *value = match place {
                        KeyPlace::Path(index) => found.get(payload, *index).map(KeyValue::Field),
                        KeyPlace::Attribute(name) => attribute(attributes, name),
                    };
                }
                maker.key(event_type, &values, scratch)?
            }
            KeyPlan::Body => {
                let made = maker.body_key(event_type, payload, &mut self.canonical, scratch)?;
                return Ok((made.key, made.body_hash));
            }
            KeyPlan::RawBody => maker.raw_body_key(event_type, payload, scratch),
            KeyPlan::BrokerId { shards_of } => {
                let (shard, start) = self.place.as_ref().ok_or(KeyProblem::NoBrokerId)?;
                // A file that is read once more has the same events.
                let shard = shard.split(REREAD_MARK).next().unwrap_or_default();
                maker.broker_key(event_type, &[shards_of, shard], *start, scratch)
            }
        };
        Ok((key, maker.body_hash(payload)))
    }

    /// The key that a body makes, also one that has no canonical form.
    fn of_any_body(&mut self, maker: &KeyMaker, event_type: &[u8], payload: &[u8]) -> (u128, u64) {
        match maker.body_key(event_type, payload, &mut self.canonical, &mut self.scratch) {
            Ok(made) => (made.key, made.body_hash),
            Err(_) => {
                let key = maker.raw_body_key(event_type, payload, &mut self.scratch);
                (key, maker.body_hash(payload))
            }
        }
    }
}

/// Where an event stood in its source; of a replayed one, where it came from at first.
fn place(batch: &Batch, index: usize) -> Option<(ShardId, Offset)> {
    if let Some(replay) = &batch.replay {
        let origin = replay.events.get(index)?.origin.as_ref()?;
        return Some((origin.shard.clone(), origin.start));
    }
    let (extent, range) = batch.extent_of(index)?;
    Some((extent.shard_of(index).clone(), batch.position(extent, &range, index).0))
}

/// The value of an attribute. Its type is what its broker calls it: `Number`, `Number.int`, and
/// everything that isn't `Binary` is text.
fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<KeyValue<'a>> {
    let attribute = attributes.iter().find(|attribute| attribute.name == name)?;
    let kind = attribute.data_type.split('.').next().unwrap_or_default();
    Some(match kind {
        "Number" => KeyValue::Number(&attribute.value),
        "Binary" => KeyValue::Bytes(&attribute.value),
        _ => KeyValue::Text(&attribute.value),
    })
}

/// How an event without key is rejected.
fn refused(plan: &PreparePlan, problem: KeyProblem) -> Rejection {
    let paths = plan.selection.paths();
    let part = problem.field().and_then(|field| match &plan.key {
        KeyPlan::Mixed(places) => match places.get(field)? {
            KeyPlace::Path(index) => paths.get(*index).map(ToString::to_string),
            KeyPlace::Attribute(name) => Some(format!("attribute {name}")),
        },
        _ => paths.get(field).map(ToString::to_string),
    });
    match part {
        Some(part) => rejection(problem.reason(), &format!("{problem}: {part}")),
        None => rejection(problem.reason(), &problem),
    }
}
