//! What can be decided from one event alone: decode, envelope, validate, filter, key, transform.
//!
//! Workers do this for whole batches, side by side. Everything here happens before the key is
//! reserved, so an event that fails ends as `rejected` (DESIGN P3), and one that makes a stage
//! panic as `dead`, without a key. The built-in transforms need
//! nothing but the event, so they run here as well: on all cores, and before the reservation.

mod key;

pub use key::{KEY_FIELDS_MAX, KeyPlace, KeyPlan};
pub(crate) use key::{Keys, Told};

use std::borrow::Cow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use dedup::key::KeyMaker;
use event::batch::{Attribute, NO_TIME};
use event::json::{Found, Selection};
use event::source::Stop;
use event::{Batch, Death, Event, Fate, Rejection, Span};

use crate::config::{DecodeStep, EnvelopeConfig, MissingKey, TransformConfig};
use crate::engine::planted::taste;
use crate::previous_key::{PreviousMaker, PreviousPlan};
use crate::stage::decode::{Decoded, Decoder};
use crate::stage::enrich::{Enricher, Enrichers, NotEnriched};
use crate::stage::filter::Pattern;
use crate::stage::route::Router;
use crate::stage::time::TimeFormat;
use crate::stage::transform::{Applied, TransformContext, Transforms};
use crate::stage::validate::Validator;
use key::attributes_of;

use crate::types::{TYPE_BYTES_MAX, TypeCache, TypeEntry, Types};

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
    /// What is added to events.
    pub enrichers: Arc<Enrichers>,
    /// Transforms.
    pub transforms: Vec<TransformConfig>,
    /// What they may know of the pipe.
    pub transform_context: TransformContext,
    /// Which sinks an event goes to.
    pub router: Router,
    /// Makes keys; `None` without dedup.
    pub key_maker: Option<KeyMaker>,
    /// How keys were made before, as long as such keys are remembered.
    pub previous: PreviousPlan,
    /// What a key is made of.
    pub key: KeyPlan,
    /// What becomes of an event without key.
    pub missing_key: MissingKey,
    /// Event types.
    pub types: Arc<Types>,
    /// Where the envelope's other parts stand; a tap shows them.
    pub envelope: EnvelopeConfig,
    /// Longest payload; bytes.
    pub event_bytes_max: usize,
    /// Whether poison is tried, see [`Planted::Poison`].
    pub poison: bool,
}

/// Indices into the selection's paths. The first `keys` of them are the key's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields {
    /// How many paths the key has.
    pub keys: usize,
    /// The envelope's type.
    pub event_type: Option<usize>,
    /// The envelope's time.
    pub time: Option<usize>,
}

/// One worker.
pub struct Preparer {
    plan: Arc<PreparePlan>,
    stop: Stop,
    tools: Tools,
}

/// What a worker works with. Made anew after a panic, which may have left it half changed.
struct Tools {
    decoder: Decoder,
    enricher: Enricher,
    transforms: Transforms,
    types: TypeCache,
    found: Found,
    decoded: Vec<u8>,
    enriched: Vec<u8>,
    keys: Keys,
    previous: PreviousMaker,
    /// The event that is being worked on.
    at: usize,
    /// It was asked to stop half-way.
    stopped: bool,
}

/// An event as it came.
#[derive(Clone, Copy)]
struct Seen<'a> {
    raw: &'a [u8],
    received_ms: i64,
    /// Those that its key may be made of; empty where it isn't.
    attributes: &'a [Attribute],
}

enum Verdict {
    Wanted,
    Filtered,
}

impl Preparer {
    /// A worker with buffers of its own. `stop` ends its waiting for a service that is away.
    #[must_use]
    pub fn new(plan: Arc<PreparePlan>, stop: Stop) -> Self {
        let tools = Tools::new(&plan, &stop);
        Self { plan, stop, tools }
    }

    /// Gives every event of `batch` that has no fate yet its type, times, key and routes, or a
    /// rejection, or lets the filter drop it. `false`: it was asked to stop while a service was
    /// away, and the batch isn't prepared.
    ///
    /// An event that makes a stage panic dies alone, with the panic's message; it has no key then.
    #[must_use]
    pub fn prepare(&mut self, batch: &mut Batch) -> bool {
        // First, so that their empty stand-ins aren't judged as empty lines.
        self.reject_spilled(batch);
        batch.previous_keys = self.plan.previous.room(batch.events.len());
        let two_passes = self.plan.enrichers.calls();
        if !two_passes && !self.plan.enrichers.is_noop() && self.tools.enricher.fetch().is_err() {
            return false;
        }
        self.pass(batch, if two_passes { Pass::Judge } else { Pass::Both });
        if two_passes {
            if self.tools.enricher.fetch().is_err() {
                return false;
            }
            self.pass(batch, Pass::Shape);
        }
        !self.tools.stopped
    }

