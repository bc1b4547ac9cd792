//! Running pipes: open the data folder, run every pipe on threads of its own, close.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::{Broker, BrokerError, BrokerOptions};
use dedup::ledger::{Ledger, LedgerError, LedgerOptions, NewKey};
use event::Clock;
use event::source::Stop;
use journal::{Disk, JournalConfig};

use crate::config::{PipeConfig, SinkKind, SourceConfig};
use crate::engine::planted::Planted;
use crate::engine::{PipeError, Totals};
use crate::life::Life;
use crate::plan::Shared;
use crate::replay::{Inbox, Outbox, inbox};
use crate::status::{Phase, PipeStatus};
use crate::stores::Stores;
use crate::tap::TapHub;

/// What a run needs beside the pipes.
#[derive(Clone)]
pub struct RunOptions {
    /// Where state lives; created when missing.
    pub data_dir: PathBuf,
    /// Read files again from their start.
    pub reread: bool,
    /// Whether the definition of a scope's keys may change (`run --new-key`).
    pub new_key: Option<NewKey>,
    /// Asked to drain.
    pub stop: Stop,
    /// Everything durable goes through it.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who watches.
    pub taps: TapHub,
    /// Goes into the ledger.
    pub onceflow_version: String,
    /// What `prove` sets; a run leaves it at its default.
    pub tuning: Tuning,
}

/// What `prove` sets otherwise than a run does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tuning {
    /// Size of the ledger's journal segments, so that a short run fills several; bytes.
    pub segment_bytes: Option<u64>,
    /// Bytes of journal after which the ledger makes a checkpoint, likewise.
    pub checkpoint_journal_bytes: Option<u64>,
    /// A breakage that must be found.
    pub planted: Option<Planted>,
}

/// What one pipe of a run did.
#[derive(Debug)]
pub struct PipeSummary {
    /// The pipe's name.
    pub name: String,
    /// What it did.
    pub totals: Totals,
    /// What its source says of what it did not read.
    pub remarks: Vec<String>,
    /// Why it stopped early.
    pub failure: Option<PipeError>,
    /// From start to end.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Debug)]
pub struct RunSummary {
    /// One per pipe, in the order of the configs.
    pub pipes: Vec<PipeSummary>,
}

/// A run could not start, or could not end in order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data folder can't be opened or closed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A pipe can't start; nothing was read.
    #[error("pipe `{pipe}`: {error}")]
    Pipe {
        /// Which.
        pipe: String,
        /// Why.
        #[source]
        error: PipeError,
    },
    /// The broker can't be opened or closed.
    #[error("broker: {0}")]
    Broker(#[from] broker::BrokerError),
}

/// Runs `configs` until their sources end or `stop` is asked. A pipe that fails doesn't end the
/// others; its summary says why.
///
/// # Errors
/// [`RunError`] when the data folder can't be opened, or a pipe can't start.
pub fn run(configs: &[PipeConfig], options: &RunOptions) -> Result<RunSummary, RunError> {
    let session = Session::open(configs, options, BrokerOptions::default())?;
    let pipes = session.run()?;
    session.close()?;
    Ok(RunSummary { pipes })
}

/// A data folder that is open: ledger, broker, and pipes that can run on them.
pub struct Session {
    configs: Vec<PipeConfig>,
    options: RunOptions,
    ledger: Arc<Ledger>,
    broker: Option<Arc<Broker>>,
    pipes: Vec<Arc<PipeStatus>>,
    inboxes: Vec<(Inbox, Outbox)>,
    refused: AtomicBool,
    stores: Stores,
}

impl Session {
    /// Opens the data folder, and its broker if a pipe needs it.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn open(
        configs: &[PipeConfig],
        options: &RunOptions,
        broker: BrokerOptions,
    ) -> Result<Self, RunError> {
        let needs_broker = configs.iter().any(PipeConfig::needs_broker);
        let mut session = Self::open_ledger(configs, options)?;
        if needs_broker {
            session.open_broker(broker)?;
        }
        Ok(session)
    }

