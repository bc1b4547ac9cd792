//! Where a pipe reads, and how payloads are unwrapped.

use std::path::PathBuf;

use super::problem::Problems;
use super::section::{Section, Value};
use crate::stage::decode::DecodeStep;

/// Where a pipe reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// Files or standard input.
    File(FileSourceConfig),
}

/// Files or standard input, one event per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSourceConfig {
    /// The path as it was written.
    pub path: String,
    /// What it stands for.
    pub paths: FilePattern,
    /// How the files are compressed.
    pub compression: Compression,
    /// The largest event, in bytes of its line; 1 KiB to 64 MiB.
    pub event_bytes_max: u64,
}

/// Which files a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePattern {
    /// One file; relative ones start from the config's folder.
    Path(PathBuf),
    /// All files that match a valid pattern of the `glob` crate. The config's folder stands in
    /// front of it, escaped.
    Glob(String),
    /// Standard input.
    Stdin,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// By its name: `.gz`, `.zst`, else not.
    Auto,
    /// Not.
    None,
    /// Gzip, possibly several members.
    Gzip,
    /// Zstandard, possibly several frames.
    Zstd,
}

/// Builds the source.
pub(crate) fn build(pipe: &Section, problems: &mut Problems<'_>) -> Option<SourceConfig> {
    let file = pipe.section("source")?.section("file")?;
    let paths = file_pattern(file, problems);
    let compression = match file.word("compression")? {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "zstd" => Compression::Zstd,
        _ => Compression::Auto,
    };
    Some(SourceConfig::File(FileSourceConfig {
        path: file.text("path")?.to_owned(),
        paths: paths?,
        compression,
        event_bytes_max: file.count("event_bytes_max")?,
    }))
}

fn file_pattern(file: &Section, problems: &mut Problems<'_>) -> Option<FilePattern> {
    let written = file.text("path")?;
    if written == "-" {
        return Some(FilePattern::Stdin);
    }
    let path = problems.source.base_dir.join(written);
    if !written.contains(['*', '?', '[']) {
        return Some(FilePattern::Path(path));
    }
    let place = file.place_of("path");
    if let Err(error) = glob::Pattern::new(written) {
        let place = problems.source.inside(place, written, error.pos, 1);
        problems
            .add(place, format!("this pattern can't be read: {}", error.msg))
            .help("`*`, `?`, `[a-z]` and `**` are patterns; `[[]` stands for a plain `[`");
        return None;
    }
    let Some(base) = problems.source.base_dir.to_str() else {
        let message = "a pattern needs a folder whose name is UTF-8, this config's isn't";
        problems.add(place, message).help("move the config, or name one file");
        return None;
    };
    let escaped = PathBuf::from(glob::Pattern::escape(base)).join(written);
    escaped.to_str().map(|pattern| FilePattern::Glob(pattern.to_owned()))
}

/// Builds the decode steps.
pub(crate) fn decode(pipe: &Section, problems: &mut Problems<'_>) -> Option<Vec<DecodeStep>> {
    let items = pipe.list("decode")?;
    let mut steps = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Word(word) = item.value else { return None };
        let last = index + 1 == items.len();
        if word == "json" && !last {
            problems
                .add(item.place, "`json` must be the last step of `decode`")
                .help("what stands after it would have nothing to unwrap");
            return None;
        }
        if last && word != "json" {
            problems
                .add(item.place, format!("`decode` ends with `{word}`, but must end with `json`"))
                .help("add `json`: the other formats aren't built yet");
            return None;
        }
        steps.push(match word {
            "url" => DecodeStep::Url,
            "base64" => DecodeStep::Base64,
            "gzip" => DecodeStep::Gzip,
            "zstd" => DecodeStep::Zstd,
            _ => DecodeStep::Json,
        });
    }
    Some(steps)
}
