//! Parking: an event that is unsettled for long goes whole into the ledger, so that its source can
//! forget it; and comes back from there after a restart.

use dedup::ledger::ParkedChange;
use dedup::state::ParkedEvent;
use event::batch::{Attribute, NO_TIME};
use event::{Batch, BatchNumber, Death, Event, Fate};

use super::Unsettled;
use super::carried::{Carried, Place, Refill};
use super::entry::{Due, Entry, History, Stand};

/// Separates what an attribute's name in the ledger is made of: its type and its name.
const SEPARATOR: char = '\u{1f}';
/// The attribute that keeps the partition key; no broker's attribute has an empty type.
const PARTITION_KEY: &str = "\u{1f}partition_key";
/// Events that one record parks at most.
const PARKED_AT_ONCE_MAX: usize = 4096;

/// What one record says of parked events.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    /// For the record.
    pub(crate) changes: Vec<ParkedChange>,
    /// The events that are parked now, with the fate `Parked`: their positions settle.
    pub(crate) batch: Batch,
}

/// A parked event as it stands after it was prepared anew.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) event: Event,
    pub(crate) rewritten: Option<Box<[u8]>>,
    /// Nothing takes it any more.
    pub(crate) death: Option<Death>,
    /// What must stay in order.
    pub(crate) lane: Option<u64>,
}

impl Parking {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Unsettled {
    /// What the record of batch `number` has to say of parked events: those that are unsettled for
    /// `park_after` and left with an earlier record, parked ones that were tried again, and those
    /// that the batch settles. Replayed events are not parked: their letter keeps them.
    pub(crate) fn park(
        &self,
        number: BatchNumber,
        now_ms: i64,
        type_name: impl Fn(u32) -> std::sync::Arc<str>,
    ) -> Parking {
        let after_ms = i64::try_from(self.limits.park_after.as_millis()).unwrap_or(i64::MAX);
        let mut store = self.store();
        let mut refill = Refill::new();
        let mut parking = Parking::default();
        let mut moved = (0, 0);
        for (id, entry) in &mut store.entries {
            if let (Some(parked), Stand::Settles(of)) = (entry.parked, entry.stand) {
                if of == number {
                    parking.changes.push(ParkedChange::Remove { id: parked });
                }
                continue;
            }
            let is_old = now_ms.saturating_sub(entry.since_ms) >= after_ms;
            let is_new = entry.parked.is_none()
                && is_old
                && matches!(entry.stand, Stand::Waits(_))
                && !entry.stays
                && entry.left_in < number
                && entry.carried.replay.is_none();
            if !is_new && !entry.to_record {
                continue;
            }
            if parking.changes.len() >= PARKED_AT_ONCE_MAX {
                break;
            }
            if is_new {
                // Batch numbers never come twice, and fewer leave a batch than fit in 24 bits.
                entry.parked = Some((number.0 << 24) | (id & 0xff_ffff));
                refill.push(&entry.carried, Fate::Parked);
                moved = (moved.0 + 1, moved.1 + entry.carried.bytes() as u64);
            }
            entry.to_record = false;
            let whole = parked_event(entry, type_name(entry.carried.event.type_id));
            parking.changes.push(ParkedChange::Add(Box::new(whole)));
            entry.carried.place = Place::Nowhere;
        }
        store.counts.events -= moved.0;
        store.counts.bytes -= moved.1;
        store.counts.parked += moved.0;
        store.counts.parked_bytes += moved.1;
        parking.batch = refill.finish();
        parking
    }

    /// Takes up an event that the ledger has parked.
    pub(crate) fn unpark(
        &self,
        parked: ParkedEvent,
        prepared: Prepared,
        now_ms: i64,
        sink_of: impl Fn(&str) -> Option<u8>,
    ) {
        let Prepared { event, rewritten, death, lane } = prepared;
        let mut history = History { death, lane, ..History::default() };
        for attempt in &parked.attempts {
            let Some(sink) = sink_of(&attempt.sink) else { continue };
            if attempt.error.is_empty() {
                history.delivered |= 1 << sink;
            } else {
                history.charge(sink);
                history.tries += 1;
            }
        }
        history.attempts = parked.attempts.clone();
        let carried = carried(&parked, event, rewritten);
        let mut store = self.store();
        store.counts.parked += 1;
        store.counts.parked_bytes += carried.bytes() as u64;
        let id = store.next_id;
        store.next_id += 1;
        let mut entry = Entry::new(carried, BatchNumber(0), Due::Now, history, now_ms);
        entry.parked = Some(parked.id);
        store.entries.insert(id, entry);
    }
}

fn parked_event(entry: &Entry, event_type: std::sync::Arc<str>) -> ParkedEvent {
    let carried = &entry.carried;
    let event = &carried.event;
    let attributes = carried.attributes.iter().flat_map(|all| all.iter()).map(|attribute| {
        let name = format!("{}{SEPARATOR}{}", attribute.data_type, attribute.name);
        (name, attribute.value.to_vec())
    });
    let key = carried.partition_key.iter().map(|key| (PARTITION_KEY.to_owned(), key.to_vec()));
    ParkedEvent {
        id: entry.parked.unwrap_or_default(),
        shard: carried.shard.clone(),
        position: (carried.start, carried.end),
        received_ms: carried.received_ms,
        broker_ms: carried.broker_ms,
        raw: carried.raw.to_vec(),
        attributes: attributes.chain(key).collect(),
        event_type: event_type.to_string(),
        event_ms: event.event_ms,
        key: event.key,
        body_hash: event.body_hash,
        recorded_ms: event.recorded_ms,
        window_ms: event.window_ms,
        marks: event.marks,
        attempts: entry.history.attempts.clone(),
    }
}

/// The payload of a parked event as a batch of one, to be prepared anew; and what is put back into
/// it afterwards.
pub(crate) fn to_prepare(parked: &ParkedEvent) -> Batch {
    let mut refill = Refill::new();
    refill.push(&carried(parked, Event::default(), None), Fate::Undecided);
    refill.finish()
}

fn carried(parked: &ParkedEvent, event: Event, rewritten: Option<Box<[u8]>>) -> Carried {
    let mut partition_key = None;
    let mut attributes = Vec::new();
    for (name, value) in &parked.attributes {
        if name == PARTITION_KEY {
            partition_key = Some(value.clone().into_boxed_slice());
            continue;
        }
        let (data_type, name) = name.split_once(SEPARATOR).unwrap_or(("Binary", name));
        attributes.push(Attribute {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            value: value.clone().into(),
        });
    }
    Carried {
        event: Event {
            key: parked.key,
            body_hash: parked.body_hash,
            recorded_ms: parked.recorded_ms,
            window_ms: parked.window_ms,
            event_ms: if parked.event_ms == NO_TIME { NO_TIME } else { parked.event_ms },
            marks: parked.marks,
            ..event
        },
        raw: parked.raw.clone().into_boxed_slice(),
        rewritten,
        attributes: (!attributes.is_empty()).then(|| attributes.into()),
        partition_key,
        place: Place::Nowhere,
        shard: parked.shard.clone(),
        start: parked.position.0,
        end: parked.position.1,
        received_ms: parked.received_ms,
        broker_ms: parked.broker_ms,
        replay: None,
    }
}
