//! What can be decided from one event alone: decode, envelope, validate, filter, key, transform.
//!
//! Workers do this for whole batches, side by side. Everything here happens before the key is
//! reserved, so an event that fails ends as `rejected` (DESIGN P3). The built-in transforms need
//! nothing but the event, so they run here as well: on all cores, and before the reservation.

use std::sync::Arc;

use dedup::key::KeyMaker;
use event::batch::NO_TIME;
use event::json::{Found, Raw, Selection};
use event::{Batch, Event, Fate, Rejection, Span};

use crate::config::{DecodeStep, EnvelopeConfig, TransformConfig};
use crate::stage::decode::{Decoded, Decoder};
use crate::stage::filter::Pattern;
use crate::stage::time::TimeFormat;
use crate::stage::transform::{Applied, Transforms};
use crate::stage::validate::Validator;
use crate::types::{TYPE_BYTES_MAX, TypeCache, TypeEntry, Types};

/// Fields of a key at most.
pub const KEY_FIELDS_MAX: usize = 16;
/// The window of events that no key is kept for.
pub const NO_WINDOW: i64 = -1;

/// The checked form of everything that [`Preparer`] does; shared by all workers of a pipe.
pub struct PreparePlan {
    /// Decoding steps.
    pub decode: Vec<DecodeStep>,
    /// Longest payload once it is decoded; bytes.
    pub decoded_bytes_max: usize,
    /// The paths of `fields`, compiled.
    pub selection: Selection,
    /// Which of the selection's paths is what.
    pub fields: Fields,
    /// How `fields.time` is written.
    pub time_format: TimeFormat,
    /// Whether an event without a time is rejected (`clock: event`).
    pub time_required: bool,
    /// JSON Schema.
    pub validator: Option<Validator>,
    /// Event pattern.
    pub pattern: Option<Pattern>,
    /// Built-in transforms.
    pub transforms: Vec<TransformConfig>,
    /// Makes keys; `None` without dedup.
    pub key_maker: Option<KeyMaker>,
    /// Event types.
    pub types: Arc<Types>,
    /// Where the envelope's other parts stand; a tap shows them.
    pub envelope: EnvelopeConfig,
    /// Longest payload; bytes.
    pub event_bytes_max: usize,
}

/// Indices into the selection's paths. The first `keys` of them are the key's fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields {
    /// How many fields the key has.
    pub keys: usize,
    /// The envelope's type.
    pub event_type: Option<usize>,
    /// The envelope's time.
    pub time: Option<usize>,
}

/// One worker.
pub struct Preparer {
    plan: Arc<PreparePlan>,
    decoder: Decoder,
    transforms: Transforms,
    types: TypeCache,
    found: Found,
    decoded: Vec<u8>,
    scratch: Vec<u8>,
}

enum Verdict {
    Wanted,
    Filtered,
}

impl Preparer {
    /// A worker with buffers of its own.
    #[must_use]
    pub fn new(plan: Arc<PreparePlan>) -> Self {
        Self {
            decoder: Decoder::new(&plan.decode, plan.decoded_bytes_max),
            transforms: Transforms::new(&plan.transforms),
            types: TypeCache::new(Arc::clone(&plan.types)),
            found: Found::default(),
            decoded: Vec::new(),
            scratch: Vec::new(),
            plan,
        }
    }

    /// Gives every event of `batch` that has no fate yet its type, times and key, or a rejection,
    /// or lets the filter drop it.
    pub fn prepare(&mut self, batch: &mut Batch) {
        // First, so that their empty stand-ins aren't judged as empty lines.
        self.reject_spilled(batch);
        let buffer = batch.buffer.clone();
        let mut events = std::mem::take(&mut batch.events);
        let mut rewritten = std::mem::take(&mut batch.rewritten);
        for event in &mut events {
            if event.fate != Fate::Undecided {
                continue;
            }
            match self.prepare_event(event.raw.of(&buffer), event, &mut rewritten) {
                Ok(Verdict::Wanted) => {}
                Ok(Verdict::Filtered) => event.fate = Fate::Filtered,
                Err(rejection) => {
                    let number = u32::try_from(batch.rejections.len()).unwrap_or(u32::MAX);
                    event.fate = Fate::Rejected(number);
                    event.rewritten = None;
                    batch.rejections.push(rejection);
                }
            }
        }
        batch.events = events;
        batch.rewritten = rewritten;
    }

    fn reject_spilled(&self, batch: &mut Batch) {
        for number in 0..batch.spilled.len() {
            let Some((index, payload)) = batch.spilled.get(number) else { break };
            let (index, len) = (*index as usize, payload.len());
            let Rejection { reason, detail } = too_large(len, self.plan.event_bytes_max);
            batch.reject(index, reason, detail);
        }
    }