    /// Opens the data folder alone: its pipes can't run.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn open_without_broker(
        configs: &[PipeConfig],
        options: &RunOptions,
    ) -> Result<Self, RunError> {
        Self::open_ledger(configs, options)
    }

    /// The configs of its pipes.
    #[must_use]
    pub fn configs(&self) -> &[PipeConfig] {
        &self.configs
    }

    /// Opens the data folder and its broker.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn open_with_broker(
        configs: &[PipeConfig],
        options: &RunOptions,
        broker: BrokerOptions,
    ) -> Result<(Self, Arc<Broker>), RunError> {
        let mut session = Self::open_ledger(configs, options)?;
        let broker = session.open_broker(broker)?;
        Ok((session, broker))
    }

    fn open_ledger(configs: &[PipeConfig], options: &RunOptions) -> Result<Self, RunError> {
        let ledger = Ledger::open(
            Arc::clone(&options.disk),
            &options.data_dir,
            ledger_options(configs, options),
            Arc::clone(&options.clock),
        )?;
        options.taps.progress().open();
        let status = |config: &PipeConfig| Arc::new(PipeStatus::new(&config.pipe));
        Ok(Self {
            configs: configs.to_vec(),
            options: options.clone(),
            ledger,
            broker: None,
            pipes: configs.iter().map(status).collect(),
            inboxes: configs.iter().map(|_| inbox()).collect(),
            refused: AtomicBool::new(false),
            stores: Stores::default(),
        })
    }

    /// The ledger's lock is the data folder's, so the broker is opened after it.
    fn open_broker(&mut self, broker: BrokerOptions) -> Result<Arc<Broker>, RunError> {
        let dir = self.options.data_dir.join("broker");
        let broker = Broker::open(&self.options.disk, &dir, broker, &self.options.clock)?;
        let broker = Arc::new(broker);
        for config in &self.configs {
            make_named(config, &broker)?;
        }
        self.broker = Some(Arc::clone(&broker));
        Ok(broker)
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The folder that is open.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Everything durable goes through it.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.options.disk
    }

    /// Time.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.options.clock
    }

    /// The embedded broker, if it is open.
    #[must_use]
    pub fn broker(&self) -> Option<&Arc<Broker>> {
        self.broker.as_ref()
    }

    /// Whether a pipe could not be started.
    #[must_use]
    pub fn has_failed_to_start(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// How the pipes stand, in the order of the configs.
    #[must_use]
    pub fn pipes(&self) -> &[Arc<PipeStatus>] {
        &self.pipes
    }

    /// Where events are submitted that shall come again into this pipe.
    #[must_use]
    pub fn inbox(&self, pipe: &str) -> Option<Inbox> {
        let place = self.configs.iter().position(|config| config.pipe == pipe)?;
        self.inboxes.get(place).map(|(inbox, _)| inbox.clone())
    }

    /// Runs the pipes until their sources end or `stop` of the options is asked.
    ///
    /// # Errors
    /// [`RunError`]: a pipe can't start; nothing was read.
    pub fn run(&self) -> Result<Vec<PipeSummary>, RunError> {
        self.run_with(false)
    }

    /// Runs the pipes without their sources, only for what is submitted to their inboxes, until
    /// `stop` of the options is asked.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_inboxes(&self) -> Result<Vec<PipeSummary>, RunError> {
        self.run_with(true)
    }

    fn run_with(&self, inbox_only: bool) -> Result<Vec<PipeSummary>, RunError> {
        let options = &self.options;
        let shared = Shared {
            data_dir: &options.data_dir,
            ledger: &self.ledger,
            broker: self.broker.as_ref(),
            disk: &options.disk,
            clock: &options.clock,
            taps: &options.taps,
            stores: &self.stores,
            reread: options.reread,
            new_key: options.new_key.as_ref(),
            planted: options.tuning.planted,
        };
        let mut lives = Vec::with_capacity(self.configs.len());
        let all = self.configs.iter().zip(&self.pipes).zip(&self.inboxes);
        for ((config, status), (_, outbox)) in all {
            let (shared, stop) = (&shared, &options.stop);
            let (parts, built) = (None, false);
            let mut life = Life { config, shared, status, outbox, inbox_only, stop, parts, built };
            match life.build(shared) {
                // It waits for its store by itself.
                Ok(()) => {}
                Err(PipeError::Ledger(error)) if error.passes() => {}
                Err(error) => {
                    status.set(Phase::Failed(error.to_string()));
                    self.refused.store(true, Ordering::Release);
                    return Err(RunError::Pipe { pipe: config.pipe.clone(), error });
                }
            }
            lives.push(life);
        }
        Ok(run_all(lives))
    }

    /// Closes broker and ledger, in order.
    ///
    /// # Errors
    /// [`RunError`]; what was committed or acknowledged is durable all the same.
    pub fn close(&self) -> Result<(), RunError> {
        let broker = self.broker.as_ref().map_or(Ok(()), |broker| broker.close());
        self.ledger.close()?;
        Ok(broker?)
    }
}

