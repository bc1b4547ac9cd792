//! `dead list|show|replay|purge|hydrate`: events that could not be delivered.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::BrokerOptions;
use connect::dead::{FindError, Found, LetterFilter, show_id};
use console::show;
use event::Clock as _;
use event::source::Stop;
use journal::{Disk, RealDisk};
use pipe::config::PipeConfig;
use pipe::tap::TapHub;
use pipe::{RunOptions, Session, Tuning};
use serde_json::{Value, json};

use super::dead_replay::Order;
use super::load;
use crate::args::RawDataDir;
use crate::command::data_folder;
use crate::dead::args::{RawDead, RawWhich};
use crate::dead::filter::Filter;
use crate::dead::stores::{self, Store};
use crate::dead::{self, Answer, Request, hydrate};
use crate::exit::{Exit, Failure};
use crate::print::{out, written};
use crate::progress::MovingLine;
use crate::signals;
use crate::tap::{self, JobRequest};
use crate::test_clock::OffsetClock;

/// Files that are no letters, named one by one.
const SKIPPED_SHOWN_MAX: u64 = 20;

pub(crate) fn dead(raw: RawDead, clock: &OffsetClock, moving: MovingLine) -> Result<Exit, Failure> {
    match raw {
        RawDead::List { which, limit, json } => {
            let looked = Look::new(which, clock)?;
            list(&looked, limit.unwrap_or(u64::MAX), json)
        }
        RawDead::Show { letter, pipes, data_dir, json, raw } => {
            let looked = Look::at(&pipes, data_dir, Filter::default())?;
            show_one(&looked, &letter, json, raw)
        }
        RawDead::Replay { which, pipe, to_sink, rate, edited, dry_run, json } => {
            let pipes = which.pipes.clone();
            let looked = Look::new(which, clock)?;
            let pipe = crate::replay::the_pipe(&looked.configs, pipe.as_deref())?.pipe.clone();
            if rate == Some(0) {
                return Err(Failure::usage("--rate: 0 events a second would never end"));
            }
            let filter = looked.filter.clone();
            let asked = dead::replay::Asked { filter, to_sink, rate, edited };
            let order = Order { files: &pipes, pipe, asked, dry_run, json };
            super::dead_replay::replay(&looked, &order, clock, moving)
        }
        RawDead::Purge { which, all, dry_run, json } => {
            let looked = Look::new(which, clock)?;
            if !all && looked.filter.is_all() {
                return Err(Failure::usage(
                    "purge removes letters for good: say which (--id, --from, --to, --partition, \
                     --shard, --class, --processed), or --all",
                ));
            }
            purge(&looked, dry_run, json, clock)
        }
        RawDead::Hydrate {
            pipes,
            data_dir,
            pipe,
            queue,
            endpoint,
            drop_aged_out,
            dry_run,
            json,
        } => {
            let looked = Look::at(&pipes, data_dir, Filter::default())?;
            let pipe = crate::replay::the_pipe(&looked.configs, pipe.as_deref())?.pipe.clone();
            let asked = hydrate::Asked { pipe, queue, endpoint, drop_aged_out, dry_run };
            hydrated(&looked, asked, json, clock)
        }
    }
}

/// The letters that a command is about.
pub(super) struct Look {
    pub(super) configs: Vec<PipeConfig>,
    pub(super) data_dir: PathBuf,
    pub(super) filter: Filter,
    pub(super) disk: Arc<dyn Disk>,
}

impl Look {
    fn new(which: RawWhich, clock: &OffsetClock) -> Result<Self, Failure> {
        let filter = which.filter(clock.now_ms())?;
        let looked = Self::at(&which.pipes, which.data_dir, filter)?;
        for name in &looked.filter.consumers {
            if !looked.pipes().contains(name) {
                return Err(Failure::usage(format!(
                    "--consumer: there is no pipe `{name}` in these files; there are: {}",
                    looked.pipes().join(", ")
                )));
            }
        }
        Ok(looked)
    }

    fn at(pipes: &[PathBuf], data_dir: RawDataDir, filter: Filter) -> Result<Self, Failure> {
        let configs = load(pipes)?;
        let data_dir = data_folder(data_dir, pipes);
        Ok(Self { configs, data_dir, filter, disk: Arc::new(RealDisk::new()) })
    }

