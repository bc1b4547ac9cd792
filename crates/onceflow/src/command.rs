//! The command line, checked: every value in here can be used as it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dedup::ledger::NewKey;
use event::Outcome;
use gateway::{GatewayOptions, ShardLimits};
use pipe::tap::TapFilter;

use crate::archive;
use crate::args::{RawArgs, RawCommand, RawDataDir, RawNewKey, RawOutcome, RawServe};
use crate::commands::{run, serve};
use crate::dead::args::RawDead;
use crate::dedup::args::RawDedup;
use crate::exit::Failure;
use crate::generate;
use crate::prove;

/// Most events of one `generate`.
const EVENTS_MAX: u64 = 1_000_000_000_000;

/// Words that have a meaning (see the design) but no program yet.
const LATER: [&str; 2] = ["top", "sql"];
const COMMANDS: [&str; 14] = [
    "run", "serve", "compact", "check", "test", "schema", "generate", "report", "tap", "prove",
    "demo", "dead", "archive", "dedup",
];

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Run(run::Asked),
    Serve(Box<serve::Asked>),
    Compact { pipes: Vec<PathBuf>, data_dir: PathBuf, json: bool },
    Check { pipes: Vec<PathBuf> },
    Schema,
    Generate(Box<generate::Asked>),
    Test { pipes: Vec<PathBuf>, json: bool },
    Report { data_dir: PathBuf, json: bool },
    Tap { data_dir: PathBuf, filter: TapFilter, limit: Option<u64> },
    Demo { dir: Option<PathBuf>, events: u64 },
    Prove(Box<prove::Asked>),
    ProveChild { life: String },
    Dead(Box<RawDead>),
    Archive(Box<archive::Asked>),
    Dedup(Box<RawDedup>),
    ConfigDocs,
}

impl Command {
    /// Checks what was typed.
    pub(crate) fn new(raw: RawArgs) -> Result<Command, Failure> {
        Ok(match raw.command {
            RawCommand::Run { pipes, data_dir, reread, new_key, json, progress_lines } => {
                let (data_dir, new_key) = (data_folder(data_dir, &pipes), to_new_key(new_key));
                Command::Run(run::Asked { pipes, data_dir, reread, new_key, json, progress_lines })
            }
            RawCommand::Serve(raw) => Command::Serve(Box::new(serve(*raw)?)),
            RawCommand::Compact { pipes, data_dir, json } => {
                let data_dir = data_folder(data_dir, &pipes);
                Command::Compact { pipes, data_dir, json }
            }
            RawCommand::Check { pipes } => Command::Check { pipes },
            RawCommand::Schema => Command::Schema,
            RawCommand::Generate(raw) => Command::Generate(Box::new(generate::Asked::new(*raw)?)),
            RawCommand::Test { pipes, json } => Command::Test { pipes, json },
            RawCommand::Report { pipes, data_dir, json } => {
                Command::Report { data_dir: data_folder(data_dir, &pipes), json }
            }
            RawCommand::Tap { pipes, data_dir, pipe, outcome, limit } => Command::Tap {
                data_dir: data_folder(data_dir, &pipes),
                filter: TapFilter { pipe, outcome: outcome.map(to_outcome) },
                limit,
            },
            RawCommand::Demo { dir, events } => {
                let events = count("--events", &events)?;
                if events < 1000 {
                    return Err(Failure::usage("--events: the demo takes at least 1,000"));
                }
                Command::Demo { dir, events }
            }
            RawCommand::Prove(raw) => Command::Prove(Box::new(prove::Asked::new(*raw)?)),
            RawCommand::ProveChild { life } => Command::ProveChild { life },
            RawCommand::Dead { what } => Command::Dead(what),
            RawCommand::Archive { what } => Command::Archive(Box::new(archive::Asked::new(*what)?)),
            RawCommand::Dedup { what } => Command::Dedup(what),
            RawCommand::ConfigDocs => Command::ConfigDocs,
            RawCommand::Other(words) => return Err(other(&words)),
        })
    }
}

fn serve(raw: RawServe) -> Result<serve::Asked, Failure> {
    let data_dir = data_folder(raw.data_dir, &raw.pipes);
    let shard_limits = (raw.shard_records_in_per_s > 0).then_some(ShardLimits {
        records_in_per_s: raw.shard_records_in_per_s,
        bytes_in_per_s: raw.shard_bytes_in_per_s,
        reads_per_s: raw.shard_reads_per_s,
        bytes_out_per_s: raw.shard_bytes_out_per_s,
    });
    let mut front = GatewayOptions {
        listen: raw.listen,
        host_names: raw.host_name,
        shard_limits,
        ..GatewayOptions::default()
    };
    if let Some(connections_max) = raw.connections_max {
        front.http.connections_max = connections_max;
    }
    let new_key = to_new_key(raw.new_key);
    Ok(serve::Asked { pipes: raw.pipes, data_dir, new_key, front, json: raw.json })
}

