//! `dedup import`: keys from elsewhere come into the ledger, which is the owner's to change.

use std::path::Path;
use std::sync::Arc;

use dedup::ledger::{ImportScope, ImportedScope, Ledger, LedgerError, parse_definition, read_only};
use event::Clock as _;
use event::path::FieldPath;
use event::source::Stop;
use journal::{Disk, RealDisk};
use lake::keys::LakeKeys;
use pipe::config::ClockChoice;
use pipe::tap::TapHub;
use pipe::{RunOptions, Session, Tuning};
use serde::{Deserialize, Serialize};

use super::args::{FileFormat, RawImport};
use super::asked::{Asked, Made};
use super::exported::Exported;
use super::form::unhex;
use super::lake::{self as lakes, LakeSeen};
use super::lines::{self, Maker};
use super::pattern::Pattern;
use super::taker::{Taker, Tally, Tell};
use super::{rdb, show};
use crate::command::data_folder;
use crate::exit::{self, Exit, Failure};
use crate::progress::MovingLine;
use crate::signals;
use crate::tap::{self, Answers, JobRequest};
use crate::test_clock::OffsetClock;

/// What was done, by scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) dry_run: bool,
    pub(crate) scopes: Vec<DoneScope>,
    pub(crate) lakes: Vec<LakeSeen>,
}

/// What came into a scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DoneScope {
    pub(crate) scope: String,
    /// It was made for this import.
    pub(crate) is_new: bool,
    /// Whether `clock: received` counts, where that is known.
    pub(crate) received: Option<bool>,
    #[serde(flatten)]
    pub(crate) tally: Tally,
}

/// A line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// How far it is.
    Progress(u64),
    /// The end.
    Done(Box<Done>),
    /// It can't go on: the exit code, and why.
    Failed(u8, String),
}

/// Imports, or asks the owner of the data folder to.
pub(crate) fn import(
    raw: &RawImport,
    clock: &OffsetClock,
    moving: &MovingLine,
) -> Result<Exit, Failure> {
    let asked = Asked::new(raw)?;
    let configs: Vec<_> = asked.config.iter().cloned().collect();
    let data_dir = crate::args::RawDataDir { data_dir: raw.data_dir.data_dir.clone() };
    let data_dir = data_folder(data_dir, &configs);
    let mut progress = |read: u64| {
        moving.show(&format!("{} read", console::show::counted(read, "key")));
    };
    let done = if raw.dry_run {
        try_out(&asked, &data_dir, clock, &mut progress)
    } else {
        match ask_owner(&asked, &data_dir, &mut progress)? {
            Some(done) => done,
            None => by_ourselves(&asked, &data_dir, clock, &mut progress),
        }
    };
    moving.clear();
    show::done(&done?, raw.json)
}

/// Does what a client asked for.
pub(crate) fn serve(session: &Session, asked: &Asked, answers: &Answers) {
    let mut tell = |tally: &Tally| answers.send(Answer::Progress(tally.read)).is_ok();
    let work = Work {
        ledger: Some(session.ledger()),
        known: None,
        disk: session.disk().as_ref(),
        now_ms: session.clock().now_ms(),
        stop: answers.stop(),
    };
    let answer = match work.import(asked, &mut tell) {
        Ok(done) => Answer::Done(Box::new(done)),
        Err(failure) => Answer::Failed(failure.exit as u8, failure.message),
    };
    let _ = answers.send(answer); // whoever asked may have gone
}

type Progress<'a> = &'a mut dyn FnMut(u64);

fn ask_owner(
    asked: &Asked,
    data_dir: &Path,
    progress: Progress<'_>,
) -> Result<Option<Result<Done, Failure>>, Failure> {
    let mut answer = None;
    let request = JobRequest::Import(Box::new(asked.clone()));
    let asked = tap::ask_job(data_dir, request, |line| {
        match serde_json::from_value(line.clone()) {
            Ok(Answer::Progress(read)) => progress(read),
            Ok(Answer::Done(done)) => answer = Some(Ok(*done)),
            Ok(Answer::Failed(code, what)) => {
                answer = Some(Err(Failure::new(Exit::of(code), what)));
            }
            Err(_) => {
                let why = line.get("refused").or_else(|| line.get("error")).cloned();
                let why = why.and_then(|why| why.as_str().map(str::to_owned)).unwrap_or_default();
                answer = Some(Err(Failure::new(Exit::Failed, format!("the run refused: {why}"))));
            }
        }
        true
    });
    let lost = |what: String| Failure::new(Exit::Failed, format!("the run doesn't answer: {what}"));
    match asked.map_err(|error| lost(error.to_string()))? {
        None => Ok(None),
        Some(()) => Ok(Some(answer.unwrap_or_else(|| {
            Err(lost("it ended; what came in stays, and importing again is harmless".into()))
        }))),
    }
}