/// Makes the embedded queues and streams that a pipe names: before anybody can send to them.
fn make_named(config: &PipeConfig, broker: &Broker) -> Result<(), BrokerError> {
    let queue = |name: &str| connect::sqs::embedded::open_or_make(broker, name).map(drop);
    let stream =
        |name: &str, n: u32| connect::kinesis::embedded::open_or_make(broker, name, n).map(drop);
    match &config.source {
        SourceConfig::Sqs(source) if config.source.is_embedded() => queue(&source.queue)?,
        SourceConfig::Kinesis(source) if config.source.is_embedded() => {
            stream(&source.stream, source.shards)?;
        }
        _ => {}
    }
    for sink in &config.sinks {
        match &sink.kind {
            SinkKind::Sqs(sink) => queue(&sink.queue)?,
            SinkKind::Kinesis(sink) => stream(&sink.stream, sink.shards)?,
            _ => {}
        }
        let letters = sink.dead_letter.as_ref().and_then(|dead| dead.queue.as_deref());
        letters.map_or(Ok(()), queue)?;
    }
    config.dead_letter.queue.as_deref().map_or(Ok(()), queue)?;
    Ok(())
}

fn ledger_options(configs: &[PipeConfig], options: &RunOptions) -> LedgerOptions {
    let minutes = configs.iter().map(|config| config.limits.counter_minutes_max).max();
    let types = configs.iter().map(|config| config.limits.types_max).max();
    let sightings = configs.iter().map(|config| config.limits.sightings_bytes_max).max();
    let defaults = LedgerOptions::default();
    LedgerOptions {
        counter_minutes_max: bounded(minutes, defaults.counter_minutes_max),
        types_max: bounded(types, defaults.types_max),
        sightings_bytes_max: sightings.unwrap_or(defaults.sightings_bytes_max),
        checkpoint_journal_bytes: options
            .tuning
            .checkpoint_journal_bytes
            .unwrap_or(defaults.checkpoint_journal_bytes),
        journal: JournalConfig {
            segment_bytes: options.tuning.segment_bytes.unwrap_or(defaults.journal.segment_bytes),
            ..defaults.journal.clone()
        },
        onceflow_version: options.onceflow_version.clone(),
        ..defaults
    }
}

fn bounded(value: Option<u64>, default: u32) -> u32 {
    value.map_or(default, |value| u32::try_from(value).unwrap_or(u32::MAX))
}

fn run_all(lives: Vec<Life<'_>>) -> Vec<PipeSummary> {
    std::thread::scope(|scope| {
        let running: Vec<_> = lives
            .into_iter()
            .map(|life| (life.config.pipe.clone(), scope.spawn(move || life.run())))
            .collect();
        running
            .into_iter()
            .map(|(name, pipe)| match pipe.join() {
                Ok(summary) => summary,
                Err(_) => PipeSummary {
                    name,
                    totals: Totals::default(),
                    remarks: Vec::new(),
                    failure: Some(PipeError::Panicked("start")),
                    elapsed: Duration::ZERO,
                },
            })
            .collect()
    })
}
