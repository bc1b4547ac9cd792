//! A pipe, checked.

use std::path::{Path, PathBuf};

use super::archive;
use super::check::{self, At};
use super::dead_letter;
use super::dedup::{self, DedupConfig};
use super::delivery::{
    ArchiveConfig, DeadLetterConfig, EnrichConfig, OrderConfig, PatternKind, RouteConfig,
};
use super::enrich;
use super::envelope::{self, EnvelopeConfig, ValidateConfig};
use super::keys::PIPE;
use super::limits::{self, BatchConfig, LimitsConfig, RejectedConfig};
use super::pattern;
use super::place::Place;
use super::problem::{ConfigError, Problems};
use super::retry;
use super::route;
use super::section::{Section, Value};
use super::sink::{self, SinkConfig};
use super::source::{self, SourceConfig};
use super::test::{self, AlarmsConfig, PipeTest};
use super::transform::{self, TransformConfig};
use super::yaml::{Data, Node};
use crate::stage::decode::DecodeStep;

/// A pipe as its config describes it: every value checked, defaults filled in, paths resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct PipeConfig {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `_`, `-`, beginning with a letter or digit; unique among
    /// the pipes that were loaded together.
    pub pipe: String,
    /// Where it reads.
    pub source: SourceConfig,
    /// How payloads are unwrapped; the last step is always [`DecodeStep::Json`].
    pub decode: Vec<DecodeStep>,
    /// When a batch closes.
    pub batch: BatchConfig,
    /// Where the parts of the envelope stand.
    pub envelope: EnvelopeConfig,
    /// What an event must look like.
    pub validate: Option<ValidateConfig>,
    /// Which events go on: an event pattern that [`crate::stage::filter::Pattern`] compiles.
    pub filter: Option<serde_json::Value>,
    /// Which operators it may have.
    pub filter_kind: PatternKind,
    /// What makes two events the same; `None`: every event passes.
    pub dedup: Option<DedupConfig>,
    /// What is added to events, in order, before `transform`.
    pub enrich: Vec<EnrichConfig>,
    /// Changes, in order; empty: payloads are written as they came.
    pub transform: Vec<TransformConfig>,
    /// Where it delivers, at least one; names are unique.
    pub sinks: Vec<SinkConfig>,
    /// Which of the sinks an event goes to.
    pub route: RouteConfig,
    /// Which events must not overtake each other.
    pub order: OrderConfig,
    /// Where rejected events are kept.
    pub rejected: RejectedConfig,
    /// Where dead letters go, where a sink says nothing else.
    pub dead_letter: DeadLetterConfig,
    /// What is kept of everything that the source gave; `None`: nothing.
    pub archive: Option<ArchiveConfig>,
    /// What keeps it bounded.
    pub limits: LimitsConfig,
    /// When to raise an alarm.
    pub alarms: AlarmsConfig,
    /// What `onceflow test` tries.
    pub tests: Vec<PipeTest>,
    /// A hash of all of the above but alarms and tests, the schema's content included. Order, comments, places and
    /// units of the file don't change it; writing out a default that depends on something else
    /// (`scope`, `clock`) does.
    pub fingerprint: u64,
    /// The folder that its relative paths start from.
    pub base_dir: PathBuf,
    /// The file as it was named.
    pub file: PathBuf,
    /// The line in it where the pipe is named, from 1.
    pub line: usize,
    /// What is allowed and probably not meant.
    pub warnings: Vec<ConfigError>,
}

impl PipeConfig {
    /// Whether it reads from or delivers to the embedded broker, dead letters included.
    #[must_use]
    pub fn needs_broker(&self) -> bool {
        let embedded = |sink: &SinkConfig| {
            matches!(sink.kind, sink::SinkKind::Kinesis(_) | sink::SinkKind::Sqs(_))
        };
        self.source.is_embedded()
            || self.sinks.iter().any(embedded)
            || self.dead_letter_queues().next().is_some()
    }