fn to_new_key(raw: RawNewKey) -> Option<NewKey> {
    let RawNewKey { new_key, old_key, forget_old_forever } = raw;
    new_key.then_some(NewKey { old_paths: old_key, forget_forever: forget_old_forever })
}

/// `--data-dir`, else `onceflow-data` next to the first config, else here.
pub(crate) fn data_folder(raw: RawDataDir, pipes: &[PathBuf]) -> PathBuf {
    raw.data_dir.unwrap_or_else(|| {
        let next_to = pipes.first().and_then(|pipe| pipe.parent()).unwrap_or(Path::new(""));
        next_to.join("onceflow-data")
    })
}

fn to_outcome(raw: RawOutcome) -> Outcome {
    match raw {
        RawOutcome::Delivered => Outcome::Delivered,
        RawOutcome::Duplicate => Outcome::Duplicate,
        RawOutcome::Filtered => Outcome::Filtered,
        RawOutcome::Rejected => Outcome::Rejected,
        RawOutcome::Dead => Outcome::Dead,
        RawOutcome::Returned => Outcome::Returned,
    }
}

/// `1000000`, `1_000_000`, `1M`, `250k`.
pub(crate) fn count(option: &str, text: &str) -> Result<u64, Failure> {
    let plain = text.replace(['_', ','], "");
    let (digits, factor) = match plain.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => match plain.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1_000_000),
            None => (plain.as_str(), 1),
        },
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    number.filter(|number| (1..=EVENTS_MAX).contains(number)).ok_or_else(|| {
        Failure::usage(format!(
            "{option}: `{text}` isn't a number from 1 to {EVENTS_MAX}; write it like 1000000, 250k or 2M"
        ))
    })
}

/// `10%` of `events`; at least one event is new.
pub(crate) fn share(option: &str, text: &str, events: u64) -> Result<u64, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "{option}: `{text}` isn't a share from 0% to 99%; write it like 10% or 0.1"
        ))
    };
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.trim().parse::<f64>().map_err(|_| wrong())?,
    };
    if !(0.0..=0.99).contains(&share) {
        return Err(wrong());
    }
    Ok(((events as f64 * share).round() as u64).min(events.saturating_sub(1)))
}

fn other(words: &[OsString]) -> Failure {
    let word = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if LATER.contains(&word.as_str()) {
        return Failure::usage(format!(
            "`onceflow {word}` isn't built yet; what is there: {}",
            COMMANDS.join(", ")
        ));
    }
    let distance = |name: &&&str| strsim::damerau_levenshtein(name, &word);
    let nearest = COMMANDS.iter().min_by_key(distance).filter(|name| distance(name) <= 2);
    Failure::usage(match nearest {
        Some(name) => format!("there is no command `{word}`; did you mean `{name}`?"),
        None => format!("there is no command `{word}`; there are: {}", COMMANDS.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares_are_read_as_people_write_them() {
        for (text, number) in [("7", 7), ("1_000", 1000), ("250k", 250_000), ("2M", 2_000_000)] {
            assert_eq!(count("--events", text).unwrap(), number, "{text}");
        }
        for text in ["", "0", "-1", "1.5", "k", "99999999999999"] {
            assert!(count("--events", text).is_err(), "{text}");
        }
        for (text, number) in [("10%", 100), ("0.1", 100), ("0", 0), ("99 %", 990), ("0.04%", 0)] {
            assert_eq!(share("--duplicates", text, 1000).unwrap(), number, "{text}");
        }
        for text in ["10", "100%", "-1%", "x", "%", "nan"] {
            assert!(share("--duplicates", text, 1000).is_err(), "{text}");
        }
        assert_eq!(share("--duplicates", "99%", 1).unwrap(), 0, "one event can't be a copy");
    }

    #[test]
    fn the_data_folder_stands_next_to_the_first_config() {
        let folder = |pipe: &str| data_folder(RawDataDir { data_dir: None }, &[pipe.into()]);
        assert_eq!(folder("examples/a.yaml"), Path::new("examples/onceflow-data"));
        assert_eq!(folder("a.yaml"), Path::new("onceflow-data"));
        assert_eq!(data_folder(RawDataDir { data_dir: None }, &[]), Path::new("onceflow-data"));
    }
}
