//! What sinks stage: in a batch's record, in a checkpoint, and in the record that names new files
//! before their first byte is written.

use event::BatchNumber;
use event::sink::{StagedFile, StagedOutput};

use super::OnDisk;
use super::cursor::{Cursor, Decoded, put_bytes, put_list, put_str, put_u64};
use crate::state::{FileRecord, SinkRecord};

/// A sink is about to write into these files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilesRecord {
    /// The pipe.
    pub(crate) pipe: u16,
    /// The sink's place in the pipe's state.
    pub(crate) sink: u16,
    /// The files with their base length.
    pub(crate) output: StagedOutput,
}

impl OnDisk for FilesRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.pipe.into());
        put_u64(out, self.sink.into());
        self.output.put(out);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let (pipe, sink) = (cursor.u16()?, cursor.u16()?);
        Ok(Self { pipe, sink, output: StagedOutput::take(cursor)? })
    }
}

impl OnDisk for StagedOutput {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(out, self.files.iter(), |out, file| file.put(out));
        put_bytes(out, &self.note);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self { files: cursor.list(OnDisk::take)?, note: cursor.bytes()?.to_vec() })
    }
}

impl OnDisk for StagedFile {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_u64(out, self.base_len);
        put_u64(out, self.len);
        out.push(self.finished.into());
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let name = cursor.string()?;
        let (base_len, len) = (cursor.u64()?, cursor.u64()?);
        Ok(Self { name, base_len, len, finished: cursor.bool()? })
    }
}

impl OnDisk for FileRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.len);
        out.push(self.finished.into());
        put_u64(out, self.batch.0);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let (len, finished) = (cursor.u64()?, cursor.bool()?);
        Ok(Self { len, finished, batch: BatchNumber(cursor.u64()?) })
    }
}

impl OnDisk for SinkRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_str(out, &self.name);
        put_u64(out, self.published_through.0);
        put_list(out, self.files.iter(), |out, (name, file)| {
            put_str(out, name);
            file.put(out);
        });
        put_list(out, self.unpublished.iter(), |out, (number, output)| {
            put_u64(out, number.0);
            output.put(out);
        });
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let name = cursor.string()?;
        let published_through = BatchNumber(cursor.u64()?);
        let files = cursor.list(|cursor| Ok((cursor.string()?, FileRecord::take(cursor)?)))?;
        let unpublished =
            cursor.list(|cursor| Ok((BatchNumber(cursor.u64()?), StagedOutput::take(cursor)?)))?;
        Ok(Self { name, published_through, files, unpublished })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::tests::{record_round_trip, round_trip};
    use super::*;

    prop_compose! {
        fn any_file()(name: String, base_len: u64, len: u64, finished: bool) -> StagedFile {
            StagedFile { name, base_len, len, finished }
        }
    }

    prop_compose! {
        pub(crate) fn any_output()(
            files in prop::collection::vec(any_file(), 0..3),
            note: Vec<u8>,
        ) -> StagedOutput {
            StagedOutput { files, note }
        }
    }

    prop_compose! {
        fn any_file_record()(len: u64, finished: bool, batch: u64) -> FileRecord {
            FileRecord { len, finished, batch: BatchNumber(batch) }
        }
    }

    prop_compose! {
        pub(crate) fn any_sink()(
            name: String,
            published_through: u64,
            files in prop::collection::btree_map(any::<String>(), any_file_record(), 0..3),
            unpublished in prop::collection::btree_map(
                any::<u64>().prop_map(BatchNumber), any_output(), 0..3),
        ) -> SinkRecord {
            let published_through = BatchNumber(published_through);
            SinkRecord { name, published_through, files, unpublished }
        }
    }

    proptest! {
        #[test]
        fn files_round_trip(pipe: u16, sink: u16, output in any_output()) {
            record_round_trip(&Record::Files(FilesRecord { pipe, sink, output }));
        }

        #[test]
        fn sinks_round_trip(sink in any_sink()) {
            round_trip(&sink);
        }
    }
}
