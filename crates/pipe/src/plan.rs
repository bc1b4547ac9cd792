//! From a checked config to the parts of a running pipe. Nothing below this point sees config.

mod outlets;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connect::{Compression, FilePattern, FileSource, FileSourceOptions};
use dedup::key::KeyMaker;
use dedup::ledger::{Ledger, NewKey, PipeDeclaration, PipeLedger, ScopeDeclaration};
use dedup::scope::{DedupClock, LatePolicy, OnDuplicateOfDead, OnOtherBody, ScopeOptions};
use event::Clock;
use event::json::Selection;
use event::path::FieldPath;
use event::source::{BatchLimits, Source};
use journal::Disk;

use crate::broker_parts;
use crate::config::{
    self, ClockChoice, DedupConfig, Late, MissingKey, OrderConfig, PipeConfig, SourceConfig,
    TypePattern,
};
use crate::engine::lanes::Order;
use crate::engine::outlet::Outlet;
use crate::engine::planted::Planted;
use crate::engine::{Parts, PipeError};
use crate::prepare::{Fields, KeyPlan, NO_WINDOW, PreparePlan};
use crate::previous_key::PreviousPlan;
use crate::replay::{InboxOnly, Outbox, inbox};
use crate::stage::enrich::Enrichers;
use crate::stage::filter::Pattern;
use crate::stage::route::Router;
use crate::stage::time::TimeFormat;
use crate::stage::transform::{TransformContext, Transforms};
use crate::stage::validate::Validator;
use crate::status::PipeStatus;
use crate::stores::Stores;
use crate::tap::TapHub;
use crate::types::{Types, Windows};
use crate::unsettled::UnsettledLimits;

/// The sink that takes rejected events; a name that config can't give.
pub const REJECTED_SINK: &str = "rejected";
/// The sink that takes the pipe's dead letters; config gives no names with dots.
pub const DEAD_SINK: &str = "dead.letters";
/// A decoded payload may be this many times `event_bytes_max`: compressed JSON rarely grows more.
const DECODED_FACTOR_MAX: usize = 16;

/// What every pipe of a run shares.
pub struct Shared<'a> {
    /// Where state lives.
    pub data_dir: &'a Path,
    /// The ledger of `data_dir`.
    pub ledger: &'a Arc<Ledger>,
    /// The embedded broker; open when a pipe of the run needs it.
    pub broker: Option<&'a Arc<broker::Broker>>,
    /// Everything durable goes through it.
    pub disk: &'a Arc<dyn Disk>,
    /// Time.
    pub clock: &'a Arc<dyn Clock>,
    /// Who watches.
    pub taps: &'a TapHub,
    /// The stores that pipes share with other workers.
    pub stores: &'a Stores,
    /// Read sources from their start.
    pub reread: bool,
    /// Whether the definition of a scope's keys may change, and how the old one was.
    pub new_key: Option<&'a NewKey>,
    /// A breakage, for `prove`.
    pub planted: Option<Planted>,
}

/// What joins one pipe to the rest of the run.
pub(crate) struct Wiring {
    /// Where batches come from that were submitted.
    pub(crate) outbox: Outbox,
    /// The pipe doesn't read its source.
    pub(crate) inbox_only: bool,
    /// Where it says how it stands.
    pub(crate) status: Arc<PipeStatus>,
}

impl Wiring {
    /// A pipe that nobody submits to and nobody watches.
    fn alone(name: &str) -> Self {
        let status = Arc::new(PipeStatus::new(name));
        Self { outbox: inbox().1, inbox_only: false, status }
    }
}

/// Declares the pipe to the ledger and makes its parts.
///
/// # Errors
/// [`PipeError`]: the ledger refuses the pipe, or its source can't be opened.
pub fn build(config: &PipeConfig, shared: &Shared<'_>) -> Result<Parts, PipeError> {
    build_wired(config, shared, Wiring::alone(&config.pipe))
}

