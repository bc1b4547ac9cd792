//! Configs with every place that they name moved below the scratch folder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipe::config::{
    Compression, DeadLetterConfig, Endpoint, FilePattern, FileSinkConfig, HttpAuth, PipeConfig,
    SinkConfig, SinkKind, SourceConfig, StreamStart,
};

use super::place::Place;

/// Batches close this soon, so that a short life has many.
const INTERVAL_MAX: Duration = Duration::from_millis(4);
/// And with this many events.
const EVENTS_MAX: u64 = 8;
/// A drain takes no longer.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// The header by which the test receiver knows a repeated call.
const IDEMPOTENCY: &str = "Idempotency-Key";
/// What failed is tried again this soon.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(40));

/// What a sink writes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OutputKind {
    /// One NDJSON file.
    File(PathBuf),
    /// A lake's folder.
    Lake(PathBuf),
    /// An embedded stream.
    Stream(String),
    /// An embedded queue.
    Queue(String),
    /// The receiver behind this path of the test receiver.
    Http(String),
}

/// Where rows come out. Several sinks may share one.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) kind: OutputKind,
    /// What it is called in messages.
    pub(super) name: String,
    /// A pipe of the proof reads it: it is empty at the end, and its events are looked for there.
    pub(super) is_read: bool,
    /// It says of itself that a row may come more than once.
    pub(super) at_least_once: bool,
}

/// Configs that touch nothing outside.
#[derive(Debug)]
pub(super) struct Redirected {
    pub(super) configs: Vec<PipeConfig>,
    pub(super) outputs: Vec<Output>,
    /// For each pipe the output of each of its sinks.
    pub(super) of_pipe: Vec<Vec<usize>>,
    /// Places that move, from where to where; unfinished files are copied along.
    pub(super) moved: Vec<(PathBuf, PathBuf)>,
    /// What a user must know.
    pub(super) notes: Vec<String>,
}

/// Moves everything. `receiver` takes what goes out over HTTP.
pub(super) fn redirect(
    configs: Vec<PipeConfig>,
    place: &Place,
    receiver: Option<SocketAddr>,
) -> Redirected {
    let mut mover =
        Mover { place, receiver, outputs: Vec::new(), moved: BTreeMap::new(), notes: Vec::new() };
    let mut of_pipe = Vec::new();
    let mut redirected = Vec::new();
    for mut config in configs {
        // Nothing of a proof may reach a store that others share.
        if config.dedup.as_mut().is_some_and(|dedup| dedup.store.take().is_some()) {
            let note =
                format!("pipe {}: keys are kept in the folder, not in its store", config.pipe);
            mover.notes.push(note);
        }
        of_pipe.push(mover.pipe(&mut config));
        redirected.push(config);
    }
    for output in &mut mover.outputs {
        output.is_read = redirected.iter().any(|config| match (&config.source, &output.kind) {
            (SourceConfig::Kinesis(source), OutputKind::Stream(name)) => source.stream == *name,
            (SourceConfig::Sqs(source), OutputKind::Queue(name)) => source.queue == *name,
            _ => false,
        });
    }
    mover.notes.dedup();
    Redirected {
        configs: redirected,
        outputs: mover.outputs,
        of_pipe,
        moved: mover.moved.into_iter().collect(),
        notes: mover.notes,
    }
}

struct Mover<'a> {
    place: &'a Place,
    receiver: Option<SocketAddr>,
    outputs: Vec<Output>,
    moved: BTreeMap<PathBuf, PathBuf>,
    notes: Vec<String>,
}

