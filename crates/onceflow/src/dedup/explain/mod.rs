//! `dedup explain`: everything that is known of one key. Reads only, and takes no lock.
//!
//! `ask.rs` says which keys may be meant, `facts.rs` what the ledger and the sightings know of
//! them, `lake.rs` and `archive.rs` where their events lie, `body.rs` what differs between them,
//! `show.rs` how all that looks.

mod archive;
mod ask;
mod body;
mod facts;
mod lake;
mod show;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use console::LastRun;
use dedup::ledger::{find_keys, read_only};
use dedup::sightings::Dropped;
use event::Clock as _;
use journal::RealDisk;
use pipe::config::{ClockChoice, PipeConfig, SinkKind};

use self::archive::Wanted;
use self::ask::{Candidate, candidates};
use self::facts::{Compared, Facts};
use super::args::RawExplain;
use crate::command::data_folder;
use crate::commands::load;
use crate::exit::{self, Exit, Failure};
use crate::print::out;
use crate::test_clock::OffsetClock;

/// Keys near the one that was asked for that are shown at most.
const NEAR_MAX: usize = 10;

/// What a search came to.
struct Explained {
    data_dir: PathBuf,
    facts: Vec<Facts>,
    near: Vec<(Candidate, String)>,
    /// How many types and readings were tried.
    tried: usize,
    dropped: Dropped,
    /// Where was looked, in words, and what came of it.
    looked: Vec<String>,
}

/// Looks, and shows what is known.
pub(super) fn explain(raw: &RawExplain, clock: &OffsetClock) -> Result<Exit, Failure> {
    let data_dir = data_folder_of(raw);
    check_folder(&data_dir)?;
    let configs = if raw.config.is_empty() { Vec::new() } else { load(&raw.config)? };
    let config = chosen(&configs, raw.pipe.as_deref(), raw.scope.as_deref())?;
    let explained = explained(raw, data_dir, &configs, config, clock)?;
    let found = !explained.facts.is_empty();
    if raw.json {
        let text = serde_json::to_string_pretty(&show::json(&explained));
        out(text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n")?;
    } else {
        out(show::text(&explained))?;
    }
    Ok(if found { Exit::Ok } else { Exit::Failed })
}

fn data_folder_of(raw: &RawExplain) -> PathBuf {
    data_folder(crate::args::RawDataDir { data_dir: raw.data_dir.data_dir.clone() }, &raw.config)
}

/// Whether a folder is a data folder, and else what to do.
pub(super) fn check_folder(data_dir: &Path) -> Result<(), Failure> {
    if data_dir.join("ledger").is_dir() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::DataDir,
        format!(
            "{} holds no ledger. Name the data folder with --data-dir, or the pipe's config: its \
             data folder is onceflow-data next to it",
            data_dir.display()
        ),
    ))
}

/// The config of the pipe that is meant.
fn chosen<'a>(
    configs: &'a [PipeConfig],
    pipe: Option<&str>,
    scope: Option<&str>,
) -> Result<Option<&'a PipeConfig>, Failure> {
    if configs.is_empty() {
        return Ok(None);
    }
    if let Some(scope) = scope {
        let of_scope =
            |config: &&PipeConfig| config.dedup.as_ref().is_some_and(|dedup| dedup.scope == scope);
        return Ok(configs.iter().find(of_scope));
    }
    crate::replay::the_pipe(configs, pipe).map(Some)
}

fn explained(
    raw: &RawExplain,
    data_dir: PathBuf,
    configs: &[PipeConfig],
    config: Option<&PipeConfig>,
    clock: &OffsetClock,
) -> Result<Explained, Failure> {
    let disk = RealDisk::new();
    let ledger = |error: dedup::ledger::LedgerError| Failure::new(exit::ledger(&error), error);
    let state = read_only(&disk, &data_dir).map_err(ledger)?;
    let all = candidates(raw, &state, config)?;
    let wanted: BTreeSet<(u16, u128)> = all.iter().map(|it| (it.scope, it.key)).collect();
    let (state, found) = find_keys(&disk, &data_dir, &wanted).map_err(ledger)?;
    let received = |config: &PipeConfig| {
        config.dedup.as_ref().is_some_and(|dedup| dedup.clock == ClockChoice::Received)
    };
    let wall_ms = config.filter(|config| received(config)).map(|_| clock.now_ms());
    let mut facts: Vec<Facts> =
        all.iter().map(|it| Facts::new(it.clone(), &state, &found, wall_ms)).collect();
    let unread = |error: std::io::Error| {
        Failure::new(Exit::DataDir, format!("cannot read the sightings: {error}"))
    };
    let dropped = facts::sightings(&disk, &data_dir, &mut facts).map_err(unread)?;
    let mut looked = vec![format!("the ledger and its sightings in {}", data_dir.display())];
    let note = LastRun::read(&data_dir).ok().flatten();
    search_lakes(&lakes(raw, configs, note.as_ref()), &mut facts, &mut looked);
    facts::redelivered(&disk, &data_dir, &mut facts).map_err(unread)?;
    let (asked, others): (Vec<Facts>, Vec<Facts>) =
        facts.into_iter().filter(Facts::is_known).partition(|facts| facts.candidate.asked);
    let near = others
        .into_iter()
        .take(NEAR_MAX)
        .map(|facts| (facts.candidate.clone(), facts.standing().name().to_owned()))
        .collect();
    let mut facts = asked;
    for facts in &mut facts {
        let scope = state.scopes.get(usize::from(facts.candidate.scope));
        for (pipe, root, config) in archives(&data_dir, configs, note.as_ref()) {
            let (batches, places) = (facts.batches_of(&pipe), facts.places());
            let Some(scope) = scope.filter(|_| !batches.is_empty()) else { continue };
            let wanted = Wanted { key: facts.candidate.key, batches, places: &places, scope };
            match archive::search(&root, &pipe, config, &wanted) {
                Ok(rows) => {
                    looked.push(said("archive", &root, rows.len()));
                    facts.archive.extend(rows);
                }
                Err(what) => looked.push(format!("archive {}: {what}", root.display())),
            }
        }
        facts.differences = differences(facts);
    }
    Ok(Explained { data_dir, facts, near, tried: all.len(), dropped, looked })
}

