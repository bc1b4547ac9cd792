//! A folder of its own for each test, and the program in it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_onceflow");

/// A folder and what is done in it.
pub(crate) struct World {
    dir: TempDir,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> World {
        World { dir: tempfile::tempdir().unwrap() }
    }

    /// With the files of `examples/`.
    pub(crate) fn with_examples() -> World {
        let world = World::new();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"), world.dir.path());
        world
    }

    /// With the files of `examples/`, where the Wikipedia edits stay as they came: NDJSON, for
    /// tests that look at bytes.
    pub(crate) fn with_edits_as_they_came() -> World {
        let world = World::with_examples();
        let config = String::from_utf8(world.read("wikipedia.yaml")).unwrap();
        let sink = "lake: { path: lake/wikipedia }";
        assert!(config.contains(sink));
        let kept = "lake: { path: lake/wikipedia, compact: on_request }";
        world.write("wikipedia.yaml", config.replace(sink, kept));
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).open(path).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).current_dir(self.dir.path());
        command.env_remove("ONCEFLOW_DATA_DIR").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        Ended::new(self.command(words).output().unwrap())
    }

    /// Runs, and must succeed.
    pub(crate) fn ok(&self, words: &[&str]) -> Ended {
        let ended = self.run(words);
        assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
        ended
    }

    /// The summary of a run that must succeed.
    pub(crate) fn summary(&self, words: &[&str]) -> serde_json::Value {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&words).stdout).unwrap()
    }

    /// Rows of a lake's finished files, sorted; asserts that nothing unfinished is left.
    pub(crate) fn lake_rows(&self, root: &str) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        for file in files(&self.path(root)) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!name.ends_with(".open"), "{} is unfinished", file.display());
            if name.ends_with(".ndjson") && !name.starts_with('_') {
                let content = std::fs::read(&file).unwrap();
                assert_eq!(content.last(), Some(&b'\n'), "{} ends in a row", file.display());
                rows.extend(content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            }
        }
        rows.sort();
        rows
    }

    /// Whether a lake has finished or unfinished NDJSON files.
    pub(crate) fn lake_has_staging(&self, root: &str) -> bool {
        files(&self.path(root)).iter().any(|file| file.to_string_lossy().contains(".ndjson"))
    }

    /// The rejected file's rows.
    pub(crate) fn rejected(&self, pipe: &str) -> Vec<serde_json::Value> {
        let text = self.read(&format!("onceflow-data/rejected/{pipe}.ndjson"));
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

impl Ended {
    pub(crate) fn new(output: Output) -> Ended {
        use std::os::unix::process::ExitStatusExt as _;
        let signal = output.status.signal();
        Ended {
            code: output.status.code().unwrap_or_else(|| -signal.unwrap()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts how it ended, and what it said.
    pub(crate) fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for words in said {
            assert!(self.stderr.contains(words), "`{words}` isn't in {}", self.stderr);
        }
    }
}

/// All files below a folder.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        // What somebody who tried the examples left there isn't part of them.
        if ["lake", "onceflow-data", "app.ndjson"].iter().any(|left| name == *left) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(name));
        if from.is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Reads a child's standard error line by line, so that a test waits for what it says.
pub(crate) struct Said {
    lines: std::io::Lines<BufReader<ChildStderr>>,
    pub(crate) seen: Vec<String>,
}

impl Said {
    pub(crate) fn of(child: &mut Child) -> Said {
        Said { lines: BufReader::new(child.stderr.take().unwrap()).lines(), seen: Vec::new() }
    }

    /// Reads up to a line with `words`.
    pub(crate) fn wait_for(&mut self, words: &str) {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            let found = line.contains(words);
            self.seen.push(line);
            if found {
                return;
            }
        }
        panic!("never said `{words}`: {:#?}", self.seen);
    }

    /// Reads up to the end.
    pub(crate) fn rest(mut self) -> String {
        self.seen.extend(self.lines.by_ref().map_while(Result::ok));
        self.seen.join("\n")
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A pipe from standard input to a file, for tests that decide when an event comes.
pub(crate) const STDIN_PIPE: &str = "pipe: app\n\
    source: { file: { path: \"-\" } }\n\
    batch: { interval_max: 20ms }\n\
    dedup: { key: $.id, window: 1h }\n\
    sink: { file: { path: out.ndjson } }\n";

/// A pipe from a file to a file.
pub(crate) const FILE_PIPE: &str = "pipe: app\n\
    source: { file: { path: in.ndjson } }\n\
    dedup: { key: $.id, window: 1h }\n\
    sink: { file: { path: out.ndjson } }\n";
