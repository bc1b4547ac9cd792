//! The config: YAML files to checked pipes.
//!
//! Data goes one way: text → `yaml` (a tree in which everything knows its place) → `check` (the
//! table of `keys` applied: types, units, bounds, unknown keys, what isn't built) → `section`
//! (typed values) → one file per noun (`source`, `dedup`, …), which builds the public structs and
//! checks what depends on several keys → `across` (what pipes must agree on). Nothing after this
//! module sees an unchecked value.
//!
//! No mistake hides another: everything is looked at, and [`ConfigErrors`] holds all that is wrong.
//! The table in `keys` is also what [`schema()`] and [`docs_markdown()`] are made from. It knows
//! nothing of what runs: files of sources and sinks aren't looked at.

mod across;
mod address;
mod archive;
mod broker_name;
mod call;
mod check;
mod dead_letter;
mod dedup;
mod delivery;
mod docs;
mod enrich;
mod envelope;
mod key;
mod keys;
mod limits;
mod pattern;
mod pipe;
mod place;
mod problem;
mod retry;
mod route;
mod scalar;
mod schema;
mod secret;
mod section;
mod sink;
mod source;
mod store;
mod suggest;
mod syntax;
mod table;
mod test;
mod transform;
mod unit;
mod variable;
mod yaml;

use std::path::{Path, PathBuf};

pub use self::dedup::{
    ClockChoice, DedupConfig, Late, MissingKey, OnDuplicateOfDead, OnOtherBody, TypePattern,
};
pub use self::delivery::{
    AfterReplay, ArchiveConfig, CircuitConfig, DeadLetterConfig, EnrichConfig, EnrichFrom,
    EnrichMissing, OrderConfig, PatternKind, RetryConfig, RouteConfig,
};
pub use self::docs::docs_markdown;
pub use self::envelope::{EnvelopeConfig, EnvelopeTime, ValidateConfig};
pub use self::key::{DedupKey, KeyPart, NotAKeyPart};
pub use self::limits::{BatchConfig, LimitsConfig, RejectedConfig};
pub use self::pipe::PipeConfig;
pub use self::problem::{ConfigError, ConfigErrors};
pub use self::schema::schema;
pub use self::sink::{
    FileSinkConfig, KinesisSinkConfig, LakeConfig, LakeTime, Partition, SinkConfig, SinkKind,
    SqsSinkConfig, TableConfig,
};
pub use self::source::{
    Compression, Endpoint, FilePattern, FileSourceConfig, KinesisSourceConfig, SourceConfig,
    SqsSourceConfig, StreamStart,
};
pub use self::store::{DynamoConfig, RedisConfig, StoreConfig};
pub use self::test::{AlarmsConfig, Given, PipeTest};
pub use self::transform::TransformConfig;
pub use connect::http::{HttpAuth, HttpBody, HttpOptions as HttpConfig};

pub use crate::stage::decode::DecodeStep;
pub use crate::stage::time::TimeFormat;

/// YAML as a tree in which everything knows its place, and the way mistakes are shown: for other
/// files that people write, so that their errors look the same.
pub mod tree {
    pub use super::place::{Place, SourceText};
    pub use super::problem::{ConfigErrors, Problems};
    pub use super::suggest::nearest;
    pub use super::yaml::{Data, Name, Node, Scalar, documents};
}

use self::pipe::Loaded;
use self::place::SourceText;
use self::problem::Problems;

/// The largest config file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Most pipes of one run.
const PIPES_MAX: usize = 1000;

/// The smallest pipe, for who has none yet.
const SMALLEST: &str =
    "{ pipe: app, source: { file: { path: app.ndjson } }, sink: { file: { path: out.ndjson } } }";

/// Reads config files and checks them, each and together.
///
/// `env` looks up environment variables for `${NAME}`. Relative paths start from the folder of the
/// file that they stand in. Reads JSON Schema files that `validate` names; looks at no other file
/// of a source or sink. What is allowed and probably not meant stands in
/// [`PipeConfig::warnings`].
///
/// # Errors
/// [`ConfigErrors`] with everything that is wrong in all files.
pub fn load(
    paths: &[PathBuf],
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<PipeConfig>, ConfigErrors> {
    let mut errors = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        match read(path) {
            Ok(source) => sources.push(source),
            Err(error) => errors.push(error),
        }
    }
    let mut loaded: Vec<(usize, Loaded)> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut problems = Problems::new(source);
        let documents = yaml::documents(source, env, &mut problems);
        let pipes = documents.iter().filter_map(|node| pipe::load(node, &mut problems));
        let before = loaded.len();
        let pipes: Vec<Loaded> = pipes.collect();
        loaded.extend(pipes.into_iter().map(|pipe| (index, pipe)));
        if loaded.len() == before && problems.errors.is_empty() {
            let mut error = ConfigError::of_file(&source.path, "this file holds no pipe");
            error.help(format!("the smallest one: {SMALLEST}"));
            problems.errors.push(error);
        }
        errors.append(&mut problems.errors);
    }
    let placed: Vec<across::Placed<'_>> = loaded
        .iter()
        .filter_map(|(index, pipe)| Some(across::Placed { source: sources.get(*index)?, pipe }))
        .collect();
    errors.append(&mut across::check(&placed));
    if let (true, Some(last)) = (loaded.len() > PIPES_MAX, paths.last()) {
        let message = format!("{} pipes are more than the {PIPES_MAX} of one run", loaded.len());
        errors.push(ConfigError::of_file(last, message));
    }
    if errors.is_empty() {
        return Ok(loaded.into_iter().filter_map(|(_, pipe)| pipe.config).collect());
    }
    Err(ConfigErrors { errors: in_order(errors, paths) })
}

/// By file as given, then by place; each once (an alias repeats what it names).
fn in_order(mut errors: Vec<ConfigError>, paths: &[PathBuf]) -> Vec<ConfigError> {
    errors.sort_by_key(|error| {
        let file = paths.iter().position(|path| *path == error.file);
        (file, error.line, error.column)
    });
    errors.dedup();
    errors
}

fn read(path: &Path) -> Result<SourceText, ConfigError> {
    let cant = |error: std::io::Error| {
        let message = format!("this config can't be read: {}", envelope::reason(&error));
        ConfigError::of_file(path, message)
    };
    let meta = std::fs::metadata(path).map_err(cant)?;
    if meta.len() > CONFIG_BYTES_MAX {
        let most = unit::show_size(CONFIG_BYTES_MAX);
        let message = format!("a config has at most {most}, this file has {} bytes", meta.len());
        let mut error = ConfigError::of_file(path, message);
        error.help("is this the config, or the events?");
        return Err(error);
    }
    let bytes = std::fs::read(path).map_err(cant)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceText::new(path, &text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            let message = format!("line {line} isn't UTF-8");
            let mut error = ConfigError::of_file(path, message);
            error.help("save the file as UTF-8");
            Err(error)
        }
    }
}