fn said(what: &str, root: &Path, rows: usize) -> String {
    let found = match rows {
        0 => "none of its events is there any more".to_owned(),
        rows => console::show::counted(rows as u64, "event"),
    };
    format!("{what} {}: {found}", root.display())
}

/// Lakes to look into: those that were named, else those of the last run.
fn lakes(raw: &RawExplain, configs: &[PipeConfig], note: Option<&LastRun>) -> Vec<PathBuf> {
    let mut roots = raw.lake.clone();
    for sink in configs.iter().flat_map(|config| &config.sinks) {
        if let SinkKind::Lake(lake) = &sink.kind {
            roots.push(lake.path.clone());
        }
    }
    if roots.is_empty() && configs.is_empty() {
        let sinks = note.iter().flat_map(|note| &note.pipes).flat_map(|pipe| &pipe.sinks);
        let lakes = sinks.filter(|sink| sink.kind == "lake");
        roots.extend(lakes.filter_map(|sink| sink.path.clone()));
    }
    let mut known = BTreeSet::new();
    roots.retain(|root| known.insert(root.clone()));
    roots
}

fn search_lakes(roots: &[PathBuf], facts: &mut [Facts], looked: &mut Vec<String>) {
    let keys: BTreeSet<u128> = facts.iter().map(|facts| facts.candidate.key).collect();
    if roots.is_empty() {
        looked.push("no lake: none is named by a config or --lake".to_owned());
    }
    for root in roots {
        match lake::search(root, &keys) {
            Ok(searched) => {
                looked.push(said("lake", root, searched.rows.len()));
                looked.extend(searched.problems);
                for row in searched.rows {
                    let own = facts.iter_mut().filter(|facts| facts.candidate.key == row.key);
                    own.for_each(|facts| facts.lake.push(row.clone()));
                }
            }
            Err(error) => looked.push(format!("lake {}: {error}", root.display())),
        }
    }
}

/// Archives: pipe, folder and config.
fn archives<'a>(
    data_dir: &Path,
    configs: &'a [PipeConfig],
    note: Option<&LastRun>,
) -> Vec<(String, PathBuf, Option<&'a PipeConfig>)> {
    let of_config = |config: &'a PipeConfig| {
        Some((config.pipe.clone(), config.archive_folder(data_dir)?, Some(config)))
    };
    let mut all: Vec<_> = configs.iter().filter_map(of_config).collect();
    for pipe in note.iter().flat_map(|note| &note.pipes) {
        if let Some(root) = &pipe.archive
            && all.iter().all(|(name, _, _)| *name != pipe.pipe)
            && configs.is_empty()
        {
            all.push((pipe.pipe.clone(), root.clone(), None));
        }
    }
    all
}

/// The first body that is still there beside each other one that is.
fn differences(facts: &Facts) -> Vec<Compared> {
    let mut bodies: Vec<(i64, String, &[u8], bool)> = Vec::new();
    for row in &facts.archive {
        let name = format!("archive, batch {}, {}@{}", row.batch, row.shard, row.offset);
        bodies.push((row.received_ms, name, &row.body, false));
    }
    for row in &facts.lake {
        if let Some(body) = &row.body {
            let name = format!("lake, batch {}, {}@{}", row.batch, row.shard, row.offset);
            bodies.push((row.recorded_ms, name, body, row.from_table));
        }
    }
    for parked in &facts.parked {
        bodies.push((parked.received_ms, "parked".to_owned(), &parked.body, false));
    }
    bodies.sort_by_key(|(at_ms, ..)| *at_ms);
    let Some((first, rest)) = bodies.split_first() else { return Vec::new() };
    let compare = |other: &(i64, String, &[u8], bool)| {
        let mut found = body::differences(first.2, other.2);
        // A table keeps no difference between a field that is null and one that isn't there.
        if first.3 != other.3 {
            found.retain(|difference| {
                let null = |side: &Option<serde_json::Value>| {
                    side.as_ref().is_none_or(serde_json::Value::is_null)
                };
                !(null(&difference.before) && null(&difference.after))
            });
        }
        Compared { before: first.1.clone(), after: other.1.clone(), differences: found }
    };
    rest.iter().map(compare).filter(|it| !it.differences.is_empty()).collect()
}
