//! The events to look at: archives, and files with one JSON object a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::archive::read::{Archive, Range};
use journal::{Disk, RealDisk};

use super::maker::Beside;
use crate::exit::{Exit, Failure};

/// Longest line; bytes.
const LINE_BYTES_MAX: u64 = 64 << 20;
const BUFFER_BYTES: usize = 1 << 20;
/// Ending of an archive's files; the folder of an hour lies four folders below the archive's.
const ARCHIVE_ENDING: &str = ".archive";
const ARCHIVE_DEPTH: usize = 5;

/// Something to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file with lines.
    Lines(PathBuf),
    /// All of an archive's folder.
    Archive(PathBuf),
    /// One file of an archive.
    ArchiveFile(PathBuf),
}

/// What the words on the command line stand for. A word with `*` is a glob.
pub(crate) fn inputs(words: &[String]) -> Result<Vec<Input>, Failure> {
    let mut found = Vec::new();
    for word in words {
        let paths = if word.contains(['*', '?', '[']) && !Path::new(word).exists() {
            let paths = glob::glob(word)
                .map_err(|error| Failure::usage(format!("--archive {word}: {error}")))?;
            let mut paths: Vec<PathBuf> = paths.filter_map(Result::ok).collect();
            paths.sort();
            paths
        } else {
            vec![PathBuf::from(word)]
        };
        if paths.is_empty() {
            return Err(Failure::usage(format!("--archive {word}: nothing is called so")));
        }
        for path in paths {
            found.push(input(path)?);
        }
    }
    Ok(found)
}

fn input(path: PathBuf) -> Result<Input, Failure> {
    let about = std::fs::metadata(&path).map_err(|error| cannot_read(&path, &error))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(if about.is_dir() {
        Input::Archive(path)
    } else if name.is_some_and(|name| name.contains(ARCHIVE_ENDING)) {
        Input::ArchiveFile(path)
    } else {
        Input::Lines(path)
    })
}

/// What is done with each payload.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8], Beside) -> Result<(), Failure>;

/// Hands out all payloads of an input; what is damaged is said in words, and passed over.
pub(crate) fn read(
    input: &Input,
    pipe: Option<&str>,
    each: Each<'_>,
) -> Result<Vec<String>, Failure> {
    match input {
        Input::Lines(path) => {
            lines(path, each)?;
            Ok(Vec::new())
        }
        Input::Archive(root) => archive(root, pipe, None, each),
        Input::ArchiveFile(path) => {
            let Some(root) = path.ancestors().nth(ARCHIVE_DEPTH) else {
                return Err(Failure::usage(format!(
                    "{} is a file of an archive, but lies in none: name the archive's folder, the \
                     one that holds `year=…`",
                    path.display()
                )));
            };
            let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
            archive(root, None, Some(path), each)
        }
    }
}

fn archive(
    root: &Path,
    pipe: Option<&str>,
    only: Option<&Path>,
    each: Each<'_>,
) -> Result<Vec<String>, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let mut archive = Archive::open_all(disk, root, pipe, Range::ALL)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    if let Some(only) = only {
        archive.files.retain(|file| file.path.file_name() == only.file_name());
    }
    if archive.files.is_empty() {
        let of = pipe.map_or_else(String::new, |pipe| format!(" of pipe {pipe}"));
        return Err(Failure::usage(format!(
            "{} holds no archived events{of}; an archive's folder is `archive/<pipe>` in the data \
             folder, unless the config's `archive.path` says another one",
            root.display()
        )));
    }
    let mut reader = archive.read();
    for archived in reader.by_ref() {
        let beside = Beside {
            received_ms: archived.origin.received_ms,
            broker_ms: archived.origin.broker_ms,
            recorded_ms: archived.recorded_ms,
        };
        each(&archived.payload, beside)?;
    }
    Ok(reader.damages().iter().map(ToString::to_string).collect())
}

fn lines(path: &Path, each: Each<'_>) -> Result<(), Failure> {
    let failed = |error: io::Error| cannot_read(path, &error);
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(failed)?);
    let mut reader = unpacked(path, file).map_err(failed)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = reader.by_ref().take(LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(());
        }
        let payload = line.trim_ascii();
        if !payload.is_empty() {
            each(payload, Beside::NOTHING)?;
        }
    }
}

fn unpacked(path: &Path, file: BufReader<File>) -> io::Result<Box<dyn BufRead>> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
    Ok(match ending.as_deref() {
        Some("gz") => {
            let unpacked = flate2::bufread::MultiGzDecoder::new(file);
            Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
        }
        Some("zst" | "zstd") => {
            let unpacked = zstd::Decoder::with_buffer(file)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
        }
        _ => Box::new(file),
    })
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}