    fn pipes(&self) -> Vec<String> {
        self.configs.iter().map(|config| config.pipe.clone()).collect()
    }

    fn stores(&self) -> Vec<Store> {
        stores::of_pipes(&self.configs, &self.data_dir, &self.disk)
    }

    /// The letters that the filter takes, store by store; what is none is named on standard error
    /// and counted.
    pub(super) fn each(
        &self,
        letters: &LetterFilter,
        mut take: impl FnMut(&Store, Found) -> Result<bool, Failure>,
    ) -> Result<u64, Failure> {
        let mut skipped = 0;
        for store in self.stores() {
            for found in store.folder.letters(letters.clone()) {
                match found {
                    Ok(found) => {
                        if !take(&store, found)? {
                            return Ok(skipped);
                        }
                    }
                    Err(file) => {
                        skipped += 1;
                        tell_skipped(skipped, store.folder.root(), &file.path, &file.why);
                    }
                }
            }
        }
        if skipped > SKIPPED_SHOWN_MAX {
            eprintln!("skipped {} in all", show::counted(skipped, "file"));
        }
        Ok(skipped)
    }
}

fn tell_skipped(count: u64, root: &Path, path: &str, why: &str) {
    if count <= SKIPPED_SHOWN_MAX {
        eprintln!("skipped {}: {why}", root.join(path).display());
    }
}

fn list(looked: &Look, limit: u64, json: bool) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    let mut count = 0;
    let mut gone = false;
    looked.each(&looked.filter.letters(&looked.pipes()), |store, found| {
        if count >= limit {
            return Ok(false);
        }
        if count == 0 && !json {
            gone |= writeln!(stdout, "{HEADLINE}").is_err();
        }
        let line = if json { summary(store, &found).to_string() } else { row(&found) };
        count += 1;
        match writeln!(stdout, "{line}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => gone = true,
            other => drop(written(other)?),
        }
        Ok(!gone)
    })?;
    if !json && !gone {
        eprintln!("{}", show::counted(count, "letter"));
    }
    Ok(Exit::Ok)
}

const HEADLINE: &str = "died                  letter        class             sink        replays  \
                        partition         type";

fn row(found: &Found) -> String {
    let letter = &found.letter;
    let id = show_id(letter.id);
    let partition = letter.partition_key.as_deref().map(String::from_utf8_lossy);
    let remarks = match (found.name.done, found.edited) {
        (true, _) => "  (processed)",
        (false, true) => "  (edited)",
        (false, false) => "",
    };
    format!(
        "{:<20}  {:<12}  {:<16}  {:<10}  {:>7}  {:<16}  {}{remarks}",
        show::time(letter.died_ms),
        id.get(..12).unwrap_or(&id),
        letter.class,
        if letter.sink.is_empty() { "-" } else { &letter.sink },
        letter.replay_count,
        partition.as_deref().unwrap_or("-"),
        letter.event_type,
    )
}

fn summary(store: &Store, found: &Found) -> Value {
    let letter = &found.letter;
    json!({
        "id": show_id(letter.id),
        "path": store.folder.root().join(found.name.path()),
        "pipe": letter.pipe,
        "source": letter.source,
        "shard": letter.shard,
        "start": letter.start.to_decimal(),
        "partition_key": letter.partition_key.as_deref().map(String::from_utf8_lossy),
        "type": letter.event_type,
        "died_ms": letter.died_ms,
        "stage": letter.stage,
        "class": letter.class,
        "message": letter.message,
        "deterministic": letter.deterministic,
        "sink": letter.sink,
        "replay_count": letter.replay_count,
        "event_bytes": letter.body.len(),
        "file_bytes": found.bytes,
        "processed": found.name.done,
        "edited": found.edited,
    })
}