    fn prepare_event(
        &mut self,
        raw: &[u8],
        event: &mut Event,
        rewritten: &mut Vec<u8>,
    ) -> Result<Verdict, Rejection> {
        let plan = &*self.plan;
        if raw.len() > plan.event_bytes_max {
            return Err(too_large(raw.len() as u64, plan.event_bytes_max));
        }
        self.decoded.clear();
        let decoded = match self.decoder.decode(raw, &mut self.decoded) {
            Ok(Decoded::Same) => None,
            Ok(_) => Some(()),
            Err(error) => return Err(rejection(error.name(), &error)),
        };
        let payload: &[u8] = if decoded.is_some() { &self.decoded } else { raw };
        plan.selection
            .scan(payload, &mut self.found)
            .map_err(|error| rejection(error.what.name(), &error))?;
        let entry = event_type(plan, &self.found, payload, &mut self.types)?;
        event.type_id = entry.id;
        event.event_ms = event_time(plan, &self.found, payload)?;
        if let Some(validator) = &plan.validator {
            validator.validate(payload).map_err(|error| rejection("schema_violation", &error))?;
        }
        if plan.pattern.as_ref().is_some_and(|pattern| !pattern.matches(payload)) {
            return Ok(Verdict::Filtered);
        }
        match &plan.key_maker {
            Some(maker) => {
                event.key = key(plan, maker, &self.found, payload, &mut self.scratch)?;
                event.body_hash = maker.body_hash(payload);
                event.window_ms = entry.window_ms;
            }
            None => event.window_ms = NO_WINDOW,
        }
        let start = rewritten.len();
        match self.transforms.apply(payload, rewritten) {
            Ok(Applied::Same) if decoded.is_some() => rewritten.extend_from_slice(payload),
            Ok(Applied::Same) => return Ok(Verdict::Wanted),
            Ok(_) => {}
            Err(error) => {
                rewritten.truncate(start);
                return Err(rejection(error.name(), &error));
            }
        }
        event.rewritten = Some(span(start, rewritten.len())?);
        Ok(Verdict::Wanted)
    }
}

fn span(start: usize, end: usize) -> Result<Span, Rejection> {
    match (u32::try_from(start), u32::try_from(end - start)) {
        (Ok(start), Ok(len)) => Ok(Span { start, len }),
        _ => Err(Rejection {
            reason: "batch_too_large",
            detail: "the batch's decoded payloads exceed 4 GiB: lower batch.bytes_max".into(),
        }),
    }
}

fn too_large(bytes: u64, bytes_max: usize) -> Rejection {
    let detail = format!("{bytes} bytes, over event_bytes_max = {bytes_max} bytes");
    Rejection { reason: "event_too_large", detail }
}

fn rejection(reason: &'static str, detail: &dyn std::fmt::Display) -> Rejection {
    Rejection { reason, detail: detail.to_string() }
}

fn event_type(
    plan: &PreparePlan,
    found: &Found,
    payload: &[u8],
    types: &mut TypeCache,
) -> Result<TypeEntry, Rejection> {
    let Some(index) = plan.fields.event_type else { return Ok(types.untyped()) };
    let path = || plan.selection.paths().get(index).map(ToString::to_string).unwrap_or_default();
    let Some(raw) = found.get(payload, index) else {
        return Err(rejection("type_missing", &format!("no {} (envelope.type)", path())));
    };
    let Some(name) = raw.as_str() else {
        return Err(rejection(
            "type_not_a_string",
            &format!("{} (envelope.type) is no string", path()),
        ));
    };
    if name.len() > TYPE_BYTES_MAX {
        return Err(rejection(
            "type_too_long",
            &format!("{} has {} bytes, at most {TYPE_BYTES_MAX}", path(), name.len()),
        ));
    }
    Ok(types.get(&name))
}

fn event_time(plan: &PreparePlan, found: &Found, payload: &[u8]) -> Result<i64, Rejection> {
    let Some(index) = plan.fields.time else { return Ok(NO_TIME) };
    match found.get(payload, index) {
        Some(raw) => {
            plan.time_format.parse_ms(raw).map_err(|error| rejection(error.name(), &error))
        }
        None if plan.time_required => {
            let path = plan.selection.paths().get(index).map(ToString::to_string);
            let path = path.unwrap_or_default();
            Err(rejection("time_missing", &format!("no {path} (envelope.time)")))
        }
        None => Ok(NO_TIME),
    }
}

fn key(
    plan: &PreparePlan,
    maker: &KeyMaker,
    found: &Found,
    payload: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<u128, Rejection> {
    let type_name = match plan.fields.event_type.and_then(|index| found.get(payload, index)) {
        Some(raw) => raw.as_str(),
        None => None,
    };
    let type_bytes = type_name.as_deref().unwrap_or_default().as_bytes();
    let made = if plan.fields.keys == 1 {
        maker.key(type_bytes, &[found.get(payload, 0)], scratch)
    } else {
        let mut values: [Option<Raw<'_>>; KEY_FIELDS_MAX] = [None; KEY_FIELDS_MAX];
        for (index, value) in values.iter_mut().enumerate().take(plan.fields.keys) {
            *value = found.get(payload, index);
        }
        maker.key(type_bytes, values.get(..plan.fields.keys).unwrap_or(&values), scratch)
    };
    made.map_err(|problem| {
        let path = plan.selection.paths().get(problem.field()).map(ToString::to_string);
        rejection(problem.reason(), &format!("{problem}: {}", path.unwrap_or_default()))
    })
}
