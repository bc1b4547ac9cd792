//! The tables of a run's lakes: what of the config they need, and when they are compacted.

use std::path::PathBuf;
use std::time::Duration;

use dedup::ledger::LedgerError;
use event::source::Stop;
use lake::compact::{CompactError, CompactOptions, Compaction, PartitionField, Progress};
use lake::table::{EventTime, TimeFormat as TableTime};

use crate::config::{LakeConfig, Partition, PipeConfig, SinkKind, TransformConfig};
use crate::run::Session;
use crate::stage::time::TimeFormat;

/// The table of a lake.
#[derive(Clone, Debug)]
pub struct Table {
    /// The lake's folder.
    pub lake: PathBuf,
    /// The pipe whose config says how; the first one that delivers into this lake.
    pub pipe: String,
    /// How.
    pub options: CompactOptions,
    /// Whether `run` and `serve` compact by themselves.
    pub automatic: bool,
    /// How often they do.
    pub every: Duration,
}

/// The tables of all lakes that `configs` deliver into.
#[must_use]
pub fn tables(configs: &[PipeConfig]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for config in configs {
        for sink in &config.sinks {
            if let SinkKind::Lake(lake) = &sink.kind
                && tables.iter().all(|table| table.lake != lake.path)
            {
                tables.push(table(config, lake));
            }
        }
    }
    tables
}

fn table(config: &PipeConfig, lake: &LakeConfig) -> Table {
    let level = |partition: &Partition| match partition {
        Partition::Year => PartitionField::Year,
        Partition::Month => PartitionField::Month,
        Partition::Day => PartitionField::Day,
        Partition::Field(path) => PartitionField::Field(path.clone()),
    };
    Table {
        lake: lake.path.clone(),
        pipe: config.pipe.clone(),
        options: CompactOptions {
            partition: lake.table.partition.iter().map(level).collect(),
            event_time: event_time(config),
            file_bytes_target: lake.table.file_bytes_target,
            memory_bytes_max: lake.table.memory_bytes_max,
            partitions_open_max: usize::try_from(lake.table.partitions_open_max)
                .unwrap_or(usize::MAX),
            ..CompactOptions::default()
        },
        automatic: lake.table.automatic,
        every: lake.table.every,
    }
}

/// Where a row holds the envelope's time: the transforms may have written it in another form, or
/// taken it out. A renamed one isn't followed: such rows go by their recorded time.
fn event_time(config: &PipeConfig) -> Option<EventTime> {
    let time = config.envelope.time.as_ref()?;
    let mut format = time.format;
    for step in &config.transform {
        match step {
            TransformConfig::Time { field, to, .. } if *field == time.path => format = *to,
            TransformConfig::Rename { from, .. } if *from == time.path => return None,
            TransformConfig::Drop { fields } if fields.contains(&time.path) => return None,
            _ => {}
        }
    }
    Some(EventTime { path: time.path.clone(), format: table_time(format) })
}

const fn table_time(format: TimeFormat) -> TableTime {
    match format {
        TimeFormat::Rfc3339 => TableTime::Rfc3339,
        TimeFormat::EpochSeconds => TableTime::EpochSeconds,
        TimeFormat::EpochMillis => TableTime::EpochMillis,
        TimeFormat::EpochMicros => TableTime::EpochMicros,
        TimeFormat::EpochNanos => TableTime::EpochNanos,
    }
}

/// A table was not compacted.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The lake says no.
    #[error(transparent)]
    Compact(Box<CompactError>),
    /// The ledger says no.
    #[error(transparent)]
    Ledger(Box<LedgerError>),
}

impl Session {
    /// Moves the finished staging files of a lake into its table.
    ///
    /// # Errors
    /// [`TableError`]; nothing was lost.
    pub fn compact(
        &self,
        table: &Table,
        progress: &dyn Progress,
        stop: &Stop,
    ) -> Result<Compaction, TableError> {
        let ledger = self.ledger();
        ledger.record_published().map_err(|error| TableError::Ledger(Box::new(error)))?;
        // Asked for each file when it is found: the pipes go on meanwhile. A file is in the ledger
        // from before its first byte until the ledger knows that it is published.
        let published = |file: &str| {
            ledger.look(|state| {
                let mut sinks = state.pipes.iter().flat_map(|pipe| &pipe.sinks);
                !sinks.any(|sink| sink.files.contains_key(file))
            })
        };
        let (disk, clock) = (self.disk(), self.clock());
        let options = &table.options;
        lake::compact::compact(disk, &table.lake, options, &**clock, &published, progress, stop)
            .map_err(|error| TableError::Compact(Box::new(error)))
    }
}
