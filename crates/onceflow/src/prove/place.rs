//! The scratch folder of a proof. Nothing durable lies in it: what the pipes write goes through
//! their disk all the same.
#![allow(clippy::disallowed_methods)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::process::getpid;

use crate::exit::{Exit, Failure};

/// Everything that a proof touches lies below it.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    keep: bool,
}

pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what} {}: {error}", path.display()))
}

impl Place {
    /// An empty one in the system's folder for such things.
    pub(super) fn new(keep: bool, number: u64) -> Result<Place, Failure> {
        let name = format!("onceflow-prove-{}-{number}", getpid().as_raw_nonzero());
        let root = std::env::temp_dir().join(name);
        let place = Place { root, keep };
        let _ = fs::remove_dir_all(&place.root); // of an earlier process with this number
        for dir in [place.data(), place.out(), place.input()] {
            fs::create_dir_all(&dir).map_err(|error| cannot("make", &dir, &error))?;
        }
        place.set_clock(0)?;
        Ok(place)
    }

    /// A place that somebody else has made.
    pub(super) fn at(root: PathBuf) -> Place {
        Place { root, keep: true }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What goes through the pipes' disk.
    pub(super) fn disk(&self) -> PathBuf {
        self.root.join("disk")
    }

    /// The pipes' data folder.
    pub(super) fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    /// Where their sinks write.
    pub(super) fn out(&self) -> PathBuf {
        self.disk().join("out")
    }

    /// What their file sources read.
    pub(super) fn input(&self) -> PathBuf {
        self.root.join("in")
    }

    /// By how much their clock is off.
    pub(super) fn clock(&self) -> PathBuf {
        self.root.join("clock")
    }

    /// What the child says.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// A fresh log.
    pub(super) fn new_log(&self) -> Result<File, Failure> {
        let path = self.log();
        File::create(&path).map_err(|error| cannot("make", &path, &error))
    }

    /// What the child has said, the end of it.
    pub(super) fn said(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
    }

    pub(super) fn set_clock(&self, offset_ms: i64) -> Result<(), Failure> {
        // In one step: a child may be reading it.
        let (path, fresh) = (self.clock(), self.root.join("clock.new"));
        fs::write(&fresh, offset_ms.to_string())
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| cannot("write", &path, &error))
    }

    /// A file of the proof itself.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.root.join(name);
        fs::write(&path, bytes).map_err(|error| cannot("write", &path, &error))
    }

    /// Appends lines to what a file source reads, as a program that writes a log does.
    pub(super) fn append(&self, pipe: &str, lines: &[&[u8]]) -> Result<(), Failure> {
        let path = self.input_of(pipe);
        let failed = |error| cannot("write", &path, &error);
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(&path).map_err(failed)?;
        let mut bytes = lines.join(&b'\n');
        if !lines.is_empty() {
            bytes.push(b'\n');
        }
        file.write_all(&bytes).map_err(failed)
    }

    /// What the file source of this pipe reads.
    pub(super) fn input_of(&self, pipe: &str) -> PathBuf {
        self.input().join(format!("{pipe}.ndjson"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.root); // what stays is in the system's scratch folder
        }
    }
}