/// As [`build`], for a pipe of a run.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_wired(
    config: &PipeConfig,
    shared: &Shared<'_>,
    wiring: Wiring,
) -> Result<Parts, PipeError> {
    let ledger = shared.ledger.pipe(declaration(config, shared)?)?;
    let source = if wiring.inbox_only {
        Box::new(InboxOnly::new(source_name(config)))
    } else {
        source(config, shared, &ledger)?
    };
    let plan = Arc::new(prepare_plan(config, shared, &ledger)?);
    name_types(&ledger, &plan.types);
    let (outlets, letters) = outlets::build(config, shared, &ledger, &plan.types)?;
    let ends = Ends { source, outlets, letters };
    Ok(assemble(config, shared, ledger, plan, ends, wiring))
}

/// As [`build`], with a source and sinks in place of those that the config names; the last one
/// takes the rejected events.
///
/// # Errors
/// [`PipeError`]: the ledger refuses the pipe.
pub(crate) fn build_around(
    config: &PipeConfig,
    shared: &Shared<'_>,
    source: Box<dyn Source>,
    outlets: Vec<Outlet>,
) -> Result<Parts, PipeError> {
    let ledger = shared.ledger.pipe(declaration(config, shared)?)?;
    let plan = Arc::new(prepare_plan(config, shared, &ledger)?);
    name_types(&ledger, &plan.types);
    let ends = Ends { source, outlets, letters: Vec::new() };
    Ok(assemble(config, shared, ledger, plan, ends, Wiring::alone(&config.pipe)))
}

/// Sightings say types by name.
fn name_types(ledger: &PipeLedger, types: &Arc<Types>) {
    let types = Arc::clone(types);
    ledger.name_types(move |id| types.name(id));
}

/// Where events come from and go to.
struct Ends {
    source: Box<dyn Source>,
    outlets: Vec<Outlet>,
    /// Which dead-letter store each of the config's sinks uses.
    letters: Vec<u8>,
}

fn assemble(
    config: &PipeConfig,
    shared: &Shared<'_>,
    ledger: Arc<PipeLedger>,
    plan: Arc<PreparePlan>,
    ends: Ends,
    wiring: Wiring,
) -> Parts {
    Parts {
        name: config.pipe.as_str().into(),
        source: ends.source,
        outlets: ends.outlets,
        letters: ends.letters,
        order: match &config.order {
            OrderConfig::None => Order::None,
            OrderConfig::PerPartitionKey { by: None } => Order::PartitionKey,
            OrderConfig::PerPartitionKey { by: Some(path) } => Order::Field(path.clone()),
        },
        dead_letters_max: config.limits.dead_letters_max,
        ledger_id: shared.ledger.id(),
        plan,
        ledger,
        batch: BatchLimits {
            bytes_max: to_usize(config.batch.bytes_max),
            events_max: to_usize(config.batch.events_max),
            interval_max: config.batch.interval_max,
        },
        unsettled: UnsettledLimits {
            events_max: to_usize(config.limits.unsettled_events_max),
            bytes_max: to_usize(config.limits.unsettled_bytes_max),
            park_after: config.limits.park_after,
            parked_bytes_max: config.limits.parked_bytes_max,
        },
        drain_max: config.limits.drain_max,
        clock: Arc::clone(shared.clock),
        taps: shared.taps.clone(),
        planted: shared.planted,
        outbox: wiring.outbox,
        status: wiring.status,
    }
}

fn source_name(config: &PipeConfig) -> String {
    match &config.source {
        SourceConfig::File(file) => format!("file:{}", file.path),
        SourceConfig::Kinesis(kinesis) => format!("kinesis:{}", kinesis.stream),
        SourceConfig::Sqs(sqs) => format!("sqs:{}", sqs.queue),
    }
}

fn declaration(config: &PipeConfig, shared: &Shared<'_>) -> Result<PipeDeclaration, PipeError> {
    let dedup = config.dedup.as_ref();
    Ok(PipeDeclaration {
        pipe: config.pipe.clone(),
        source: source_name(config),
        sinks: outlets::names(config),
        scope: config.dedup.as_ref().map(|dedup| scope(dedup, shared.new_key)),
        config_fingerprint: config.fingerprint,
        store: dedup.map(|dedup| shared.stores.of(dedup)).transpose()?.flatten(),
    })
}

