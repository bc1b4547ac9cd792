//! `dedup simulate`: what other windows would have caught, out of archived events.
//!
//! Way of an event: `input.rs` reads it, `maker.rs` takes time and key out of it, `sorted.rs` puts
//! all in order of time, `engine.rs` lets each window decide; `figures.rs` says what that means,
//! `show.rs` and `svg.rs` how it looks.

mod engine;
mod figures;
mod input;
mod maker;
pub(super) mod show;
mod sorted;
mod svg;

use std::io;
use std::path::Path;

use console::show::{count, counted};
use event::path::FieldPath;
use pipe::config::TimeFormat;
use pipe::stage::time::TIME_FORMATS;

use self::engine::{Engine, FOREVER_MS, TooManyKeys};
use self::figures::Figures;
use self::input::{Input, inputs, read};
pub(super) use self::maker::{Beside, Fields, Maker};
use self::sorted::Sorter;
use super::args::RawSimulate;
use crate::commands::load;
use crate::exit::{Exit, Failure};
use crate::generate::duration;
use crate::print::out;
use crate::progress::MovingLine;
use crate::replay::the_pipe;

/// Windows to compare at most.
const WINDOWS_MAX: usize = 16;
/// Looked at beside those that were asked for, for the suggestion; ms.
const LADDER: [i64; 20] = [
    1_000,
    5_000,
    10_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
    1_209_600_000,
    2_592_000_000,
    7_776_000_000,
];
const PROGRESS_EVENTS: u64 = 1 << 18;

/// What was asked, checked.
struct Asked {
    inputs: Vec<Input>,
    /// The pipe of an archive.
    pipe: Option<String>,
    fields: Fields,
    windows: Vec<i64>,
    bytes_max: usize,
}

/// Simulates, and shows what came of it.
pub(super) fn simulate(raw: &RawSimulate, moving: &MovingLine) -> Result<Exit, Failure> {
    let asked = asked(raw)?;
    let figures = figures(asked, raw.refresh, moving)?;
    if let Some(path) = &raw.svg {
        let text = svg::draw(&figures)
            .map_err(|error| Failure::new(Exit::Failed, format!("the drawing: {error}")))?;
        save(path, &text)?;
    }
    if raw.json {
        let text = serde_json::to_string_pretty(&figures.json());
        out(text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n")
    } else {
        out(show::text(&figures))
    }
}

fn asked(raw: &RawSimulate) -> Result<Asked, Failure> {
    let windows = windows(&raw.windows)?;
    let inputs = inputs(&raw.archive)?;
    let bytes_max = bytes("--memory-bytes-max", &raw.memory_bytes_max)?;
    let mut pipe = raw.pipe.clone();
    let fields = match &raw.config {
        Some(config) => {
            let configs = load(std::slice::from_ref(config))?;
            let config = the_pipe(&configs, raw.pipe.as_deref())?;
            pipe = Some(config.pipe.clone());
            Fields::of(config)?
        }
        None => fields(raw)?,
    };
    if fields.time.is_none()
        && let Some(Input::Lines(path)) =
            inputs.iter().find(|input| matches!(input, Input::Lines(_)))
    {
        return Err(Failure::usage(format!(
            "{} holds events without a time beside them: say where it stands in them, with --time \
             $.created_at (and --format), or with `envelope.time` in the config",
            path.display()
        )));
    }
    Ok(Asked { inputs, pipe, fields, windows, bytes_max })
}

fn fields(raw: &RawSimulate) -> Result<Fields, Failure> {
    if raw.key.is_empty() {
        return Err(Failure::usage(
            "say what makes two events the same: --key $.event_id, or --config PIPE.yaml",
        ));
    }
    let path = |option: &str, text: &String| {
        FieldPath::parse(text).map_err(|error| Failure::usage(format!("{option} {text}: {error}")))
    };
    let key = raw.key.iter().map(|text| path("--key", text)).collect::<Result<Vec<_>, _>>()?;
    if key.len() > pipe::prepare::KEY_FIELDS_MAX {
        return Err(Failure::usage(format!(
            "--key: a key has at most {} fields",
            pipe::prepare::KEY_FIELDS_MAX
        )));
    }
    let time = match &raw.time {
        Some(text) => Some((path("--time", text)?, format(&raw.format)?)),
        None => None,
    };
    Ok(Fields {
        key,
        event_type: raw.event_type.as_ref().map(|text| path("--type", text)).transpose()?,
        time,
        across_types: raw.event_type.is_none(),
        broker_time: false,
        decode: Vec::new(),
        pattern: None,
    })
}

fn format(text: &str) -> Result<TimeFormat, Failure> {
    let found = TIME_FORMATS.into_iter().find(|format| format.name() == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = TIME_FORMATS.iter().map(|format| format.name()).collect();
        Failure::usage(format!("--format: `{text}` is none of {}", names.join(", ")))
    })
}

