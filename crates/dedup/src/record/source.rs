//! A pipe reads one more source than the one that it is declared with: replayed events.

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_str, put_u64};

/// A source of a pipe is used for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRecord {
    /// Its number, the next free one.
    pub(crate) source: u16,
    /// The pipe.
    pub(crate) pipe: u16,
    /// Its name.
    pub(crate) name: String,
}

impl OnDisk for SourceRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.source.into());
        put_u64(out, self.pipe.into());
        put_str(out, &self.name);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self { source: cursor.u16()?, pipe: cursor.u16()?, name: cursor.string()? })
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
        fn sources_round_trip((source, pipe, name) in any::<(u16, u16, String)>()) {
            record_round_trip(&Record::Source(SourceRecord { source, pipe, name }));
        }
    }
}