/// Nobody runs pipes in the data folder: we own it meanwhile.
fn by_ourselves(
    asked: &Asked,
    data_dir: &Path,
    clock: &OffsetClock,
    progress: Progress<'_>,
) -> Result<Done, Failure> {
    // What is wrong with the request leaves no folder behind.
    asked.made()?;
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let options = RunOptions {
        data_dir: data_dir.to_owned(),
        reread: false,
        new_key: None,
        stop: stop.clone(),
        disk: Arc::new(RealDisk::new()),
        clock: Arc::new(clock.clone()),
        taps: TapHub::default(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
        tuning: Tuning::default(),
    };
    let session = Session::open_without_broker(&[], &options)?;
    let work = Work {
        ledger: Some(session.ledger()),
        known: None,
        disk: options.disk.as_ref(),
        now_ms: clock.now_ms(),
        stop: &stop,
    };
    let done = work.import(asked, &mut |tally| {
        progress(tally.read);
        true
    });
    let closed = session.close();
    let done = done?;
    closed?;
    Ok(done)
}

/// Reads everything and changes nothing.
fn try_out(
    asked: &Asked,
    data_dir: &Path,
    clock: &OffsetClock,
    progress: Progress<'_>,
) -> Result<Done, Failure> {
    let disk = RealDisk::new();
    let known = match read_only(&disk, data_dir) {
        Ok(state) => Some(state),
        Err(LedgerError::NoLedger(_)) => None,
        Err(error) => return Err(Failure::new(exit::ledger(&error), error)),
    };
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let known = known.map(|state| state.scopes).unwrap_or_default();
    let now_ms = clock.now_ms();
    let work = Work { ledger: None, known: Some(&known), disk: &disk, now_ms, stop: &stop };
    work.import(asked, &mut |tally| {
        progress(tally.read);
        true
    })
}

/// Where an import is done.
struct Work<'a> {
    /// `None`: nothing is changed.
    ledger: Option<&'a Ledger>,
    /// The scopes, where nothing is changed.
    known: Option<&'a [dedup::state::ScopeState]>,
    disk: &'a dyn Disk,
    now_ms: i64,
    stop: &'a Stop,
}