fn show_one(looked: &Look, text: &str, json: bool, raw: bool) -> Result<Exit, Failure> {
    let mut missing = None;
    for store in looked.stores() {
        match store.folder.find(text) {
            Ok(found) if raw => {
                return written(io::stdout().lock().write_all(&found.letter.body));
            }
            Ok(found) if json => {
                let bytes = found.letter.encode();
                return written(io::stdout().lock().write_all(&bytes));
            }
            Ok(found) => return out(whole(&store, &found)),
            Err(FindError::None(what)) => missing = Some(FindError::None(what)),
            Err(other) => return Err(Failure::new(Exit::Failed, other)),
        }
    }
    let missing = missing.unwrap_or_else(|| FindError::None(text.to_owned()));
    Err(Failure::new(Exit::Failed, missing))
}

fn whole(store: &Store, found: &Found) -> String {
    let letter = &found.letter;
    let time = |ms: i64| show::time(ms);
    let partition = letter.partition_key.as_deref().map(String::from_utf8_lossy);
    let mut lines = vec![
        ("letter", show_id(letter.id)),
        ("file", store.folder.root().join(found.name.path()).display().to_string()),
        ("pipe", letter.pipe.clone()),
        ("source", format!("{}, {}", letter.source, letter.shard)),
        ("position", format!("{} to {}", letter.start.to_decimal(), letter.end.to_decimal())),
        ("partition", partition.as_deref().unwrap_or("-").to_owned()),
        ("type", letter.event_type.clone()),
        ("received", time(letter.received_ms)),
        ("died", format!("{} in stage {}", time(letter.died_ms), letter.stage)),
        ("class", letter.class.clone()),
        ("message", letter.message.clone()),
    ];
    let again = if letter.deterministic { "would die again" } else { "may go well" };
    lines.push(("again", format!("{again} under the same config")));
    if !letter.sink.is_empty() {
        lines.push(("sink", letter.sink.clone()));
    }
    if !letter.held_by.is_empty() || !letter.routes.is_empty() {
        let held = [letter.held_by.clone(), letter.routes.clone()].concat();
        lines.push(("held by", held.join(", ")));
    }
    for attempt in &letter.attempts {
        let said = if attempt.error.is_empty() { "delivered" } else { &attempt.error };
        lines.push(("attempt", format!("{} {}: {said}", time(attempt.at_ms), attempt.sink)));
    }
    if letter.replay_count > 0 {
        let last = format!("{}, the last time by {}", letter.replay_count, letter.replay);
        lines.push(("replays", last));
    }
    for attribute in &letter.attributes {
        let value = String::from_utf8_lossy(&attribute.value);
        lines.push(("attribute", format!("{} = {value}", attribute.name)));
    }
    if found.edited {
        lines.push(("edited", "its file isn't what was written".into()));
    }
    if found.name.done {
        lines.push(("processed", "it was replayed".into()));
    }
    let mut text: String =
        lines.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect();
    text.push_str(&format!("event      {} bytes\n\n", letter.body.len()));
    text.push_str(&String::from_utf8_lossy(&letter.body));
    text.push('\n');
    text
}

fn purge(looked: &Look, dry_run: bool, json: bool, clock: &OffsetClock) -> Result<Exit, Failure> {
    let mut count = 0;
    let mut skipped = 0;
    if dry_run {
        let letters = looked.filter.letters(&looked.pipes());
        skipped = looked.each(&letters, |_, _| {
            count += 1;
            Ok(true)
        })?;
    } else {
        let filter = looked.filter.clone();
        let request = Request::Purge { pipes: looked.pipes(), filter };
        ask(looked, request, clock, |answer| match answer {
            Answer::Done(done) => count = done,
            Answer::Skipped(path, why) => {
                skipped += 1;
                tell_skipped(skipped, Path::new(""), &path, &why);
            }
            _ => {}
        })?;
    }
    if json {
        let done = json!({ "purged": count, "skipped": skipped, "dry_run": dry_run });
        return out(format!("{done}\n"));
    }
    let verb = if dry_run { "would be purged" } else { "purged" };
    out(format!("{} {verb}\n", show::counted(count, "letter")))
}