    /// Does one pass over the events that have no fate yet.
    fn pass(&mut self, batch: &mut Batch, pass: Pass) {
        let mut from = 0;
        loop {
            let tools = &mut self.tools;
            let plan = &self.plan;
            let done =
                panic::catch_unwind(AssertUnwindSafe(|| tools.pass(plan, batch, pass, from)));
            let Err(panic) = done else { return };
            let at = self.tools.at;
            let message = panic_message(panic.as_ref());
            tracing::error!(message, "an event makes a stage panic: it becomes a dead letter");
            self.tools = Tools::new(&self.plan, &self.stop);
            if let Some(event) = batch.events.get_mut(at) {
                event.rewritten = None;
                event.window_ms = NO_WINDOW;
                event.routes = 0;
            }
            let death = Death {
                stage: "prepare",
                class: "panic".into(),
                message,
                deterministic: true,
                ..Death::default()
            };
            batch.kill(at, death);
            from = at + 1;
        }
    }

    fn reject_spilled(&self, batch: &mut Batch) {
        for number in 0..batch.spilled.len() {
            let Some((index, payload)) = batch.spilled.get(number) else { break };
            let (index, len) = (*index as usize, payload.len());
            let Rejection { reason, detail } = too_large(len, self.plan.event_bytes_max);
            batch.reject(index, reason, detail);
        }
    }
}

/// What is done to each event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// All at once.
    Both,
    /// Up to its key; what its enrichment will ask for is noted.
    Judge,
    /// From its enrichment on.
    Shape,
}

impl Tools {
    fn new(plan: &PreparePlan, stop: &Stop) -> Self {
        Self {
            decoder: Decoder::new(&plan.decode, plan.decoded_bytes_max),
            enricher: Enricher::new(Arc::clone(&plan.enrichers), stop.clone()),
            // What is wrong with one was said when the plan was made; such a step refuses events.
            transforms: Transforms::for_pipe(&plan.transforms, &plan.transform_context)
                .unwrap_or_else(|_| Transforms::new(&plan.transforms)),
            types: TypeCache::new(Arc::clone(&plan.types)),
            found: Found::default(),
            decoded: Vec::new(),
            enriched: Vec::new(),
            keys: Keys::default(),
            previous: PreviousMaker::default(),
            at: 0,
            stopped: false,
        }
    }

    fn pass(&mut self, plan: &PreparePlan, batch: &mut Batch, pass: Pass, from: usize) {
        let buffer = batch.buffer.clone();
        self.previous.wanted = !batch.previous_keys.is_empty();
        for extent in 0..batch.extents.len() {
            let Some(first) = batch.extents.get(extent).map(|it| it.first_event as usize) else {
                continue;
            };
            let received_ms = batch.extents.get(extent).map_or(0, |it| it.received_ms);
            let next = batch.extents.get(extent + 1).map(|next| next.first_event as usize);
            let end = next.unwrap_or(batch.events.len());
            for index in first.max(from)..end {
                self.at = index;
                let Some(event) = batch.events.get(index).copied() else { break };
                if event.fate != Fate::Undecided {
                    continue;
                }
                let mut event = event;
                let raw = event.raw.of(&buffer);
                if plan.key.needs_place() || plan.previous.needs_place() {
                    self.keys.stands_at(batch, index);
                }
                let attributes = attributes_of(&batch.attributes, index);
                let seen = Seen { raw, received_ms, attributes };
                let rewritten = &mut batch.rewritten;
                match self.one(plan, seen, &mut event, rewritten, pass) {
                    Ok(Verdict::Wanted) => {}
                    Ok(Verdict::Filtered) => event.fate = Fate::Filtered,
                    Err(rejection) => {
                        let number = u32::try_from(batch.rejections.len()).unwrap_or(u32::MAX);
                        event.fate = Fate::Rejected(number);
                        event.rewritten = None;
                        batch.rejections.push(rejection);
                    }
                }
                if let Some(place) = batch.events.get_mut(index) {
                    *place = event;
                }
                if !batch.previous_keys.is_empty() {
                    self.previous.hand_over(index, &mut batch.previous_keys);
                }
            }
        }
    }