impl Work<'_> {
    fn import(&self, asked: &Asked, tell: Tell<'_>) -> Result<Done, Failure> {
        let made = asked.made()?;
        let mut done = match &asked.file {
            Some(file) => self.file(asked, made, file, tell)?,
            None => self.lakes(asked, made, tell)?,
        };
        done.dry_run = self.ledger.is_none();
        Ok(done)
    }

    fn scope(&self, wanted: &ImportScope) -> Result<ImportedScope, Failure> {
        if let Some(ledger) = self.ledger {
            let scope = ledger.import_scope(wanted);
            return scope.map_err(|error| match error {
                LedgerError::UnknownScope { scope } => Failure::usage(format!(
                    "this data folder knows no scope `{scope}`; say what its keys are made of with \
                     --config PIPE.yaml or --fields, and it is made"
                )),
                LedgerError::OtherSecret(_) | LedgerError::ImportDefinition(_) => {
                    Failure::new(Exit::Failed, error)
                }
                error => Failure::new(exit::ledger(&error), error),
            });
        }
        dedup::ledger::check_import(self.known.unwrap_or_default(), wanted)
            .map_err(|error| Failure::new(Exit::Failed, error))
    }

    fn taker<'a>(&'a self, asked: &Asked, scope: &str, made: &Made, tell: Tell<'a>) -> Taker<'a> {
        Taker {
            ledger: self.ledger,
            scope: scope.into(),
            now_ms: self.now_ms,
            hold_ms: asked.hold_ms,
            drop_ended: made.clock == Some(ClockChoice::Received),
            stop: self.stop,
            tell,
            tally: Tally::default(),
            batch: Vec::new(),
        }
    }

    fn file(
        &self,
        asked: &Asked,
        mut made: Made,
        file: &Path,
        tell: Tell<'_>,
    ) -> Result<Done, Failure> {
        let format = asked.format_of(file)?;
        let name = asked.scope.clone().or_else(|| made.scope.clone());
        if format == FileFormat::Export {
            let exported = Exported::open(file)?;
            let header = &exported.header;
            let wanted = ImportScope {
                name: name.unwrap_or_else(|| header.scope.clone()),
                secret: unhex(&header.secret),
                definition: Some((header.fields, header.across_types)),
            };
            if wanted.secret.is_none() {
                let what = format!("{}:1: the export has no secret", file.display());
                return Err(Failure::new(Exit::Failed, what));
            }
            let received = header.clock.as_deref().map(|clock| clock == "received");
            let scope = self.scope(&wanted)?;
            let mut taker = self.taker(asked, &wanted.name, &made, tell);
            exported.read(&mut taker)?;
            return ended(taker, &scope, received.or_else(|| received_by(&made)));
        }
        let name = name.ok_or_else(|| {
            Failure::usage("into which scope? Say it with --scope, or --config PIPE.yaml")
        })?;
        let pattern = (format == FileFormat::Rdb).then(|| rdb_pattern(asked, &mut made));
        let pattern = pattern.transpose()?;
        let wanted =
            ImportScope { name: name.clone(), secret: None, definition: made.definition() };
        let scope = self.scope(&wanted)?;
        if made.key.is_empty() {
            return Err(Failure::usage(
                "which fields make the key? Say it with --config PIPE.yaml, or --fields PATH,PATH",
            ));
        }
        made.across_types = scope.state.across_types;
        let received = received_by(&made);
        let mut taker = self.taker(asked, &name, &made, tell);
        let maker = Maker::new(made, &scope.state.secret)?;
        match (format, pattern) {
            (FileFormat::Csv, _) => lines::csv(file, maker, asked.text_as, &mut taker)?,
            (_, Some(pattern)) => rdb::read(file, &pattern, asked.text_as, maker, &mut taker)?,
            _ => lines::ndjson(file, maker, &mut taker)?,
        }
        ended(taker, &scope, received)
    }

    fn lakes(&self, asked: &Asked, made: Made, tell: Tell<'_>) -> Result<Done, Failure> {
        let wanted = asked.scope.as_deref().or(made.scope.as_deref());
        let scopes = lakes::scopes(self.disk, &asked.lakes, wanted)?;
        let mut done = Done::default();
        for found in scopes {
            let wanted = ImportScope {
                name: found.name.clone(),
                secret: Some(found.secret),
                definition: parse_definition(&found.definition),
            };
            let scope = self.scope(&wanted)?;
            let mut taker = self.taker(asked, &found.name, &made, &mut *tell);
            done.lakes.clear();
            for root in &asked.lakes {
                done.lakes.push(lakes::read(self.disk, root, &mut taker)?);
            }
            done.scopes.extend(ended(taker, &scope, received_by(&made))?.scopes);
        }
        // Not before all keys are durable: until then a pipe that starts is refused by name.
        if let Some(ledger) = self.ledger.filter(|_| asked.take_over) {
            for lake in &mut done.lakes {
                let keys = LakeKeys::new(self.disk, &lake.lake);
                keys.take_over(ledger.id()).map_err(lakes::failure)?;
                lake.taken_over = true;
            }
        }
        Ok(done)
    }
}

fn received_by(made: &Made) -> Option<bool> {
    made.clock.map(|clock| clock == ClockChoice::Received)
}

/// The pattern of a dump's keys; its names are the key's fields.
fn rdb_pattern(asked: &Asked, made: &mut Made) -> Result<Pattern, Failure> {
    let pattern = Pattern::parse(&asked.key_pattern)
        .map_err(|what| Failure::usage(format!("--key-pattern: {what}")))?;
    let path = |name: &str| {
        FieldPath::parse(&format!("$.{name}"))
            .map_err(|error| Failure::usage(format!("--key-pattern: {{{name}}}: {error}")))
    };
    let key: Vec<FieldPath> = pattern.names().map(path).collect::<Result<_, _>>()?;
    if !made.key.is_empty() && made.key.len() != key.len() {
        return Err(Failure::usage(format!(
            "--key-pattern: it names {}, and the key has {}",
            console::show::counted(key.len() as u64, "field"),
            made.key.len()
        )));
    }
    if made.event_type.is_some() && !pattern.has_type() && !made.across_types {
        return Err(Failure::usage(
            "--key-pattern: keys of this scope hold the event's type, and the pattern has no \
             {type} in it; a key without its type would recognise nothing",
        ));
    }
    made.key = key;
    made.event_type = if pattern.has_type() { Some(path("type")?) } else { None };
    made.time = None;
    Ok(pattern)
}

fn ended(
    mut taker: Taker<'_>,
    scope: &ImportedScope,
    received: Option<bool>,
) -> Result<Done, Failure> {
    taker.flush()?;
    let done = DoneScope { scope: taker.scope, is_new: scope.is_new, received, tally: taker.tally };
    Ok(Done { scopes: vec![done], ..Done::default() })
}
