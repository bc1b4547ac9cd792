//! What must stay in order: the lane of each event that is to be delivered, where the config asks
//! for an order (`order: per_partition_key`, `order_by`).

use event::path::FieldPath;
use event::{Batch, Event, Fate};
use xxhash_rust::xxh3::xxh3_64;

/// Which events must not overtake each other.
#[derive(Clone, Debug, Default)]
pub enum Order {
    /// None.
    #[default]
    None,
    /// Those of one partition key of the broker.
    PartitionKey,
    /// Those with one value of this field.
    Field(FieldPath),
}

impl Order {
    /// The lane of event `index` of `batch`.
    pub(super) fn lane(&self, batch: &Batch, index: usize, event: &Event) -> Option<u64> {
        match self {
            Self::None => None,
            Self::PartitionKey => batch.partition_keys.get(index).map(xxh3_64),
            Self::Field(path) => {
                let found = path.get(batch.body(event)).ok().flatten()?;
                Some(xxh3_64(found.bytes()))
            }
        }
    }
}

/// The lanes of one batch.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    of: Vec<Option<u64>>,
}

impl Lanes {
    pub(super) fn new(order: &Order, batch: &Batch) -> Self {
        let lane = |(index, event): (usize, &Event)| {
            if event.fate == Fate::Deliver { order.lane(batch, index, event) } else { None }
        };
        match order {
            Order::None => Self::default(),
            _ => Self { of: batch.events.iter().enumerate().map(lane).collect() },
        }
    }

    #[cfg(test)]
    pub(super) fn of_each(of: Vec<Option<u64>>) -> Self {
        Self { of }
    }

    /// Whether there is no order to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The lane of event `index`, if it has one.
    pub(super) fn of(&self, index: u32) -> Option<u64> {
        self.of.get(index as usize).copied().flatten()
    }
}
