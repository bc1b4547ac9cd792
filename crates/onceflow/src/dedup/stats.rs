//! `dedup stats`: keys, memory, disk and duplicates, by scope. Reads only, and takes no lock.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use console::{LastRun, show};
use dedup::ledger::{LedgerState, Survey, survey};
use dedup::sightings::{Dropped, Reader, SightingKind};
use dedup::state::{MinuteBucket, PipeState, ScopeState};
use event::Outcome;
use journal::RealDisk;
use serde_json::{Value, json};

use super::args::RawStats;
use super::explain::check_folder;
use super::{length, simulate};
use crate::args::RawDataDir;
use crate::command::data_folder;
use crate::exit::{self, Exit, Failure};
use crate::print::out;

/// What a key in memory takes: a slot of 40 bytes, at 7 of 8 slots in use.
const MEMORY_BYTES_A_KEY: u64 = 46;
/// The rate is that of the last minutes with events, so many.
const RATE_MINUTES: i64 = 5;

/// What is said of a scope.
struct Stats<'a> {
    state: &'a LedgerState,
    scope: &'a ScopeState,
    survey: Survey,
    pipes: Vec<&'a PipeState>,
    seen: Seen,
    late: u64,
    dropped: Dropped,
}

/// What its sightings amount to.
#[derive(Clone)]
struct Seen {
    rows: u64,
    other_body: u64,
    redelivered: u64,
    replayed: u64,
    lags: [u64; 64],
}

impl Default for Seen {
    fn default() -> Self {
        Self { rows: 0, other_body: 0, redelivered: 0, replayed: 0, lags: [0; 64] }
    }
}

/// Looks, and shows the figures.
pub(super) fn stats(raw: &RawStats) -> Result<Exit, Failure> {
    let data_dir = data_folder(RawDataDir { data_dir: raw.data_dir.data_dir.clone() }, &raw.pipes);
    check_folder(&data_dir)?;
    let disk = RealDisk::new();
    let (state, mut surveys) =
        survey(&disk, &data_dir).map_err(|error| Failure::new(exit::ledger(&error), error))?;
    if let Some(name) = &raw.scope
        && state.scopes.iter().all(|scope| scope.name != *name)
    {
        let known: Vec<&str> = state.scopes.iter().map(|scope| scope.name.as_str()).collect();
        return Err(Failure::usage(format!(
            "this data folder has no scope `{name}`; it has: {}",
            known.join(", ")
        )));
    }
    let unread = |error: std::io::Error| {
        Failure::new(Exit::DataDir, format!("cannot read the sightings: {error}"))
    };
    let reader = Reader::open(&disk, &data_dir).map_err(unread)?;
    let seen = seen(&reader, &disk, &state).map_err(unread)?;
    let note = LastRun::read(&data_dir).ok().flatten();
    let mut all = Vec::new();
    for (number, scope) in (0_u16..).zip(&state.scopes) {
        if raw.scope.as_ref().is_some_and(|name| scope.name != *name) {
            continue;
        }
        let pipes: Vec<&PipeState> =
            state.pipes.iter().filter(|pipe| pipe.scope == Some(number)).collect();
        let own = |name: &str| pipes.iter().any(|pipe| pipe.name == name);
        let runs = note.iter().flat_map(|note| &note.pipes).filter(|run| own(&run.pipe));
        all.push(Stats {
            state: &state,
            scope,
            survey: surveys.remove(&number).unwrap_or_default(),
            late: runs.filter_map(|run| run.reasons.get("late")).sum(),
            seen: seen.get(&scope.name).cloned().unwrap_or_default(),
            dropped: reader.dropped(),
            pipes,
        });
    }
    if raw.json {
        let scopes: Vec<Value> = all.iter().map(Stats::json).collect();
        let whole = json!({
            "scopes": scopes,
            "sightings_bytes": reader.bytes(),
            "sightings_dropped": reader.dropped().rows,
        });
        let text = serde_json::to_string_pretty(&whole);
        return out(text.map_err(|error| Failure::new(Exit::Failed, error))? + "\n");
    }
    if all.is_empty() {
        return out("no scope: no pipe with `dedup` has run here\n");
    }
    out(all.iter().map(Stats::text).collect::<Vec<_>>().join("\n"))
}

