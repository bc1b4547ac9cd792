//! What became of a batch that was ready: it counts from now on, or never will.

use event::BatchNumber;

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_u64};

/// What the store said of a prepared batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedRecord {
    /// The pipe.
    pub(crate) pipe: u16,
    /// Its oldest prepared batch.
    pub(crate) number: BatchNumber,
    /// `true`: it is committed. `false`: it and all prepared after it never happened.
    pub(crate) committed: bool,
}

impl OnDisk for ResolvedRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.pipe.into());
        put_u64(out, self.number.0);
        out.push(self.committed.into());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            pipe: cursor.u16()?,
            number: BatchNumber(cursor.u64()?),
            committed: cursor.bool()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::tests::record_round_trip;
    use super::*;

    proptest! {
        #[test]
        fn resolutions_round_trip((pipe, number, committed) in any::<(u16, u64, bool)>()) {
            let number = BatchNumber(number);
            record_round_trip(&Record::Resolved(ResolvedRecord { pipe, number, committed }));
        }
    }
}
