//! Numbers, bytes and texts as they stand in a record. Numbers are little-endian.

use crate::producer::{Producer, Sequence};
use event::{BatchNumber, LedgerId};

/// Puts a record together.
#[derive(Default)]
pub(in crate::queues) struct Encoder {
    pub(in crate::queues) bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u128(&mut self, value: u128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes with their length before them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn option(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.bytes(text.as_bytes());
        }
    }

    pub(super) fn producer(&mut self, producer: &Producer, sequence: Sequence) {
        self.u128(producer.ledger_id.0);
        self.bytes(producer.pipe.as_bytes());
        self.bytes(producer.sink.as_bytes());
        self.u64(sequence.batch.0);
        self.u32(sequence.index);
    }

    /// Room for a number that is known later; where it stands.
    pub(super) fn later(&mut self) -> usize {
        self.u32(0);
        self.bytes.len()
    }

    /// Puts `value` where [`Encoder::later`] left room.
    pub(super) fn put(&mut self, after: usize, value: u32) {
        let room = after.checked_sub(4).and_then(|from| self.bytes.get_mut(from..after));
        if let Some(room) = room {
            room.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// Reads a record; every answer is `None` where it is too short or wrong.
#[derive(Clone, Copy)]
pub(in crate::queues) struct Decoder<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    pub(in crate::queues) fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// How much was read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.all.len()
    }

    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let to = self.at.checked_add(bytes)?;
        let taken = self.all.get(self.at..to)?;
        self.at = to;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let [value] = self.array()?;
        Some(value)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn u128(&mut self) -> Option<u128> {
        Some(u128::from_le_bytes(self.array()?))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let bytes = self.u32()? as usize;
        self.take(bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn option(&mut self) -> Option<Option<&'a str>> {
        if self.flag()? { Some(Some(self.text()?)) } else { Some(None) }
    }

    pub(super) fn producer(&mut self) -> Option<(Producer, Sequence)> {
        let producer = Producer {
            ledger_id: LedgerId(self.u128()?),
            pipe: self.text()?.into(),
            sink: self.text()?.into(),
        };
        Some((producer, Sequence { batch: BatchNumber(self.u64()?), index: self.u32()? }))
    }
}