/// The sightings by scope. Redelivered messages count for their pipe's scope.
fn seen(
    reader: &Reader,
    disk: &RealDisk,
    state: &LedgerState,
) -> std::io::Result<BTreeMap<String, Seen>> {
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    reader.for_each(disk, &mut |rows| {
        let scope = rows.scope().map(str::to_owned).or_else(|| {
            let (_, pipe) = state.pipe(rows.pipe())?;
            Some(state.scopes.get(usize::from(pipe.scope?))?.name.clone())
        });
        let Some(scope) = scope else { return };
        let seen = all.entry(scope).or_default();
        for row in rows.unpack() {
            seen.rows += 1;
            seen.other_body += u64::from(row.other_body);
            seen.redelivered += u64::from(row.kind == SightingKind::Redelivered);
            seen.replayed += u64::from(row.replayed);
            if let Some(original_ms) = row.original_ms {
                let lag_ms = row.recorded_ms.abs_diff(original_ms);
                let bucket = (64 - lag_ms.leading_zeros() as usize).min(63);
                if let Some(count) = seen.lags.get_mut(bucket) {
                    *count += 1;
                }
            }
        }
    })?;
    Ok(all)
}

impl Stats<'_> {
    fn keys(&self) -> (u64, u64) {
        let windows = &self.survey.windows;
        let sum = |of: fn(&dedup::ledger::KeysByWindow) -> u64| windows.iter().map(of).sum();
        (sum(|window| window.in_runs), sum(|window| window.in_journal))
    }

    /// Delivered keys a second over the last minutes that had any event.
    fn rate(&self) -> Option<f64> {
        let sources = self.state.sources.iter().filter(|source| {
            let pipe = self.state.pipes.get(usize::from(source.pipe));
            pipe.is_some_and(|pipe| self.pipes.iter().any(|own| own.name == pipe.name))
        });
        let minutes: Vec<_> = sources.flat_map(|source| &source.minutes).collect();
        let last = minutes.iter().map(|(minute, _)| minute.0).max()?;
        let first = MinuteBucket(last - RATE_MINUTES + 1);
        let recent = minutes.iter().filter(|(minute, _)| **minute >= first);
        let delivered: u64 = recent.map(|(_, tally)| tally.outcome(Outcome::Delivered)).sum();
        Some(delivered as f64 / (RATE_MINUTES * 60) as f64)
    }

    /// Delivered and duplicates by type, most events first.
    fn types(&self) -> Vec<(String, u64, u64)> {
        let mut types: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (name, outcomes) in self.pipes.iter().flat_map(|pipe| &pipe.types) {
            let of = |outcome: Outcome| outcomes.get(outcome.index()).copied().unwrap_or(0);
            let sum = types.entry(name).or_default();
            sum.0 += of(Outcome::Delivered);
            sum.1 += of(Outcome::Duplicate);
        }
        let mut types: Vec<_> =
            types.into_iter().map(|(name, (new, again))| (name.to_owned(), new, again)).collect();
        types.sort_by_key(|(_, new, again)| std::cmp::Reverse(new + again));
        types
    }

    /// The source whose watermark is the lowest: forgetting waits for it.
    fn held_by(&self) -> Option<(String, i64)> {
        let (source, ms) = self.scope.watermarks.iter().min_by_key(|(_, ms)| **ms)?;
        let source = self.state.sources.get(usize::from(*source))?;
        let pipe = self.state.pipes.get(usize::from(source.pipe))?;
        Some((format!("{} of pipe {}", source.name, pipe.name), *ms))
    }

    fn bytes_a_key(&self) -> Option<f64> {
        let (in_runs, _) = self.keys();
        (in_runs > 0).then(|| self.survey.run_bytes as f64 / in_runs as f64)
    }

    fn forgotten_ms(&self) -> Option<i64> {
        (self.scope.forgotten_through_ms > i64::MIN).then_some(self.scope.forgotten_through_ms)
    }

    fn json(&self) -> Value {
        let (in_runs, in_journal) = self.keys();
        let held = self.held_by();
        json!({
            "scope": self.scope.name,
            "fields": self.scope.fields,
            "across_types": self.scope.across_types,
            "keys_in_runs": in_runs,
            "keys_in_journal": in_journal,
            "keys_committed": self.scope.keys_committed,
            "windows": self.survey.windows.iter().map(|window| json!({
                "window_ms_max":
                    (window.window_ms_max != i64::MAX).then_some(window.window_ms_max),
                "keys_in_runs": window.in_runs,
                "keys_in_journal": window.in_journal,
            })).collect::<Vec<_>>(),
            "journal_keys_memory_bytes": in_journal * MEMORY_BYTES_A_KEY,
            "filter_bytes": self.survey.filter_bytes,
            "runs": self.survey.runs,
            "disk_bytes": self.survey.run_bytes,
            "disk_bytes_a_key": self.bytes_a_key(),
            "oldest_ms": self.survey.recorded_ms.map(|(oldest, _)| oldest),
            "newest_ms": self.survey.recorded_ms.map(|(_, newest)| newest),
            "keys_a_second": self.rate(),
            "forgotten_through_ms": self.forgotten_ms(),
            "held_by": held.as_ref().map(|(source, _)| source),
            "held_by_watermark_ms": held.as_ref().map(|(_, ms)| ms),
            "types": self.types().iter().map(|(name, delivered, duplicate)| json!({
                "type": name,
                "delivered": delivered,
                "duplicate": duplicate,
                "share": share(*delivered, *duplicate),
            })).collect::<Vec<_>>(),
            "sightings": self.seen.rows,
            "other_body": self.seen.other_body,
            "redelivered": self.seen.redelivered,
            "replayed": self.seen.replayed,
            "late": self.late,
            "lags": self.seen.lags.iter().enumerate().filter(|(_, count)| **count > 0)
                .map(|(bucket, count)| json!({
                    "below_ms": 1_u64.checked_shl(bucket as u32), "events": count,
                })).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let types = if self.scope.across_types { "across types" } else { "and the type" };
        let fields = show::counted(self.scope.fields.into(), "field");
        let _ = writeln!(out, "scope {} ({fields} {types})", self.scope.name);
        let (in_runs, in_journal) = self.keys();
        let _ = writeln!(
            out,
            "keys      {} in runs, {} in the journal; {} committed ever",
            show::count(in_runs),
            show::count(in_journal),
            show::count(self.scope.keys_committed)
        );
        for window in &self.survey.windows {
            let of = if window.window_ms_max == i64::MAX {
                "for ever".to_owned()
            } else {
                format!("window up to {}", length(window.window_ms_max))
            };
            let _ = writeln!(
                out,
                "            {of}: {} in runs, {} in the journal",
                show::count(window.in_runs),
                show::count(window.in_journal)
            );
        }
        let _ = writeln!(
            out,
            "memory    {} for the journal's keys, {} for filters",
            show::bytes(in_journal * MEMORY_BYTES_A_KEY),
            show::bytes(self.survey.filter_bytes)
        );
        let a_key = self.bytes_a_key().map_or(String::new(), |it| format!(", {it:.1} B a key"));
        let _ = writeln!(
            out,
            "disk      {} in {}{a_key}",
            show::bytes(self.survey.run_bytes),
            show::counted(self.survey.runs, "run")
        );
        if let Some((oldest, newest)) = self.survey.recorded_ms {
            let _ = writeln!(out, "recorded  {} to {}", show::time(oldest), show::time(newest));
        }
        if let Some(rate) = self.rate() {
            let _ =
                writeln!(out, "rate      {rate:.1} keys/s over its last {RATE_MINUTES} minutes");
        }
        self.forgetting(&mut out);
        self.duplicates(&mut out);
        simulate::show::lags(&self.seen.lags, &mut out);
        out
    }

    fn forgetting(&self, out: &mut String) {
        let through = self
            .forgotten_ms()
            .map_or("nothing".to_owned(), |ms| format!("what expired by {}", show::time(ms)));
        let _ = write!(out, "forgotten {through}");
        if let Some((source, ms)) = self.held_by() {
            let _ = write!(out, "; waits for {source}, which is at {}", show::time(ms));
        }
        out.push('\n');
    }

    fn duplicates(&self, out: &mut String) {
        let seen = &self.seen;
        let _ = writeln!(
            out,
            "late      {} rejected in the last run\nsightings {}: {} with another body, {} \
             redelivered, {} replayed{}",
            show::count(self.late),
            show::count(seen.rows),
            show::count(seen.other_body),
            show::count(seen.redelivered),
            show::count(seen.replayed),
            if self.dropped.rows > 0 { "; older ones made room" } else { "" }
        );
        let types = self.types();
        if !types.is_empty() {
            let _ = writeln!(
                out,
                "\n{:<32}  {:>12}  {:>12}  {:>7}",
                "type", "delivered", "duplicates", "share"
            );
        }
        for (name, delivered, duplicate) in types {
            let _ = writeln!(
                out,
                "{name:<32}  {:>12}  {:>12}  {:>6.2}%",
                show::count(delivered),
                show::count(duplicate),
                share(delivered, duplicate) * 100.0
            );
        }
    }
}

fn share(delivered: u64, duplicate: u64) -> f64 {
    if duplicate == 0 { 0.0 } else { duplicate as f64 / (delivered + duplicate) as f64 }
}