/// `1m,5m,1h,forever`; ms.
fn windows(text: &str) -> Result<Vec<i64>, Failure> {
    let window = |text: &str| match text.trim() {
        "forever" => Ok(FOREVER_MS),
        text => {
            let window = duration("--windows", text)?;
            Ok(i64::try_from(window.as_millis()).unwrap_or(FOREVER_MS))
        }
    };
    let windows = text.split(',').map(window).collect::<Result<Vec<i64>, Failure>>()?;
    if windows.len() > WINDOWS_MAX {
        return Err(Failure::usage(format!("--windows: at most {WINDOWS_MAX} at once")));
    }
    Ok(windows)
}

/// `512MiB`, `2GiB`.
fn bytes(option: &str, text: &str) -> Result<usize, Failure> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = units.into_iter().find_map(|(unit, bits)| {
        let digits = text.strip_suffix(unit)?.trim();
        digits.parse::<usize>().ok()?.checked_mul(1 << bits)
    });
    unit.filter(|bytes| *bytes >= 1 << 20).ok_or_else(|| {
        Failure::usage(format!(
            "{option}: `{text}` is no size of 1MiB or more; write 512MiB or 2GiB"
        ))
    })
}

fn figures(asked: Asked, refresh: bool, moving: &MovingLine) -> Result<Figures, Failure> {
    let Asked { inputs, pipe, fields, windows, bytes_max } = asked;
    let mut maker = Maker::new(fields);
    let mut sorter = Sorter::new(bytes_max / 4);
    let mut read_so_far = 0_u64;
    for input in &inputs {
        let damages = read(input, pipe.as_deref(), &mut |payload, beside| {
            read_so_far += 1;
            if read_so_far.is_multiple_of(PROGRESS_EVENTS) {
                progress(moving, &format!("{} read", counted(read_so_far, "event")));
            }
            let Some(row) = maker.row(payload, beside) else { return Ok(()) };
            sorter.push(row).map_err(|error| no_room(&error))
        })?;
        moving.clear();
        damages.iter().for_each(|damage| eprintln!("{damage}"));
    }
    let mut engine = Engine::new(&windows, &LADDER, refresh, bytes_max / 4 * 3);
    let mut span_ms = None;
    let drained = sorter.drain(|row| {
        let (first, _) = span_ms.unwrap_or((row.time_ms, row.time_ms));
        span_ms = Some((first, row.time_ms));
        if engine.events().is_multiple_of(PROGRESS_EVENTS) && engine.events() > 0 {
            progress(moving, &format!("{} of {}", count(engine.events()), count(read_so_far)));
        }
        engine.event(row.key, row.time_ms).map_err(Ended::Keys)
    });
    moving.clear();
    match drained {
        Ok(()) => Ok(Figures::new(&engine, maker.unused, span_ms, refresh)),
        Err(Ended::Io(error)) => Err(no_room(&error)),
        Err(Ended::Keys(TooManyKeys { keys })) => Err(Failure::new(
            Exit::Failed,
            format!(
                "{} are remembered at once by the longest window, more than fit into \
                 --memory-bytes-max: raise it, or leave the longest window out",
                counted(keys, "key")
            ),
        )),
    }
}

/// Why the simulation ended before its end.
enum Ended {
    Io(io::Error),
    Keys(TooManyKeys),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Io(error)
    }
}

fn progress(moving: &MovingLine, text: &str) {
    use std::io::IsTerminal as _;
    if io::stderr().is_terminal() {
        moving.show(text);
    }
}

fn no_room(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        format!(
            "cannot put events in order in {}: {error}; raise --memory-bytes-max, or name another \
             folder with the environment variable TMPDIR",
            std::env::temp_dir().display()
        ),
    )
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
    })
}