impl Mover<'_> {
    fn pipe(&mut self, config: &mut PipeConfig) -> Vec<usize> {
        config.batch.interval_max = config.batch.interval_max.min(INTERVAL_MAX);
        config.batch.events_max = config.batch.events_max.min(EVENTS_MAX);
        config.limits.drain_max = config.limits.drain_max.min(DRAIN_MAX);
        config.alarms.webhook = None;
        self.source(config);
        if let Some(path) = &mut config.rejected.path {
            *path = self.moved_to(path, "rejected");
        }
        self.dead_letter(&mut config.dead_letter);
        if let Some(path) = config.archive.as_mut().and_then(|archive| archive.path.as_mut()) {
            *path = self.moved_to(path, "archive");
        }
        let pipe = config.pipe.clone();
        config.sinks.iter_mut().map(|sink| self.sink(&pipe, sink)).collect()
    }

    fn source(&mut self, config: &mut PipeConfig) {
        let pipe = &config.pipe;
        match &mut config.source {
            SourceConfig::File(file) => {
                let path = self.place.input_of(pipe);
                self.notes
                    .push(format!("pipe {pipe}: reads a file of the proof, not {}", file.path));
                file.path = path.display().to_string();
                file.paths = FilePattern::Path(path);
                file.compression = Compression::None;
            }
            SourceConfig::Kinesis(source) => {
                if source.endpoint != Endpoint::Embedded {
                    self.notes.push(format!(
                        "pipe {pipe}: the stream {} is one of the embedded broker, not the one behind its endpoint",
                        source.stream
                    ));
                    source.endpoint = Endpoint::Embedded;
                }
                // Where a stream is read from its end, what is put before the start doesn't count.
                source.start = StreamStart::TrimHorizon;
            }
            SourceConfig::Sqs(source) => {
                if source.endpoint != Endpoint::Embedded {
                    self.notes.push(format!(
                        "pipe {pipe}: the queue {} is one of the embedded broker, not the one behind its endpoint",
                        source.queue
                    ));
                    source.endpoint = Endpoint::Embedded;
                }
            }
        }
    }

    fn dead_letter(&mut self, config: &mut DeadLetterConfig) {
        if let Some(store) = &mut config.store {
            *store = self.moved_to(store, "dead");
        }
    }

    fn sink(&mut self, pipe: &str, sink: &mut SinkConfig) -> usize {
        sink.retry.backoff_min = sink.retry.backoff_min.min(BACKOFF.0);
        sink.retry.backoff_max = sink.retry.backoff_max.min(BACKOFF.1);
        sink.circuit.pause_min = sink.circuit.pause_min.min(BACKOFF.0);
        sink.circuit.pause_max = sink.circuit.pause_max.min(BACKOFF.1);
        if let Some(config) = &mut sink.dead_letter {
            self.dead_letter(config);
        }
        let name = format!("{pipe}/{}", sink.name);
        let mut at_least_once = false;
        let kind = match &mut sink.kind {
            SinkKind::File(file) => {
                file.path = self.moved_to(&file.path, "file");
                OutputKind::File(file.path.clone())
            }
            SinkKind::Stdout => {
                let path = self.place.out().join(format!("{pipe}-{}.ndjson", sink.name));
                self.notes.push(format!("{name}: a file instead of standard output"));
                sink.kind = SinkKind::File(FileSinkConfig { path: path.clone(), append: false });
                OutputKind::File(path)
            }
            SinkKind::Lake(lake) => {
                lake.path = self.moved_to(&lake.path, "lake");
                OutputKind::Lake(lake.path.clone())
            }
            SinkKind::Kinesis(stream) => OutputKind::Stream(stream.stream.clone()),
            SinkKind::Sqs(queue) => OutputKind::Queue(queue.queue.clone()),
            SinkKind::Http(http) => {
                // Of this run alone: a call of the one before may still be on its way.
                let run = self.place.root().file_name().unwrap_or_default().to_string_lossy();
                let path = format!("/{run}/{pipe}/{}", sink.name);
                self.notes.push(format!("{name}: calls a receiver of the proof, not {}", http.url));
                if let Some(receiver) = self.receiver {
                    http.url = format!("http://{receiver}{path}");
                }
                http.timeout = http.timeout.min(Duration::from_millis(250));
                http.calls_per_second_max = None;
                http.auth = HttpAuth::None;
                http.ca_file = None;
                at_least_once = http.events_max > 1 || http.idempotency_header.is_none();
                if let Some(header) = &mut http.idempotency_header {
                    IDEMPOTENCY.clone_into(header);
                }
                OutputKind::Http(path)
            }
        };
        if let Some(known) = self.outputs.iter().position(|output| output.kind == kind) {
            return known;
        }
        self.outputs.push(Output { kind, name, is_read: false, at_least_once });
        self.outputs.len() - 1
    }

    /// Always the same place for the same path.
    fn moved_to(&mut self, from: &Path, kind: &str) -> PathBuf {
        let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
        let number = self.moved.len();
        let name = from.file_name().and_then(|name| name.to_str()).unwrap_or("it");
        let to = self.place.out().join(format!("{kind}-{number}-{name}"));
        self.moved.entry(from).or_insert(to).clone()
    }
}
