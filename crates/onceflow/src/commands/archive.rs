//! `archive list`, `archive verify`, `archive replay`.

use std::sync::Arc;

use connect::archive::read::Range;
use console::show;
use event::Clock as _;
use journal::{Disk, RealDisk};
use pipe::config::PipeConfig;
use serde_json::{Value, json};

use super::load;
use crate::archive::{
    Asked, Listed, ReplayArgs, Summary, Where, count, listed, open, summary_text, table,
};
use crate::exit::{Exit, Failure};
use crate::print::out;
use crate::progress::MovingLine;
use crate::replay::{self, Done, Kind, Place, Shown, sinks, the_pipe};
use crate::test_clock::OffsetClock;

pub(crate) fn archive(
    asked: &Asked,
    clock: &OffsetClock,
    moving: MovingLine,
) -> Result<Exit, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    match asked {
        Asked::List(at) => list(at, clock, disk),
        Asked::Verify(at) => verify(at, clock, disk),
        Asked::Replay(at, options) => {
            let configs = load(&at.pipes)?;
            let config = the_pipe(&configs, at.pipe.as_deref())?;
            let args = ReplayArgs::new(options, at.range(clock.now_ms())?);
            if options.dry_run {
                dry_run(at, &args, config, clock, &disk)
            } else {
                replay(at, &args, config, clock, &disk, moving)
            }
        }
    }
}

fn replay(
    at: &Where,
    args: &ReplayArgs,
    config: &PipeConfig,
    clock: &OffsetClock,
    disk: &Arc<dyn Disk>,
    moving: MovingLine,
) -> Result<Exit, Failure> {
    sinks(config, args.to_sink.as_deref())?;
    let mut shown = Shown::new(moving, at.json);
    let asked = replay::Asked {
        kind: Kind::Archive,
        pipe: config.pipe.clone(),
        args: serde_json::to_value(args).map_err(|error| Failure::new(Exit::Failed, error))?,
    };
    let done = replay::run(&asked, &at.pipes, &at.data_dir, clock, &mut shown)?;
    if done.report.details.get("events_in_range") == Some(&json!(0)) {
        say_empty(config, at, disk)?;
    }
    said(&done, at.json)
}

fn list(at: &Where, clock: &OffsetClock, disk: Arc<dyn Disk>) -> Result<Exit, Failure> {
    let configs = load(&at.pipes)?;
    let config = the_pipe(&configs, at.pipe.as_deref())?;
    let archive = open(config, &at.data_dir, disk, at.range(clock.now_ms())?)?;
    let Listed { files, summary } = listed(&archive);
    if at.json {
        json_out(&json!({ "files": files, "summary": summary.json() }))?;
    } else {
        out(table(&archive) + &summary_text(&summary))?;
    }
    say_damages(summary.damages.iter().map(ToString::to_string), at.json)
}

/// Reads everything.
fn verify(at: &Where, clock: &OffsetClock, disk: Arc<dyn Disk>) -> Result<Exit, Failure> {
    let configs = load(&at.pipes)?;
    let config = the_pipe(&configs, at.pipe.as_deref())?;
    let archive = open(config, &at.data_dir, disk, at.range(clock.now_ms())?)?;
    let mut reader = archive.read();
    let events = reader.by_ref().count() as u64;
    let damages = reader.damages();
    let mut summary = Summary::of(&archive);
    summary.events = events;
    summary.damages = damages.to_vec();
    if at.json {
        json_out(&summary.json())?;
    } else {
        let files = show::counted(summary.files, "file");
        let events = show::counted(events, "event");
        let what = if damages.is_empty() { "all whole" } else { "damaged, see below" };
        out(format!("read {events} of {files}: {what}\n"))?;
    }
    say_damages(damages.iter().map(ToString::to_string), at.json)
}

fn dry_run(
    at: &Where,
    args: &ReplayArgs,
    config: &PipeConfig,
    clock: &OffsetClock,
    disk: &Arc<dyn Disk>,
) -> Result<Exit, Failure> {
    let (disk_of, clock) = (Arc::clone(disk), Arc::new(clock.clone()));
    let place = Place { config, data_dir: &at.data_dir, disk: disk_of, clock };
    let counted = count(args, &place)?;
    if counted.in_range == 0 {
        say_empty(config, at, disk)?;
    }
    let times = counted.received_ms.map(|(first, last)| (show::time(first), show::time(last)));
    if at.json {
        json_out(&json!({
            "dry_run": true,
            "events_in_range": counted.in_range,
            "events_taken": counted.taken,
            "bytes": counted.bytes,
            "first_received": times.as_ref().map(|(first, _)| first),
            "last_received": times.as_ref().map(|(_, last)| last),
        }))?;
    } else {
        let events = show::counted(counted.taken, "event");
        let when = times
            .map_or(String::new(), |(first, last)| format!(", received from {first} to {last}"));
        let (bytes, of) = (show::bytes(counted.bytes), show::count(counted.in_range));
        out(format!("would replay {events} ({bytes}) of {of} in the range{when}\n"))?;
    }
    say_damages(counted.damages.iter().map(ToString::to_string), at.json)
}

/// Nothing was received in the range: says what the archive holds instead.
fn say_empty(config: &PipeConfig, at: &Where, disk: &Arc<dyn Disk>) -> Result<(), Failure> {
    let whole = open(config, &at.data_dir, Arc::clone(disk), Range::ALL)?;
    let summary = Summary::of(&whole);
    match summary.received_ms {
        Some((first, last)) => eprintln!(
            "the archive holds no events of this range; it holds {}, received from {} to {}",
            show::counted(summary.events, "event"),
            show::time(first),
            show::time(last)
        ),
        None => eprintln!("the archive is empty"),
    }
    Ok(())
}

fn said(done: &Done, json: bool) -> Result<Exit, Failure> {
    if json {
        let mut value = serde_json::to_value(done).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("exit_code".to_owned(), Value::from(done.exit() as u8));
        }
        json_out(&value)?;
    } else {
        out(format!("replay {}: {}\n", done.id, done.tally.text()))?;
        for problem in &done.report.problems {
            eprintln!("{problem}");
        }
        if done.tally.interrupted {
            eprintln!("interrupted: what isn't settled was not replayed");
        }
    }
    Ok(done.exit())
}

fn say_damages(damages: impl Iterator<Item = String>, json: bool) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for damage in damages {
        exit = Exit::Failed;
        if !json {
            eprintln!("{damage}");
        }
    }
    Ok(exit)
}

fn json_out(value: &Value) -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(value);
    out(text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n")
}