fn hydrated(
    looked: &Look,
    asked: hydrate::Asked,
    json: bool,
    clock: &OffsetClock,
) -> Result<Exit, Failure> {
    let (mut letters, mut messages, mut left) = (0, 0_u64, 0_u64);
    let dry_run = asked.dry_run;
    let request = Request::Hydrate(asked);
    ask(looked, request, clock, |answer| match answer {
        Answer::Message(told) => {
            messages += 1;
            left += u64::from(told.problem.is_some() || told.aged_out.is_some());
            if json {
                println!("{}", serde_json::to_value(&told).unwrap_or_default());
                return;
            }
            let what = show::counted(told.letters, "letter");
            let fate = if told.deleted { "deleted" } else { "stays in the queue" };
            println!("message {}: {what}; the message {fate}", told.message);
            if let Some(gone) = &told.aged_out {
                println!("  aged out: {gone}");
            }
            if let Some(problem) = &told.problem {
                println!("  {problem}");
            }
        }
        Answer::Done(done) => letters = done,
        _ => {}
    })?;
    if !json {
        let verb = if dry_run { " would be written" } else { "" };
        let messages = show::counted(messages, "message");
        eprintln!("{messages}: {}{verb}", show::counted(letters, "letter"));
    }
    Ok(if left > 0 { Exit::Failed } else { Exit::Ok })
}

/// Has it done by the owner of the data folder, or does it meanwhile as the owner.
fn ask(
    looked: &Look,
    request: Request,
    clock: &OffsetClock,
    mut heard: impl FnMut(Answer),
) -> Result<(), Failure> {
    let lost = |what: String| Failure::new(Exit::Failed, format!("the run doesn't answer: {what}"));
    let (mut ended, mut failed) = (false, None);
    let mut take = |answer: Answer| {
        ended |= matches!(answer, Answer::Done(_));
        match answer {
            Answer::Failed(exit, why) => failed = Some(Failure::new(Exit::of(exit), why)),
            answer => heard(answer),
        }
    };
    let mut refused = None;
    let job = JobRequest::Dead(Box::new(request.clone()));
    let asked = tap::ask_job(&looked.data_dir, job, |line| {
        match serde_json::from_value::<Answer>(line.clone()) {
            Ok(answer) => take(answer),
            Err(_) => refused = Some(line.to_string()),
        }
        true
    });
    let owned = asked.map_err(|error| lost(error.to_string()))?.is_some();
    if !owned {
        by_ourselves(looked, &request, clock, &mut take)?;
    }
    match (failed, refused) {
        (Some(failure), _) => Err(failure),
        (None, Some(why)) => Err(Failure::new(Exit::Failed, format!("the run refused: {why}"))),
        (None, None) if ended => Ok(()),
        (None, None) => {
            Err(Failure::new(Exit::Failed, "it was stopped before its end; run it again"))
        }
    }
}

/// Nobody owns the folder: we do meanwhile.
fn by_ourselves(
    looked: &Look,
    request: &Request,
    clock: &OffsetClock,
    take: &mut dyn FnMut(Answer),
) -> Result<(), Failure> {
    if !looked.data_dir.join("ledger").is_dir() {
        let what = format!("{} holds no ledger: run the pipes first", looked.data_dir.display());
        return Err(Failure::new(Exit::DataDir, what));
    }
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let options = RunOptions {
        data_dir: looked.data_dir.clone(),
        reread: false,
        new_key: None,
        stop: stop.clone(),
        disk: Arc::clone(&looked.disk),
        clock: Arc::new(clock.clone()),
        taps: TapHub::default(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
        tuning: Tuning::default(),
    };
    let needs_broker = matches!(request, Request::Hydrate(asked) if asked.endpoint.is_none());
    let session = if needs_broker {
        Session::open_with_broker(&looked.configs, &options, BrokerOptions::default())?.0
    } else {
        Session::open_without_broker(&looked.configs, &options)?
    };
    let mut tell = |answer: Answer| {
        take(answer);
        Ok(())
    };
    let done = match request {
        Request::Purge { pipes, filter } => {
            dead::purge::purge(&session, pipes, filter, &stop, &mut tell)
        }
        Request::Hydrate(asked) => dead::hydrate::hydrate(&session, asked, &stop, &mut tell),
    };
    let closed = session.close();
    done?;
    Ok(closed?)
}