    /// The folder of its archive, if it has one.
    #[must_use]
    pub fn archive_folder(&self, data_dir: &Path) -> Option<PathBuf> {
        let archive = self.archive.as_ref()?;
        Some(archive.path.clone().unwrap_or_else(|| data_dir.join("archive").join(&self.pipe)))
    }

    /// The folders of its dead letters, each once, with the bytes that it may hold.
    #[must_use]
    pub fn dead_letter_folders(&self, data_dir: &Path) -> Vec<(PathBuf, u64)> {
        let of_sinks = self.sinks.iter().filter_map(|sink| sink.dead_letter.as_ref());
        let mut folders: Vec<(PathBuf, u64)> = Vec::new();
        for letters in std::iter::once(&self.dead_letter).chain(of_sinks) {
            let folder = letters.folder(data_dir);
            if folders.iter().all(|(other, _)| *other != folder) {
                folders.push((folder, letters.store_bytes_max));
            }
        }
        folders
    }

    /// The queues of the embedded broker that get its dead letters; one may come twice.
    pub fn dead_letter_queues(&self) -> impl Iterator<Item = &str> {
        let of_sinks = self.sinks.iter().filter_map(|sink| sink.dead_letter.as_ref());
        std::iter::once(&self.dead_letter)
            .chain(of_sinks)
            .filter_map(|dead_letter| dead_letter.queue.as_deref())
    }
}

/// A pipe on its way: what the checks across pipes look at, also of a pipe with other mistakes.
pub(crate) struct Loaded {
    /// Its name, and where that stands.
    pub(crate) name: Option<(String, Place)>,
    /// The sections as they were written.
    pub(crate) section: Section,
    /// Its `dedup`, if that is right.
    pub(crate) dedup: Option<DedupConfig>,
    /// Where its dead letters go, sinks included.
    pub(crate) letters: Vec<dead_letter::Placed>,
    /// Where its archive goes, if a folder is named.
    pub(crate) archive: Option<(PathBuf, Place)>,
    /// Files that it writes, and where they are named.
    pub(crate) outputs: Vec<(PathBuf, Place)>,
    /// The whole, if all is right.
    pub(crate) config: Option<PipeConfig>,
}

/// Checks a document. `None`: it isn't a map, or is empty.
pub(crate) fn load(node: &Node, problems: &mut Problems<'_>) -> Option<Loaded> {
    let errors_before = problems.errors.len();
    let pairs = match &node.data {
        Data::Map(pairs) => pairs,
        Data::Scalar(scalar) if scalar.is_null() => return None,
        _ => {
            let message = format!("a pipe is a map, but this is {}", check::describe(node));
            problems.add(node.place, message).help("begin with `pipe: app`");
            return None;
        }
    };
    let place = pairs
        .iter()
        .find(|(name, _)| name.text == "pipe")
        .or(pairs.first())
        .map_or(node.place, |(name, _)| name.place);
    let at = At { name: String::new(), place };
    let Value::Section(section) = check::section(&PIPE, node, &at, problems) else { return None };
    Some(build(section, errors_before, problems))
}

