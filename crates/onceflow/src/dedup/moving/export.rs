//! `dedup export`: all keys that a scope remembers, as text. Takes no lock and changes nothing.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use console::show;
use dedup::ledger::{KeyReading, LedgerError, LedgerState, ReadKeys, read_keys, read_only};
use dedup::scope::{CommittedBy, CommittedKey, DeadState, DedupClock, KeyState};
use event::Clock as _;
use journal::RealDisk;

use super::args::{RawExport, RawForm};
use super::form::{COLUMNS, End, Header, Row, VERSION, hex};
use crate::command::data_folder;
use crate::exit::{self, Exit, Failure};
use crate::test_clock::OffsetClock;

pub(crate) fn export(raw: RawExport, clock: &OffsetClock) -> Result<Exit, Failure> {
    let data_dir = data_folder(raw.data_dir, &raw.pipes);
    let ledger = |error: LedgerError| Failure::new(exit::ledger(&error), error);
    let state = read_only(&RealDisk::new(), &data_dir).map_err(ledger)?;
    let scope = the_scope(&state, raw.scope.as_deref())?;
    let file = raw.out.filter(|path| path != Path::new("-"));
    let tmp = file.as_ref().map(|path| with_ending(path, ".tmp"));
    let out: Box<dyn Write> = match &tmp {
        None => Box::new(BufWriter::with_capacity(1 << 16, io::stdout().lock())),
        Some(path) => Box::new(BufWriter::with_capacity(1 << 20, create(path)?)),
    };
    let mut exporting = Exporting {
        out,
        form: raw.format,
        now_ms: clock.now_ms(),
        pipes: state.pipes.iter().map(|pipe| pipe.name.clone()).collect(),
        text: Vec::new(),
        count: 0,
        failed: None,
    };
    let read = read_keys(&RealDisk::new(), &data_dir, &scope, &mut exporting);
    let read = read.map_err(ledger).and_then(|()| exporting.end());
    match exporting.failed.take() {
        // A reader that has gone away (`| head`) is a good end.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
        Some(error) => {
            let what =
                file.as_deref().map_or("standard output".into(), |p| p.display().to_string());
            return Err(Failure::new(Exit::Failed, format!("cannot write {what}: {error}")));
        }
        None => read?,
    }
    let count = exporting.count;
    drop(exporting);
    if let (Some(tmp), Some(file)) = (tmp, &file) {
        let done = journal::Disk::rename(&RealDisk::new(), &tmp, file);
        done.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write {}: {error}", file.display()))
        })?;
        eprintln!(
            "{} of scope {scope} in {}. It holds the scope's secret: keep it as you keep the data \
             folder",
            show::counted(count, "key"),
            file.display()
        );
    }
    Ok(Exit::Ok)
}

/// A file that only its owner can read: it will hold a secret.
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
    })
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn the_scope(state: &LedgerState, wanted: Option<&str>) -> Result<String, Failure> {
    let names: Vec<&str> = state.scopes.iter().map(|scope| scope.name.as_str()).collect();
    match (wanted, names.as_slice()) {
        (Some(wanted), names) if names.contains(&wanted) => Ok(wanted.into()),
        (None, [only]) => Ok((*only).into()),
        (_, []) => Err(Failure::usage("this data folder has no scope: no pipe of it has `dedup`")),
        (Some(wanted), names) => Err(Failure::usage(format!(
            "--scope: there is no scope `{wanted}`; there are: {}",
            names.join(", ")
        ))),
        (None, names) => Err(Failure::usage(format!("--scope: say which of {}", names.join(", ")))),
    }
}

struct Exporting {
    out: Box<dyn Write>,
    form: RawForm,
    now_ms: i64,
    pipes: Vec<String>,
    text: Vec<u8>,
    count: u64,
    failed: Option<io::Error>,
}

impl Exporting {
    /// Writes what is in `text`. What the reading is told is of no matter: `failed` says it.
    fn write(&mut self) -> Result<(), LedgerError> {
        let written = self.out.write_all(&self.text);
        self.text.clear();
        written.map_err(|error| {
            self.failed = Some(error);
            LedgerError::Closed
        })
    }

    fn end(&mut self) -> Result<(), Failure> {
        let end = serde_json::to_string(&End { end: self.count }).unwrap_or_default();
        let mark = if self.form == RawForm::Csv { "# " } else { "" };
        self.text.extend(format!("{mark}{end}\n").into_bytes());
        let _ = self.write(); // `failed` says it
        if let Err(error) = self.out.flush() {
            self.failed = Some(error);
        }
        Ok(())
    }
}

impl ReadKeys for Exporting {
    fn begin(&mut self, reading: &KeyReading<'_>) -> Result<(), LedgerError> {
        let Some(scope) = reading.state.scopes.get(usize::from(reading.scope)) else {
            return Ok(());
        };
        let header = Header {
            onceflow_export: VERSION,
            scope: scope.name.clone(),
            secret: hex(&scope.secret),
            definition: dedup::ledger::definition_text(scope.fields, scope.across_types),
            fields: scope.fields,
            across_types: scope.across_types,
            clock: scope.clock.map(|clock| clock_name(clock).to_owned()),
            ledger: reading.state.ledger_id.to_string(),
            exported_ms: self.now_ms,
            forgotten_through_ms: scope.forgotten_through_ms,
        };
        let header = serde_json::to_string(&header).unwrap_or_default();
        self.text = match self.form {
            RawForm::Ndjson => format!("{header}\n").into_bytes(),
            RawForm::Csv => format!("# {header}\n{COLUMNS}\n").into_bytes(),
        };
        self.write()?;
        // Keys of open letters are remembered, too, as long as the letters are open.
        let pipes = (0..).zip(&reading.state.pipes);
        let letters = pipes.flat_map(|(n, pipe)| pipe.letters.values().map(move |l| (n, l)));
        let dead: Vec<CommittedKey> = letters
            .filter_map(|(pipe, letter)| {
                let key = letter.key.filter(|key| key.scope == reading.scope)?;
                Some(CommittedKey {
                    key: key.key,
                    recorded_ms: letter.recorded_ms,
                    window_ms: key.window_ms,
                    body_hash: key.body_hash,
                    state: KeyState::Dead(DeadState {
                        deterministic_under: letter.deterministic_under,
                        sinks: 0,
                    }),
                    by: CommittedBy { pipe, ..CommittedBy::default() },
                })
            })
            .collect();
        self.keys(&dead)
    }

    fn keys(&mut self, keys: &[CommittedKey]) -> Result<(), LedgerError> {
        for key in keys {
            let pipe = self.pipes.get(usize::from(key.by.pipe)).map(String::as_str);
            Row::of(key, pipe).put(self.form, &mut self.text);
        }
        self.count += keys.len() as u64;
        self.write()
    }
}

pub(super) fn clock_name(clock: DedupClock) -> &'static str {
    match clock {
        DedupClock::Received => "received",
        DedupClock::Broker => "broker",
        DedupClock::Event => "event",
    }
}