fn scope(dedup: &DedupConfig, new_key: Option<&NewKey>) -> ScopeDeclaration {
    ScopeDeclaration {
        name: dedup.scope.clone(),
        fields: dedup.key.fields(),
        across_types: dedup.across_types,
        paths: dedup.key.parts().iter().map(ToString::to_string).collect(),
        new_key: new_key.cloned(),
        options: ScopeOptions {
            clock: match dedup.clock {
                ClockChoice::Received => DedupClock::Received,
                ClockChoice::Broker => DedupClock::Broker,
                ClockChoice::Event => DedupClock::Event,
            },
            lateness_ms: millis(dedup.lateness),
            late: match dedup.late {
                Late::Reject => LatePolicy::Reject,
                Late::Pass => LatePolicy::Pass,
                Late::DeadLetter => LatePolicy::DeadLetter,
            },
            clock_ahead_max_ms: millis(dedup.clock_ahead_max),
            source_idle_max_ms: millis(dedup.source_idle_max),
            on_duplicate_of_dead: match dedup.on_duplicate_of_dead {
                config::OnDuplicateOfDead::Auto => OnDuplicateOfDead::Auto,
                config::OnDuplicateOfDead::Admit => OnDuplicateOfDead::Admit,
                config::OnDuplicateOfDead::Suppress => OnDuplicateOfDead::Suppress,
            },
            on_other_body: match dedup.on_other_body {
                config::OnOtherBody::Drop => OnOtherBody::Drop,
                config::OnOtherBody::Pass => OnOtherBody::Pass,
                config::OnOtherBody::DeadLetter => OnOtherBody::DeadLetter,
            },
            refresh: dedup.refresh,
            memory_bytes_max: dedup.memory_bytes_max,
        },
    }
}

fn source(
    config: &PipeConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
) -> Result<Box<dyn Source>, PipeError> {
    match &config.source {
        SourceConfig::File(file) => {
            let options = FileSourceOptions {
                paths: file_pattern(&file.paths),
                compression: compression(file.compression),
                event_bytes_max: to_usize(file.event_bytes_max),
                spill_dir: shared.data_dir.join("spill"),
                reread: shared.reread,
            };
            let state = ledger.source_state();
            Ok(Box::new(FileSource::open(options, &state, Arc::clone(shared.clock))?))
        }
        SourceConfig::Kinesis(kinesis) => broker_parts::stream_source(kinesis, shared, ledger),
        SourceConfig::Sqs(sqs) => broker_parts::queue_source(sqs, shared, ledger),
    }
}

fn file_pattern(pattern: &config::FilePattern) -> FilePattern {
    match pattern {
        config::FilePattern::Path(path) => FilePattern::Path(path.clone()),
        config::FilePattern::Glob(glob) => FilePattern::Glob(glob.clone()),
        config::FilePattern::Stdin => FilePattern::Stdin,
    }
}

fn compression(compression: config::Compression) -> Compression {
    match compression {
        config::Compression::Auto => Compression::Auto,
        config::Compression::None => Compression::None,
        config::Compression::Gzip => Compression::Gzip,
        config::Compression::Zstd => Compression::Zstd,
    }
}

