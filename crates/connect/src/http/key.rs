//! Idempotency keys: the same event always gets the same one.

use std::ops::Range;

use event::batch::Extent;
use event::sink::Rows;
use event::{Event, Marks};
use xxhash_rust::xxh3::Xxh3;

/// Walks over the rows, in order, and gives each its key.
pub(super) struct Keys<'a> {
    rows: Rows<'a>,
    pipe: &'a str,
    extents: Vec<(&'a Extent, Range<usize>)>,
    at: usize,
}

impl<'a> Keys<'a> {
    pub(super) fn new(rows: Rows<'a>, pipe: &'a str) -> Self {
        Self { rows, pipe, extents: rows.batch.extent_ranges().collect(), at: 0 }
    }

    /// The key of event `index` of the batch; called with ascending indices.
    pub(super) fn of(&mut self, index: usize, event: &Event) -> u128 {
        // Without a key stage a key is 0. One that was let through without a key has none.
        if event.key != 0 && !event.marks.has(Marks::NO_KEY) {
            return event.key;
        }
        while self.extents.get(self.at).is_some_and(|(_, range)| range.end <= index) {
            self.at += 1;
        }
        let mut hash = Xxh3::new();
        part(&mut hash, self.pipe.as_bytes());
        if let Some((extent, range)) = self.extents.get(self.at) {
            part(&mut hash, extent.shard_of(index).as_bytes());
            let (high, low) = self.rows.batch.position(extent, range, index).0.parts();
            hash.update(&high.to_le_bytes());
            hash.update(&low.to_le_bytes());
        }
        hash.digest128()
    }
}

/// With its length, so that neighbours don't run into each other.
fn part(hash: &mut Xxh3, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// What the receiver sees: 32 hexadecimal digits. Of several events it is a hash of their keys, in
/// their order.
pub(super) fn text(keys: impl ExactSizeIterator<Item = u128> + Clone) -> String {
    let mut first = keys.clone();
    match (first.next(), first.next()) {
        (Some(key), None) => format!("{key:032x}"),
        _ => {
            let mut hash = Xxh3::new();
            keys.for_each(|key| hash.update(&key.to_le_bytes()));
            format!("{:032x}", hash.digest128())
        }
    }
}