fn build(section: Section, errors_before: usize, problems: &mut Problems<'_>) -> Loaded {
    let warnings_before = problems.warnings.len();
    let name = section.text("pipe").map(str::to_owned);
    let source = source::build(&section, problems);
    let decode = source::decode(&section, problems);
    let envelope = envelope::build(&section);
    let validate = envelope::validate(&section, problems);
    let filter_kind = match section.word("filter_kind") {
        Some("pipes") => PatternKind::Pipes,
        _ => PatternKind::EventBridge,
    };
    let filter = pattern::build(&section, "filter", filter_kind, problems);
    let dedup = dedup::build(&section, name.as_deref(), problems);
    let enrich = enrich::build(&section, problems);
    let transform = transform::build(&section, problems);
    let dead_letter = dead_letter::of_pipe(&section, problems);
    let defaults = sink::Defaults {
        retry: retry::of_pipe(&section).unwrap_or_default(),
        circuit: retry::circuit_of_pipe(&section).unwrap_or_default(),
        dead_letter: dead_letter.as_ref().map(|placed| placed.config.clone()).unwrap_or_default(),
    };
    let (sinks, sinks_complete) = sink::build(&section, &defaults, problems);
    let route = route::build(&section, &sinks, sinks_complete, problems);
    let order = route::order(&section, problems);
    let archive = archive::build(&section, problems);
    let letters: Vec<dead_letter::Placed> = dead_letter
        .iter()
        .chain(sinks.iter().filter_map(|sink| sink.dead_letter.as_ref()))
        .cloned()
        .collect();
    warn_of_idle_keys(&section, &sinks, problems);
    let rejected = limits::rejected(&section, problems);
    let limits = limits::limits(&section, problems);
    let alarms = test::alarms(&section, problems);
    let tests = test::tests(&section, problems);

    let mut outputs = Vec::new();
    for sink in &sinks {
        if let sink::SinkKind::File(file) = &sink.config.kind {
            outputs.push((file.path.clone(), sink.path_place));
        }
    }
    if let Some(path) = rejected.as_ref().and_then(|rejected| rejected.path.clone()) {
        let place = section.section("rejected").map_or(section.place, |it| it.place_of("path"));
        outputs.push((path, place));
    }
    let sinks: Vec<SinkConfig> = sinks.into_iter().map(|sink| sink.config).collect();
    let whole = problems.errors.len() == errors_before && sinks_complete;
    problems.cover_lines();
    let warnings = problems.warnings.split_off(warnings_before);
    let config = || {
        Some(PipeConfig {
            fingerprint: fingerprint(&section, validate.as_ref()),
            pipe: name.clone()?,
            source: source?,
            decode: decode?,
            batch: limits::batch(&section)?,
            envelope: envelope?,
            validate,
            filter,
            filter_kind,
            dedup: dedup.clone(),
            enrich: enrich?,
            transform: transform?,
            sinks,
            route: route?,
            order: order?,
            rejected: rejected?,
            dead_letter: defaults.dead_letter,
            archive: archive.clone()?,
            limits: limits?,
            alarms: alarms?,
            tests: tests?,
            base_dir: problems.source.base_dir.clone(),
            file: problems.source.path.clone(),
            line: section.place.line,
            warnings,
        })
    };
    let archive_place = section.section("archive").map(|archive| archive.place_of("path"));
    let archive_path = archive.iter().flatten().find_map(|archive| archive.path.clone());
    let config = if whole { config() } else { None };
    let name = name.map(|name| (name, section.place_of("pipe")));
    Loaded {
        name,
        section,
        dedup,
        letters,
        archive: archive_path.zip(archive_place),
        outputs,
        config,
    }
}

/// Keys that are right and do nothing in this pipe.
fn warn_of_idle_keys(section: &Section, sinks: &[sink::PlacedSink], problems: &mut Problems<'_>) {
    let tries_again = sinks.iter().any(|sink| matches!(sink.config.kind, sink::SinkKind::Http(_)));
    for key in ["retry", "circuit"] {
        if section.is_written(key) && !sinks.is_empty() && !tries_again {
            let message =
                format!("`{key}` does nothing here: only `http` tries single events again");
            problems.warn(section.name_of(key), message, "take it out, or add an `http` sink");
        }
    }
    if section.is_written("filter_kind") && section.entry("filter").is_none() {
        let help = "take it out, or add a `filter`";
        problems.warn(section.name_of("filter_kind"), "there is no `filter`", help);
    }
}

fn fingerprint(section: &Section, validate: Option<&ValidateConfig>) -> u64 {
    let mut canonical = String::new();
    section.canonical(&mut canonical);
    if let Some(validate) = validate {
        canonical.push_str(&validate.schema.to_string());
    }
    xxhash_rust::xxh3::xxh3_64(canonical.as_bytes())
}