fn prepare_plan(
    config: &PipeConfig,
    shared: &Shared<'_>,
    ledger: &PipeLedger,
) -> Result<PreparePlan, PipeError> {
    let dedup = config.dedup.as_ref();
    let mut paths: Vec<FieldPath> = dedup.map(|dedup| dedup.key.paths()).unwrap_or_default();
    let mut fields = Fields { keys: paths.len(), ..Fields::default() };
    if let Some(path) = &config.envelope.event_type {
        fields.event_type = Some(paths.len());
        paths.push(path.clone());
    }
    let mut time_format = TimeFormat::Rfc3339;
    if let Some(time) = &config.envelope.time {
        fields.time = Some(paths.len());
        paths.push(time.path.clone());
        time_format = time.format;
    }
    let shards_of = shards_of(&config.source);
    let key_maker = match (dedup, ledger.scope_secret()) {
        (Some(dedup), Some(scope)) => {
            let fields = dedup.key.parts().len();
            Some(KeyMaker::new(&scope.secret, dedup.across_types, fields))
        }
        _ => None,
    };
    let previous = match ledger.scope_secret() {
        Some(scope) => PreviousPlan::new(&scope.secret, ledger.previous_keys(), &shards_of)
            .map_err(|error| PipeError::Config(format!("--old-key: {error}")))?,
        None => PreviousPlan::default(),
    };
    let validator = match &config.validate {
        Some(validate) => Some(
            Validator::new(&validate.schema)
                .map_err(|error| PipeError::Config(format!("validate.schema: {error}")))?,
        ),
        None => None,
    };
    let pattern = match &config.filter {
        Some(filter) => Some(
            Pattern::compile_kind(filter, config.filter_kind)
                .map_err(|error| PipeError::Config(format!("filter: {error}")))?,
        ),
        None => None,
    };
    let event_bytes_max = to_usize(config.source.event_bytes_max());
    Ok(PreparePlan {
        decode: config.decode.clone(),
        decoded_bytes_max: event_bytes_max.saturating_mul(DECODED_FACTOR_MAX),
        selection: Selection::new(&paths),
        fields,
        time_format,
        time_required: dedup.is_some_and(|dedup| dedup.clock == ClockChoice::Event),
        validator,
        pattern,
        enrichers: Enrichers::new(&config.enrich, shared.clock)
            .map_err(|error| PipeError::Config(format!("enrich: {error}")))?,
        router: router(config)?,
        transform_context: transform_context(config)?,
        transforms: config.transform.clone(),
        key_maker,
        previous,
        key: dedup.map_or_else(KeyPlan::default, |dedup| KeyPlan::new(&dedup.key, &shards_of)),
        missing_key: dedup.map_or(MissingKey::Reject, |dedup| dedup.missing_key),
        envelope: config.envelope.clone(),
        types: Arc::new(Types::new(windows(dedup), to_usize(config.limits.types_max))),
        event_bytes_max,
        poison: shared.planted == Some(Planted::Poison),
    })
}

/// What tells the shards of a source from those of others: shards of two streams may have one
/// name; those of files and queues say whose they are.
fn shards_of(source: &SourceConfig) -> String {
    match source {
        SourceConfig::Kinesis(kinesis) => format!("{}/", kinesis.stream),
        SourceConfig::File(_) | SourceConfig::Sqs(_) => String::new(),
    }
}

fn router(config: &PipeConfig) -> Result<Router, PipeError> {
    let mut patterns = Vec::with_capacity(config.sinks.len());
    for sink in &config.sinks {
        let pattern = sink.matches.as_ref().map(Pattern::compile).transpose();
        let refused = |error| PipeError::Config(format!("sink `{}`: match: {error}", sink.name));
        patterns.push(pattern.map_err(refused)?);
    }
    let default = config.route.default.as_ref();
    let default = default.and_then(|name| config.sinks.iter().position(|s| s.name == *name));
    Ok(Router::new(patterns, config.route.first, default))
}

/// What transforms may know of the pipe. Each of them is tried once, so that one that is wrong
/// stops the pipe before it reads.
fn transform_context(config: &PipeConfig) -> Result<TransformContext, PipeError> {
    let event_bytes_max = to_usize(config.source.event_bytes_max());
    let context = TransformContext {
        pipe: config.pipe.clone(),
        source: source_name(config),
        result_bytes_max: event_bytes_max.saturating_mul(DECODED_FACTOR_MAX),
    };
    Transforms::for_pipe(&config.transform, &context)
        .map_err(|error| PipeError::Config(format!("transform: {error}")))?;
    Ok(context)
}

/// For how long keys are remembered, by type.
#[must_use]
pub fn windows_of(dedup: &DedupConfig) -> Windows {
    windows(Some(dedup))
}

fn windows(dedup: Option<&DedupConfig>) -> Windows {
    let Some(dedup) = dedup else { return Windows::new(NO_WINDOW, &[]) };
    let by_type: Vec<(TypePattern, i64)> =
        dedup.windows.iter().map(|(pattern, window)| (pattern.clone(), millis(*window))).collect();
    Windows::new(millis(dedup.window), &by_type)
}

/// Config bounds durations to 400 days, so only `forever` saturates, and means that.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