    fn one(
        &mut self,
        plan: &PreparePlan,
        seen: Seen<'_>,
        event: &mut Event,
        rewritten: &mut Vec<u8>,
        pass: Pass,
    ) -> Result<Verdict, Rejection> {
        let Seen { raw, received_ms, .. } = seen;
        if pass == Pass::Shape {
            let decoded = std::mem::take(&mut self.decoded);
            let mut decoded = decoded;
            decoded.clear();
            let is_decoded = event.rewritten.is_some();
            decoded.extend_from_slice(event.rewritten.map_or(raw, |span| span.of(rewritten)));
            let shaped = self.shape(plan, &decoded, is_decoded, received_ms, event, rewritten);
            self.decoded = decoded;
            return shaped;
        }
        let (verdict, is_decoded) = self.judge(plan, seen, event)?;
        if matches!(verdict, Verdict::Filtered) {
            return Ok(verdict);
        }
        if pass == Pass::Judge {
            let payload: &[u8] = if is_decoded { &self.decoded } else { raw };
            self.enricher.collect(payload);
            if is_decoded {
                let start = rewritten.len();
                rewritten.extend_from_slice(payload);
                event.rewritten = Some(span(start, rewritten.len())?);
            }
            return Ok(verdict);
        }
        if !is_decoded {
            return self.shape(plan, raw, false, received_ms, event, rewritten);
        }
        let decoded = std::mem::take(&mut self.decoded);
        let shaped = self.shape(plan, &decoded, true, received_ms, event, rewritten);
        self.decoded = decoded;
        shaped
    }

    /// Decode, envelope, validate, filter, key; whether the payload is in `self.decoded` now.
    fn judge(
        &mut self,
        plan: &PreparePlan,
        seen: Seen<'_>,
        event: &mut Event,
    ) -> Result<(Verdict, bool), Rejection> {
        let raw = seen.raw;
        if raw.len() > plan.event_bytes_max {
            return Err(too_large(raw.len() as u64, plan.event_bytes_max));
        }
        if plan.poison {
            taste(raw);
        }
        self.decoded.clear();
        let is_decoded = match self.decoder.decode(raw, &mut self.decoded) {
            Ok(Decoded::Same) => false,
            Ok(_) => true,
            Err(error) => return Err(rejection(error.name(), &error)),
        };
        let payload: &[u8] = if is_decoded { &self.decoded } else { raw };
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
            return Ok((Verdict::Filtered, is_decoded));
        }
        match &plan.key_maker {
            Some(maker) => {
                event.window_ms = entry.window_ms;
                let name = type_name(plan, &self.found, payload);
                let name = name.as_deref().unwrap_or_default().as_bytes();
                let told = Told { found: &self.found, payload, attributes: seen.attributes };
                self.keys.give(plan, maker, name, told, event)?;
                if self.previous.wanted && event.window_ms >= 0 {
                    let attributes = seen.attributes;
                    self.previous.make(&plan.previous, name, payload, attributes, &mut self.keys);
                }
            }
            None => event.window_ms = NO_WINDOW,
        }
        Ok((Verdict::Wanted, is_decoded))
    }

    /// Enrich, transform, route.
    fn shape(
        &mut self,
        plan: &PreparePlan,
        payload: &[u8],
        is_decoded: bool,
        received_ms: i64,
        event: &mut Event,
        rewritten: &mut Vec<u8>,
    ) -> Result<Verdict, Rejection> {
        self.enriched.clear();
        let is_enriched = !plan.enrichers.is_noop()
            && match self.enricher.apply(payload, &mut self.enriched) {
                Ok(Applied::Same) => false,
                Ok(_) => true,
                Err(NotEnriched::Fault(fault)) => return Err(rejection(fault.name, &fault)),
                Err(NotEnriched::Stopped(_)) => {
                    self.stopped = true;
                    return Ok(Verdict::Filtered);
                }
            };
        let payload: &[u8] = if is_enriched { &self.enriched } else { payload };
        let start = rewritten.len();
        let is_changed = match self.transforms.apply_at(payload, received_ms, rewritten) {
            Ok(Applied::Same) => false,
            Ok(_) => true,
            Err(error) => {
                rewritten.truncate(start);
                return Err(rejection(error.name(), &error));
            }
        };
        event.routes = match plan.router.fixed() {
            Some(routes) => routes,
            None if is_changed => plan.router.route(rewritten.get(start..).unwrap_or_default()),
            None => plan.router.route(payload),
        };
        if event.routes == 0 {
            rewritten.truncate(start);
            return Ok(Verdict::Filtered);
        }
        if is_changed {
            event.rewritten = Some(span(start, rewritten.len())?);
        } else if is_decoded || is_enriched {
            rewritten.extend_from_slice(payload);
            event.rewritten = Some(span(start, rewritten.len())?);
        }
        Ok(Verdict::Wanted)
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
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

fn type_name<'a>(plan: &PreparePlan, found: &Found, payload: &'a [u8]) -> Option<Cow<'a, str>> {
    plan.fields.event_type.and_then(|index| found.get(payload, index))?.as_str()
}
