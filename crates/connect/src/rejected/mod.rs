//! The rejected file: every event that can't be used, whole, with the reason. One JSON row each:
//! `{"reason","detail","pipe","source","shard","offset","received","bytes","raw"}`; `raw` is the
//! payload as it came, or `raw_base64` where it is no UTF-8 or too long for memory. An event that came
//! with attributes has them as `attributes`, before the payload.

mod read;
mod row;

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use event::sink::{
    Guarantee, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use journal::{Disk, SyncPoint};

use crate::file::in_place::{InPlaceFile, Points};
pub use read::{ReadError, RejectedRow, read_rows};
use row::Origin;

const POINTS: Points = Points {
    created: SyncPoint("rejected.created"),
    base: SyncPoint("rejected.base"),
    cut: SyncPoint("rejected.cut"),
    rows: SyncPoint("rejected.rows"),
};
/// Rows are written once there are so many bytes of them.
const CHUNK_BYTES: usize = 1 << 20;
/// A payload in a file is read so many bytes at a time; a multiple of 3, so that the base64 of the
/// pieces is that of the whole.
const SPILLED_BYTES: usize = 3 << 18;

/// What the rejected file's sink needs to know.
#[derive(Clone, Debug)]
pub struct RejectedOptions {
    /// The file. Folders above it that are missing are created.
    pub path: PathBuf,
    /// [`event::source::Source::name`] of the pipe's source; goes into each row.
    pub source: String,
}

/// Writes one JSON row per rejected event of the rows that it is given.
pub struct RejectedSink {
    identity: SinkIdentity,
    source: String,
    file: InPlaceFile,
    chunk: Vec<u8>,
}

impl RejectedSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(options: RejectedOptions, identity: SinkIdentity, disk: Arc<dyn Disk>) -> Self {
        let file = InPlaceFile::new(options.path, false, disk, POINTS);
        Self { identity, source: options.source, file, chunk: Vec::new() }
    }

    /// Writes what is in the chunk if that is more than `over` bytes.
    fn flush(&mut self, over: usize, base: u64) -> Result<(), SinkError> {
        if self.chunk.len() > over {
            let bytes = self.chunk.len() as u64;
            self.file.append(&[IoSlice::new(&self.chunk)], bytes, base)?;
            self.chunk.clear();
        }
        Ok(())
    }

    fn write_rows(&mut self, rows: &Rows<'_>, base: u64) -> Result<(), SinkError> {
        let mut extents = rows.batch.extent_ranges();
        let mut extent = extents.next();
        for (index, event) in rows.iter() {
            while extent.as_ref().is_some_and(|(_, range)| index >= range.end) {
                extent = extents.next();
            }
            let Some((extent, range)) = &extent else { continue };
            let (offset, _) = rows.batch.position(extent, range, index);
            let origin = Origin {
                pipe: &self.identity.pipe,
                source: &self.source,
                shard: extent.shard_of(index),
                attributes: rows.batch.attributes(index),
                offset,
                received_ms: extent.received_ms,
            };
            let rejection = rows.batch.rejection(event);
            match rows.batch.spilled(index) {
                None => row::write(&mut self.chunk, rejection, &origin, rows.batch.raw(event)),
                Some(payload) => {
                    row::begin_spilled(&mut self.chunk, rejection, &origin, payload.len());
                    let mut part = vec![0; SPILLED_BYTES];
                    let mut at = 0;
                    while at < payload.len() {
                        let refused = |error| SinkError::Io {
                            action: "read back",
                            what: "a line over event_bytes_max".into(),
                            error,
                        };
                        let n = row::read_part(payload.as_ref(), at, &mut part).map_err(refused)?;
                        row::push_base64(&mut self.chunk, part.get(..n).unwrap_or_default());
                        at += n as u64;
                        self.flush(CHUNK_BYTES, base)?;
                    }
                    row::end_spilled(&mut self.chunk);
                }
            }
            self.flush(CHUNK_BYTES, base)?;
        }
        self.flush(0, base)
    }
}

impl Sink for RejectedSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        self.file.open(state)
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        let base = self.file.len();
        self.chunk.clear();
        self.write_rows(rows, base)?;
        if self.chunk.capacity() > 4 * CHUNK_BYTES {
            self.chunk = Vec::new();
        }
        if self.file.len() == base { Ok(Staged::nothing()) } else { Ok(self.file.staged(base)) }
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        self.file.withdraw(output)
    }
}
