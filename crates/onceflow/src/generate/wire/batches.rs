//! Events on their way into requests.

use super::super::template::Item;
use super::super::{Made, Maker};

/// One event that is sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The payload; UTF-8.
    pub(super) payload: String,
    /// Decides on the shard of a stream.
    pub(super) partition_key: String,
    /// What is written down once it is acknowledged: its key, else its number in the output.
    pub(super) id: String,
}

/// Fills batches.
#[derive(Debug)]
pub(super) struct Batches {
    events_max: usize,
    bytes_max: usize,
    batch: Vec<Outgoing>,
    bytes: usize,
}

impl Batches {
    pub(super) fn new((events_max, bytes_max): (usize, usize)) -> Batches {
        Batches { events_max, bytes_max, batch: Vec::new(), bytes: 0 }
    }

    /// Makes an event; gives a batch that is full.
    pub(super) fn add(
        &mut self,
        maker: &mut Maker,
        item: Item,
        made: &mut Made,
    ) -> Option<Vec<Outgoing>> {
        let mut payload = Vec::with_capacity(512);
        maker.make(item, &mut payload);
        made.bytes += payload.len() as u64;
        let key = maker.key(&payload).map(std::borrow::Cow::into_owned);
        let partition_key = maker.partition_key(&payload).map(|key| first_chars(&key));
        let number = made.events();
        let event = Outgoing {
            partition_key: partition_key.unwrap_or_else(|| number.to_string()),
            id: key.unwrap_or_else(|| number.to_string()),
            payload: String::from_utf8(payload).unwrap_or_default(), // JSON, or ASCII around it
        };
        let bytes = event.payload.len() + event.partition_key.len();
        let full = self.batch.len() == self.events_max || self.bytes + bytes > self.bytes_max;
        let taken = if full { self.take() } else { None };
        self.bytes += bytes;
        self.batch.push(event);
        taken
    }

    /// What is there.
    pub(super) fn take(&mut self) -> Option<Vec<Outgoing>> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        (!batch.is_empty()).then_some(batch)
    }
}

/// A partition key has 1 to 256 characters.
fn first_chars(key: &str) -> String {
    if key.is_empty() { "-".to_owned() } else { key.chars().take(256).collect() }
}
