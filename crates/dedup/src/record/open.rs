//! The ledger was opened for writing: a new epoch, and what the last one left in flight.

use event::{Epoch, LedgerId};

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_i64, put_list, put_str, put_u64};
use crate::state::MinuteBucket;

/// The ledger was opened for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenRecord {
    /// The program's version. Stands first in every format.
    pub(crate) onceflow_version: String,
    /// The ledger.
    pub(crate) ledger_id: LedgerId,
    /// One more than that of the open before.
    pub(crate) epoch: Epoch,
    /// Wall clock; ms since the Unix epoch.
    pub(crate) opened_ms: i64,
    /// By source: how many events move from in flight to `returned`, by minute of receipt.
    pub(crate) returned: Vec<(u16, Vec<(MinuteBucket, u64)>)>,
}

#[cfg(test)]
impl Default for OpenRecord {
    fn default() -> Self {
        Self {
            onceflow_version: "0.1.0".into(),
            ledger_id: LedgerId(7),
            epoch: Epoch(1),
            opened_ms: 0,
            returned: Vec::new(),
        }
    }
}

impl OnDisk for OpenRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.onceflow_version);
        out.extend_from_slice(&self.ledger_id.0.to_le_bytes());
        put_u64(out, self.epoch.0);
        put_i64(out, self.opened_ms);
        put_list(out, self.returned.iter(), |out, (source, minutes)| {
            put_u64(out, (*source).into());
            put_list(out, minutes.iter(), |out, minute| minute.put(out));
        });
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            onceflow_version: cursor.string()?,
            ledger_id: LedgerId(cursor.u128()?),
            epoch: Epoch(cursor.u64()?),
            opened_ms: cursor.i64()?,
            returned: cursor.list(|cursor| Ok((cursor.u16()?, cursor.list(OnDisk::take)?)))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::counters::tests::any_minute;
    use super::super::tests::record_round_trip;
    use super::*;

    proptest! {
        #[test]
        fn open_round_trips(
            onceflow_version: String,
            (id, epoch, opened_ms) in any::<(u128, u64, i64)>(),
            returned in prop::collection::vec(
                (any::<u16>(), prop::collection::vec((any_minute(), any::<u64>()), 0..3)), 0..3),
        ) {
            let (ledger_id, epoch) = (LedgerId(id), Epoch(epoch));
            let record = OpenRecord { onceflow_version, ledger_id, epoch, opened_ms, returned };
            record_round_trip(&Record::Open(record));
        }
    }
}
