//! One file of the table on its way to disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use journal::{Disk, DiskFile, SyncPoint};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::CompactError;

/// A file of a [`Disk`], written from front to back.
struct Sequential {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Write for Sequential {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A Parquet file that is being written.
pub(super) struct Output {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    writer: ArrowWriter<Sequential>,
}

/// How the columns are encoded: zstd, and for the table's own columns what suits them.
pub(super) fn properties() -> WriterProperties {
    let own = |name: &str| ColumnPath::from(vec![name.to_owned()]);
    let key = own("_onceflow_key");
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by("onceflow".into())
        // A hash: nothing makes it smaller, and nobody looks for a range of it.
        .set_column_dictionary_enabled(key.clone(), false)
        .set_column_compression(key.clone(), Compression::UNCOMPRESSED)
        .set_column_statistics_enabled(key, EnabledStatistics::None);
    for name in
        ["_onceflow_event_time", "_onceflow_recorded_time", "_onceflow_offset", "_onceflow_batch"]
    {
        properties = properties
            .set_column_dictionary_enabled(own(name), false)
            .set_column_encoding(own(name), Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

fn parquet(path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> CompactError {
    move |error| match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => CompactError::Io { action: "write", path: path.into(), error: *error },
            Err(inner) => CompactError::Parquet { file: path.into(), what: inner.to_string() },
        },
        error => CompactError::Parquet { file: path.into(), what: error.to_string() },
    }
}

impl Output {
    pub(super) fn create(
        disk: &dyn Disk,
        path: &Path,
        schema: SchemaRef,
        properties: &WriterProperties,
    ) -> Result<Self, CompactError> {
        let file = disk.create_new(path).map_err(CompactError::io("create", path))?;
        let to = Sequential { file: Arc::clone(&file), at: 0 };
        let writer =
            ArrowWriter::try_new(to, schema, Some(properties.clone())).map_err(parquet(path))?;
        Ok(Self { path: path.into(), file, writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), CompactError> {
        self.writer.write(batch).map_err(parquet(&self.path))
    }

    /// About how long the file is with what is in memory.
    pub(super) fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Writes out what is in memory when that is more than so many bytes.
    pub(super) fn flush_past(&mut self, bytes: usize) -> Result<(), CompactError> {
        if self.writer.memory_size() < bytes {
            return Ok(());
        }
        self.writer.flush().map_err(parquet(&self.path))
    }

    /// Completes and syncs the file; its length.
    pub(super) fn finish(self) -> Result<u64, CompactError> {
        let Self { path, file, writer } = self;
        let to = writer.into_inner().map_err(parquet(&path))?;
        file.sync(SyncPoint("compact.output")).map_err(CompactError::io("sync", &path))?;
        Ok(to.at)
    }
}
