//! Where the demo works: the files of `examples/`, and the events that it generates.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

const EVENT_CONFIG: &str = include_str!("../../../../examples/event_config.yml");
const DEMO: &str = include_str!("../../../../examples/demo.yaml");
const EDITS: &[u8] =
    include_bytes!("../../../../examples/data/wikipedia-edits-2015-09-12.ndjson.gz");

const EDITS_PATH: &str = "data/wikipedia-edits-2015-09-12.ndjson.gz";

/// A folder that holds this is one that a demo made, and may be emptied.
const MARK: &str = "made-by-onceflow-demo";

/// The folder.
pub(super) struct Folder {
    path: PathBuf,
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what} {}: {error}", path.display()))
}

impl Folder {
    /// `dir`, or one in the user's cache folder; emptied if an earlier demo made it.
    pub(super) fn new(dir: Option<PathBuf>) -> Result<Folder, Failure> {
        let path = match dir {
            Some(dir) => dir,
            None => cache().ok_or_else(|| {
                Failure::usage("there is no cache folder: neither HOME nor XDG_CACHE_HOME is set; name one with --dir")
            })?,
        };
        let is_empty =
            std::fs::read_dir(&path).map_or(true, |mut entries| entries.next().is_none());
        if path.join(MARK).exists() {
            std::fs::remove_dir_all(&path).map_err(|error| failed("empty", &path, &error))?;
        } else if !is_empty {
            return Err(Failure::usage(format!(
                "{} isn't empty, and no demo made it: name another folder with --dir",
                path.display()
            )));
        }
        std::fs::create_dir_all(path.join("data"))
            .map_err(|error| failed("create", &path, &error))?;
        let path = path.canonicalize().map_err(|error| failed("open", &path, &error))?;
        let folder = Folder { path };
        folder.write(MARK, b"`onceflow demo` empties this folder when it runs again.\n")?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.path.join("onceflow-data")
    }

    /// The config, what the events look like, and real edits.
    pub(super) fn fill(&self) -> Result<(), Failure> {
        self.write("demo.yaml", DEMO.as_bytes())?;
        self.write("event_config.yml", EVENT_CONFIG.as_bytes())?;
        self.write(EDITS_PATH, EDITS)
    }

    /// Lines of the edits' file, as any other program counts them.
    pub(super) fn edits_lines(&self) -> Result<u64, Failure> {
        let path = self.path.join(EDITS_PATH);
        let count = || lines(&mut flate2::read::MultiGzDecoder::new(File::open(&path)?));
        count().map_err(|error| failed("read", &path, &error))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let path = self.path.join(name);
        let write = || self.create(&path)?.write_all(content);
        write().map_err(|error| failed("write", &path, &error))
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }
}

/// Counts newlines.
fn lines(reader: &mut dyn Read) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let mut count = 0;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(count);
        }
        count += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let read = bytes.len();
        reader.consume(read);
    }
}

fn cache() -> Option<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("onceflow").join("demo"))
}
